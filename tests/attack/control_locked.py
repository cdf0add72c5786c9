#!/usr/bin/python3
"""
Question: a cVM that sees the directory of the control sockets (it was granted read-only, or lies below its root) locks it and all
in it, and never lets go. Do other pods still start, and do the commands still clean up after dead ones?
Expect: they do; what they lock is nothing that a cVM opens
Control: the lock on the directory, for which nobody asks, is held
"""
import fcntl
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import COMMAND, SCRATCH, check, command, raw_program  # noqa: E402

PATIENCE = 120  # seconds; only ever reached by a failure
FOLDER = os.path.join(SCRATCH, "runtime/intravisor")
ENV = dict(os.environ, XDG_RUNTIME_DIR=os.path.dirname(FOLDER))

PROGRAM = r"""
#define main unused_main
#include "attack.h"
#undef main

int main(void)
{
	static const char *const files[] = { "", ".lock", "dead.sock" };
	struct flock whole = { .l_type = F_RDLCK };
	uint64_t dir = granted_directory("mark");

	for (int i = 0; i < 3; i++) {
		long fd = hostcall(HC_file_open, dir, (uint64_t)files[i], strlen(files[i]), O_RDONLY, 0, 0);
		if (fd < 0)
			continue;
		long flock = hostcall(HC_file_flock, (uint64_t)fd, 2 /* LOCK_EX */, 0, 0, 0, 0);
		long record = hostcall(HC_file_lock, (uint64_t)fd, F_OFD_SETLK, (uint64_t)&whole, 0, 0, 0);
		printf("\"%s\": flock %ld, record lock %ld\n", files[i], flock, record);
	}
	printf("done\n");
	fflush(stdout);
	for (;;)
		pause();
}
static MAYBE void attack(void) { }
"""


def in_time(*words):
    try:
        return command(*words, env=ENV, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        sys.exit(f"BREACH: intravisor {words[1]} waits for ever")


def locked(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def main():
    os.makedirs(FOLDER, mode=0o700)
    with open(os.path.join(FOLDER, "mark"), "w"), socket.socket(socket.AF_UNIX) as dead:
        here = os.open(FOLDER, os.O_PATH)
        dead.bind(f"/proc/self/fd/{here}/dead.sock")
        os.close(here)
    attacker = [*COMMAND, "--name", "attacker", "-v", f"{FOLDER}:/given:ro", "--", raw_program("locks", PROGRAM)]
    with subprocess.Popen(attacker, env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        try:
            said = ""
            while not said.endswith("done\n"):
                line = run.stdout.readline()
                check(line, f"the attacker ended\n{said}")
                said += line
            check('"": flock 0' in said and locked(FOLDER), f"the control does not hold the directory's lock\n{said}")
            check('".lock"' not in said, f"it opened what the command locks\n{said}")
            ran = in_time(*COMMAND, "--name", "other", "--", "/bin/echo", "started")
            check(ran == (0, "started\n"), f"another pod does not start: {ran}")
            status, text = in_time(COMMAND[0], "ps")
            check(status == 0 and "attacker" in text, f"ps: {text}")
            check(not os.path.exists(os.path.join(FOLDER, "dead.sock")), "ps does not clean up")
        finally:
            run.kill()
    print("REFUSED: no cVM holds the command's lock")


if __name__ == "__main__":
    main()
