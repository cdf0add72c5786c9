"""A file system that answers when it is told to: one file, `page`, of one page (python3-fusepy, libfuse).

usage: slow_files.py MOUNT FOLDER
Who reads the page makes FOLDER/asked, and waits until FOLDER/answer is there; if FOLDER/hang-close is there, who closes it does too."""
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


if __name__ == "__main__":
    fusepy.FUSE(SlowFiles(sys.argv[2]), sys.argv[1], foreground=True, nothreads=True)
