/*
 * From the YAML tree to a configuration: `cVMs:` is a list of maps whose keys are those of fields.c; env may be a map
 * and volumes may be maps. Called by cli/run.c through config_read_yaml. Relative host paths are relative to the file.
 */
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/fields.h"
#include "config/value.h"
#include "config/yaml_tree.h"

struct context {
	const char *path;   /* the file, as in messages */
	char *directory;    /* of the file, with a trailing slash; "" for the current one */
	uint32_t index;	    /* of the cVM */
	struct config_error *error;
};

/* "pod.yaml:7: cVMs[0].memory" */
static void place(struct context *c, const struct yaml_node *node, const char *key)
{
	config_place(c->error, "%s:%u: cVMs[%u]%s%s", c->path, node->line, c->index, key ? "." : "", key ? key : "");
}

static void place_item(struct context *c, const struct yaml_node *node, const char *key, size_t i)
{
	config_place(c->error, "%s:%u: cVMs[%u].%s[%zu]", c->path, node->line, c->index, key, i);
}

/* A relative host path in the file is relative to the file. A new string. */
static char *host_path(const struct context *c, const char *path)
{
	return path[0] == '/' || !path[0] ? xstrdup(path) : xasprintf("%s%s", c->directory, path);
}

static int set_volume_map(struct context *c, struct config_cvm *cvm, const struct yaml_node *node)
{
	static const char *const keys[] = {"host", "guest", "read_only", NULL};
	const char *value[3] = {NULL, NULL, "false"};
	bool read_only;

	for (size_t i = 0; i < node->count; i++) {
		unsigned k = 0;

		while (keys[k] && strcmp(keys[k], node->key[i]->text) != 0)
			k++;
		if (!keys[k])
			return config_fail(c->error, "unknown key \"%.64s\" (a volume has host, guest and read_only)",
					   node->key[i]->text);
		if (node->item[i]->kind != YAML_SCALAR)
			return config_fail(c->error, "%s must be one value", keys[k]);
		value[k] = node->item[i]->text;
	}
	if (!value[0] || !value[1])
		return config_fail(c->error, "%s is missing (a volume has host, guest and read_only)", value[0] ? "guest" : "host");
	int ret = value_bool(value[2], &read_only, c->error);
	if (ret)
		return ret;
	char *host = host_path(c, value[0]);
	ret = config_add_volume(cvm, host, value[1], read_only, c->error);
	free(host);
	return ret;
}

static int set_env_map(struct context *c, struct config_cvm *cvm, const struct yaml_node *node)
{
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_node *item = node->item[i];

		place(c, item, "env");
		if (item->kind != YAML_SCALAR)
			return config_fail(c->error, "the value of %.64s must be one value, not a list or a map",
					   node->key[i]->text);
		int ret = config_set_env(cvm, node->key[i]->text, yaml_is_null(item) ? NULL : item->text, c->error);
		if (ret)
			return ret;
	}
	return 0;
}

static int set_scalar(struct context *c, const struct config_field *f, struct config_cvm *cvm,
		      const struct yaml_node *node)
{
	if (node->kind != YAML_SCALAR)
		return config_fail(c->error, "must be one value, not a %s", node->kind == YAML_LIST ? "list" : "map");
	if (yaml_is_null(node))
		return config_fail(c->error, "has no value (give one or leave the key out)");
	bool is_host_path = strcmp(f->key, "root") == 0 || strcmp(f->key, "volumes") == 0;
	if (!is_host_path)
		return f->set(cvm, node->text, c->error);
	char *path = host_path(c, node->text);
	int ret = f->set(cvm, path, c->error);
	free(path);
	return ret;
}

static int set_list(struct context *c, const struct config_field *f, struct config_cvm *cvm,
		    const struct yaml_node *node)
{
	bool volumes = strcmp(f->key, "volumes") == 0;

	if (node->kind == YAML_SCALAR)
		return set_scalar(c, f, cvm, node);
	if (node->kind == YAML_MAP)
		return strcmp(f->key, "env") == 0 ? set_env_map(c, cvm, node)
						  : config_fail(c->error, "must be a list, not a map");
	for (size_t i = 0; i < node->count; i++) {
		place_item(c, node->item[i], f->key, i);
		int ret = volumes && node->item[i]->kind == YAML_MAP ? set_volume_map(c, cvm, node->item[i])
								      : set_scalar(c, f, cvm, node->item[i]);
		if (ret)
			return ret;
	}
	return 0;
}

/* `program` may be a list as well: the program and its first arguments. */
static int set_program_list(struct context *c, struct config_cvm *cvm, const struct config_field *f,
			    const struct yaml_node *node)
{
	if (node->count == 0)
		return config_fail(c->error, "the list is empty (give [program, argument, ...])");
	for (size_t i = 0; i < node->count; i++) {
		place_item(c, node->item[i], f->key, i);
		if (i == 0) {
			int ret = set_scalar(c, f, cvm, node->item[i]);
			if (ret)
				return ret;
			continue;
		}
		if (node->item[i]->kind != YAML_SCALAR || yaml_is_null(node->item[i]))
			return config_fail(c->error, "must be one value");
		strlist_insert(&cvm->args, i - 1, node->item[i]->text);
	}
	return 0;
}

static int unknown_key(struct context *c, const struct yaml_node *key)
{
	const char *keys[64];
	size_t count = 0;

	place(c, key, NULL);
	for (const struct config_field *f = g_config_fields; f->set && count < 63; f++)
		if (f->key)
			keys[count++] = f->key;
	keys[count] = NULL;
	if (strcmp(key->text, "disk") == 0)
		return config_fail(c->error, "unknown key \"disk\" (disk images are not read; name a directory with root)");
	const char *near = value_nearest(key->text, keys);
	if (near)
		return config_fail(c->error, "unknown key \"%.64s\" (did you mean %s?)", key->text, near);
	return config_fail(c->error, "unknown key \"%.64s\" (known: name, program, args, root, volumes, env, memory, "
				     "bind, connect, ...: see intravisor run --help)", key->text);
}

static int read_cvm(struct context *c, struct config_cvm *cvm, const struct yaml_node *node)
{
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_node *key = node->key[i], *item = node->item[i];
		const struct config_field *f = g_config_fields;

		while (f->set && (!f->key || strcmp(f->key, key->text) != 0))
			f++;
		if (!f->set)
			return unknown_key(c, key);
		place(c, item, key->text);
		int ret;
		if (item->kind == YAML_LIST && strcmp(f->key, "program") == 0)
			ret = set_program_list(c, cvm, f, item);
		else if (f->kind == CONFIG_LIST)
			ret = set_list(c, f, cvm, item);
		else
			ret = set_scalar(c, f, cvm, item);
		if (ret)
			return ret;
	}
	return 0;
}

static int read_cvms(struct context *c, const struct yaml_node *list, struct config *config)
{
	config_place(c->error, "%s:%u: cVMs", c->path, list->line);
	if (list->kind != YAML_LIST)
		return config_fail(c->error, "must be a list (one \"- name: ...\" for each cVM)");
	if (list->count == 0)
		return config_fail(c->error, "the list is empty (describe at least one cVM)");
	if (list->count > LAUNCH_CVMS_MAX)
		return config_fail(c->error, "%zu cVMs are too many (at most %d)", list->count, LAUNCH_CVMS_MAX);
	for (size_t i = 0; i < list->count; i++) {
		c->index = (uint32_t)i;
		place(c, list->item[i], NULL);
		if (list->item[i]->kind != YAML_MAP)
			return config_fail(c->error, "must be a map (name: ..., program: ...)");
		int ret = read_cvm(c, config_add_cvm(config, c->error->place), list->item[i]);
		if (ret)
			return ret;
	}
	return 0;
}

static int read_tree(struct context *c, const struct yaml_node *root, struct config *config)
{
	static const char *const known[] = {"cVMs", NULL};
	const struct yaml_node *list = NULL;

	config_place(c->error, "%s:%u", c->path, root->line);
	if (root->kind != YAML_MAP)
		return config_fail(c->error, "must be a map with the key cVMs");
	for (size_t i = 0; i < root->count; i++) {
		const char *key = root->key[i]->text;

		config_place(c->error, "%s:%u", c->path, root->key[i]->line);
		if (strcmp(key, "cVMs") == 0)
			list = root->item[i];
		else if (value_nearest(key, known))
			return config_fail(c->error, "unknown key \"%.64s\" (did you mean cVMs?)", key);
		else
			return config_fail(c->error, "unknown key \"%.64s\" (the only one here is cVMs)", key);
	}
	if (!list)
		return config_fail(c->error, "the key cVMs is missing (a list of cVMs)");
	return read_cvms(c, list, config);
}

int config_read_yaml(const char *path, struct config *config, struct config_error *error)
{
	struct yaml_node *root = NULL;
	bool standard_input = strcmp(path, "-") == 0;
	const char *slash = strrchr(path, '/');
	int ret = yaml_tree_read(path, &root, error);

	if (ret)
		return ret;
	struct context c = {
		.path = standard_input ? "(standard input)" : path,
		.directory = xstrndup(path, slash ? (size_t)(slash - path) + 1 : 0),
		.error = error,
	};
	ret = read_tree(&c, root, config);
	free(c.directory);
	yaml_tree_free(root);
	return ret;
}
