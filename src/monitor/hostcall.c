/*
 * The hostcall table and its dispatcher, called by gate.S on the thread's monitor stack. The arguments were copied from
 * registers by the gate; nothing a handler is given can change under it but the memory behind an address.
 */
#include "monitor/hostcalls.h"

long hostcall_dispatch(struct thread *t, uint64_t number, const uint64_t *args);

static long (*const k_hostcalls[HC_COUNT])(struct thread *t, const uint64_t *a) = {
#define X(name, nargs) [HC_##name] = hc_##name,
	HOSTCALL_TABLE(X)
#undef X
};

long hostcall_dispatch(struct thread *t, uint64_t number, const uint64_t *args)
{
	__atomic_store_n(&t->hostcalls, t->hostcalls + 1, __ATOMIC_RELAXED); /* read by others: thread_stats */
	t->lent = NULL;
	if (unlikely(t->as->program) && number != HC_thread_switch)
		return -EPERM;
	if ((uint32_t)number >= HC_COUNT) /* the upper half is an argument: call_invoke */
		return -ENOSYS;
	return k_hostcalls[(uint32_t)number](t, args);
}

long hc_null(struct thread *t, const uint64_t *a)
{
	return 0;
}
