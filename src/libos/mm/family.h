/*
 * Programs that want the same addresses, of which a cVM has one set: those made of one another by fork, and those linked at the
 * same fixed ones. One of them is there at a time, and what the others have at such addresses is aside, somewhere else in the slot.
 * What forked ones all have alike for good (shared mappings, code, files mapped and never written, but not at fixed addresses)
 * stays where it is and belongs to the family. A member leaves with execve or its end. Who is there when: process/turn.c.
 */
#ifndef LIBOS_FAMILY_H
#define LIBOS_FAMILY_H

#include "mm/vma.h"

struct family {
	struct mutex lock; /* before mm->lock, which guards members, too */
	struct list members; /* struct program by family_link */
	uint32_t count;
	struct program *there; /* NULL: nobody */
	struct program common; /* owns what all have, and the holes: addresses that members aside will want again */
	/* process/turn.c */
	bool active;	  /* threads need the turn: there are others, or the only program is not there. atomic */
	bool alone;	  /* a thread forks: nobody else gets it */
	uint32_t running; /* threads that have it; futex word of who wants to be alone */
	int64_t since;	  /* CLOCK_MONOTONIC ns: when it came to `there` */
	struct list waiting;
};

/* The calling process's program becomes a family of one, unless it has one. mm->lock not held. 0 or -ENOMEM. */
nodiscard int family_begin(struct program *p);
/* A copy of p, which is there, as a new member that is aside. NULL with *error. */
nodiscard struct program *family_fork(struct program *p, int *error);
/* p, which is empty, wants [start, end), which f's members have or want: it becomes one of them, aside, with a reservation there, and
 * what those that are not there still have there goes aside. Lock held. 0, -ENOMEM, or -EAGAIN: they have gone. */
nodiscard int family_join(struct family *f, struct program *p, uint64_t start, uint64_t end);
/* p is there from now on. Lock held, and nobody has the turn. 0, or -ENOMEM: nothing happened. */
nodiscard int family_switch(struct family *f, struct program *p);
/* p's memory goes, and p from its family. If p was there, `next`, another member or NULL, is now: f->there tells. Lock held, and nobody
 * has the turn if p was there. */
void family_leave(struct family *f, struct program *p, struct program *next);
void family_free(struct family *f); /* it has no members */

/* With mm->lock held: p becomes a member. */
void family_add(struct family *f, struct program *p);
/* With mm->lock held: does a member that is aside want any of [start, end)? */
bool family_wants(const struct family *f, uint64_t start, uint64_t end);
/* With mm->lock held, for the calling process: before it maps memory of its own at fixed addresses, that may be ones which members
 * aside will want; and after it changed the map there: what they will want and nobody has is kept free. */
void family_use(struct mm *mm, uint64_t start, uint64_t end);
void family_keep_own(struct mm *mm, uint64_t start, uint64_t end);

#endif
