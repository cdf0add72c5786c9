/*
 * System V IPC inside the one process of a cVM: what the three kinds share. Objects live in a list a kind and go by
 * numbers that are never used again, so whoever sleeps looks its object up anew and learns of its removal. Permissions are
 * kept and shown, not enforced: everybody in a cVM is the same user.
 */
#ifndef LIBOS_SYSV_H
#define LIBOS_SYSV_H

#include "core/list.h"
#include "core/lock.h"
#include "core/types.h"

#include <linux/ipc.h>
#include <asm/ipcbuf.h>

#define SYSV_COUNT_MAX 4096u

struct sysv {
	struct list link;
	int id;
	struct ipc64_perm perm;
};

struct sysv_kind {
	struct mutex lock; /* the list and everything in its objects */
	struct list objects;
	uint32_t count;
};
#define SYSV_KIND(name) { .objects = LIST_INIT((name).objects) }

/* The lock held in all of these. */
struct sysv *sysv_find(const struct sysv_kind *k, int id); /* NULL: -EINVAL, or -EIDRM if it was there before */
/* What IPC_CREAT, IPC_EXCL and the key mean: an object, or NULL with *error, 0 if a new one is to be made. */
struct sysv *sysv_get(const struct sysv_kind *k, int key, int flags, int *error);
void sysv_add(struct sysv_kind *k, struct sysv *o, int key, int flags);
void sysv_remove(struct sysv_kind *k, struct sysv *o);
void sysv_set_perm(struct sysv *o, const struct ipc64_perm *from); /* IPC_SET */
int64_t sysv_now(void); /* seconds */

#endif
