/*
 * The parts of a configuration file that are maps of their own: volumes, grants, conditions, and what is said about the
 * pod beside its cVMs. For yaml_config.c only.
 */
#ifndef CONFIG_YAML_POD_H
#define CONFIG_YAML_POD_H

#include "config/config.h"
#include "config/yaml_tree.h"

struct yaml_context {
	const char *path; /* the file, as in messages */
	char *directory;  /* of the file, with a trailing slash; "" for the current one */
	uint32_t index;	  /* of the cVM */
	struct config_error *error;
};

/* "pod.yaml:7: cVMs[0].memory", "pod.yaml:7: cVMs[0].args[1]" */
void yaml_place(struct yaml_context *c, const struct yaml_node *node, const char *key);
void yaml_place_item(struct yaml_context *c, const struct yaml_node *node, const char *key, size_t i);

/* A relative host path in the file is relative to the file. A new string. */
char *yaml_host_path(const struct yaml_context *c, const char *path);

/* What reads an item of the list `key` that is a map, or a null pointer if none may be. */
typedef int yaml_map_setter_fn(struct yaml_context *c, struct config_cvm *cvm, const struct yaml_node *node);
yaml_map_setter_fn *yaml_map_setter(const char *key);

int yaml_set_ready(struct yaml_context *c, struct config_cvm *cvm, const struct yaml_node *node);

/* name, logs, files; anything else is an error. */
int yaml_read_pod_key(struct yaml_context *c, const struct yaml_node *key, const struct yaml_node *item,
		      struct config *config);

#endif
