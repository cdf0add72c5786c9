/*
 * mq_notify(2): who asked to be told that a queue has a message, and is told, by a signal or through a netlink socket, at which the C
 * library's thread waits (net/netlink.c). Called by sys/sys_mqueue.c and ipc/mqueue.c.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "ipc/mqueue_internal.h"
#include "net/socket.h"
#include "thread/isolated.h"
#include "thread/thread.h"

void mqueue_take_notice(struct mqueue *q, uint8_t code, struct news *n)
{
	n->notice = q->notice;
	n->code = code;
	q->notice = (struct notice){ 0 };
}

static void notice_forget(struct notice *n)
{
	if (n->socket)
		file_put(n->socket);
	kfree(n->note);
	process_put(n->owner);
}

static void tell_owner(struct news *n)
{
	struct notice *to = &n->notice;
	const struct process *p = current()->process;
	siginfo_t info = { .si_signo = to->signal, .si_code = SI_MESGQ };

	if (to->how == SIGEV_THREAD) {
		to->note->data[NOTIFY_COOKIE_LEN - 1] = n->code;
		netlink_deliver(to->socket, to->note);
		to->note = NULL;
	} else if (to->how == SIGEV_SIGNAL && n->code == NOTIFY_WOKENUP && to->signal && !to->deaf) {
		info.si_pid = p->pid;
		info.si_uid = p->uid;
		info.si_value = to->value;
		(void)signal_send_process(to->owner, to->signal, &info);
	}
	notice_forget(to);
}

void mqueue_tell(struct mqueue *q, struct news *n)
{
	if (n->notice.owner)
		tell_owner(n);
	if (n->events)
		waitq_wake(&q->wait, n->events);
}

static int thread_notice(const sigevent_t *e, struct notice *n)
{
	int err;

	if (!in_program(e->sigev_value.sival_ptr))
		return -EFAULT;
	n->note = kzalloc(sizeof(*n->note));
	if (!n->note)
		return -ENOMEM;
	list_init(&n->note->link);
	err = copy_from_user(n->note->data, e->sigev_value.sival_ptr, NOTIFY_COOKIE_LEN);
	if (err)
		return err;
	n->socket = fd_get_open(e->sigev_signo);
	return n->socket ? netlink_check(n->socket) : -EBADF;
}

/* What the program wants; whatever becomes of it, the caller forgets it. */
static int notice_from_user(const void *user, struct notice *n)
{
	sigevent_t e;

	if (copy_from_user(&e, user, sizeof(e)))
		return -EFAULT;
	if (e.sigev_notify != SIGEV_NONE && e.sigev_notify != SIGEV_SIGNAL && e.sigev_notify != SIGEV_THREAD)
		return -EINVAL;
	if (e.sigev_notify == SIGEV_SIGNAL && (e.sigev_signo < 0 || e.sigev_signo > SIGNAL_COUNT))
		return -EINVAL;
	n->how = e.sigev_notify;
	n->signal = e.sigev_signo;
	n->value = e.sigev_value;
	return n->how == SIGEV_THREAD ? thread_notice(&e, n) : 0;
}

/* `wanted` without an owner: none. What is left in it is the caller's. */
static int set_notice(struct mqueue *q, struct notice *wanted, struct news *n)
{
	const struct process *p = current()->process;
	int ret = 0;

	mutex_lock(&g_mqueue_lock);
	if (wanted->owner && q->notice.owner) {
		ret = -EBUSY;
	} else if (wanted->owner) {
		q->notice = *wanted;
		*wanted = (struct notice){ 0 };
		mqueue_stamp(&q->atime, NULL, &q->ctime);
	} else if (q->notice.owner == p) {
		mqueue_take_notice(q, NOTIFY_REMOVED, n);
		mqueue_stamp(&q->atime, NULL, &q->ctime);
	}
	mutex_unlock(&g_mqueue_lock);
	return ret;
}

long mqueue_notify(int fd, const void *user)
{
	struct notice wanted = { 0 };
	struct news n = { 0 };
	struct file *f;
	int ret = user ? notice_from_user(user, &wanted) : 0;

	if (ret)
		goto out;
	if (user)
		wanted.owner = process_get(current()->process);
	f = fd_get(fd);
	if (f && mqueue_of(f)) {
		ret = set_notice(mqueue_of(f), &wanted, &n);
		mqueue_tell(mqueue_of(f), &n);
	} else {
		ret = -EBADF;
	}
	if (f)
		file_put(f);
out:
	notice_forget(&wanted);
	return ret;
}

void mqueue_exec(struct process *p)
{
	mutex_lock(&g_mqueue_lock);
	list_for_each(pos, &g_mqueues) {
		struct notice *n = &list_entry(pos, struct mqueue, link)->notice;

		n->deaf |= n->owner == p;
	}
	mutex_unlock(&g_mqueue_lock);
}

/* Each close by the process that asked to be told is the end of that, whichever descriptor it asked by. */
void mqueue_on_close(struct file *f)
{
	struct mqueue *q = f->data;
	struct news n = { 0 };

	mutex_lock(&g_mqueue_lock);
	if (q->notice.owner == current()->process)
		mqueue_take_notice(q, NOTIFY_REMOVED, &n);
	mutex_unlock(&g_mqueue_lock);
	mqueue_tell(q, &n);
}
