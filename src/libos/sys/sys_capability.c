/*
 * cvm_capability (abi/boot.h, BOOT_SYSCALL_CAPABILITY): libcvm's hostcalls in a cVM whose program has no access to its libOS, and so
 * none to the monitor. The libOS makes them for it, and must not be talked into more than the program has:
 *  - Hostcalls: those in k_rules and no others; with arguments that mean no handle, thread or memory of the libOS.
 *  - Capabilities: those that came to the program through here. The libOS's own (sockets that are streams, files in /cap) are in the
 *    same list, and their handles can be guessed. Of what is not the program's the monitor gets a handle that nobody has.
 *  - Addresses: no argument names the libOS (syscall_dispatch), and the monitor sees to it that what begins in the program's part
 *    of the slot, or in the low window, ends there. What libOS or monitor look into before they act is copied first.
 *  - Mappings go into reservations of the program.
 * What remains is checked by the monitor as for any cVM: the program has no more than its cVM was granted. Where a server
 * answers the program's system calls (syscalls_to) that would be a way past it, so there is none of this.
 */
#include "abi/gate.h"
#include "abi/capability.h"
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "mm/mm.h"
#include "served/served.h"
#include "sys/syscalls.h"
#include "thread/clock.h"
#include "thread/isolated.h"

#include <linux/time.h>

#define ARGUMENTS 5
#define NOBODYS 1u /* a handle's generation is at least 1, so it is never below CAPS_MAX */

struct rule {
	bool allowed;
	bool gives;   /* a result above 0 is a new capability */
	uint8_t caps; /* a bit for each argument that is a capability, or 0 */
	long (*make)(long number, const uint64_t *a); /* NULL: the hostcall with these arguments */
};

static uint32_t g_program_caps[CAPS_MAX]; /* the program's handles, by index; atomic */

static uint32_t own(uint64_t handle)
{
	return __atomic_load_n(&g_program_caps[handle % CAPS_MAX], __ATOMIC_RELAXED) == handle ? (uint32_t)handle : NOBODYS;
}

static void all_own(uint32_t *handles, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		handles[i] = own(handles[i]);
}

/* Its number in the list is taken from now on, until the program closes it. */
static void hold(uint32_t handle)
{
	__atomic_store_n(&g_program_caps[handle % CAPS_MAX], handle, __ATOMIC_RELAXED);
}

static long close(long number, const uint64_t *a)
{
	uint32_t handle = (uint32_t)a[0];
	long ret = hostcall(number, handle);

	/* Another thread may hold the next one with the same number already. */
	if (!ret)
		__atomic_compare_exchange_n(&g_program_caps[handle % CAPS_MAX], &handle, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return ret;
}

static long wait(long number, const uint64_t *a)
{
	int64_t timeout = (int64_t)a[2];
	uint64_t end = (uint64_t)clock_now(CLOCK_MONOTONIC) + a[2];
	long ret;

	if (!timeout)
		return hostcall(number, a[0], a[1], 0, a[3]);
	while ((ret = hostcall_blocking(number, a[0], a[1], timeout, a[3])) == -EINTR && !work_pending())
		if (timeout > 0)
			timeout = MAX((int64_t)(end - (uint64_t)clock_now(CLOCK_MONOTONIC)), 0l);
	return ret;
}

/* Memory that takes the answer: known to be writable before anything happens, for a failed system call may be made again. */
static int take(void *copy, void *user, size_t size)
{
	return copy_from_user(copy, user, size) || copy_to_user(user, copy, size) ? -EFAULT : 0;
}

static int give(void *user, const void *copy, size_t size)
{
	while (copy_to_user(user, copy, size))
		if (!mm_make_writable())
			return -EFAULT;
	return 0;
}

/* The caller's host thread goes to the callee, without locks of ours, and comes back; or another's comes here to be served. */
static long call(long number, const uint64_t *a)
{
	uint64_t word[CALL_WORDS], nr = (uint64_t)number | a[0] << 32;
	void *user = (void *)a[1];
	long status;

	if (take(word, user, sizeof(word)))
		return -EFAULT;
	status = number == HC_call_serve ? gate_words_blocking(nr, word) : gate_words(nr, word);
	return status >= 0 && give(user, word, sizeof(word)) ? -EFAULT : status;
}

static long call_message(long number, const uint64_t *a)
{
	struct call_message m;
	uint64_t word[CALL_WORDS] = { a[0], (uint64_t)&m };
	void *user = (void *)a[1];
	long status;

	if (take(&m, user, sizeof(m)))
		return -EFAULT;
	if (m.caps > CAP_PASS_MAX)
		return -EINVAL;
	all_own(m.cap, m.caps);
	status = gate_words((uint64_t)number, word);
	if (status < 0)
		return status;
	for (uint32_t i = 0; i < m.caps; i++)
		hold(m.cap[i]);
	return give(user, &m, sizeof(m)) ? -EFAULT : status;
}

/* (array, count): passes these, or with count 0 fetches. */
static long call_caps(long number, const uint64_t *a)
{
	uint32_t cap[CAP_PASS_MAX] = { 0 };
	void *user = (void *)a[0];
	long count;

	if (a[1] > CAP_PASS_MAX)
		return -EINVAL;
	if (a[1]) {
		if (copy_from_user(cap, user, a[1] * sizeof(cap[0])))
			return -EFAULT;
		all_own(cap, a[1]);
		return hostcall(number, cap, a[1]);
	}
	if (copy_to_user(user, cap, sizeof(cap)))
		return -EFAULT;
	count = hostcall(number, cap, 0);
	for (long i = 0; i < count; i++)
		hold(cap[i]);
	return count > 0 && give(user, cap, sizeof(cap)) ? -EFAULT : count;
}

static long stream_connect(long number, const uint64_t *a)
{
	uint64_t word;

	return get_user(word, (const uint64_t *)a[1]) ? -EFAULT : hostcall(number, a[0], word);
}

static long map_memory(long number, const uint64_t *a)
{
	return mm_map_capability(number, a, a[1], a[2]);
}

static long map_stream(long number, const uint64_t *a)
{
	return mm_map_capability(number, a, a[1], 2 * CAP_STREAM_RING);
}

#define RULE(name, ...) [HC_##name] = { .allowed = true, __VA_ARGS__ }

static const struct rule k_rules[HC_COUNT] = {
	RULE(cap_open, .gives = true),
	RULE(cap_create, .gives = true),
	RULE(cap_memory, .gives = true),
	RULE(cap_derive, .gives = true, .caps = 1),
	RULE(cap_seal, .gives = true, .caps = 1 | 2),
	RULE(cap_revoke, .caps = 1),
	RULE(cap_close, .caps = 1, .make = close),
	RULE(cap_info, .caps = 1),
	RULE(cap_read, .caps = 1),
	RULE(cap_write, .caps = 1),
	RULE(cap_map, .caps = 1, .make = map_memory),
	RULE(cap_wait, .caps = 1, .make = wait),
	RULE(cap_notify, .caps = 1),
	RULE(call_invoke, .caps = 1, .make = call),
	RULE(call_invoke_msg, .caps = 1, .make = call_message),
	RULE(call_serve, .caps = 1, .make = call),
	RULE(call_caps, .make = call_caps),
	RULE(stream_connect, .gives = true, .caps = 1, .make = stream_connect),
	RULE(stream_accept, .gives = true, .caps = 1),
	RULE(stream_send, .caps = 1 | 8),
	RULE(stream_recv, .caps = 1),
	RULE(stream_cap, .gives = true, .caps = 1),
	RULE(stream_shutdown, .caps = 1),
	RULE(stream_map, .caps = 1, .make = map_stream),
	RULE(stream_window, .caps = 1),
};

long sys_cvm_capability(struct regs *r)
{
	uint64_t number = (uint64_t)arg(r, 0);
	const struct rule *rule = number < HC_COUNT ? &k_rules[number] : NULL;
	uint64_t a[ARGUMENTS];
	long ret;

	if (number == BOOT_CAPABILITY_COPIES)
		return signal_copies_add(current()->process, (uint64_t)arg(r, 1), (uint64_t)arg(r, 2), (uint64_t)arg(r, 3));
	if (!isolated())
		return -ENOSYS;
	if (g_served || !rule || !rule->allowed)
		return -EPERM;
	for (int i = 0; i < ARGUMENTS; i++) {
		a[i] = (uint64_t)arg(r, i + 1);
		if (rule->caps >> i & 1 && a[i])
			a[i] = own(a[i]);
	}
	ret = rule->make ? rule->make((long)number, a) : hostcall((long)number, a[0], a[1], a[2], a[3], a[4]);
	if (rule->gives && ret > 0)
		hold((uint32_t)ret);
	return ret;
}
