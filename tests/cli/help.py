#!/usr/bin/python3
"""What --help says: of every command, wherever it stands among its words, and never of a program's."""
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fakes import Box  # noqa: E402

COMMANDS = ["run", "ps", "stats", "logs", "exec", "kill", "stop", "start", "restart", "check", "cache"]


class Help(unittest.TestCase):
    def setUp(self):
        self.box = Box()

    def printed(self, *arguments):
        status, out, err = self.box.run(*arguments)
        self.assertEqual((status, err), (0, ""), arguments)
        self.assertLess(max(map(len, out.splitlines())), 130)
        self.assertFalse(any(line.endswith(" ") for line in out.splitlines()), out)
        return out

    def test_all(self):
        out = self.printed("--help")
        self.assertEqual(out, self.printed("-h"))
        self.assertEqual(out, self.printed("help"))
        self.assertEqual(list(dict.fromkeys(re.findall("^  ([a-z]+) ", out, re.M))), COMMANDS)

    def test_of_one(self):
        for command in COMMANDS:
            out = self.printed(command, "--help")
            self.assertTrue(out.startswith(f"usage: intravisor {command}"), out)
            self.assertEqual(out, self.printed(command, "-h"))
            self.assertEqual(out, self.printed("help", command))
            # What stands in its line is explained.
            for option in re.findall(r"\[(--?[a-z]+)", out.splitlines()[0]):
                self.assertRegex(out, f"(?m)^  .*{option}[ ,].* ", option)

    def test_behind_other_words(self):
        for command in "ps", "stats", "logs", "kill", "stop", "start", "restart":
            self.assertEqual(self.printed(command, "pod", "--help"), self.printed(command, "-h"))
        self.assertEqual(self.printed("exec", "-i", "-e", "A=1", "--help"), self.printed("exec", "-h"))

    def test_the_programs_own(self):
        status, out, err = self.box.run("exec", "pod/a", "ls", "--help")
        self.assertEqual((status, out), (125, ""))
        self.assertIn("no pod is called pod", err)


if __name__ == "__main__":
    unittest.main()
