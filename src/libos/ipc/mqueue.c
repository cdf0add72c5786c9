/*
 * POSIX message queues (ipc/mqueue.h). A message goes straight to the one that has waited longest; else it stands in the queue,
 * in libOS memory. A queue lives while it has a name or is open. Called by sys/sys_mqueue.c.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/inode.h"
#include "ipc/block.h"
#include "ipc/mqueue_internal.h"
#include "thread/clock.h"
#include "thread/thread.h"
#include <linux/resource.h>
#include <linux/time.h>

/* /proc/sys/fs/mqueue (fs/proc_system.c), and what user 0 may have. */
#define QUEUES_MAX 256u
#define MESSAGES_MAX 10
#define MESSAGE_SIZE_MAX 8192
#define HARD_MESSAGES_MAX 65536
#define HARD_MESSAGE_SIZE_MAX (16 << 20)
/* What Linux counts for RLIMIT_MSGQUEUE besides the texts: a message, and a priority in use. */
#define MESSAGE_COST 48u
#define PRIORITY_COST 48u

#define MAY_READ 4u
#define MAY_WRITE 2u

struct message {
	struct list link; /* queue->messages */
	uint32_t priority;
	uint64_t size;
	uint8_t text[];
};

struct mq_sleeper {
	struct sleeper sleeper;
	struct message *message; /* a receiver's with result 0; a sender's, until then its own */
};

struct mutex g_mqueue_lock;
struct list g_mqueues = LIST_INIT(g_mqueues);
static uint32_t g_count;

/* --- queues --- */

void mqueue_stamp(int64_t *a, int64_t *b, int64_t *c)
{
	*c = clock_now(CLOCK_REALTIME);
	if (a)
		*a = *c;
	if (b)
		*b = *c;
}

/* Lock held: the queue, if that was the last reference, for destroy() when the lock is free. */
static struct mqueue *unref(struct mqueue *q)
{
	if (--q->refs)
		return NULL;
	list_remove(&q->link);
	g_count--;
	return q;
}

static void destroy(struct mqueue *q)
{
	struct news n = { 0 };

	if (!q)
		return;
	mqueue_take_notice(q, NOTIFY_REMOVED, &n);
	mqueue_tell(q, &n);
	list_for_each_safe(pos, next, &q->messages)
		kfree(list_entry(pos, struct message, link));
	kfree(q->name);
	kfree(q);
}

void mqueue_release(struct file *f)
{
	struct mqueue *gone;

	mutex_lock(&g_mqueue_lock);
	gone = unref(f->data);
	mutex_unlock(&g_mqueue_lock);
	destroy(gone);
}

static struct mqueue *find(const char *name)
{
	list_for_each(pos, &g_mqueues) {
		struct mqueue *q = list_entry(pos, struct mqueue, link);

		if (q->named && !strcmp(q->name, name))
			return q;
	}
	return NULL;
}

static uint64_t paid_by(uint32_t user)
{
	uint64_t sum = 0;

	list_for_each(pos, &g_mqueues) {
		const struct mqueue *q = list_entry(pos, struct mqueue, link);

		sum += q->payer == user ? q->cost : 0;
	}
	return sum;
}

/* Are these attributes possible for the caller? What they cost in *cost. */
static int check_attributes(const struct mq_attr *a, uint64_t *cost)
{
	struct process *p = current()->process;
	bool root = p->euid == 0;
	uint64_t count = (uint64_t)a->mq_maxmsg;

	if (a->mq_maxmsg <= 0 || a->mq_msgsize <= 0 || a->mq_maxmsg > (root ? HARD_MESSAGES_MAX : MESSAGES_MAX) ||
	    a->mq_msgsize > (root ? HARD_MESSAGE_SIZE_MAX : MESSAGE_SIZE_MAX))
		return -EINVAL;
	*cost = count * ((uint64_t)a->mq_msgsize + MESSAGE_COST) + MIN(count, (uint64_t)MQ_PRIO_MAX) * PRIORITY_COST;
	return paid_by(p->uid) + *cost > process_limit(p, RLIMIT_MSGQUEUE) ? -EMFILE : 0;
}

/* Lock held: a queue of that name, whose reference is the name's. */
static struct mqueue *create(const char *name, uint32_t mode, const struct mq_attr *attr, int *error)
{
	const struct process *p = current()->process;
	struct mq_attr a = { .mq_maxmsg = attr ? attr->mq_maxmsg : MESSAGES_MAX,
			     .mq_msgsize = attr ? attr->mq_msgsize : MESSAGE_SIZE_MAX };
	struct mqueue *q;
	uint64_t cost;

	*error = g_count >= QUEUES_MAX && p->euid ? -ENOSPC : check_attributes(&a, &cost);
	if (*error)
		return NULL;
	q = kzalloc(sizeof(*q));
	if (q)
		q->name = kstrdup(name);
	if (!q || !q->name) {
		kfree(q);
		*error = -ENOMEM;
		return NULL;
	}
	q->refs = 1;
	q->named = true;
	q->mode = mode & 07777 & ~process_umask();
	q->uid = p->euid;
	q->gid = p->egid;
	q->payer = p->uid;
	q->cost = cost;
	q->inode = anon_inode();
	q->attr = a;
	mqueue_stamp(&q->atime, &q->mtime, &q->ctime);
	list_init(&q->messages);
	list_init(&q->senders);
	list_init(&q->receivers);
	waitq_init(&q->wait);
	list_append(&g_mqueues, &q->link);
	g_count++;
	return q;
}

/* --- names --- */

static bool may(const struct mqueue *q, uint32_t wanted)
{
	struct process *p = current()->process;
	uint32_t granted = p->euid == q->uid ? q->mode >> 6 : process_in_group(p, q->gid) ? q->mode >> 3 : q->mode;

	return p->euid == 0 || !(wanted & ~granted);
}

/* A name of one component, without the slash that the C library takes off. */
static int name_from_user(const char *user, char **out)
{
	char *name;
	int err = path_from_user(user, &name);

	if (err)
		return err;
	if (!*name)
		err = -ENOENT;
	else if (!strcmp(name, ".") || !strcmp(name, ".."))
		err = -EACCES;
	for (const char *c = name; *c && !err; c++)
		err = *c == '/' ? -EACCES : 0;
	if (!err && strlen(name) > NAME_MAX)
		err = -ENAMETOOLONG;
	if (err)
		pathbuf_put(name);
	else
		*out = name;
	return err;
}

static int check_open(const struct mqueue *q, uint32_t flags)
{
	static const uint32_t wanted[] = { [O_RDONLY] = MAY_READ, [O_WRONLY] = MAY_WRITE, [O_RDWR] = MAY_READ | MAY_WRITE };

	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	return may(q, wanted[flags & O_ACCMODE]) ? 0 : -EACCES;
}

/* Lock held: the queue of that name, found or made, or NULL. */
static struct mqueue *find_or_create(const char *name, uint32_t flags, uint32_t mode, const struct mq_attr *attr, bool *made, int *error)
{
	struct mqueue *q = find(name);

	*made = !q;
	if (q) {
		*error = check_open(q, flags);
		return *error ? NULL : q;
	}
	*error = -ENOENT;
	return flags & O_CREAT ? create(name, mode, attr, error) : NULL;
}

/* Lock held: the queue if it is to be destroyed. */
static struct mqueue *drop_name(struct mqueue *q)
{
	q->named = false;
	q->ctime = clock_now(CLOCK_REALTIME);
	return unref(q);
}

long mqueue_open(const char *user, uint32_t flags, uint32_t mode, const struct mq_attr *attr)
{
	struct mqueue *q, *gone = NULL;
	struct file *f = NULL;
	bool made;
	char *name;
	int ret = name_from_user(user, &name);

	if (ret)
		return ret;
	mutex_lock(&g_mqueue_lock);
	q = find_or_create(name, flags, mode, attr, &made, &ret);
	if (q) {
		f = file_alloc(&g_mqueue_ops, flags & ~(uint32_t)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_PATH), q);
		ret = -ENOMEM;
	}
	if (f) {
		q->refs++;
		file_get(f); /* not the last reference: its release takes the lock */
		ret = fd_install(f, 0, true);
	}
	if (q && made && ret < 0)
		gone = drop_name(q);
	mutex_unlock(&g_mqueue_lock);
	if (f)
		file_put(f);
	destroy(gone);
	pathbuf_put(name);
	return ret;
}

long mqueue_unlink(const char *user)
{
	uint32_t id = current()->process->euid;
	struct mqueue *q, *gone = NULL;
	char *name;
	int ret = name_from_user(user, &name);

	if (ret)
		return ret;
	mutex_lock(&g_mqueue_lock);
	q = find(name);
	if (!q)
		ret = -ENOENT;
	else if (id && id != q->uid)
		ret = -EPERM; /* the directory is sticky */
	else
		gone = drop_name(q);
	mutex_unlock(&g_mqueue_lock);
	destroy(gone);
	pathbuf_put(name);
	return ret;
}

/* --- sending --- */

static void insert(struct mqueue *q, struct message *m)
{
	struct list *at = q->messages.prev;

	while (at != &q->messages && list_entry(at, struct message, link)->priority < m->priority)
		at = at->prev;
	list_insert_after(at, &m->link);
	q->attr.mq_curmsgs++;
	q->bytes += m->size;
}

static struct mq_sleeper *first_of(struct list *sleepers)
{
	return list_empty(sleepers) ? NULL : list_entry(sleepers->next, struct mq_sleeper, sleeper.link);
}

static int sleep_in(struct list *sleepers, struct mq_sleeper *s, int64_t deadline)
{
	sleeper_init(&s->sleeper);
	list_append(sleepers, &s->sleeper.link);
	return sleeper_wait(&s->sleeper, &g_mqueue_lock, CLOCK_REALTIME, deadline);
}

/* Lock held; m is gone if 0. */
static int send(struct mqueue *q, struct message *m, bool wait, int64_t deadline, struct news *n)
{
	struct mq_sleeper s = { .message = m }, *receiver = first_of(&q->receivers);

	if (q->attr.mq_curmsgs == q->attr.mq_maxmsg)
		return wait ? sleep_in(&q->senders, &s, deadline) : -EAGAIN;
	mqueue_stamp(&q->atime, &q->mtime, &q->ctime);
	if (receiver) {
		receiver->message = m;
		sleeper_wake(&receiver->sleeper, 0);
		return 0;
	}
	insert(q, m);
	n->events = EPOLLIN | EPOLLRDNORM;
	if (q->attr.mq_curmsgs == 1 && q->notice.owner)
		mqueue_take_notice(q, NOTIFY_WOKENUP, n);
	return 0;
}

static int send_text(struct file *f, const void *text, uint64_t size, uint32_t priority, int64_t deadline)
{
	struct mqueue *q = mqueue_of(f);
	struct news n = { 0 };
	struct message *m;
	int ret;

	if (!q || ((f->flags & O_ACCMODE) != O_WRONLY && (f->flags & O_ACCMODE) != O_RDWR))
		return -EBADF;
	if (size > (uint64_t)q->attr.mq_msgsize)
		return -EMSGSIZE;
	m = kmalloc(sizeof(*m) + size);
	if (!m)
		return -ENOMEM;
	list_init(&m->link);
	m->priority = priority;
	m->size = size;
	ret = copy_from_user(m->text, text, size);
	if (!ret) {
		mutex_lock(&g_mqueue_lock);
		ret = send(q, m, !(f->flags & O_NONBLOCK), deadline, &n);
		mutex_unlock(&g_mqueue_lock);
		mqueue_tell(q, &n);
	}
	if (ret)
		kfree(m);
	return ret;
}

long mqueue_send(int fd, const void *text, uint64_t size, uint32_t priority, int64_t deadline)
{
	struct file *f;
	bool held;
	int ret;

	if (priority >= MQ_PRIO_MAX)
		return -EINVAL;
	f = fd_borrow(fd, &held);
	if (!f)
		return -EBADF;
	ret = send_text(f, text, size, priority, deadline);
	fd_return(f, held);
	return ret;
}

/* --- receiving --- */

/* There is a message: the first one. Who waits longest for room has it now. */
static struct message *take(struct mqueue *q, struct news *n)
{
	struct message *m = list_entry(q->messages.next, struct message, link);
	struct mq_sleeper *sender = first_of(&q->senders);

	list_remove(&m->link);
	q->attr.mq_curmsgs--;
	q->bytes -= m->size;
	mqueue_stamp(&q->atime, &q->mtime, &q->ctime);
	if (sender) {
		insert(q, sender->message);
		sleeper_wake(&sender->sleeper, 0);
	} else {
		n->events = EPOLLOUT | EPOLLWRNORM;
	}
	return m;
}

static int receive(struct mqueue *q, bool wait, int64_t deadline, struct message **out)
{
	struct mq_sleeper s = { 0 };
	struct news n = { 0 };
	int ret = 0;

	mutex_lock(&g_mqueue_lock);
	if (!list_empty(&q->messages))
		s.message = take(q, &n);
	else
		ret = wait ? sleep_in(&q->receivers, &s, deadline) : -EAGAIN;
	mutex_unlock(&g_mqueue_lock);
	mqueue_tell(q, &n);
	*out = s.message;
	return ret;
}

static long receive_text(struct file *f, void *text, uint64_t size, uint32_t *priority, int64_t deadline)
{
	struct mqueue *q = mqueue_of(f);
	struct message *m;
	long ret;

	if (!q || ((f->flags & O_ACCMODE) != O_RDONLY && (f->flags & O_ACCMODE) != O_RDWR))
		return -EBADF;
	if (size < (uint64_t)q->attr.mq_msgsize)
		return -EMSGSIZE;
	ret = receive(q, !(f->flags & O_NONBLOCK), deadline, &m);
	if (ret)
		return ret;
	if ((priority && put_user(m->priority, priority)) || copy_to_user(text, m->text, m->size))
		ret = -EFAULT; /* and lost */
	else
		ret = (long)m->size;
	kfree(m);
	return ret;
}

long mqueue_receive(int fd, void *text, uint64_t size, uint32_t *priority, int64_t deadline)
{
	bool held;
	struct file *f = fd_borrow(fd, &held);
	long ret;

	if (!f)
		return -EBADF;
	ret = receive_text(f, text, size, priority, deadline);
	fd_return(f, held);
	return ret;
}
