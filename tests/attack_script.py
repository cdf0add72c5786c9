"""What the attacks that are scripts (tests/attack/*.py) share: the command with the options of this machine and a code cache of the
attack's own, programs that call the monitor themselves, and the way to say that something is not as it must be."""
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRATCH = os.environ["SCRATCH"]
COMMAND = [os.environ["INTRAVISOR"], "run", "-q", *os.environ.get("INTRAVISOR_OPTIONS", "").split()]
ENV = dict(os.environ, XDG_CACHE_HOME=os.path.join(SCRATCH, "cache"))
CACHE = os.path.join(SCRATCH, "cache/intravisor")


def check(condition, what, said=None):
    if not condition:
        sys.exit(f"BREACH: {what}\n{said or ''}")


def command(*words, timeout=120, env=None, cwd=None):
    """The status and what it printed."""
    ran = subprocess.run(words, env=env or ENV, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
    return ran.returncode, ran.stdout.decode(errors="replace")


def run(*arguments, **how):
    return command(*COMMAND, *arguments, **how)


def raw_program(name, text):
    """Compiles a program that has tests/attack/raw.h."""
    source, program = os.path.join(SCRATCH, name + ".c"), os.path.join(SCRATCH, name)
    with open(source, "w", encoding="ascii") as f:
        f.write(text)
    subprocess.run(["gcc", "-O1", "-w", "-fcf-protection=none", "-Wl,-z,now", "-I", os.path.join(ROOT, "src"), "-I",
                    os.path.join(ROOT, "tests/attack"), source, "-o", program], check=True)
    return program


def pod(text):
    """What the cVMs of a YAML text print."""
    path = os.path.join(SCRATCH, "pod.yaml")
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    return run("-y", path, timeout=300)[1]


def empty_cache():
    shutil.rmtree(CACHE, ignore_errors=True)
    os.makedirs(CACHE, mode=0o700)


def cached():
    """The paths of the cache's entries."""
    return [os.path.join(CACHE, n) for n in sorted(os.listdir(CACHE)) if n.endswith(".code")]
