/*
 * Maps within a configuration file: see yaml_pod.h. Called by yaml_config.c, which sets the error's place.
 */
#include "config/yaml_pod.h"

#include <stdlib.h>
#include <string.h>

#include "config/fields.h"
#include "config/share.h"
#include "config/value.h"

void yaml_place(struct yaml_context *c, const struct yaml_node *node, const char *key)
{
	config_place(c->error, "%s:%u: cVMs[%u]%s%s", c->path, node->line, c->index, key ? "." : "", key ? key : "");
}

void yaml_place_item(struct yaml_context *c, const struct yaml_node *node, const char *key, size_t i)
{
	config_place(c->error, "%s:%u: cVMs[%u].%s[%zu]", c->path, node->line, c->index, key, i);
}

char *yaml_host_path(const struct yaml_context *c, const char *path)
{
	return path[0] == '/' || !path[0] ? xstrdup(path) : xasprintf("%s%s", c->directory, path);
}

/* The texts of a map's values: value[k] of keys[k], unchanged if the key is not there. `known` says what there is. */
static int map_values(struct yaml_context *c, const struct yaml_node *node, const char *const *keys, const char *known,
		      const char **value)
{
	for (size_t i = 0; i < node->count; i++) {
		unsigned k = 0;

		while (keys[k] && strcmp(keys[k], node->key[i]->text) != 0)
			k++;
		if (!keys[k])
			return config_fail(c->error, "unknown key \"%.64s\" (%s)", node->key[i]->text, known);
		if (node->item[i]->kind != YAML_SCALAR)
			return config_fail(c->error, "%s must be one value", keys[k]);
		if (yaml_is_null(node->item[i]))
			return config_fail(c->error, "%s has no value (give one or leave the key out)", keys[k]);
		value[k] = node->item[i]->text;
	}
	return 0;
}

static int set_volume(struct yaml_context *c, struct config_cvm *cvm, const struct yaml_node *node)
{
	static const char *const keys[] = {"host", "guest", "read_only", NULL};
	static const char known[] = "a volume has host, guest and read_only";
	const char *value[3] = {NULL, NULL, "false"};
	bool read_only;

	int ret = map_values(c, node, keys, known, value);
	if (ret)
		return ret;
	if (!value[0] || !value[1])
		return config_fail(c->error, "%s is missing (%s)", value[0] ? "guest" : "host", known);
	ret = value_bool(value[2], &read_only, c->error);
	if (ret)
		return ret;
	char *path = yaml_host_path(c, value[0]);
	ret = config_add_volume(cvm, path, value[1], read_only, c->error);
	free(path);
	return ret;
}

static int set_grant(struct yaml_context *c, struct config_cvm *cvm, const struct yaml_node *node, unsigned role)
{
	static const char *const keys[] = {"file", "call", "stream", "access", "map", "grant", NULL};
	const char *value[6] = {NULL};

	int ret = map_values(c, node, keys, "a grant has file, call or stream, and for files access, map, grant", value);
	if (ret)
		return ret;
	const struct share_words words = {.file = value[0], .call = value[1], .stream = value[2],
					  .access = value[3], .map = value[4], .grant = value[5]};
	return config_add_grant(cvm, role, &words, c->error);
}

static int set_provides(struct yaml_context *c, struct config_cvm *cvm, const struct yaml_node *node)
{
	return set_grant(c, cvm, node, LAUNCH_GRANT_PROVIDE);
}

static int set_uses(struct yaml_context *c, struct config_cvm *cvm, const struct yaml_node *node)
{
	return set_grant(c, cvm, node, LAUNCH_GRANT_USE);
}

yaml_map_setter_fn *yaml_map_setter(const char *key)
{
	return strcmp(key, "volumes") == 0    ? set_volume
	       : strcmp(key, "provides") == 0 ? set_provides
	       : strcmp(key, "uses") == 0     ? set_uses
					      : NULL;
}

int yaml_set_ready(struct yaml_context *c, struct config_cvm *cvm, const struct yaml_node *node)
{
	static const char *const keys[] = {"port", "file", "exit", "timeout", NULL};
	const char *value[4] = {NULL};

	int ret = map_values(c, node, keys, "ready has port, file or exit, and timeout", value);
	if (ret == 0 && !!value[0] + !!value[1] + !!value[2] != 1)
		ret = config_fail(c->error, "must name one condition (port: N, port: unix:/PATH, file: PATH or exit: STATUS)");
	if (ret == 0 && value[0])
		ret = config_socket_name(value[0], &cvm->ready.listen, c->error);
	if (ret == 0 && value[2])
		ret = value_number(value[2], 0, 255, &cvm->ready.status, c->error);
	if (ret == 0 && value[3])
		ret = value_duration(value[3], &cvm->ready.timeout_ms, c->error);
	if (ret)
		return ret;
	cvm->ready.file = value[1] ? yaml_host_path(c, value[1]) : NULL;
	cvm->ready.exit = value[2];
	return 0;
}

static int read_files(struct yaml_context *c, const char *key, const struct yaml_node *list, struct config *config)
{
	static const char *const keys[] = {"name", "size", "data", "file", NULL};

	if (list->kind != YAML_LIST)
		return config_fail(c->error, "must be a list (one \"- name: ...\" for each file)");
	if (config->files)
		return config_fail(c->error, "files and capfiles are the same (put all into files)");
	for (size_t i = 0; i < list->count; i++) {
		const char *value[4] = {NULL};

		config_place(c->error, "%s:%u: %s[%zu]", c->path, list->item[i]->line, key, i);
		if (list->item[i]->kind != YAML_MAP)
			return config_fail(c->error, "must be a map (name: ..., size: ...)");
		int ret = map_values(c, list->item[i], keys, "a file has name, size, and data or file", value);
		if (ret)
			return ret;
		char *host = value[3] ? yaml_host_path(c, value[3]) : NULL;
		ret = config_add_file(config, value[0], value[1], value[2], host, c->error);
		free(host);
		if (ret)
			return ret;
	}
	return 0;
}

int yaml_read_pod_key(struct yaml_context *c, const struct yaml_node *key, const struct yaml_node *item,
		      struct config *config)
{
	static const char *const known[] = {"cVMs", "files", "name", "logs", NULL};
	const char *text = key->text;

	if (strcmp(text, "files") == 0 || strcmp(text, "capfiles") == 0) {
		config_place(c->error, "%s:%u: %s", c->path, item->line, text);
		return read_files(c, text, item, config);
	}
	if (strcmp(text, "name") != 0 && strcmp(text, "logs") != 0) {
		const char *near = value_nearest(text, known);

		return near ? config_fail(c->error, "unknown key \"%.64s\" (did you mean %s?)", text, near)
			    : config_fail(c->error, "unknown key \"%.64s\" (here are cVMs, files, name and logs)", text);
	}
	config_place(c->error, "%s:%u: %s", c->path, item->line, text);
	if (item->kind != YAML_SCALAR)
		return config_fail(c->error, "must be one value, not a %s", item->kind == YAML_LIST ? "list" : "map");
	if (strcmp(text, "name") == 0) {
		int ret = value_name(item->text, c->error);

		if (ret == 0)
			config->name = xstrdup(item->text);
		return ret;
	}
	config->capture = strcmp(item->text, "capture") == 0;
	if (config->capture || strcmp(item->text, "inherit") == 0)
		return 0;
	return config_fail(c->error, "\"%.100s\" is not a place for logs (use inherit or capture)", item->text);
}
