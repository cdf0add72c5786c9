#!/usr/bin/python3
"""
Question: code comes from files of the cache on disk, mapped themselves. What if somebody who can write there changes one that is in
use, having it open since before, opening it now, or truncating it?
Expect: who has it open for writing changes nothing, for the monitor then maps a copy; who opens or truncates it changes nothing
before the monitor is dead. Without leases on the file system, copies are all there is
Control: an ordinary private mapping of the same file shows what is written to it
"""
import mmap
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import COMMAND, ENV, cached, check, empty_cache  # noqa: E402

PAGE = 4096
TRAP = b"\xcc" * PAGE


def start():
    """A program that goes on when its input ends; returns when it runs."""
    process = subprocess.Popen([*COMMAND, "--", "/usr/bin/sort"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENV)
    process.stdin.write(b"b\na\n" * 100_000)  # more than a pipe holds: once it is written the program reads
    process.stdin.flush()
    return process


def end(process):
    text = process.communicate(timeout=120)[0]
    return process.returncode, text


RIGHT = (0, b"a\n" * 100_000 + b"b\n" * 100_000)


def fill():
    empty_cache()
    check(end(start()) == RIGHT, "an ordinary run fails")
    check(len(cached()) >= 2, "an ordinary run does not fill the cache")
    return cached()


def leased(path):
    st = os.stat(path)
    with open("/proc/locks") as f:
        return any("LEASE" in line and line.split()[5].endswith(f":{st.st_ino}") for line in f)


def monitor_of(process):
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as f:
        return int(f.read().split()[0])


def runs(pid):
    """Has any thread of it an address space, and so could execute?"""
    try:
        with open(f"/proc/{pid}/status") as f:
            return "\nVmSize:" in f.read()
    except (FileNotFoundError, ProcessLookupError):
        return False


def spoil(fd):
    os.pwrite(fd, TRAP * ((os.fstat(fd).st_size - PAGE) // PAGE), PAGE)


def control(path):
    with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as mapped:
        before = mapped[PAGE:2 * PAGE]
        spoil(f.fileno())
        check(before != TRAP and mapped[PAGE:2 * PAGE] == TRAP, "the control shows nothing: a mapping does not follow its file")


def open_since_before():
    files = fill()
    writers = [os.open(f, os.O_WRONLY) for f in files]
    process = start()
    check(not any(leased(f) for f in files), "a file that is open for writing was leased")
    for fd in writers:
        spoil(fd)
        os.close(fd)
    ran = end(process)
    check(ran == RIGHT, "code changed with its file", ran[1][:2000])


def change(how):
    """`how` changes the file, or is refused; then the monitor must be dead, or run on unchanged code."""
    files = fill()
    process = start()
    path = max((f for f in files if leased(f)), key=os.path.getsize, default=None)
    monitor = monitor_of(process)
    how(path or max(files, key=os.path.getsize))
    alive = runs(monitor)
    status, text = end(process)
    if path:
        check(not alive, "a leased file was changed under a running monitor")
        check(status == 125, f"the run ended with status {status}", text[:2000])
    else:
        check((status, text) == RIGHT, "code changed with its file", text[:2000])
    return path


def write(path):
    fd = os.open(path, os.O_WRONLY)
    spoil(fd)
    os.close(fd)


def main():
    control(fill()[0])
    open_since_before()
    under_lease = [change(how) for how in (write, lambda path: os.truncate(path, PAGE), lambda path: open(path, "wb").close())]
    check(fill() and end(start()) == RIGHT, "after the attack an ordinary run fails")
    print(f"REFUSED: changes of code in use ({'leases' if all(under_lease) else 'copies'})")


if __name__ == "__main__":
    main()
