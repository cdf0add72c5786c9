/*
 * Turns: programs made of one another by fork (mm/family.h) cannot be in memory at the same time. A thread of such a
 * program has the turn while it executes the program, or what may touch its memory; it gives it up where it sleeps, and when
 * another program has waited for a slice of time. Nothing here costs programs that do not fork more than a look at a word.
 */
#ifndef LIBOS_TURN_H
#define LIBOS_TURN_H

#include "mm/family.h"
#include "thread/thread.h"

/* Takes part in turns and has none now. */
static inline bool turn_is_needed(const struct thread *t)
{
	const struct program *p = t->process->program;

	return unlikely(p && p->family) && !t->turn && __atomic_load_n(&p->family->active, __ATOMIC_SEQ_CST) && !thread_is_hidden(t);
}

void turn_enter(struct thread *t); /* t: the calling thread; waits, no matter which signals come */
void turn_leave(struct thread *t);

/* A wait in the host that a kick might just miss ends by itself, for another look at what this thread was given or is asked for. */
#define TURN_LOOK_NS 20000000ll

/* Around a wait that touches nothing of the program, with no lock held. */
static inline void turn_release(struct thread *t)
{
	if (unlikely(t->turn))
		turn_leave(t);
}

static inline void turn_resume(struct thread *t)
{
	if (turn_is_needed(t))
		turn_enter(t);
}

/* Before a call of the host that may wait and reads or writes the program's memory: until it probably will not. A socket with a
 * timeout of its own, or a file that does not block, is not waited for. */
void turn_await(const struct file *f, int handle, short events);
static inline bool turn_is_shared(const struct thread *t)
{
	return unlikely(t->turn) && t->turn->count > 1;
}

/* Before the turn is given up to wait in the host for that: true if it came shortly. */
bool turn_linger(int handle, short events);

void turn_yield(struct thread *t); /* to who waits; with WORK_TURN */
/* Behind a wait that was interrupted, with no lock held: was it only for the turn, which others have had now? Else it ends. */
bool turn_interrupted(void);

/* Around the copy that fork(2) makes of the calling thread's program: turns are needed from now on, and no other thread has one
 * meanwhile, since what it changed would be copied in part. 0, or -ENOMEM: no copy, and no end. */
nodiscard int turn_fork_begin(struct program *p);
void turn_fork_end(struct program *p);
/* exec's part: the calling process's program, which is empty, gets [start, end) in turns with those that have it. 0, or as
 * family_join, and without the turn: turn_resume. */
nodiscard int turn_join(uint64_t start, uint64_t end);
/* The last reference to a program with a family is gone. */
void turn_end(struct program *p);

#endif
