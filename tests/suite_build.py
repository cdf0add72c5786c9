"""The second compiler, the unit tests that meson knows, and the checks of source and binaries."""
import json
import os

import harness
from harness import BUILD, ROOT, Skip, Test, expect, run


def clang():
    ran = run([os.path.join(ROOT, "scripts/build"), "clang"], timeout=900, env=os.environ)
    expect(ran.status == 0, "the build with clang failed", ran)


def unit(description):
    def test():
        ran = run(description["cmd"], env=dict(os.environ, **description["env"]), cwd=description["workdir"] or ROOT, timeout=300)
        if ran.status == 77:
            raise Skip((ran.text() + ran.errors()).strip().splitlines()[-1])
        expect(ran.status == 0, "failed", ran)
    return test


def source(name):
    def test():
        ran = run([os.path.join(ROOT, "scripts/check-source"), name])
        expect(ran.status == 0, "complains", ran)
        return ran.text().strip()
    return test


def tests():
    found = [Test("build/clang", clang)]
    if not harness.IN_VM:
        listed = run(["/usr/bin/meson", "introspect", os.path.join(BUILD, "meson"), "--tests"])
        for description in json.loads(listed.out) if listed.status == 0 else []:
            found.append(Test("unit/" + description["name"], unit(description)))
        for name in run([os.path.join(ROOT, "scripts/check-source"), "--list"]).text().split():
            found.append(Test("source/" + name, source(name)))
    return found
