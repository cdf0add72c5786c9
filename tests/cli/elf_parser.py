#!/usr/bin/python3
"""The ELF header parser (src/loader/elf_parse.c) by itself: Debian's own files parse, wrong ones give the right error,
and whatever bytes it is given, what it accepts keeps the promises of elf_parse.h.
"""
import ctypes
import glob
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE, SPAN = 4096, 1 << 30
(OK, TRUNCATED, NOT_ELF, CLASS, MACHINE, VERSION, TYPE, NOT_PIE, HEADERS, NO_LOAD, LOADS, OVERFLOW, SIZES, ALIGNMENT, OVERLAP,
 ENTRY, INTERP) = range(17)


class Load(ctypes.Structure):
    _fields_ = [(n, ctypes.c_uint64) for n in ("vaddr", "offset", "file_size", "memory_size", "align")] + \
        [(n, ctypes.c_bool) for n in ("read", "write", "exec")]


class Info(ctypes.Structure):
    _fields_ = [("entry", ctypes.c_uint64), ("phdr_offset", ctypes.c_uint64), ("phdr_count", ctypes.c_uint32),
                ("fixed", ctypes.c_bool), ("exec_stack", ctypes.c_bool), ("has_dynamic", ctypes.c_bool)] + \
        [(n, ctypes.c_uint64) for n in ("phdr_vaddr", "interp_offset", "interp_size", "start", "end", "align")] + \
        [("loads", ctypes.c_uint32), ("load", Load * 16)]


def build():
    folder = tempfile.mkdtemp(prefix="elf-", dir=os.environ.get("SCRATCH"))
    path = os.path.join(folder, "elf_parse.so")
    compiler = shutil.which("gcc") or shutil.which("cc") or "clang"
    subprocess.run([compiler, "-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined",
                    "-fsanitize-undefined-trap-on-error", "-shared", "-fPIC", "-I" + os.path.join(ROOT, "src"), "-o", path,
                    os.path.join(ROOT, "src/loader/elf_parse.c")], check=True)
    library = ctypes.CDLL(path)
    shutil.rmtree(folder)
    library.elf_error_text.restype = ctypes.c_char_p
    return library


LIBRARY = build()


def parse(data, flags=0, file_size=None):
    """(error, info), reading as the header of elf_parse.h says. ctypes buffers end where the bytes end."""
    info = Info()
    error = LIBRARY.elf_parse_header(bytes(data), ctypes.c_size_t(len(data)), flags, ctypes.byref(info))
    if error == OK:
        table = bytes(data[info.phdr_offset:info.phdr_offset + info.phdr_count * 56])
        size = ctypes.c_uint64(len(data) if file_size is None else file_size)
        error = LIBRARY.elf_parse_segments(table, ctypes.c_size_t(len(table)), size, ctypes.byref(info))
    if error == OK and info.interp_size:
        path = bytes(data[info.interp_offset:info.interp_offset + info.interp_size])
        error = LIBRARY.elf_parse_interp(path, ctypes.c_size_t(len(path)))
    return error, info


def header(kind=3, machine=62, entry=0x1000, phoff=64, phentsize=56, phnum=2, ident=b"\x7fELF\x02\x01\x01", version=1):
    return ident + bytes(16 - len(ident)) + struct.pack("<HHIQQQIHHHHHH", kind, machine, version, entry, phoff, 0, 0, 64, phentsize, phnum, 0, 0, 0)


def phdr(kind=1, flags=5, offset=0, vaddr=0, file_size=0x2000, memory_size=None, align=4096):
    return struct.pack("<IIQQQQQQ", kind, flags, offset, vaddr, vaddr, file_size, file_size if memory_size is None else memory_size, align)


def elf(*phdrs, size=0x4000, **head):
    head.setdefault("phnum", len(phdrs))
    return (header(**head) + b"".join(phdrs)).ljust(size, b"\0")


TEXT = phdr()
DATA = phdr(flags=6, offset=0x2000, vaddr=0x3000, file_size=0x100, memory_size=0x5000)
TOP = (1 << 64) - 4096

WRONG = [
    ("empty", b"", NOT_ELF),
    ("script", b"#!/bin/sh\n", NOT_ELF),
    ("magic only", b"\x7fELF", TRUNCATED),
    ("63 bytes", elf(TEXT)[:63], TRUNCATED),
    ("32 bits", elf(TEXT, ident=b"\x7fELF\x01\x01\x01"), CLASS),
    ("class 3", elf(TEXT, ident=b"\x7fELF\x03\x01\x01"), NOT_ELF),
    ("big endian", elf(TEXT, ident=b"\x7fELF\x02\x02\x01"), MACHINE),
    ("ident version", elf(TEXT, ident=b"\x7fELF\x02\x01\x02"), VERSION),
    ("version", elf(TEXT, version=2), VERSION),
    ("AArch64", elf(TEXT, machine=183), MACHINE),
    ("object file", elf(TEXT, kind=1), TYPE),
    ("core file", elf(TEXT, kind=4), TYPE),
    ("non-PIE", elf(TEXT, kind=2), NOT_PIE),
    ("no headers", elf(phnum=0), HEADERS),
    ("PN_XNUM headers", elf(TEXT, phnum=0xffff), HEADERS),
    ("65 headers", elf(TEXT, phnum=65), HEADERS),
    ("header size", elf(TEXT, phentsize=32), HEADERS),
    ("headers inside the header", elf(TEXT, phoff=8), HEADERS),
    ("headers behind the end", elf(TEXT, phoff=1 << 40), TRUNCATED),
    ("headers at the end of space", elf(TEXT, phoff=(1 << 64) - 8), HEADERS),
    ("nothing to load", elf(phdr(kind=4)), NO_LOAD),
    ("empty load", elf(phdr(file_size=0)), NO_LOAD),
    ("17 loads", elf(*(phdr(offset=0, vaddr=i * 4096, file_size=1) for i in range(17)), entry=0), LOADS),
    ("memory wraps", elf(phdr(vaddr=TOP, file_size=0, memory_size=8192)), OVERFLOW),
    ("file wraps", elf(phdr(offset=TOP, file_size=8192)), OVERFLOW),
    ("huge memory", elf(phdr(memory_size=SPAN + 1)), OVERFLOW),
    ("far segments", elf(TEXT, phdr(vaddr=SPAN, file_size=1)), OVERFLOW),
    ("file larger than memory", elf(phdr(memory_size=0x1000)), SIZES),
    ("segment behind the end", elf(TEXT, size=0x1000), TRUNCATED),
    ("odd alignment", elf(phdr(align=3)), ALIGNMENT),
    ("huge alignment", elf(phdr(align=1 << 40)), ALIGNMENT),
    ("incongruent", elf(phdr(offset=16)), ALIGNMENT),
    ("overlap", elf(TEXT, phdr(flags=6, vaddr=0x1000)), OVERLAP),
    ("shared page", elf(phdr(file_size=0x1800), phdr(flags=6, offset=0x1800, vaddr=0x1800, file_size=16)), OVERLAP),
    ("descending", elf(DATA, TEXT), OVERLAP),
    ("entry in data", elf(TEXT, DATA, entry=0x3000), ENTRY),
    ("entry behind the bytes", elf(phdr(memory_size=0x3000), entry=0x2000), ENTRY),
    ("entry nowhere", elf(TEXT, entry=1 << 63), ENTRY),
    ("two interpreters", elf(TEXT, phdr(kind=3, offset=0x200, file_size=5), phdr(kind=3, offset=0x200, file_size=5)), INTERP),
    ("interpreter behind the end", elf(TEXT, phdr(kind=3, offset=1 << 40, file_size=5)), TRUNCATED),
    ("interpreter wraps", elf(TEXT, phdr(kind=3, offset=(1 << 64) - 1, file_size=5)), TRUNCATED),
    ("interpreter too long", elf(TEXT, phdr(kind=3, offset=0x200, file_size=4097)), INTERP),
    ("relative interpreter", elf(TEXT, phdr(kind=3, offset=0x200, file_size=5)), INTERP),
]


def expect(what, condition):
    if not condition:
        raise AssertionError(what)


def check_accepted(info, size):
    """The promises of elf_parse.h."""
    expect("loads", 1 <= info.loads <= 16 and 1 <= info.phdr_count <= 64)
    loads = info.load[:info.loads]
    end = info.start
    for load in loads:
        expect("ascending, disjoint pages", load.vaddr // PAGE * PAGE >= end)
        expect("in the file", load.offset + load.file_size <= size and load.file_size <= load.memory_size)
        expect("congruent", load.file_size == 0 or (load.vaddr - load.offset) % PAGE == 0)
        expect("alignment", load.align >= PAGE and load.align & (load.align - 1) == 0 and load.align <= info.align)
        end = (load.vaddr + load.memory_size + PAGE - 1) // PAGE * PAGE
    expect("span", info.start % PAGE == 0 and info.end == end and 0 < info.end - info.start <= SPAN and end < 1 << 63)
    expect("entry", info.entry == 0 or any(l.exec and l.vaddr <= info.entry < l.vaddr + l.file_size for l in loads))


def test_wrong():
    for name, data, wanted in WRONG:
        error, _ = parse(data)
        expect(f"{name}: {LIBRARY.elf_error_text(error)!r} instead of {LIBRARY.elf_error_text(wanted)!r}", error == wanted)
    texts = [LIBRARY.elf_error_text(i) for i in range(17)]
    expect("texts differ", len(set(texts)) == 17 and LIBRARY.elf_error_text(17) == LIBRARY.elf_error_text(-1) == b"unknown error")
    return len(WRONG)


def test_right():
    error, info = parse(elf(TEXT, DATA, phdr(kind=2), phdr(kind=0x6474e551, flags=7)))
    expect(error, error == OK and info.loads == 2 and info.end == 0x8000 and info.has_dynamic and info.exec_stack)
    expect("AT_PHDR", info.phdr_vaddr == 64)
    expect("fixed", parse(elf(TEXT, kind=2), flags=1)[0] == OK)
    return 2


def test_debian():
    """Every program and library here is either accepted, or has an error that is true of it."""
    count = 0
    paths = glob.glob("/usr/bin/*") + glob.glob("/usr/sbin/*") + glob.glob("/usr/lib/x86_64-linux-gnu/*.so*")
    for path in paths:
        if not os.path.isfile(path) or os.path.islink(path):
            continue
        with open(path, "rb") as f:
            data = f.read()
            size = os.fstat(f.fileno()).st_size
        if not data.startswith(b"\x7fELF"):
            continue
        error, info = parse(data, 0, size)
        fixed = struct.unpack_from("<H", data, 16)[0] == 2
        expect(f"{path}: {LIBRARY.elf_error_text(error)!r}", error == (NOT_PIE if fixed else OK))
        if error == OK:
            check_accepted(info, size)
        count += 1
    return count


def test_random(rounds=60000):
    generator = random.Random(1)
    values = [0, 1, 5, 6, 7, 8, 16, 56, 64, 4095, 4096, 0x2000, 0x3000, SPAN, (1 << 31) - 1, 1 << 31, (1 << 63) - 1, 1 << 63, TOP, (1 << 64) - 1]
    accepted = 0
    seeds = [elf(TEXT, DATA, phdr(kind=3, offset=0x200, file_size=5), phdr(kind=2)), elf(TEXT), elf(TEXT, DATA)]
    for seed in range(len(seeds)):
        seeds[seed] = seeds[seed][:0x200] + b"/ld1\0" + seeds[seed][0x205:]
    for _ in range(rounds):
        data = bytearray(generator.choice(seeds))
        for _ in range(generator.choice((1, 1, 2, 3, 6))):
            at = generator.randrange(0, 64 + 4 * 56)
            if generator.random() < 0.5:
                data[at] = generator.randrange(256)
            else:
                struct.pack_into("<Q", data, at // 8 * 8, generator.choice(values))
        if generator.random() < 0.1:
            del data[generator.randrange(len(data)):]
        error, info = parse(data)
        expect("an error of the list", 0 <= error < 18)
        if error == OK:
            accepted += 1
            check_accepted(info, len(data))
    expect("some are accepted", accepted > rounds // 20)
    return rounds


if __name__ == "__main__":
    failed = passed = 0
    for test in (test_wrong, test_right, test_debian, test_random):
        try:
            passed += test()
        except AssertionError as error:
            failed += 1
            print(f"FAIL {test.__name__}: {error}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(bool(failed))
