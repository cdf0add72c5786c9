/*
 * A growing list of owned strings. Running out of memory ends the command (config and cli only, before or beside the
 * monitor): there is nothing sensible left to do then.
 */
#ifndef CONFIG_LIST_H
#define CONFIG_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct strlist {
	char **item;
	size_t count, capacity;
};

void strlist_add(struct strlist *list, const char *text);
void strlist_insert(struct strlist *list, size_t index, const char *text);
size_t strlist_find(const struct strlist *list, const char *text); /* its first place, or list->count */
bool strlist_has(const struct strlist *list, const char *text);
void strlist_free(struct strlist *list);

/* malloc and friends that never return a null pointer. */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t size);
__attribute__((format(printf, 1, 2))) char *xasprintf(const char *format, ...);

#endif
