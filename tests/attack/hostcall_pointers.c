/*
 * Question: does any hostcall read or write where its pointer leads when that is outside the slot, wraps around, or
 * straddles the slot's end?
 * Expect: REFUSED: every pointer out of the slot gave EFAULT
 * Control: --insecure-no-slot-check
 * Native: the check against the slot
 */
#include <sys/socket.h>
#include <sys/uio.h>

#include "attack.h"

static uint64_t g_base;

#define KINDS 9

/* Hostcalls that write to their pointer. */
static long write_to(int which, uint64_t at, uint64_t socket)
{
	static struct hc_msg message;
	static char name[128];
	static uint32_t size = sizeof name;

	message = (struct hc_msg){ .name = which == 6 ? at : 0, .name_size = which == 6 ? 16 : 0, .control = which == 7 ? at : 0,
				   .control_size = which == 7 ? 64 : 0 };
	switch (which) {
	case 0: return hostcall(HC_random, at, 8, 0, 0, 0, 0);
	case 1: return hostcall(HC_cvm_info, at, 0, 0, 0, 0, 0);
	case 2: return hostcall(HC_thread_cputime, 0, at, 0, 0, 0, 0);
	case 3: return hostcall(HC_sock_name, socket, at, (uint64_t)&size, 0, 0, 0);
	case 4: return hostcall(HC_sock_name, socket, (uint64_t)name, at, 0, 0, 0);
	case 5: return hostcall(HC_sock_accept, socket, at, (uint64_t)&size, 0, 0, 0);
	case 6: case 7: return hostcall(HC_sock_recv, socket, (uint64_t)&message, MSG_DONTWAIT, 0, 0, 0);
	default: return hostcall(HC_clock_read, 0, at, 0, 0, 0, 0);
	}
}

static void attack(void)
{
	uint64_t here = (uint64_t)&g_base;
	g_base = here & SLOT_MASK;
	const uint64_t places[] = { g_victim.pattern, vcpu()->monitor_thread + 0xa100, (uint64_t)vcpu() + 2048, g_base + SLOT_SIZE - 4, g_base - 4,
				    ~0ull - 3, 0x7ffffffff000ull, 0xffffffff81000000ull };

	const uint64_t udp = (uint64_t)hostcall(HC_sock_create, AF_INET, SOCK_DGRAM, 0, 0, 0, 0);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		for (int which = 0; which < KINDS; which++)
			if (write_to(which, places[i], udp) != -EFAULT)
				breach("hostcall kind %d wrote to place %zu", which, i);
	/* reading: a file's bytes, an iovec whose pointer or whose content leads out */
	struct iovec *iov = malloc(sizeof *iov);
	long made = hostcall(HC_eventfd_create, 0, O_NONBLOCK, 0, 0, 0, 0);
	if (made < 0)
		breach("eventfd_create does not work");
	uint64_t file = (uint64_t)made;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		*iov = (struct iovec){ (void *)places[i], 8 };
		const long results[] = { hostcall(HC_file_write, BOOT_HANDLE_LOG, places[i], 8, 0, 0, 0), hostcall(HC_file_write, file, places[i], 8, 0, 0, 0),
					 hostcall(HC_file_writev, file, (uint64_t)iov, 1, (uint64_t)-1, 0, 0),
					 hostcall(HC_file_writev, file, places[i], 1, (uint64_t)-1, 0, 0),
					 hostcall(HC_futex_wake, places[i] & ~3ull, 1, 0, 0, 0, 0), hostcall(HC_poll, places[i], 1, 0, 0, 0, 0) };
		for (size_t k = 0; k < sizeof results / sizeof results[0]; k++)
			if (results[k] != -EFAULT)
				breach("hostcall kind %zu read from place %zu: %ld", k, i, results[k]);
	}
	/* sizes that overflow */
	if (hostcall(HC_random, here, ~0ull - here + 16, 0, 0, 0, 0) >= 0 || hostcall(HC_file_read, file, here, SLOT_SIZE, 0, 0, 0) >= 0)
		breach("a size beyond the slot was accepted");
	refused("every pointer out of the slot gave EFAULT");
}
