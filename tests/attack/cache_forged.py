#!/usr/bin/python3
"""
Question: the code cache on disk is checked against damage only. What if somebody who can write there forges entries (forbidden
bytes in code or stubs, sizes that lie, code declared as data, an entry under another's name), or a cVM is given the directory?
Expect: the monitor refuses what is forbidden, everything else is translated again or hurts its own cVM; a grant is refused
Control: --insecure-no-scan: forged code with forbidden bytes runs
"""
import os
import re
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import CACHE, SCRATCH, cached, check, empty_cache, run  # noqa: E402

PAGE, TRAILER = 4096, 8 * 3 + 80 + 8
PADDING = bytes.fromhex("c3662e0f1f840000000000")  # a return, and a nop up to the next function
FORBIDDEN = {"WRPKRU": b"\x0f\x01\xef", "XRSTOR": b"\x0f\xae\x2f", "WRGSBASE": b"\xf3\x0f\xae\xdf"}


def ordinary(*options):
    return run(*options, "--", "/bin/echo", "ordinary")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def fill():
    empty_cache()
    ran = ordinary()
    check(ran == (0, "ordinary\n") and len(cached()) >= 2, "an ordinary run does not fill the cache", ran)
    return {os.path.basename(path): read(path) for path in cached()}


def write(name, content):
    with open(os.path.join(CACHE, name), "wb") as f:
        f.write(content)


def still_well():
    fill()
    check(ordinary() == (0, "ordinary\n"), "after the attack an ordinary run fails")


def forbidden_bytes(good):
    """In every place of padding of the largest image, so that only the scanner minds."""
    name = max(good, key=lambda n: len(good[n]))
    for what, sequence in FORBIDDEN.items():
        forged = good[name].replace(PADDING, b"\xc3" + sequence.ljust(len(PADDING) - 1, b"\x90"))
        check(forged != good[name], "the image has no padding: the attack shows nothing")
        write(name, forged)
        status, text = ordinary()
        check(status != 0 and "ordinary" not in text and "monitor" not in text, f"an image with {what} was taken", text)
        ran = ordinary("--insecure-no-scan")
        check(ran[0] == 0 and ran[1].endswith("ordinary\n"), f"the control does not run with {what}", ran)
    write(name, good[name])


def forbidden_stubs(good):
    for name, content in good.items():
        text_size, stub_size = struct.unpack_from("<QQ", content, 16)
        if stub_size:
            end = PAGE + text_size + stub_size
            write(name, content[:end - 4] + b"\x0f\x01\xef\x90" + content[end:])
            status, text = ordinary()
            check(status != 0 and "ordinary" not in text, "stubs with WRPKRU were taken", text)
        write(name, content)


def lying_headers(good):
    """Sizes, and data ranges that hide code from the scanner: never more than a failure of this one cVM."""
    name = max(good, key=lambda n: len(good[n]))
    content = good[name]
    text_size, stub_size = struct.unpack_from("<QQ", content, 16)
    forged = content.replace(PADDING, b"\xc3" + b"\x0f\x01\xef".ljust(len(PADDING) - 1, b"\x90"))
    sizes = [(text_size - PAGE, stub_size + PAGE), (text_size + stub_size, 0), (0, text_size + stub_size), (text_size + 1, stub_size - 1),
             (2**63, 2**63 + text_size + stub_size), (2**64 - PAGE, text_size + stub_size + PAGE)]
    for pair in sizes:
        write(name, content[:16] + struct.pack("<QQ", *(v % 2**64 for v in pair)) + content[32:])
        status, text = ordinary()
        check("the monitor ended" not in text, f"sizes {pair} ended the monitor", text)
    ranges = [(0, text_size // PAGE), (0, 2**32 - 1), (1, 2**32 - 1), (2**32 - 1, 1)]
    at = 32 + 4 * 4
    for first, count in ranges:
        for source in (content, forged):
            write(name, source[:at] + struct.pack("<II", first, count) + source[at + 8:])
            status, text = ordinary()
            check("the monitor ended" not in text, f"data pages {first}+{count} ended the monitor", text)
            if source is forged and first > 1:
                check("ordinary" not in text, "WRPKRU behind a data range that is none was executable", text)
    write(name, content)


def exchanged(good):
    first, second = sorted(good, key=lambda n: -len(good[n]))[:2]
    write(first, good[second])
    write(second, good[first])
    check(ordinary() == (0, "ordinary\n"), "entries under each other's name do harm")


def odd_files(good):
    name = max(good, key=lambda n: len(good[n]))
    path = os.path.join(CACHE, name)
    for make in (lambda: os.mkfifo(path), lambda: os.mkdir(path), lambda: os.symlink("/etc/passwd", path), lambda: os.symlink(path, path),
                 lambda: write(name, b""), lambda: subprocess.run(["/usr/bin/truncate", "-s", "1T", path], check=True)):
        make_room(path)
        make()
        check(ordinary() == (0, "ordinary\n"), "a strange file in an entry's place does harm")
    make_room(path)


def make_room(path):
    if os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)


def granted():
    home = os.path.join(SCRATCH, "cache")
    for volume in (CACHE, home, SCRATCH, "/", cached()[0]):
        status, text = run("-v", f"{volume}:/given", "--", "/bin/echo", "ordinary")
        check(status != 0 and "code cache" in text and "ordinary" not in text, f"{volume} was granted", text)
    ran = run("-v", f"{CACHE}:/given:ro", "--", "/bin/echo", "ordinary")
    check(ran == (0, "ordinary\n"), "a read-only grant was refused", ran)


def main():
    good = fill()
    header = next(iter(good.values()))
    check(re.fullmatch(rb"CVDCIMG1", header[:8]), "the entry does not begin with an image")
    for attack in (forbidden_bytes, forbidden_stubs, lying_headers, exchanged, odd_files):
        attack(good)
        for name, content in good.items():
            make_room(os.path.join(CACHE, name))
            write(name, content)
    granted()
    still_well()
    print("REFUSED: forged entries")


if __name__ == "__main__":
    main()
