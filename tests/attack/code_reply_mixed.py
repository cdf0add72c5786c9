#!/usr/bin/python3
"""
Question: a cVM ends while a thread waits for its translation. Does the reply go to whoever asks next, as the code of another
file, which then stands in the table of all cVMs under that file's name?
Expect: the reply is nobody's; the other file's code is its own
Control: the same program, which does not end before the reply, gets the code of either file
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import SCRATCH, check, pod, raw_program  # noqa: E402

SIZE = 8 << 20  # takes the translator a while

# Two files of the same size. The first life asks for "mine", another thread of it for "theirs"; then it ends. The next looks
# what executes as "theirs".
PROGRAM = r"""
#define main unused_main
#include "raw.h"
#undef main

static int g_fd[2];
static long g_result[2];
static char g_at[2];

static uint64_t place(int i)
{
	return ((uint64_t)&g_at & SLOT_MASK) + (40ull << 30) + (uint64_t)i * SIZE;
}

static void map(void *which)
{
	int i = (int)(uintptr_t)which;
	g_result[i] = hostcall(HC_mem_map_code, place(i), SIZE, (uint64_t)g_fd[i], 0, 0, 0);
}

static int value(int i)
{
	return g_result[i] < 0 ? (int)g_result[i] : ((int (*)(void))place(i))();
}

int main(int argc, char **argv)
{
	long dir = -1;
	/* the volume's handle: the one that has the files */
	for (uint64_t h = 3; dir < 0 && h < 64; h++) {
		long fd = hostcall(HC_file_open, h, (uint64_t)"mine", 4, O_RDONLY, 0, 0);
		if (fd >= 0) {
			dir = (long)h;
			g_fd[0] = (int)fd;
			g_fd[1] = (int)hostcall(HC_file_open, h, (uint64_t)"theirs", 6, O_RDONLY, 0, 0);
		}
	}
	if (dir < 0 || g_fd[1] < 0)
		return 4;
	if (argc > 1 && !strcmp(argv[1], "look")) {
		map((void *)1);
		printf("theirs %d\n", value(1));
		if (argc > 2) {
			map((void *)0);
			printf("mine %d\n", value(0));
		}
		return 0;
	}
	raw_start(raw_new(map, (void *)0));
	usleep(50000); /* it waits for the translator now, or the attack is in vain: the test repeats it */
	raw_start(raw_new(map, (void *)1));
	usleep(50000);
	hostcall(HC_cvm_exit, 0, 0, 0, 0, 0, 0);
	return 5;
}
static MAYBE void attack(void) { }
"""


def code(path, value):
    """int f(void) { return value; } and many system calls, at which translators work."""
    body = b"\xb8" + value.to_bytes(4, "little") + b"\xc3"
    with open(path, "wb") as f:
        f.write(body + b"\xb8\x27\x00\x00\x00\x0f\x05" * ((SIZE - len(body)) // 7))
        f.truncate(SIZE)


def cvms(program, volume, *described):
    return pod("cVMs:\n" + "".join(f"  - {{name: {name}, program: [{', '.join([program, *arguments])}], volumes: ['{volume}:/files'], "
                                  f"memory: 512M{more}}}\n" for name, arguments, more in described))


def files(n):
    volume = os.path.join(SCRATCH, f"files{n}")
    os.makedirs(volume)
    code(os.path.join(volume, "mine"), 1000 + n)
    code(os.path.join(volume, "theirs"), 2000 + n)
    return volume


def main():
    program = raw_program("mixed", PROGRAM.replace("SIZE", str(SIZE)))
    said = cvms(program, files(0), ("looks", ["look", "both"], ""))
    check("theirs 2000" in said and "mine 1000" in said, "the control cannot execute the files", said)
    for n in range(1, 4):
        said = cvms(program, files(n), ("ends", [], ", ready: {exit: 0}"), ("looks", ["look"], ", after: [ends]"))
        check(f"theirs {2000 + n}" in said, "a file's code is another's", said)
    print("REFUSED: a reply goes to who asked for it")


if __name__ == "__main__":
    main()
