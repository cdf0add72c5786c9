"""What the tests of the command share: a copy of it with helper binaries that do what a test says, and running it."""
import atexit
import os
import shutil
import struct
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PATIENCE = 200  # seconds; only ever reached by a failure
REAL = os.environ.get("INTRAVISOR", os.path.join(ROOT, "build/intravisor"))

TRANSLATOR = """#!/usr/bin/python3 -I
import os, struct, sys, time
source, image, offset, size, stubs = map(int, sys.argv[1:])
text = os.pread(source, size, offset)
if text.startswith(b"FAIL"):
    sys.exit("text at 0x0: cannot be rewritten\\x1b[31m")
if text.startswith(b"DIE"):
    os.kill(os.getpid(), 9)
while text.startswith(b"SLOW") and not os.path.exists(os.path.join(os.path.dirname(sys.argv[0]), "go")):
    time.sleep(0.002)
if text.startswith(b"HANG"):
    time.sleep(1000)
if text.startswith(b"SPARSE"):
    text, stubs = text[:4096], 0
    os.truncate(image, 4096 + size)
text += bytes(-len(text) % 4096)
header = struct.pack("=QIIQQIIII64x256s", 0x31474d4943445643, 2, 0, max(len(text), os.fstat(image).st_size - 4096), 4096 * stubs, 1, 1, 0, 0, b"")
os.write(image, header.ljust(4096, b"\\0") + text + b"s" * 4096 * stubs)
"""


def libos_elf(text=b"\x90" * 5000, data=b"data" * 100, bss=8192, **change):
    """An ELF file as intravisor-libos is: code at 1 MiB, data at 17 MiB."""
    def phdr(kind, flags, offset, vaddr, file_size, memory_size):
        return struct.pack("<IIQQQQQQ", kind, flags, offset, vaddr, vaddr, file_size, memory_size, 4096)
    text_at, data_at = 4096, 4096 + (len(text) + 4095) // 4096 * 4096
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0x100010, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    loads = phdr(1, 5, text_at, change.get("vaddr", 0x100000), len(text), len(text)) + \
        phdr(1, change.get("flags", 6), data_at, 0x1100000, len(data), len(data) + bss)
    return ((header + loads).ljust(text_at, b"\0") + text).ljust(data_at, b"\0") + data


def everybody_reaches(path):
    while os.stat(path).st_mode & 1 and path != "/":
        path = os.path.dirname(path)
    return path == "/"


def scratch():
    """Where the command can be run as another user too, so not in a checkout below /root."""
    folder = os.environ.get("SCRATCH")
    folder = tempfile.mkdtemp(prefix="cli-", dir=folder if folder and everybody_reaches(folder) else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Box:
    """A directory with the command, fake helpers, a home and a working directory."""

    def __init__(self):
        self.folder = scratch()
        self.bin, self.home, self.work = (os.path.join(self.folder, n) for n in ("bin", "home", "work"))
        for folder in (self.bin, self.home, self.work):
            os.mkdir(folder)
        self.command = os.path.join(self.bin, "intravisor")
        shutil.copy(REAL, self.command)
        with open(os.path.join(HERE, "fake_monitor.py")) as f:
            self.helper("monitor", f.read())
        os.symlink("intravisor-monitor", os.path.join(self.bin, "intravisor-monitor-no-pkeys"))
        self.helper("translate", TRANSLATOR)
        self.helper("libos", libos_elf())
        self.runtime = os.path.join(self.folder, "runtime")  # of the control sockets
        self.env = {"PATH": "/usr/bin:/bin", "HOME": self.home, "LC_ALL": "C", "TERM": "dumb", "XDG_RUNTIME_DIR": self.runtime}

    def helper(self, name, content):
        path = os.path.join(self.bin, "intravisor-" + name)
        with open(path + ".new", "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path + ".new", 0o755)
        os.rename(path + ".new", path)
        return path

    def file(self, name, content):
        path = os.path.join(self.work, name)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return path

    def start(self, *arguments, **options):
        options.setdefault("env", self.env)
        options.setdefault("cwd", self.work)
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen([self.command, *arguments], **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})

    def run(self, *arguments, timeout=PATIENCE, input=None, **options):
        if input is not None:
            options["stdin"] = subprocess.PIPE
        process = self.start(*arguments, **options)
        try:
            out, err = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return process.returncode, out.decode(errors="backslashreplace"), err.decode(errors="backslashreplace")

    def python(self, code, *options, **more):
        """Runs a fake cVM whose program is Python."""
        return self.run("run", "--insecure-no-pkeys", "--quiet", *options, "--", "fake", code, **more)

    def left_behind(self):
        """Processes whose executable or arguments are in this box."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    line = f.read()
                with open(f"/proc/{pid}/stat") as f:
                    zombie = f.read().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                continue
            if self.bin.encode() in line and not zombie:
                found.append(line)
        return found

    def wait_nothing_left(self, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while self.left_behind() and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.left_behind()
