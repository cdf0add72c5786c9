/*
 * Extended attributes of files in memory (tmpfs, the overlay, memfd): a short sorted list at the inode. The host's files have
 * none here, whichever they have on the host. sys_xattr.c calls this with names and sizes already inside Linux's limits.
 */
#include "core/kheap.h"
#include "fs/memfs.h"
#include <linux/xattr.h>

struct xattr {
	struct xattr *next;
	size_t name_size, size; /* name_size: with its NUL */
	char data[];		/* the name, then the value */
};

/* The first that is not before `name`. */
static struct xattr **place_of(struct mem_inode *inode, const char *name, bool *found)
{
	struct xattr **at = &inode->xattrs;
	int order = 1;

	while (*at && (order = strcmp((*at)->data, name)) < 0)
		at = &(*at)->next;
	*found = *at && order == 0;
	return at;
}

static void remove_at(struct xattr **at)
{
	struct xattr *x = *at;

	*at = x->next;
	kfree(x);
}

int mem_xattr_set(struct mem_inode *inode, const char *name, const void *value, size_t size, int flags)
{
	size_t name_size = strlen(name) + 1;
	struct xattr **at, *x;
	bool found;

	at = place_of(inode, name, &found);
	if (found && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!found && (flags & XATTR_REPLACE))
		return -ENODATA;
	x = kmalloc(sizeof *x + name_size + size);
	if (!x)
		return -ENOSPC;
	x->name_size = name_size;
	x->size = size;
	memcpy(x->data, name, name_size);
	memcpy(x->data + name_size, value, size);
	if (found)
		remove_at(at);
	x->next = *at;
	*at = x;
	mem_touch(inode, false);
	return 0;
}

int mem_xattr_remove(struct mem_inode *inode, const char *name)
{
	bool found;
	struct xattr **at = place_of(inode, name, &found);

	if (!found)
		return -ENODATA;
	remove_at(at);
	mem_touch(inode, false);
	return 0;
}

ssize_t mem_xattr_get(struct mem_inode *inode, const char *name, void *buf, size_t size)
{
	bool found;
	struct xattr *x = *place_of(inode, name, &found);

	if (!found)
		return -ENODATA;
	if (size && size < x->size)
		return -ERANGE;
	if (size)
		memcpy(buf, x->data + x->name_size, x->size);
	return (ssize_t)x->size;
}

ssize_t mem_xattr_list(struct mem_inode *inode, char *buf, size_t size, const char *hidden)
{
	size_t used = 0;

	for (struct xattr *x = inode->xattrs; x; x = x->next) {
		if (hidden && !strncmp(x->data, hidden, strlen(hidden)))
			continue;
		if (size && size - used < x->name_size)
			return -ERANGE;
		if (size)
			memcpy(buf + used, x->data, x->name_size);
		used += x->name_size;
	}
	return (ssize_t)used;
}

void mem_xattr_drop(struct mem_inode *inode)
{
	while (inode->xattrs)
		remove_at(&inode->xattrs);
}
