#!/usr/bin/python3
"""Runs every suite and ends with one line: N passed, N failed, N skipped.

usage: run.py [--list] [--soak HOURS] [-v] [PART-OF-A-NAME...]
Suites: build, unit, source, cli, guest, e2e, loopback, examples, cap, race, fuzz, soak, attack. Exit status 1 if a test failed.

Where the CPU has no protection keys, tests that need them run in an emulated machine that has (tests/vm/run-in-vm), all
in one boot, by this same program started there with CVM_IN_VM=1.
"""
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import harness
from harness import OUT, ROOT, Fail, Skip

SUITES = ["suite_build", "suite_cli", "suite_guest", "suite_e2e", "suite_loopback", "suite_examples", "suite_cap", "suite_race", "suite_fuzz", "suite_soak", "suite_attack"]
WORKERS = 2
VM_RESULTS = os.path.join(OUT, "vm-results.jsonl")
VM_TIMEOUT = 1800


def run_test(test):
    started = time.monotonic()
    status, text = "pass", ""
    try:
        text = test.function() or ""
    except Skip as skip:
        status, text = "skip", str(skip)
        if skip.keys and harness.MUST_WORK:
            status, text = "fail", f"skipped although CVM_MUST_WORK=1: {text}"
    except Fail as fail:
        status, text = "fail", str(fail)
    except Exception:  # a broken test is a failed test
        status, text = "fail", traceback.format_exc()
    return {"name": test.name, "status": status, "seconds": round(time.monotonic() - started, 2), "text": text}


class Report:
    """Prints results as they come and remembers them."""

    def __init__(self, verbose, log=None):
        self.results, self.lock, self.verbose, self.log = [], threading.Lock(), verbose, log

    def add(self, result):
        with self.lock:
            self.results.append(result)
            word = {"pass": "ok  ", "fail": "FAIL", "skip": "skip"}[result["status"]]
            note = result["text"].splitlines()[0][:150] if result["text"] else ""
            if result["status"] != "pass" or note or self.verbose:
                print(f"{word} {result['name']} ({result['seconds']:.1f} s){': ' + note if note else ''}", flush=True)
            if self.log:
                self.log.write(json.dumps(result) + "\n")
                self.log.flush()

    def count(self, status):
        return sum(1 for r in self.results if r["status"] == status)

    def finish(self):
        for result in self.results:
            if result["status"] == "fail":
                print(f"\n=== FAIL {result['name']}\n{result['text']}")
        print("\nsuite        passed failed skipped  seconds")
        for suite in dict.fromkeys(r["name"].split("/")[0] for r in self.results):
            mine = [r for r in self.results if r["name"].split("/")[0] == suite]
            counts = [sum(1 for r in mine if r["status"] == s) for s in ("pass", "fail", "skip")]
            print(f"{suite:12} {counts[0]:6} {counts[1]:6} {counts[2]:7} {sum(r['seconds'] for r in mine):8.0f}")
        for result in self.results:
            if result["status"] == "skip":
                print(f"skipped: {result['name']}: {result['text']}")
        harness.write_json(os.path.join(OUT, "results.json"), self.results)


def run_all(tests, report):
    """Two at a time; those that want the machine for themselves afterwards, one by one."""
    with ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(lambda t=t: report.add(run_test(t))) for t in tests if not t.alone]:
            done.result()
    for test in tests:
        if test.alone:
            report.add(run_test(test))


def run_in_vm(tests, report):
    """One boot for all tests that need protection keys, on a machine that has none. Each gets a result, whatever happens."""
    names = [t.name for t in tests]
    try:
        how = boot(names, report) if names else ""
    except Exception:
        how = "this program failed beside it:\n" + traceback.format_exc()
    done = {r["name"] for r in report.results}
    for name in names:
        if f"{name} (keys)" not in done:
            report.add({"name": f"{name} (keys)", "status": "fail", "seconds": 0, "text": f"no result from the emulated machine: {how}"})


def boot(names, report):
    """Starts the machine and passes on its results as they come; how it ended."""
    missing = vm_missing()
    if missing:
        for name in names:
            report.add({"name": f"{name} (keys)", "status": "skip", "seconds": 0,
                        "text": f"needs protection keys: not in this CPU, and the emulated machine needs {missing}"})
        return ""
    with open(VM_RESULTS, "w"):
        pass
    names_file = os.path.join(OUT, "vm-tests.txt")
    with open(names_file, "w") as f:
        f.write("\n".join(names))
    command = [os.path.join(ROOT, "tests/vm/run-in-vm"), "/usr/bin/env", "CVM_IN_VM=1", "/usr/bin/python3",
               os.path.join(ROOT, "tests/run.py"), "--from", names_file]
    with open(os.path.join(OUT, "vm.log"), "w") as log:
        vm = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
                              env=dict(os.environ, VM_TIMEOUT=str(VM_TIMEOUT)))
        _machine.append(vm)
        seen, ended = 0, False
        while not ended:
            time.sleep(0.5)
            ended = vm.poll() is not None
            seen = relay(seen, report)
        _machine.clear()
    damaged = [line[:200] for line in result_lines()[seen:]]
    tail = harness.read(os.path.join(OUT, "vm.log")).splitlines()[-30:]
    return "\n".join([f"it ended with status {vm.returncode}", *(f"unreadable line {line!r}" for line in damaged), *tail])


_machine = []


def end_machine():
    for vm in _machine:
        harness.end_group(vm)
    return 143


def result_lines():
    lines = harness.read(VM_RESULTS).split("\n")
    return lines if lines[-1] else lines[:-1]


def relay(seen, report):
    """Passes on the results behind the first `seen`; the number of them now. What the machine's file system shows of the last
    lines may be half of them, or zeros: the next look finds them whole."""
    for line in result_lines()[seen:]:
        try:
            result = json.loads(line)
        except ValueError:
            break
        report.add(dict(result, name=result["name"] + " (keys)"))
        seen += 1
    return seen


def vm_missing():
    if not any(os.path.exists(os.path.join(p, "qemu-system-x86_64")) for p in ("/usr/bin", "/usr/local/bin")):
        return "the package qemu-system-x86"
    if not any(n.startswith("vmlinuz-6.1") and n.endswith("-amd64") for n in os.listdir("/boot")):
        return "the package linux-image-6.12-amd64"
    return None


def collect(words):
    tests = []
    for name in SUITES:
        tests += importlib.import_module(name).tests()
    return [t for t in tests if not words or any(w in t.name for w in words)]


def main_in_vm(names_file):
    names = set(harness.read(names_file).splitlines())
    with open(VM_RESULTS, "a") as log:
        report = Report(True, log)
        run_all([t for t in collect([]) if t.name in names], report)
    return 0


def soak(tests, hours, verbose):
    """The same tests again and again; stops at the first round that fails."""
    end = time.monotonic() + hours * 3600
    rounds = 0
    while time.monotonic() < end:
        report = Report(verbose)
        run_all(tests, report)
        rounds += 1
        if report.count("fail"):
            report.finish()
            print(f"round {rounds} failed")
            return 1
        print(f"round {rounds}: {report.count('pass')} passed", flush=True)
    return 0


def build():
    """Nothing makes sense without the build, so it comes first and is a test of its own."""
    return run_test(harness.Test("build/gcc", lambda: build_with("gcc")))


def build_with(compiler):
    ran = harness.run([os.path.join(ROOT, "scripts/build"), compiler], timeout=900, env=os.environ)
    harness.expect(ran.status == 0, f"the build with {compiler} failed", ran)


def default_signals():
    """Tests find signals as an interactive shell would give them, not as nohup or a shell in the background does: ignored,
    which programs keep. What has a handler here is back at the default in them."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in set(signal.Signals) - {signal.SIGPIPE, signal.SIGXFSZ}:  # these are Python's own, and its children's are the default
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def host_state():
    """What no test may change: owner, group and mode of directories that all of the machine uses."""
    return {path: (s.st_uid, s.st_gid, oct(s.st_mode)) for path in ("/", "/tmp", "/var/tmp", "/dev/shm", "/dev/null", "/etc", "/run")
            for s in [os.stat(path)]}


def unchanged(before):
    now = host_state()
    harness.expect(now == before, f"owner, group or mode changed: {[(p, before[p], now[p]) for p in now if now[p] != before[p]]}")


def main(arguments):
    default_signals()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(end_machine()))
    os.makedirs(OUT, exist_ok=True)
    verbose, hours, words = "-v" in arguments, None, []
    arguments = [a for a in arguments if a != "-v"]
    while arguments:
        word = arguments.pop(0)
        if word == "--from":
            return main_in_vm(arguments.pop(0))
        if word == "--soak":
            hours = float(arguments.pop(0))
        elif word in ("-h", "--help"):
            print(__doc__.strip())
            return 0
        elif word == "--list":
            print("\n".join(f"{t.name}{' [keys]' if t.vm else ''}" for t in collect([])))
            return 0
        else:
            words.append(word)
    note = None
    if not harness.HAVE_KEYS:
        note = ("NOTE: this CPU has no protection keys. Functional tests run with --insecure-no-pkeys; tests of isolation run in "
                "an emulated machine that has keys.")
        print(note, flush=True)
    report, before = Report(verbose), host_state()
    if hours is None:
        report.add(build())
    tests = collect([])
    for word in words:
        if not any(word in t.name for t in tests):
            sys.exit(f"run.py: no test has {word} in its name (--list lists them, --help helps)")
    tests = collect(words)
    if hours is not None:
        return soak([t for t in tests if t.vm != "only" or harness.HAVE_KEYS], hours, verbose)
    native = [t for t in tests if harness.HAVE_KEYS or t.vm != "only"]
    emulated = [] if harness.HAVE_KEYS else [t for t in tests if t.vm]
    machine = threading.Thread(target=run_in_vm, args=(emulated, report))
    for module in {sys.modules[t.function.__module__] for t in emulated if hasattr(sys.modules[t.function.__module__], "prepare")}:
        module.prepare()
    machine.start()
    run_all(native, report)
    machine.join()
    report.add(run_test(harness.Test("host/unchanged", lambda: unchanged(before))))
    report.finish()
    if note:
        print(note)
    passed, failed, skipped = (report.count(s) for s in ("pass", "fail", "skip"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
