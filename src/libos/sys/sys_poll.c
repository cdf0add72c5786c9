/*
 * poll(2), ppoll(2), select(2), pselect6(2): copy the set in, wait (fs/poll.c), copy the answer out.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/poll_set.h"
#include "sys/syscalls.h"
#include "sys/wait_args.h"
#include "thread/isolated.h"

#include <asm/poll.h>
#include <linux/time.h>

#define SELECT_IN ((uint32_t)(EPOLLRDNORM | EPOLLRDBAND | EPOLLIN | EPOLLHUP | EPOLLERR))
#define SELECT_OUT ((uint32_t)(EPOLLWRBAND | EPOLLWRNORM | EPOLLOUT | EPOLLERR))
#define SELECT_EXCEPT ((uint32_t)EPOLLPRI)

static struct poll_entry *set_alloc(struct poll_entry *small, unsigned count)
{
	return count <= POLL_SET_SMALL ? small : kmalloc(count * sizeof(struct poll_entry));
}

static void set_free(struct poll_entry *set, struct poll_entry *small, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (set[i].file)
			file_put(set[i].file);
	if (set != small)
		kfree(set);
}

/* Fills the set from the program's pollfds; counts descriptors that are not open (POLLNVAL) in *invalid. */
static long pollfds_in(struct poll_entry *set, const struct pollfd *user, unsigned count, unsigned *invalid)
{
	struct pollfd chunk[POLL_SET_SMALL];

	for (unsigned i = 0; i < count; i++) {
		unsigned at = i % POLL_SET_SMALL;

		set[i].file = NULL;
		if (at == 0 && copy_from_user(chunk, user + i, MIN(count - i, POLL_SET_SMALL) * sizeof(*chunk))) {
			while (++i < count)
				set[i].file = NULL;
			return -EFAULT;
		}
		set[i].revents = 0;
		set[i].events = (uint16_t)chunk[at].events;
		if (chunk[at].fd < 0)
			continue;
		set[i].file = fd_get(chunk[at].fd);
		if (set[i].file && (set[i].file->flags & O_PATH)) {
			file_put(set[i].file);
			set[i].file = NULL;
		}
		if (!set[i].file) {
			set[i].events = ~0u; /* remembered until the answer is written */
			++*invalid;
		}
	}
	return 0;
}

static long do_poll(struct pollfd *user, unsigned count, int64_t timeout)
{
	struct poll_entry small[POLL_SET_SMALL], *set;
	unsigned invalid = 0;
	long ret;

	if (count > fd_limit())
		return -EINVAL;
	set = set_alloc(small, count);
	if (!set)
		return -ENOMEM;
	ret = pollfds_in(set, user, count, &invalid);
	if (ret == 0)
		ret = poll_set_wait(set, count, invalid ? 0 : timeout);
	if (ret >= 0) {
		ret += invalid;
		for (unsigned i = 0; i < count; i++) {
			uint32_t revents = !set[i].file ? (set[i].events == ~0u ? POLLNVAL : 0) : set[i].revents;

			if (put_user((short)revents, &user[i].revents)) {
				ret = -EFAULT;
				break;
			}
		}
	}
	set_free(set, small, count);
	return ret;
}

/* A stop or another thread's signal does not begin the time anew: Linux keeps its end, too. */
long sys_poll(struct regs *r)
{
	struct thread *t = current();
	int ms = (int)arg(r, 2);
	int64_t timeout = ms < 0 ? -1 : (int64_t)ms * 1000000, deadline = 0;
	long ret;

	if (timeout > 0)
		deadline = wait_end(t, timeout);
	if (unlikely(t->restarting))
		timeout = MAX(deadline - clock_now(CLOCK_MONOTONIC), (int64_t)0);
	ret = do_poll((struct pollfd *)arg(r, 0), (unsigned)arg(r, 1), timeout);
	return ret == -ERESTARTNOHAND && deadline ? wait_again(t, deadline) : ret;
}

/* Linux writes the time left back, and never fails because of it. */
static void time_left(struct timespec *user, int64_t deadline)
{
	int64_t left = MAX(deadline - clock_now(CLOCK_MONOTONIC), (int64_t)0);
	struct timespec ts = { left / NSEC_PER_SEC, left % NSEC_PER_SEC };

	(void)!copy_to_user(user, &ts, sizeof(ts));
}

long sys_ppoll(struct regs *r)
{
	struct timespec *user_timeout = (struct timespec *)arg(r, 2);
	int64_t timeout, deadline = 0;
	int err = wait_timeout(user_timeout, &timeout);
	long ret;

	if (!err)
		err = wait_mask((const void *)arg(r, 3), (size_t)arg(r, 4));
	if (err)
		return err;
	if (timeout > 0)
		deadline = clock_now(CLOCK_MONOTONIC) + timeout;
	ret = poll_mask_end(do_poll((struct pollfd *)arg(r, 0), (unsigned)arg(r, 1), timeout));
	if (timeout > 0)
		time_left(user_timeout, deadline);
	return ret;
}

struct select_sets {
	unsigned long *in[3], *out[3]; /* read, write, except; NULL if not given */
	size_t size;		       /* bytes of each */
	unsigned long bits[6 * 16];    /* for up to 1024 descriptors */
	unsigned long *memory;	       /* for more */
};

static bool test_bit(const unsigned long *set, unsigned n)
{
	return set && (set[n / 64] >> (n % 64) & 1);
}

static int select_in(struct select_sets *s, unsigned n, void *const user[3])
{
	unsigned long *at = s->bits;

	s->size = ALIGN_UP(n, 64u) / 8;
	s->memory = NULL;
	if (6 * s->size > sizeof(s->bits)) {
		at = s->memory = kmalloc(6 * s->size);
		if (!at)
			return -ENOMEM;
	}
	memset(at, 0, 6 * s->size);
	for (int i = 0; i < 3; i++, at += s->size / 4) {
		s->in[i] = user[i] ? at : NULL;
		s->out[i] = at + s->size / 8;
		if (user[i] && copy_from_user(at, user[i], s->size))
			return -EFAULT;
	}
	return 0;
}

static uint32_t select_events(const struct select_sets *s, unsigned fd)
{
	return (test_bit(s->in[0], fd) ? SELECT_IN : 0) | (test_bit(s->in[1], fd) ? SELECT_OUT : 0) |
	       (test_bit(s->in[2], fd) ? SELECT_EXCEPT : 0);
}

/* Turns the answers into bits; returns how many. */
static long select_out(struct select_sets *s, const struct poll_entry *set, unsigned n)
{
	static const uint32_t mask[3] = { SELECT_IN, SELECT_OUT, SELECT_EXCEPT };
	long bits = 0;

	for (unsigned fd = 0, i = 0; fd < n; fd++) {
		if (!select_events(s, fd))
			continue;
		for (int k = 0; k < 3; k++) {
			if (test_bit(s->in[k], fd) && (set[i].revents & mask[k])) {
				s->out[k][fd / 64] |= 1ul << (fd % 64);
				bits++;
			}
		}
		i++;
	}
	return bits;
}

static long select_wait(struct select_sets *s, unsigned n, int64_t timeout)
{
	struct poll_entry small[POLL_SET_SMALL], *set;
	unsigned count = 0, filled = 0;
	long ret = 0;

	for (unsigned fd = 0; fd < n; fd++)
		count += select_events(s, fd) != 0;
	set = set_alloc(small, count);
	if (!set)
		return -ENOMEM;
	for (unsigned fd = 0; fd < n && ret == 0; fd++) {
		uint32_t events = select_events(s, fd);

		if (!events)
			continue;
		set[filled].events = events;
		set[filled].file = fd_get((int)fd);
		if (set[filled].file)
			filled++;
		else
			ret = -EBADF;
	}
	if (ret == 0)
		ret = poll_set_wait(set, count, timeout);
	if (ret >= 0)
		ret = select_out(s, set, n);
	set_free(set, small, filled);
	return ret;
}

static long do_select(int nfds, void *const user[3], int64_t timeout)
{
	struct select_sets s;
	unsigned n;
	long ret;

	if (nfds < 0)
		return -EINVAL;
	n = MIN((unsigned)nfds, fd_limit());
	ret = select_in(&s, n, user);
	if (ret == 0)
		ret = select_wait(&s, n, timeout);
	for (int i = 0; ret >= 0 && i < 3; i++)
		if (user[i] && copy_to_user(user[i], s.out[i], s.size))
			ret = -EFAULT;
	kfree(s.memory);
	return ret;
}

long sys_select(struct regs *r)
{
	void *const sets[3] = { (void *)arg(r, 1), (void *)arg(r, 2), (void *)arg(r, 3) };
	struct timeval *user_timeout = (struct timeval *)arg(r, 4);
	struct timeval tv;
	int64_t timeout = -1, deadline = 0;
	long ret;

	if (user_timeout) {
		if (copy_from_user(&tv, user_timeout, sizeof(tv)))
			return -EFAULT;
		if (tv.tv_sec < 0 || tv.tv_usec < 0)
			return -EINVAL;
		tv.tv_sec = MIN(tv.tv_sec, (int64_t)1 << 32);
		timeout = tv.tv_sec * NSEC_PER_SEC + MIN(tv.tv_usec, (int64_t)1 << 50) * 1000;
		if (timeout > 0)
			deadline = clock_now(CLOCK_MONOTONIC) + timeout;
	}
	ret = do_select((int)arg(r, 0), sets, timeout);
	if (timeout > 0) {
		int64_t left = MAX(deadline - clock_now(CLOCK_MONOTONIC), (int64_t)0);

		tv.tv_sec = left / NSEC_PER_SEC;
		tv.tv_usec = left % NSEC_PER_SEC / 1000;
		(void)!copy_to_user(user_timeout, &tv, sizeof(tv));
	}
	return ret;
}

long sys_pselect6(struct regs *r)
{
	void *const sets[3] = { (void *)arg(r, 1), (void *)arg(r, 2), (void *)arg(r, 3) };
	struct timespec *user_timeout = (struct timespec *)arg(r, 4);
	struct {
		const void *mask;
		size_t size;
	} sig = { NULL, 0 };
	int64_t timeout, deadline = 0;
	int err = wait_timeout(user_timeout, &timeout);
	long ret;

	if (!err && arg(r, 5) && (copy_from_user(&sig, (const void *)arg(r, 5), sizeof(sig)) || !in_program(sig.mask)))
		err = -EFAULT;
	if (!err)
		err = wait_mask(sig.mask, sig.size);
	if (err)
		return err;
	if (timeout > 0)
		deadline = clock_now(CLOCK_MONOTONIC) + timeout;
	ret = poll_mask_end(do_select((int)arg(r, 0), sets, timeout));
	if (timeout > 0)
		time_left(user_timeout, deadline);
	return ret;
}
