"""The translator on the executable pages of all of Debian's programs and libraries here, at least 200: see translate_run.c."""
import glob
import os
import random
import struct

import fuzz
import harness
from harness import ROOT, expect, run

FOLDERS = ["/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-musl", "/usr/lib/gcc/x86_64-linux-gnu/*", "/usr/lib/llvm-14/lib"]
SIZE_MAX = 64 << 20
SITES = 400  # executed of one file at most


def is_program(path):
    """64-bit x86 executables and shared objects."""
    if not os.path.isfile(path) or os.path.islink(path) or not 64 < os.path.getsize(path) < SIZE_MAX:
        return False
    try:
        with open(path, "rb") as f:
            head = f.read(20)
    except OSError:
        return False
    return head[:5] == b"\x7fELF\x02" and struct.unpack_from("<HH", head, 16) in ((2, 62), (3, 62))


def fuzz_live(seconds, seed, where):
    target, source = os.path.join(where, "translate_run"), os.path.join(fuzz.FOLDER, "translate_run.c")
    ran = run(["gcc", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-Isrc", "-Itests", "-Itests/unit", source, *fuzz.PARTS["translate"](), "-o", target],
              cwd=ROOT, timeout=300)
    expect(ran.status == 0, "tests/fuzz/translate_run.c does not compile", ran)
    files = [p for folder in FOLDERS for name in glob.glob(folder) for p in glob.glob(name + "/*") + glob.glob(name + "/*/*.so") if is_program(p)]
    files += [os.path.join(harness.BUILD, n) for n in ("intravisor", "intravisor-translate")]
    expect(len(files) >= 200, f"only {len(files)} programs and libraries are here: 200 are wanted")
    random.Random(seed).shuffle(files)
    ran = run([target, seed, SITES, seconds, *files], cwd=ROOT, timeout=seconds + 300)
    expect(ran.status == 0, "a translation differs from its original", ran)
    return ran.text().replace("\n", "; ").strip("; ")
