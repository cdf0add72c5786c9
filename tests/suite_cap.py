"""Capabilities from inside: pods of tests/cap/*.yaml, whose programs are tests/cap/*.c linked with libcvm.

In a YAML file {bin} is the folder of the programs. Every cVM that is there to the end prints "NAME: ok"."""
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
        "-O2", "-Wextra", "-I", os.path.join(ROOT, "include"), "-Wl,--whole-archive", os.path.join(BUILD, "sdk/libcvm.a"), "-Wl,--no-whole-archive"])


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
        quick = "map io memory serve serve_signals stream_caps signals poll"
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


def slow():
    """A copy hangs in a file system that does not answer: who revokes waits for it, and can be killed; all others go on."""
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        raise harness.Skip("needs root and /dev/fuse: makes a file system that does not answer")
    where = scratch("cap-slow-files")
    slow, shared = os.path.join(where, "slow"), os.path.join(where, "shared")
    os.makedirs(slow)
    os.makedirs(shared)

    def is_there(name):
        return lambda: os.path.exists(os.path.join(shared, name))

    def tell(name):
        with open(os.path.join(shared, name), "w", encoding="ascii"):
            pass

    def states(name):
        listed = json.loads(run([INTRAVISOR, "ps", "--json", name]).text())
        return {cvm["name"]: cvm["state"] for pod in listed for cvm in pod["cvms"]}

    with Started(["/usr/bin/python3", os.path.join(ROOT, "tests/slow_files.py"), slow, shared]) as files:
        try:
            files.wait_for(lambda: os.path.ismount(slow))
            name = f"slow-{os.getpid()}"
            with Started([INTRAVISOR, "run", *INSECURE, "--name", name, "-y", pod_file("slow", [("where", where)])]) as started:
                started.wait_for(is_there("served"))
                expect(run([INTRAVISOR, "kill", "-s", "KILL", f"{name}/maker"]).status == 0, "the maker cannot be killed")
                tell("end")
                started.wait_for(lambda: "other: ok" in started.output())
                started.wait_for(lambda: states(name)["other"] not in ("running", "starting"))
                expect("read: ok" not in started.output(), "the copy did not hang")
                tell("answer")
                started.wait()
                expect(sorted(started.output().splitlines())[-2:] == ["other: ok", "read: ok"], "what ends when: " + started.output())
        finally:
            tell("answer")
            run(["umount", "-l", slow])


def gone():
    """Callers that ended while their threads were elsewhere leave no thread less for others."""
    with Started([INTRAVISOR, "run", *INSECURE, "-y", pod_file("gone", [("where", scratch("cap-gone-files"))])]) as started:
        started.wait_for(lambda: "third: ok" in started.output())
        started.process.terminate()
        started.wait()
        expect(set(started.output().splitlines()) >= {"serve: ok", "call: ok", "third: ok"}, "threads are missing: " + started.output())


def prepare():
    for source in ("api", "peer", "dier", "model", "agent", "serves", "serviced", "slow", "gone"):
        program(source)


def tests():
    return [Test("cap/api", api()), Test("cap/api_natively", api_natively), Test("cap/model", model(3000)),
            Test("cap/api_isolated", api(isolated=True), vm="too"), Test("cap/model_isolated", model(500, isolated=True)),
            Test("cap/served", served("all")), Test("cap/served_isolated", served("all", isolated=True), vm="too"),
            Test("cap/served_stuck", served("stuck", timeout="5s")), Test("cap/served_lost", served_lost), Test("cap/served_again", served("again")),
            Test("cap/served_chain", served_pod("served_chain")), Test("cap/served_python", served_pod("served_python")),
            Test("cap/slow", slow), Test("cap/gone", gone)]
