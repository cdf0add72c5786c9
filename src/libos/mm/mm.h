/*
 * Program memory: what is mapped where. The libOS decides addresses; the monitor enforces the slot. All processes of a cVM
 * live in its one slot and map (struct mm); what belongs to one of them is its struct program, which execve makes, vfork
 * shares and exit frees. Calls that name addresses find only what the calling process's program has mapped.
 */
#ifndef LIBOS_MM_H
#define LIBOS_MM_H

#include "abi/slot.h"
#include "core/types.h"
#include <linux/mman.h>

struct file;
struct file_ops;
struct mm;
struct program;

#define MM_STACK_MAX 0x800000ull /* 8 MiB: RLIMIT_STACK, and what a stack may grow to */

nodiscard struct mm *mm_create(uint64_t slot_base); /* of the cVM: every process->mm */
/* An empty one, with one reference; or NULL. */
nodiscard struct program *program_create(struct mm *mm);
struct program *program_get(struct program *p);
void program_put(struct program *p); /* the last one unmaps everything; NULL is fine */
/* For who only looks: p stays, but what it has mapped may go. */
struct program *program_watch(struct program *p);
void program_unwatch(struct program *p);
/* Addresses below 2 GiB for a program linked at a fixed place (abi/slot.h); -EBUSY while another cVM has them. */
nodiscard int mm_take_low_window(void);
/* mmap(2) and friends on the calling process; addresses or negative errno. `f` is borrowed. */
nodiscard long mm_map(uint64_t addr, uint64_t size, int prot, int flags, struct file *f, off_t offset);
nodiscard int mm_unmap(uint64_t addr, uint64_t size);
nodiscard int mm_protect(uint64_t addr, uint64_t size, int prot);
nodiscard long mm_remap(uint64_t addr, uint64_t old_size, uint64_t new_size, int flags, uint64_t new_addr);
nodiscard int mm_advise(uint64_t addr, uint64_t size, int advice);
nodiscard int mm_sync(uint64_t addr, uint64_t size, int flags);
nodiscard long mm_brk(uint64_t addr);
void mm_brk_init(void); /* choose the program break's start at random (exec) */
/* Is the page mapped and backed (mincore)? Fills one byte a page; -ENOMEM at a hole. */
nodiscard int mm_incore(uint64_t addr, uint64_t pages, uint8_t *vector);
/* For execve: is there nothing in [start, end), or only what goes with the calling process's program? */
bool mm_will_be_free(uint64_t start, uint64_t end);
/* The program with which another one could take turns there (mm/family.h): a reference, or NULL if nobody is there, or who is is
 * about to go. -EBUSY: somebody is with whom it could not. */
nodiscard int mm_occupant(uint64_t start, uint64_t end, struct program **other);
/* [start, end) is kept for the calling process. -EBUSY: it is not free. */
nodiscard int mm_reserve_fixed(uint64_t start, uint64_t end);
/* For the loader: a place in an image window, reserved (address or -ENOMEM), and the first stack, of MM_STACK_MAX (its top). */
nodiscard long mm_place_image(uint64_t span, uint64_t align);
nodiscard long mm_map_stack(void);
/* The calling thread will use the first stack from addr upwards, if that is there. */
void mm_stack_reach(uint64_t addr);

/* Maps shared memory of a capability into a reservation of the program (PROT_NONE, private) by this hostcall with five arguments,
 * of which (addr, size) are some. 0 or negative errno; -EINVAL: there is none that has all of it. mm_unmap undoes it. */
nodiscard long mm_map_capability(long hostcall, const uint64_t *args, uint64_t addr, uint64_t size);

/* Where the first stack's parts are, for /proc/self/cmdline, environ and auxv. Written by the loader. */
struct mm_args {
	uint64_t arg_start, arg_end, env_start, env_end;
	uint64_t auxv, auxv_size;
};
struct mm_args *mm_args(struct program *p);

/* For crash reports and /proc/PID/maps: calls `visit` for each mapping of p in order of address. */
struct mm_range {
	uint64_t start, end;
	int prot;
	bool shared;
	off_t offset;
	uint64_t device, inode;
	const char *name; /* path, "[heap]", "[stack]", "[vdso]" or "" */
};
void mm_for_each(const struct program *p, void (*visit)(const struct mm_range *range, void *data), void *data);
/* What an address means to all processes that have the same memory there, for futexes. False: nothing is mapped. */
struct mm_place {
	const void *object;
	uint64_t offset;
};
bool mm_place_of(uint64_t addr, struct mm_place *out);
/* Unless a process of the cVM has a shared mapping of these ops and data that may be written: the map locked, until mm_let_map. */
bool mm_keep_unshared(const struct file_ops *ops, const void *data);
void mm_let_map(void);
/* Of the file with this data, mapped by p from addr on: is any page in [addr, addr + size) still there? What is of it goes, for the
 * calling process, and nothing that was mapped over it. */
bool mm_shows_object(const struct program *p, uint64_t addr, uint64_t size, const void *object);
nodiscard int mm_unmap_object(uint64_t addr, uint64_t size, const void *object);
/* Copies what p has at addr, in one mapping, wherever that is now. False: nothing. */
bool mm_read(const struct program *p, void *to, uint64_t addr, size_t size);
bool mm_find(uint64_t addr, struct mm_range *out, char *name, size_t name_size);
/* mlock and munlock, mlockall and munlockall: locked memory counts against RLIMIT_MEMLOCK and is not treated otherwise. */
nodiscard int mm_lock(uint64_t addr, uint64_t size, bool locked, bool at_once); /* at_once: -ENOMEM if there is no access */
nodiscard int mm_lock_all(bool now, bool future);
uint64_t mm_locked_size(const struct program *p);
uint64_t mm_total_size(const struct program *p); /* bytes mapped, for /proc/PID/statm and RLIMIT_AS */
/* A fault of the program. 0 if it was resolved (the stack grew, a page became executable or writable), else -EFAULT. */
struct mm_fault {
	uint64_t address, rip; /* rip: where to go on, if the fault was handled */
	bool write, fetch, key; /* key: it was a protection key that refused */
};
int mm_handle_fault(struct mm_fault *fault);
/* The address in the program of code that runs elsewhere, if rip lies there between two instructions; else rip. */
uint64_t out_of_line_origin(uint64_t rip);
/* A system call gave EFAULT. True if it may do better now: memory that is also executable was not writable. */
bool mm_make_writable(void);

#endif
