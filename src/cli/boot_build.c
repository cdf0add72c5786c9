/*
 * Builds boot information: see boot_build.h. Called by launch_build.c for each cVM. Nothing here grants anything; a
 * mistake confuses only the cVM itself.
 */
#include "cli/boot_build.h"

#include <stdlib.h>
#include <string.h>

#include "abi/boot.h"
#include "abi/served.h"

struct mount {
	uint32_t type, handle;
	bool read_only;
	const char *path;
};

struct builder {
	char *bytes;
	size_t used, capacity;
};

static uint32_t add_string(struct builder *b, const char *text)
{
	size_t size = strlen(text) + 1, at = b->used;

	if (b->capacity - b->used < size) {
		b->capacity = (b->capacity + size) * 2;
		b->bytes = xrealloc(b->bytes, b->capacity);
	}
	memcpy(b->bytes + at, text, size);
	b->used += size;
	return (uint32_t)at;
}

static uint32_t add_list(struct builder *b, const struct strlist *list)
{
	uint32_t at = (uint32_t)b->used;

	for (size_t i = 0; i < list->count; i++)
		add_string(b, list->item[i]);
	return at;
}

/* A user's mount on the place of a default one replaces it. */
static void add_mount(struct mount *mounts, size_t *count, struct mount mount)
{
	for (size_t i = 0; i < *count; i++) {
		if (strcmp(mounts[i].path, mount.path) == 0) {
			mounts[i] = mount;
			return;
		}
	}
	mounts[(*count)++] = mount;
}

/* Byte order of the paths puts parents first: a parent is a prefix. */
static int compare_mounts(const void *a, const void *b)
{
	return strcmp(((const struct mount *)a)->path, ((const struct mount *)b)->path);
}

#define DEFAULT_MOUNTS 8
_Static_assert(DEFAULT_MOUNTS + CONFIG_TMPFS_MAX + CONFIG_VOLUMES_MAX <= BOOT_MOUNTS_MAX, "mounts fit the table");
_Static_assert(BOOT_HANDLE_VOLUMES + CONFIG_VOLUMES_MAX + 1 <= LAUNCH_HANDLES_MAX, "handles fit the table");

/* Files and streams that it may use; returns how many. */
static uint32_t add_grants(struct builder *b, const struct config_cvm *cvm, uint32_t *at)
{
	uint32_t count = 0;

	*at = (uint32_t)b->used;
	for (uint32_t i = 0; i < cvm->grants; i++) {
		const struct launch_grant *grant = &cvm->grant[i];

		if (!(grant->roles & LAUNCH_GRANT_USE) || (grant->kind != CAP_MEMORY && grant->kind != CAP_CONNECT))
			continue;
		char *text = xasprintf("%s/%s", grant->kind == CAP_MEMORY ? "file" : "stream", grant->name);
		add_string(b, text);
		free(text);
		count++;
	}
	return count;
}

static size_t list_mounts(const struct config_cvm *cvm, const bool *volume_is_file, bool grants, struct mount *mounts)
{
	size_t count = 0;

	add_mount(mounts, &count, (struct mount){BOOT_MOUNT_OVERLAY, BOOT_HANDLE_ROOT, false, "/"});
	add_mount(mounts, &count, (struct mount){BOOT_MOUNT_PROC, 0, false, "/proc"});
	add_mount(mounts, &count, (struct mount){BOOT_MOUNT_DEV, 0, false, "/dev"});
	add_mount(mounts, &count, (struct mount){BOOT_MOUNT_PTS, 0, false, "/dev/pts"});
	add_mount(mounts, &count, (struct mount){BOOT_MOUNT_TMPFS, 0, false, "/dev/shm"});
	add_mount(mounts, &count, (struct mount){BOOT_MOUNT_TMPFS, 0, false, "/tmp"});
	add_mount(mounts, &count, (struct mount){BOOT_MOUNT_TMPFS, 0, false, "/run"});
	if (grants)
		add_mount(mounts, &count, (struct mount){BOOT_MOUNT_CAP, 0, false, "/cap"});
	for (size_t i = 0; i < cvm->tmpfs.count; i++)
		add_mount(mounts, &count, (struct mount){BOOT_MOUNT_TMPFS, 0, false, cvm->tmpfs.item[i]});
	for (uint32_t i = 0; i < cvm->volumes; i++)
		add_mount(mounts, &count,
			  (struct mount){volume_is_file[i] ? BOOT_MOUNT_HOST_FILE : BOOT_MOUNT_HOST, BOOT_HANDLE_VOLUMES + i,
					 cvm->volume[i].read_only, cvm->volume[i].guest});
	qsort(mounts, count, sizeof(*mounts), compare_mounts);
	return count;
}

int boot_build(const struct config_cvm *cvm, const bool *volume_is_file, uint32_t exec, uint32_t flags, void **block, size_t *size,
	       struct config_error *error)
{
	struct mount mounts[BOOT_MOUNTS_MAX];
	struct builder b = {.used = sizeof(struct libos_boot), .capacity = 16384};
	struct libos_boot boot = {.magic = BOOT_MAGIC};

	b.bytes = xcalloc(1, b.capacity);
	boot.flags = flags | (cvm->trace ? BOOT_FLAG_TRACE | BOOT_FLAG_LOG_UNKNOWN : 0) | (cvm->isolate_libos ? BOOT_FLAG_ISOLATED : 0) |
		     (cvm->init ? BOOT_FLAG_INIT : 0);
	boot.argc = (uint32_t)cvm->args.count;
	boot.argv = add_list(&b, &cvm->args);
	boot.envc = (uint32_t)cvm->env.count;
	boot.envp = add_list(&b, &cvm->env);
	boot.program = add_string(&b, cvm->program);
	boot.cwd = add_string(&b, cvm->cwd);
	boot.hostname = add_string(&b, cvm->hostname);
	if (cvm->syscalls_to) {
		char *call = xasprintf(SERVED_PREFIX "%s", cvm->name);

		boot.served_by = add_string(&b, cvm->syscalls_to);
		boot.served_call = add_string(&b, call);
		boot.served_ms = cvm->syscalls_timeout_ms;
		free(call);
	}
	boot.uid = cvm->uid;
	boot.gid = cvm->gid;
	boot.exec = exec;
	boot.ready = cvm->ready.listen ? add_string(&b, cvm->ready.listen) : 0;
	boot.grants = add_grants(&b, cvm, &boot.grant);
	boot.mounts = cvm->bare ? 0 : (uint32_t)list_mounts(cvm, volume_is_file, boot.grants, mounts);
	for (uint32_t i = 0; i < boot.mounts; i++)
		boot.mount[i] = (struct boot_mount){.type = mounts[i].type, .handle = mounts[i].handle,
						    .read_only = mounts[i].read_only, .path = add_string(&b, mounts[i].path)};
	boot.tmpfs_max = cvm->memory / 2;
	boot.handles_max = cvm->handles;
	if (b.used > BOOT_SIZE_MAX) {
		free(b.bytes);
		config_place(error, "%s", cvm->place);
		return config_fail(error, "arguments and environment are too long (at most 8 MiB)");
	}
	boot.size = (uint32_t)b.used;
	memcpy(b.bytes, &boot, sizeof(boot));
	*block = b.bytes;
	*size = b.used;
	return 0;
}
