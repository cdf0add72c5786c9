/*
 * inotify: who wants to know what happens in the file tree, and the calls by which it tells. Only what goes through this
 * libOS is seen, so host volumes cannot be watched (sys/sys_inotify.c).
 */
#ifndef LIBOS_INOTIFY_H
#define LIBOS_INOTIFY_H

#include "fs/inode.h"

#include <linux/inotify.h>

nodiscard struct file *inotify_create(uint32_t flags, int *error); /* one reference; flags: O_NONBLOCK */
bool is_inotify(const struct file *f);
/* `f` is one of these. The watch's number, or negative errno. */
nodiscard int inotify_add(struct file *f, struct dentry *d, uint32_t mask);
nodiscard int inotify_remove(struct file *f, int wd); /* `f` is any file: -EINVAL if it is not one of these */

/* False as long as nobody watches anything: the calls below then need not be made. */
extern bool g_watching;

/* Something happened to d itself: its watchers and its directory's. */
void notify_dentry(struct dentry *d, uint32_t mask);
void notify_attributes(struct dentry *d, uint32_t valid); /* ATTR_* */
/* Something happened to a name in a directory. */
void notify_name(struct dentry *dir, const char *name, size_t size, uint32_t mask, uint32_t cookie);
void notify_inode(struct inode *inode, uint32_t mask); /* its own watchers only */
/* It has no name left, and the one that went is not open any more: watches on it end. The tree lock may be held. */
void notify_gone(struct inode *inode);
uint32_t notify_cookie(void);

#endif
