/*
 * A YAML file as a small tree with line numbers. Only what a configuration needs: no anchors, aliases, tags or second
 * documents, so that a small file cannot become a large tree.
 */
#ifndef CONFIG_YAML_TREE_H
#define CONFIG_YAML_TREE_H

#include <stddef.h>

#include "config/error.h"

#define YAML_FILE_MAX (1u << 20)
#define YAML_DEPTH_MAX 8u
#define YAML_KEYS_MAX 1024u /* of one map: each is compared with all before */

enum yaml_kind { YAML_SCALAR = 1, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	unsigned line; /* 1.. */
	char *text;    /* scalar: never a null pointer, no NUL inside */
	bool quoted;   /* scalar: "null" and null differ */
	size_t count;  /* list items or map pairs */
	struct yaml_node **item;
	struct yaml_node **key; /* map: the scalar keys of item[], all different */
};

/* Reads and parses; on success *root is owned by the caller. -EINVAL with the error set (places are lines). */
__attribute__((warn_unused_result)) int yaml_tree_read(const char *path, struct yaml_node **root,
							struct config_error *error);
void yaml_tree_free(struct yaml_node *node);

/* null, ~ or nothing at all. */
bool yaml_is_null(const struct yaml_node *node);

#endif
