"""Runs one module of CPython's own tests and writes what became of each test as a line of JSON; compat.py runs it natively and in a cVM.

usage: cpython.py MODULE RESULTS SECONDS
What RESULTS names already is not run again, so that compat.py can start it anew behind a test that ended or, for SECONDS,
held up the interpreter.
"""
import faulthandler
import json
import os
import sys
import tempfile
import unittest

from test import support


class Results(unittest.TestResult):
    """Lines are [test, outcome, message]; a test that ran to its end has a second line after its "started"."""

    def __init__(self, out, seconds):
        super().__init__()
        self.out, self.seconds, self.errors_to, self.running = out, seconds, os.fdopen(os.dup(2), "w"), None

    def put(self, test, outcome, message=""):
        self.out.write(json.dumps([test, outcome, message[-3000:]]) + "\n")

    def startTest(self, test):
        super().startTest(test)
        self.running, self.outcome, self.message = test, "ok", ""
        self.put(test.id(), "started")
        faulthandler.dump_traceback_later(self.seconds, exit=True, file=self.errors_to)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        self.put(test.id(), self.outcome, self.message)
        self.running = None
        super().stopTest(test)

    def note(self, test, outcome, message):
        if test is not self.running:  # the set-up of a class or of the module
            self.put(test.id(), outcome, message)
        elif self.outcome != "failed":
            self.outcome, self.message = outcome, message

    def addError(self, test, error):
        self.note(test, "failed", self._exc_info_to_string(error, test))

    addFailure = addError

    def addSubTest(self, test, subtest, error):
        if error:
            self.note(test, "failed", self._exc_info_to_string(error, test))

    def addSkip(self, test, reason):
        self.note(test, "skipped", reason)

    def addUnexpectedSuccess(self, test):
        self.note(test, "failed", "unexpected success")


def without(suite, done):
    if isinstance(suite, unittest.TestSuite):
        return type(suite)(without(part, done) for part in suite if isinstance(part, unittest.TestSuite) or part.id() not in done)
    return suite


def main(module, path, seconds):
    sys.argv[1:] = []
    support.use_resources = []  # no network, no sound, nothing large
    done = {json.loads(line)[0] for line in open(path)} if os.path.exists(path) else set()
    out = open(path, "a", buffering=1)
    os.makedirs(os.environ["TMPDIR"], exist_ok=True)
    os.chdir(tempfile.mkdtemp())
    results = Results(out, seconds)
    try:
        suite = unittest.defaultTestLoader.loadTestsFromName("test." + module)
    except unittest.SkipTest as reason:
        results.put("module", "skipped", str(reason))
        os._exit(0)
    unittest.TestSuite.run(without(suite, done), results)
    results.put("module", "done")
    os._exit(0)  # threads that tests left behind do not matter


if __name__ == "__main__":  # multiprocessing imports it anew in its children
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
