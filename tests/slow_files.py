"""A file system that answers when it is told to (python3-fusepy, libfuse).

usage: slow_files.py MOUNT FOLDER [disk]
One file, `page`, of one page: who reads it makes FOLDER/asked, and waits until FOLDER/answer is there; if FOLDER/hang-close is there, who
closes it does too. With `disk` it is what lies in FOLDER/disk, and who waits is whoever wants something to be on the disk (fsync)."""
import errno
import os
import stat
import sys
import time

import fusepy

PAGE = 4096


class SlowFiles(fusepy.Operations):
    def __init__(self, folder):
        self.asked, self.answer, self.hang_close = (os.path.join(folder, name) for name in ("asked", "answer", "hang-close"))

    def hang(self):
        with open(self.asked, "w", encoding="ascii"):
            pass
        while not os.path.exists(self.answer):
            time.sleep(0.01)

    def getattr(self, path, fh=None):
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path == "/page":
            return {"st_mode": stat.S_IFREG | 0o644, "st_nlink": 1, "st_size": PAGE}
        raise fusepy.FuseOSError(errno.ENOENT)

    def read(self, path, size, offset, fh):
        self.hang()
        return bytes(max(min(size, PAGE - offset), 0))

    def flush(self, path, fh):
        if os.path.exists(self.hang_close):
            self.hang()
        return 0


class SlowDisk(fusepy.Operations):
    def __init__(self, folder):
        self.disk, self.hang = os.path.join(folder, "disk"), SlowFiles(folder).hang

    def at(self, path):
        return self.disk + path

    def getattr(self, path, fh=None):
        found = os.lstat(self.at(path))
        return {key: getattr(found, key) for key in ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_mtime", "st_atime", "st_ctime")}

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(self.at(path))]

    def mkdir(self, path, mode):
        os.mkdir(self.at(path), mode)

    def create(self, path, mode, fi=None):
        return os.open(self.at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path, flags):
        return os.open(self.at(path), flags & os.O_ACCMODE)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(self.at(path), length)

    def rename(self, old, new):
        os.rename(self.at(old), self.at(new))

    def unlink(self, path):
        os.unlink(self.at(path))

    def chmod(self, path, mode):
        os.chmod(self.at(path), mode)

    def utimens(self, path, times=None):
        os.utime(self.at(path), times)

    def fsync(self, path, datasync, fh):
        self.hang()

    def release(self, path, fh):
        os.close(fh)


if __name__ == "__main__":
    if sys.argv[3:] == ["disk"]:
        fusepy.FUSE(SlowDisk(sys.argv[2]), sys.argv[1], foreground=True)
    else:
        fusepy.FUSE(SlowFiles(sys.argv[2]), sys.argv[1], foreground=True, nothreads=True)
