/*
 * System V semaphores: sets of counters, changed several at a time or not at all. SEM_UNDO is accepted and needs nothing:
 * the sets end with the process. Entry points of the system calls; a sleeper tries again whenever any set changes.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "ipc/block.h"
#include "ipc/sysv.h"
#include "sys/syscalls.h"
#include "thread/clock.h"

#include <linux/sem.h>
#include <linux/time.h>

#define OPS_MAX 500
#define SEMS_MAX 32000
#define VALUE_MAX 32767
#define NOT_NOW 1 /* of an attempt: -EAGAIN, and IPC_NOWAIT */

struct sem {
	int value, pid;
	uint32_t waiting_more, waiting_zero;
};

struct sem_set {
	struct sysv base; /* first */
	uint32_t count;
	int64_t changed, operated;
	struct sem sem[];
};

static struct sysv_kind g_sets = SYSV_KIND(g_sets);
static struct waitq g_changes = { .waiters = LIST_INIT(g_changes.waiters) };

static struct sem_set *set_find(int id)
{
	return (struct sem_set *)sysv_find(&g_sets, id);
}

long sys_semget(struct regs *r)
{
	int key = (int)arg(r, 0), count = (int)arg(r, 1), flags = (int)arg(r, 2), error;
	struct sem_set *s;
	long ret;

	if (count < 0 || count > SEMS_MAX)
		return -EINVAL;
	mutex_lock(&g_sets.lock);
	s = (struct sem_set *)sysv_get(&g_sets, key, flags, &error);
	ret = s ? s->base.id : error;
	if (s && (uint32_t)count > s->count)
		ret = -EINVAL;
	if (!s && !error) {
		s = count ? kzalloc(sizeof(*s) + (size_t)count * sizeof(s->sem[0])) : NULL;
		ret = count ? -ENOMEM : -EINVAL;
		if (s) {
			s->count = (uint32_t)count;
			s->changed = sysv_now();
			sysv_add(&g_sets, &s->base, key, flags);
			ret = s->base.id;
		}
	}
	mutex_unlock(&g_sets.lock);
	return ret;
}

struct operation {
	int id;
	struct sembuf *op;
	unsigned count;
	struct sem *waits; /* counted in its waiting_more or waiting_zero */
	bool for_zero, slept;
};

static void stop_waiting(struct operation *o, const struct sem_set *s)
{
	if (o->waits && s)
		(o->for_zero ? &o->waits->waiting_zero : &o->waits->waiting_more)[0]--;
	o->waits = NULL;
}

/* All of them or none: the index of the one that cannot be, or the count. */
static unsigned apply(struct sem_set *s, struct operation *o, int *error)
{
	unsigned i;

	*error = -EAGAIN;
	for (i = 0; i < o->count; i++) {
		struct sem *sem = &s->sem[o->op[i].sem_num];
		int value = sem->value + o->op[i].sem_op;

		if (value > VALUE_MAX)
			*error = -ERANGE;
		if (value < 0 || value > VALUE_MAX || (!o->op[i].sem_op && sem->value))
			break;
		sem->value = value;
	}
	if (i < o->count)
		for (unsigned k = i; k-- > 0;)
			s->sem[o->op[k].sem_num].value -= o->op[k].sem_op;
	return i;
}

static ssize_t try_operation(void *ctx)
{
	struct operation *o = ctx;
	struct sem_set *s;
	int error = -EFBIG;
	unsigned failed;

	mutex_lock(&g_sets.lock);
	s = set_find(o->id);
	stop_waiting(o, s);
	if (!s) {
		mutex_unlock(&g_sets.lock);
		return o->slept ? -EIDRM : -EINVAL;
	}
	for (unsigned i = 0; i < o->count; i++)
		if (o->op[i].sem_num >= s->count) {
			mutex_unlock(&g_sets.lock);
			return -EFBIG;
		}
	failed = apply(s, o, &error);
	if (failed == o->count) {
		for (unsigned i = 0; i < o->count; i++)
			s->sem[o->op[i].sem_num].pid = current()->process->pid;
		s->operated = sysv_now();
		error = 0;
	} else if (error == -EAGAIN && !(o->op[failed].sem_flg & IPC_NOWAIT)) {
		o->waits = &s->sem[o->op[failed].sem_num];
		o->for_zero = !o->op[failed].sem_op;
		(o->for_zero ? &o->waits->waiting_zero : &o->waits->waiting_more)[0]++;
		o->slept = true;
	} else if (error == -EAGAIN) {
		error = NOT_NOW;
	}
	mutex_unlock(&g_sets.lock);
	if (!error)
		waitq_wake(&g_changes, 0);
	return error;
}

static long do_semop(struct regs *r, const struct timespec *timeout)
{
	struct sembuf *op;
	struct operation o = { .id = (int)arg(r, 0), .count = (unsigned)arg(r, 2) };
	long ret;

	if (!o.count || o.id < 0)
		return -EINVAL;
	if (o.count > OPS_MAX)
		return -E2BIG;
	op = kmalloc(o.count * sizeof(*op));
	if (!op)
		return -ENOMEM;
	o.op = op;
	ret = copy_from_user(op, (void *)arg(r, 1), o.count * sizeof(*op));
	if (!ret) {
		ret = try_operation(&o);
		if (ret == -EAGAIN)
			ret = block_until(&g_changes, 0, timeout ? timespec_to_ns(timeout) : -1, try_operation, &o);
		if (ret == -ERESTARTSYS)
			ret = -EINTR; /* never restarted (signal(7)) */
		if (ret == NOT_NOW)
			ret = -EAGAIN;
		mutex_lock(&g_sets.lock);
		stop_waiting(&o, set_find(o.id));
		mutex_unlock(&g_sets.lock);
	}
	kfree(op);
	return ret;
}

long sys_semop(struct regs *r)
{
	return do_semop(r, NULL);
}

long sys_semtimedop(struct regs *r)
{
	struct timespec ts;

	if (!arg(r, 3))
		return do_semop(r, NULL);
	if (get_user(ts, (struct timespec *)arg(r, 3)))
		return -EFAULT;
	return timespec_valid(&ts) ? do_semop(r, &ts) : -EINVAL;
}

static long all_values(struct sem_set *s, uint16_t *user, bool set)
{
	uint16_t *value = kmalloc(s->count * sizeof(*value));
	long ret = -ENOMEM;

	if (!value)
		return ret;
	for (uint32_t i = 0; i < s->count; i++)
		value[i] = (uint16_t)s->sem[i].value;
	ret = set ? copy_from_user(value, user, s->count * sizeof(*value)) : copy_to_user(user, value, s->count * sizeof(*value));
	for (uint32_t i = 0; set && !ret && i < s->count; i++)
		ret = value[i] > VALUE_MAX ? -ERANGE : 0;
	for (uint32_t i = 0; set && !ret && i < s->count; i++)
		s->sem[i].value = value[i];
	if (set && !ret)
		s->changed = sysv_now();
	kfree(value);
	return ret;
}

static long control_one(struct sem *sem, int command, int value, struct sem_set *s)
{
	switch (command) {
	case GETVAL: return sem->value;
	case GETPID: return sem->pid;
	case GETNCNT: return sem->waiting_more;
	case GETZCNT: return sem->waiting_zero;
	default: /* SETVAL */
		if (value < 0 || value > VALUE_MAX)
			return -ERANGE;
		sem->value = value;
		sem->pid = current()->process->pid;
		s->changed = sysv_now();
		return 0;
	}
}

static long control(struct sem_set *s, struct regs *r)
{
	uint32_t n = (uint32_t)arg(r, 1);
	struct semid64_ds ds = { .sem_perm = s->base.perm, .sem_otime = s->operated, .sem_ctime = s->changed, .sem_nsems = s->count };

	switch ((int)arg(r, 2)) {
	case GETVAL: case GETPID: case GETNCNT: case GETZCNT: case SETVAL:
		return n < s->count ? control_one(&s->sem[n], (int)arg(r, 2), (int)arg(r, 3), s) : -EINVAL;
	case GETALL: case SETALL:
		return all_values(s, (uint16_t *)arg(r, 3), (int)arg(r, 2) == SETALL);
	case IPC_STAT:
		return put_user(ds, (struct semid64_ds *)arg(r, 3));
	case IPC_SET:
		if (get_user(ds, (struct semid64_ds *)arg(r, 3)))
			return -EFAULT;
		sysv_set_perm(&s->base, &ds.sem_perm);
		s->changed = sysv_now();
		return 0;
	case IPC_RMID:
		sysv_remove(&g_sets, &s->base);
		kfree(s);
		return 0;
	default:
		return -EINVAL;
	}
}

long sys_semctl(struct regs *r)
{
	struct sem_set *s;
	long ret = -EINVAL;

	mutex_lock(&g_sets.lock);
	s = set_find((int)arg(r, 0));
	if (s)
		ret = control(s, r);
	mutex_unlock(&g_sets.lock);
	if (s)
		waitq_wake(&g_changes, 0);
	return ret;
}
