#!/usr/bin/python3
"""
Question: an Intravisor runs in the background of a terminal, which is its standard input. Can one cVM stop all by reading from the
terminal, or by setting it?
Expect: the others go on; who reads gets an error
Control: alone in its Intravisor the reader stops it, as programs in the background are
"""
import json
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time

INTRAVISOR, OPTIONS = os.environ["INTRAVISOR"], os.environ.get("INTRAVISOR_OPTIONS", "").split()
PATIENCE = 120  # seconds; only ever reached by a failure
WRITE = "open F, '>', '/data/NAME.new' or die; print F TEXT; close F; rename '/data/NAME.new', '/data/NAME';"
COUNTS = "for ($i = 1;; $i++) { " + WRITE.replace("NAME", "count").replace("TEXT", "$i") + " select undef, undef, undef, 0.01 }"
AFTER = "select(undef, undef, undef, 0.01) until -e '/data/go'; "
DONE = WRITE.replace("NAME", "done").replace("TEXT", "$got") + " sleep 1000;"
READS = AFTER + "$got = defined(sysread(STDIN, $b, 1)) ? 'read' : 'error'; " + DONE
SETS = "use POSIX; $t = POSIX::Termios->new; $t->getattr(0); " + AFTER + "$got = $t->setattr(0, &POSIX::TCSANOW) ? 'set' : 'error'; " + DONE


class Background:
    """A run whose process group is not the terminal's; `where` is /data of its cVMs."""

    def __init__(self, programs):
        self.folder = tempfile.TemporaryDirectory(dir=os.environ.get("SCRATCH"))
        self.where = self.folder.name
        with open(f"{self.where}/pod.yaml", "w") as f:
            f.write("cVMs:\n" + "".join(f"  - {{name: c{i}, program: /usr/bin/perl, args: [-e, {json.dumps(p)}], volumes: ['.:/data']}}\n"
                                        for i, p in enumerate(programs)))
        self.leader, self.terminal = pty.fork()
        if self.leader == 0:
            self.lead()
        self.output = b""
        self.wait(lambda: self.read("pid"))

    def lead(self):
        """In the session's leader, whose own group is the foreground."""
        run = subprocess.Popen([INTRAVISOR, "run", "-q", *OPTIONS, "-y", "pod.yaml"], cwd=self.where, process_group=0,
                               env=dict(os.environ, XDG_RUNTIME_DIR=f"{self.where}/runtime"))
        with open(f"{self.where}/pid.new", "w") as f:
            f.write(str(run.pid))
        os.rename(f"{self.where}/pid.new", f"{self.where}/pid")
        signal.pause()

    def read(self, name):
        try:
            with open(f"{self.where}/{name}") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def stopped(self):
        with open(f"/proc/{self.read('pid')}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "T"

    def wait(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                sys.exit(f"BREACH: it did not happen; stopped: {self.stopped()}\n{self.output.decode(errors='replace')}")
            if select.select([self.terminal], [], [], 0.02)[0]:
                self.output += os.read(self.terminal, 4096)

    def go(self):
        with open(f"{self.where}/go", "w"):
            pass

    def goes_on(self):
        now = self.read("count")
        self.wait(lambda: self.stopped() or self.read("count") not in ("", now))
        return not self.stopped()

    def end(self):
        os.killpg(int(self.read("pid")), signal.SIGKILL)
        os.kill(self.leader, signal.SIGKILL)
        os.waitpid(self.leader, 0)
        os.close(self.terminal)
        self.folder.cleanup()


def attack(program, expected):
    run = Background([program, COUNTS])
    if not run.goes_on():
        sys.exit("BREACH: it is stopped before anybody reads")
    run.go()
    run.wait(lambda: run.read("done") or run.stopped())
    got = run.read("done")
    if got != expected or not run.goes_on():
        sys.exit(f"BREACH: one cVM stopped all ({got or 'nothing'}, expected {expected})")
    run.end()


def main():
    attack(READS, "error")
    attack(SETS, "set")
    alone = Background([READS])
    alone.go()
    alone.wait(lambda: alone.read("done") or alone.stopped())
    if alone.read("done") or not alone.stopped():
        sys.exit(f"the control does not stop: {alone.read('done')}")
    alone.end()
    print("REFUSED: the others went on")


if __name__ == "__main__":
    main()
