/*
 * Question: does any of the monitor's `syscall` instructions do something for a cVM that jumps to it with registers of its
 * choice, a guess of the cookie among them (PKU Pitfalls 4.1: trusted code's instructions used by others)?
 * Expect: REFUSED: every one lacks the cookie
 * Control: --insecure-no-cookie
 * Native: the filter
 */
#include <sys/syscall.h>

#include "raw.h"

static void attack(void)
{
	FILE *f = fopen("/shared/symbols", "r");
	char name[256];
	long offset;
	int found = 0;

	while (f && fscanf(f, "%255s %ld", name, &offset) == 2) {
		if (strncmp(name, "syscall.", 8))
			continue;
		const uint64_t guess = vcpu()->monitor_thread;
		const struct raw_row rows[] = {
			{ "getppid", SYS_getppid, { 0 } },
			{ "getppid with ones for a cookie", SYS_getppid, { 0, 0, 0, 0, ~0ull, ~0ull } },
			{ "getppid with an address for a cookie", SYS_getppid, { 0, 0, 0, 0, guess, guess } },
			{ "mmap", SYS_mmap, { g_victim.pattern, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, (uint64_t)-1, 0 } },
			{ "futex", SYS_futex, { g_victim.pattern, 1, 1, 0, g_victim.pattern, 0 } },
			{ "rt_sigreturn", SYS_rt_sigreturn, { 0 } },
			{ "clone", SYS_clone, { 0x50f00, 0, 0, 0, 0, 0 } },
			{ "pkey_mprotect", SYS_pkey_mprotect, { g_victim.pattern & ~(PAGE - 1), PAGE, 3, 0, 0, 0 } },
		};
		raw_rows(rows, sizeof rows / sizeof rows[0], (void *)(vcpu()->gate + (uint64_t)offset));
		found++;
	}
	if (found < 5)
		breach("only %d instructions known: the attack needs to be rewritten", found);
	refused("every one lacks the cookie");
}
