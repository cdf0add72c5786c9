"""Capabilities from inside: pods of tests/cap/*.yaml, whose programs are tests/cap/*.c linked with libcvm.

In a YAML file {bin} is the folder of the programs. Every cVM that is there to the end prints "NAME: ok"."""
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


def pod_file(name, arguments=()):
    """A pod's YAML file, with its programs built."""
    with open(os.path.join(FOLDER, name + ".yaml")) as f:
        text = f.read()
    for source in set(re.findall(r"\{bin\}/tests-cap-(\w+)\.gcc", text)):
        binary = program(source)
    text = text.replace("{bin}", os.path.dirname(binary))
    for key, value in arguments:
        text = text.replace("{" + key + "}", str(value))
    where = os.path.join(scratch("-".join(["cap", name, *(str(value) for _, value in arguments)])), "pod.yaml")
    with open(where, "w") as f:
        f.write(text)
    return where


def pod(name, arguments=(), timeout=120):
    return run([INTRAVISOR, "run", *INSECURE, "-y", pod_file(name, arguments)], timeout=timeout)


def api():
    ran = pod("api")
    expect(sorted(ran.text().splitlines()) == ["api: ok", "peer: ok"], "a function does not do what its header says", ran)


def api_natively():
    ran = run([program("api"), "native"])
    expect(ran.status == 0 and ran.text() == "native: ok\n", "outside a cVM", ran)


def model():
    """Random operations against the model; a failure names its seed. CAP_SEED, CAP_SEEDS: others; a soak always takes others."""
    first = int(os.environ.get("CAP_SEED", time.time_ns() >> 20 if "--soak" in sys.argv else 1))
    count = int(os.environ.get("CAP_SEEDS", 10 if harness.IN_VM else 3000))
    ran = pod("model", [("first", first), ("count", count), ("ops", 300)], timeout=600)
    expect(ran.status == 0 and "model: ok" in ran.text(), "capabilities differ from the model", ran)


def served_arguments(mode, isolated="false", timeout="60s"):
    return [("mode", mode), ("isolated", isolated), ("timeout", timeout), ("restart", "on-failure:1" if mode == "lost" else "never")]


def served(mode, isolated="false", timeout="60s"):
    """System calls served by another cVM: results, files, waiting, signals, threads."""
    def test():
        ran = pod("served", served_arguments(mode, isolated, timeout))
        expect(ran.status == 0 and sorted(ran.text().splitlines()) == ["program: ok", "server: ok"], "a served call is not as it should", ran)
    return test


def served_lost():
    """The server dies, serves again and dies: the program goes on with EIO, and can be ended."""
    with Started([INTRAVISOR, "run", *INSECURE, "-y", pod_file("served", served_arguments("lost"))]) as started:
        started.wait_for(lambda: "program: ok" in started.output(), 100)
        started.process.terminate()
        started.wait()


def prepare():
    for source in ("api", "peer", "dier", "model", "agent", "serves", "serviced"):
        program(source)


def tests():
    return [Test("cap/api", api), Test("cap/api_natively", api_natively), Test("cap/model", model),
            Test("cap/served", served("all")), Test("cap/served_isolated", served("all", isolated="true"), vm="too"),
            Test("cap/served_stuck", served("stuck", timeout="5s")), Test("cap/served_lost", served_lost)]
