/*
 * What is to be run: the result of parsing options or a YAML file, before anything is opened.
 *
 * Filled by cli/options.c and config/yaml_config.c through the setters of config/fields.c, completed by config_finish
 * (defaults, rules that concern several fields), turned into abi/launch.h by cli/launch_build.c. Strings are owned.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/launch.h"
#include "config/error.h"
#include "config/list.h"

#define CONFIG_MEMORY_MIN (8ull << 20)
#define CONFIG_MEMORY_MAX (48ull << 30) /* what a slot has room for beside the program's windows */
#define CONFIG_THREADS_DEFAULT 256u
#define CONFIG_THREADS_MAX 1024u
#define CONFIG_HANDLES_DEFAULT 4096u
#define CONFIG_HANDLES_MAX 16384u
#define CONFIG_CAPS_DEFAULT 1024u
#define CONFIG_LOG_RATE_DEFAULT (4ull << 20)
#define CONFIG_CPU_WEIGHT_DEFAULT 100u
#define CONFIG_TMPFS_MAX 16u
#define CONFIG_VOLUMES_MAX 24u
#define CONFIG_READY_TIMEOUT_DEFAULT 60000u /* ms */
#define CONFIG_STOP_TIMEOUT_DEFAULT 10000u
#define CONFIG_SYSCALLS_TIMEOUT_DEFAULT 10000u
#define CONFIG_RESTART_DELAY_DEFAULT 100u

enum config_net {
	CONFIG_NET_RULES = 0, /* what bind and connect grant; nothing by default */
	CONFIG_NET_NONE,      /* nothing; bind and connect are errors */
	CONFIG_NET_ANY,	      /* every address and port */
};

struct config_volume {
	char *host, *guest; /* guest: normalised absolute path */
	bool read_only;
	char *place; /* for messages about the host path */
};

/* Initial bytes of a CP_File: `data` or the host's file; zeros up to the size. */
struct config_file {
	char *place; /* for messages */
	char *name;
	uint64_t size; /* 0: that of its content */
	char *data, *host;
};

/* When those that come after this cVM may start: at once if nothing is set. */
struct config_ready {
	char *listen;  /* its program listens on this port or Unix path, as capabilities name it: "tcp/6379", "unix/run/app.sock" */
	char *file;    /* exists on the host */
	bool exit;     /* the cVM has ended with this status */
	uint32_t status;
	uint32_t timeout_ms;
};

enum config_restart { CONFIG_RESTART_NEVER = 0, CONFIG_RESTART_ON_FAILURE, CONFIG_RESTART_ALWAYS };

struct config_cvm {
	char *place; /* where it is described: "pod.yaml:3: cVMs[0]", or "" for options */
	char *name;
	char *root, *root_place;
	char *program;	     /* guest path or bare name */
	struct strlist args; /* argv[0] first once config_finish has run */
	struct strlist env;  /* "K=V" */
	struct strlist env_files; /* the same of --env-file, until config_join_env */
	bool env_clear, env_host;
	char *cwd, *hostname;
	bool has_user;
	uint32_t uid, gid;
	uint64_t memory; /* bytes, 0: the host's RAM */
	uint64_t log_rate;
	uint32_t threads, handles, cpu_weight;
	bool trace;
	uint32_t volumes;
	struct config_volume volume[CONFIG_VOLUMES_MAX];
	struct strlist tmpfs; /* guest paths */
	enum config_net net;
	uint32_t net_rules;
	struct launch_net_rule net_rule[LAUNCH_NET_RULES_MAX];
	bool bare; /* no libOS: `program` is a host path */
	bool isolate_libos;
	bool init; /* the libOS reaps orphans */
	char *syscalls_to; /* name of the cVM that serves its system calls, or a null pointer */
	uint32_t syscalls_timeout_ms; /* 0: not given, until config_finish */
	uint32_t caps;
	uint32_t grants;
	struct launch_grant grant[LAUNCH_GRANTS_MAX];
	char *grant_place[LAUNCH_GRANTS_MAX];
	struct strlist after; /* names of cVMs that must be ready before this one starts */
	struct config_ready ready;
	enum config_restart restart;
	uint32_t restart_max; /* times in all; UINT32_MAX: no limit */
	uint32_t restart_delay_ms, stop_timeout_ms;
};

struct config {
	char *name;   /* of the pod; a null pointer: has none */
	bool stay;    /* the monitor waits for orders when no cVM runs */
	bool controlled; /* there is a control socket */
	bool detached;	 /* the command goes to the background when the programs have been loaded */
	bool job;	 /* the only cVM's program has the command's terminal: the command stops when it does */
	bool capture; /* the programs' output is kept for `intravisor logs` instead of inherited */
	uint32_t files;
	struct config_file file[LAUNCH_FILES_MAX];
	uint32_t cvms;
	struct config_cvm *cvm[LAUNCH_CVMS_MAX];
};

/* A new cVM at the end of the list, or a null pointer when there are LAUNCH_CVMS_MAX. `place` is copied. */
struct config_cvm *config_add_cvm(struct config *config, const char *place);
void config_free(struct config *config);

/* Reads a YAML file ("-": standard input) into an empty configuration. 0, or -EINVAL with the error set. */
__attribute__((warn_unused_result)) int config_read_yaml(const char *path, struct config *config,
							  struct config_error *error);

/* Puts env_files into env, which wins. */
void config_join_env(struct config_cvm *cvm);

/* Fills in defaults and checks what concerns more than one field or cVM. 0, or -EINVAL with the error set. */
__attribute__((warn_unused_result)) int config_finish(struct config *config, struct config_error *error);

#endif
