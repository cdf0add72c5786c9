#!/usr/bin/python3
"""
Question: threads that a callee makes while it is called are made by its caller's thread. Do they keep the caller's weight of the
processor, so that who is called by a cVM with more of it than itself has it for ever?
Expect: the callee's threads have the callee's weight
Control: the caller's own thread has the caller's, which is another (as root; others may not give more)
"""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import COMMAND, ENV, SCRATCH, check, raw_program  # noqa: E402

PATIENCE = 30  # seconds; only ever reached by a failure

PROGRAM = r"""
#define main unused_main
#include "cap.h"
#undef main

static void *idle(void *unused)
{
	close(open("/files/made", O_WRONLY | O_CREAT, 0600));
	for (;;)
		pause();
	return unused;
}

static void handler(uint64_t *words)
{
	pthread_t thread;

	words[0] = (uint64_t)pthread_create(&thread, NULL, idle, NULL);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		serve(create_named(CAP_EXPORT, "service", 0), handler);
	call1(open_named(CAP_CALL, "service", CAP_USE), 0);
	for (;;)
		pause();
}
static MAYBE void companion(void) { }
static MAYBE void attack(void) { }
"""


def weights(pid):
    """Nice values of the threads of the monitor, which is the process's child with most of them."""
    found = []
    for child in subprocess.run(["pgrep", "-P", str(pid)], stdout=subprocess.PIPE, text=True, check=False).stdout.split():
        ran = subprocess.run(["ps", "-L", "-o", "ni=", "-p", child], stdout=subprocess.PIPE, text=True, check=False)
        found = max(found, sorted(int(n) for n in ran.stdout.split()), key=len)
    return found


def main():
    files, program = tempfile.mkdtemp(dir=SCRATCH), raw_program("weight", PROGRAM)
    with open(os.path.join(files, "pod.yaml"), "w", encoding="ascii") as f:
        f.write(f"""cVMs:
  - {{name: caller, program: {program}, uses: [{{call: service}}], volumes: ["{files}:/files"], cpu_weight: 1000}}
  - {{name: callee, program: {program}, args: [serve], provides: [{{call: service}}], volumes: ["{files}:/files"]}}
""")
    with subprocess.Popen([*COMMAND, "-y", os.path.join(files, "pod.yaml")], env=ENV, stdin=subprocess.DEVNULL) as run:
        try:
            end = time.monotonic() + PATIENCE
            while (not os.path.exists(os.path.join(files, "made")) or len(weights(run.pid)) != 4) and time.monotonic() < end:
                time.sleep(0.01)
            found, own = weights(run.pid), os.getpriority(os.PRIO_PROCESS, 0)
        finally:
            run.kill()
    check(len(found) == 4 and (os.geteuid() or found[0] < own), "the control has no other weight", found)
    check(found[1:] == [own] * 3, "a thread of the callee has the caller's weight", found)
    print(f"REFUSED: {found}")


if __name__ == "__main__":
    main()
