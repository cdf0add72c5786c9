"""Capabilities from inside: pods of tests/cap/*.yaml, whose programs are tests/cap/*.c linked with libcvm.

In a YAML file {bin} is the folder of the programs. Every cVM that is there to the end prints "NAME: ok"."""
import contextlib
import json
import os
import re
import sys
import time

import harness
from harness import BUILD, INSECURE, INTRAVISOR, ROOT, Started, Test, compile_c, expect, run, scratch

FOLDER = os.path.join(ROOT, "tests/cap")


def program(source):
    return compile_c(os.path.join(FOLDER, source + ".c"), "gcc", [
        "-O2", "-Wextra", "-I", os.path.join(ROOT, "include"), "-I", os.path.join(ROOT, "src"), "-Wl,--whole-archive", os.path.join(BUILD, "sdk/libcvm.a"), "-Wl,--no-whole-archive"])


def pod_file(name, arguments=(), isolated=False):
    """A pod's YAML file, with its programs built. isolated: these are apart from their libOSes."""
    with open(os.path.join(FOLDER, name + ".yaml")) as f:
        text = f.read()
    for source in set(re.findall(r"\{bin\}/tests-cap-(\w+)\.gcc", text)):
        binary = program(source)
    text = text.replace("{bin}", os.path.dirname(binary))
    for key, value in arguments:
        text = text.replace("{" + key + "}", str(value))
    where = os.path.join(scratch("-".join(["cap", name, *(str(value) for _, value in arguments), *["isolated"] * isolated])), "pod.yaml")
    with open(where, "w") as f:
        f.write(harness.isolated(text) if isolated else text)
    return where


def pod(name, arguments=(), timeout=120, isolated=False):
    return run([INTRAVISOR, "run", *INSECURE, "-y", pod_file(name, arguments, isolated)], timeout=timeout)


def api(isolated=False):
    def test():
        quick = "map window window_version window_gone io memory serve serve_signals stream_caps signals poll"
        ran = pod("api", [("only", quick if harness.IN_VM else "")], isolated=isolated)
        expect(sorted(ran.text().splitlines()) == ["api: ok", "peer: ok"], "a function does not do what its header says", ran)
    return test


def api_natively():
    ran = run([program("api"), "native"])
    expect(ran.status == 0 and ran.text() == "native: ok\n", "outside a cVM", ran)


def model(seeds, isolated=False):
    """Random operations against the model; a failure names its seed. CAP_SEED, CAP_SEEDS: others; a soak always takes others."""
    def test():
        first = int(os.environ.get("CAP_SEED", time.time_ns() >> 20 if "--soak" in sys.argv else 1))
        count = int(os.environ.get("CAP_SEEDS", 10 if harness.IN_VM else seeds))
        ran = pod("model", [("first", first), ("count", count), ("ops", 300)], timeout=600, isolated=isolated)
        expect(ran.status == 0 and "model: ok" in ran.text(), "capabilities differ from the model", ran)
    return test


def served_arguments(mode, timeout="60s"):
    return [("mode", mode), ("timeout", timeout), ("restart", "on-failure:7" if mode == "lost" else "never")]


def served(mode, isolated=False, timeout="60s"):
    """System calls served by another cVM: results, files, waiting, signals, threads."""
    def test():
        ran = pod("served", served_arguments(mode, timeout), isolated=isolated)
        expect(ran.status == 0 and sorted(ran.text().splitlines()) == ["program: ok", "server: ok"], "a served call is not as it should", ran)
    return test


def served_pod(name):
    """Servers that are served, and a program as Debian has it."""
    def test():
        ran = pod(name)
        expect(ran.status == 0 and set(ran.text().splitlines()) == {"program: ok", "server: ok"}, "a served call is not as it should", ran)
    return test


def served_lost():
    """The server dies, serves again and dies: the program goes on with EIO, and can be ended."""
    with Started([INTRAVISOR, "run", *INSECURE, "-y", pod_file("served", served_arguments("lost"))]) as started:
        started.wait_for(lambda: "program: ok" in started.output(), 100)
        started.process.terminate()
        started.wait()


class SlowPod:
    """A pod whose volume {where}/slow is on a file system that answers when it is told to (slow_files.py); told by files in
    {where}/shared."""
    def __init__(self, test, pod=None):
        if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
            raise harness.Skip("needs root and /dev/fuse: makes a file system that does not answer")
        where = scratch(f"cap-{test}-files")
        self.name, self.file = f"{test}-{os.getpid()}", pod_file(pod or test, [("where", where)])
        self.slow, self.shared = os.path.join(where, "slow"), os.path.join(where, "shared")
        os.makedirs(self.slow)
        os.makedirs(self.shared)
        self.ends = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as ends:
            files = ends.enter_context(Started(["/usr/bin/python3", os.path.join(ROOT, "tests/slow_files.py"), self.slow, self.shared]))
            ends.callback(run, ["umount", "-l", self.slow])
            files.wait_for(lambda: os.path.ismount(self.slow))
            self.started = ends.enter_context(Started([INTRAVISOR, "run", *INSECURE, "--name", self.name, "-y", self.file]))
            ends.callback(self.tell, "answer")
            self.ends = ends.pop_all()
        return self

    def __exit__(self, *how):
        return self.ends.__exit__(*how)

    def there(self, name):
        self.started.wait_for(lambda: os.path.exists(os.path.join(self.shared, name)))

    def tell(self, name):
        with open(os.path.join(self.shared, name), "w", encoding="ascii"):
            pass

    def command(self, what, cvm, *options):
        ran = run([INTRAVISOR, what, *options, f"{self.name}/{cvm}"])
        expect(ran.status == 0, f"{what} {cvm}", ran)

    def running(self, cvm):
        listed = json.loads(run([INTRAVISOR, "ps", "--json", self.name]).text())
        return any(c["name"] == cvm and c["state"] in ("running", "starting") for pod in listed for c in pod["cvms"])

    def ended(self, cvm):
        self.started.wait_for(lambda: not self.running(cvm))


def slow():
    """A copy hangs in a file system that does not answer: who revokes waits for it, and can be killed; all others go on."""
    with SlowPod("slow") as pod:
        pod.there("served")
        pod.command("kill", "maker", "-s", "KILL")
        pod.tell("end")
        pod.started.wait_for(lambda: "other: ok" in pod.started.output())
        pod.ended("other")
        expect("read: ok" not in pod.started.output(), "the copy did not hang")
        pod.tell("answer")
        pod.started.wait()
        expect(sorted(pod.started.output().splitlines())[-2:] == ["other: ok", "read: ok"], "what ends when: " + pod.started.output())


def others_live(pod):
    """Another cVM starts and ends."""
    before = pod.started.output().count("other: ok")
    pod.command("start", "other")
    pod.started.wait_for(lambda: pod.started.output().count("other: ok") > before)
    pod.ended("other")


def end_in_close(pod):
    pod.there("holding")
    pod.tell("hang-close")
    pod.command("kill", "holder", "-s", "KILL")
    pod.there("asked")
    others_live(pod)
    expect(pod.running("holder"), "the close did not hang")
    pod.tell("answer")
    pod.ended("holder")


def ending_close():
    """A close of a cVM that is killed hangs: it ends when that is answered, and others start and end meanwhile."""
    with SlowPod("ending_close", "ending") as pod:
        end_in_close(pod)


def ending_gone():
    """The same of a cVM whose only thread is in another when it is killed."""
    with SlowPod("ending_gone") as pod:
        end_in_close(pod)


def ending_read():
    """A cVM is killed while another's thread, called into it, hangs in a read: the same, and the caller hears of it."""
    with SlowPod("ending_read", "ending") as pod:
        pod.there("holding")
        pod.tell("call")
        pod.there("asked")
        pod.command("kill", "server", "-s", "KILL")
        others_live(pod)
        expect(pod.running("server"), "the read did not hang")
        pod.tell("answer")
        pod.ended("server")
        pod.started.wait_for(lambda: "call: ok" in pod.started.output())


def gone():
    """Callers that ended while their threads were elsewhere leave no thread less for others."""
    with Started([INTRAVISOR, "run", *INSECURE, "-y", pod_file("gone", [("where", scratch("cap-gone-files"))])]) as started:
        started.wait_for(lambda: "third: ok" in started.output())
        started.process.terminate()
        started.wait()
        expect(set(started.output().splitlines()) >= {"serve: ok", "call: ok", "third: ok"}, "threads are missing: " + started.output())


def passed():
    """Who waits for bytes of a connection is not kept awake, and away from its signals, by capabilities that are passed there."""
    ran = run([INTRAVISOR, "run", *INSECURE, "--stats", "-y", pod_file("passed")], timeout=60)
    text = ran.text() + ran.errors()
    expect({"client: ok", "server: ok"} <= set(text.splitlines()), "poll or read did not wait, or did not end", ran)
    heads, server = (next(l.split() for l in text.splitlines() if l.split()[:1] == [first]) for first in ("cVM", "server"))
    expect(int(server[heads.index("hostcalls")]) < 10000, "the server did not sleep", ran)


def prepare():
    for source in ("api", "peer", "dier", "model", "agent", "serves", "serviced", "slow", "gone", "ending", "passed"):
        program(source)


def tests():
    return [Test("cap/api", api()), Test("cap/api_natively", api_natively), Test("cap/model", model(3000)),
            Test("cap/api_isolated", api(isolated=True), vm="too"), Test("cap/model_isolated", model(500, isolated=True)),
            Test("cap/served", served("all")), Test("cap/served_isolated", served("all", isolated=True), vm="too"),
            Test("cap/served_stuck", served("stuck", timeout="5s")), Test("cap/served_lost", served_lost), Test("cap/served_again", served("again")),
            Test("cap/served_chain", served_pod("served_chain")), Test("cap/served_python", served_pod("served_python")),
            Test("cap/slow", slow), Test("cap/ending_close", ending_close), Test("cap/ending_gone", ending_gone), Test("cap/ending_read", ending_read), Test("cap/gone", gone), Test("cap/passed", passed)]
