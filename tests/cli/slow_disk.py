#!/usr/bin/python3
"""The disk of the code cache takes its time: programs start meanwhile, the command answers and keeps their output; what is new in the
cache is there when the disk has it."""
import json
import os
import subprocess
import sys
import time

INTRAVISOR, OPTIONS, SCRATCH = os.environ["INTRAVISOR"], os.environ.get("INTRAVISOR_OPTIONS", "").split(), os.environ["SCRATCH"]
PATIENCE = 100  # seconds; only ever reached by a failure
MOUNT, SHARED = os.path.join(SCRATCH, "mount"), os.path.join(SCRATCH, "shared")
ENV = dict(os.environ, XDG_CACHE_HOME=MOUNT, XDG_RUNTIME_DIR=os.path.join(SCRATCH, "runtime"))
POD = """logs: capture
cVMs: [{name: c, program: /usr/bin/perl, args: [-e, '$| = 1; print qq(hello); sleep 1000']}]
"""


def wait(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"it did not happen: {what}")
        time.sleep(0.02)


def command(*arguments):
    ran = subprocess.run([INTRAVISOR, *arguments], env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         timeout=PATIENCE, text=True, check=False)
    return ran.returncode, ran.stdout


def entries():
    folder = os.path.join(SHARED, "disk/intravisor")
    return [n for n in os.listdir(folder) if n.endswith(".code")], [n for n in os.listdir(folder) if n.startswith("tmp.")]


def serves_while_the_disk_does_not():
    run = subprocess.Popen([INTRAVISOR, "run", "-q", *OPTIONS, "--name", "slow", "-y", "pod.yaml"], cwd=SCRATCH, env=ENV, stdin=subprocess.DEVNULL)
    wait(lambda: os.path.exists(os.path.join(SHARED, "asked")), "something new comes into the cache")
    status, text = command("ps", "--json")
    if status or json.loads(text)[0]["cvms"][0]["state"] != "running":
        sys.exit(f"the command does not answer: {status} {text}")
    wait(lambda: command("logs", "slow") == (0, "hello"), "the program runs")
    there, new = entries()
    if there or not new:
        sys.exit(f"the disk did not hang: {there} {new}")
    if command("stop", "-t", "0", "slow") != (0, ""):
        sys.exit("the pod does not stop")
    with open(os.path.join(SHARED, "answer"), "w", encoding="ascii"):
        pass
    run.wait(PATIENCE)
    there, left = entries()
    if not there or left:
        sys.exit(f"not in the cache: {there}, left over: {left}")


def main():
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("needs root and /dev/fuse: makes a file system that does not answer")
        sys.exit(77)
    for path in (MOUNT, SHARED + "/disk"):
        os.makedirs(path)
    with open(os.path.join(SCRATCH, "pod.yaml"), "w", encoding="ascii") as f:
        f.write(POD)
    files = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "slow_files.py")
    disk = subprocess.Popen(["/usr/bin/python3", files, MOUNT, SHARED, "disk"])
    try:
        wait(lambda: os.path.ismount(MOUNT), "the file system is there")
        serves_while_the_disk_does_not()
    finally:
        with open(os.path.join(SHARED, "answer"), "w", encoding="ascii"):
            pass
        subprocess.run(["umount", "-l", MOUNT], check=False)
        disk.kill()
        disk.wait()


if __name__ == "__main__":
    main()
