/*
 * Directories of an overlay's lower side that are kept open for a moment (fs/dir_cache.h). A path below the mount costs the host an
 * openat2, a statx and a close, and grows with its depth; a name in a directory that is open already costs one statx. A
 * directory is opened when it is asked about for the second time and at most CACHE_MS old, as names are.
 */
#include "fs/dir_cache.h"
#include "core/boot.h"
#include "core/hostcall.h"
#include "fs/handle_cache.h"

#define CACHED 8u
#define CACHED_PATH 256u

struct cached_dir {
	char path[CACHED_PATH];
	uint32_t size; /* of path; 0: unused */
	int root;      /* the handle that path starts at */
	int handle;    /* -1: seen once, or being opened */
	uint32_t users;
	uint64_t since_ms, used; /* when it was opened; order of use */
};

static struct mutex g_lock; /* everything below */
static struct cached_dir g_cached[CACHED];
static uint64_t g_uses;

/* The handle leaves the table: to be closed by the caller, without the lock. */
static int take_handle(struct cached_dir *k)
{
	int handle = k->handle;

	k->handle = -1;
	return handle;
}

static struct cached_dir *find(int root, const char *path, size_t size)
{
	for (struct cached_dir *k = g_cached; k < g_cached + CACHED; k++)
		if (k->size == size && k->root == root && memcmp(k->path, path, size) == 0)
			return k;
	return NULL;
}

/* Makes the least used entry that of a directory which is asked about for the first time. Returns a handle to close or -1. */
static int note(int root, const char *path, size_t size)
{
	struct cached_dir *oldest = NULL;

	for (struct cached_dir *k = g_cached; k < g_cached + CACHED; k++)
		if (!k->users && (!oldest || k->used < oldest->used))
			oldest = k;
	if (!oldest)
		return -1;
	int handle = oldest->size ? take_handle(oldest) : -1;
	memcpy(oldest->path, path, size);
	oldest->size = (uint32_t)size;
	oldest->root = root;
	oldest->handle = -1;
	oldest->used = ++g_uses;
	return handle;
}

/* With one user more and a handle, or NULL. */
static struct cached_dir *dir_cache_get(int root, const char *path, size_t size)
{
	struct cached_dir *k;
	int old = -1;
	bool open = false;

	if (!boot_handles_to_spare() || !size || size > CACHED_PATH)
		return NULL;
	uint64_t now = cache_now_ms();
	mutex_lock(&g_lock);
	k = find(root, path, size);
	if (!k) {
		old = note(root, path, size);
	} else if (k->users) {
		k = k->handle >= 0 && now - k->since_ms < CACHE_MS ? k : NULL;
	} else {
		if (k->handle >= 0 && now - k->since_ms >= CACHE_MS)
			old = take_handle(k);
		open = k->handle < 0;
	}
	if (k) {
		k->users++;
		k->used = ++g_uses;
	}
	mutex_unlock(&g_lock);
	handle_close(old);
	if (!open)
		return k;
	long h = hostcall(HC_file_open, root, path, size, O_PATH | O_DIRECTORY, 0);
	mutex_lock(&g_lock);
	k->handle = h < 0 ? -1 : (int)h;
	k->since_ms = now;
	if (h < 0)
		k->users--;
	mutex_unlock(&g_lock);
	return h < 0 ? NULL : k;
}

static void dir_cache_put(struct cached_dir *k)
{
	if (!k)
		return;
	mutex_lock(&g_lock);
	k->users--;
	mutex_unlock(&g_lock);
}

bool dir_cache_drop(void)
{
	bool any = handle_cache_drop();

	for (struct cached_dir *k = g_cached; k < g_cached + CACHED; k++) {
		mutex_lock(&g_lock);
		int handle = k->users || !k->size ? -1 : take_handle(k);
		mutex_unlock(&g_lock);
		handle_close(handle);
		any = any || handle >= 0;
	}
	return any;
}

/* Where the name at the end of path begins. */
static size_t name_at(const char *path, size_t size)
{
	while (size && path[size - 1] != '/')
		size--;
	return size;
}

long dir_cache_stat(int root, const char *path, size_t size, unsigned mask, struct statx *st)
{
	size_t at = name_at(path, size);
	struct cached_dir *k = at > 1 ? dir_cache_get(root, path, at - 1) : NULL;
	long err;

	if (!k)
		return hostcall(HC_file_stat, root, path, size, mask, st);
	err = hostcall(HC_file_stat, k->handle, path + at, size - at, mask, st);
	dir_cache_put(k);
	return err;
}

long dir_cache_open(int root, const char *path, size_t size, unsigned flags)
{
	size_t at = name_at(path, size);
	struct cached_dir *k = at > 1 ? dir_cache_get(root, path, at - 1) : NULL;
	long h;

	if (k)
		h = hostcall(HC_file_open, k->handle, path + at, size - at, flags, 0);
	else
		h = hostcall(HC_file_open, root, path, size, flags, 0);
	dir_cache_put(k);
	if (h == -EMFILE && dir_cache_drop())
		h = hostcall(HC_file_open, root, path, size, flags, 0);
	return h;
}
