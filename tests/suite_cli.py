"""The command's own tests: every executable file in tests/cli, status 0 is a pass, 77 a skip whose last line says why.

They find the command in $INTRAVISOR, the options that this machine needs in $INTRAVISOR_OPTIONS, an empty directory in
$SCRATCH.
"""
import os

import harness
from harness import INTRAVISOR, ROOT, Skip, Test, expect, run, scratch

FOLDER = os.path.join(ROOT, "tests/cli")


def script(name):
    def test():
        env = dict(harness.ENV, INTRAVISOR=INTRAVISOR, INTRAVISOR_OPTIONS=" ".join(harness.INSECURE), SCRATCH=scratch("cli-" + os.path.basename(name)))
        ran = run([os.path.join(FOLDER, name)], env=env, cwd=ROOT, timeout=300)
        if ran.status == 77:
            raise Skip((ran.text() + ran.errors()).strip().splitlines()[-1])
        expect(ran.status == 0, "failed", ran)
        last = ran.text().strip().splitlines()[-1:]
        return last[0] if last and "do not apply (" in last[0] else None
    return test


def tests():
    names = sorted(n for n in os.listdir(FOLDER) if os.path.isfile(os.path.join(FOLDER, n)) and os.access(os.path.join(FOLDER, n), os.X_OK))
    return [Test("cli/" + os.path.splitext(n)[0], script(n)) for n in names]
