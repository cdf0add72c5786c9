#!/usr/bin/python3
"""
Question: a hostile file has taken the translator's process over (here a program in its place plays that). Stubs lie 1 GiB behind
their text, which the monitor checks when it was asked for stubs: what if it was not, and the image has some all the same? Mapped
near the end of its slot they would lie in the next cVM's, over the code of its libOS.
Expect: the image is refused; the next cVM executes its own code
Control: asked for stubs, at a place for them, the same translator's image is mapped
"""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import COMMAND, ROOT, SCRATCH, check, pod, raw_program  # noqa: E402

PAGES = 256  # as many as a libOS's text has, at most

# Each page of stubs: nothing, up to code that writes with the rights of whoever executes it, and ends its cVM.
TRANSLATOR = r"""
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/code_image.h"
#include "abi/hostcall.h"

static const char g_said[] = "the attacker's code\n";

static void fill_stub(uint8_t *page)
{
	static const uint8_t code[] = {
		0x41, 0xbb, HC_file_write, 0, 0, 0, 0xbf, 1, 0, 0, 0,	    /* mov number, %r11d; mov $1, %edi */
		0x48, 0x8d, 0x35, 32, 0, 0, 0, 0x41, 0xb8, sizeof g_said - 1, 0, 0, 0, /* lea text(%rip), %rsi; mov size, %r8d */
		0x65, 0xff, 0x14, 0x25, 16, 0, 0, 0,			    /* call *%gs:VCPU_GATE */
		0x41, 0xbb, HC_cvm_exit, 0, 0, 0, 0x31, 0xff, 0x31, 0xf6,   /* mov number, %r11d; xor %edi, %edi; xor %esi, %esi */
		0x65, 0xff, 0x14, 0x25, 16, 0, 0, 0,
	};
	size_t at = 4096 - sizeof code - sizeof g_said;

	memset(page, 0x90, 4096);
	memcpy(page + at, code, sizeof code);
	memcpy(page + at + sizeof code, g_said, sizeof g_said);
}

int main(int argc, char **argv)
{
	uint64_t size = argc == 6 ? strtoull(argv[4], NULL, 10) : 0;
	struct code_image_header header = { .magic = CODE_IMAGE_MAGIC, .version = CODE_IMAGE_VERSION, .text_size = size, .stub_size = size };
	uint8_t page[4096];
	int out = argc == 6 ? atoi(argv[2]) : -1;

	if (size != PAGES * 4096) {
		execv(REAL, argv);
		return 1;
	}
	(void)!ftruncate(out, 4096 + 2 * size);
	(void)!pwrite(out, &header, sizeof header, 0);
	memset(page, 0xc3, sizeof page);
	for (uint64_t i = 1; i <= PAGES; i++)
		(void)!pwrite(out, page, sizeof page, i * 4096);
	fill_stub(page);
	for (uint64_t i = 1 + PAGES; i <= 2 * PAGES; i++)
		(void)!pwrite(out, page, sizeof page, i * 4096);
	return 0;
}
"""

ATTACKER = r"""
#define main unused_main
#include "attack.h"
#undef main

static char g_here;

int main(void)
{
	uint64_t base = (uint64_t)&g_here & SLOT_MASK, size = PAGES * PAGE;
	long file = hostcall(HC_file_open, granted_directory("code"), (uint64_t)"code", 4, O_RDONLY, 0, 0);

	printf("with: %ld\n", hostcall(HC_mem_map_code, base + SLOT_IMAGE_BASE + 6 * SLOT_STUB_DELTA + (512ull << 20), size, (uint64_t)file, 0,
				       HC_CODE_STUBS, 0));
	usleep(1000000); /* the next cVM is started */
	printf("without: %ld\n", hostcall(HC_mem_map_code, base + SLOT_SIZE + SLOT_LIBOS_TEXT - SLOT_STUB_DELTA, size, (uint64_t)file, 0, 0, 0));
	fflush(stdout);
	return 0;
}
static MAYBE void attack(void) { }
"""


def hostile_build():
    """The Intravisor with that translator."""
    build = os.path.dirname(COMMAND[0])
    folder = os.path.join(SCRATCH, "bin")
    shutil.copytree(build, folder, ignore=lambda where, names: [n for n in names if not n.startswith("intravisor")])
    real = os.path.join(folder, "intravisor-translate")
    os.rename(real, real + "-real")
    source = os.path.join(SCRATCH, "translator.c")
    with open(source, "w", encoding="ascii") as f:
        f.write(TRANSLATOR)
    subprocess.run(["gcc", "-O1", "-w", f"-DPAGES={PAGES}ul", f'-DREAL="{real}-real"', "-I", os.path.join(ROOT, "src"), source, "-o", real],
                   check=True)
    COMMAND[0] = os.path.join(folder, "intravisor")


def main():
    hostile_build()
    volume = os.path.join(SCRATCH, "volume")
    os.makedirs(volume)
    with open(os.path.join(volume, "code"), "wb") as f:
        f.truncate(PAGES * 4096)
    program = raw_program("attacker", ATTACKER.replace("PAGES", f"{PAGES}ul"))
    said = pod(f"cVMs:\n  - {{name: attacker, program: {program}, volumes: ['{volume}:/files']}}\n"
               f"  - {{name: victim, program: /bin/sh, args: [-c, 'for i in $(seq 300); do sleep 0.01; done; echo whole']}}\n")
    check(f"with: {PAGES * 4096}" in said, "the control's image is not mapped", said)
    check("the attacker's code" not in said, "another cVM executes the attacker's code", said)
    check("whole" in said and "without: -22" in said, "the image was taken, or the next cVM is harmed", said)
    print("REFUSED: stubs that nobody asked for")


if __name__ == "__main__":
    main()
