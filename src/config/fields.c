/*
 * Setters of a cVM's fields: see fields.h. Called by the option parser (cli/options.c) and the YAML reader, which set
 * the error's place. A setter checks its own value; config_finish checks what fields mean together.
 */
#include "config/fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/share.h"
#include "config/value.h"

extern char **environ;

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* Setters of values that are checked by what they are alone. */
#define SETTER(field, check, ...)                                                                             \
	static int set_##field(struct config_cvm *cvm, const char *value, struct config_error *error)         \
	{                                                                                                     \
		return check(value, __VA_ARGS__, error);                                                      \
	}
#define FLAG_SETTER(field) SETTER(field, value_bool, &cvm->field)
#define NUMBER_SETTER(field, min, max) SETTER(field, value_number, min, max, &cvm->field)
#define SIZE_SETTER(field, min, max) SETTER(field, value_size, min, max, &cvm->field)
#define DURATION_SETTER(field) SETTER(field, value_duration, &cvm->field##_ms)

FLAG_SETTER(env_clear)
FLAG_SETTER(env_host)
FLAG_SETTER(trace)
FLAG_SETTER(isolate_libos)
FLAG_SETTER(init)
NUMBER_SETTER(threads, 1, CONFIG_THREADS_MAX)
NUMBER_SETTER(handles, 16, CONFIG_HANDLES_MAX)
NUMBER_SETTER(cpu_weight, 1, 10000)
NUMBER_SETTER(caps, 1, CAPS_MAX)
SIZE_SETTER(memory, CONFIG_MEMORY_MIN, CONFIG_MEMORY_MAX)
SIZE_SETTER(log_rate, 1024, 1ull << 40)
DURATION_SETTER(restart_delay)
DURATION_SETTER(stop_timeout)

static int set_name_of(char **name, const char *value, struct config_error *error)
{
	int ret = value_name(value, error);

	if (ret)
		return ret;
	free(*name);
	*name = xstrdup(value);
	return 0;
}

static int set_name(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	return set_name_of(&cvm->name, value, error);
}

static int set_root(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	if (!*value)
		return config_fail(error, "the directory is missing (use for example /srv/debian)");
	free(cvm->root);
	free(cvm->root_place);
	cvm->root = xstrdup(value);
	cvm->root_place = xstrdup(error->place);
	return 0;
}

int config_add_volume(struct config_cvm *cvm, const char *host, const char *guest, bool read_only,
		      struct config_error *error)
{
	char *path = NULL;

	if (!*host)
		return config_fail(error, "the host's path is missing (use HOST:GUEST or HOST:GUEST:ro)");
	int ret = value_guest_path(guest, &path, error);
	if (ret)
		return ret;
	if (strcmp(path, "/") == 0)
		ret = config_fail(error, "a volume cannot replace the cVM's root (use the root directory option)");
	else if (cvm->volumes == CONFIG_VOLUMES_MAX)
		ret = config_fail(error, "too many volumes (at most %u)", CONFIG_VOLUMES_MAX);
	if (ret) {
		free(path);
		return ret;
	}
	cvm->volume[cvm->volumes++] = (struct config_volume){
		.host = xstrdup(host), .guest = path, .read_only = read_only, .place = xstrdup(error->place)};
	return 0;
}

static int set_volume(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	bool read_only = false;
	char *host = xstrdup(value);
	char *guest = strchr(host, ':');
	int ret = -EINVAL;

	if (!guest) {
		ret = config_fail(error, "\"%.200s\" names no place inside the cVM (use HOST:GUEST or HOST:GUEST:ro)", value);
		goto out;
	}
	*guest++ = '\0';
	char *mode = strchr(guest, ':');
	if (mode) {
		*mode++ = '\0';
		if (strcmp(mode, "ro") == 0) {
			read_only = true;
		} else if (strcmp(mode, "rw") != 0) {
			ret = config_fail(error, "\"%.100s\" is not a mode (use ro or rw)", mode);
			goto out;
		}
	}
	ret = config_add_volume(cvm, host, guest, read_only, error);
out:
	free(host);
	return ret;
}

static int set_tmpfs(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	char *path = NULL;
	int ret = value_guest_path(value, &path, error);

	if (ret)
		return ret;
	if (strcmp(path, "/") == 0)
		ret = config_fail(error, "the cVM's root cannot be a tmpfs");
	else if (cvm->tmpfs.count == CONFIG_TMPFS_MAX)
		ret = config_fail(error, "too many tmpfs mounts (at most %u)", CONFIG_TMPFS_MAX);
	else
		strlist_add(&cvm->tmpfs, path);
	free(path);
	return ret;
}

void config_set_variable(struct strlist *list, const char *name, const char *value)
{
	size_t size = strlen(name);

	if (!value)
		value = getenv(name);
	if (!value)
		return;
	char *entry = xasprintf("%s=%s", name, value);
	for (size_t i = 0; i < list->count; i++) {
		if (strncmp(list->item[i], entry, size + 1) == 0) {
			free(list->item[i]);
			list->item[i] = entry;
			return;
		}
	}
	strlist_add(list, entry);
	free(entry);
}

int config_set_env(struct config_cvm *cvm, const char *name, const char *value, struct config_error *error)
{
	if (!*name || strchr(name, '='))
		return config_fail(error, "\"%.100s\" is not the name of a variable (use NAME=VALUE or NAME)", name);
	config_set_variable(&cvm->env, name, value);
	return 0;
}

static int set_env(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	char *name = xstrdup(value);
	char *equals = strchr(name, '=');

	if (equals)
		*equals = '\0';
	int ret = config_set_env(cvm, name, equals ? equals + 1 : NULL, error);
	free(name);
	return ret;
}

static int set_env_file(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	return config_read_env_file(cvm, value, error);
}

static int set_cwd(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	char *path = NULL;
	int ret = value_guest_path(value, &path, error);

	if (ret)
		return ret;
	free(cvm->cwd);
	cvm->cwd = path;
	return 0;
}

static int set_hostname(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	size_t size = strlen(value);

	if (size == 0 || size > 64 || strspn(value, NAME_CHARACTERS ".-") != size)
		return config_fail(error, "\"%.100s\" is not a host name (use 1 to 64 of A-Z a-z 0-9 . -)", value);
	free(cvm->hostname);
	cvm->hostname = xstrdup(value);
	return 0;
}

static int set_user(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	char *user = xstrdup(value);
	char *group = strchr(user, ':');
	struct config_error inner = {0};
	uint32_t uid = 0, gid = 0;

	if (group)
		*group++ = '\0';
	int ret = value_number(user, 0, INT32_MAX, &uid, &inner);
	if (ret == 0 && group)
		ret = value_number(group, 0, INT32_MAX, &gid, &inner);
	free(user);
	if (ret)
		return config_fail(error, "\"%.100s\" is not UID or UID:GID (numbers, for example 1000:1000)", value);
	cvm->has_user = true;
	cvm->uid = uid;
	cvm->gid = group ? gid : uid;
	return 0;
}

static int set_bind(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	return value_net_rule(value, LAUNCH_NET_BIND, cvm, error);
}

static int set_connect(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	return value_net_rule(value, LAUNCH_NET_CONNECT, cvm, error);
}

static int set_net(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	if (strcmp(value, "rules") == 0)
		cvm->net = CONFIG_NET_RULES;
	else if (strcmp(value, "none") == 0)
		cvm->net = CONFIG_NET_NONE;
	else if (strcmp(value, "any") == 0)
		cvm->net = CONFIG_NET_ANY;
	else
		return config_fail(error, "\"%.100s\" is not a network (use rules, none or any)", value);
	return 0;
}

static int set_program(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	if (!*value)
		return config_fail(error, "the program's name is empty");
	free(cvm->program);
	cvm->program = xstrdup(value);
	return 0;
}

static int add_arg(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	(void)error;
	strlist_add(&cvm->args, value);
	return 0;
}

static int set_runtime(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	cvm->bare = strcmp(value, "bare") == 0;
	if (cvm->bare || strcmp(value, "libos") == 0)
		return 0;
	return config_fail(error, "\"%.100s\" is not a runtime (use libos, or bare for a program of the host built with the SDK)",
			   value);
}

static int set_syscalls_to(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	return set_name_of(&cvm->syscalls_to, value, error);
}

static int set_syscalls_timeout(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	int ret = value_duration(value, &cvm->syscalls_timeout_ms, error);

	return ret || cvm->syscalls_timeout_ms ? ret : config_fail(error, "no system call is served in no time (use 500ms, 10s, 2m)");
}

static int add_after(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	int ret = value_name(value, error);

	if (ret)
		return ret;
	if (strlist_has(&cvm->after, value))
		return config_fail(error, "\"%.100s\" is given twice (once is enough)", value);
	strlist_add(&cvm->after, value);
	return 0;
}

static int set_ready(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	(void)cvm;
	return config_fail(error, "\"%.100s\" is not a condition (use a map, for example {port: 6379, timeout: 10s})", value);
}

/* "never", "on-failure", "always"; ":N" behind the last two limits how often. */
static int set_restart(struct config_cvm *cvm, const char *value, struct config_error *error)
{
	static const char *const words[] = {"never", "on-failure", "always"};
	size_t size = strcspn(value, ":");
	uint32_t max = UINT32_MAX;

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strlen(words[i]) != size || strncmp(value, words[i], size) != 0 || (i == 0 && value[size]))
			continue;
		int ret = value[size] ? value_number(value + size + 1, 1, 1000000, &max, error) : 0;
		if (ret)
			return ret;
		cvm->restart = (enum config_restart)i;
		cvm->restart_max = max;
		return 0;
	}
	return config_fail(error, "\"%.100s\" is not a restart policy (use never, on-failure, always, or on-failure:5 for at "
				  "most five times)", value);
}

const struct config_field g_config_fields[] = {
	{"name", "name", 0, CONFIG_SINGLE, "NAME", "name in messages (default: the program's)", set_name},
	{"root", "root", 0, CONFIG_SINGLE, "DIR",
	 "host directory that is /, read-only under a private in-memory layer (default: /)", set_root},
	{"volumes", "volume", 'v', CONFIG_LIST, "HOST:GUEST[:ro]", "grant a host directory or file", set_volume},
	{"tmpfs", "tmpfs", 0, CONFIG_LIST, "PATH", "mount an empty in-memory directory", set_tmpfs},
	{"env", "env", 'e', CONFIG_LIST, "NAME[=VALUE]", "set a variable, or pass the caller's", set_env},
	{NULL, "env-file", 0, CONFIG_LIST, "FILE", "set the variables of a file's lines NAME=VALUE; --env wins", set_env_file},
	{"env_clear", "env-clear", 0, CONFIG_FLAG, NULL, "no default variables (PATH, HOME, TERM, LANG, LC_*)", set_env_clear},
	{"env_host", "env-host", 0, CONFIG_FLAG, NULL, "pass all of the caller's variables", set_env_host},
	{"cwd", "workdir", 'w', CONFIG_SINGLE, "PATH", "working directory in the cVM (default: /)", set_cwd},
	{"user", "user", 'u', CONFIG_SINGLE, "UID[:GID]", "user the program believes to be (default: 0:0)", set_user},
	{"hostname", "hostname", 0, CONFIG_SINGLE, "NAME", "host name in the cVM (default: its name)", set_hostname},
	{"memory", "memory", 'm', CONFIG_SINGLE, "SIZE", "memory limit (default: all RAM that the host lets us use)", set_memory},
	{"threads", "threads", 0, CONFIG_SINGLE, "N", "thread limit (default: 256)", set_threads},
	{"handles", "handles", 0, CONFIG_SINGLE, "N", "limit of open files and sockets (default: 4096)", set_handles},
	{"cpu_weight", "cpu-weight", 0, CONFIG_SINGLE, "N", "1 to 10000 as in cgroup v2 (default: 100)", set_cpu_weight},
	{"bind", "bind", 'p', CONFIG_LIST, "[ADDR:]PORT[/udp]", "allow binding a port or a range", set_bind},
	{NULL, "publish", 0, CONFIG_LIST, "[ADDR:]PORT[/udp]", "same as --bind", set_bind},
	{"connect", "connect", 0, CONFIG_LIST, "ADDR[/N]:PORT[/udp]", "allow connecting there; *:* is anywhere (TCP)",
	 set_connect},
	{"net", "net", 0, CONFIG_SINGLE, "rules|none|any", "what --bind and --connect allow, nothing, or all", set_net},
	{"trace", "trace", 0, CONFIG_FLAG, NULL, "print the program's system calls", set_trace},
	{"log_rate", "log-rate", 0, CONFIG_SINGLE, "SIZE", "limit of trace and log text per second (default: 4M)",
	 set_log_rate},
	{"provides", "provide", 0, CONFIG_LIST, "KIND:NAME", "make a file, call or stream of this name for other cVMs",
	 config_provide},
	{"uses", "use", 0, CONFIG_LIST, "KIND:NAME[,rw,map]", "open what another cVM or the pod provides; NAME may end in *",
	 config_use},
	{"listen", "listen", 0, CONFIG_LIST, "PORT|unix:/PATH", "be reached there by other cVMs of this Intravisor", config_listen},
	{"reach", "reach", 0, CONFIG_LIST, "PORT|unix:/PATH", "connect there to another cVM of this Intravisor", config_reach},
	{"caps", "caps", 0, CONFIG_SINGLE, "N", "limit of capabilities (default: 1024)", set_caps},
	{"runtime", "runtime", 0, CONFIG_SINGLE, "libos|bare", "bare: PROGRAM is a host file built with the SDK, without libOS",
	 set_runtime},
	{"isolate_libos", "isolate-libos", 0, CONFIG_FLAG, NULL, "keep the program out of its own libOS (takes a second protection key)",
	 set_isolate_libos},
	{"init", "init", 0, CONFIG_FLAG, NULL, "orphaned processes leave no zombies to a program that does not wait for them", set_init},
	{"restart", "restart", 0, CONFIG_SINGLE, "never|on-failure|always[:N]", "start again when it ends (at most N times)",
	 set_restart},
	{"restart_delay", "restart-delay", 0, CONFIG_SINGLE, "TIME", "before the first restart; doubles each time (default: 100ms)",
	 set_restart_delay},
	{"stop_timeout", "stop-timeout", 0, CONFIG_SINGLE, "TIME", "from SIGTERM to SIGKILL of `intravisor stop` (default: 10s)",
	 set_stop_timeout},
	{"syscalls_to", NULL, 0, CONFIG_SINGLE, NULL, NULL, set_syscalls_to},
	{"syscalls_timeout", NULL, 0, CONFIG_SINGLE, NULL, NULL, set_syscalls_timeout},
	{"after", NULL, 0, CONFIG_LIST, NULL, NULL, add_after},
	{"ready", NULL, 0, CONFIG_SINGLE, NULL, NULL, set_ready},
	{"program", NULL, 0, CONFIG_SINGLE, NULL, NULL, set_program},
	{"args", NULL, 0, CONFIG_LIST, NULL, NULL, add_arg},
	{0},
};
