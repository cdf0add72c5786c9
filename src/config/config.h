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

struct config_cvm {
	char *place; /* where it is described: "pod.yaml:3: cVMs[0]", or "" for options */
	char *name;
	char *root, *root_place;
	char *program;	     /* guest path or bare name */
	struct strlist args; /* argv[0] first once config_finish has run */
	struct strlist env;  /* "K=V" */
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
};

struct config {
	uint32_t cvms;
	struct config_cvm *cvm[LAUNCH_CVMS_MAX];
};

/* A new cVM at the end of the list, or a null pointer when there are LAUNCH_CVMS_MAX. `place` is copied. */
struct config_cvm *config_add_cvm(struct config *config, const char *place);
void config_free(struct config *config);

/* Reads a YAML file ("-": standard input) into an empty configuration. 0, or -EINVAL with the error set. */
__attribute__((warn_unused_result)) int config_read_yaml(const char *path, struct config *config,
							  struct config_error *error);

/* Fills in defaults and checks what concerns more than one field or cVM. 0, or -EINVAL with the error set. */
__attribute__((warn_unused_result)) int config_finish(struct config *config, struct config_error *error);

#endif
