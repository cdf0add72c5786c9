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
#include "config/yaml_pod.h"

static int set_env_map(struct yaml_context *c, struct config_cvm *cvm, const struct yaml_node *node)
{
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_node *item = node->item[i];

		yaml_place(c, item, "env");
		if (item->kind != YAML_SCALAR)
			return config_fail(c->error, "the value of %.64s must be one value, not a list or a map",
					   node->key[i]->text);
		int ret = config_set_env(cvm, node->key[i]->text, yaml_is_null(item) ? NULL : item->text, c->error);
		if (ret)
			return ret;
	}
	return 0;
}

static int set_scalar(struct yaml_context *c, const struct config_field *f, struct config_cvm *cvm,
		      const struct yaml_node *node)
{
	if (node->kind != YAML_SCALAR)
		return config_fail(c->error, "must be one value, not a %s", node->kind == YAML_LIST ? "list" : "map");
	if (yaml_is_null(node))
		return config_fail(c->error, "has no value (give one or leave the key out)");
	bool is_host_path = strcmp(f->key, "root") == 0 || strcmp(f->key, "volumes") == 0;
	if (!is_host_path)
		return f->set(cvm, node->text, c->error);
	char *path = yaml_host_path(c, node->text);
	int ret = f->set(cvm, path, c->error);
	free(path);
	return ret;
}

static int set_list(struct yaml_context *c, const struct config_field *f, struct config_cvm *cvm,
		    const struct yaml_node *node)
{
	int (*set_map)(struct yaml_context *, struct config_cvm *, const struct yaml_node *) = yaml_map_setter(f->key);

	if (node->kind == YAML_SCALAR)
		return set_scalar(c, f, cvm, node);
	if (node->kind == YAML_MAP)
		return strcmp(f->key, "env") == 0 ? set_env_map(c, cvm, node)
						  : config_fail(c->error, "must be a list, not a map");
	for (size_t i = 0; i < node->count; i++) {
		yaml_place_item(c, node->item[i], f->key, i);
		int ret = set_map && node->item[i]->kind == YAML_MAP ? set_map(c, cvm, node->item[i])
								      : set_scalar(c, f, cvm, node->item[i]);
		if (ret)
			return ret;
	}
	return 0;
}

/* `program` may be a list as well: the program and its first arguments. */
static int set_program_list(struct yaml_context *c, struct config_cvm *cvm, const struct config_field *f,
			    const struct yaml_node *node)
{
	if (node->count == 0)
		return config_fail(c->error, "the list is empty (give [program, argument, ...])");
	for (size_t i = 0; i < node->count; i++) {
		yaml_place_item(c, node->item[i], f->key, i);
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

static int unknown_key(struct yaml_context *c, const struct yaml_node *key)
{
	/* What files for the papers' prototype contain. */
	static const struct {
		const char *key, *instead;
	} prototype[] = {
		{"disk", "disk images are not read; name a directory with root"},
		{"isolation", "the Intravisor chooses the addresses; leave it out"},
		{"wait", "to start in an order use after: [NAME], and ready: with a condition"},
		{"callback_in", "use provides: with - call: NAME"},
		{"callback_out", "use uses: with - call: NAME, or for system calls syscalls_to: NAME"},
	};
	const char *keys[64];
	size_t count = 0;

	yaml_place(c, key, NULL);
	for (const struct config_field *f = g_config_fields; f->set && count < 63; f++)
		if (f->key)
			keys[count++] = f->key;
	keys[count] = NULL;
	for (size_t i = 0; i < sizeof(prototype) / sizeof(prototype[0]); i++)
		if (strcmp(key->text, prototype[i].key) == 0)
			return config_fail(c->error, "unknown key \"%s\" (%s)", key->text, prototype[i].instead);
	const char *near = value_nearest(key->text, keys);
	if (near)
		return config_fail(c->error, "unknown key \"%.64s\" (did you mean %s?)", key->text, near);
	return config_fail(c->error, "unknown key \"%.64s\" (known: name, program, args, root, volumes, env, memory, "
				     "bind, connect, ...: see intravisor run --help)", key->text);
}

static int read_cvm(struct yaml_context *c, struct config_cvm *cvm, const struct yaml_node *node)
{
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_node *key = node->key[i], *item = node->item[i];
		const struct config_field *f = g_config_fields;

		while (f->set && (!f->key || strcmp(f->key, key->text) != 0))
			f++;
		if (!f->set)
			return unknown_key(c, key);
		yaml_place(c, item, key->text);
		int ret;
		if (item->kind == YAML_LIST && strcmp(f->key, "program") == 0)
			ret = set_program_list(c, cvm, f, item);
		else if (item->kind == YAML_MAP && strcmp(f->key, "ready") == 0)
			ret = yaml_set_ready(c, cvm, item);
		else if (f->kind == CONFIG_LIST)
			ret = set_list(c, f, cvm, item);
		else
			ret = set_scalar(c, f, cvm, item);
		if (ret)
			return ret;
	}
	if (cvm->bare && cvm->program) {
		char *path = yaml_host_path(c, cvm->program);

		free(cvm->program);
		cvm->program = path;
	}
	return 0;
}

static int read_cvms(struct yaml_context *c, const struct yaml_node *list, struct config *config)
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
		yaml_place(c, list->item[i], NULL);
		if (list->item[i]->kind != YAML_MAP)
			return config_fail(c->error, "must be a map (name: ..., program: ...)");
		int ret = read_cvm(c, config_add_cvm(config, c->error->place), list->item[i]);
		if (ret)
			return ret;
	}
	return 0;
}

static int read_tree(struct yaml_context *c, const struct yaml_node *root, struct config *config)
{
	const struct yaml_node *list = NULL;

	config_place(c->error, "%s:%u", c->path, root->line);
	if (root->kind != YAML_MAP)
		return config_fail(c->error, "must be a map with the key cVMs");
	for (size_t i = 0; i < root->count; i++) {
		const char *key = root->key[i]->text;

		config_place(c->error, "%s:%u", c->path, root->key[i]->line);
		int ret = 0;
		if (strcmp(key, "cVMs") == 0)
			list = root->item[i];
		else
			ret = yaml_read_pod_key(c, root->key[i], root->item[i], config);
		if (ret)
			return ret;
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
	struct yaml_context c = {
		.path = standard_input ? "(standard input)" : path,
		.directory = xstrndup(path, slash ? (size_t)(slash - path) + 1 : 0),
		.error = error,
	};
	ret = read_tree(&c, root, config);
	free(c.directory);
	yaml_tree_free(root);
	return ret;
}
