#!/usr/bin/python3
"""`intravisor exec`: the client, and the relay in the run's command between clients and libOSes, each of which may break every rule.
The libOS is Python (fake_monitor.py); tests/cli/exec_live.py has the real one."""
import os
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from at_terminal import AtTerminal  # noqa: E402
from fakes import PATIENCE, libos_elf  # noqa: E402
from pods import UNTIL_TERM, PodCase, cvm, quote  # noqa: E402

START, INPUT, SIGNAL, WINDOW, DETACH, MORE, STARTED, OUTPUT, ERRORS, ENDED = 1, 2, 3, 4, 5, 8, 16, 17, 18, 19
MAX, DATA_MAX, ROOM, HEAD, WAKE = 16, 16384, 65536, 12, 32

# A libOS. The program's first argument says what it does.
SERVICE = """
wakes = cvm.wait_signal(60)
open(f'{cvm.name}.woken', 'a').write(f'{wakes} ')
running, copies, room = {}, {}, {}
def ended(i, status, why=b''):
    running.pop(i)
    cvm.exec_send(19, i, struct.pack('=i', status) + why)
while not cvm.killed():
    m = cvm.exec_receive(0.05)
    if not m:
        continue
    kind, i, payload = m
    if kind == 1:
        argc, envc, flags, rows, columns, uid, gid = struct.unpack_from('=IIIHHII', payload)
        strings = payload[24:].split(b'\\0')
        argv, env = strings[1:1 + argc], strings[1 + argc:1 + argc + envc]
        running[i], copies[i], room[i] = argv[0], [], 65536
        if argv[0] == b'missing':
            ended(i, 127 << 8, b'missing: not found\\x1b[31m')
            continue
        cvm.exec_send(16, i)
        if argv[0] == b'show':
            cvm.exec_send(17, i, repr((strings[0], argv, env, flags)).encode())
            cvm.exec_send(18, i, b'errors')
            ended(i, 3 << 8)
        elif argv[0] == b'user':
            cvm.exec_send(17, i, f'{flags} {uid}:{gid}'.encode())
            ended(i, 0)
        elif argv[0] == b'window':
            cvm.exec_send(17, i, f'{flags} {rows}x{columns}\\n'.encode())
        elif argv[0] == b'die':
            ended(i, 11 | 128)
        elif argv[0] == b'fill':
            for n in range(3):
                cvm.exec_send(17, i, bytes(16384))
        elif argv[0] == b'break':
            exec(argv[1])
    elif i not in running:
        pass
    elif kind in (2, 8) and running[i] == b'cat':
        if kind == 2:
            copies[i].append(payload)
        else:
            room[i] += struct.unpack('=I', payload)[0]
        while copies[i] and len(copies[i][0]) + 12 <= room[i]:
            payload = copies[i].pop(0)
            if not payload:
                ended(i, 0)
                break
            cvm.exec_send(17, i, payload)
            room[i] -= 12 + len(payload)
            cvm.exec_send(8, i, struct.pack('=I', 12 + len(payload)))
    elif kind == 4:
        cvm.exec_send(17, i, '{}x{}\\n'.format(*struct.unpack('=HH', payload)).encode())
    elif kind == 2 and running[i] == b'window':
        cvm.exec_send(17, i, repr(payload).encode() + b'\\n')
        if payload == b'q':
            ended(i, 4 << 8)
    elif kind == 3:
        number = struct.unpack('=i', payload)[0]
        open(f'{cvm.name}.signals', 'a').write(f'{number} ')
        if number != 1 or running[i] != b'stubborn':
            ended(i, number)
"""

# What cuts a libOS off: the words that say why, and what it does as program 0, which has started.
BREAKS = [
    ("about no program", "cvm.exec_send(17, 5, b'x')"),
    ("about no program", "cvm.exec_send(17, 16, b'x')"),
    ("about no program", "cvm.exec_send(19, 0xffffffff, b'xxxx')"),
    ("about no program", "cvm.exec_send(19, i, bytes(4)); cvm.exec_send(17, i, b'x')"),
    ("about no program", "cvm.exec_send(19, i, bytes(4)); cvm.exec_send(19, i, bytes(4))"),
    ("no known type", "cvm.exec_send(99, i)"),
    ("about no program", "cvm.exec_send(20, 5)"),
    ("no known type", "cvm.exec_send(20, i)"),
    ("no known type", "cvm.exec_send(2, i, b'x')"),
    ("wrong size", "cvm.exec_send(17, i, b'x', 2)"),
    ("wrong size", "cvm.exec_send(17, i, b'xx', 1)"),
    ("wrong size", "cvm.exec_send(17, i, b'x', 0xffffffff)"),
    ("cut off", "cvm.exec_write(b'x' * 11)"),
    ("cut off", "cvm.exec_write(b'')"),
    ("second start", "cvm.exec_send(16, i)"),
    ("without room", "cvm.exec_send(17, i, b'')"),
    ("without room", "cvm.exec_send(17, i, bytes(16385))"),
    ("wrong size", "cvm.exec_send(17, i, bytes(100000))"),
    ("wrong size", "cvm.exec_send(8, i, bytes(3))"),
    ("room that nobody used", "cvm.exec_send(8, i, struct.pack('=I', 1))"),
    ("room that nobody used", "cvm.exec_send(8, i, struct.pack('=I', 0))"),
    ("room that nobody used", "cvm.exec_send(8, i, struct.pack('=I', 0xffffffff))"),
    ("wrong size", "cvm.exec_send(19, i, bytes(3))"),
    ("wrong size", "cvm.exec_send(19, i, bytes(4 + 257))"),
    ("a status that no program has", "cvm.exec_send(19, i, struct.pack('=i', 127))"),
    ("a status that no program has", "cvm.exec_send(19, i, struct.pack('=i', 65))"),
    ("a status that no program has", "cvm.exec_send(19, i, struct.pack('=i', -1))"),
    ("a status that no program has", "cvm.exec_send(19, i, struct.pack('=i', 1 << 16))"),
]


def start_message(*argv, env=(), cwd="", flags=1, argc=None, tail=b"", user=(1, 2)):
    strings = b"".join(s.encode() + b"\0" for s in (cwd, *argv, *env))
    return message(START, struct.pack("=IIIHHII", len(argv) if argc is None else argc, len(env), flags, 24, 80, *user) + strings + tail)


def message(kind, payload=b"", size=None):
    return struct.pack("=III", kind, 0, len(payload) if size is None else size) + payload


class Exec(AtTerminal, PodCase):
    def start_service(self, *more, **keys):
        return self.start_pod(cvm("a", SERVICE, **keys), *more, head="logs: capture\n" if keys.pop("capture", False) else "")

    def execute(self, *arguments, pod="pod/a", **options):
        """(status, output, errors)"""
        return self.box.run("exec", *arguments[:-1], pod, *arguments[-1], **options)

    def client(self, *arguments, **options):
        process = self.box.start("exec", *arguments, **options)
        self.processes.append(process)
        return process

    def read(self, name):
        try:
            with open(os.path.join(self.box.work, name)) as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def test_everything_reaches_the_program_and_comes_back(self):
        self.start_service()
        self.assertEqual(self.execute(["show", "-x", "a b", "", "--", "\u20ac"]),
                         (3, repr((b"", [b"show", b"-x", b"a b", b"", b"--", "\u20ac".encode()], [], 0)), "errors"))
        ran = self.execute("-i", "-e", "A=1", "--env", "B=2=3", "-e", "A=4", "-w", "/tmp/", ["--", "show"])
        self.assertEqual(ran, (3, repr((b"/tmp", [b"show"], [b"A=4", b"B=2=3"], 1)), "errors"))
        self.assertEqual(self.execute("--", ["show"], pod="pod")[0], 3, "a pod of one cVM needs no name for it")
        self.assertEqual(self.read("a.woken"), "32 ", "the libOS is woken once")

    def test_user(self):
        self.start_service(user="1000:1000")
        for words, seen in (([], "0 0:0"), (["-u", "0"], "4 0:0"), (["-u", "33"], "4 33:33"), (["-u33:34"], "4 33:34"), (["--user=33:0"], "4 33:0"),
                            (["-iu", "2147483647:1"], "5 2147483647:1"), (["-u", "1", "-u", "2"], "4 2:2"), (["-d"], "8 0:0"), (["-du", "5"], "12 5:5")):
            self.assertEqual(self.execute(*words, ["user"], input=b""), (0, seen, ""), words)

    def test_files_of_variables(self):
        self.start_service()
        self.box.file("one", "# comment\n\n  A=1 \nB='x y' # no comment\nLC_ALL\nNOT_SET\n\t# C=1\nC=\nD==\nE=1\r\n")
        self.box.file("two", "A=2\nF=\xff")
        seen = [b"A=2", b"B='x y' # no comment", b"LC_ALL=C", b"C=", b"D==", b"E=1", "F=\xff".encode()]
        self.assertEqual(self.execute("--env-file", "one", "--env-file=two", ["show"])[1], repr((b"", [b"show"], seen, 0)))
        # What -e says wins, wherever it stands.
        seen = [b"F=" + "\xff".encode(), b"A=3", b"G=4"]
        self.assertEqual(self.execute("-e", "A=3", "--env-file=two", "-eG=4", ["show"])[1], repr((b"", [b"show"], seen, 0)))
        self.box.file("empty", "")
        self.assertEqual(self.execute("--env-file", "empty", ["show"])[1], repr((b"", [b"show"], [], 0)))

    def test_status(self):
        self.start_service()
        self.assertEqual(self.execute(["die"]), (128 + 11, "", ""))
        self.assertEqual(self.execute(["missing"]), (127, "", "intravisor: exec: missing: not found\\x1b[31m\n"))

    def test_input(self):
        self.start_service()
        data = os.urandom(3 << 20)
        client = self.client("-i", "pod/a", "cat", stdin=subprocess.PIPE)
        self.assertEqual(client.communicate(data, timeout=PATIENCE), (data, b""))
        self.assertEqual(client.returncode, 0)

    def test_signals_are_passed_on(self):
        self.start_service()
        for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT:
            client = self.client("-i", "pod/a", "cat", stdin=subprocess.PIPE)
            client.stdin.write(b"x")
            client.stdin.flush()
            self.assertEqual(client.stdout.read(1), b"x")
            client.send_signal(number)
            client.wait(PATIENCE)
            self.assertEqual(client.returncode, 128 + number)
        self.assertEqual(self.read("a.signals"), "15 2 1 3 ")

    def test_client_that_goes_away(self):
        self.start_service(stop_timeout="100ms")
        client = self.client("pod/a", "stubborn")
        self.wait(lambda: self.read("a.woken"))
        client.kill()
        self.wait(lambda: self.read("a.signals") == "1 9 ")
        self.assertEqual(self.execute(["show"])[0], 3)

    def test_who_does_not_read_holds_up_nobody(self):
        self.start_service()
        with self.connect() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            s.sendall(b'{"command": "exec", "cvm": "a"}\n')
            self.assertEqual(s.recv(12), b'{"ok":true}\n')
            s.sendall(start_message("fill"))
            for _ in range(20):
                self.assertEqual(self.execute(["show"])[0], 3)
            got = 0
            while got < 3 * (HEAD + DATA_MAX):
                part = s.recv(65536)
                self.assertTrue(part)
                got += len(part)

    def test_as_many_as_there_is_room_for(self):
        self.start_service()
        clients = [self.client("-i", "pod/a", "cat", stdin=subprocess.PIPE) for _ in range(MAX)]
        for client in clients:
            client.stdin.write(b"x")
            client.stdin.flush()
            self.assertEqual(client.stdout.read(1), b"x")
        status, _, errors = self.execute(["show"])
        self.assertEqual(status, 125)
        self.assertIn("a cannot start another program: too many were started with exec (try again)", errors)
        for client in clients:
            self.assertEqual(client.communicate(timeout=PATIENCE), (b"", b""))
        self.assertEqual(self.execute(["show"])[0], 3)

    def test_libos_that_breaks_the_rules(self):
        pod = self.start_service(cvm("b", SERVICE))
        beside = self.client("-i", "pod/b", "cat", stdin=subprocess.PIPE)
        for n, (why, code) in enumerate(BREAKS):
            with self.subTest(code):
                status, _, errors = self.execute(["break", code])
                ends = "19, i, bytes(4));" in code  # that came before the rest
                self.assertEqual((status, "the cVM's libOS broke the rules of exec" in errors), (0, False) if ends else (125, True), errors)
                line = pod.stderr.readline().decode()
                self.assertRegex(line, f"^intravisor: a: its libOS broke the rules of exec \\(.*{why}.*\\): nothing more is started in it")
                status, _, errors = self.execute(["show"])
                self.assertEqual((status, errors), (125, "intravisor: pod: a has a libOS that broke the rules of exec: nothing is started in it "
                                                         "until it starts again\n"))
                beside.stdin.write(b"%d" % (n % 10))
                beside.stdin.flush()
                self.assertEqual(beside.stdout.read(1), b"%d" % (n % 10))
                self.command("restart", "-t", "0", "pod/a")
                self.assertEqual(self.execute(["show"])[0], 3)
        self.assertEqual(beside.communicate(timeout=PATIENCE), (b"", b""))

    def test_terminal(self):
        self.start_service(stop_timeout="100ms")
        for way in (["-it"], ["-ti"], ["-i", "--tty"], ["-t"]):
            client, ours, its, before = self.at_terminal(*way, "pod/a", "window")
            self.assertIn(b"%d 25x81" % (2 if way == ["-t"] else 3), self.until(ours, b"\n"))
            self.wait(lambda: termios.tcgetattr(its) != before)
            self.assertFalse(termios.tcgetattr(its)[3] & (termios.ECHO | termios.ICANON | termios.ISIG))
            self.resize(its, 30, 100)
            client.send_signal(signal.SIGWINCH)
            self.assertIn(b"30x100", self.until(ours, b"\n"))
            if way == ["-t"]:
                client.terminate()
                self.assertEqual(client.wait(PATIENCE), 128 + signal.SIGTERM)
            else:
                os.write(ours, b"\x03")
                self.assertIn(b"b'\\x03'", self.until(ours, b"\n"))
                os.write(ours, b"q")
                self.assertEqual(client.wait(PATIENCE), 4)
            self.assertEqual(termios.tcgetattr(its), before)

    def test_terminal_is_given_back(self):
        """However it ends; but nobody can do that for a client that was killed itself."""
        pod = self.start_service(stop_timeout="100ms")
        for end in "stops", "killed", "breaks", "pod":
            client, ours, its, before = self.at_terminal("-it", "pod/a", "window")
            self.until(ours, b"\n")
            self.wait(lambda: termios.tcgetattr(its) != before)
            if end == "stops":
                client.send_signal(signal.SIGTSTP)
                self.wait(lambda: termios.tcgetattr(its) == before)
                client.send_signal(signal.SIGCONT)
                self.wait(lambda: termios.tcgetattr(its) != before)
                os.write(ours, b"q")
                self.assertEqual(client.wait(PATIENCE), 4)
            elif end == "killed":
                client.kill()
                client.wait(PATIENCE)
                self.assertNotEqual(termios.tcgetattr(its), before, "the control")
                termios.tcsetattr(its, termios.TCSANOW, before)
                self.wait(lambda: self.read("a.signals") == "1 ")
            elif end == "breaks":
                self.execute(["break", "cvm.exec_send(99, i)"])
                self.assertEqual(client.wait(PATIENCE), 125)
                self.command("restart", "-t", "0", "pod/a")
            else:
                pod.kill()
                self.assertEqual(client.wait(PATIENCE), 125)
            self.assertEqual(termios.tcgetattr(its), before)

    def test_leaving_a_terminal(self):
        """Its program gets neither the keys nor a signal nor the end of its input, goes on, and keeps its place until it ends."""
        self.start_service(stop_timeout="1ms")
        for words, keys in ((), b"\x10\x11"), (("--detach-keys", "ctrl-a,x,ctrl-]"), b"\x01x\x1d"), (("--detach-keys=q",), b"q"):
            client, ours, its, before = self.at_terminal("-it", *words, "pod/a", "window")
            self.until(ours, b"\n")
            os.write(ours, b"a")
            self.until(ours, b"b'a'\n")
            for key in keys[:-1]:
                os.write(ours, bytes([key]))
            os.write(ours, keys[-1:] + b"not for it")
            self.assertEqual((client.wait(PATIENCE), client.stderr.read()), (0, b"intravisor: exec: left the program, which goes on\n"))
            self.assertEqual(termios.tcgetattr(its), before)
        self.assertEqual(self.execute(["show"])[0], 3)
        self.assertEqual(self.read("a.signals"), "")
        # What is no sequence comes as it was typed; 13 places are left.
        client, ours, its, before = self.at_terminal("-it", "pod/a", "window")
        self.until(ours, b"\n")
        os.write(ours, b"\x10")
        os.write(ours, b"\x10x")
        self.assertIn(b"b'\\x10\\x10x'", self.until(ours, b"\n"))
        os.write(ours, b"q")
        self.assertEqual(client.wait(PATIENCE), 4)
        clients = [self.client("-i", "pod/a", "cat", stdin=subprocess.PIPE) for _ in range(13)]
        for client in clients:
            client.stdin.write(b"x")
            client.stdin.flush()
            self.assertEqual(client.stdout.read(1), b"x")
        self.assertIn("too many were started with exec", self.execute(["show"])[2])
        for client in clients:
            client.communicate(timeout=PATIENCE)
        self.command("restart", "-t", "0", "pod/a")
        self.assertEqual(self.execute(["show"])[0], 3)

    def test_terminal_without_keys_to_leave_it(self):
        self.start_service()
        client, ours, _, _ = self.at_terminal("-it", "--detach-keys=", "pod/a", "window")
        self.until(ours, b"\n")
        os.write(ours, b"\x10\x11")
        self.assertIn(b"b'\\x10\\x11'", self.until(ours, b"\n"))
        os.write(ours, b"q")
        self.assertEqual(client.wait(PATIENCE), 4)

    def test_program_that_was_left_may_flood(self):
        """What it prints is dropped, and it is given room again, as far as it goes by the rules."""
        self.start_service()
        code = ("n, left = 0, 65536\nwhile n < 300:\n while left < 16396:\n"
                "  m = cvm.exec_receive(1)\n  left += struct.unpack('=I', m[2])[0] if m and m[0] == 8 else 0\n"
                " cvm.exec_send(17, i, bytes(16384)); left -= 16396; n += 1\nopen('flooded', 'w').write('yes'); ended(i, 0)")
        with self.connect() as s:
            s.sendall(b'{"command": "exec", "cvm": "a"}\n')
            self.assertEqual(s.recv(12), b'{"ok":true}\n')
            s.sendall(start_message("break", code, flags=3) + message(DETACH))
            while s.recv(65536):  # the answer is the end
                pass
        self.wait(lambda: self.read("flooded") == "yes")
        self.assertEqual(self.execute(["show"])[0], 3)
        with self.connect() as s:  # by its own account it has passed on what nobody typed
            s.sendall(b'{"command": "exec", "cvm": "a"}\n')
            self.assertEqual(s.recv(12), b'{"ok":true}\n')
            s.sendall(start_message("break", "cvm.exec_send(8, i, struct.pack('=I', 12))", flags=3) + message(DETACH))
            while s.recv(65536):
                pass
        self.assertIn("room that nobody used", self.processes[0].stderr.readline().decode())

    def test_no_terminal_to_pass_on(self):
        self.start_service()
        for way in "-t", "-it":
            self.assertEqual(self.client(way, "pod/a", "window", stdin=subprocess.DEVNULL).communicate(timeout=PATIENCE),
                             (b"", b"intravisor: exec: standard input is not a terminal, so the program cannot have one: leave out -t\n"))
        self.assertEqual(self.read("a.woken"), "")

    def test_errors_beside_a_terminal(self):
        pod = self.start_service()
        with self.connect() as s:
            s.sendall(b'{"command": "exec", "cvm": "a"}\n')
            self.assertEqual(s.recv(12), b'{"ok":true}\n')
            s.sendall(start_message("break", "cvm.exec_send(17, i, b'fine'); cvm.exec_send(18, i, b'x')", flags=2))
            self.assertIn("errors beside a terminal", pod.stderr.readline().decode())
            got = b""
            while part := s.recv(1 << 20):
                got += part
            self.assertIn(b"fine", got)

    def test_libos_that_floods(self):
        pod = self.start_service(cvm("b", SERVICE))
        for kind, payload in (OUTPUT, bytes(DATA_MAX)), (ERRORS, b"x"):
            with self.connect() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                s.sendall(b'{"command": "exec", "cvm": "a"}\n')
                self.assertEqual(s.recv(12), b'{"ok":true}\n')
                s.sendall(start_message("break", f"[cvm.exec_send({kind}, i, bytes({len(payload)})) for n in range(20000)]"))
                self.assertIn("output without room", pod.stderr.readline().decode())
                got = b""
                while part := s.recv(1 << 20):
                    got += part
                self.assertLess(len(got), 12 + 2 * ROOM + 300)
                self.assertIn(b"the cVM's libOS broke the rules of exec", got)
            self.assertEqual(self.execute(["show"], pod="pod/b")[0], 3)
            self.command("restart", "-t", "0", "pod/a")

    def test_libos_that_floods_when_its_client_has_gone(self):
        pod = self.start_service(cvm("b", SERVICE))
        code = ("open(f'{cvm.name}.up', 'w').write('up')\nwhile (cvm.exec_receive(0.05) or [0])[0] != 3:\n pass\n"
                "for n in range(%d):\n cvm.exec_send(8, i, struct.pack('=I', 6))\nopen(f'{cvm.name}.sent', 'w').write('sent')\n")
        for messages in 2, 3:  # the end of its input was one of 12 bytes
            client = self.client("pod/a", "break", code % messages)
            self.wait(lambda: self.read("a.up"))
            client.kill()
            if messages == 3:
                self.assertIn("a: its libOS broke the rules of exec (room that nobody used)", pod.stderr.readline().decode())
            self.wait(lambda: self.read("a.sent"))
            self.assertEqual(self.execute(["show"])[0], 3 if messages == 2 else 125)
            for name in "up", "sent":
                os.unlink(os.path.join(self.box.work, "a." + name))
        self.assertEqual(self.execute(["show"], pod="pod/b")[0], 3)

    def test_what_nobody_asked_for(self):
        pod = self.start_pod(cvm("a", "cvm.exec_send(19, 0, bytes(4))\n" + UNTIL_TERM), cvm("b", SERVICE))
        self.assertIn("a: its libOS broke the rules of exec (a message about no program)", pod.stderr.readline().decode())
        self.assertEqual(self.execute(["show"], pod="pod/b")[0], 3)

    def test_next_life_sees_nothing_of_the_last(self):
        code = ("n = len(open('lives').read()) if os.path.exists('lives') else 0; open('lives', 'a').write('x')\n"
                "if n == 0:\n cvm.wait_signal(60)\n"
                " while not select.select([cvm.handles[cvm.exec][2]], [], [], 0)[0]: pass\n"
                " cvm.exec_send(16, 0); cvm.exit(1)\n"
                "else:\n open('found', 'w').write(str(cvm.exec_receive(0)))\n" + "\n".join(" " + line for line in SERVICE.splitlines()))
        self.start_pod(cvm("a", code, restart="on-failure", restart_delay="1ms"))
        self.assertEqual(self.execute(["show"]), (137, "", "intravisor: exec: the cVM ended\n"))
        self.wait(lambda: self.read("found"))
        self.assertEqual(self.read("found"), "None")
        self.assertEqual(self.execute(["show"])[0], 3)

    def test_cvm_that_ends(self):
        self.start_service(cvm("b", SERVICE))
        client = self.client("-i", "pod/a", "cat", stdin=subprocess.PIPE)
        client.stdin.write(b"before")
        client.stdin.flush()
        self.assertEqual(client.stdout.read(6), b"before")
        self.command("kill", "-s", "KILL", "pod/a")
        self.assertEqual((client.wait(PATIENCE), client.stderr.read()), (137, b"intravisor: exec: the cVM ended\n"))
        self.assertIn("a is not running", self.command("exec", "pod/a", "show", status=125))

    def test_pod_that_ends(self):
        pod = self.start_service()
        client = self.client("-i", "pod/a", "cat", stdin=subprocess.PIPE)
        client.stdin.write(b"x")
        client.stdin.flush()
        self.assertEqual(client.stdout.read(1), b"x")
        pod.kill()
        self.assertEqual((client.wait(PATIENCE), client.stderr.read()), (125, b"intravisor: exec: the pod ended\n"))

    def test_bare_cvms_take_no_programs(self):
        self.box.file("prog", libos_elf())
        self.start_pod(f"  - {{name: b, runtime: bare, program: prog, args: [{quote('time.sleep(60)')}]}}\n")
        self.assertIn("b has no libOS (runtime: bare), so no other program can be started in it", self.command("exec", "pod", "show", status=125))

    def test_cvms_that_take_no_programs(self):
        self.start_service(cvm("b", UNTIL_TERM, syscalls_to="a"), cvm("c", UNTIL_TERM, after="b", ready="{exit: 0}"), cvm("d", UNTIL_TERM, after="c"))
        for name, why in ("b", "b has its system calls served by another cVM (syscalls_to)"), ("d", "d is not running"):
            self.assertIn(why, self.command("exec", "pod/" + name, "show", status=125))
        self.assertIn("the pod has no cVM of this name", self.command("exec", "pod/x", "show", status=125))
        self.assertIn("the pod has several cVMs, name one: pod", self.command("exec", "pod", "show", status=2))

    def test_too_long(self):
        self.start_service()
        self.assertIn("arguments and variables are too long (at most 96 KiB)", self.command("exec", "pod/a", "show", "x" * 98304, status=125))
        self.assertEqual(self.execute(["die", "x" * 98000])[0], 128 + 11)

    def test_wake_signal_is_nobodys(self):
        self.start_service()
        for arguments in (["pod/a"], ["pod"]):
            self.assertIn("signal 32 cannot be sent: it is kept for exec", self.command("kill", "-s", str(WAKE), *arguments, status=1))
        self.assertEqual(self.read("a.woken"), "")

    def test_clients_that_break_the_rules(self):
        self.start_service(stop_timeout="1ms")
        first = [b"", message(DETACH), message(INPUT, b"x"), message(99), message(START), message(START, bytes(12)), start_message(), start_message("cat", argc=2),
                 start_message("cat", argc=0xffffffff), start_message("cat", tail=b"x"), start_message("cat", tail=b"\0"), message(START, size=98305),
                 message(START, size=0xffffffff), start_message("cat", flags=16), start_message("cat", flags=9), start_message("cat", flags=10), message(START, bytes(24)), start_message("cat", user=(1 << 31, 0)), start_message("cat", user=(0, 1 << 31))]
        later = [start_message("cat"), message(INPUT, bytes(DATA_MAX + 1)), message(SIGNAL, bytes(4)), message(SIGNAL, struct.pack("=i", 65)),
                 message(SIGNAL, struct.pack("=i", -1)), message(SIGNAL, bytes(5)), message(ENDED, bytes(4)), message(MORE, bytes(4)),
                 message(OUTPUT, b"x"), message(WINDOW, bytes(4)), message(DETACH, b"x")]
        terminal = [start_message("stubborn", flags=2) + message(WINDOW, bytes(size)) for size in (0, 3, 5)]
        for wrong in first + terminal + [start_message("stubborn") + more for more in later] + [start_message("stubborn") + message(INPUT, bytes(DATA_MAX)) * 5]:
            with self.subTest(wrong[:40]), self.connect() as s:
                s.sendall(b'{"command": "exec", "cvm": "a"}\n')
                self.assertEqual(s.recv(12), b'{"ok":true}\n')
                s.sendall(wrong)
                if not wrong:
                    s.shutdown(socket.SHUT_WR)
                try:
                    while s.recv(65536):
                        pass
                except ConnectionResetError:
                    pass
        self.assertEqual(self.execute(["show"])[0], 3)

    def test_many_clients_come_and_go(self):
        self.start_service(stop_timeout="1ms")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for _ in range(8):
                with self.connect() as s:
                    s.sendall(b'{"command": "exec", "cvm": "a"}\n')
                    if s.recv(12) == b'{"ok":true}\n':
                        s.sendall(start_message("cat") + message(INPUT, b"x" * 1000))
        self.wait(lambda: self.execute(["show"])[0] == 3)


if __name__ == "__main__":
    unittest.main()
