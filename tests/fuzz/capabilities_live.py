"""Programs that are apart from their libOS against it: random capability hostcalls through it (capabilities_guest.c), in two cVMs that
share what they make. No libOS may break, nor do what it does for itself by the program's hostcalls.
"""
import os
import random
import re
import time

import harness
from harness import ROOT, compile_c, expect, run

SOURCE = os.path.join(ROOT, "tests/fuzz/capabilities_guest.c")
SECONDS = 5  # of one round
KINDS = "{file: mine}, {call: mine}, {stream: mine}"
USES = "{file: mine, access: rw, map: true, grant: true}, {call: mine, grant: true}, {stream: mine, grant: true}, {file: held, access: rw}"


def one(seed, where):
    program = compile_c(SOURCE)
    folder = os.path.dirname(program)
    pod = os.path.join(where, "pod.yaml")
    with open(pod, "w", encoding="ascii") as f:
        f.write("files: [{name: held, size: 4K}]\ncVMs:\n" + "".join(
            f"  - {{name: wild{i}, program: {program}, args: ['{seed + i}', '{SECONDS}'], volumes: ['{folder}:{folder}:ro'], isolate_libos: true, "
            f"caps: 300, provides: [{KINDS}], uses: [{USES}]}}\n" for i in range(2)))
    ran = run(harness.yaml_command(pod, ["-q"]), timeout=60)
    lines = ran.text().splitlines()
    said = [re.fullmatch(r"(\d+) steps, (\d+) hostcalls, what the libOS holds is intact", line) for line in lines]
    expect(ran.status == 0 and len(said) == 2 and all(said), f"seed {seed}: a libOS broke", ran)
    expect(not ran.errors(), f"seed {seed}: something was said", ran)
    return sum(int(m[1]) for m in said), max(int(m[2]) for m in said)


def fuzz_live(seconds, seed, where):
    rng, end, rounds, most, steps = random.Random(seed), time.monotonic() + seconds, 0, 0, 0
    while not rounds or time.monotonic() < end:
        more, kinds = one(rng.randrange(1 << 31), where)
        steps, most, rounds = steps + more, max(most, kinds), rounds + 1
    expect(most >= 15, f"only {most} hostcalls of 25 ever did something")
    return f"{rounds} rounds, {steps} hostcalls"
