#!/usr/bin/python3 -I
"""A monitor that isolates nothing: it speaks the launch description and the channels of src/abi with the real command,
so that the command is tested by itself. A cVM's "program" is its second argument, Python run with a Cvm as `cvm`.

Copied by fakes.py to intravisor-monitor beside a copy of the command.
"""
import array
import ctypes
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

LAUNCH_HEAD = struct.Struct("=QIIIiIII4x")
IMAGE = struct.Struct("=iiQQQ")
FILE = struct.Struct("=112sQiI")
LAUNCH_CVM_HEAD = struct.Struct("=64sQIIiiIIIIII")
GRANT = struct.Struct("=HHI112s")
HANDLE = struct.Struct("=IIiI")
NET_RULE = struct.Struct("=HHHHHHI16s")
BOOT_HEAD = struct.Struct("=Q19I")
MOUNT = struct.Struct("=IIII")
MESSAGE = struct.Struct("=IIII")
STATS = struct.Struct("=8Q2I2Q")
REPORT = struct.Struct("=iiQQ200s")
EXEC = struct.Struct("=III")
FILES_AT = LAUNCH_HEAD.size + 14 * IMAGE.size
COUNT_AT = FILES_AT + 64 * FILE.size
CVMS_AT = COUNT_AT + 24
CVM_SIZE = LAUNCH_CVM_HEAD.size + 64 * (HANDLE.size + NET_RULE.size + GRANT.size) + 16
CODE_REQUEST, CODE_REPLY, READY, EXIT, FATAL, STATS_NOW, REPORT_OF, SIGNAL, KILL, START, ASK_STATS = \
    1, 2, 16, 18, 20, 21, 22, 32, 33, 34, 35
LOG_HANDLE = 3
DEFERRED = STAY = 1
DETACHED, LOADED = 16, 22


def string(block, at):
    return block[at:block.index(b"\0", at)]


def strings(block, at, count):
    result = []
    for _ in range(count):
        result.append(string(block, at))
        at += len(result[-1]) + 1
    return result


class Cvm:
    def __init__(self, monitor, index, data):
        self.monitor, self.index = monitor, index
        self.number = 0  # of the request that ask() makes; answered: that of the last answer
        at = CVMS_AT + index * CVM_SIZE
        (name, self.memory, self.threads, self.handles_max, self.nice, code, handles, rules, grants, self.caps,
         self.image, self.launch_flags) = LAUNCH_CVM_HEAD.unpack_from(data, at)
        self.name = name.rstrip(b"\0").decode()
        self.code = socket.socket(fileno=code)
        at += LAUNCH_CVM_HEAD.size
        self.handles = [HANDLE.unpack_from(data, at + i * HANDLE.size)[:3] for i in range(handles)]
        at += 64 * HANDLE.size
        self.rules = []
        for i in range(rules):
            action, protocol, first, last, family, prefix, _, address = NET_RULE.unpack_from(data, at + i * NET_RULE.size)
            address = socket.inet_ntop(family, address[:4 if family == socket.AF_INET else 16])
            self.rules.append(("bind" if action == 1 else "connect", "tcp" if protocol == 6 else "udp", address, prefix, first, last))
        at += 64 * NET_RULE.size
        self.grants = []  # ("file", "use", permissions, name)
        for i in range(grants):
            kind, roles, perms, name = GRANT.unpack_from(data, at + i * GRANT.size)
            self.grants.append(({1: "file", 2: "call", 3: "stream"}[kind], {1: "use", 2: "provide", 3: "both"}[roles],
                                "".join(c for bit, c in enumerate("rwugm") if perms >> bit & 1), name.rstrip(b"\0").decode()))
        offset, size = struct.unpack_from("=QQ", data, at + 64 * GRANT.size)
        boot = data[offset:offset + size]
        (_, boot_size, self.flags, argc, argv, envc, envp, program, cwd, hostname, _, _, _, _, _, self.uid, self.gid,
         self.exec, ready, mounts) = \
            BOOT_HEAD.unpack_from(boot)
        assert boot_size == size
        self.args = [s.decode(errors="surrogateescape") for s in strings(boot, argv, argc)]
        self.env = dict(s.decode(errors="surrogateescape").split("=", 1) for s in strings(boot, envp, envc))
        self.program, self.cwd, self.hostname = (string(boot, at).decode() for at in (program, cwd, hostname))
        self.ready = string(boot, ready).decode() if ready else None
        self.mounts = []
        for i in range(mounts):
            kind, handle, read_only, path = MOUNT.unpack_from(boot, BOOT_HEAD.size + i * MOUNT.size)
            self.mounts.append((kind, handle, read_only, string(boot, path).decode()))
        self.signals = []
        self.running, self.life, self.thread = False, 0, None
        self.alive = threading.Lock()  # no life uses the exec channel in the next

    def start(self):
        self.running, self.life, self.signals = True, self.life + 1, []
        self.thread = threading.Thread(target=self.live, args=(self.life,), daemon=True)
        self.thread.start()

    def live(self, life):
        self.monitor.local.life = life
        if self.flags & DETACHED:
            self.exec_send(LOADED)
        exec(self.args[1], {"cvm": self, "monitor": self.monitor, "os": os, "time": time, "signal": signal, "struct": struct,
                            "socket": socket, "select": select})

    def kill(self):
        """Its thread goes on, but nobody hears of it any more."""
        self.monitor.local.life = self.life
        self.exit(9, 1)

    def killed(self):
        return not self.running or self.monitor.local.life != self.life

    def write(self, text, handle=1):
        os.write(self.handles[handle][2], text if isinstance(text, bytes) else text.encode())

    def send(self, kind, payload=b""):
        self.monitor.events.send(MESSAGE.pack(kind, self.index, len(payload), 0) + payload)

    def log(self, text, kind=b"t"):
        """The socket does not block."""
        message = kind + (text if isinstance(text, bytes) else text.encode())
        while True:
            try:
                return os.write(self.handles[LOG_HANDLE][2], message)
            except BlockingIOError:
                select.select([], [self.handles[LOG_HANDLE][2]], [])

    def exec_send(self, kind, number=0, payload=b"", size=None):
        """A message of the exec channel (src/abi/exec.h); the socket does not block."""
        self.exec_write(EXEC.pack(kind, number, len(payload) if size is None else size) + payload)

    def exec_write(self, message):
        handle = self.handles[self.exec][2]
        while True:
            with self.alive:
                try:
                    return None if self.killed() else os.write(handle, message)
                except BlockingIOError:
                    pass
            select.select([], [handle], [], 0.1)

    def exec_receive(self, seconds=10):
        """(type, number, payload), or None."""
        handle = self.handles[self.exec][2]
        if not select.select([handle], [], [], seconds)[0]:
            return None
        with self.alive:
            if self.killed():
                return None
            message = os.read(handle, 1 << 20)
        kind, number, size = EXEC.unpack_from(message)
        assert size == len(message) - EXEC.size
        return kind, number, message[EXEC.size:]

    def crash(self, text):
        self.log(text, b"c")

    def report(self, text, error=0, signal=0, rip=0, address=0):
        self.send(REPORT_OF, REPORT.pack(error, signal, rip, address, text.encode()))

    def exit(self, status, signaled=0, stats=(1500000000, 250000000, 3 << 20, 0, 7, 1, 2, 99, 3, 5, 2, 8192)):
        if self.monitor.local.life != self.life:
            return
        with self.alive:
            self.running = False
        self.send(EXIT, struct.pack("=iI", status, signaled) + STATS.pack(*stats))

    def wait_signal(self, seconds=10):
        deadline = time.monotonic() + seconds
        while not self.signals and time.monotonic() < deadline:
            time.sleep(0.002)
        return self.signals.pop(0) if self.signals else None

    def ask(self, path, offset=0, size=4096, stubs=1, fds=None):
        fd = os.open(path, os.O_RDONLY) if fds is None else -1
        payload = struct.pack("=QQII", offset, size, stubs, 0)
        control = array.array("i", [fd] if fds is None else fds)
        self.code.sendmsg([MESSAGE.pack(CODE_REQUEST, self.index, len(payload), self.number) + payload],
                          [(socket.SOL_SOCKET, socket.SCM_RIGHTS, control)] if len(control) else [])
        if fd >= 0:
            os.close(fd)

    def answer(self):
        """The reply: (status, reason, image bytes or None)."""
        data, ancillary, _, _ = self.code.recvmsg(65536, socket.CMSG_SPACE(4))
        kind, cvm, size, self.answered = MESSAGE.unpack_from(data)
        assert kind == CODE_REPLY and cvm == self.index and size == len(data) - MESSAGE.size
        image = None
        if ancillary:
            image_fd, = struct.unpack("=i", ancillary[0][2][:4])
            import fcntl
            # Fails if anybody could still write: F_ADD_SEALS, F_SEAL_WRITE on a memory file, a read lease on an entry of the cache.
            fcntl.fcntl(image_fd, *((1033, 8) if "/memfd:" in os.readlink(f"/proc/self/fd/{image_fd}") else (fcntl.F_SETLEASE, fcntl.F_RDLCK)))
            image = os.pread(image_fd, 1 << 24, 0)
            image = image[:4096 + sum(struct.unpack_from("=QQ", image, 16))]  # behind it an entry has what the cache knows of it
            os.close(image_fd)
        return struct.unpack_from("=i", data, MESSAGE.size)[0], data[MESSAGE.size + 4:].decode(), image

    def request(self, *arguments, **more):
        self.ask(*arguments, **more)
        return self.answer()


class Monitor:
    def __init__(self, description):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        with open(description, "rb") as f:
            data = f.read()
        magic, version, size, self.insecure, events, self.flags, images, files = LAUNCH_HEAD.unpack_from(data)
        assert magic == 0x3148434e554c5643 and version == 4 and size == len(data), "bad launch description"
        self.images = [IMAGE.unpack_from(data, LAUNCH_HEAD.size + i * IMAGE.size) for i in range(images)]
        self.text, self.data, self.data_size, self.bss_size, self.entry = self.images[0]
        self.files = []  # (name, size, descriptor)
        for i in range(files):
            name, file_size, file_fd, _ = FILE.unpack_from(data, FILES_AT + i * FILE.size)
            self.files.append((name.rstrip(b"\0").decode(), file_size, file_fd))
        count, = struct.unpack_from("=I", data, COUNT_AT)
        self.events = socket.socket(fileno=events)
        self.cvms = [Cvm(self, i, data) for i in range(count)]
        self.local, self.closed = threading.local(), False
        self.local.life = 0

    def listen(self):
        while True:
            data = self.events.recv(4096)
            if not data:
                self.closed = True
                return
            kind, index, _, _ = MESSAGE.unpack_from(data)
            cvm = self.cvms[index]
            if kind == SIGNAL:
                cvm.signals.append(struct.unpack_from("=i", data, MESSAGE.size)[0])
            elif kind == KILL and cvm.running:
                cvm.kill()
            elif kind == START and not cvm.running:
                cvm.start()
            elif kind == ASK_STATS and cvm.running:
                cvm.send(STATS_NOW, STATS.pack(2500000000, 1250000000, 4 << 20, 2 << 20, 11, 1, 2, 99, 3, 5, 2, 8192))

    def fatal(self, text, error=0):
        self.events.send(MESSAGE.pack(FATAL, 0xffffffff, REPORT.size, 0) + REPORT.pack(error, 0, 0, 0, text.encode()))
        os._exit(1)

    def held(self):
        """Code images that the command has in its hands."""
        folder = f"/proc/{os.getppid()}/fd"
        links = [os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)]
        return sum("intravisor-code" in link for link in links) + len({link for link in links if link.endswith(".code")})

    def run(self):
        self.events.send(MESSAGE.pack(READY, 0, 0, 0))
        for cvm in self.cvms:
            if not cvm.launch_flags & DEFERRED:
                cvm.start()
        threading.Thread(target=self.listen, daemon=True).start()
        if self.flags & STAY:
            while not self.closed:
                time.sleep(0.002)
        else:
            for cvm in self.cvms:
                cvm.thread.join()


monitor = Monitor(sys.argv[1])
monitor.run()
sys.stdout.flush()
os._exit(0)
