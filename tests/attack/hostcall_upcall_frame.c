/*
 * Question: the monitor stores the upcall frame where the thread said. Can that be another cVM's memory, the monitor's, the
 * vCPU page, the slot's last bytes or an address that wraps?
 * Expect: REFUSED: nothing was stored outside the slot|killed
 * Control: --insecure-no-slot-check
 * Control-result: changed
 * Companions: 5
 * Native: user_out
 */
#define ATTACK_COMPANION
#include "raw.h"

struct run {
	struct raw_thread *thread;
	uint64_t place;
};

static void faults(void *argument)
{
	struct run *run = argument;

	run->thread->start.upcall_frame = run->place;
	hostcall(HC_thread_setup, (uint64_t)&run->thread->start, 0, 0, 0, 0, 0);
	__asm__ volatile("ud2");
}

/* The cVM is ended for it, so each place has a cVM of its own. */
static void try_place(uint64_t place)
{
	static struct run run;

	run.place = place;
	run.thread = raw_new(faults, &run);
	raw_start(run.thread);
	usleep(300000);
}

static void companion(void)
{
	uint64_t base = (uint64_t)&g_victim & SLOT_MASK;
	const uint64_t places[] = { vcpu()->monitor_thread + 0xa100, (uint64_t)vcpu() + 1024, base + SLOT_SIZE - 64, ~0ull - 63, base - 64 };
	char name[64] = "";

	gethostname(name, sizeof name - 1);
	try_place(places[(name[strlen("companion")] - '0') % 5]);
	_exit(0);
}

static void attack(void)
{
	try_place(g_victim.pattern);
	refused("nothing was stored outside the slot");
}
