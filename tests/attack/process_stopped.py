#!/usr/bin/python3
"""
Question: a stop (Ctrl-Z, SIGSTOP) and SIGCONT make the kernel restart what cVMs wait in, by a system call of its own number:
does that, refused by the filter, end all cVMs?
Expect: the cVMs go on waiting and end as ever
Control: none: the list of the filter has no option
"""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import COMMAND, check  # noqa: E402

PROGRAM = ("import select, threading, time\n"
           "t = [threading.Thread(target=f) for f in (lambda: time.sleep(4), lambda: select.select([], [], [], 4), lambda: threading.Event().wait(4))]\n"
           "[x.start() for x in t]\nprint('waiting', flush=True)\n[x.join() for x in t]\nprint('done', flush=True)\n")


def main():
    with subprocess.Popen([*COMMAND, "--", "python3.11", "-c", PROGRAM], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as run:
        first = run.stdout.readline()
        with open(f"/proc/{run.pid}/task/{run.pid}/children") as f:
            children = f.read().split()
        monitors = [int(c) for c in children if open(f"/proc/{c}/comm").read().startswith("intravisor-moni")]
        stops = 0
        try:
            for _ in range(5):
                for monitor in monitors:
                    os.kill(monitor, signal.SIGSTOP)
                    time.sleep(0.1)
                    os.kill(monitor, signal.SIGCONT)
                    stops += 1
                time.sleep(0.1)
        except ProcessLookupError:  # so slow that the program was done before
            pass
        rest = run.stdout.read()
    check((first, rest, run.returncode, len(monitors), stops > 0) == ("waiting\n", "done\n", 0, 1, True),
          f"status {run.returncode}, {len(monitors)} monitors, {stops} stops", first + rest)
    print("REFUSED: the cVM went on")


if __name__ == "__main__":
    main()
