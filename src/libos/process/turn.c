/*
 * Whose turn it is (process/turn.h). Who waits stands in a queue; the first in it takes the turn when nobody has it any more,
 * and after a slice asks the threads that have it to give it up: a kick ends what they wait for in the host, and on the way back
 * to the program they queue up themselves.
 */
#include "process/turn.h"
#include "core/hostcall.h"
#include "core/log.h"
#include "fs/file.h"
#include "thread/clock.h"

#include <asm/poll.h>
#include <linux/time.h>

#define SLICE_NS 4000000ll
#define LINGER_NS 150000ll /* less than it costs to change twice between large programs */
#define LINGER_PAUSE 31

struct turn_waiter {
	struct list link; /* family->waiting */
	struct program *program;
	uint32_t word; /* futex word: counts wake-ups */
};

static struct turn_waiter *first_waiter(const struct family *f)
{
	return list_empty(&f->waiting) ? NULL : list_entry(f->waiting.next, struct turn_waiter, link);
}

/* f->lock held. */
static void wake_first(struct family *f)
{
	struct turn_waiter *w = first_waiter(f);

	if (w) {
		__atomic_fetch_add(&w->word, 1, __ATOMIC_SEQ_CST);
		hostcall(HC_futex_wake, &w->word, 1);
	}
}

static void ask_process(struct process *p, void *data)
{
	const struct family *f = data;

	mutex_lock(&p->lock);
	list_for_each(pos, &p->threads) {
		struct thread *t = list_entry(pos, struct thread, link);

		if (t->turn == f && t != current())
			thread_notify(t, WORK_TURN);
	}
	mutex_unlock(&p->lock);
}

/* Who has the turn is to give it up. */
static void ask_all(struct family *f)
{
	process_tree_lock();
	process_for_each(ask_process, f);
	process_tree_unlock();
}

static bool change(struct family *f, struct program *p)
{
	static bool said;

	if (!family_switch(f, p)) {
		f->since = clock_now(CLOCK_MONOTONIC);
		return true;
	}
	if (!__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
		log_text("fork: a process waits for memory, to take the place of another one (raise the cVM's memory)");
	return false;
}

/* Takes the turn for t's program if nobody else has it. f->lock held. */
static bool take(struct family *f, struct thread *t, struct program *p)
{
	if (f->alone || (f->there != p && (f->running || !change(f, p))))
		return false;
	f->running++;
	t->turn = f;
	return true;
}

/* What is left of the slice of whoever is there; at least a little, since memory may be short, too. */
static int64_t patience(const struct family *f)
{
	return MAX(f->since + SLICE_NS - clock_now(CLOCK_MONOTONIC), SLICE_NS / 16);
}

void turn_enter(struct thread *t)
{
	struct program *p = t->process->program;
	struct family *f = p->family;
	struct turn_waiter w = { .program = p };

	mutex_lock(&f->lock);
	if (t->turn || (likely(list_empty(&f->waiting)) && take(f, t, p))) { /* begin() may just have given it one */
		mutex_unlock(&f->lock);
		return;
	}
	list_append(&f->waiting, &w.link);
	while (first_waiter(f) != &w || !take(f, t, p)) {
		uint32_t seen = __atomic_load_n(&w.word, __ATOMIC_SEQ_CST);
		bool first = first_waiter(f) == &w, over = clock_now(CLOCK_MONOTONIC) - f->since >= SLICE_NS;
		int64_t wait = patience(f);

		mutex_unlock(&f->lock);
		if (first && over)
			ask_all(f);
		(void)hostcall(HC_futex_wait, &w.word, seen, first ? wait : -1);
		mutex_lock(&f->lock);
	}
	list_remove(&w.link);
	wake_first(f); /* it need not wait, being of the same program, or measures the slice now */
	mutex_unlock(&f->lock);
}

void turn_leave(struct thread *t)
{
	struct family *f = t->turn;

	t->turn = NULL;
	__atomic_fetch_and(&t->work, ~WORK_TURN, __ATOMIC_SEQ_CST);
	mutex_lock(&f->lock);
	f->running--;
	if (f->alone)
		hostcall(HC_futex_wake, &f->running, 1);
	if (!f->running) {
		if (f->count == 1 && f->there && list_empty(&f->waiting))
			__atomic_store_n(&f->active, false, __ATOMIC_SEQ_CST);
		wake_first(f);
	}
	mutex_unlock(&f->lock);
}

/* A client that has been answered often asks at once again, and until another program was there and this one is back, several such
 * answers could have been given. Who waited in vain, or got a signal, does not try again for some time; if nobody wants the turn there
 * is no need to. */
bool turn_linger(int handle, short events)
{
	struct thread *t = current();
	struct pollfd p[2] = { { .fd = handle, .events = events }, { .events = POLLIN } };

	if (!t->turn || __atomic_load_n(&t->turn->waiting.next, __ATOMIC_RELAXED) == &t->turn->waiting)
		return false;
	if (t->no_linger) {
		t->no_linger--;
		return false;
	}
	p[1].fd = thread_timer(LINGER_NS);
	if (p[1].fd >= 0 && hostcall_blocking(HC_poll, p, 2, -1) > 0 && p[0].revents)
		return true;
	t->no_linger = LINGER_PAUSE;
	return false;
}

void turn_await(const struct file *f, int handle, short events)
{
	struct thread *t = current();
	struct pollfd p = { .fd = handle, .events = events };

	if (likely(!turn_is_shared(t)) || (f->flags & O_NONBLOCK))
		return;
	while (!hostcall(HC_poll, &p, 1, 0)) { /* also again: another process may have taken what came */
		long n;

		if (turn_linger(handle, events))
			continue;
		turn_release(t);
		n = hostcall_blocking(HC_poll, &p, 1, -1);
		turn_resume(t);
		if ((n < 0 && work_pending()) || !turn_is_shared(t))
			return;
	}
}

void turn_yield(struct thread *t)
{
	turn_leave(t);
	turn_resume(t);
}

bool turn_interrupted(void)
{
	struct thread *t = current();

	if (__atomic_load_n(&t->work, __ATOMIC_RELAXED) != WORK_TURN)
		return false;
	__atomic_fetch_and(&t->work, ~WORK_TURN, __ATOMIC_SEQ_CST);
	if (t->turn)
		turn_yield(t);
	return true;
}

struct begin {
	struct program *program;
	struct family *family;
};

static void begin_process(struct process *p, void *data)
{
	struct begin *b = data;

	mutex_lock(&p->lock); /* who executes another program now has given up its turn behind this lock */
	list_for_each(pos, &p->threads) {
		struct thread *t = list_entry(pos, struct thread, link);

		if (p->program == b->program && !t->turn) {
			t->turn = b->family;
			b->family->running++;
		}
	}
	mutex_unlock(&p->lock);
}

/* The calling thread keeps the turn and all others give it up. False: one of them is about to fork. */
static bool be_alone(struct family *f)
{
	mutex_lock(&f->lock);
	if (f->alone) {
		mutex_unlock(&f->lock);
		return false;
	}
	f->alone = true;
	while (f->running > 1) {
		uint32_t running = f->running;

		mutex_unlock(&f->lock);
		ask_all(f);
		(void)hostcall(HC_futex_wait, &f->running, running, SLICE_NS / 4);
		mutex_lock(&f->lock);
	}
	mutex_unlock(&f->lock);
	return true;
}

/* From now on turns are needed; `joins`, if there is one, becomes one of the family for [start, end). */
static int begin(struct program *p, struct program *joins, uint64_t start, uint64_t end)
{
	struct begin b = { .program = p };
	int err;

	process_tree_lock();
	err = family_begin(p);
	b.family = p->family;
	if (!err) {
		mutex_lock(&b.family->lock);
		if (!b.family->active) {
			__atomic_store_n(&b.family->active, true, __ATOMIC_SEQ_CST);
			process_for_each(begin_process, &b);
		}
		if (joins)
			err = family_join(b.family, joins, start, end);
		mutex_unlock(&b.family->lock);
	}
	process_tree_unlock();
	return err;
}

int turn_fork_begin(struct program *p)
{
	for (;;) {
		int err = begin(p, NULL, 0, 0);

		if (err || be_alone(p->family))
			return err;
		turn_yield(current());
	}
}

void turn_fork_end(struct program *p)
{
	struct family *f = p->family;

	mutex_lock(&f->lock);
	f->alone = false;
	wake_first(f);
	mutex_unlock(&f->lock);
}

int turn_join(uint64_t start, uint64_t end)
{
	struct program *other;
	int err = mm_occupant(start, end, &other);

	if (!err)
		err = other ? begin(other, current()->process->program, start, end) : -EAGAIN;
	program_put(other);
	return err;
}

/* Who most likely is there after p: who waits, or who was first, which is a parent. */
static struct program *successor(const struct family *f, const struct program *p)
{
	struct turn_waiter *w = first_waiter(f);

	if (w)
		return w->program;
	list_for_each(pos, &f->members) {
		struct program *other = list_entry(pos, struct program, family_link);

		if (other != p)
			return other;
	}
	return NULL;
}

void turn_end(struct program *p)
{
	struct family *f = p->family;
	struct thread *t = current();
	bool last;

	mutex_lock(&f->lock);
	/* The thread's own program it was; not so if a fork failed. */
	if (t->turn == f && !(t->process->program && t->process->program->family == f)) {
		t->turn = NULL;
		f->running--;
	}
	if (f->there == p)
		f->since = clock_now(CLOCK_MONOTONIC);
	family_leave(f, p, successor(f, p));
	last = !f->count;
	if (!f->running)
		wake_first(f);
	mutex_unlock(&f->lock);
	if (last)
		family_free(f);
}
