/* System V IPC: keys, numbers and owners of objects (ipc/sysv.h). Called by sysv_shm.c, sysv_sem.c and sysv_msg.c. */
#include "ipc/sysv.h"
#include "thread/clock.h"
#include "thread/thread.h"

struct sysv *sysv_find(const struct sysv_kind *k, int id)
{
	list_for_each(at, &k->objects)
		if (list_entry(at, struct sysv, link)->id == id)
			return list_entry(at, struct sysv, link);
	return NULL;
}

struct sysv *sysv_get(const struct sysv_kind *k, int key, int flags, int *error)
{
	*error = 0;
	list_for_each(at, &k->objects) {
		struct sysv *o = list_entry(at, struct sysv, link);

		if (key == IPC_PRIVATE || o->perm.key != key)
			continue;
		if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL)) {
			*error = -EEXIST;
			return NULL;
		}
		return o;
	}
	if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
		*error = -ENOENT;
	else if (k->count >= SYSV_COUNT_MAX)
		*error = -ENOSPC;
	return NULL;
}

void sysv_add(struct sysv_kind *k, struct sysv *o, int key, int flags)
{
	static int last_id; /* of all kinds; atomic */
	struct process *p = current()->process;

	o->id = __atomic_fetch_add(&last_id, 1, __ATOMIC_RELAXED);
	o->perm = (struct ipc64_perm){ .key = key, .uid = p->euid, .gid = p->egid, .cuid = p->euid, .cgid = p->egid,
				       .mode = (uint32_t)flags & 0777, .seq = (unsigned short)o->id };
	list_append(&k->objects, &o->link);
	k->count++;
}

void sysv_remove(struct sysv_kind *k, struct sysv *o)
{
	list_remove(&o->link);
	k->count--;
}

void sysv_set_perm(struct sysv *o, const struct ipc64_perm *from)
{
	o->perm.uid = from->uid;
	o->perm.gid = from->gid;
	o->perm.mode = (o->perm.mode & ~0777u) | (from->mode & 0777);
}

int64_t sysv_now(void)
{
	struct timespec ts = { 0 };

	(void)!clock_read(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}
