/*
 * What System V's shared memory, semaphores and message queues have alike (ipc/sysv.h): identifiers as Linux counts them, keys,
 * permissions, and sleeping.
 */
#include "ipc/sysv.h"
#include "core/kheap.h"
#include "thread/thread.h"
#include <linux/time.h>

#define INDEX_CYCLE 64u /* indices that are used in turns while there are few objects */

int64_t sysv_now(void)
{
	return clock_now(CLOCK_REALTIME) / NSEC_PER_SEC;
}

static bool is_creator_or_owner(const struct sysv_object *o)
{
	uint32_t id = current()->process->euid;

	return id == o->uid || id == o->cuid;
}

bool sysv_is_owner(const struct sysv_object *o)
{
	return is_creator_or_owner(o) || current()->process->euid == 0;
}

bool sysv_may(const struct sysv_object *o, uint32_t rights)
{
	struct process *p = current()->process;
	uint32_t wanted = rights >> 6 | rights >> 3 | rights, granted = o->mode;

	if (is_creator_or_owner(o))
		granted >>= 6;
	else if (process_in_group(p, o->gid) || process_in_group(p, o->cgid))
		granted >>= 3;
	return !(wanted & ~granted & 7) || p->euid == 0;
}

/* --- identifiers --- */

static bool make_room(struct sysv_kind *k, uint32_t room)
{
	struct sysv_object **more;

	if (room <= k->room)
		return true;
	more = krealloc(k->objects, room * sizeof(struct sysv_object *));
	if (!more)
		return false;
	memset(more + k->room, 0, (room - k->room) * sizeof(struct sysv_object *));
	k->objects = more;
	k->room = room;
	return true;
}

/* Indices grow and start again, so that an identifier is not soon another object's. */
static int enter(struct sysv_kind *k, struct sysv_object *o)
{
	uint32_t end = MIN(MAX(k->count + k->count / 2, INDEX_CYCLE), k->max), index;

	if (k->count >= k->max)
		return -ENOSPC;
	if (!make_room(k, end))
		return -ENOMEM;
	for (index = (uint32_t)(k->last + 1) % end; k->objects[index]; index = (index + 1) % end)
		;
	if ((int32_t)index <= k->last)
		k->sequence = (k->sequence + 1) % (1u << (31 - SYSV_INDEX_BITS));
	k->last = (int32_t)index;
	k->objects[index] = o;
	k->count++;
	o->id = (int32_t)(k->sequence << SYSV_INDEX_BITS | index);
	return 0;
}

void sysv_forget(struct sysv_kind *k, struct sysv_object *o)
{
	if (o->id < 0) /* it never had one */
		return;
	k->objects[o->id & ((1 << SYSV_INDEX_BITS) - 1)] = NULL;
	k->count--;
}

int sysv_last_index(const struct sysv_kind *k)
{
	int last = 0;

	sysv_for_each(k, o)
		last = o->id & ((1 << SYSV_INDEX_BITS) - 1);
	return last;
}

static struct sysv_object *find(struct sysv_kind *k, int32_t index)
{
	return index >= 0 && (uint32_t)index < k->room ? k->objects[index] : NULL;
}

struct sysv_object *sysv_find(struct sysv_kind *k, int id, uint32_t rights, int *error)
{
	struct sysv_object *o = id < 0 ? NULL : find(k, id & ((1 << SYSV_INDEX_BITS) - 1));

	*error = !o || o->id != id ? -EINVAL : sysv_may(o, rights) ? 0 : -EACCES;
	return *error ? NULL : o;
}

struct sysv_object *sysv_find_listed(struct sysv_kind *k, int index, bool any, int *result)
{
	struct sysv_object *o = find(k, index);

	*result = !o ? -EINVAL : any || sysv_may(o, SYSV_READ) ? o->id : -EACCES;
	return *result < 0 ? NULL : o;
}

static struct sysv_object *find_key(struct sysv_kind *k, int32_t key)
{
	sysv_for_each(k, o)
		if (o->key == key)
			return o;
	return NULL;
}

static long make_new(struct sysv_kind *k, int32_t key, int flags, int (*make)(void *arg, struct sysv_object **out), void *arg)
{
	const struct process *p = current()->process;
	struct sysv_object *o;
	int err = make(arg, &o);

	if (err)
		return err;
	o->key = key;
	o->mode = (uint32_t)flags & SYSV_MODE;
	o->uid = o->cuid = p->euid;
	o->gid = o->cgid = p->egid;
	o->ctime = sysv_now();
	err = enter(k, o);
	if (!err)
		return o->id;
	o->id = -1;
	k->remove(o);
	return err;
}

long sysv_get(struct sysv_kind *k, int32_t key, int flags, int (*make)(void *arg, struct sysv_object **out),
	      int (*suits)(const struct sysv_object *o, const void *arg), void *arg)
{
	struct sysv_object *o;
	long ret;

	mutex_lock(&k->lock);
	o = key == IPC_PRIVATE ? NULL : find_key(k, key);
	if (o && (flags & IPC_CREAT) && (flags & IPC_EXCL))
		ret = -EEXIST;
	else if (o)
		ret = suits && suits(o, arg) ? -EINVAL : sysv_may(o, (uint32_t)flags & SYSV_MODE) ? o->id : -EACCES;
	else if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
		ret = -ENOENT;
	else
		ret = make_new(k, key, flags, make, arg);
	mutex_unlock(&k->lock);
	return ret;
}

/* --- control --- */

void sysv_perm(const struct sysv_object *o, struct ipc64_perm *out)
{
	*out = (struct ipc64_perm){ .key = o->key, .uid = o->uid, .gid = o->gid, .cuid = o->cuid, .cgid = o->cgid,
				    .mode = o->mode, .seq = (unsigned short)(o->id >> SYSV_INDEX_BITS) };
}

int sysv_set(struct sysv_object *o, const struct ipc64_perm *from)
{
	if (!sysv_is_owner(o))
		return -EPERM;
	if (from->uid == ~0u || from->gid == ~0u)
		return -EINVAL;
	o->uid = from->uid;
	o->gid = from->gid;
	o->mode = (o->mode & ~SYSV_MODE) | (from->mode & SYSV_MODE);
	o->ctime = sysv_now();
	return 0;
}

int sysv_remove(struct sysv_kind *k, int id)
{
	struct sysv_object *o;
	int err;

	mutex_lock(&k->lock);
	o = sysv_find(k, id, 0, &err);
	if (o && !sysv_is_owner(o))
		err = -EPERM;
	else if (o)
		k->remove(o);
	mutex_unlock(&k->lock);
	return err;
}

/* --- sleeping --- */

int sysv_sleep(struct sysv_kind *k, struct sleeper *s, int64_t deadline)
{
	int ret = sleeper_wait(s, &k->lock, CLOCK_MONOTONIC, deadline);

	return ret == -ETIMEDOUT ? -EAGAIN : ret == -ERESTARTSYS ? -EINTR : ret;
}
