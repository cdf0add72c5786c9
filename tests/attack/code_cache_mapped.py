#!/usr/bin/python3
"""
Question: entries of the cache on disk are found again by the times of the file that they were made of. Who wrote to a page of it through a
shared mapping, has code of it translated and then writes there again, changes no time. Does a cVM of a later run execute what the file had?
Expect: it executes what the file has
Control: a file that nobody had mapped for writing gets its entry, and is executed, too
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import SCRATCH, cached, check, empty_cache, run  # noqa: E402

PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 8192

static int execute(void)
{
	int fd = open("/files/code", O_RDONLY);
	int (*code)(void) = mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	close(fd);
	return code == MAP_FAILED ? -1 : code();
}

static void put(char *at, char number)
{
	const char code[] = { 0xb8, number, 0, 0, 0, 0xc3 }; /* mov $number, %eax; ret */

	memcpy(at, code, sizeof code);
}

int main(int argc, char **argv)
{
	if (!strcmp(argv[1], "change")) {
		int fd = open("/files/code", O_RDWR | O_CREAT, 0700);
		ftruncate(fd, SIZE);
		char *shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		put(shared, 1);
		usleep(100000); /* the cache takes files that are no longer new */
		printf("%d\n", execute());
		put(shared, 2);
	} else {
		printf("%d\n", execute());
	}
	return 0;
}
"""


def main():
    source, program = os.path.join(SCRATCH, "mapped.c"), os.path.join(SCRATCH, "mapped")
    with open(source, "w", encoding="ascii") as f:
        f.write(PROGRAM)
    subprocess.run(["gcc", "-w", source, "-o", program], check=True)
    files = tempfile.mkdtemp(dir=SCRATCH)

    def says(*how):
        status, text = run("-v", f"{SCRATCH}:{SCRATCH}:ro", "-v", f"{files}:/files", "--", program, *how)
        check(status == 0, f"the program ended with status {status}", text)
        return text.split()[-1]

    empty_cache()
    check(says("change") == "1", "what it wrote does not run")
    entries = len(cached())
    check(entries >= 2, "the cache is not used")
    with open(f"{files}/code", "rb") as f:
        check(f.read(2) == b"\xb8\x02", "the file was not changed")
    for _ in range(20):  # whoever wrote to it may not be quite gone
        check(says("execute") == "2", "it executes what the file had before")
        if len(cached()) > entries:
            break
    check(len(cached()) > entries, "what nobody writes to gets no entry")
    check(says("execute") == "2", "the entry is another one's")
    print("REFUSED: it executes what the file has")


if __name__ == "__main__":
    main()
