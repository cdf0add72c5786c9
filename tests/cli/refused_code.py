#!/usr/bin/python3
"""Code that cannot be made harmless: the command says where in the file and what it is, libOS which file; with data in its place it runs."""
import os
import subprocess
import sys

INTRAVISOR, OPTIONS, SCRATCH = os.environ["INTRAVISOR"], os.environ["INTRAVISOR_OPTIONS"].split(), os.environ["SCRATCH"]
# Behind an instruction that does not exist nothing is recognised as code.
SOURCE = """
__asm__(".text\\n.globl inert\\n.type inert, @function\\ninert: ret\\n.byte 0x06, 0x06, %s, 0x06, 0x06\\n.size inert, . - inert\\n");
int main(void) { return 7; }
"""


def attempt(name, middle):
    source, program = f"{SCRATCH}/{name}.c", f"{SCRATCH}/{name}"
    with open(source, "w") as f:
        f.write(SOURCE % middle)
    subprocess.run(["gcc", "-o", program, source], check=True)
    env = dict(os.environ, XDG_CACHE_HOME=f"{SCRATCH}/cache")
    return [subprocess.run([INTRAVISOR, "run", *OPTIONS, "-v", f"{program}:/program:ro", "--", "/program"], env=env, capture_output=True, text=True,
                           timeout=60) for _ in "12"]


for ran in attempt("harmless", "0x0f, 0x01, 0xee"):
    if ran.returncode != 7 or "would leave it" in ran.stderr:
        sys.exit(f"the harmless program: status {ran.returncode}: {ran.stderr}")
for ran in attempt("wrpkru", "0x0f, 0x01, 0xef"):  # translated, then from the cache
    if ran.returncode != 126 or "would leave it: offset 0x" not in ran.stderr or "WRPKRU" not in ran.stderr or "/program" not in ran.stderr:
        sys.exit(f"status {ran.returncode}: {ran.stderr}")
