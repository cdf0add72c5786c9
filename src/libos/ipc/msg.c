/*
 * System V message queues (ipc/sysv.h). A message goes straight to the one that has waited longest for its like; else it stands
 * in the queue, in libOS memory. Called by sys/sys_sysv.c.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "ipc/sysv.h"
#include "thread/thread.h"
#include <asm/msgbuf.h>
#include <linux/msg.h>

struct message {
	struct list link; /* queue->messages */
	int64_t type;
	uint64_t size;
	uint8_t text[];
};

struct msg_queue {
	struct sysv_object object;
	struct list messages;
	uint64_t count, bytes, bytes_max;
	int64_t sent_at, received_at; /* seconds */
	int32_t sender, receiver;     /* pids, of the last ones */
	struct list senders;	      /* struct sleeper: wait for room */
	struct list receivers;	      /* struct msg_receiver by sleeper.link, oldest first */
};

struct msg_receiver {
	struct sleeper sleeper;
	int64_t type;
	int flags;
	uint64_t size;
	int32_t pid;
	struct message *message; /* with result 0 */
};

static void remove_queue(struct sysv_object *o);
static struct sysv_kind g_msg = { .max = MSGMNI, .last = -1, .remove = remove_queue };
static uint64_t g_messages, g_bytes; /* of all queues */

static struct msg_queue *queue_of(struct sysv_object *o)
{
	return container_of(o, struct msg_queue, object);
}

static int make(void *arg, struct sysv_object **out)
{
	struct msg_queue *q = kzalloc(sizeof(*q));

	(void)arg;
	if (!q)
		return -ENOMEM;
	q->bytes_max = MSGMNB;
	list_init(&q->messages);
	list_init(&q->senders);
	list_init(&q->receivers);
	*out = &q->object;
	return 0;
}

long msg_get(int32_t key, int flags)
{
	return sysv_get(&g_msg, key, flags, make, NULL, NULL);
}

static void take(struct msg_queue *q, struct message *m)
{
	list_remove(&m->link);
	q->count--;
	q->bytes -= m->size;
	g_messages--;
	g_bytes -= m->size;
}

/* They look again, or find that the queue is gone. */
static void wake_senders(struct msg_queue *q, int result)
{
	while (!list_empty(&q->senders))
		sleeper_wake(list_entry(q->senders.next, struct sleeper, link), result);
}

static void remove_queue(struct sysv_object *o)
{
	struct msg_queue *q = queue_of(o);

	wake_senders(q, -EIDRM);
	while (!list_empty(&q->receivers))
		sleeper_wake(list_entry(q->receivers.next, struct sleeper, link), -EIDRM);
	while (!list_empty(&q->messages)) {
		struct message *m = list_entry(q->messages.next, struct message, link);

		take(q, m);
		kfree(m);
	}
	sysv_forget(&g_msg, o);
	kfree(q);
}

/* --- sending --- */

static bool matches(const struct message *m, int64_t type, int flags)
{
	if (!type)
		return true;
	if (type < 0)
		return m->type <= (type == INT64_MIN ? INT64_MAX : -type);
	return (m->type == type) != ((flags & MSG_EXCEPT) != 0);
}

static void received(struct msg_queue *q, int32_t pid)
{
	q->receiver = pid;
	q->received_at = sysv_now();
}

/* To who waits for it; who has too little room learns that. */
static bool hand_over(struct msg_queue *q, struct message *m)
{
	list_for_each_safe(pos, next, &q->receivers) {
		struct msg_receiver *r = list_entry(pos, struct msg_receiver, sleeper.link);

		if (!matches(m, r->type, r->flags))
			continue;
		if (r->size < m->size && !(r->flags & MSG_NOERROR)) {
			sleeper_wake(&r->sleeper, -E2BIG);
			continue;
		}
		r->message = m;
		received(q, r->pid);
		sleeper_wake(&r->sleeper, 0);
		return true;
	}
	return false;
}

static void put(struct msg_queue *q, struct message *m)
{
	q->sender = current()->process->pid;
	q->sent_at = sysv_now();
	if (hand_over(q, m))
		return;
	list_append(&q->messages, &m->link);
	q->count++;
	q->bytes += m->size;
	g_messages++;
	g_bytes += m->size;
}

/* Lock held; m is gone if 0. */
static int send(int id, struct message *m, int flags)
{
	for (;;) {
		struct sleeper s;
		struct sysv_object *o;
		struct msg_queue *q;
		int err;

		o = sysv_find(&g_msg, id, SYSV_WRITE, &err);
		if (!o)
			return err;
		q = queue_of(o);
		if (q->bytes + m->size <= q->bytes_max && q->count < q->bytes_max) {
			put(q, m);
			return 0;
		}
		if (flags & IPC_NOWAIT)
			return -EAGAIN;
		sleeper_init(&s);
		list_append(&q->senders, &s.link);
		err = sysv_sleep(&g_msg, &s, -1);
		if (err)
			return err == -EINTR ? -ERESTARTNOHAND : err;
	}
}

long msg_send(int id, const void *user, uint64_t size, int flags)
{
	struct message *m;
	int64_t type;
	int ret;

	if (get_user(type, (const int64_t *)user))
		return -EFAULT;
	if (size > MSGMAX || id < 0 || type < 1)
		return -EINVAL;
	m = kmalloc(sizeof(*m) + size);
	if (!m)
		return -ENOMEM;
	list_init(&m->link);
	m->type = type;
	m->size = size;
	ret = copy_from_user(m->text, (const int64_t *)user + 1, size);
	if (!ret) {
		mutex_lock(&g_msg.lock);
		ret = send(id, m, flags);
		mutex_unlock(&g_msg.lock);
	}
	if (ret)
		kfree(m);
	return ret;
}

/* --- receiving --- */

/* With a type below 0 the first of the lowest type. */
static struct message *find_message(const struct msg_queue *q, int64_t type, int flags)
{
	struct message *found = NULL;
	int64_t n = 0;

	list_for_each(pos, &q->messages) {
		struct message *m = list_entry(pos, struct message, link);

		if (flags & MSG_COPY ? n++ == type : matches(m, type, flags) && (!found || m->type < found->type)) {
			found = m;
			if (type >= 0)
				break;
		}
	}
	return found;
}

static struct message *copy_message(const struct message *m)
{
	struct message *copy = kmalloc(sizeof(*m) + m->size);

	if (copy) {
		*copy = (struct message){ .type = m->type, .size = m->size };
		list_init(&copy->link);
		memcpy(copy->text, m->text, m->size);
	}
	return copy;
}

/* Lock held: a message that is the caller's. */
static int receive(int id, struct msg_receiver *r)
{
	struct sysv_object *o;
	struct msg_queue *q;
	struct message *m;
	int err;

	o = sysv_find(&g_msg, id, SYSV_READ, &err);
	if (!o)
		return err;
	q = queue_of(o);
	m = find_message(q, r->type, r->flags);
	if (m && r->size < m->size && !(r->flags & MSG_NOERROR))
		return -E2BIG;
	if (m && (r->flags & MSG_COPY)) {
		r->message = copy_message(m);
		return r->message ? 0 : -ENOMEM;
	}
	if (m) {
		take(q, m);
		received(q, r->pid);
		wake_senders(q, 0);
		r->message = m;
		return 0;
	}
	if (r->flags & IPC_NOWAIT)
		return -ENOMSG;
	list_append(&q->receivers, &r->sleeper.link);
	err = sysv_sleep(&g_msg, &r->sleeper, -1);
	return err == -EINTR ? -ERESTARTNOHAND : err;
}

long msg_receive(int id, void *user, uint64_t size, long type, int flags)
{
	struct msg_receiver r = { .type = type, .flags = flags, .size = size, .pid = current()->process->pid };
	long ret;

	if (id < 0 || (int64_t)size < 0 || ((flags & MSG_COPY) && ((flags & MSG_EXCEPT) || !(flags & IPC_NOWAIT))))
		return -EINVAL;
	sleeper_init(&r.sleeper);
	mutex_lock(&g_msg.lock);
	ret = receive(id, &r);
	mutex_unlock(&g_msg.lock);
	if (ret)
		return ret;
	size = MIN(size, r.message->size);
	ret = put_user(r.message->type, (int64_t *)user);
	if (!ret)
		ret = copy_to_user((int64_t *)user + 1, r.message->text, size);
	kfree(r.message);
	return ret ? ret : (long)size;
}

/* --- control --- */

static long info(int cmd, void *user)
{
	struct msginfo i = { .msgpool = MSGPOOL, .msgmap = MSGMAP, .msgmax = MSGMAX, .msgmnb = MSGMNB, .msgmni = MSGMNI,
			     .msgssz = MSGSSZ, .msgtql = MSGTQL, .msgseg = MSGSEG };
	long last;

	mutex_lock(&g_msg.lock);
	if (cmd == MSG_INFO) {
		i.msgpool = (int)g_msg.count;
		i.msgmap = (int)g_messages;
		i.msgtql = (int)g_bytes;
	}
	last = sysv_last_index(&g_msg);
	mutex_unlock(&g_msg.lock);
	return copy_to_user(user, &i, sizeof(i)) ? -EFAULT : last;
}

static long status(int id, int cmd, void *user)
{
	struct msqid64_ds ds = { 0 };
	struct sysv_object *o;
	int err;

	mutex_lock(&g_msg.lock);
	o = cmd == IPC_STAT ? sysv_find(&g_msg, id, SYSV_READ, &err) :
			      sysv_find_listed(&g_msg, id, cmd == MSG_STAT_ANY, &err);
	if (o) {
		const struct msg_queue *q = queue_of(o);

		sysv_perm(o, &ds.msg_perm);
		ds.msg_stime = q->sent_at;
		ds.msg_rtime = q->received_at;
		ds.msg_ctime = o->ctime;
		ds.msg_cbytes = q->bytes;
		ds.msg_qnum = q->count;
		ds.msg_qbytes = q->bytes_max;
		ds.msg_lspid = q->sender;
		ds.msg_lrpid = q->receiver;
	}
	mutex_unlock(&g_msg.lock);
	return err < 0 ? err : copy_to_user(user, &ds, sizeof(ds)) ? -EFAULT : err;
}

static long set(int id, const void *user)
{
	struct msqid64_ds ds;
	struct sysv_object *o;
	int err;

	if (copy_from_user(&ds, user, sizeof(ds)))
		return -EFAULT;
	mutex_lock(&g_msg.lock);
	o = sysv_find(&g_msg, id, 0, &err);
	if (o && (!sysv_is_owner(o) || (ds.msg_qbytes > MSGMNB && current()->process->euid)))
		err = -EPERM;
	else if (o)
		err = sysv_set(o, &ds.msg_perm);
	if (o && !err) {
		queue_of(o)->bytes_max = ds.msg_qbytes;
		wake_senders(queue_of(o), 0);
	}
	mutex_unlock(&g_msg.lock);
	return err;
}

long msg_control(int id, int cmd, void *user)
{
	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO: case MSG_INFO:
		return info(cmd, user);
	case IPC_STAT: case MSG_STAT: case MSG_STAT_ANY:
		return status(id, cmd, user);
	case IPC_SET:
		return set(id, user);
	case IPC_RMID:
		return sysv_remove(&g_msg, id);
	default:
		return -EINVAL;
	}
}

void proc_sysvipc_msg(struct text *t, const struct subject *s)
{
	(void)s;
	text_put(t, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n");
	mutex_lock(&g_msg.lock);
	sysv_for_each(&g_msg, o) {
		const struct msg_queue *q = queue_of(o);

		text_put(t, "%10d %10d  %4o  %10lu %10lu %5u %5u %5u %5u %5u %5u %10lu %10lu %10lu\n", o->key, o->id, o->mode, q->bytes, q->count,
			 (uint32_t)q->sender, (uint32_t)q->receiver, o->uid, o->gid, o->cuid, o->cgid, (uint64_t)q->sent_at,
			 (uint64_t)q->received_at, (uint64_t)o->ctime);
	}
	mutex_unlock(&g_msg.lock);
}
