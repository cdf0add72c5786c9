#!/usr/bin/python3
"""
Question: a caller is killed while its thread is in a callee, who keeps it, and starts again. Do signals from outside go to that thread
of its last life, and so reach nobody?
Expect: the new life gets its signal
Control: the callee that keeps nobody
"""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import COMMAND, SCRATCH, check, command, raw_program  # noqa: E402

PATIENCE = 30  # seconds; only ever reached by a failure
ENV = dict(os.environ, XDG_RUNTIME_DIR=os.path.join(SCRATCH, "runtime"))

PROGRAM = r"""
#define main unused_main
#include "cap.h"
#undef main

static void make(const char *path)
{
	close(open(path, O_WRONLY | O_CREAT, 0600));
}

static void on_signal(int signal)
{
	(void)signal;
	make("/files/heard");
}

static void keep(uint64_t *words)
{
	make("/files/inside");
	while (words[0])
		pause();
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		serve(create_named(CAP_EXPORT, "service", 0), keep);
	} else if (access("/files/inside", F_OK)) {
		uint32_t service = open_named(CAP_CALL, "service", CAP_USE);
		call1(service, access("/files/let-go", F_OK) != 0);
	} else {
		signal(SIGUSR1, on_signal);
		make("/files/second");
	}
	for (;;)
		pause();
}
static MAYBE void companion(void) { }
static MAYBE void attack(void) { }
"""


def heard(program, let_go):
    files = tempfile.mkdtemp(dir=SCRATCH)

    def there(name):
        end = time.monotonic() + PATIENCE
        while not os.path.exists(os.path.join(files, name)) and time.monotonic() < end:
            time.sleep(0.01)
        return os.path.exists(os.path.join(files, name))

    if let_go:
        with open(os.path.join(files, "let-go"), "w", encoding="ascii"):
            pass
    with open(os.path.join(files, "pod.yaml"), "w", encoding="ascii") as f:
        f.write(f"""cVMs:
  - {{name: caller, program: {program}, uses: [{{call: service}}], volumes: ["{files}:/files"], restart: on-failure, restart_delay: 100ms}}
  - {{name: callee, program: {program}, args: [keep], provides: [{{call: service}}], volumes: ["{files}:/files"]}}
""")
    with subprocess.Popen([*COMMAND, "--name", "lives", "-y", os.path.join(files, "pod.yaml")], env=ENV, stdin=subprocess.DEVNULL) as run:
        try:
            check(there("inside"), "the call does not begin")
            time.sleep(0.2 if let_go else 0)
            ran = command(COMMAND[0], "kill", "-s", "KILL", "lives/caller", env=ENV)
            check(ran[0] == 0 and there("second"), "the caller does not start again", ran)
            ran = command(COMMAND[0], "kill", "-s", "USR1", "lives/caller", env=ENV)
            check(ran[0] == 0, "no signal can be sent", ran)
            return there("heard")
        finally:
            run.kill()


def main():
    os.makedirs(ENV["XDG_RUNTIME_DIR"], mode=0o700)
    program = raw_program("lives", PROGRAM)
    check(heard(program, True), "the control hears nothing")
    check(heard(program, False), "the new life hears nothing, for the callee keeps a thread of the last")
    print("REFUSED: the new life gets its signal")


if __name__ == "__main__":
    main()
