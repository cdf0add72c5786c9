"""The fuzzers of tests/fuzz for a minute each, from a recorded seed; `make fuzz` goes on where this ends."""
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from harness import ROOT, Test

sys.path.insert(0, os.path.join(ROOT, "tests/fuzz"))
import fuzz  # noqa: E402

SEED = 20261121
SECONDS = int(os.environ.get("CVM_FUZZ_SECONDS", "60"))


def beside():
    """Two runs in one checkout, each with files of its own."""
    with ThreadPoolExecutor(2) as both:
        return "; ".join(both.map(lambda seed: fuzz.fuzz("launch", 5, seed), (SEED, SEED + 1)))


def tests():
    return [Test("fuzz/beside", beside)] + [Test(f"fuzz/{name}", lambda n=name: fuzz.fuzz(n, SECONDS, SEED, fresh=True)) for name in fuzz.names()]
