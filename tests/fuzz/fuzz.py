#!/usr/bin/python3
"""Runs fuzzers for some seconds each and stops at the first failure.

usage: fuzz.py [--seed N] [SECONDS] [NAME...]      (60 seconds and all of them by default)

NAME_fuzz.c are libFuzzer targets, built with clang, AddressSanitizer and UBSan; what they found interesting stays in
build/fuzz/NAME.corpus, inputs that failed in build/fuzz. NAME_live.py drive a live monitor or a cVM: each has
fuzz_live(seconds, seed, where), where is an empty directory. A failure prints the seed; --seed runs the same again. Several
runs in one checkout do not disturb each other.
"""
import glob
import importlib
import os
import random
import sys
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(FOLDER), FOLDER]
import harness  # noqa: E402
from harness import BUILD, ROOT, Fail, expect, run  # noqa: E402

OUT = os.path.join(BUILD, "fuzz")
FLAGS = ["-g", "-O1", "-D_GNU_SOURCE", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined", "-Isrc", "-Itests", "-Itests/unit"]


def sources(pattern, without=()):
    return [p for p in sorted(glob.glob(os.path.join(ROOT, pattern))) if os.path.basename(p) not in without]


# What each libFuzzer target is made of besides its own file.
PARTS = {
    "elf": lambda: sources("src/loader/elf_parse.c"),
    "translate": lambda: sources("src/translate/*.c", ("main.c", "sandbox.c", "stats.c")) + sources("tests/unit/translate_check.c") + ["-lZydis"],
    "config": lambda: sources("src/config/*.c") + [os.path.join(ROOT, "src/cli", n) for n in ("options.c", "foreign.c", "boot_build.c", "message.c")] + ["-lyaml"],
    "scan": lambda: sources("src/monitor/scan.c") + sources("src/monitor/x86_64/scan.S"),
}


def build(name):
    target, source = os.path.join(OUT, name + "_fuzz"), os.path.join(FOLDER, name + "_fuzz.c")
    parts = PARTS[name]()
    inputs = [source, *(p for p in parts if p.startswith("/")), *glob.glob(os.path.join(ROOT, "src/*/*.h")), *glob.glob(os.path.join(ROOT, "tests/unit/*.h"))]
    if not os.path.exists(target) or os.path.getmtime(target) < max(map(os.path.getmtime, inputs)):
        ran = harness.make_file(target, lambda new: ["clang", *FLAGS, source, *parts, "-o", new], cwd=ROOT, timeout=300)
        expect(ran.status == 0, f"tests/fuzz/{name}_fuzz.c does not build with clang's libFuzzer", ran)
    return target


def elf_seeds():
    yield from (file_bytes(p) for p in ("/bin/true", os.path.join(BUILD, "intravisor-libos")))
    yield from (file_bytes(p)[:4096] for p in ("/bin/sh", "/usr/bin/python3.11", "/lib64/ld-linux-x86-64.so.2"))


def translate_seeds():
    for code in (b"\xb8\x27\x00\x00\x00\x0f\x05\xc3", b"\x0f\x05\x48\x3d\x01\xf0\xff\xff\x73\x01\xc3", b"\x49\x89\xca\x0f\x05\xc3" * 4,
                 b"\x0f\x01\xef\x90\x90\xc3", b"\x0f\xae\x6c\x24\x40\xc3", b"\xb8\x0f\x01\xef\x00\xc3"):
        yield b"\x01" + code
        yield b"\x03" + code
        yield b"\x04" + bytes(32) + code * 20
    yield b"\x02" + file_bytes("/bin/true")[:20000]


def config_seeds():
    sys.path.insert(0, os.path.join(ROOT, "tests/cli"))
    tables = importlib.import_module("wrong_input")
    for text, _ in tables.YAML:
        yield b"\0" + (text if isinstance(text, bytes) else text.encode())[:4096]
    for arguments, _ in tables.OPTIONS:
        yield b"\1" + "\n".join(arguments).encode()[:4096]
    yield b"\0cVMs:\n- name: a\n  program: [/bin/sh, -c, ls]\n  volumes: [/etc:/x:ro, {host: /usr, guest: /y, read_only: true}]\n" \
        b"  env: {A: 1}\n  memory: 64M\n  bind: ['*:80-90/udp']\n  connect: [10.0.0.0/8:443, '[fd00::/8]:1-2']\n  tmpfs: [/t]\n  user: 1:2\n"
    yield b"\0name: p\nlogs: capture\nfiles:\n- {name: f, size: 4K, data: x}\n- {name: g, file: /x}\ncVMs:\n- name: a\n  program: x\n" \
        b"  runtime: bare\n  provides: [{call: c}, {stream: s*}]\n  listen: [80, 'unix:/s']\n  ready: {port: 80, timeout: 5s}\n" \
        b"- name: b\n  args: [x]\n  after: [a]\n  uses: [{file: f, access: rw, map: true, grant: true}, 'call:c', {stream: s1}]\n" \
        b"  reach: [80, 'unix:/s']\n  caps: 9\n  restart: on-failure:3\n  restart_delay: 1s\n  stop_timeout: 1m\n"
    yield b"\1--provide\nfile:f\n--use\nfile:f,rw,map\n--listen\n80\n--reach\n80\n--restart\nalways\n--runtime\nlibos\nx"
    yield b"\1-m\n1G\n-v\n/etc:/x:ro\n-e\nA=1\n-p\n127.0.0.1:80\n--connect\n*:443\n--\n/bin/sh\n-c\nls"


def scan_seeds():
    for code in (b"\x0f\x01\xef", b"\x0f\xae\x2f", b"\xf3\x0f\xae\xd8", b"\xf3\x48\x0f\xae\xd8", b"\x0f\xae\xe8"):
        for at in (0, 14, 15, 16, 30, 61):
            yield (b"\x90" * at + code).ljust(64, b"\x0f")


def file_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def fuzz_library(name, seconds, seed, corpus):
    """One libFuzzer target."""
    target = build(name)
    os.makedirs(corpus, exist_ok=True)
    for i, seed_bytes in enumerate(globals()[name + "_seeds"]()):
        with open(os.path.join(corpus, f"seed-{i}"), "wb") as f:
            f.write(seed_bytes)
    ran = run([target, f"-seed={seed}", f"-max_total_time={seconds}", "-timeout=30", "-verbosity=0", "-print_final_stats=1", f"-artifact_prefix={OUT}/{name}-",
               corpus], cwd=ROOT, timeout=seconds + 120)
    expect(ran.status == 0, f"{name}: libFuzzer found something (inputs in build/fuzz; build/fuzz/{name}_fuzz FILE runs one)", ran)
    done = [line.split()[-1] for line in ran.errors().splitlines() if "number_of_executed_units" in line]
    expect(done and int(done[0]) > 0, f"{name}: nothing was tried", ran)
    return f"{done[0]} inputs"


def names():
    """All fuzzers: (name, function(seconds, seed, fresh, where) -> text). fresh: from its seeds only, so that the seed alone says what is tried."""
    live = sorted(os.path.basename(p)[:-len("_live.py")] for p in sources("tests/fuzz/*_live.py"))
    return {**{n: lambda seconds, seed, fresh, where, n=n: fuzz_library(n, seconds, seed, where if fresh else os.path.join(OUT, n + ".corpus")) for n in PARTS},
            **{n: lambda seconds, seed, fresh, where, n=n: importlib.import_module(n + "_live").fuzz_live(seconds, seed, where) for n in live}}


def fuzz(name, seconds, seed, fresh=False):
    for folder in (OUT, harness.SCRATCH):
        os.makedirs(folder, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}.", dir=harness.SCRATCH, ignore_cleanup_errors=True) as where:
            return f"seed {seed}, {names()[name](seconds, seed, fresh, where)}"
    except Fail as fail:
        raise Fail(f"seed {seed} (again: tests/fuzz/fuzz.py --seed {seed} {seconds} {name})\n{fail}") from None


def main(arguments):
    seed = int(arguments.pop(arguments.index("--seed") + 1)) if "--seed" in arguments else random.SystemRandom().randrange(1, 1 << 31)
    words = [a for a in arguments if a != "--seed"]
    seconds = int(words.pop(0)) if words and words[0].isdigit() else 60
    unknown = set(words) - set(names())
    if unknown:
        print(f"fuzz: no fuzzer {', '.join(sorted(unknown))} (there are {', '.join(names())})", file=sys.stderr)
        return 2
    for name in words or names():
        print(f"== {name}, {seconds} s, seed {seed}", flush=True)
        try:
            print(fuzz(name, seconds, seed), flush=True)
        except Fail as fail:
            print(f"FAIL {name}: {fail}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
