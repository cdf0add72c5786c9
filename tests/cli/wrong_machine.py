#!/usr/bin/python3
"""What can be wrong with the machine, the limits, the files and the standard streams, with the real monitor and libOS:
each gives one line that says what is short and the remedy, the right exit status, and leaves nothing behind.
"""
import glob
import itertools
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from elf_parser import LIBRARY, NOT_PIE, WRONG, elf, phdr  # noqa: E402
from fakes import REAL  # noqa: E402

OPTIONS = os.environ.get("INTRAVISOR_OPTIONS", "--insecure-no-pkeys" if "ospke" not in open("/proc/cpuinfo").read() else "").split()
ROOT_USER = os.geteuid() == 0
USER = 100000 + os.getpid()  # nobody else is
SHELL = ["/bin/sh", "-c"]
# In mount points of its own. Their root is what it was, so programs and libraries are there. Refused in many containers, and in
# a chroot whose root is no mount point.
MOUNTS = ["/usr/bin/unshare", "-m"] if ROOT_USER else ["/usr/bin/unshare", "-rm"]
NO_MOUNTS = subprocess.run([*MOUNTS, "/bin/true"], stderr=subprocess.PIPE).stderr.decode().strip()


class Failure(Exception):
    pass


class World:
    """The command in a directory that everybody can reach, and all that a run could leave something in."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="intravisor-test-")
        self.bin, self.home, self.work, self.tmp, self.runtime = (os.path.join(self.folder, n) for n in ("bin", "home", "work", "tmp", "runtime"))
        for folder in (self.bin, self.home, self.work, self.tmp, self.runtime):
            os.mkdir(folder)
        for path in glob.glob(os.path.join(os.path.dirname(REAL), "intravisor*")):
            shutil.copy(path, self.bin)
        self.command = os.path.join(self.bin, "intravisor")
        os.chmod(self.folder, 0o755)
        if ROOT_USER:
            for folder in (self.home, self.tmp, self.runtime):
                os.chown(folder, USER, USER)
        self.env = {"PATH": "/usr/bin:/bin", "HOME": self.home, "TMPDIR": self.tmp, "XDG_RUNTIME_DIR": self.runtime, "LC_ALL": "C"}

    def file(self, name, content, mode=0o755):
        path = os.path.join(self.work, name)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        return path

    def line(self, *arguments):
        return [self.command, "run", "-q", *OPTIONS, *arguments]

    def run(self, line, **how):
        """(status as a shell shows it, standard output, standard error)"""
        how.setdefault("stdin", subprocess.DEVNULL)
        how.setdefault("env", self.env)
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.work, start_new_session=True, **how)
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            raise Failure("no end after 60 s") from None
        self.nothing_left(process.pid)
        status = process.returncode
        return status if status >= 0 else 128 - status, out.decode(errors="backslashreplace"), err.decode(errors="backslashreplace")

    def nothing_left(self, session):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.getsid(int(pid)) == session and open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] not in "ZX":
                    raise Failure("left behind: " + open(f"/proc/{pid}/cmdline").read().replace("\0", " "))
            except (ProcessLookupError, FileNotFoundError):
                pass
        left = [os.path.join(d, n) for d, _, names in itertools.chain(os.walk(self.tmp), os.walk(self.runtime)) for n in names
                if n != ".lock"]  # of the directory of control sockets
        left += [n for n in os.listdir(self.home) if n != ".cache"]
        if left:
            raise Failure(f"left behind: {left}")

    def one_line(self, ran, status, message):
        """`message`: a regular expression for all of the line behind "intravisor: "."""
        code, out, err = ran
        if code != status or out or not re.fullmatch(f"intravisor: (?:{message})\n", err):
            raise Failure(f"wanted status {status} and {message!r}, got status {code}, {out!r} and\n{err}")
        if len(err) > 1400 or any(ord(c) < 32 and c != "\n" for c in err):
            raise Failure(f"not fit for a terminal: {err!r}")

    @staticmethod
    def fail(text):
        raise Failure(text)

    def works(self, ran, out="hi\n"):
        if ran != (0, out, ""):
            raise Failure(f"did not work: {ran}")

    def same(self, ours, native):
        if ours != native:
            raise Failure(f"natively {native}, in a cVM {ours}")


def limited(which, soft, hard=None):
    return lambda: resource.setrlimit(which, (soft, soft if hard is None else hard))


NO_PROCESS = r"Resource temporarily unavailable \(end some processes, or raise ulimit -u or the container's limit of processes\)"
# (resource, values, message)
LIMITS = [
    (resource.RLIMIT_NOFILE, (3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 40, 45, 60, 100), r"the limit of open files is too low for this run: \d+, "
     r"and it takes \d+ \(use ulimit -Hn \d+ or more\)"),
    (resource.RLIMIT_AS, (10 << 20, 1 << 30, 1 << 40), r"the limit of address space is too low for cVMs: \d+ bytes \(use ulimit -v unlimited\)"),
    (resource.RLIMIT_DATA, (1 << 20, 1 << 30), r"the limit of data segments is too low for cVMs: \d+ bytes \(use ulimit -d unlimited\)"),
    (resource.RLIMIT_FSIZE, (0, 1, 1 << 20), r"the limit of file size .* is too low for cVMs: \d+ bytes \(use ulimit -f unlimited\)"),
    (resource.RLIMIT_STACK, (1 << 16, 1 << 17), r"the limit of stack is too low for cVMs: \d+ bytes \(use ulimit -s 8192\)"),
]


def limits(world):
    # Root may raise every limit.
    user = {"user": USER, "group": USER, "extra_groups": []} if ROOT_USER else {}
    hello = world.line("--", "/bin/echo", "hi")
    for which, values, message in LIMITS:
        for value in values:
            yield f"limit {which} at {value}", lambda w=which, v=value, m=message: world.one_line(
                world.run(hello, preexec_fn=limited(w, v), **user), 125, m)
    for which, value in ((resource.RLIMIT_NOFILE, 4), (resource.RLIMIT_STACK, 1 << 16)):
        yield f"soft limit {which} at {value}", lambda w=which, v=value: world.works(world.run(hello, **user, preexec_fn=limited(w, v, resource.getrlimit(w)[1])))
    for which in (resource.RLIMIT_CORE, resource.RLIMIT_MEMLOCK, resource.RLIMIT_SIGPENDING, resource.RLIMIT_MSGQUEUE, resource.RLIMIT_NICE,
                  resource.RLIMIT_RTPRIO):
        yield f"limit {which} at 0", lambda w=which: world.works(world.run(hello, preexec_fn=limited(w, 0)))

    def enough_files():
        """What the message says it takes is enough, with every volume and cVM that there can be."""
        volumes = sum((["-v", f"/etc:/v{i}:ro"] for i in range(24)), [])
        pod = world.file("pod.yaml", "cVMs:\n" + "".join(f"- {{name: c{i}, program: [/bin/echo, hi], volumes: [/etc:/v:ro]}}\n" for i in range(13)))
        for line, out in ((world.line(*volumes, "/bin/echo", "hi"), "hi\n"), (world.line("-y", pod), "hi\n" * 13)):
            err = world.run(line, preexec_fn=limited(resource.RLIMIT_NOFILE, 20), **user)[2]
            enough = int((re.search(r"-Hn (\d+)", err) or world.fail(err))[1])
            world.one_line(world.run(line, preexec_fn=limited(resource.RLIMIT_NOFILE, enough - 1), **user), 125, "the limit of open files .*")
            world.works(world.run(line, preexec_fn=limited(resource.RLIMIT_NOFILE, enough), **user), out)
    yield "as many open files as it asks for", enough_files

    def processes(count, status, message):
        """A user without any other process: the command, the monitor, its first thread, a translator."""
        shutil.rmtree(world.home + "/.cache", ignore_errors=True)
        ran = world.run(hello, preexec_fn=limited(resource.RLIMIT_NPROC, count), **user)
        world.one_line(ran, status, message)
    if ROOT_USER:
        for count, status, message in ((1, 125, "cannot start the monitor .*: " + NO_PROCESS), (2, 125, "echo: cannot be created: " + NO_PROCESS),
                                       (3, 126, r"echo: /bin/echo: its code cannot be translated: the host has no process for that "
                                        r"\(raise ulimit -u or the container's limit of processes\)")):
            yield f"at most {count} processes", lambda c=count, s=status, m=message: processes(c, s, m)
        yield "enough processes", lambda: world.works(world.run(hello, preexec_fn=limited(resource.RLIMIT_NPROC, 4), **user))


def kernels(world):
    def old():
        world.one_line(world.run(["/usr/bin/setarch", "--uname-2.6", *world.line("/bin/true")]), 125,
                       r"Linux 2\.6\.\S+ is too old: 6\.12 or later is needed \(install a newer kernel, .*\)")
    yield "old kernel", old

    def no_proc():
        world.one_line(world.run([*MOUNTS, *SHELL, 'mount -t tmpfs none /proc && exec "$0" "$@"', *world.line("/bin/true")]), 125,
                       r"cannot find out where the command lies: /proc/self/exe: No such file or directory \(mount /proc\)")
    if not NO_MOUNTS:
        yield "no /proc", no_proc

    def no_dev(line, wanted):
        """As in a chroot into which nobody mounted one. Nothing is translated yet."""
        shutil.rmtree(world.home + "/.cache", ignore_errors=True)
        env = dict(world.env, XDG_RUNTIME_DIR=tempfile.mkdtemp(dir=world.folder))
        wanted(world.run([*MOUNTS, *SHELL, 'mount -t tmpfs none /dev && exec "$0" "$@"', *line], env=env))
    if not NO_MOUNTS:
        message = r"(?:{}): No such file or directory \(it must be there\)"
        yield "no /dev", lambda: no_dev(world.line("--", "/bin/echo", "hi"), world.works)
        yield "no /dev, in the background", lambda: no_dev(
            world.line("-d", "--", "/bin/true"), lambda ran: world.one_line(ran, 125, message.format("cannot be left in the background: cannot open /dev/null")))
        yield "no /dev, closed input", lambda: no_dev(
            [*SHELL, 'exec "$0" "$@" <&-', *world.line("/bin/true")],
            lambda ran: world.one_line(ran, 125, message.format("descriptor 0 is closed, and /dev/null cannot be opened in its place")))


def disks(world):
    def mounted(options, place, *line):
        return world.run([*MOUNTS, *SHELL, f'mount -t tmpfs -o {options} none "{place}" && exec "$0" "$@"', *line])
    hello = world.line("--", "/bin/echo", "hi")
    if not NO_MOUNTS:
        yield "no room for the code cache", lambda: world.works(mounted("size=8k,mode=700", world.home, *hello))
        yield "home that cannot be written to", lambda: world.works(mounted("ro", world.home, *hello))

    def said():
        line = [a for a in hello if a != "-q"]
        err = mounted("size=8k,mode=700", world.home, *line[:2], "--verbose", *line[2:])[2]
        if not re.search(r"^intravisor: warning: cannot add to the code cache \S+: No space left on device$", err, re.M):
            raise Failure(err)
    if not NO_MOUNTS:
        yield "no room for the code cache, --verbose", said

    def volume():
        write = "open F, '>', '/v/x' or die; $! = 0; print F 'x' x 100000; close F; print $! + 0, ' ', -s '/v/x', qq(\\n)"
        where = world.work
        world.works(mounted("size=16k", where, *world.line("-v", where + ":/v", "--", "/usr/bin/perl", "-e", write)), "28 16384\n")
    if not NO_MOUNTS:
        yield "no room in a volume", volume

    def log_full():
        with open("/dev/full", "w") as full:
            line = world.line("--", "/usr/bin/perl", "-e", "print STDERR qq(lost\\n); exit 3")
            process = subprocess.run(line, env=world.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=full, timeout=60)
        if process.returncode != 3:
            raise Failure(f"status {process.returncode}")
    yield "standard error is full", log_full

    def gone():
        line = world.line("--", "/bin/echo", "hi")
        world.works(world.run([*SHELL, 'mkdir gone && cd gone && rmdir ../gone && exec "$0" "$@"', *line]))
    yield "the working directory is gone", gone


def streams(world):
    """Closed, every one and all: what the program sees and says is what it does natively."""
    for closed in itertools.chain.from_iterable(itertools.combinations((0, 1, 2), n) for n in range(4)):
        shut = " ".join({0: "<&-", 1: ">&-", 2: "2>&-"}[fd] for fd in closed)
        for program in (["/bin/echo", "hi"], ["/bin/cat"], ["/usr/bin/perl", "-e", "print STDERR 'e'; print STDOUT 'o'; exit 4"],
                        ["/nonexistent"]):
            def case(shut=shut, program=program, closed=closed):
                ours = world.run([*SHELL, f'exec "$0" "$@" {shut}', *world.line("--", *program)], stdin=open("/etc/hostname"))
                if program[0] == "/nonexistent":
                    wanted = "" if 2 in closed else "intravisor: nonexistent: /nonexistent: cannot be opened (No such file or directory)\n"
                    return world.same(ours, (127, "", wanted))
                return world.same(ours, world.run([*SHELL, f'exec "$0" "$@" {shut}', *program], stdin=open("/etc/hostname")))
            yield f"{program[0]} {shut or 'with all streams'}", case

    def wrong(shut):
        code, out, err = world.run([*SHELL, f'exec "$0" "$@" {shut}', *world.line("-m", "1Q", "x")])
        if (code, out) != (2, "") or bool(err) == ("2>" in shut):
            raise Failure(f"{code} {out!r} {err!r}")
    yield "wrong option, all closed", lambda: wrong("<&- >&- 2>&-")
    yield "wrong option, input and output closed", lambda: wrong("<&- >&-")


EXIT_7 = bytes.fromhex("b83c000000bf070000000f05")  # mov $60,%eax; mov $7,%edi; syscall


def program(flags, text=EXIT_7, more=(), **head):
    """Bytes at address 0x1000 of the image, which the headers are also in."""
    code = phdr(flags=flags, offset=0x1000, vaddr=0x1000, file_size=0x1000)
    return elf(code, *more, size=0x1000, **head) + text.ljust(0x3000, b"\0")


def interpreted(path):
    data = bytearray(program(5, more=(phdr(kind=3, flags=4, offset=0x200, file_size=len(path) + 1),)))
    data[0x200:0x200 + len(path) + 1] = path + b"\0"
    return bytes(data)


def files(world):
    def started(content, status, message, mode=0o755, options=(), **how):
        world.file("x", content, mode)
        world.one_line(world.run(world.line("-v", world.work + ":/w:ro", *options, "--", "/w/x"), **how), status, message)

    def ends(content, status):
        world.file("x", content)
        ran = world.run(world.line("-v", world.work + ":/w:ro", "--", "/w/x"))
        if ran != (status, "", ""):
            raise Failure(f"wanted status {status} in silence, got {ran}")

    yield "the smallest program", lambda: ends(program(5), 7)
    yield "writable and executable", lambda: ends(program(7), 7)
    for name, content, error in WRONG:
        if error != NOT_PIE and name != "script":
            text = re.escape(LIBRARY.elf_error_text(error).decode())
            yield f"ELF: {name}", lambda c=content, t=text: started(c, 126, "x: /w/x: " + t)
    yield "fixed address outside the window", lambda: started(elf(phdr(vaddr=1 << 40), kind=2, entry=1 << 40), 126, "x: /w/x: non-PIE executable .*")
    yield "no right to execute", lambda: started(program(5), 126, r"x: /w/x: is not an executable file \(.*\)", mode=0o644)
    for name, path, status, message in (
            ("missing", b"/nonexistent/ld.so", 127, "x: /w/x: its dynamic loader /nonexistent/ld.so is not in the cVM's file system"),
            ("a directory", b"/etc", 126, "x: /etc: is not an executable file .*"),
            ("a text", b"/etc/services", 126, "x: /etc/services: is not an executable file .*"),
            ("a script", b"/usr/bin/ldd", 126, "x: /usr/bin/ldd: not an ELF file"),
            ("a device", b"/dev/null", 126, "x: /dev/null: is not an executable file .*"),
            ("below a file", b"/etc/services/ld.so", 127, r"x: /etc/services/ld.so: cannot be opened \(Not a directory\)")):
        yield f"interpreter: {name}", lambda p=path, s=status, m=message: started(interpreted(p), s, m)
    for name, content, status, message in (
            ("no name", "#!\n", 126, "x: /w/x: its #! line names no interpreter"),
            ("missing", "#!/nonexistent/sh\n", 127, r"x: /nonexistent/sh: cannot be opened \(No such file or directory\)"),
            ("itself", "#!/w/x\n", 126, "x: /w/x: too many levels of #! interpreters")):
        yield f"script: {name}", lambda c=content, s=status, m=message: started(c, s, m)
    world.file("there", program(5))  # on the host, in a /tmp that is not the cVM's
    for line, status, message in (
            (("--", "./there"), 127, r"there: \./there: cannot be opened \(.*; the path starts in the cVM's working directory, which -w sets\)"),
            (("--", world.work + "/there"), 127, r"there: \S+/there: cannot be opened \(.*; what the host has there, the cVM has if -v grants it\)"),
            (("--", "/bin/echo hi"), 127, r"cvm0: /bin/echo hi: cannot be opened \(.*; arguments are words of their own\)"),
            (("-w", "/nonexistent", "--", "/bin/true"), 125, "true: working directory /nonexistent: No such file or directory")):
        yield f"nothing at {line}", lambda l=line, s=status, m=message: world.one_line(world.run(world.line(*l)), s, m)
    yield "a directory", lambda: world.one_line(world.run(world.line("/etc")), 126, "etc: /etc: is not an executable file .*")

    def not_pie_twice():
        """There is one low window; c lets a end when b could not start."""
        for name in ("started", "over"):
            if os.path.exists(os.path.join(world.work, name)):
                os.unlink(os.path.join(world.work, name))
        wait = "import os, time\nopen('/w/started', 'w')\nwhile not os.path.exists('/w/over'): time.sleep(0.01)"
        cvms = [{"name": "a", "program": "/usr/bin/python3.11", "args": ["-S", "-c", wait], "ready": {"file": world.work + "/started"}},
                {"name": "b", "program": "/usr/bin/python3.11", "after": ["a"], "ready": {"exit": 126}},
                {"name": "c", "program": "/usr/bin/perl", "args": ["-e", "open F, '>', '/w/over'"], "after": ["b"]}]
        for cvm in cvms:
            cvm["volumes"] = [world.work + ":/w"]
        pod = world.file("pod.yaml", json.dumps({"cVMs": cvms}))
        world.one_line(world.run(world.line("-y", pod)), 126, "b: /usr/bin/python3.11: linked at a fixed address, and another cVM has .*")
    yield "linked at a fixed address twice", not_pie_twice

    def root(content, status, message, **how):
        where = os.path.join(world.work, "root")
        shutil.rmtree(where, ignore_errors=True)
        os.mkdir(where)
        content(where)
        world.one_line(world.run(world.line("--root", where, "--", "/bin/true"), **how), status, message.replace("ROOT", re.escape(where)))
    yield "root: missing", lambda: root(os.rmdir, 2, r"--root: cannot open the root directory ROOT: No such file or directory \(.*\)")
    yield "root: empty", lambda: root(lambda where: None, 127, r"true: /bin/true: cannot be opened \(No such file or directory\)")

    def lone_program(where):
        os.mkdir(where + "/bin")
        shutil.copy("/bin/true", where + "/bin")
    yield "root: no dynamic loader", lambda: root(lone_program, 127, "true: /bin/true: its dynamic loader /lib64/ld-linux-x86-64.so.2 is not .*")
    if ROOT_USER:
        other = {"user": USER, "group": USER, "extra_groups": []}
        yield "root: unreadable", lambda: root(lambda where: os.chmod(where, 0o700), 2, r"--root: cannot open the root directory ROOT: Permission denied .*", **other)
        yield "program: unreadable", lambda: started(program(5), 126, r"x: /w/x: cannot be opened \(Permission denied\)", mode=0o711, **other)

        def volume():
            world.file("secret", "x", 0o600)
            world.one_line(world.run(world.line("-v", world.work + "/secret:/s:ro", "/bin/true"), **other), 2,
                           r"-v: cannot open \S+/secret on the host: Permission denied \(change its permissions\)")
        yield "volume: unreadable", volume


def main():
    world = World()
    passed, failed = 0, 0
    try:
        for name, case in itertools.chain(limits(world), kernels(world), disks(world), streams(world), files(world)):
            try:
                case()
                passed += 1
            except Failure as failure:
                failed += 1
                print(f"FAIL {name}: {failure}")
    finally:
        shutil.rmtree(world.folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed" + ("" if ROOT_USER else "; without root those of another user do not apply") +
          (f"; without mounts of their own five do not apply ({NO_MOUNTS})" if NO_MOUNTS else ""))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
