/*
 * System V semaphores (ipc/sysv.h). Operations that cannot be done at once stand in the set's queue, and whoever changes a
 * value does those that have become possible, oldest first and as Linux does: who slept wakes up with its operations done.
 * Called by sys/sys_sysv.c.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "ipc/sysv.h"
#include "thread/isolated.h"
#include "thread/thread.h"
#include <asm/sembuf.h>
#include <linux/sem.h>
#include <linux/time.h>

struct sem {
	int32_t value, pid; /* pid: of who changed it last, or waited for its being 0 */
};

struct sem_set {
	struct sysv_object object;
	int64_t operated_at; /* seconds */
	struct list waiting; /* struct sem_wait by sleeper.link, oldest first */
	struct list undos;   /* struct sem_undo by of_set */
	uint32_t count;
	struct sem sems[];
};

/* What a process has changed with SEM_UNDO. */
struct sem_undo {
	struct list of_set, of_process;
	struct sem_set *set;
	struct process *process;
	int16_t adjust[]; /* for each semaphore, to be added */
};

struct sem_wait {
	struct sleeper sleeper;
	const struct sembuf *ops, *blocking;
	unsigned count;
	bool alters;
	struct sem_undo *undo; /* or NULL */
	int32_t pid;
};

static void remove_set(struct sysv_object *o);
static struct sysv_kind g_sem = { .max = SEMMNI, .last = -1, .remove = remove_set };
static uint32_t g_semaphores; /* of all sets */

static struct sem_set *set_of(struct sysv_object *o)
{
	return container_of(o, struct sem_set, object);
}

/* --- sets --- */

static int suits(const struct sysv_object *o, const void *arg)
{
	return container_of(o, const struct sem_set, object)->count < *(const uint32_t *)arg;
}

static int make(void *arg, struct sysv_object **out)
{
	uint32_t count = *(uint32_t *)arg;
	struct sem_set *s;

	if (!count)
		return -EINVAL;
	if (count > SEMMNS - g_semaphores)
		return -ENOSPC;
	s = kzalloc(sizeof(*s) + count * sizeof(s->sems[0]));
	if (!s)
		return -ENOMEM;
	s->count = count;
	list_init(&s->waiting);
	list_init(&s->undos);
	g_semaphores += count;
	*out = &s->object;
	return 0;
}

long sem_get(int32_t key, int count, int flags)
{
	uint32_t wanted = (uint32_t)count;

	if (count < 0 || count > SEMMSL)
		return -EINVAL;
	return sysv_get(&g_sem, key, flags, make, suits, &wanted);
}

static void undo_free(struct sem_undo *u)
{
	list_remove(&u->of_set);
	list_remove(&u->of_process);
	kfree(u);
}

static void remove_set(struct sysv_object *o)
{
	struct sem_set *s = set_of(o);

	while (!list_empty(&s->waiting))
		sleeper_wake(list_entry(s->waiting.next, struct sleeper, link), -EIDRM);
	while (!list_empty(&s->undos))
		undo_free(list_entry(s->undos.next, struct sem_undo, of_set));
	sysv_forget(&g_sem, o);
	g_semaphores -= s->count;
	kfree(s);
}

/* --- operations --- */

/* One operation: 0, SLEEPS if it has to wait, -ERANGE. */
static int apply(struct sem *sem, const struct sembuf *op, int16_t *adjust)
{
	int value = sem->value + op->sem_op, undo = adjust ? *adjust - op->sem_op : 0;

	if (op->sem_op ? value < 0 : sem->value)
		return SLEEPS;
	if (value > SEMVMX || undo < -SEMAEM - 1 || undo > SEMAEM)
		return -ERANGE;
	sem->value = value;
	if (adjust)
		*adjust = (int16_t)undo;
	return 0;
}

/* All of them or none: 0, SLEEPS, -EAGAIN or -ERANGE. */
static int operate(struct sem_set *s, struct sem_wait *w)
{
	int ret = 0;
	unsigned i;

	for (i = 0; i < w->count && !ret; i++) {
		const struct sembuf *op = &w->ops[i];

		ret = apply(&s->sems[op->sem_num], op, op->sem_flg & SEM_UNDO ? &w->undo->adjust[op->sem_num] : NULL);
	}
	if (!ret) {
		while (i--)
			s->sems[w->ops[i].sem_num].pid = w->pid;
		s->operated_at = sysv_now();
		return 0;
	}
	w->blocking = &w->ops[--i];
	while (i--) {
		const struct sembuf *op = &w->ops[i];

		s->sems[op->sem_num].value -= op->sem_op;
		if (op->sem_flg & SEM_UNDO)
			w->undo->adjust[op->sem_num] = (int16_t)(w->undo->adjust[op->sem_num] + op->sem_op);
	}
	return ret == SLEEPS && (w->blocking->sem_flg & IPC_NOWAIT) ? -EAGAIN : ret;
}

/* The oldest operations that are possible now and alter something, or not. True if values changed. */
static bool pass_some(struct sem_set *s, bool altering)
{
	list_for_each_safe(pos, next, &s->waiting) {
		struct sem_wait *w = list_entry(pos, struct sem_wait, sleeper.link);
		int ret = w->alters == altering ? operate(s, w) : SLEEPS;

		if (ret == SLEEPS)
			continue;
		sleeper_wake(&w->sleeper, ret);
		if (!ret && altering)
			return true;
	}
	return false;
}

static void values_changed(struct sem_set *s)
{
	do
		(void)pass_some(s, false);
	while (pass_some(s, true));
}

static struct sem_undo *undo_of(struct sem_set *s, struct process *p)
{
	struct sem_undo *u;

	list_for_each(pos, &s->undos) {
		u = list_entry(pos, struct sem_undo, of_set);
		if (u->process == p)
			return u;
	}
	u = kzalloc(sizeof(*u) + s->count * sizeof(u->adjust[0]));
	if (!u)
		return NULL;
	u->set = s;
	u->process = p;
	list_append(&s->undos, &u->of_set);
	list_append(&p->sem_undos, &u->of_process);
	return u;
}

/* Lock held; the end of a sleep as its deadline. */
static int operate_or_sleep(struct sem_wait *w, int id, unsigned greatest, bool undoes, int64_t deadline)
{
	struct sysv_object *o;
	struct sem_set *s;
	int ret;

	o = sysv_find(&g_sem, id, 0, &ret);
	if (!o)
		return ret;
	s = set_of(o);
	if (undoes && !(w->undo = undo_of(s, current()->process))) /* as on Linux even if it fails: the end of the process is seen */
		return -ENOMEM;
	if (greatest >= s->count)
		return -EFBIG;
	if (!sysv_may(o, w->alters ? SYSV_WRITE : SYSV_READ))
		return -EACCES;
	ret = operate(s, w);
	if (ret == SLEEPS) {
		list_append(&s->waiting, &w->sleeper.link);
		return sysv_sleep(&g_sem, &w->sleeper, deadline);
	}
	if (!ret && w->alters)
		values_changed(s);
	return ret;
}

static long operate_all(int id, const struct sembuf *ops, unsigned count, int64_t timeout)
{
	struct thread *t = current();
	struct sem_wait w = { .ops = ops, .count = count, .pid = t->process->pid };
	int64_t now = clock_now(CLOCK_MONOTONIC), deadline = -1;
	unsigned greatest = 0;
	bool undoes = false;
	int ret;

	if (timeout >= 0 && __builtin_add_overflow(now, timeout, &deadline))
		deadline = INT64_MAX;
	for (unsigned i = 0; i < count; i++) {
		greatest = MAX(greatest, ops[i].sem_num);
		undoes |= (ops[i].sem_flg & SEM_UNDO) != 0;
		w.alters |= ops[i].sem_op != 0;
	}
	sleeper_init(&w.sleeper);
	mutex_lock(&g_sem.lock);
	ret = operate_or_sleep(&w, id, greatest, undoes, deadline);
	mutex_unlock(&g_sem.lock);
	return ret;
}

long sem_operate(int id, const void *user, unsigned count, int64_t timeout)
{
	struct sembuf few[4], *ops = few;
	long ret;

	if (count > SEMOPM)
		return -E2BIG;
	if (!count)
		return -EINVAL;
	if (count > ARRAY_SIZE(few))
		ops = kmalloc(count * sizeof(*ops));
	if (!ops)
		return -ENOMEM;
	ret = copy_from_user(ops, user, count * sizeof(*ops)) ? -EFAULT :
	      timeout == SEM_BAD_TIME ? -EINVAL : operate_all(id, ops, count, timeout);
	if (ops != few)
		kfree(ops);
	return ret;
}

void sem_exit(struct process *p)
{
	mutex_lock(&g_sem.lock);
	while (!list_empty(&p->sem_undos)) {
		struct sem_undo *u = list_entry(p->sem_undos.next, struct sem_undo, of_process);
		struct sem_set *s = u->set;

		for (uint32_t i = 0; i < s->count; i++)
			if (u->adjust[i]) {
				s->sems[i].value = MIN(MAX(s->sems[i].value + u->adjust[i], 0), SEMVMX);
				s->sems[i].pid = p->pid;
			}
		s->operated_at = sysv_now();
		undo_free(u);
		values_changed(s);
	}
	mutex_unlock(&g_sem.lock);
}

/* --- control --- */

static long info(int cmd, void *user)
{
	struct seminfo i = { .semmap = SEMMAP, .semmni = SEMMNI, .semmns = SEMMNS, .semmnu = SEMMNU, .semmsl = SEMMSL,
			     .semopm = SEMOPM, .semume = SEMUME, .semusz = SEMUSZ, .semvmx = SEMVMX, .semaem = SEMAEM };
	long last;

	mutex_lock(&g_sem.lock);
	if (cmd == SEM_INFO) {
		i.semusz = (int)g_sem.count;
		i.semaem = (int)g_semaphores;
	}
	last = sysv_last_index(&g_sem);
	mutex_unlock(&g_sem.lock);
	return copy_to_user(user, &i, sizeof(i)) ? -EFAULT : last;
}

static long status(int id, int cmd, void *user)
{
	struct semid64_ds ds = { 0 };
	struct sysv_object *o;
	int err;

	mutex_lock(&g_sem.lock);
	o = cmd == IPC_STAT ? sysv_find(&g_sem, id, SYSV_READ, &err) :
			      sysv_find_listed(&g_sem, id, cmd == SEM_STAT_ANY, &err);
	if (o) {
		sysv_perm(o, &ds.sem_perm);
		ds.sem_otime = set_of(o)->operated_at;
		ds.sem_ctime = o->ctime;
		ds.sem_nsems = set_of(o)->count;
	}
	mutex_unlock(&g_sem.lock);
	return err < 0 ? err : copy_to_user(user, &ds, sizeof(ds)) ? -EFAULT : err;
}

static long set_perm(int id, const void *user)
{
	struct semid64_ds ds;
	struct sysv_object *o;
	int err;

	if (copy_from_user(&ds, user, sizeof(ds)))
		return -EFAULT;
	mutex_lock(&g_sem.lock);
	o = sysv_find(&g_sem, id, 0, &err);
	if (o)
		err = sysv_set(o, &ds.sem_perm);
	mutex_unlock(&g_sem.lock);
	return err;
}

static long get_all(const struct sem_set *s, uint16_t *user)
{
	long err = 0;

	for (uint32_t i = 0; i < s->count && !err; i++)
		err = put_user((uint16_t)s->sems[i].value, user + i);
	return err;
}

static void set_value(struct sem_set *s, uint32_t i, int value)
{
	s->sems[i].value = value;
	s->sems[i].pid = current()->process->pid;
	list_for_each(pos, &s->undos)
		list_entry(pos, struct sem_undo, of_set)->adjust[i] = 0;
}

static long set_all(struct sem_set *s, const uint16_t *user)
{
	uint16_t *values = kmalloc(s->count * sizeof(*values));
	long err = values ? copy_from_user(values, user, s->count * sizeof(*values)) : -ENOMEM;

	for (uint32_t i = 0; i < s->count && !err; i++)
		err = values[i] > SEMVMX ? -ERANGE : 0;
	for (uint32_t i = 0; i < s->count && !err; i++)
		set_value(s, i, values[i]);
	kfree(values);
	return err;
}

/* Who waits for one of s at number i: for its being 0, or for its growing. */
static long waiters(const struct sem_set *s, uint32_t i, bool zero)
{
	long n = 0;

	list_for_each(pos, &s->waiting) {
		const struct sembuf *op = list_entry(pos, struct sem_wait, sleeper.link)->blocking;

		n += op->sem_num == i && (op->sem_op == 0) == zero;
	}
	return n;
}

static long value_control(struct sem_set *s, int number, int cmd, unsigned long arg)
{
	if (number < 0 || (uint32_t)number >= s->count)
		return -EINVAL;
	switch (cmd) {
	case GETVAL:
		return s->sems[number].value;
	case GETPID:
		return s->sems[number].pid;
	case GETNCNT: case GETZCNT:
		return waiters(s, (uint32_t)number, cmd == GETZCNT);
	default:
		set_value(s, (uint32_t)number, (int)arg);
		return 0;
	}
}

static long values_control(int id, int number, int cmd, unsigned long arg)
{
	bool sets = cmd == SETVAL || cmd == SETALL;
	struct sysv_object *o;
	int err;
	long ret;

	if (cmd == SETVAL && ((int)arg < 0 || (int)arg > SEMVMX))
		return -ERANGE;
	mutex_lock(&g_sem.lock);
	o = sysv_find(&g_sem, id, 0, &err);
	if (!o)
		ret = err;
	else if (cmd == SETVAL && (number < 0 || (uint32_t)number >= set_of(o)->count))
		ret = -EINVAL; /* the number first, other than with the rest */
	else if (!sysv_may(o, sets ? SYSV_WRITE : SYSV_READ))
		ret = -EACCES;
	else if (cmd == GETALL)
		ret = get_all(set_of(o), (uint16_t *)arg);
	else if (cmd == SETALL)
		ret = set_all(set_of(o), (const uint16_t *)arg);
	else
		ret = value_control(set_of(o), number, cmd, arg);
	if (sets && !ret) {
		o->ctime = sysv_now();
		values_changed(set_of(o));
	}
	mutex_unlock(&g_sem.lock);
	return ret;
}

/* The last argument of others is a number, or what was left there. */
static bool takes_address(int cmd)
{
	return cmd == IPC_SET || cmd == IPC_STAT || cmd == IPC_INFO || cmd == GETALL || cmd == SETALL || cmd == SEM_INFO ||
	       cmd == SEM_STAT || cmd == SEM_STAT_ANY;
}

long sem_control(int id, int number, int cmd, unsigned long arg)
{
	if (id < 0)
		return -EINVAL;
	if (takes_address(cmd) && !address_in_program(arg))
		return -EFAULT;
	switch (cmd) {
	case IPC_INFO: case SEM_INFO:
		return info(cmd, (void *)arg);
	case IPC_STAT: case SEM_STAT: case SEM_STAT_ANY:
		return status(id, cmd, (void *)arg);
	case IPC_SET:
		return set_perm(id, (const void *)arg);
	case IPC_RMID:
		return sysv_remove(&g_sem, id);
	case GETVAL: case GETPID: case GETNCNT: case GETZCNT: case GETALL: case SETVAL: case SETALL:
		return values_control(id, number, cmd, arg);
	default:
		return -EINVAL;
	}
}

void proc_sysvipc_sem(struct text *t, const struct subject *s)
{
	(void)s;
	text_put(t, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
	mutex_lock(&g_sem.lock);
	sysv_for_each(&g_sem, o)
		text_put(t, "%10d %10d  %4o %10u %5u %5u %5u %5u %10lu %10lu\n", o->key, o->id, o->mode, set_of(o)->count, o->uid, o->gid,
			 o->cuid, o->cgid, set_of(o)->operated_at, o->ctime);
	mutex_unlock(&g_sem.lock);
}
