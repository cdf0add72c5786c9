/*
 * What entry.S and the C code around it know of each other: entry points, the windows that upcalls treat specially, and
 * the vector state helpers. Included by thread/ and signal/ only.
 */
#ifndef LIBOS_ENTRY_H
#define LIBOS_ENTRY_H

#include "base/copy.h"
#include "thread/thread.h"

/* Places in entry.S and core/uaccess.S; never called from C. */
extern char syscall_entry[], syscall_entry_switched[], fast_exit_begin[], fast_exit_jump[];
extern char slow_exit_begin[], slow_exit_iret[], upcall_entry[], thread_entry[];
extern char blocking_begin[], blocking_end[], words_begin[], words_end[], vector_save_insn[], vector_save_fixup[];
extern char uaccess_start[], uaccess_end[], uaccess_fixup[];

_Static_assert(ERESTARTSYS == ERESTART_FIRST, "entry.S");

static inline bool is_restart_code(long ret)
{
	return (uint64_t)(ret + ERESTART_LAST) <= ERESTART_LAST - ERESTART_FIRST;
}

_Noreturn void thread_leave_to(struct regs *regs);
nodiscard int vector_save(void *area, uint64_t mask);
void vector_load(const void *area, uint64_t mask);
void float_control_get(uint32_t *mxcsr, uint32_t *fpu);
void float_control_set(const uint32_t *mxcsr, const uint32_t *fpu);

/* Called by entry.S, which calls handlers of numbers below g_fast_limit itself (none with --trace). thread/syscall.c */
long syscall_dispatch(struct regs *r);
long syscall_finish(struct regs *r, long ret);
extern uint64_t g_fast_limit;
void thread_return_work(struct regs *r); /* signal/deliver.c */
void thread_first(struct thread *t);	 /* thread/thread.c */

struct upcall_target {
	uint64_t rsp;
	uint64_t program; /* 1: rsp is a struct upcall_event, 0: a struct regs of the libOS */
};
struct upcall_event {
	uint32_t trap; /* enum hc_trap */
	int32_t signal, code;
	uint32_t trapno;
	uint64_t error, address;
	struct regs regs; /* at the very top of the kernel stack */
};
struct upcall_target upcall_handle(struct upcall_frame *f);
struct regs *upcall_program(struct upcall_event *ev);

/* A thread's pages: guard | kernel stack | upcall stack | struct thread, upcall frame, vector state */
#define GUARD_PAGES 1u
#define KERNEL_STACK_PAGES 14u
#define UPCALL_STACK_PAGES 2u
#define STATE_PAGES 3u
#define THREAD_VECTOR_MAX (STATE_PAGES * PAGE_SIZE - 1024)

#endif
