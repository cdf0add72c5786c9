#!/usr/bin/python3
"""Directories below the overlay are kept open for a moment: when the host puts another one in their place, the cVM follows."""
import os
import subprocess
import sys

INTRAVISOR, SCRATCH = os.environ["INTRAVISOR"], os.environ["SCRATCH"]
OPTIONS = os.environ.get("INTRAVISOR_OPTIONS", "").split()
TOP = os.path.join(SCRATCH, "top")

PROGRAM = """
import os, sys, time
def wait(what):
    end = time.monotonic() + 60
    while not what():
        if time.monotonic() > end:
            sys.exit("not seen")
        time.sleep(0.01)
here = lambda name: os.path.exists(sys.argv[1] + "/" + name)
for d in range(20):  # more than are kept, and often enough
    for name in ("a", "b", "c", "a", "none"):
        assert here(f"d{d}/{name}") == (name != "none"), (d, name)
print("ready", flush=True)
wait(lambda: here("d19/new") and not here("d19/a"))
with open(sys.argv[1] + "/d19/new") as f:
    print(f.read())
wait(lambda: not here("d18/a"))
print("followed")
"""


def main():
    for d in range(20):
        os.makedirs(f"{TOP}/d{d}")
        for name in "abc":
            open(f"{TOP}/d{d}/{name}", "w").close()
    process = subprocess.Popen([INTRAVISOR, "run", "-q", *OPTIONS, "--", "/usr/bin/python3.11", "-c", PROGRAM, TOP], stdout=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    if first != "ready\n":
        sys.exit(f"wrong before anything changed: {first!r}")
    os.rename(f"{TOP}/d19", f"{TOP}/moved")
    os.mkdir(f"{TOP}/d19")
    with open(f"{TOP}/d19/new", "w") as f:
        f.write("new")
    for name in "abc":
        os.unlink(f"{TOP}/d18/{name}")
    os.rmdir(f"{TOP}/d18")
    rest = process.communicate(timeout=200)[0]
    if (process.returncode, rest) != (0, "new\nfollowed\n"):
        sys.exit(f"status {process.returncode}: {rest!r}")


if __name__ == "__main__":
    main()
