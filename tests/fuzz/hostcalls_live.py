"""Hostile cVMs against a live monitor: hostcalls_guest.c makes random hostcalls in two cVMs beside the attack suite's
victim. After each batch the victim must have been served meanwhile and find its memory unchanged, what the hostile
cVMs used must have gone back (descriptors, threads, mappings, memory of the monitor's process), and the monitor lives.
"""
import contextlib
import os
import random
import re
import subprocess
import tempfile
import threading
import time

import harness
from harness import ROOT, Fail, compile_c, expect, read

SOURCE = os.path.join(ROOT, "tests/fuzz/hostcalls_guest.c")
STEPS = 15000
DOORBELLS = 2  # eventfds that are kept, one for each cVM that ever asked for its own
KINDS = "{file: made}, {call: calls}, {stream: streams}"  # and `board`, which the pod makes
MEMORY_NOISE = 4 << 20  # the victim's own, and page tables


class Pod:
    """An Intravisor with a victim and two hostile cVMs; its output is read as it comes, for they write what they like."""

    def __init__(self, where, seeds, steps):
        import suite_attack
        self.where, bin_folder, shared = where, os.path.dirname(compile_c(SOURCE)), os.path.join(where, "shared")
        for folder in ("shared", "own", "fuzz0", "fuzz1"):
            os.makedirs(os.path.join(where, folder))
        cvms = [("victim", suite_attack.victim_program(), [], [f"{shared}:/shared", f"{where}/own:/own"], "256M")]
        cvms += [(f"hostile{i}", compile_c(SOURCE), [str(seed), str(steps), "/fuzz"], [f"{where}/fuzz{i}:/fuzz"], "256M") for i, seed in enumerate(seeds)]
        with open(f"{where}/pod.yaml", "w") as f:
            f.write("files: [{name: board, size: 64K}]\ncVMs:\n" + "".join(
                f"  - {{name: {name}, program: {program}, args: {args!r}, volumes: {volumes + [bin_folder + ':' + bin_folder + ':ro']!r}, memory: {memory},"
                f" threads: 32, handles: 64, bind: ['127.0.0.1:9000-9010', 0], connect: ['127.0.0.1:9000-9010'],"
                f" provides: [{KINDS}], uses: [{KINDS}, {{file: board, access: rw, map: true}}]}}\n"
                for name, program, args, volumes, memory in cvms))
        self.tail, self.process = b"", subprocess.Popen(harness.yaml_command(f"{where}/pod.yaml", ["--stats", "-q"]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                                        stderr=subprocess.STDOUT, env=harness.ENV, start_new_session=True)
        self.reader = threading.Thread(target=self.collect)
        self.reader.start()

    def collect(self):
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return
            self.tail = (self.tail + data)[-100000:]

    def text(self):
        return self.tail.decode(errors="replace")

    def wait_for(self, what, why, seconds=60):
        end = time.monotonic() + seconds
        while not what():
            if self.process.poll() is not None:
                raise Fail(f"the Intravisor ended with {self.process.returncode}: {why}\n{self.text()[-3000:]}")
            if time.monotonic() > end:
                raise Fail(f"not after {seconds} s: {why}\n{self.text()[-3000:]}")
            time.sleep(0.01)

    def monitor(self):
        for child in read(f"/proc/{self.process.pid}/task/{self.process.pid}/children").split():
            if read(f"/proc/{child}/comm").startswith("intravisor-moni"):
                return child
        return None

    def served(self):
        try:
            with open(f"{self.where}/own/served", "rb") as f:
                return int.from_bytes(f.read(8), "little")
        except OSError:
            return 0

    def end(self):
        harness.end_group(self.process)
        self.reader.join()


def mappings(pid):
    """Those of the cVMs: not the arena, in which a thread's guards stay for the next thread."""
    maps = [line.split() for line in read(f"/proc/{pid}/maps").splitlines()]
    arena = [words[4] for words in maps if words[-2:-1] == ["/dev/zero"]][-1]  # made first, so at the highest address
    return sum(words[4] != arena for words in maps)


def usage(pid):
    """What the monitor's process has of the host."""
    kinds = []
    for n in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            kinds.append(os.readlink(f"/proc/{pid}/fd/{n}"))
    memory = sum(int(n) << 10 for n in re.findall(r"^Rss\w+:\s+(\d+)", read(f"/proc/{pid}/status"), re.M))
    images = sum("/memfd:" in k or "/.cache/intravisor/" in k for k in kinds)
    return {"descriptors": len(kinds) - images, "eventfds": min(sum("[eventfd]" in k for k in kinds), 1 + DOORBELLS), "code images": images,
            "threads": len(os.listdir(f"/proc/{pid}/task")), "mappings": mappings(pid), "memory": memory}


def started(where):
    return all(os.path.exists(f"{where}/fuzz{i}/started") for i in range(2))


def settled(pid):
    """What the process has once it has had the time to take apart what has ended."""
    last, now = None, usage(pid)
    while last is None or any(now[k] < last[k] for k in now):
        time.sleep(0.3)
        last, now = now, usage(pid)
    for _ in range(15):  # the victim maps, opens and starts threads all the time, and gives them back: the least counts
        time.sleep(0.02)
        now = {k: min(v, now[k]) for k, v in usage(pid).items()}
    return now


def batch(where, seeds, steps):
    """One pod from start to end: what was left when only the victim was, and the number of hostcalls made."""
    pod = Pod(where, seeds, steps)
    try:
        pod.wait_for(lambda: pod.monitor() and pod.served(), "the victim did not start")
        monitor = pod.monitor()
        pod.wait_for(lambda: len(os.listdir(f"/proc/{monitor}/task")) == 2 and started(where), "the hostile cVMs do not end")
        before = pod.served()
        pod.wait_for(lambda: pod.served() > before + 2, "the victim is not served any more")
        left = settled(monitor)
        with open(f"{where}/shared/stop", "w"):
            pass
        try:
            pod.process.wait(30)
        except subprocess.TimeoutExpired:
            raise Fail(f"the victim does not end\n{pod.text()[-3000:]}") from None
        pod.reader.join()
        text = pod.text()
        expect("victim: intact" in text, f"the victim's memory or service changed, or it is gone\n{text[-3000:]}")
        expect(not re.search(r"monitor: signal|the monitor (ended|failed|did not)", text), f"the monitor failed\n{text[-3000:]}")
        rows = [line.split() for line in text.splitlines() if re.match(r"(victim|hostile\d) +\d+ +\d", line)]
        expect(len(rows) == 3, f"no accounts at the end\n{text[-3000:]}")
        left["descriptors"] -= left.pop("eventfds")
        return left, sum(int(row[5]) for row in rows[1:])
    finally:
        pod.end()


def fuzz_live(seconds, seed, where):
    if os.geteuid() != 0:
        raise harness.Skip("needs root: what the monitor's process uses is hidden from others")
    rng, end = random.Random(seed), time.monotonic() + seconds
    base, _ = batch(f"{where}/base", (0, 0), 0)
    calls = batches = 0
    while time.monotonic() < end:
        seeds = (rng.randrange(1 << 31), rng.randrange(1 << 31))
        try:
            with tempfile.TemporaryDirectory(dir=where, ignore_cleanup_errors=True) as folder:
                left, made = batch(folder, seeds, STEPS)
        except Fail as fail:
            raise Fail(f"batch {batches}, seeds of the guests {seeds}\n{fail}") from None
        for what in ("descriptors", "threads", "mappings"):
            expect(left[what] <= base[what], f"batch {batches} (seeds {seeds}) left {left[what]} {what}, without hostcalls {base[what]}: {left}")
        expect(left["memory"] <= base["memory"] + MEMORY_NOISE, f"batch {batches} (seeds {seeds}) left {left['memory']} bytes, without hostcalls {base['memory']}: {left}")
        batches, calls = batches + 1, calls + made
    expect(calls > 1000, f"only {calls} hostcalls were made")
    return f"{batches} batches, {calls} hostcalls"
