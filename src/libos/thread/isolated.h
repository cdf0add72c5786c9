/*
 * A libOS that its program has no access to (isolate_libos; isolated.S, isolated.c). Its memory is what lies below
 * SLOT_LIBOS_END in the slot; the program's threads reach it through the monitor only, at libos_entered.
 *
 * The program can name addresses of its libOS in system calls all the same, and the libOS itself may write there. So every
 * address that comes from the program is checked where it comes in, by in_program() or address_in_program(): those in
 * registers by syscall_dispatch, or by the handler where the call's mode decides what is one; those in structures where they are
 * copied. What copies, checks once more (core/uaccess.h).
 */
#ifndef LIBOS_ISOLATED_H
#define LIBOS_ISOLATED_H

#include "core/uaccess.h"

struct regs;
struct thread;
struct upcall_frame;

static inline bool isolated(void)
{
	return g_libos_size != 0;
}

void isolated_init(uint64_t slot_base);
/* None of the six registers that may hold arguments of a system call names the libOS. */
nodiscard bool registers_in_program(const struct regs *r);

/* A thread's program area: REGS_SIZE bytes on the program's side. 0 if there is no more. Callers hold a lock. */
uint64_t program_area_take(void);
void program_area_give(uint64_t area);

/* What the program was doing when the monitor interrupted it, freed from what isolated.S was doing for it. */
void isolated_context(const struct thread *t, struct upcall_frame *f);

/* Places in isolated.S; never called from C. */
extern char program_syscall[], libos_entered[], call_exit_begin[], call_exit_end[], program_leave[], program_leave_end[];
extern char program_resumes_begin[], program_resumes_end[];

#endif
