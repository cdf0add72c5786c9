/*
 * libFuzzer target for everything that reads a user's configuration: the first byte says whether the rest is a YAML file
 * or the options of `intravisor run`, one a line. What is accepted keeps the promises of config/config.h and becomes boot
 * information whose every offset lies inside; what is not gives one error that names its place.
 *
 * src/config, src/cli/options.c, boot_build.c and message.c, libyaml.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/boot.h"
#include "cli/boot_build.h"
#include "cli/message.h"
#include "cli/options.h"
#include "config/config.h"

#define ARGUMENTS_MAX 64
#define SAY(condition)                                                                                                 \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);                                \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool in_range(uint64_t value, uint64_t min, uint64_t max)
{
	return value >= min && value <= max;
}

static void check_paths(const struct config_cvm *c)
{
	SAY(!c->bare || (!c->volumes && !c->tmpfs.count && !c->net_rules));
	SAY(c->cwd[0] == '/' && c->root[0] && c->program[0] && c->args.count >= 1 && c->hostname[0]);
	for (uint32_t i = 0; i < c->volumes; i++)
		SAY(c->volume[i].host[0] && c->volume[i].guest[0] == '/' && c->volume[i].guest[1] && !strstr(c->volume[i].guest, "/../"));
	for (size_t i = 0; i < c->tmpfs.count; i++)
		SAY(c->tmpfs.item[i][0] == '/' && c->tmpfs.item[i][1]);
	for (size_t i = 0; i < c->env.count; i++)
		SAY(strchr(c->env.item[i], '=') != NULL && c->env.item[i][0] != '=');
}

static void check_rules(const struct config_cvm *c)
{
	SAY(c->net_rules <= LAUNCH_NET_RULES_MAX);
	for (uint32_t i = 0; i < c->net_rules; i++) {
		const struct launch_net_rule *r = &c->net_rule[i];
		SAY(r->action == LAUNCH_NET_BIND || r->action == LAUNCH_NET_CONNECT);
		SAY(r->protocol == IPPROTO_TCP || r->protocol == IPPROTO_UDP);
		SAY(r->port_first <= r->port_last && (r->family == AF_INET || r->family == AF_INET6));
		SAY(r->prefix <= (r->family == AF_INET ? 32 : 128));
	}
}

static bool is_name(const char *name, bool pattern)
{
	size_t size = strnlen(name, CAP_NAME_MAX);
	bool star = pattern && size && name[size - 1] == '*';

	return in_range(size, 1, CAP_NAME_MAX - 1) && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:@-") + star == size;
}

static void check_shared(const struct config *config, const struct config_cvm *c)
{
	SAY(c->grants <= LAUNCH_GRANTS_MAX && in_range(c->caps, 1, CAPS_MAX));
	for (uint32_t i = 0; i < c->grants; i++) {
		const struct launch_grant *g = &c->grant[i];
		SAY(g->kind == CAP_MEMORY || g->kind == CAP_CALL || g->kind == CAP_CONNECT);
		SAY(g->roles == LAUNCH_GRANT_USE || g->roles == LAUNCH_GRANT_PROVIDE);
		SAY(g->perms && !(g->perms & ~CAP_ALL) && is_name(g->name, true));
		/* Who uses gets no more than was asked for: what a file is not for stays out. */
		SAY(g->roles == LAUNCH_GRANT_PROVIDE || (g->kind == CAP_MEMORY) == !(g->perms & CAP_USE));
	}
	for (size_t i = 0; i < c->after.count; i++) {
		bool there = false;
		for (uint32_t j = 0; j < config->cvms; j++)
			there |= config->cvm[j] != c && strcmp(config->cvm[j]->name, c->after.item[i]) == 0;
		SAY(there);
	}
	SAY(!!c->ready.listen + !!c->ready.file + c->ready.exit <= 1 && c->ready.status <= 255);
}

static void check_files(const struct config *config)
{
	SAY(config->files <= LAUNCH_FILES_MAX);
	for (uint32_t i = 0; i < config->files; i++) {
		const struct config_file *f = &config->file[i];
		SAY(is_name(f->name, false) && f->size <= CONFIG_MEMORY_MAX && !(f->data && f->host));
		SAY(f->size || f->host || f->data[0]);
		SAY(!f->size || !f->data || strlen(f->data) <= f->size);
	}
}

static void check_strings(const char *block, uint32_t size, uint32_t at, uint32_t count)
{
	for (; count; count--) {
		SAY(at < size && memchr(block + at, 0, size - at) != NULL);
		at += (uint32_t)strlen(block + at) + 1;
	}
}

static void check_boot(const struct config_cvm *c)
{
	bool is_file[CONFIG_VOLUMES_MAX] = { false };
	struct config_error error = { 0 };
	void *block;
	size_t size;

	if (boot_build(c, is_file, 0, false, &block, &size, &error) != 0) {
		SAY(error.failed);
		return;
	}
	const struct libos_boot *b = block;
	SAY(b->magic == BOOT_MAGIC && b->size == size && b->mounts <= BOOT_MOUNTS_MAX && c->bare == !b->mounts);
	check_strings(block, b->size, b->argv, b->argc);
	check_strings(block, b->size, b->envp, b->envc);
	check_strings(block, b->size, b->program, 1);
	check_strings(block, b->size, b->cwd, 1);
	check_strings(block, b->size, b->hostname, 1);
	SAY(c->bare || strcmp((const char *)block + b->mount[0].path, "/") == 0);
	for (uint32_t i = 0; i < b->mounts; i++) {
		check_strings(block, b->size, b->mount[i].path, 1);
		SAY(b->mount[i].handle < BOOT_HANDLE_VOLUMES + CONFIG_VOLUMES_MAX);
	}
	free(block);
}

static void check_config(const struct config *config)
{
	SAY(config->cvms >= 1 && config->cvms <= LAUNCH_CVMS_MAX);
	check_files(config);
	for (uint32_t i = 0; i < config->cvms; i++) {
		const struct config_cvm *c = config->cvm[i];
		SAY(in_range(strlen(c->name), 1, LAUNCH_NAME_MAX - 1));
		SAY(strspn(c->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == strlen(c->name));
		SAY(in_range(c->memory, CONFIG_MEMORY_MIN, CONFIG_MEMORY_MAX) && in_range(c->threads, 1, CONFIG_THREADS_MAX));
		SAY(in_range(c->handles, 16, CONFIG_HANDLES_MAX) && in_range(c->cpu_weight, 1, 10000) && c->log_rate >= 1024);
		SAY(c->volumes <= CONFIG_VOLUMES_MAX && c->tmpfs.count <= CONFIG_TMPFS_MAX);
		check_paths(c);
		check_rules(c);
		check_shared(config, c);
		check_boot(c);
	}
}

static int read_yaml(const uint8_t *data, size_t size, struct config *config, struct config_error *error)
{
	static char path[32];
	static int file = -1;

	if (file < 0) {
		file = memfd_create("yaml", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	}
	SAY(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
	return config_read_yaml(path, config, error);
}

static int read_options(const uint8_t *data, size_t size, struct run_options *options, struct config *config,
			struct config_error *error, char *text)
{
	char *arguments[ARGUMENTS_MAX + 1] = { NULL };
	size_t count = 0;

	memcpy(text, data, size);
	text[size] = 0;
	for (char *at = text; at && count < ARGUMENTS_MAX;) {
		char *end = strchr(at, '\n');
		arguments[count++] = at;
		if (end)
			*end++ = 0;
		at = end;
	}
	return options_parse(arguments, options, config, error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run_options options = { 0 };
	struct config_error error = { 0 };
	struct config config = { 0 };
	char *text;
	int ret;

	if (size == 0)
		return 0;
	text = malloc(size);
	if (data[0] & 1)
		ret = read_options(data + 1, size - 1, &options, &config, &error, text);
	else
		ret = read_yaml(data + 1, size - 1, &config, &error);
	if (ret == 0 && !options.help && !options.yaml)
		ret = config_finish(&config, &error);
	SAY(ret == 0 || ret == -EINVAL);
	SAY(error.failed == (ret != 0));
	SAY(ret == 0 || (strstr(error.text, ": ") != NULL && strlen(error.text) < sizeof(error.text)));
	if (ret == 0 && !options.help && !options.yaml)
		check_config(&config);
	config_free(&config);
	free(text);
	return 0;
}
