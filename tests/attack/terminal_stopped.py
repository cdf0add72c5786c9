#!/usr/bin/python3
"""
Question: a cVM has the command's terminal. It makes ESC the character that stops output and asks the terminal who it is: the answer
begins with ESC. Does the command then wait for ever for room for what another cVM says, and serve nobody?
Expect: who talks waits alone; the command obeys, starts what is to start again, and ends the pod
Control: the program itself, writing to the terminal, waits for ever
"""
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

INTRAVISOR, OPTIONS = os.environ["INTRAVISOR"], os.environ.get("INTRAVISOR_OPTIONS", "").split()
PATIENCE = 120  # seconds; only ever reached by a failure
NOTE = "open F, '>', '/data/{}' or die; close F;"
STOPPED = "select(undef, undef, undef, 0.01) until -e '/data/stopped'; "
# c_cc[VSTOP] is 9, c_cc[VSTART] 8; the library has no name for the character that is none.
EVIL = ("use POSIX; $| = 1; $t = POSIX::Termios->new; $t->getattr(0); $t->setiflag(&POSIX::IXON); $t->setlflag(0);"
        "$t->setcc(&POSIX::VSTOP, 27); $t->setcc(&POSIX::VSTART, 0); $t->setattr(0, &POSIX::TCSANOW) or die $!;"
        "print qq(\\033[c); " + STOPPED + "print 'x' x 100000; " + NOTE.format("written") + " sleep 1000")
TALKS = STOPPED + NOTE.format("talks") + " kill 'SEGV', $$;"


class Terminal(threading.Thread):
    """Reads all, answers the question that terminals answer, and notes when output has been stopped."""

    def __init__(self, fd, note):
        super().__init__(daemon=True)
        self.fd, self.note, self.text = fd, note, b""
        fcntl.ioctl(fd, termios.TIOCPKT, struct.pack("i", 1))
        self.start()

    def run(self):
        try:
            while data := os.read(self.fd, 4096):
                if data[0] & termios.TIOCPKT_STOP:
                    with open(self.note, "w"):
                        pass
                if data[0]:
                    continue
                asked = self.text.count(b"\033[c")
                self.text += data[1:]
                if self.text.count(b"\033[c") > asked:
                    os.write(self.fd, b"\033[?1;2c")
        except OSError:
            pass


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("SCRATCH")) as where:
        env = dict(os.environ, XDG_RUNTIME_DIR=f"{where}/runtime")
        with open(f"{where}/pod.yaml", "w") as f:
            f.write("cVMs:\n" + "".join(
                f"  - {{name: {name}, program: /usr/bin/perl, args: [-e, {json.dumps(code)}], volumes: ['.:/data']{more}}}\n"
                for name, code, more in (("evil", EVIL, ""), ("talks", TALKS, ", restart: always, restart_delay: 1ms"))))

        def command(*arguments):
            ran = subprocess.run([INTRAVISOR, *arguments], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, timeout=PATIENCE)
            return ran.returncode, ran.stdout

        def wait(condition, what):
            deadline = time.monotonic() + PATIENCE
            while not condition():
                if time.monotonic() > deadline:
                    sys.exit(f"BREACH: {what}\n{terminal.text[-500:]}")
                time.sleep(0.02)

        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(where)
            os.execve(INTRAVISOR, [INTRAVISOR, "run", "-q", *OPTIONS, "-y", "pod.yaml"], env)
        terminal = Terminal(fd, f"{where}/stopped")
        wait(lambda: os.path.exists(f"{where}/talks"), "the pod does not start")

        def restarted():
            status, text = command("ps", "--json", "pod")
            return status == 0 and {c["name"]: c["restarts"] for c in json.loads(text)[0]["cvms"]}["talks"] >= 5
        wait(restarted, "the command serves nobody")
        if os.path.exists(f"{where}/written"):
            sys.exit("the control, the program's own writing, did not wait")
        ran = command("stop", "-t", "0", "pod")
        if ran != (0, ""):
            sys.exit(f"BREACH: the pod is not stopped: {ran}")
        os.waitpid(pid, 0)
    print("REFUSED: the command waits for no terminal")


if __name__ == "__main__":
    main()
