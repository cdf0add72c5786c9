"""For tests of `exec -t`: a client at a terminal. Mixed into a unittest.TestCase whose client() starts one."""
import fcntl
import os
import select
import struct
import termios

from fakes import PATIENCE


class AtTerminal:
    def resize(self, its, lines, columns):
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))

    def at_terminal(self, *arguments):
        """A client at a terminal of 25 lines and 81 columns: (process, our side, the terminal, its modes before)."""
        ours, its = os.openpty()
        before = termios.tcgetattr(its)  # the client changes them soon
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, its)
        self.resize(its, 25, 81)
        return self.client(*arguments, stdin=its, stdout=its), ours, its, before

    def until(self, fd, what):
        seen = b""
        while what not in seen:
            self.assertTrue(select.select([fd], [], [], PATIENCE)[0], seen)
            seen += os.read(fd, 1000)
        return seen
