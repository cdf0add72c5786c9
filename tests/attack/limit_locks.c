/*
 * Question: the monitor has locks that all cVMs take: of threads, of the code table, of futexes. Can threads that do
 * nothing but take them keep another cVM from ever getting one?
 * Expect: REFUSED: the victim made threads and used files beside 12 threads in a loop
 * Control: none: nothing can be turned off that lets locks go
 * Native: lock.c
 */
#include "raw.h"

static volatile bool g_stop;
static uint64_t g_shared, g_at;

static void loops(void *kind)
{
	uint64_t ns, handle = (uint64_t)hostcall(HC_file_open, g_shared, (uint64_t)"code", 4, O_RDONLY, 0, 0);

	while (!g_stop)
		switch ((uint64_t)kind % 6) {
		case 0: hostcall(HC_thread_cputime, 1, (uint64_t)&ns, 0, 0, 0, 0); break;
		case 1: hostcall(HC_thread_kick, 2047, 0, 0, 0, 0, 0); break;
		case 2: hostcall(HC_file_write, BOOT_HANDLE_LOG, (uint64_t)&ns, 0, 0, 0, 0); break;
		case 3: hostcall(HC_mem_map_code, g_at + (uint64_t)kind * PAGE, PAGE, handle, 0, 0, 0); break;
		case 4: hostcall(HC_futex_requeue, (uint64_t)&ns, 1, (uint64_t)&ns, 1, 0, 0); break;
		default: hostcall(HC_mem_commit, g_at + (1 << 20) + (uint64_t)kind * PAGE, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0);
		}
}

static void attack(void)
{
	static uint8_t code[4096];
	struct raw_thread *threads[12];

	memset(code, 0xc3, sizeof code);
	int fd = open("/shared/code", O_RDWR | O_CREAT, 0755);
	if (write(fd, code, sizeof code) != sizeof code)
		breach("cannot write");
	close(fd);
	g_shared = granted_directory("symbols");
	g_at = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30);
	for (uint64_t i = 0; i < 12; i++)
		raw_start(threads[i] = raw_new(loops, (void *)i));
	for (int i = 0; i < 3; i++)
		let_victim_work();
	g_stop = true;
	for (int i = 0; i < 12; i++)
		raw_wait(threads[i]);
	refused("the victim made threads and used files beside 12 threads in a loop");
}
