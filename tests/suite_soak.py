"""The soak test, short; `make soak` runs it long."""
import os
import sys

from harness import ROOT, Test

sys.path.insert(0, os.path.join(ROOT, "tests/soak"))
import soak  # noqa: E402
import storm  # noqa: E402


def tests():
    return [Test("soak/starts", soak.starts(100)), Test("soak/redis", soak.redis(5)), Test("soak/storm_control", storm.control),
            Test("soak/storm", storm.storm(16, seed=20261121))]
