/*
 * Question: descriptors of the host are the process's: can a cVM take them all with sockets, timers, event counters and queues,
 * open files or memory objects, each beyond its limit of handles, or leak one on an error path?
 * Expect: REFUSED: each kind ends at the limit, and nothing is lost on the way
 * Control: --insecure-no-limits
 * Options: handles=256
 * Native: the limit of handles
 */
#include <sys/socket.h>

#include "attack.h"

#include "abi/launch.h"

static uint64_t g_shared;
static long g_made[512];

static long make(int kind)
{
	switch (kind) {
	case 0: return hostcall(HC_sock_create, AF_INET, SOCK_STREAM, 0, 0, 0, 0);
	case 1: return hostcall(HC_sock_create, AF_INET6, SOCK_DGRAM, 0, 0, 0, 0);
	case 2: return hostcall(HC_timerfd_create, 1, 0, 0, 0, 0, 0);
	case 3: return hostcall(HC_epoll_create, 0, 0, 0, 0, 0, 0);
	case 4: return hostcall(HC_memobj_create, PAGE, 0, 0, 0, 0, 0);
	case 5: return hostcall(HC_file_open, g_shared, (uint64_t)"symbols", 7, O_RDONLY, 0, 0);
	case 6: return hostcall(HC_file_open, g_shared, (uint64_t)".", 1, O_RDONLY | O_DIRECTORY, 0, 0);
	case 7: return hostcall(HC_file_open, g_shared, (uint64_t)"climbing-link", 13, O_PATH | O_NOFOLLOW, 0, 0);
	case 8: return hostcall(HC_file_dup, 1, 0, 0, 0, 0, 0);
	default: return hostcall(HC_eventfd_create, 0, 0, 0, 0, 0, 0);
	}
}

static int fill(int kind)
{
	int count = 0;

	while (count < 512 && (g_made[count] = make(kind)) >= 0)
		count++;
	if (count == 512)
		breach("512 handles of kind %d with a limit of 256", kind);
	if (g_made[count] != -EMFILE)
		breach("kind %d ended with %ld", kind, g_made[count]);
	return count;
}

static void attack(void)
{
	g_shared = granted_directory("symbols");
	int free_at_first = fill(2);

	for (int i = 0; i < free_at_first; i++)
		hostcall(HC_file_close, (uint64_t)g_made[i], 0, 0, 0, 0, 0);
	for (int kind = 0; kind < 10; kind++) {
		int count = fill(kind);
		if (kind == 2)
			let_victim_work();
		for (int turn = 0; turn < 300; turn++) /* full: every attempt fails behind the host's call */
			make(kind);
		for (int i = 0; i < count; i++)
			hostcall(HC_file_close, (uint64_t)g_made[i], 0, 0, 0, 0, 0);
		if (count != (kind == 3 ? free_at_first / LAUNCH_EPOLL_HANDLES : free_at_first))
			breach("kind %d: %d handles of %d", kind, count, free_at_first);
	}
	/* errors behind the host's call that made a descriptor must close it again: more of them than the host allows */
	for (int i = 0; i < 30000; i++) {
		hostcall(HC_memobj_create, SLOT_SIZE + 1, 0, 0, 0, 0, 0);
		hostcall(HC_file_open, g_shared, (uint64_t)"fifo", 4, O_RDONLY, 0, 0);
	}
	let_victim_work();
	refused("each kind ends at the limit, and nothing is lost on the way");
}
