/*
 * System V IPC: shared memory (shm.c), semaphores (sem.c) and message queues (msg.c) of a cVM. All its processes see the same
 * ones, nobody else any. What the three have alike (identifiers, keys, owners, permissions) is in sysv.c.
 *
 * One lock for each kind guards everything of that kind. It is held for memory operations only, but for shmat, shmdt and
 * mremap, which change the map: before mm->lock. Who sleeps has a struct sleeper (ipc/block.h) in a list of the object.
 */
#ifndef LIBOS_SYSV_H
#define LIBOS_SYSV_H

#include "core/list.h"
#include "core/lock.h"
#include "core/types.h"
#include "fs/proc.h"
#include "ipc/block.h"
#include <linux/ipc.h>
#include <asm/ipcbuf.h>

#define SYSV_INDEX_BITS 15
#define SYSV_MODE 0777u /* permissions in a mode */
#define SYSV_READ 0444u /* rights: */
#define SYSV_WRITE 0222u
#define SYSV_EXECUTE 0111u

struct sysv_object {
	int32_t id, key;
	uint32_t uid, gid, cuid, cgid;
	uint32_t mode;	/* permissions, and the kind's own flags */
	int64_t ctime;	/* seconds */
};

struct sysv_kind {
	struct mutex lock;
	uint32_t max;		      /* objects */
	struct sysv_object **objects; /* by the low bits of the identifier */
	uint32_t room, count;
	int32_t last;	   /* index given out last; -1 */
	uint32_t sequence; /* high bits of identifiers, changes when indices start again */
	void (*remove)(struct sysv_object *o); /* with IPC_RMID */
};

int64_t sysv_now(void); /* seconds */
/* For get(2): an identifier of what there is under the key, or of what `make` makes. `suits` says whether what there is
 * is as `arg` wants it. Lock not held. */
nodiscard long sysv_get(struct sysv_kind *k, int32_t key, int flags, int (*make)(void *arg, struct sysv_object **out),
			int (*suits)(const struct sysv_object *o, const void *arg), void *arg);
/* Lock held: -EINVAL in *error, or -EACCES without `rights` (SYSV_READ, ...). */
struct sysv_object *sysv_find(struct sysv_kind *k, int id, uint32_t rights, int *error);
/* For *_STAT: by index, with its identifier in *result; `any`: *_STAT_ANY, which needs no rights. */
struct sysv_object *sysv_find_listed(struct sysv_kind *k, int index, bool any, int *result);
bool sysv_may(const struct sysv_object *o, uint32_t rights);
bool sysv_is_owner(const struct sysv_object *o); /* its owner, its creator or user 0 */
void sysv_forget(struct sysv_kind *k, struct sysv_object *o); /* lock held: it has no identifier any more */
/* The greatest index in use, or 0 (IPC_INFO). Lock held. */
int sysv_last_index(const struct sysv_kind *k);
void sysv_perm(const struct sysv_object *o, struct ipc64_perm *out);
nodiscard int sysv_set(struct sysv_object *o, const struct ipc64_perm *from); /* lock held */
nodiscard int sysv_remove(struct sysv_kind *k, int id); /* IPC_RMID; lock not held */
#define sysv_for_each(k, o)                                                                       \
	for (uint32_t index_ = 0; index_ < (k)->room; index_++)                                   \
		for (struct sysv_object *o = (k)->objects[index_]; o; o = NULL)

/* sleeper_wait (ipc/block.h) with what these calls say: -EINTR for a signal, -EAGAIN behind the deadline (CLOCK_MONOTONIC, -1: none). */
int sysv_sleep(struct sysv_kind *k, struct sleeper *s, int64_t deadline);

/* System calls; buffers are the program's. */
nodiscard long shm_get(int32_t key, uint64_t size, int flags);
nodiscard long shm_attach(int id, uint64_t addr, int flags);
nodiscard long shm_detach(uint64_t addr);
/* mm_remap, by which attached segments may move. */
nodiscard long shm_remap(uint64_t addr, uint64_t old_size, uint64_t new_size, int flags, uint64_t new_addr);
nodiscard long shm_control(int id, int cmd, void *user);
nodiscard long sem_get(int32_t key, int count, int flags);
nodiscard long sem_operate(int id, const void *user, unsigned count, int64_t timeout); /* ns, or: */
#define SEM_FOREVER (-1)
#define SEM_BAD_TIME (-2) /* a timespec that is none */
nodiscard long sem_control(int id, int number, int cmd, unsigned long arg);
nodiscard long msg_get(int32_t key, int flags);
nodiscard long msg_send(int id, const void *user, uint64_t size, int flags);
nodiscard long msg_receive(int id, void *user, uint64_t size, long type, int flags);
nodiscard long msg_control(int id, int cmd, void *user);

/* fork: `to` has attached what `from` has. 0 or -ENOMEM. The end of a program's memory: nothing is attached any more. */
nodiscard int shm_fork(struct program *from, struct program *to);
void shm_leave(struct program *p);
void sem_exit(struct process *p); /* undoes what SEM_UNDO says */

/* /proc/sysvipc */
void proc_sysvipc_shm(struct text *t, const struct subject *s);
void proc_sysvipc_sem(struct text *t, const struct subject *s);
void proc_sysvipc_msg(struct text *t, const struct subject *s);

#endif
