/*
 * The vCPU page: what one host thread of a cVM may read about itself, at %gs:0.
 *
 * Written by the monitor only; readable by every cVM (public read-only key). Nothing in it is secret. GS base is
 * trusted because cVM code cannot change it (docs in SECURITY.md). Offsets are used by assembly on both sides and in
 * translated code, so they are macros here and asserted against the struct.
 */
#ifndef ABI_VCPU_H
#define ABI_VCPU_H

#define VCPU_SELF 0
#define VCPU_SYSCALL_ENTRY 8
#define VCPU_GATE 16
#define VCPU_XRSTOR_GATE 24
#define VCPU_LIBOS_THREAD 32
#define VCPU_MONITOR_THREAD 40
#define VCPU_PKRU 48
#define VCPU_ID 52
#define VCPU_PROGRAM_AREA 56

#define VCPU_PAGE_SIZE 4096

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct vcpu_page {
	uint64_t self;		 /* this page's own address: one load turns %gs:0 into a pointer */
	uint64_t syscall_entry;	 /* where rewritten system call sites jump to */
	uint64_t gate;		 /* hostcall gate (see hostcall.h for the registers) */
	uint64_t xrstor_gate;	 /* restores vector state from (%rdi), mask in eax:edx; never PKRU */
	uint64_t libos_thread;	 /* the libOS's own per-thread pointer, given at thread creation */
	uint64_t monitor_thread; /* the monitor's struct thread, in memory that no cVM can touch */
	uint32_t pkru;		 /* this thread's PKRU outside the monitor */
	uint32_t id;		 /* index of this vCPU, unique in the Intravisor while the thread lives */
	uint64_t program_area;	 /* of hc_thread */
};

_Static_assert(offsetof(struct vcpu_page, self) == VCPU_SELF, "vcpu layout");
_Static_assert(offsetof(struct vcpu_page, syscall_entry) == VCPU_SYSCALL_ENTRY, "vcpu layout");
_Static_assert(offsetof(struct vcpu_page, gate) == VCPU_GATE, "vcpu layout");
_Static_assert(offsetof(struct vcpu_page, xrstor_gate) == VCPU_XRSTOR_GATE, "vcpu layout");
_Static_assert(offsetof(struct vcpu_page, libos_thread) == VCPU_LIBOS_THREAD, "vcpu layout");
_Static_assert(offsetof(struct vcpu_page, monitor_thread) == VCPU_MONITOR_THREAD, "vcpu layout");
_Static_assert(offsetof(struct vcpu_page, pkru) == VCPU_PKRU, "vcpu layout");
_Static_assert(offsetof(struct vcpu_page, id) == VCPU_ID, "vcpu layout");
_Static_assert(offsetof(struct vcpu_page, program_area) == VCPU_PROGRAM_AREA, "vcpu layout");
#endif
#endif
