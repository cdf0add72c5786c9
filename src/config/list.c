/*
 * Owned strings and allocation that cannot fail: see list.h. Called by config/ and cli/ only.
 */
#include "config/list.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *check(void *p)
{
	static const char text[] = "intravisor: out of memory\n";

	if (p)
		return p;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(125);
	_exit(125);
}

void *xcalloc(size_t count, size_t size)
{
	return check(calloc(count ? count : 1, size));
}

void *xrealloc(void *old, size_t size)
{
	return check(realloc(old, size));
}

char *xstrdup(const char *text)
{
	return check(strdup(text));
}

char *xstrndup(const char *text, size_t size)
{
	return check(strndup(text, size));
}

char *xasprintf(const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	return check(text);
}

void strlist_insert(struct strlist *list, size_t index, const char *text)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? list->capacity * 2 : 8;
		list->item = xrealloc(list->item, list->capacity * sizeof(*list->item));
	}
	memmove(list->item + index + 1, list->item + index, (list->count - index) * sizeof(*list->item));
	list->item[index] = xstrdup(text);
	list->count++;
}

void strlist_add(struct strlist *list, const char *text)
{
	strlist_insert(list, list->count, text);
}

size_t strlist_find(const struct strlist *list, const char *text)
{
	size_t at = 0;

	while (at < list->count && strcmp(list->item[at], text) != 0)
		at++;
	return at;
}

bool strlist_has(const struct strlist *list, const char *text)
{
	return strlist_find(list, text) < list->count;
}

void strlist_free(struct strlist *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->item[i]);
	free(list->item);
	*list = (struct strlist){0};
}
