/*
 * System V message queues: messages with a type, taken in order or by type. Entry points of the system calls; a sleeper
 * tries again whenever any queue changes.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "ipc/block.h"
#include "ipc/sysv.h"
#include "sys/syscalls.h"

#include <linux/msg.h>

#define MESSAGE_MAX 8192
#define QUEUE_BYTES 16384
#define NOT_NOW 1 /* of an attempt: IPC_NOWAIT */

struct message {
	struct list link;
	long type;
	size_t size;
	char text[];
};

struct queue {
	struct sysv base; /* first */
	struct list messages;
	uint64_t bytes, count, bytes_max;
	int64_t sent, received, changed;
	int last_sender, last_receiver;
};

static struct sysv_kind g_queues = SYSV_KIND(g_queues);
static struct waitq g_changes = { .waiters = LIST_INIT(g_changes.waiters) };

static struct queue *queue_find(int id)
{
	return (struct queue *)sysv_find(&g_queues, id);
}

long sys_msgget(struct regs *r)
{
	int key = (int)arg(r, 0), flags = (int)arg(r, 1), error;
	struct queue *q;
	long ret;

	mutex_lock(&g_queues.lock);
	q = (struct queue *)sysv_get(&g_queues, key, flags, &error);
	ret = error;
	if (!q && !error) {
		q = kzalloc(sizeof(*q));
		ret = -ENOMEM;
		if (q) {
			list_init(&q->messages);
			q->bytes_max = QUEUE_BYTES;
			q->changed = sysv_now();
			sysv_add(&g_queues, &q->base, key, flags);
		}
	}
	if (q)
		ret = q->base.id;
	mutex_unlock(&g_queues.lock);
	return ret;
}

struct transfer {
	int id, flags;
	bool slept;
	struct message *message; /* to send; received */
	long type;
	size_t size; /* room */
};

static ssize_t not_now(struct transfer *t)
{
	if (t->flags & IPC_NOWAIT)
		return NOT_NOW;
	t->slept = true;
	return -EAGAIN;
}

static ssize_t try_send(void *ctx)
{
	struct transfer *t = ctx;
	struct queue *q;
	ssize_t ret = 0;

	mutex_lock(&g_queues.lock);
	q = queue_find(t->id);
	if (!q) {
		ret = t->slept ? -EIDRM : -EINVAL;
	} else if (q->bytes + t->message->size > q->bytes_max || q->count + 1 > q->bytes_max) {
		ret = not_now(t);
	} else {
		list_append(&q->messages, &t->message->link);
		t->message = NULL;
		q->count++;
		q->bytes += list_entry(q->messages.prev, struct message, link)->size;
		q->sent = sysv_now();
		q->last_sender = current()->process->pid;
	}
	mutex_unlock(&g_queues.lock);
	if (!ret)
		waitq_wake(&g_changes, 0);
	return ret;
}

static bool fits(const struct message *m, const struct transfer *t)
{
	if (t->type > 0)
		return (m->type == t->type) != !!(t->flags & MSG_EXCEPT);
	return t->type == 0 || m->type <= -t->type;
}

static ssize_t try_receive(void *ctx)
{
	struct transfer *t = ctx;
	struct message *best = NULL;
	struct queue *q;
	ssize_t ret = 0;

	mutex_lock(&g_queues.lock);
	q = queue_find(t->id);
	if (q)
		list_for_each(at, &q->messages) {
			struct message *m = list_entry(at, struct message, link);

			if (fits(m, t) && (!best || (t->type < 0 && m->type < best->type)))
				best = m;
		}
	if (!q) {
		ret = t->slept ? -EIDRM : -EINVAL;
	} else if (!best) {
		ret = not_now(t);
	} else if (best->size > t->size && !(t->flags & MSG_NOERROR)) {
		ret = -E2BIG;
	} else {
		list_remove(&best->link);
		t->message = best;
		q->count--;
		q->bytes -= best->size;
		q->received = sysv_now();
		q->last_receiver = current()->process->pid;
	}
	mutex_unlock(&g_queues.lock);
	if (!ret)
		waitq_wake(&g_changes, 0);
	return ret;
}

static ssize_t run(struct transfer *t, ssize_t (*attempt)(void *), long none)
{
	ssize_t ret = attempt(t);

	if (ret == -EAGAIN)
		ret = block_until(&g_changes, 0, -1, attempt, t);
	if (ret == -ERESTARTSYS)
		ret = -EINTR; /* never restarted (signal(7)) */
	return ret == NOT_NOW ? none : ret;
}

long sys_msgsnd(struct regs *r)
{
	struct transfer t = { .id = (int)arg(r, 0), .flags = (int)arg(r, 3) };
	const long *user = (const long *)arg(r, 1);
	size_t size = (size_t)arg(r, 2);
	long type, ret;

	if (size > MESSAGE_MAX || t.id < 0)
		return -EINVAL;
	if (get_user(type, user))
		return -EFAULT;
	if (type < 1)
		return -EINVAL;
	t.message = kmalloc(sizeof(*t.message) + size);
	if (!t.message)
		return -ENOMEM;
	t.message->type = type;
	t.message->size = size;
	ret = copy_from_user(t.message->text, user + 1, size) ? -EFAULT : run(&t, try_send, -EAGAIN);
	kfree(t.message);
	return ret;
}

long sys_msgrcv(struct regs *r)
{
	struct transfer t = { .id = (int)arg(r, 0), .flags = (int)arg(r, 4), .type = arg(r, 3), .size = (size_t)arg(r, 2) };
	long *user = (long *)arg(r, 1), ret;
	size_t size;

	if ((ssize_t)t.size < 0 || t.id < 0)
		return -EINVAL;
	if (t.flags & MSG_COPY)
		return -ENOSYS;
	ret = run(&t, try_receive, -ENOMSG);
	if (ret)
		return ret;
	size = MIN(t.message->size, t.size);
	ret = put_user(t.message->type, user) || copy_to_user(user + 1, t.message->text, size) ? -EFAULT : (long)size;
	kfree(t.message);
	return ret;
}

static void queue_free(struct queue *q)
{
	while (!list_empty(&q->messages)) {
		struct message *m = list_entry(q->messages.next, struct message, link);

		list_remove(&m->link);
		kfree(m);
	}
	kfree(q);
}

static long control(struct queue *q, int command, struct msqid64_ds *user)
{
	struct msqid64_ds ds = { .msg_perm = q->base.perm, .msg_stime = q->sent, .msg_rtime = q->received, .msg_ctime = q->changed,
				 .msg_cbytes = q->bytes, .msg_qnum = q->count, .msg_qbytes = q->bytes_max,
				 .msg_lspid = q->last_sender, .msg_lrpid = q->last_receiver };

	switch (command) {
	case IPC_STAT:
		return put_user(ds, user);
	case IPC_SET:
		if (get_user(ds, user))
			return -EFAULT;
		if (ds.msg_qbytes > QUEUE_BYTES)
			return -EPERM;
		sysv_set_perm(&q->base, &ds.msg_perm);
		q->bytes_max = ds.msg_qbytes;
		q->changed = sysv_now();
		return 0;
	case IPC_RMID:
		sysv_remove(&g_queues, &q->base);
		queue_free(q);
		return 0;
	default:
		return -EINVAL;
	}
}

long sys_msgctl(struct regs *r)
{
	struct queue *q;
	long ret = -EINVAL;

	mutex_lock(&g_queues.lock);
	q = queue_find((int)arg(r, 0));
	if (q)
		ret = control(q, (int)arg(r, 1), (struct msqid64_ds *)arg(r, 2));
	mutex_unlock(&g_queues.lock);
	if (q)
		waitq_wake(&g_changes, 0);
	return ret;
}
