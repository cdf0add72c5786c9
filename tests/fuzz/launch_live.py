"""The launch description, changed at random (launch_mutate.c), fed to the monitor by the real command: whatever it says, the
monitor ends by itself and not by a signal, and what cannot be started is told in a message.
"""
import os
import random
import re
import shutil
import time

import fuzz
import harness
from harness import BUILD, ROOT, Fail, expect, run

HELPERS = ("intravisor", "intravisor-translate", "intravisor-libos")


def fill(where):
    """With the command, its helpers and the mutator as its monitor."""
    for name in HELPERS:
        shutil.copy(os.path.join(BUILD, name), where)
    os.symlink(harness.MONITOR, f"{where}/real")
    ran = run(["gcc", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-I", os.path.join(ROOT, "src"), os.path.join(fuzz.FOLDER, "launch_mutate.c"),
               "-o", os.path.join(where, os.path.basename(harness.MONITOR))])
    expect(ran.status == 0, "tests/fuzz/launch_mutate.c does not compile", ran)
    with open(f"{where}/pod.yaml", "w") as f:
        f.write("capfiles: [{name: board, size: 64K}]\n" if "capfiles" in harness.read(os.path.join(ROOT, "src/config/yaml_config.c")) else "")
        f.write("cVMs:\n" + "".join(f"  - {{name: c{i}, program: /bin/true, memory: 64M, volumes: ['/etc:/x:ro'], bind: ['127.0.0.1:9100'], connect: ['*:80']}}\n" for i in range(2)))


def one(where, seed):
    """The status, after what must hold."""
    with open(f"{where}/seed", "w") as f:
        f.write(f"{seed}\n")
    ran = run([f"{where}/intravisor", "run", *harness.INSECURE, "-q", "-y", f"{where}/pod.yaml"], timeout=20)
    text = ran.errors()
    expect(not re.search(r"killed by signal|monitor: signal|did not end", text), "the monitor died", ran)
    expect(ran.status != 125 or text.strip(), "it did not start and nothing says why", ran)
    return ran.status


def fuzz_live(seconds, seed, where):
    rng, end = random.Random(seed), time.monotonic() + seconds
    fill(where)
    tried = refused = 0
    while time.monotonic() < end:
        change = rng.randrange(1 << 40)
        try:
            refused += one(where, change) == 125
        except Fail as fail:
            raise Fail(f"change {change} of the description\n{fail}") from None
        tried += 1
    expect(0 < refused < tried, f"{refused} of {tried} descriptions were refused: that tests nothing")
    return f"{tried} descriptions, {refused} refused"
