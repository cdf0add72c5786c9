"""Programs that want a terminal get one from Python's pty module; what they print there is compared with a native run."""
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import sys
import tempfile
import termios

PROMPT = b"ready> "
STOP = b"sleep 1000 & kill -STOP %1; until grep -q '^State:.T' /proc/$!/status; do :; done"
DIR = tempfile.mkdtemp()
ENV = {"PATH": "/usr/bin:/bin", "TERM": "vt100", "HOME": "/tmp", "LC_ALL": "C", "PS1": PROMPT.decode(), "SHELL": "/bin/sh", "HISTFILE": ""}


class Terminal:
    """A program that has a pseudo-terminal as its own."""

    def __init__(self, *command):
        self.text = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, ENV)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))

    def type(self, text):
        os.write(self.fd, text)

    def until(self, what):
        """All that was printed until `what` was, which is taken off."""
        while what not in self.text:
            if not select.select([self.fd], [], [], 60)[0]:
                sys.exit(f"waited in vain for {what!r} behind {self.text!r}")
            try:
                data = os.read(self.fd, 4096)
            except OSError as e:
                data = b""
            if not data:
                sys.exit(f"ended before {what!r}: {self.text!r}")
            self.text += data
        seen, _, self.text = self.text.partition(what)
        return seen + what

    def end(self):
        try:
            while data := os.read(self.fd, 4096):
                self.text += data
        except OSError:
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def show(title, text):
    """Numbers of processes are not the same every time."""
    print(f"--- {title}")
    print(re.sub(rb"(\[\d+\] |1\[)\d+", rb"\1PID", text).decode("latin1").encode("unicode_escape").decode().replace("\\n", "\n"))


def shell_jobs():
    """bash with job control: ^C, ^Z, jobs, fg, bg, kill; each is an exchange with whoever is in the foreground."""
    t = Terminal("/bin/bash", "--norc", "--noprofile", "--noediting", "-i")
    show("prompt", t.until(PROMPT))
    for command, before, key in ((b"tty | cut -c1-9", None, None), (b"sleep 1000", b"sleep 1000\r\n", b"\x1a"), (b"bg", None, None), (b"jobs", None, None),
                                 (b"fg", b"sleep 1000\r\n", b"\x03"), (b"echo $?", None, None), (b"cat", b"cat\r\n", b"\x1a"),
                                 (b"fg", b"cat\r\n", b"typed\n\x04"), (b"stty size", None, None),
                                 (b"cut -d' ' -f8 /proc/$$/stat | grep -c -- -", None, None), (STOP, None, None),
                                 (b"kill -CONT %1; kill %1; wait %1", None, None)):
        t.type(command + b"\n")
        text = t.until(command + b"\r\n")
        if before:
            if command == b"fg":
                text += t.until(before)
            wait_for_foreground(t, before.split()[0])
            t.type(key)
        text += t.until(PROMPT)
        show(command.decode(), text)
    t.type(b"exit 7\n")
    print("status", t.end())


def wait_for_foreground(t, name):
    """Until that program is there: before, keys were the shell's, or were ignored as in it."""
    comm = b""
    while comm != name:
        group = struct.unpack("i", fcntl.ioctl(t.fd, termios.TIOCGPGRP, b"\0\0\0\0"))[0]
        try:
            with open(f"/proc/{group}/comm", "rb") as f:
                comm = f.read().strip()
        except OSError:
            comm = b""
        select.select([], [], [], 0.01)


def line_editing():
    """readline sets the terminal's modes for each line."""
    t = Terminal("/bin/bash", "--norc", "--noprofile", "-i")
    t.until(PROMPT)
    t.type(b"echo acb\x1b[D\x1b[D\x7fX\n")
    show("readline", t.until(b"\rXcb\r\n") + t.until(PROMPT))
    t.type(b"\x04")
    print("status", t.end())


def full_screen():
    """Programs that own the screen."""
    with open(f"{DIR}/lines", "w") as f:
        f.writelines(f"line {i}\n" for i in range(100))
    t = Terminal("/usr/bin/less", f"{DIR}/lines")
    text = t.until(b"line 22\r\n")
    t.type(b"G")
    text += t.until(b"line 99")
    t.type(b"q")
    print("less", t.end(), b"line 98" in text)


def spawn():
    """pty.spawn copies between its own standard streams, which are no terminal here, and the program's."""
    sys.stdout.flush()
    print("spawn", os.waitstatus_to_exitcode(pty.spawn(["/bin/sh", "-c", "tty | cut -c1-9; stty -a | grep -c icanon; exit 3"])))


def hang_up():
    """The shell's jobs end with the terminal."""
    t = Terminal("/bin/bash", "--norc", "--noprofile", "--noediting", "-i")
    t.until(PROMPT)
    t.type(f"sh -c 'trap \"echo hup >{DIR}/hup; exit\" HUP; echo trapped; while :; do sleep 0.1; done'\n".encode())
    t.until(b"\r\ntrapped\r\n")
    os.close(t.fd)
    print("hung up", os.waitstatus_to_exitcode(os.waitpid(t.pid, 0)[1]))
    while not os.path.exists(f"{DIR}/hup") or not os.path.getsize(f"{DIR}/hup"):
        select.select([], [], [], 0.01)
    print(open(f"{DIR}/hup").read().strip())


def scripted():
    t = Terminal("/usr/bin/script", "-q", "-c", "tty | cut -c1-9; stty size; exit 5", f"{DIR}/typescript")
    print("script", t.end())
    print(open(f"{DIR}/typescript").read().count("/dev/pts/"))


def multiplexed():
    """A server apart from any terminal has pseudo-terminals of its own and is passed that of its client."""
    t = Terminal("/usr/bin/tmux", "-f", "/dev/null", "-S", f"{DIR}/tmux", "new-session", "/bin/sh")
    t.until(PROMPT.strip())
    t.type(b"echo $((6 * 7)) $(tty | cut -c1-9)\n")
    t.until(b"42 /dev/pts/")
    t.type(b"\x02d")
    t.until(b"[detached")
    print("detached", t.end())
    t = Terminal("/usr/bin/tmux", "-S", f"{DIR}/tmux", "attach")
    t.until(b"42 /dev/pts/")
    t.type(b"exit\n")
    t.until(b"[exited]")
    print("exited", t.end())


def main():
    for test in (shell_jobs, line_editing, full_screen, spawn, hang_up, scripted, multiplexed):
        test()
        sys.stdout.flush()
    shutil.rmtree(DIR)


main()
