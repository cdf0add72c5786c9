/*
 * What the libOS's own objects share: the blocking loop, sleepers, SIGPIPE and inode numbers (ipc/block.h).
 */
#include "ipc/block.h"
#include "thread/thread.h"
#include <linux/time.h>

ssize_t block_until(struct waitq *q, uint32_t events, int64_t timeout_ns, ssize_t (*attempt)(void *ctx), void *ctx)
{
	int64_t deadline = timeout_ns > 0 ? clock_now(CLOCK_MONOTONIC) + timeout_ns : 0;
	struct waiter w;
	ssize_t ret;

	waiter_init_thread(&w, events);
	waitq_add(q, &w);
	while ((ret = attempt(ctx)) == -EAGAIN) {
		int err = thread_sleep(timeout_ns);

		if (err) {
			ret = err == -ETIMEDOUT ? -EAGAIN : err;
			break;
		}
		if (timeout_ns > 0)
			timeout_ns = MAX(deadline - clock_now(CLOCK_MONOTONIC), (int64_t)0);
	}
	waitq_remove(&w);
	return ret;
}

void sleeper_init(struct sleeper *s)
{
	list_init(&s->link);
	s->thread = current();
	s->result = SLEEPS;
}

void sleeper_wake(struct sleeper *s, int result)
{
	list_remove(&s->link);
	s->result = result;
	thread_wake(s->thread);
}

int sleeper_wait(struct sleeper *s, struct mutex *lock, int clock, int64_t deadline)
{
	while (s->result == SLEEPS) {
		int64_t timeout = deadline < 0 ? -1 : MAX(deadline - clock_now(clock), 0);
		int err;

		mutex_unlock(lock);
		err = thread_sleep(timeout);
		mutex_lock(lock);
		if (err && s->result == SLEEPS) {
			list_remove(&s->link);
			s->result = err;
		}
	}
	return s->result;
}

ssize_t broken_pipe(void)
{
	signal_send_self(SIGPIPE);
	return -EPIPE;
}

uint64_t anon_inode(void)
{
	static uint64_t g_next = 1024;

	return __atomic_fetch_add(&g_next, 1, __ATOMIC_RELAXED);
}

int anon_stat(struct file *f, struct statx *st)
{
	(void)f;
	st->stx_mask = STATX_BASIC_STATS;
	st->stx_mode = S_IRUSR | S_IWUSR;
	st->stx_nlink = 1;
	st->stx_blksize = 4096;
	return 0;
}

int numbered_stat(struct statx *st, uint32_t mode, uint64_t inode)
{
	st->stx_mask = STATX_BASIC_STATS;
	st->stx_mode = (uint16_t)mode;
	st->stx_nlink = 1;
	st->stx_blksize = 4096;
	st->stx_ino = inode;
	st->stx_uid = current()->process->euid;
	st->stx_gid = current()->process->egid;
	return 0;
}
