#!/usr/bin/python3
"""
Question: a cVM may write to the directory in which its pod.yaml lies, or to that of the Intravisor's own programs. The next run does what
it writes there. Does anybody tell the user?
Expect: a warning with the remedy at the first run, by whatever path the file is named; none where the remedy was followed
Control: the cVM's pod.yaml gives it, at the next run, what it was never granted
"""
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import COMMAND, SCRATCH, check, command  # noqa: E402

RUN = [word for word in COMMAND if word != "-q"]
DATA = os.path.join(SCRATCH, "data")
SHOW = "open F, '<', '/given/secret' or die qq(nothing\n); print <F>"
WRITE = "open F, '>', '/data/pod.yaml' or die; print F $ENV{TEXT}"


def pod(code, volume, environment=""):
    return json.dumps({"cVMs": [{"name": "a", "program": "/usr/bin/perl", "args": ["-e", code], "volumes": [volume], "env": {"TEXT": environment}}]})


def put(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def run(*arguments, program=RUN[0]):
    return command(program, *RUN[1:], *arguments, cwd=SCRATCH, env=dict(os.environ, XDG_RUNTIME_DIR=SCRATCH + "/runtime"))


def warns(what, expected, *arguments, **how):
    status, text = run(*arguments, **how)
    check(status == 0, f"{what} does not run: {status}", text)
    check(("a cVM may write to" in text) == expected, f"{what}: {'no warning' if expected else 'a warning'}", text)
    check(not expected or "grant the directory with :ro" in text, "no remedy", text)


def main():
    os.makedirs(f"{DATA}/below")
    os.makedirs(f"{SCRATCH}/outside")
    put(f"{SCRATCH}/outside/secret", "the secret\n")
    put(f"{DATA}/pod.yaml", pod(WRITE, ".:/data", pod(SHOW, f"{SCRATCH}/outside:/given:ro")))
    status, text = run("-y", "data/pod.yaml")
    check(status == 0 and "data/pod.yaml: a cVM may write to" in text, "nobody says that the cVM writes its pod.yaml", text)
    status, text = run("-y", "data/pod.yaml")
    check(status == 0 and "the secret" in text, "the control, a pod.yaml of the cVM's, grants nothing", text)

    put(f"{SCRATCH}/link-to", pod("1", f"{DATA}:/data"))
    os.symlink("../link-to", f"{DATA}/link")
    os.symlink("data/pod.yaml", f"{SCRATCH}/by-link")
    for volume, path, expected in ((".:/data", "data/pod.yaml", True), (".:/data", f"{DATA}/pod.yaml", True), (".:/data", "data/below/../pod.yaml", True),
                                   ("..:/data", "data/pod.yaml", True), ("pod.yaml:/data", "data/pod.yaml", True), (".:/data", "by-link", True),
                                   (".:/data:ro", "data/pod.yaml", False), ("below:/data", "data/pod.yaml", False),
                                   ("below:/data", "data/below/../pod.yaml", False)):
        put(f"{DATA}/pod.yaml", pod("1", volume))
        warns(f"{path} with {volume}", expected, "-y", path)
    warns("a link in the directory", True, "-y", "data/link")

    folder = os.path.dirname(RUN[0])
    os.makedirs(f"{SCRATCH}/installed/bin")
    for name in os.listdir(folder):
        if name.startswith("intravisor") and os.path.isfile(os.path.join(folder, name)):
            shutil.copy(os.path.join(folder, name), f"{SCRATCH}/installed/bin")
    for volume, expected in (("installed:/data", True), ("installed/bin:/data", True), ("installed:/data:ro", False), ("data:/data", False)):
        warns(f"the programs with {volume}", expected, "-v", volume, "--", "/bin/true", program=f"{SCRATCH}/installed/bin/intravisor")
    print("REFUSED: nothing; the user is told")


if __name__ == "__main__":
    main()
