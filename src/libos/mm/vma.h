/*
 * The map of a cVM's processes: struct vma for each mapping, in a balanced tree that knows the free gaps, and in a list by
 * address. Only mm/ includes this. Everything here is called with mm->lock held.
 */
#ifndef LIBOS_VMA_H
#define LIBOS_VMA_H

#include "core/list.h"
#include "core/lock.h"
#include "core/types.h"
#include "mm/mm.h"

#define VMA_SHARED 1u	 /* MAP_SHARED */
#define VMA_BACKED 2u	 /* the host has memory there (else it is only reserved: PROT_NONE so far) */
#define VMA_GROWSDOWN 4u
#define VMA_STACK 8u	 /* the first stack (stack.c) */
#define VMA_HEAP 16u	 /* brk */
#define VMA_DIRTY 32u	 /* private file mapping that was writable at some time */
#define VMA_NO_WRITE 64u /* shared mapping of a file that is open read-only, or sealed */
#define VMA_LOCKED 128u	 /* mlock: counted, nothing more */
#define VMA_HOLE 256u	 /* nothing, kept free for a member of the family (family.h) */
#define VMA_PLACE 512u	 /* memory of a program that is not there */

#define STACK_GUARD 0x100000ull /* Linux's stack_guard_gap */
#define VMA_COUNT_MAX 65530u /* vm.max_map_count */

/* Stubs of one translated segment: unmapped when the last piece of the segment goes. */
struct code_map {
	uint64_t stubs; /* address */
	uint64_t size;	/* bytes */
	uint32_t refs;
};

struct vma {
	uint64_t start, end;
	uint32_t prot, flags;	/* PROT_*, VMA_* */
	struct program *program; /* whose it is: set by vma_insert to the calling process's; its reference is not owned */
	struct file *file;	/* owned reference; NULL for anonymous memory */
	off_t offset;		/* of start in the file */
	struct code_map *code;	/* owned reference; NULL if there are no stubs */
	uint64_t stamp;		/* forked programs' mappings with the same one have the same bytes (family.c); 0: unknown */
	bool has_twin;		/* family.c, while it switches */
	struct list link;	/* mm->list, by address */
	struct vma *left, *right; /* treap by address */
	uint32_t priority;
	uint64_t gap;		/* free bytes before start, down to the previous mapping */
	uint64_t max_gap;	/* greatest gap in the subtree */
};

struct mm {
	struct mutex lock; /* everything below */
	struct vma *root;
	struct list list;
	uint32_t count;
	uint64_t base;	   /* of the slot */
	bool low_window;   /* SLOT_LOW_BASE..SLOT_LOW_END are ours too */
	uint64_t mmap_top; /* automatic addresses go downwards from here */
	uint64_t stack_top;
	uint64_t image_skip; /* random distance of the first image from its window's end */
	uint32_t brk_windows; /* bit n: some program's break is in the n-th (brk.c) */
	bool wx_sealed;	   /* some writable and executable memory is executable now: write_exec.c */
	uint32_t wx_cleared; /* how often all of it was made writable: before wx_sealed becomes false */
	int32_t wx_tid;	   /* thread that turned ... */
	uint64_t wx_page;  /* ... this page last, or EVERY_PAGE ... */
	int64_t wx_time;   /* ... at this time (CLOCK_MONOTONIC) */
	struct list out_of_line; /* translations of pages that may not execute: out_of_line.c */
	uint32_t random;   /* state of the priorities' generator */
	struct vma *spare; /* linked by ->right */
	uint32_t spares;
};

struct program {
	uint32_t refs;	   /* atomic */
	uint32_t watchers; /* atomic: who looks; all of refs together are one */
	struct mm *mm;	   /* never changes; its lock guards the rest */
	uint64_t total;	   /* bytes mapped */
	uint64_t brk_start, brk_now;
	uint64_t stack_floor; /* as far down as the first stack may be used */
	uint32_t brk_window; /* bit in mm->brk_windows, 0: none */
	bool lock_future;  /* mlockall(MCL_FUTURE) */
	struct mm_args args; /* not locked: written by exec, when there is one thread */
	struct family *family; /* made by fork (family.h), or NULL */
	struct list family_link;
	struct list aside; /* struct aside: what it has while it is not there */
	struct list attached; /* of System V shared memory; ipc/shm.c's, with its lock */
};

struct mm *mm_current(void);
struct program *program_current(void);
/* Does p, or the calling process, have it there, alone or with its family? */
bool vma_is_of(const struct vma *v, const struct program *p);
bool vma_is_own(const struct vma *v);

/* Make sure that `count` vma_take()s succeed. */
nodiscard int vma_reserve(struct mm *mm, unsigned count);
struct vma *vma_take(struct mm *mm); /* zeroed */
void vma_free(struct mm *mm, struct vma *v); /* drops its references; not in the tree */

void vma_insert(struct mm *mm, struct vma *v);
void vma_remove(struct mm *mm, struct vma *v);
/* new, with the same addresses, takes old's place. */
void vma_replace(struct mm *mm, struct vma *old, struct vma *new);
void vma_resize(struct mm *mm, struct vma *v, uint64_t start, uint64_t end); /* keeps its place; offset unchanged */
/* The mapping that contains addr, or the next one above it; NULL if there is none. */
struct vma *vma_find(struct mm *mm, uint64_t addr);
struct vma *vma_next(struct mm *mm, struct vma *v);
struct vma *vma_prev(struct mm *mm, struct vma *v);
/* Cut v at addr (inside it): v keeps the lower part, the upper one is returned. Takes one spare. */
struct vma *vma_split(struct mm *mm, struct vma *v, uint64_t addr);
/* Join v with its neighbours where they are alike; returns the mapping that contains v's start. */
struct vma *vma_merge(struct mm *mm, struct vma *v);
/* Remove all mappings in [start, end) from the map (not from the host); takes up to two spares. */
void vma_clear(struct mm *mm, uint64_t start, uint64_t end);
/* Highest free range of `size` in [low, high), aligned; 0 if none. */
uint64_t vma_gap(struct mm *mm, uint64_t low, uint64_t high, uint64_t size, uint64_t align);
bool vma_range_free(struct mm *mm, uint64_t start, uint64_t end);
/* The first mapping in [start, end) that the calling process does not have alone, or NULL. */
struct vma *vma_foreign(struct mm *mm, uint64_t start, uint64_t end);

/* mm/backing.c: make the host's memory in [start, end) (inside v) what v->file, offset and flags say, with access `prot`.
 * Sets v->code on a new code mapping. 0 or negative errno. */
nodiscard int backing_map(struct vma *v, uint64_t start, uint64_t end, uint32_t prot);
/* Change the access of host memory that is there already. */
nodiscard int backing_protect(struct vma *v, uint64_t start, uint64_t end, uint32_t prot);
int backing_release(uint64_t start, uint64_t end);
/* What was written there becomes code; a page that may not execute can be read. 0 or negative errno. */
nodiscard int backing_seal(uint64_t start, uint64_t end);
/* The translation (HC_mem_map_code) of what lies at `offset`. Bytes of stubs, or negative errno. */
long backing_map_image(uint64_t start, uint64_t size, int handle, off_t offset, uint32_t flags);
void code_map_put(struct code_map *c);

static inline bool is_wx(uint32_t prot)
{
	return (prot & (PROT_WRITE | PROT_EXEC)) == (PROT_WRITE | PROT_EXEC);
}

uint64_t lockable(const struct program *p); /* mm/mlock.c: bytes that RLIMIT_MEMLOCK leaves the calling process */

/* mm/stack.c: is it room below the first stack? A fault in it, or below a stack that may grow down to addr: 0, or -EFAULT for a real one. */
bool vma_is_room(const struct vma *v);
nodiscard int stack_use_room(struct mm *mm, struct vma *v, uint64_t addr);
nodiscard int stack_grow(struct mm *mm, struct vma *v, uint64_t addr);

/* mm/write_exec.c: a fault in v (which contains the address). 0: done, -EAGAIN: another thread's turn, -EFAULT: a real one. */
nodiscard int write_exec_fault(struct mm *mm, const struct vma *v, struct mm_fault *f);

/* mm/out_of_line.c: f->rip, where an instruction could not be fetched, becomes where its translation is. False: there is none. */
bool out_of_line_known(const struct mm *mm, struct mm_fault *f);
/* The same, with a new translation of the page, which cannot be written to. */
bool out_of_line_enter(struct mm *mm, struct mm_fault *f);
/* Has any page in [start, end) one? */
bool out_of_line_any(const struct mm *mm, uint64_t start, uint64_t end);
/* Is there one, of this page or of the one before it, that holds as long as nobody can write to the page? */
bool out_of_line_needs(const struct mm *mm, uint64_t page);
/* The bytes in [start, end) may change from now on. */
void out_of_line_end(struct mm *mm, uint64_t start, uint64_t end);
/* What was mapped there is gone, code or translations. */
void out_of_line_unmapped(struct mm *mm, uint64_t start, uint64_t end);

/* mm/map.c */
nodiscard bool range_valid(const struct mm *mm, uint64_t addr, uint64_t size);
bool in_image_window(const struct mm *mm, uint64_t addr, uint64_t size);
uint64_t choose_address(struct mm *mm, uint64_t size, uint64_t align);
bool over_limit(uint64_t more); /* RLIMIT_AS */
int refuse_shared(const char *call); /* -EACCES */
nodiscard int unmap_locked(struct mm *mm, uint64_t start, uint64_t end); /* the calling process's mappings there */
void unmap_program(struct mm *mm, const struct program *p);		       /* all of p's */

#endif
