/*
 * Configurations as a whole: creation, defaults, and the rules that concern more than one field or cVM. Called by
 * cli/run.c after options or YAML were read. Trusts that single values were checked by their setters.
 */
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/ram.h"
#include "config/share.h"
#include "config/value.h"

extern char **environ;

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct config_cvm *config_add_cvm(struct config *config, const char *place)
{
	if (config->cvms == LAUNCH_CVMS_MAX)
		return NULL;
	struct config_cvm *cvm = xcalloc(1, sizeof(*cvm));

	cvm->place = xstrdup(place);
	cvm->caps = CONFIG_CAPS_DEFAULT;
	cvm->ready.timeout_ms = CONFIG_READY_TIMEOUT_DEFAULT;
	cvm->restart_delay_ms = CONFIG_RESTART_DELAY_DEFAULT;
	cvm->stop_timeout_ms = CONFIG_STOP_TIMEOUT_DEFAULT;
	config->cvm[config->cvms++] = cvm;
	return cvm;
}

static void free_cvm(struct config_cvm *cvm)
{
	free(cvm->place);
	free(cvm->name);
	free(cvm->root);
	free(cvm->root_place);
	free(cvm->program);
	free(cvm->cwd);
	free(cvm->hostname);
	free(cvm->syscalls_to);
	strlist_free(&cvm->args);
	strlist_free(&cvm->env);
	strlist_free(&cvm->env_files);
	strlist_free(&cvm->tmpfs);
	for (uint32_t i = 0; i < cvm->volumes; i++) {
		free(cvm->volume[i].host);
		free(cvm->volume[i].guest);
		free(cvm->volume[i].place);
	}
	for (uint32_t i = 0; i < cvm->grants; i++)
		free(cvm->grant_place[i]);
	strlist_free(&cvm->after);
	free(cvm->ready.listen);
	free(cvm->ready.file);
	free(cvm);
}

void config_free(struct config *config)
{
	for (uint32_t i = 0; i < config->cvms; i++)
		free_cvm(config->cvm[i]);
	for (uint32_t i = 0; i < config->files; i++) {
		free(config->file[i].place);
		free(config->file[i].name);
		free(config->file[i].data);
		free(config->file[i].host);
	}
	free(config->name);
	*config = (struct config){0};
}

static bool env_has(const struct config_cvm *cvm, const char *entry)
{
	size_t size = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < cvm->env.count; i++)
		if (strncmp(cvm->env.item[i], entry, size) == 0)
			return true;
	return false;
}

static void env_default(struct config_cvm *cvm, size_t *at, const char *entry)
{
	if (!env_has(cvm, entry))
		strlist_insert(&cvm->env, (*at)++, entry);
}

void config_join_env(struct config_cvm *cvm)
{
	size_t at = 0;

	for (size_t i = 0; i < cvm->env_files.count; i++)
		env_default(cvm, &at, cvm->env_files.item[i]);
	strlist_free(&cvm->env_files);
}

/* What was set by name wins over what files say, over what is passed from the caller, over the defaults. */
static void finish_env(struct config_cvm *cvm)
{
	size_t at = 0;

	config_join_env(cvm);
	for (char **e = environ; *e; e++) {
		bool locale = strncmp(*e, "LANG=", 5) == 0 || strncmp(*e, "LC_", 3) == 0 || strncmp(*e, "TERM=", 5) == 0;

		if (strchr(*e, '=') && (cvm->env_host || (locale && !cvm->env_clear)))
			env_default(cvm, &at, *e);
	}
	if (cvm->env_clear)
		return;
	env_default(cvm, &at, DEFAULT_PATH);
	env_default(cvm, &at, cvm->uid == 0 ? "HOME=/root" : "HOME=/");
}

static void finish_name(struct config_cvm *cvm, uint32_t index)
{
	const char *slash = strrchr(cvm->program, '/');
	const char *base = slash ? slash + 1 : cvm->program;
	struct config_error ignored = {0};

	cvm->name = value_name(base, &ignored) ? xasprintf("cvm%u", index) : xstrdup(base);
}

static int finish_program(struct config_cvm *cvm, struct config_error *error)
{
	if (cvm->program) {
		strlist_insert(&cvm->args, 0, cvm->program);
		return 0;
	}
	if (cvm->args.count == 0)
		return config_fail(error, "no program (give program: /path, or args: [program, argument, ...])");
	if (!cvm->args.item[0][0])
		return config_fail(error, "the program's name is empty");
	cvm->program = xstrdup(cvm->args.item[0]);
	return 0;
}

/* One guest path can be one mount only. */
static int check_mounts(struct config_cvm *cvm, struct config_error *error)
{
	for (uint32_t i = 0; i < cvm->volumes; i++) {
		const char *guest = cvm->volume[i].guest;

		for (uint32_t j = 0; j < i; j++)
			if (strcmp(guest, cvm->volume[j].guest) == 0)
				return config_fail(error, "two volumes are mounted on %.200s (remove one)", guest);
		if (strlist_has(&cvm->tmpfs, guest))
			return config_fail(error, "a volume and a tmpfs are mounted on %.200s (remove one)", guest);
	}
	for (size_t i = 0; i < cvm->tmpfs.count; i++)
		if (strlist_find(&cvm->tmpfs, cvm->tmpfs.item[i]) < i)
			return config_fail(error, "two tmpfs are mounted on %.200s (remove one)", cvm->tmpfs.item[i]);
	return 0;
}

/* A bare cVM has memory and capabilities only. */
static int check_bare(const struct config_cvm *cvm, struct config_error *error)
{
	const struct {
		bool given;
		const char *what;
	} parts[] = {
		{cvm->root, "root"}, {cvm->volumes, "volumes"}, {cvm->tmpfs.count, "tmpfs"}, {cvm->cwd, "cwd"},
		{cvm->has_user, "user"}, {cvm->net_rules || cvm->net == CONFIG_NET_ANY, "bind, connect or net"}, {cvm->trace, "trace"},
		{cvm->isolate_libos, "isolate_libos"}, {cvm->syscalls_to, "syscalls_to"}, {cvm->init, "init"},
	};

	for (size_t i = 0; cvm->bare && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].given)
			return config_fail(error, "a bare cVM has no libOS, so %s means nothing there (leave it out)", parts[i].what);
	return 0;
}

static int finish_cvm(struct config_cvm *cvm, uint32_t index, struct config_error *error)
{
	config_place(error, "%s", cvm->place);
	int ret = finish_program(cvm, error);
	if (ret)
		return ret;
	ret = check_bare(cvm, error);
	if (ret)
		return ret;
	if (!cvm->name)
		finish_name(cvm, index);
	if (!cvm->hostname)
		cvm->hostname = xstrdup(cvm->name);
	if (!cvm->root)
		cvm->root = xstrdup("/");
	if (!cvm->cwd)
		cvm->cwd = xstrdup("/");
	if (!cvm->threads)
		cvm->threads = CONFIG_THREADS_DEFAULT;
	if (!cvm->handles)
		cvm->handles = CONFIG_HANDLES_DEFAULT;
	if (cvm->syscalls_timeout_ms && !cvm->syscalls_to)
		return config_fail(error, "syscalls_timeout belongs to syscalls_to (leave it out, or name the cVM that serves its system calls)");
	if (cvm->syscalls_to && cvm->init)
		return config_fail(error, "a cVM with syscalls_to has one process, so init means nothing there (leave it out)");
	if (!cvm->syscalls_timeout_ms)
		cvm->syscalls_timeout_ms = CONFIG_SYSCALLS_TIMEOUT_DEFAULT;
	if (!cvm->log_rate)
		cvm->log_rate = CONFIG_LOG_RATE_DEFAULT;
	if (!cvm->cpu_weight)
		cvm->cpu_weight = CONFIG_CPU_WEIGHT_DEFAULT;
	if (!cvm->memory) {
		uint64_t ram = ram_size();

		cvm->memory = ram < CONFIG_MEMORY_MAX ? ram : CONFIG_MEMORY_MAX;
	}
	finish_env(cvm);
	ret = check_mounts(cvm, error);
	if (ret)
		return ret;
	if (cvm->net == CONFIG_NET_NONE && cvm->net_rules)
		return config_fail(error, "net is none but ports or addresses are granted (remove one or the other)");
	if (cvm->net == CONFIG_NET_ANY && cvm->net_rules)
		return config_fail(error, "net is any, so ports and addresses need no grant (remove one or the other)");
	return cvm->net == CONFIG_NET_ANY ? value_net_any(cvm, error) : 0;
}

static struct config_cvm *find_cvm(const struct config *config, const char *name)
{
	for (uint32_t i = 0; i < config->cvms; i++)
		if (strcmp(config->cvm[i]->name, name) == 0)
			return config->cvm[i];
	return NULL;
}

/* Is there a way from `cvm` back to `start`? Each cVM is looked at once. */
static bool comes_after(const struct config *config, const struct config_cvm *cvm, const struct config_cvm *start,
			bool *seen)
{
	for (size_t i = 0; i < cvm->after.count; i++) {
		const struct config_cvm *next = find_cvm(config, cvm->after.item[i]);
		uint32_t index = 0;

		while (config->cvm[index] != next)
			index++;
		if (next == start)
			return true;
		if (seen[index])
			continue;
		seen[index] = true;
		if (comes_after(config, next, start, seen))
			return true;
	}
	return false;
}

/* What syscalls_to says: the server comes first, and both get the grants they need. */
static int finish_served(const struct config *config, struct config_cvm *cvm, struct config_error *error)
{
	struct config_cvm *server = find_cvm(config, cvm->syscalls_to);
	uint32_t far = 0;

	if (!server)
		return config_fail(error, "its system calls go to \"%s\", but no cVM has this name", cvm->syscalls_to);
	if (server == cvm)
		return config_fail(error, "its system calls go to itself (syscalls_to names another cVM)");
	for (const struct config_cvm *c = server; c && c->syscalls_to && far < config->cvms; far++)
		c = find_cvm(config, c->syscalls_to);
	if (far == config->cvms)
		return config_fail(error, "its system calls never arrive (the names under syscalls_to go round in a circle)");
	if (server->ready.exit)
		return config_fail(error, "its system calls go to \"%s\", which is ready when it has ended (leave out its ready: exit)",
				   server->name);
	if (!strlist_has(&cvm->after, server->name))
		strlist_add(&cvm->after, server->name);
	return config_grant_served(config, cvm, server, error);
}

static int check_order(const struct config *config, struct config_error *error)
{
	for (uint32_t i = 0; i < config->cvms; i++) {
		const struct config_cvm *cvm = config->cvm[i];

		config_place(error, "%s", cvm->place);
		for (size_t j = 0; j < cvm->after.count; j++)
			if (!find_cvm(config, cvm->after.item[j]))
				return config_fail(error, "it starts after \"%s\", but no cVM has this name", cvm->after.item[j]);
		int ret = config_check_ready(cvm, error);
		if (ret)
			return ret;
		if (cvm->ready.exit && cvm->restart == CONFIG_RESTART_ALWAYS)
			return config_fail(error, "it is ready when it has ended, but restart is always (use on-failure)");
	}
	for (uint32_t i = 0; i < config->cvms; i++) {
		bool seen[LAUNCH_CVMS_MAX] = {0};

		config_place(error, "%s", config->cvm[i]->place);
		if (comes_after(config, config->cvm[i], config->cvm[i], seen))
			return config_fail(error, "it starts after itself (the names under after go round in a circle)");
	}
	return 0;
}

/* Each takes a protection key, an isolated libOS another. */
static int check_keys(const struct config *config, struct config_error *error)
{
	uint32_t keys = config->cvms;

	for (uint32_t i = 0; i < config->cvms; i++) {
		if (!config->cvm[i]->isolate_libos)
			continue;
		config_place(error, "%s", config->cvm[i]->place);
		keys++;
	}
	return keys <= LAUNCH_CVMS_MAX ? 0 :
		config_fail(error, "%u cVMs, %u of them with isolate_libos, need %u protection keys of %d (isolate fewer, or run two pods)",
			    config->cvms, keys - config->cvms, keys, LAUNCH_CVMS_MAX);
}

int config_finish(struct config *config, struct config_error *error)
{
	for (uint32_t i = 0; i < config->cvms; i++) {
		int ret = finish_cvm(config->cvm[i], i, error);
		if (ret)
			return ret;
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(config->cvm[i]->name, config->cvm[j]->name) == 0)
				return config_fail(error, "the name \"%s\" is used twice (give each cVM its own)",
						   config->cvm[i]->name);
	}
	int ret = 0;
	for (uint32_t i = 0; ret == 0 && i < config->cvms; i++) {
		config_place(error, "%s", config->cvm[i]->place);
		if (config->cvm[i]->syscalls_to)
			ret = finish_served(config, config->cvm[i], error);
	}
	if (!ret)
		ret = check_order(config, error);
	if (!ret)
		ret = check_keys(config, error);
	if (!ret)
		ret = config_check_uses(config, error);
	return ret ? ret : config_grant_own_ports(config, error);
}
