/*
 * Question: what if memory behind a capability goes away while the owner copies from it: does the copy, or the owner,
 * break? One thread maps and unmaps, changes protection and replaces pages; the owner reads and writes until it saw both ends
 * of it a thousand times.
 * Expect: REFUSED: the owner lives, and saw only the bytes that were ever there
 * Control: none: nothing but the fix-up of the copy routines protects, and without it the monitor would end for all
 * Native: copies survive faults
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

#define SIZE (16 * PAGE)

static void companion(void)
{
	static uint8_t bytes[SIZE];
	uint32_t evil = open_named(CAP_CALL, "evil", CAP_USE);
	struct call_message m = { 0 };
	unsigned whole = 0, faulted = 0, wrong = 0;

	own();
	while (call_message(evil, &m) == -EAGAIN || m.caps != 1)
		usleep(1000);
	for (uint64_t i = 0, end = now_ns() + 20000000000u; (whole < 1000 || faulted < 1000) && now_ns() < end; i++) {
		long n = i % 4 == 3 ? CAP(cap_write, m.cap[0], bytes, SIZE, 0) : CAP(cap_read, m.cap[0], bytes, SIZE, 0);
		whole += n == SIZE;
		faulted += n == -EFAULT;
		wrong += n != SIZE && n != -EFAULT;
		for (long k = 0; k < n; k += 512)
			wrong += bytes[k] != 0 && bytes[k] != 3;
	}
	FILE *f = fopen("/shared/result", "w");
	fprintf(f, "%u %u %u\n", whole, faulted, wrong);
	fclose(f);
	owner_until_stop();
}

static uint8_t *g_pages;

static void *change(void *unused)
{
	for (unsigned i = 0;; i++) {
		switch (i % 4) {
		case 0: munmap(g_pages + i % 16 * PAGE, PAGE); break;
		case 1: mprotect(g_pages + i % 13 * PAGE, PAGE, PROT_NONE); break;
		case 2: mmap(g_pages, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0); break;
		default: memset(g_pages, 3, PAGE); usleep(50); break;
		}
	}
	return unused;
}

static void quiet(int signal)
{
	(void)signal;
	usleep(10);
}

static uint32_t g_cap;

static void give(uint64_t *words)
{
	(void)words;
	hostcall(HC_call_caps, (uint64_t)&g_cap, 1, 0, 0, 0, 0);
}

static void attack(void)
{
	unsigned whole, faulted, wrong;
	pthread_t thread;
	FILE *f;

	signal(SIGSEGV, quiet);
	g_pages = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	g_cap = must("memory", CAP(cap_memory, g_pages, SIZE, CAP_LOAD | CAP_STORE | CAP_GRANT));
	serve_beside(create_named(CAP_EXPORT, "evil", 0), give);
	pthread_create(&thread, NULL, change, NULL);
	while (!(f = fopen("/shared/result", "r")))
		usleep(10000);
	while (fscanf(f, "%u %u %u", &whole, &faulted, &wrong) != 3)
		rewind(f);
	if (!whole || !faulted || wrong)
		breach("%u copies whole, %u faulted, %u wrong", whole, faulted, wrong);
	refused("the owner lives, and saw only the bytes that were ever there");
}
