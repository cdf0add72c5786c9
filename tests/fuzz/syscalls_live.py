"""The libOS against Linux: the same random system calls (syscalls_guest.c) natively and in a cVM must give the same lines."""
import os
import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import harness
from harness import ROOT, Fail, compile_c, cvm, difference, expect, run

SOURCE = os.path.join(ROOT, "tests/fuzz/syscalls_guest.c")
COUNT = 2500
TTY_COUNT = 400  # what Linux's line discipline does with its echo is not always to be known in long runs of them
USER_COUNT = 60  # children of 30 calls
# kinds of calls, and where: host volumes are held against the file system they are on, what lives in memory against tmpfs, the overlay with
# something below it, too; no files, for who reads one from below sees no later writes (CAVEATS.md)
TURNS = [("f", "volume"), ("ft", "tmpfs"), ("d", "tmpfs"), ("m", "volume"), ("s", "volume"), ("p", "volume"), ("c", "volume"), ("i", "volume"), ("n", "tmpfs"), ("e", "tmpfs"), ("q", "tmpfs"), ("u", "tmpfs"), ("y", "volume"), ("w", "tmpfs"),
         ("ft", "overlay"), ("w", "overlay")]


def count(kinds):
    return TTY_COUNT if "y" in kinds else USER_COUNT if "u" in kinds else COUNT


def furnish(where):
    for name in ("d1/d2", "d2/d1", "c"):
        os.makedirs(os.path.join(where, "top", name))
    for name, target in (("s1", "d1"), ("s2", "d2/a"), ("b", "nothing"), ("d1/s1", "../c")):
        os.symlink(target, os.path.join(where, "top", name))
    return where


def native(seed, kinds, where):
    return run([compile_c(SOURCE), seed, count(kinds), kinds, where], cwd="/", timeout=60)


def inside(seed, kinds, options, where, isolated):
    program = compile_c(SOURCE)
    return cvm([program, seed, count(kinds), kinds, where], [*options, *["--isolate-libos"] * isolated, "-v", f"{os.path.dirname(program)}:{os.path.dirname(program)}:ro", "-q"], timeout=60)


def one(seed, kinds, place, folder, isolated=False):
    with (tempfile.TemporaryDirectory(dir=folder if place == "volume" else "/dev/shm", ignore_cleanup_errors=True) as one_folder,
          tempfile.TemporaryDirectory(dir="/var/tmp" if place == "overlay" else folder, ignore_cleanup_errors=True) as other, ThreadPoolExecutor(2) as both):
        where = {"volume": (["-v", f"{other}:/w"], "/w"), "tmpfs": (["--tmpfs", "/w"], "/w"), "overlay": ([], other)}[place]
        for furnished in (one_folder, other) if place == "overlay" else ():
            furnish(furnished)
        a, b = both.submit(native, seed, kinds, one_folder), both.submit(inside, seed, kinds, *where, isolated)
        a, b = a.result(), b.result()
    expect(a.status == 0, "the program fails natively", a)
    if a.out == b.out and b.status == 0:
        return
    same = 0
    for same, (x, y) in enumerate(zip(a.out.splitlines(), b.out.splitlines())):
        if x != y:
            break
    before = "\n".join(a.text().splitlines()[max(0, same - 30):same])
    raise Fail(f"syscalls_guest {seed} {count(kinds)} {kinds} on a {place}{' with --isolate-libos' * isolated}: exit status {b.status}, {difference(a.out, b.out)}\nbefore it:\n{before}\n{b.errors()[-500:]}")


def fuzz_live(seconds, seed, where):
    rng, end, rounds = random.Random(seed), time.monotonic() + seconds, 0
    while rounds < len(TURNS) or time.monotonic() < end:
        one(rng.randrange(1 << 31), *TURNS[rounds % len(TURNS)], where, isolated=rounds // len(TURNS) % 2 == 1)
        rounds += 1
    return f"{rounds} sequences of up to {COUNT} calls"
