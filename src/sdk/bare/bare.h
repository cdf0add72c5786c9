/* What the files of the bare platform share. */
#ifndef SDK_BARE_BARE_H
#define SDK_BARE_BARE_H

#include <string.h>

#include "abi/slot.h"
#include "cvm/bare.h"
#include "sdk/sdk.h"

#define BARE_STACK_SIZE (64ull << 10)
#define BARE_UPCALL_SIZE CVM_PAGE_SIZE /* stack and, at its end, the frame */
#define BARE_THREAD_SIZE (BARE_STACK_SIZE + CVM_PAGE_SIZE + BARE_UPCALL_SIZE)

extern struct cvm_start g_bare_start; /* a copy */
extern uint64_t g_bare_keep_signals;  /* cvm_signals was called */
extern uint64_t g_bare_signals;	      /* that came */

/* start.S */
_Noreturn void bare_on_stack(void (*function)(void), uint64_t stack);
void bare_thread_entry(void);
void bare_upcall_entry(void);

void bare_memory_init(void);
/* Fills in how a thread takes upcalls, in memory of BARE_UPCALL_SIZE bytes. */
void bare_upcall_setup(struct hc_thread *start, void *memory);
uint64_t bare_upcall(struct upcall_frame *f);
void bare_start(const struct cvm_start *start);
_Noreturn void bare_thread_main(struct cvm_thread *thread);

#endif
