#!/usr/bin/python3
"""
Question: a cVM ends, and each of its threads is told so once. Can one of them miss that, in the moment between the monitor's look at
whether its cVM ends and its way into an upcall, and run for ever?
Expect: the run ends, each time
Control: a program with as many threads that sleep
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import check, raw_program, run  # noqa: E402

PATIENCE = 60  # seconds; only ever reached by a failure
LIVES = 5

PROGRAM = r"""
#define main unused_main
#include "raw.h"
#undef main

#define THREADS 64

static volatile uint32_t g_ends, g_never;
static uint8_t *g_frames; /* two pages a thread: a frame lies across their border, so that writing it takes two page faults */

/* From trap to trap, each on the upcall stack from its top; and without a word to the monitor once the cVM ends. */
static __attribute__((force_align_arg_pointer, noreturn)) void trap(struct upcall_frame *frame)
{
	while (g_ends)
		;
	hostcall(HC_mem_advise, (uint64_t)frame & ~(PAGE - 1), 2 * PAGE, MADV_DONTNEED, 0, 0, 0);
	hostcall(HC_thread_upcall_done, 0, 0, 0, 0, 0, 0);
	__builtin_trap();
}

static void start(void *unused)
{
	(void)unused;
	__builtin_trap();
}

static void sleeps(void *unused)
{
	(void)unused;
	for (;;)
		hostcall(HC_futex_wait, (uint64_t)&g_never, 0, ~0ull, 0, 0, 0);
}

int main(int argc, char **argv)
{
	g_frames = mmap(NULL, THREADS * 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (uint64_t i = 0; i < THREADS; i++) {
		struct raw_thread *t = raw_new(argc > 1 ? sleeps : start, NULL);
		if (argc == 1) {
			t->start.upcall_entry = (uint64_t)trap;
			t->start.upcall_frame = (uint64_t)g_frames + (2 * i + 1) * PAGE - 96;
		}
		raw_start(t);
	}
	usleep(200000);
	printf("ends\n");
	fflush(stdout);
	g_ends = 1;
	hostcall(HC_cvm_exit, 0, 0, 0, 0, 0, 0);
	return 1;
}
static MAYBE void attack(void) { }
"""


def main():
    program = raw_program("traps", PROGRAM)
    ran = run("--", program, "sleep", timeout=PATIENCE)
    check(ran == (0, "ends\n"), "the control does not end", ran)
    for life in range(LIVES):
        try:
            ran = run("--", program, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            sys.exit(f"BREACH: life {life} of the cVM has no end")
        check(ran == (0, "ends\n"), "the attack fails", ran)
    print(f"REFUSED: {LIVES} ends")


if __name__ == "__main__":
    main()
