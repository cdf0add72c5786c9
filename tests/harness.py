"""What every suite of tests uses: how a test is described, how programs run natively and in a cVM.

A suite is a module with `tests()` returning a list of Test. A test's function returns normally, or raises Fail or Skip;
what it returns (a text or None) is shown beside its result.
"""
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
INTRAVISOR = os.path.join(BUILD, "intravisor")
OUT = os.environ.get("CVM_TESTS_OUT") or os.path.join(BUILD, "tests")  # everything the tests make


def read(path):
    try:
        with open(path, errors="replace") as f:
            return f.read()
    except OSError:
        return ""


IN_VM = bool(os.environ.get("CVM_IN_VM"))
# The emulated machine's shared root knows no FIFOs, and loses writes of two processes to one file; its /tmp is its own.
TEMPORARY = "/tmp" if IN_VM else OUT
SCRATCH = os.path.join(TEMPORARY, "scratch")
HAVE_KEYS = bool(re.search(r"\bospke\b", read("/proc/cpuinfo")))
MUST_WORK = os.environ.get("CVM_MUST_WORK") == "1"
SLOWNESS = 20 if IN_VM else 1  # only ever stretches time limits
LIMIT_MAX = 300  # seconds that one process of a test gets at most


def limit_of(timeout):
    return min(timeout * SLOWNESS, max(timeout, LIMIT_MAX))


INSECURE = [] if HAVE_KEYS else ["--insecure-no-pkeys"]
MONITOR = os.path.join(BUILD, "intravisor-monitor" if HAVE_KEYS else "intravisor-monitor-no-pkeys")  # that runs then
GROUP = {"start_new_session": True}  # what is started can be ended with all of its own
ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C",
       "TERM": "dumb"}


class Fail(Exception):
    pass


class Skip(Exception):
    """Names what is missing. keys: it is the protection keys, which CVM_MUST_WORK forbids."""

    def __init__(self, reason, keys=False):
        super().__init__(reason)
        self.keys = keys


class Test:
    def __init__(self, name, function, vm=None, alone=False):
        """vm: None: natively; "too": natively, and in the emulated machine where the CPU has no keys; "only": needs
        keys, so natively with them and in the emulated machine without. alone: nothing else runs beside it."""
        self.name, self.function, self.vm, self.alone = name, function, vm, alone


class Ran:
    """A finished process: out and err (bytes), status as a shell shows it."""

    def __init__(self, command, status, out, err, seconds):
        self.command, self.out, self.err, self.seconds = command, out, err, seconds
        self.status = status if status >= 0 else 128 - status

    def text(self):
        return self.out.decode(errors="replace")

    def errors(self):
        return self.err.decode(errors="replace")

    def __str__(self):
        def cut(data):
            text = data.decode(errors="replace")
            return text if len(text) < 4000 else text[:1500] + "\n[...]\n" + text[-2000:]
        return f"$ {' '.join(self.command)}\nstatus {self.status}\n--- stdout\n{cut(self.out)}\n--- stderr\n{cut(self.err)}"


def run(command, stdin=None, timeout=120, cwd=None, env=None):
    """Runs to the end, however it ends; a time limit that is passed is a failure."""
    command = [str(c) for c in command]
    limit = limit_of(timeout)
    started = time.monotonic()
    with tempfile.TemporaryFile(dir=TEMPORARY) as out, tempfile.TemporaryFile(dir=TEMPORARY) as err:
        process = subprocess.Popen(command, stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin or subprocess.DEVNULL,
                                   stdout=out, stderr=err, cwd=cwd, env=ENV if env is None else env, **GROUP)
        late = False
        try:
            process.communicate(stdin if isinstance(stdin, bytes) else None, timeout=limit)
        except subprocess.TimeoutExpired:
            late = True
            end_group(process)
        out.seek(0)
        err.seek(0)
        ran = Ran(command, process.returncode, out.read(), err.read(), time.monotonic() - started)
    if late:
        raise Fail(f"no end after {limit} s\n{ran}")
    return ran


def end_group(process):
    """Ends a process started here and all of its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def cvm_command(arguments, options=(), insecure=None):
    return [INTRAVISOR, "run", *(INSECURE if insecure is None else insecure), *map(str, options), "--", *map(str, arguments)]


def isolated(text):
    """A pod's YAML, with the program of every cVM apart from its libOS."""
    def add(part):
        if "runtime: bare" in part or "isolate_libos:" in part:
            return part
        return re.sub(r"^  - (\{?)(.*)", lambda m: f"  - {m[1]}isolate_libos: true" + (f", {m[2]}" if m[1] else f"\n    {m[2]}"), part, count=1)
    head, cvms = re.split(r"^(?=cVMs:\n)", text, maxsplit=1, flags=re.M)
    return head + "".join(add(part) if part.startswith("  - ") else part for part in re.split(r"^(?=  - )", cvms, flags=re.M))


def cvm(arguments, options=(), insecure=None, **how):
    return run(cvm_command(arguments, ["-e", "LC_ALL=C", *options], insecure), **how)


def yaml_command(path, options=(), insecure=None):
    return [INTRAVISOR, "run", *(INSECURE if insecure is None else insecure), *map(str, options), "-y", str(path)]


def expect(condition, message, *ran):
    if not condition:
        raise Fail("\n".join([message, *map(str, ran)]))


def expect_same(native, ours):
    expect(native.status == ours.status, f"exit status {ours.status}, natively {native.status}", ours)
    if native.out != ours.out:
        raise Fail("stdout differs from the native run\n" + difference(native.out, ours.out) + "\n" + str(ours))


def difference(native, ours):
    a, b = native.splitlines(), ours.splitlines()
    for i, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return f"line {i + 1}:\n  native: {x[:300]!r}\n  cVM:    {y[:300]!r}"
    return f"{len(a)} lines natively ({len(native)} bytes), {len(b)} in the cVM ({len(ours)} bytes)"


class Started:
    """A process that runs beside the test: `with Started(command) as s`. Ended when the block ends."""

    def __init__(self, command, cwd=None, env=None, stdin=None):
        self.command = [str(c) for c in command]
        self.log = tempfile.NamedTemporaryFile(dir=TEMPORARY, prefix="log.")
        self.process = subprocess.Popen(self.command, stdin=stdin or subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=cwd,
                                        env=ENV if env is None else env, **GROUP)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_group(self.process)
        self.log.close()

    def output(self):
        return read(self.log.name)

    def wait(self, timeout=60):
        try:
            status = self.process.wait(limit_of(timeout))
        except subprocess.TimeoutExpired:
            raise Fail(f"no end after {limit_of(timeout)} s: {' '.join(self.command)}\n{self.output()}") from None
        return status if status >= 0 else 128 - status

    def wait_for(self, what, timeout=60):
        """Until `what` (a function) is true or the process has ended."""
        end = time.monotonic() + limit_of(timeout)
        while not what():
            if self.process.poll() is not None and not what():
                raise Fail(f"ended with {self.process.returncode}: {' '.join(self.command)}\n{self.output()}")
            if time.monotonic() > end:
                raise Fail(f"not ready after {limit_of(timeout)} s: {' '.join(self.command)}\n{self.output()}")
            time.sleep(0.02)


_ports = set()
_ports_lock = threading.Lock()


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on, not given out before."""
    with _ports_lock:
        while True:
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                port = s.getsockname()[1]
            if port not in _ports:
                _ports.add(port)
                return port


def listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def scratch(name):
    """An empty directory for one test."""
    path = os.path.join(SCRATCH, name.replace("/", "_"))
    run(["rm", "-rf", path])
    os.makedirs(path)
    return path


def directives(path, names):
    """`Name: value` lines in the comment that opens a C file; a value goes on in indented lines that follow."""
    comment = read(path).split("*/")[0]
    found, last = {}, None
    for line in comment.splitlines():
        line = re.sub(r"^\s*/?\*+ ?", "", line)
        match = re.match(r"([A-Z][\w-]*):\s*(.*)", line)
        if match:
            last = match[1].lower()
            found[last] = match[2].strip()
        elif last and line[:1] in (" ", "\t") and line.strip():
            found[last] += " " + line.strip()
        else:
            last = None
    return {k: v for k, v in found.items() if k in names}


MUSL = "/usr/lib/x86_64-linux-musl"
KERNEL_HEADERS = ["-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu"]
BUILDS = {
    "gcc": (["gcc"], []),
    "one-segment": (["gcc", "-Wl,-z,noseparate-code"], []),  # .rodata in the segment of .text
    "static": (["gcc", "-static-pie"], []),
    "musl": (["musl-gcc", "-fPIE", "-pie", *KERNEL_HEADERS], []),
    # Debian's musl-gcc knows no -static-pie, so its parts are named here
    "musl-static": (["musl-gcc", "-fPIE", *KERNEL_HEADERS, "-nostdlib", "-Wl,-static", "-Wl,-pie", "-Wl,--no-dynamic-linker",
                     "-Wl,-z,text", f"{MUSL}/rcrt1.o", f"{MUSL}/crti.o"], [f"{MUSL}/libc.a", "-lgcc", f"{MUSL}/crtn.o"]),
}
_compile_locks = {}
_compile_guard = threading.Lock()


def make_file(target, command, **how):
    """Runs command(name), which makes a file of that name; it is the target once it is whole, whoever else makes it meanwhile."""
    new = f"{target}.{os.getpid()}.{threading.get_ident()}"
    ran = run(command(new), **how)
    if ran.status == 0:
        os.rename(new, target)
    return ran


def compile_c(source, kind="gcc", flags=()):
    """The program built from a C file; built again only when the source or a header is newer."""
    base = os.path.splitext(os.path.relpath(source, ROOT))[0].replace("/", "-")
    target = os.path.join(OUT, "bin", f"{base}.{kind}")
    with _compile_guard:
        lock = _compile_locks.setdefault(target, threading.Lock())
    with lock:
        newest = max(os.path.getmtime(p) for p in [source, *headers_beside(source), *(f for f in flags if f.endswith((".c", ".a")))])
        if os.path.exists(target) and (IN_VM or os.path.getmtime(target) > newest):
            return target
        os.makedirs(os.path.dirname(target), exist_ok=True)
        before, after = BUILDS[kind]
        common, last = (["-pthread"], ["-lm"]) if kind in ("gcc", "one-segment", "static", "musl") else ([], [])
        ran = make_file(target, lambda new: [*before, "-O1", "-g", *common, "-Wall", "-D_GNU_SOURCE", "-o", new, "-I", os.path.join(ROOT, "src"), *flags,
                                             source, *after, *last])
        expect(ran.status == 0, "does not compile", ran)
    return target


def headers_beside(source):
    """Those of its folder, and the numbers of the hostcalls."""
    folders = os.path.dirname(source), os.path.join(ROOT, "src/abi")
    return [os.path.join(folder, n) for folder in folders for n in os.listdir(folder) if n.endswith(".h")]


def write_json(path, value):
    with open(path + ".new", "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")
    os.rename(path + ".new", path)
