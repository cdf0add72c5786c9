/*
 * Memory of programs that are not there (mm/family.h): a mapping goes aside to a place elsewhere in the slot, and comes back; or what is
 * in its stead and has the same size, its twin, exchanges bytes with it. All under mm->lock.
 */
#ifndef LIBOS_ASIDE_H
#define LIBOS_ASIDE_H

#include "mm/vma.h"

/* A mapping of a program that is not there. */
struct aside {
	struct list link;   /* program->aside */
	struct vma *home;   /* as it was, out of the map */
	struct vma *twin;   /* while families switch: what takes its place, and gives it its own */
	struct vma *place;  /* in the map: where its memory is meanwhile; NULL if it has none, or a file has it */
};

/* Is it the program's own content, which two programs cannot have at one address? */
bool vma_is_personal(const struct vma *v);
/* Is it as its file is? Then it need not be kept. */
bool vma_is_of_file(const struct vma *v);
/* Has it memory of its own, that a copy needs, too? */
bool vma_has_memory(const struct vma *v);
bool vma_is_small(const struct vma *v);
void vma_change_owner(struct vma *v, struct program *to);

/* A mapping of p's in the map, where what is at `home` may be put; takes one spare. NULL: no room. */
struct vma *place_make(struct mm *mm, struct program *p, uint64_t home, uint64_t size);
void place_drop(struct mm *mm, struct vma *v);
/* Memory that can be written to. 0 or negative errno. */
nodiscard int place_commit(uint64_t at, uint64_t size);
/* [from, from + size), which is accessible as `prot` says, to memory that can be written to. 0 or negative errno. */
nodiscard int memory_copy(uint64_t to, uint64_t from, uint64_t size, uint32_t prot);

/* v is to be put aside: an entry of `made`, with a place. 0 or -ENOMEM. */
nodiscard int aside_make(struct mm *mm, struct vma *v, struct list *made);
void asides_put(struct mm *mm, struct list *made); /* memory and mappings go aside; `made` is empty then */
void asides_drop(struct mm *mm, struct list *made); /* they stay */
void aside_free(struct mm *mm, struct aside *a);
/* The memory of a's home comes back from its place, or from the file. */
void memory_back(const struct aside *a);

/* Decides what of p's and of `there`'s will be exchanged; then it is: each is in the other's stead. */
void twins_find(struct mm *mm, const struct program *there, struct program *p);
void twins_forget(struct program *p);
void twins_exchange(struct mm *mm, struct program *p);

#endif
