#!/usr/bin/python3
"""A terminal has the modes it had when a command in its foreground ends, whatever the programs in its cVMs made of them and
however they, the command or the monitor end; a command in the background leaves them alone."""
import os
import pty
import signal
import subprocess
import sys
import termios
import time
import traceback

INTRAVISOR, OPTIONS, SCRATCH = os.environ["INTRAVISOR"], os.environ.get("INTRAVISOR_OPTIONS", "").split(), os.environ["SCRATCH"]
PATIENCE = 100  # seconds; only ever reached by a failure
RAW = "use POSIX; $t = POSIX::Termios->new; $t->getattr({0}); $t->setlflag(0); $t->setiflag(0); $t->setattr({0}, &POSIX::TCSANOW) or die; "
WAIT = "select(undef, undef, undef, 0.01) until -e '/data/go'; "
SLEEP = "sleep 1000;"


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def wait(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        check(time.monotonic() < deadline, f"it did not happen: {what}")
        time.sleep(0.01)


def modes():
    return termios.tcgetattr(0)


def to_foreground(group):
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(1, group)
    signal.signal(signal.SIGTTOU, before)


def job():
    """In a child: a process group of its own, in the foreground, as a shell starts one."""
    os.setpgid(0, 0)
    to_foreground(os.getpid())


class Job:
    def __init__(self, program, **how):
        for name in ("go", "up", "pod.yaml"):
            if os.path.exists(f"{SCRATCH}/{name}"):
                os.unlink(f"{SCRATCH}/{name}")
        self.before = modes()
        self.process = subprocess.Popen([INTRAVISOR, "run", "-q", *OPTIONS, "-v", f"{SCRATCH}:/data", "--", "/usr/bin/perl", "-e", program],
                                        preexec_fn=job, **how)

    def is_raw(self):
        wait(lambda: modes() != self.before, "the program sets the modes")
        check(not modes()[3] & termios.ECHO, "the program sets other modes")
        return self

    def is_up(self):
        wait(lambda: os.path.exists(f"{SCRATCH}/up"), "the program runs")
        return self

    def key(self, number):
        """What the terminal does with ^Z, or a shell to let a job go on: the monitor is in the group, too."""
        os.killpg(self.process.pid, number)

    def stops(self, number):
        status = []
        wait(lambda: status.append(os.waitpid(self.process.pid, os.WUNTRACED | os.WNOHANG)) or status[-1][0], "the command stops")
        check(os.WIFSTOPPED(status[-1][1]) and os.WSTOPSIG(status[-1][1]) == number, f"wait status {status[-1][1]:#x}")
        wait(lambda: state_of(monitor_of(self.process.pid)) == "T", "the monitor stops, each of its threads where it is")
        to_foreground(os.getpid())
        return self

    def goes_on(self):
        to_foreground(self.process.pid)
        self.key(signal.SIGCONT)
        return self

    def go(self):
        with open(f"{SCRATCH}/go", "w", encoding="ascii"):
            pass

    def ends(self, *statuses):
        status = self.process.wait(PATIENCE)
        to_foreground(os.getpid())
        check(status in statuses, f"status {status}, not {statuses}")
        return self

    def restored(self):
        check(modes() == self.before, f"the modes are {modes()}, not {self.before}")


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return f.read().rpartition(")")[2].split()[0]


def monitor_of(command):
    with open(f"/proc/{command}/task/{command}/children", encoding="ascii") as f:
        children = f.read().split()
    for child in children:
        with open(f"/proc/{child}/comm", encoding="ascii") as f:
            if f.read().startswith("intravisor-moni"):
                return int(child)
    raise AssertionError("no monitor")


def exits():
    Job(RAW.format(0) + "exit 3").ends(3).restored()


def other_stream():
    Job(RAW.format(1), stdin=subprocess.DEVNULL).ends(0).restored()


def killed():
    Job(RAW.format(0) + "kill 'KILL', $$").ends(137).restored()


def crashes():
    Job(RAW.format(0) + "kill 'SEGV', $$").ends(139).restored()


def command_terminated():
    run = Job(RAW.format(0) + SLEEP).is_raw()
    run.process.terminate()
    run.ends(143).restored()


def monitor_killed():
    run = Job(RAW.format(0) + SLEEP).is_raw()
    os.kill(monitor_of(run.process.pid), signal.SIGKILL)
    run.ends(125).restored()


def command_killed():
    """The control: nobody restores anything, so the modes are what the program made them."""
    run = Job(RAW.format(0) + SLEEP).is_raw()
    run.process.kill()
    run.ends(-signal.SIGKILL)
    check(modes() != run.before, "the modes are restored by nobody")
    termios.tcsetattr(0, termios.TCSANOW, run.before)


UP = "open F, '>', '/data/up'; close F; "


def stopped():
    """^Z of a program that leaves it at that: it stands, and so do the command and the monitor, until a shell says fg."""
    run = Job("$SIG{CONT} = sub { exit 6 }; " + UP + SLEEP).is_up()
    run.key(signal.SIGTSTP)
    run.stops(signal.SIGTSTP).goes_on().ends(6)


def stops_itself():
    Job("$SIG{CONT} = sub { $on = 1 }; kill 'STOP', $$; exit($on ? 6 : 7)").stops(signal.SIGTSTP).goes_on().ends(6)


def stop_ignored():
    run = Job("$SIG{TSTP} = sub { exit 6 }; " + UP + SLEEP).is_up()
    run.key(signal.SIGTSTP)
    run.ends(6)


def foreground_stopped():
    """^Z, ^C and ^\\ are for the group that the program has put into the foreground, and for nobody else."""
    for number, expected in (signal.SIGTSTP, "open(S, qq(/proc/$pid/stat)) && <S> =~ /\\) T /"), (signal.SIGINT, "$? == 2"), (signal.SIGQUIT, "($? & 127) == 3"):
        run = Job("use POSIX; $SIG{TTOU} = 'IGNORE'; $pid = fork; if (!$pid) { setpgid(0, 0); sleep 1000 while 1 } setpgid($pid, $pid); "
                  "tcsetpgrp(0, $pid) or die; " + UP + "waitpid($pid, WUNTRACED); $right = " + expected + "; tcsetpgrp(0, getpgrp); kill 'KILL', $pid; "
                  "exit($right ? 5 : 4)").is_up()
        run.key(number)
        run.ends(5)


def background():
    """Sent there while it ran: what the terminal's next job has set stays."""
    run = Job(RAW.format(0) + WAIT).is_raw()
    to_foreground(os.getpid())
    mine = run.before[:]
    mine[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSANOW, mine)
    run.go()
    run.ends(0)
    check(modes() == mine, "a command in the background set the modes")
    termios.tcsetattr(0, termios.TCSANOW, run.before)


def lead(report):
    """The session's leader, whose terminal is its standard input."""
    status = 0
    for case in (exits, other_stream, killed, crashes, command_terminated, monitor_killed, command_killed, background, stopped, stops_itself, stop_ignored,
                 foreground_stopped):
        try:
            case()
        except Exception:
            os.write(report, f"{case.__name__}: {traceback.format_exc()}".encode())
            status = 1
            break
    os._exit(status)


def main():
    result, report = os.pipe()
    leader, terminal = pty.fork()
    if leader == 0:
        lead(report)
    os.close(report)
    said = b""
    try:
        while data := os.read(terminal, 4096):
            said += data
    except OSError:
        pass  # its last user has ended
    with open(result, "rb") as f:
        text = f.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(leader, 0)[1])
    if status:
        sys.exit(f"{text}\n{said.decode(errors='replace')}")


if __name__ == "__main__":
    main()
