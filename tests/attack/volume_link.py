#!/usr/bin/python3
"""
Question: a cVM that may write to a directory puts a link in the place of something in it that the configuration names too: another
volume, a root directory, the content of a CP_File. Does the next run give its cVMs what the link points to, all that its user has?
Expect: a run that would is refused; links that stay inside are followed
Control: nobody may write to the directory: links in it are the user's, and lead where they lead
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import SCRATCH, check, run  # noqa: E402

SHARED, OUTSIDE = os.path.join(SCRATCH, "shared"), os.path.join(SCRATCH, "outside")
SHOW = "open F, '<', '/given/secret' or die qq(nothing\\n); print <F>"
PUT = "unlink '/data/place'; rename '/data/place', '/data/was'; symlink('{}', '/data/place') or die $!"


def pod(cvms, head=""):
    path = os.path.join(SCRATCH, "pod.yaml")
    with open(path, "w") as f:
        f.write(head + "cVMs:\n" + "".join(f"  - {{name: c{i}, program: /usr/bin/perl, args: [-e, {json.dumps(code)}], {more}}}\n"
                                           for i, (code, more) in enumerate(cvms)))
    return run("-y", path, timeout=300, env=dict(os.environ, XDG_RUNTIME_DIR=SCRATCH + "/runtime"), cwd=SHARED)


def put_link(target):
    ran = pod([(PUT.format(target), f"volumes: ['{SHARED}:/data']")])
    check(ran == (0, "") and os.readlink(f"{SHARED}/place") == target, f"the link cannot be made: {ran}")


def ways(mode):
    """What names the place, in a pod where a cVM has the directory in that mode."""
    writer = "1", f"volumes: ['{SHARED}:/data{mode}']"
    for place in (f"{SHARED}/place", f"{SCRATCH}/by-link/place", f"{SHARED}//./place/", "place", f"{OUTSIDE}/../shared/place"):
        relative = place if place[0] == "/" else f"shared/{place}"
        yield f"volume {place}", pod([writer, (SHOW, f"volumes: ['{relative}:/given:ro']")])
    yield "file", pod([writer, ("open F, '<', '/cap/file/f' or die; print <F>", "uses: [{file: f}]")], f"files: [{{name: f, file: {SHARED}/place/secret}}]\n")
    yield "root", pod([writer, ("print 1", f"root: {SHARED}/place")])


def main():
    for folder in (f"{SHARED}/place", f"{SHARED}/inside", OUTSIDE):
        os.makedirs(folder)
    for folder in ("place", "inside", "../outside"):
        with open(f"{SHARED}/{folder}/secret", "w") as f:
            f.write(f"from {os.path.basename(folder)}\n")
    os.symlink("shared", f"{SCRATCH}/by-link")
    for name, (status, text) in ways(""):
        check(name == "root" or (status, text) == (0, "from place\n"), f"an honest {name} does not work: {status} {text}")
    for target in ("../outside", OUTSIDE, "inside/../../outside"):
        put_link(target)
        for name, (status, text) in ways(""):
            check(status == 2 and "leads out of" in text and "from outside" not in text, f"{name} by {target}: {status} {text}")
        for name, (status, text) in ways(":ro"):
            check(name == "root" or (status, text) == (0, "from outside\n"), f"the control, {name} by {target}, does not work: {status} {text}")
    put_link("inside")
    for name, (status, text) in ways(""):
        check(name == "root" or (status, text) == (0, "from inside\n"), f"a link that stays inside does not work: {name}: {status} {text}")
    print("REFUSED: places of the host behind a cVM's links")


if __name__ == "__main__":
    main()
