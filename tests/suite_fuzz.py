"""The fuzzers of tests/fuzz for a minute each, from a recorded seed; `make fuzz` goes on where this ends."""
import os
import sys

from harness import ROOT, Test

sys.path.insert(0, os.path.join(ROOT, "tests/fuzz"))
import fuzz  # noqa: E402

SEED = 20261121
SECONDS = int(os.environ.get("CVM_FUZZ_SECONDS", "60"))


def tests():
    return [Test(f"fuzz/{name}", lambda n=name: fuzz.fuzz(n, SECONDS, SEED, fresh=True)) for name in fuzz.names()]
