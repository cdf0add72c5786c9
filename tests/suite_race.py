"""The monitor's concurrent parts under ThreadSanitizer (tests/race), and whether it would see a lock that is not taken. The order in
which the libOS takes its locks, by a libOS that looks (core/lock_order.c; tests/unit/lock_order.c says that it sees).

CVM_RACE_SECONDS: how long (5); CVM_RACE_SEED. A soak takes other seeds.
"""
import glob
import os
import re
import shutil
import sys
import threading
import time

import suite_guest
from harness import BUILD, OUT, ROOT, Fail, Test, expect, run, scratch

FOLDER = os.path.join(ROOT, "tests/race")
SOURCES = ["caps", "cap_memory", "cvm", "handle", "hostcall", "lock", "memory", "stream", "user"]  # and those that tests/race includes
# Without built-in functions: TSan does not see a memcpy that the compiler expands.
FLAGS = ["-O1", "-g", "-fno-builtin", "-fsanitize=thread", "-D_GNU_SOURCE", "-I", os.path.join(ROOT, "src"), "-I", FOLDER, "-mfsgsbase", "-mpopcnt", "-fno-strict-aliasing",
         "-Wall", "-Wno-tsan", "-Wno-uninitialized", "-Wno-maybe-uninitialized", "-Wl,--wrap=lock_take,--wrap=lock_give", "-pthread"]
# What must have succeeded at least once, or the test tests nothing: hostcalls by name.
NEEDED = ["cap_open", "cap_create", "cap_memory", "cap_derive", "cap_seal", "cap_revoke", "cap_close", "cap_info", "cap_read", "cap_write", "cap_map", "cap_wait",
          "cap_notify", "cap_events", "cap_doorbell", "call_invoke", "call_invoke_msg", "call_serve", "call_caps", "stream_connect", "stream_accept", "stream_send",
          "stream_recv", "stream_cap", "stream_shutdown", "stream_map", "stream_window", "thread_create", "thread_kick", "thread_cputime", "mem_commit",
          "mem_release", "mem_protect", "mem_map_file", "cvm_info"]
# (what is taken away, what the first report must name). Weak: in stream.c stores release nothing.
CONTROLS = [("cap", "caps.c"), ("ring", "stream.c"), ("thread", "thread.c"), ("handle", "handle.c"), ("mem", "memory.c"), ("weak", "stream.c")]


_building = threading.Lock()


def hammer(weak=False):
    """The program, built again only when something is newer."""
    target = os.path.join(OUT, "bin", "race-hammer" + ("-weak" if weak else ""))
    sources = [os.path.join(ROOT, "src/monitor", f"{s}.c") for s in SOURCES if not (weak and s == "stream")]
    sources += [os.path.join(FOLDER, n) for n in sorted(os.listdir(FOLDER)) if n.endswith(".c") and n != "weak_stream.c"]
    sources += [os.path.join(FOLDER, "weak_stream.c")] if weak else []
    inputs = [p for pattern in ("src/*/*.[ch]", "src/monitor/x86_64/*", "tests/race/*") for p in glob.glob(os.path.join(ROOT, pattern))]
    with _building:
        if os.path.exists(target) and os.path.getmtime(target) > max(map(os.path.getmtime, inputs)):
            return target
        os.makedirs(os.path.dirname(target), exist_ok=True)
        ran = run(["gcc", *FLAGS, "-o", target + ".new", *sources], timeout=300)
        expect(ran.status == 0, "does not build", ran)
        os.rename(target + ".new", target)
    return target


def look(program, seconds, seed, lock=None):
    return run([program, seconds, seed, *([lock] if lock else [])], timeout=seconds + 120,
               env=dict(os.environ, TSAN_OPTIONS="halt_on_error=1 exitcode=66 history_size=4"))


def monitor():
    seconds = int(os.environ.get("CVM_RACE_SECONDS", 60 if "--soak" in sys.argv else 5))
    seed = int(os.environ.get("CVM_RACE_SEED", time.time_ns() >> 20 if "--soak" in sys.argv else 20261121))
    for longer in 1, 12:  # on a busy machine little is done in the same time
        ran = look(hammer(), seconds * longer, seed)
        if ran.status != 0 or "WARNING" in ran.errors():
            raise Fail(f"seed {seed}\n{ran}")
        done = dict(pair.split(":") for pair in ran.text().split() if ":" in pair)
        missing = [name for name in NEEDED if name not in done]
        if not missing:
            break
    expect(not missing, f"never succeeded: {' '.join(missing)}", ran)
    return f"seed {seed}, {ran.text().split(' ', 1)[0]} hostcalls, no race"


def control(lock, file):
    def test():
        for seconds in 60, 120, 480:  # on a busy machine little is done in the same time
            ran = look(hammer(lock == "weak"), seconds, 1, lock if lock != "weak" else None)
            if ran.status == 66 and "nested bug in the same thread" not in ran.errors():  # the race hit the sanitizer itself before its report
                break
        found = re.search(r"SUMMARY: ThreadSanitizer: data race \S*?(\w+\.c):", ran.errors())
        expect(ran.status == 66 and found, f"nobody misses it: {lock}", ran)
        expect(file in ran.errors(), f"reported, but not in {file}", ran)
        return f"reported in {found[1]}"
    return test


def libos_lock_order():
    """Every guest program, and connections between two cVMs, on a libOS that ends at the first lock in another order."""
    where = os.path.join(OUT, "lock-order")
    os.makedirs(where, exist_ok=True)
    checking, = glob.glob(os.path.join(BUILD, "meson/**/intravisor-libos-lock-order"), recursive=True)
    for path in glob.glob(os.path.join(BUILD, "intravisor*")):
        shutil.copy(checking if path.endswith("intravisor-libos") else path, os.path.join(where, os.path.basename(path)))
    count = 0
    for source in suite_guest.sources():
        for isolated in (False, True) if count % 4 == 0 else (False,):
            ours = suite_guest.in_cvm(source, suite_guest.kinds(source)[0], isolated, scratch(f"lock-order-{count}"), os.urandom(4).hex(), os.path.join(where, "intravisor"))
            expect("libOS" not in ours.errors(), "locks in another order, or another end of the libOS", ours)
            count += 1
    return f"{count} runs"


def tests():
    return [Test("race/monitor", monitor), Test("race/libos_lock_order", libos_lock_order)] + [Test(f"race/control_{lock}", control(lock, file)) for lock, file in CONTROLS]
