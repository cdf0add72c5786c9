"""What can be done with one file, whose path is given: opens of their own, appending, locks, truncating."""
import fcntl
import os
import subprocess
import sys

PATH = sys.argv[1]
LOCK = f"""
import fcntl, os
fd = os.open({PATH!r}, os.O_RDWR)
try:
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("both have it")
except OSError as e:
    print("lockf", e.errno)
"""


def show(what, f):
    try:
        print(what, f())
    except OSError as e:
        print(what, e.errno)


def content():
    with open(PATH, "rb") as f:
        return f.read()


def append():
    for text in (b"one\n", b"two\n"):
        with open(PATH, "ab") as f:
            f.write(text)
    show("appended", content)
    with open(PATH, "ab", buffering=0) as a, open(PATH, "ab", buffering=0) as b:
        for f, text in ((a, b"a1"), (b, b"b1"), (a, b"a2")):
            f.write(text)
    show("appended by two", content)


def lock():
    a, b = os.open(PATH, os.O_RDWR), os.open(PATH, os.O_RDONLY)
    os.lseek(a, 3, os.SEEK_SET)
    show("position of another open", lambda: os.lseek(b, 0, os.SEEK_CUR))
    fcntl.flock(a, fcntl.LOCK_EX)
    show("flock", lambda: fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB))
    os.close(a)
    show("flock", lambda: fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB))
    os.close(b)
    a = os.open(PATH, os.O_RDWR)
    fcntl.lockf(a, fcntl.LOCK_EX)
    sys.stdout.flush()
    subprocess.run([sys.executable, "-c", LOCK], check=True)
    os.close(a)


def change():
    os.close(os.open(PATH, os.O_RDONLY | os.O_TRUNC))
    show("truncated", content)
    fd = os.open(PATH, os.O_WRONLY)
    show("read of what is open for writing", lambda: os.read(fd, 1))
    os.write(fd, b"again")
    os.close(fd)
    os.truncate(PATH, 3)
    show("truncated", content)
    os.chmod(PATH, 0o640)
    os.utime(PATH, (1, 2))
    print(oct(os.stat(PATH).st_mode), os.stat(PATH).st_mtime)


def open_oddly():
    show("as a directory", lambda: os.open(PATH, os.O_RDONLY | os.O_DIRECTORY))
    show("below it", lambda: os.open(PATH + "/x", os.O_RDONLY))
    show("as new", lambda: os.open(PATH, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.close(os.open(PATH, os.O_CREAT | os.O_WRONLY, 0o600))
    fd = os.open(PATH, os.O_PATH)
    show("O_PATH", lambda: os.fstat(fd).st_size)
    show("O_PATH, read", lambda: os.read(fd, 1))
    show("O_PATH, opened", lambda: os.read(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY), 9))


for test in (append, lock, change, open_oddly):
    test()
