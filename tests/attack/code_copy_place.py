#!/usr/bin/python3
"""
Question: a page that is sealed as code is copied first. Can another cVM have that copy in its own slot, by moving memory, which leaves a
hole there for a moment? It could read the copy, write to it before the scan, or keep an alias.
Expect: the copies are none of its business: every seal of the other succeeds
Control: the same program alone seals its pages; and moving memory does work meanwhile
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import SCRATCH, check, pod, raw_program  # noqa: E402

PROGRAM = r"""
#define main unused_main
#include "raw.h"
#undef main

#define SIZE (16ull << 20)
#define SEALS 300
static char g_at[1];

static void attack(void) { }

int main(int argc, char **argv)
{
	uint64_t at = ((uint64_t)&g_at & SLOT_MASK) + (40ull << 30);
	long moves = 0, seals = 0, r = 0;
	bool alone = !strcmp(argv[1], "alone");
	const char *end = "/files/end";

	if (!strcmp(argv[1], "move")) {
		if (hostcall(HC_mem_commit, at, 2 * SIZE, PROT_READ | PROT_WRITE, 0, 0, 0))
			return 4;
		for (; !r && access(end, F_OK); moves++) {
			uint64_t from = at + moves % 2 * 4 * SIZE, to = at + (moves + 1) % 2 * 4 * SIZE;
			r = hostcall(HC_mem_move, from, 2 * SIZE, to, 2 * SIZE, 0, 0);
		}
		printf("moves %s %ld\n", moves > 100 ? "many" : "few", r);
		return 0;
	}
	for (; seals < SEALS && !r; seals++) {
		r = hostcall(HC_mem_commit, at, SIZE, PROT_READ | PROT_WRITE, 0, 0, 0);
		memset((void *)at, 0xc3, SIZE);
		memcpy((void *)(at + SIZE - 6), "\xb8\x2a\x00\x00\x00\xc3", 6);
		r = r ? r : hostcall(HC_mem_seal_code, at, SIZE, 0, 0, 0, 0);
		if (!r && ((int (*)(void))(at + SIZE - 6))() != 42)
			r = 1;
	}
	if (!alone)
		close(open(end, O_CREAT | O_WRONLY, 0600));
	printf("seals %ld %ld\n", seals, r);
	return 0;
}
"""


def cvms(program, *kinds):
    return pod("cVMs:\n" + "".join(f"  - {{name: {kind}, program: [{program}, {kind}], volumes: ['{SCRATCH}/files:/files'], memory: 512M}}\n"
                                  for kind in kinds))


def main():
    program = raw_program("copies", PROGRAM)
    os.makedirs(os.path.join(SCRATCH, "files"))
    check("seals 300 0" in cvms(program, "alone"), "the control seals nothing")
    said = cvms(program, "move", "seal")
    check("seals 300 0" in said, "a copy lay where another cVM moved memory", said)
    check("moves many 0" in said, "the other cVM did not move memory meanwhile", said)
    print("REFUSED: copies lie at a place of their own")


if __name__ == "__main__":
    main()
