/*
 * What attacks of a program on its own isolated libOS share: where that is, and how it is asked for hostcalls. Include after
 * attack.h.
 */
#ifndef TESTS_ATTACK_ISOLATED_H
#define TESTS_ATTACK_ISOLATED_H

#include <sys/syscall.h>

#include "abi/capability.h"

static MAYBE uint64_t slot(void)
{
	return (uint64_t)&g_victim & SLOT_MASK; /* the programs are position-independent: not in the low window */
}

static MAYBE uint64_t libos_text(void)
{
	return slot() + SLOT_LIBOS_TEXT;
}

/* The caller's struct thread, on the libOS's heap. */
static MAYBE uint64_t libos_thread(void)
{
	return vcpu()->libos_thread;
}

/* A hostcall as libcvm makes it: by the libOS, or by the gate where that may be used. */
static MAYBE long ask_hostcall(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	long result = syscall(BOOT_SYSCALL_CAPABILITY, number, a0, a1, a2, a3, a4);

	if (result == -1 && errno == ENOSYS)
		return hostcall((enum hostcall)number, a0, a1, a2, a3, a4, 0);
	return result == -1 ? -errno : result;
}
#define ASK_(number, a, b, c, d, e, ...) \
	ask_hostcall(number, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e))
/* ASK(cap_close, handle): missing arguments are 0 */
#define ASK(name, ...) ASK_(HC_##name, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)

/* The capability hostcalls that a libOS makes for its program. */
static MAYBE bool is_for_programs(uint64_t number)
{
	static const uint16_t all[] = { HC_cap_open, HC_cap_create, HC_cap_memory, HC_cap_derive, HC_cap_seal, HC_cap_revoke, HC_cap_close,
		HC_cap_info, HC_cap_read, HC_cap_write, HC_cap_map, HC_cap_wait, HC_cap_notify, HC_call_invoke, HC_call_invoke_msg,
		HC_call_serve, HC_call_caps, HC_stream_connect, HC_stream_accept, HC_stream_send, HC_stream_recv, HC_stream_cap,
		HC_stream_shutdown, HC_stream_map, HC_stream_window };

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (all[i] == number)
			return true;
	return false;
}

/* The file, listener or export "mine", made by the program (Options of those that use it). */
static MAYBE uint64_t make_mine(unsigned kind, uint64_t argument)
{
	long handle = ASK(cap_create, kind, "mine", 4, argument);

	if (handle <= 0)
		breach("making \"mine\" gave %ld: the attack could not begin", handle);
	return (uint64_t)handle;
}

/* The run-time address of a symbol of the libOS. */
static MAYBE uint64_t libos_symbol(const char *wanted)
{
	return slot() + symbol_offset("/shared/libos-symbols", wanted);
}

#endif
