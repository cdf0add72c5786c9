"""Files and directories: every operation of os and shutil that a program commonly uses, in a temporary directory."""
import errno
import fcntl
import mmap
import os
import shutil
import stat
import tempfile

with tempfile.TemporaryDirectory() as top:
    os.chdir(top)
    os.makedirs("a/b/c")
    for i in range(200):
        with open(f"a/b/file{i:03}", "w") as f:
            f.write("x" * i)
    print(len(os.listdir("a/b")), sum(e.stat().st_size for e in os.scandir("a/b") if e.is_file()))
    os.rename("a/b/file000", "a/renamed")
    os.replace("a/b/file001", "a/b/file002")
    os.link("a/renamed", "a/hard")
    os.symlink("../a/renamed", "a/soft")
    print(os.stat("a/hard").st_nlink, os.readlink("a/soft"), os.path.samefile("a/hard", "a/renamed"))
    os.chmod("a/renamed", 0o600)
    os.utime("a/renamed", ns=(10**18 + 5, 10**18 + 7))
    print(oct(os.stat("a/hard").st_mode), os.stat("a/hard").st_mtime_ns)
    for action in (lambda: os.rmdir("a"), lambda: os.mkdir("a"), lambda: open("a"), lambda: os.unlink("none"),
                   lambda: os.rename("a", "a/b/c/d"), lambda: os.readlink("a"), lambda: os.listdir("a/hard")):
        try:
            action()
        except OSError as error:
            print(errno.errorcode[error.errno])
    fd = os.open("big", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
    os.pwrite(fd, b"end", 10_000_000)
    print(os.fstat(fd).st_size, os.pread(fd, 4, 0), os.lseek(fd, -3, os.SEEK_END), os.read(fd, 10))
    os.ftruncate(fd, 5000)
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with mmap.mmap(fd, 5000) as memory:
        memory[100:105] = b"hello"
        memory.flush()
    print(os.pread(fd, 5, 100), os.preadv(fd, [bytearray(3), bytearray(4)], 99))
    copy = os.dup(fd)
    os.set_inheritable(copy, True)
    os.lseek(fd, 7, os.SEEK_SET)
    print(os.lseek(copy, 0, os.SEEK_CUR), fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE)
    os.close(copy)
    os.close(fd)
    shutil.copytree("a", "copy", symlinks=True)
    print(sorted(os.listdir("copy")), stat.S_ISLNK(os.lstat("copy/soft").st_mode))
    shutil.rmtree("a")
    shutil.move("copy", "moved")
    print(sorted(os.listdir(".")), os.path.basename(os.getcwd()) == os.path.basename(top))
    with open("append", "a") as f, open("append", "a") as g:
        f.write("1")
        f.flush()
        g.write("2")
        g.flush()
        f.write("3")
    print(open("append").read(), os.access("append", os.W_OK), os.umask(0o22) in (0o22, 0o2, 0o77))
    os.chdir("/")
