/*
 * From libyaml's events to a tree with line numbers: see yaml_tree.h. Called by yaml_config.c.
 * libyaml does the syntax; this bounds size and depth and refuses what would need expansion.
 */
#include "config/yaml_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/list.h"

struct reader {
	yaml_parser_t parser;
	const char *path;
	struct config_error *error;
};

bool yaml_is_null(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && !node->quoted &&
	       (!*node->text || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

void yaml_tree_free(struct yaml_node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->count; i++) {
		yaml_tree_free(node->item[i]);
		if (node->key)
			yaml_tree_free(node->key[i]);
	}
	free(node->item);
	free(node->key);
	free(node->text);
	free(node);
}

static int next_event(struct reader *r, yaml_event_t *event)
{
	if (yaml_parser_parse(&r->parser, event))
		return 0;
	config_place(r->error, "%s:%zu", r->path, r->parser.problem_mark.line + 1);
	if (r->parser.error == YAML_READER_ERROR) {
		config_place(r->error, "%s", r->path);
		return config_fail(r->error, "not readable as text: %s at byte %zu (use UTF-8)", r->parser.problem,
				   r->parser.problem_offset);
	}
	/* libyaml stops at the character that it does not understand. */
	bool tab = r->parser.buffer.pointer < r->parser.buffer.last && *r->parser.buffer.pointer == '\t';
	return config_fail(r->error, "not valid YAML: %s%s%s at column %zu%s",
			   r->parser.context ? r->parser.context : "", r->parser.context ? ", " : "",
			   r->parser.problem ? r->parser.problem : "unknown problem", r->parser.problem_mark.column + 1,
			   tab ? " (this is a tab: indent with spaces)" : "");
}

static struct yaml_node *new_node(enum yaml_kind kind, const yaml_event_t *event)
{
	struct yaml_node *node = xcalloc(1, sizeof(*node));

	node->kind = kind;
	node->line = (unsigned)event->start_mark.line + 1;
	return node;
}

static int check_plain(struct reader *r, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	config_place(r->error, "%s:%zu", r->path, event->start_mark.line + 1);
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	} else if (event->type == YAML_ALIAS_EVENT) {
		return config_fail(r->error, "aliases (*%.64s) are not supported (write the value out)",
				   (const char *)event->data.alias.anchor);
	}
	if (anchor)
		return config_fail(r->error, "anchors (&%.64s) are not supported (write the value out)", (const char *)anchor);
	if (tag)
		return config_fail(r->error, "tags (%.64s) are not supported (leave it out)", (const char *)tag);
	return 0;
}

static int build(struct reader *r, yaml_event_t *event, unsigned depth, struct yaml_node **out);

static int add_child(struct reader *r, struct yaml_node *node, yaml_event_t *event, unsigned depth)
{
	struct yaml_node *key = NULL, *item = NULL;
	int ret;

	if (node->kind == YAML_MAP) {
		ret = build(r, event, depth, &key);
		if (ret)
			return ret;
		config_place(r->error, "%s:%u", r->path, key->line);
		ret = key->kind == YAML_SCALAR ? 0 : config_fail(r->error, "a key must be a word, not a list or a map");
		if (ret == 0 && node->count == YAML_KEYS_MAX)
			ret = config_fail(r->error, "too many keys (at most %u; env can be a list)", YAML_KEYS_MAX);
		for (size_t i = 0; ret == 0 && i < node->count; i++)
			if (strcmp(node->key[i]->text, key->text) == 0)
				ret = config_fail(r->error, "the key \"%.64s\" is given twice (first in line %u)", key->text,
						  node->key[i]->line);
		if (ret == 0)
			ret = next_event(r, event);
		if (ret)
			goto fail;
	}
	ret = build(r, event, depth, &item);
	if (ret)
		goto fail;
	if ((node->count & (node->count - 1)) == 0) { /* a power of two or 0: full */
		size_t capacity = node->count ? node->count * 2 : 1;

		node->item = xrealloc(node->item, capacity * sizeof(struct yaml_node *));
		if (node->kind == YAML_MAP)
			node->key = xrealloc(node->key, capacity * sizeof(struct yaml_node *));
	}
	if (node->kind == YAML_MAP)
		node->key[node->count] = key;
	node->item[node->count++] = item;
	return 0;
fail:
	yaml_tree_free(key);
	return ret;
}

/* Consumes `event` and, for a list or map, everything up to its end. */
static int build(struct reader *r, yaml_event_t *event, unsigned depth, struct yaml_node **out)
{
	struct yaml_node *node = NULL;
	int ret = check_plain(r, event);

	if (ret == 0 && depth > YAML_DEPTH_MAX)
		ret = config_fail(r->error, "nested too deeply (at most %u levels)", YAML_DEPTH_MAX);
	if (ret) {
		yaml_event_delete(event);
		return ret;
	}
	if (event->type == YAML_SCALAR_EVENT) {
		node = new_node(YAML_SCALAR, event);
		node->text = xstrndup((const char *)event->data.scalar.value, event->data.scalar.length);
		node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
		bool has_nul = strlen(node->text) != event->data.scalar.length;
		yaml_event_delete(event);
		if (has_nul) {
			yaml_tree_free(node);
			return config_fail(r->error, "a value contains a NUL byte (remove it)");
		}
		*out = node;
		return 0;
	}
	node = new_node(event->type == YAML_MAPPING_START_EVENT ? YAML_MAP : YAML_LIST, event);
	yaml_event_delete(event);
	for (;;) {
		ret = next_event(r, event);
		if (ret)
			break;
		if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(event);
			*out = node;
			return 0;
		}
		ret = add_child(r, node, event, depth + 1);
		if (ret)
			break;
	}
	yaml_tree_free(node);
	return ret;
}

static int read_whole(const char *path, char **text, size_t *size, struct config_error *error)
{
	bool standard_input = strcmp(path, "-") == 0;

	config_place(error, "%s", path);
	FILE *file = standard_input ? stdin : fopen(path, "re");
	if (!file)
		return config_fail(error, "cannot open the configuration file: %s", strerror(errno));
	char *bytes = xcalloc(YAML_FILE_MAX + 1, 1);
	size_t used = fread(bytes, 1, YAML_FILE_MAX + 1, file);
	int ret = 0;

	if (ferror(file))
		ret = config_fail(error, "cannot read the configuration file: %s", strerror(errno));
	else if (used > YAML_FILE_MAX)
		ret = config_fail(error, "the configuration file is too large (at most 1 MiB)");
	if (!standard_input)
		fclose(file);
	if (ret) {
		free(bytes);
		return ret;
	}
	*text = bytes;
	*size = used;
	return 0;
}

/* Exactly one document. */
static int parse_stream(struct reader *r, struct yaml_node **root)
{
	yaml_event_t event;
	int ret = next_event(r, &event); /* stream start */

	if (ret)
		return ret;
	yaml_event_delete(&event);
	ret = next_event(r, &event);
	if (ret)
		return ret;
	bool empty = event.type == YAML_STREAM_END_EVENT;
	yaml_event_delete(&event);
	config_place(r->error, "%s:1", r->path);
	if (empty)
		return config_fail(r->error, "the file is empty (it needs a list of cVMs: under the key cVMs)");
	ret = next_event(r, &event);
	if (ret == 0)
		ret = build(r, &event, 1, root);
	if (ret == 0)
		ret = next_event(r, &event); /* document end */
	if (ret)
		return ret;
	yaml_event_delete(&event);
	ret = next_event(r, &event);
	if (ret)
		return ret;
	bool more = event.type != YAML_STREAM_END_EVENT;
	config_place(r->error, "%s:%zu", r->path, event.start_mark.line + 1);
	yaml_event_delete(&event);
	return more ? config_fail(r->error, "a second document begins here (put all cVMs into one)") : 0;
}

int yaml_tree_read(const char *path, struct yaml_node **root, struct config_error *error)
{
	struct reader r = {.path = strcmp(path, "-") == 0 ? "(standard input)" : path, .error = error};
	struct yaml_node *tree = NULL;
	char *text = NULL;
	size_t size = 0;

	int ret = read_whole(path, &text, &size, error);
	if (ret)
		return ret;
	if (!yaml_parser_initialize(&r.parser)) {
		free(text);
		return config_fail(error, "out of memory");
	}
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
	ret = parse_stream(&r, &tree);
	yaml_parser_delete(&r.parser);
	free(text);
	if (ret)
		yaml_tree_free(tree);
	else
		*root = tree;
	return ret;
}
