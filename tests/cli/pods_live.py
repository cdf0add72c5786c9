#!/usr/bin/python3
"""Pods of real programs in real cVMs: order, restarts, stopping and starting one while the others run, and what the commands
that look at them say. The programs are Perl: an ordinary position-independent binary, so that several run at once."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
COMMAND = os.environ.get("INTRAVISOR", os.path.join(HERE, "../../build/intravisor"))
OPTIONS = os.environ.get("INTRAVISOR_OPTIONS", "--insecure-no-pkeys" if "ospke" not in open("/proc/cpuinfo").read() else "").split()
PATIENCE = 200  # seconds; only ever reached by a failure

# Counts in a file of the pod's volume, so that who looks sees that it goes on, and always sees a whole number.
COUNT = ("$| = 1; for ($n = 0; ; $n++) { open F, '>', '/data/new'; print F $n; close F; rename '/data/new', '/data/count';"
         "select undef, undef, undef, 0.01 }")


class LiveCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pods-", dir=os.environ.get("SCRATCH"))
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.makedirs(self.path("data"))
        self.env = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/root"), "LC_ALL": "C", "TERM": "dumb",
                    "XDG_RUNTIME_DIR": self.path("runtime")}
        self.processes = []

    def tearDown(self):
        for pod in json.loads(self.run_command("ps", "--json").stdout or "[]"):
            self.run_command("stop", "-t", "0", pod["pod"])
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_command(self, *arguments):
        return subprocess.run([COMMAND, *arguments], env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=PATIENCE)

    def command(self, *arguments):
        ran = self.run_command(*arguments)
        self.assertEqual((ran.returncode, ran.stderr), (0, b""), arguments)
        return ran.stdout

    def start(self, *arguments):
        process = subprocess.Popen([COMMAND, *arguments], env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.processes.append(process)
        return process

    def yaml(self, *cvms, head=""):
        with open(self.path("pod.yaml"), "w") as f:
            f.write(head + "cVMs:\n")
            for name, code, more in cvms:
                f.write(f"  - {{name: {name}, program: /usr/bin/perl, args: [-e, {json.dumps(code)}], volumes: ['data:/data']{more}}}\n")
        return ["run", *OPTIONS, "-q", "-y", "pod.yaml"]

    def wait(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it did not happen")
            time.sleep(0.02)

    def cvms(self, command="ps"):
        return {c["name"]: c for pod in json.loads(self.command(command, "--json")) for c in pod["cvms"]}

    def state(self, name):
        return self.cvms().get(name, {}).get("state")

    def count(self):
        try:
            return int(open(self.path("data/count")).read())
        except FileNotFoundError:
            return 0

    def goes_on(self):
        now = self.count()
        self.wait(lambda: self.count() > now)

    def note(self, text):
        return f"open(F, '>>', '/data/notes'); print(F qq({text}\\n)); close(F);"

    def notes(self):
        return open(self.path("data/notes")).read().split()


class Live(LiveCase):
    def test_three_in_order(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        server = ("use IO::Socket::INET; select undef, undef, undef, 0.3; " + self.note("server") +
                  f"$s = IO::Socket::INET->new(Listen => 5, ReuseAddr => 1, LocalAddr => '127.0.0.1', LocalPort => {port}) or die $!;"
                  "while ($c = $s->accept) { $got = <$c>; last if defined $got } print $got; exit 0")
        client = (self.note("client") + "use IO::Socket::INET;"
                  f"$s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => {port}) or die $!; print $s qq(hello\\n); exit 0")
        ran = self.run_command(*self.yaml(("last", self.note("last") + "exit 5", ", after: [client, server]"),
                                          ("client", client, f", connect: '127.0.0.1:{port}', after: [server], ready: {{exit: 0}}"),
                                          ("server", server, f", bind: '127.0.0.1:{port}', ready: {{port: {port}}}")))
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (5, b"hello\n", b""))
        self.assertEqual(self.notes(), ["server", "client", "last"])

    def test_restart_on_failure(self):
        fails = ("$| = 1; open(F, '<', '/data/runs'); $n = <F> + 1; close F; open(F, '>', '/data/runs'); print F $n; close F;"
                 "print qq(run $n\\n); kill 'SEGV', $$ if $n == 1; exit 3 if $n == 2; exit 0")
        run = self.start(*self.yaml(("fails", fails, ", restart: on-failure, restart_delay: 1ms"), ("counter", COUNT, "")))
        self.wait(lambda: self.state("fails") == "ended")
        self.goes_on()
        self.assertEqual((self.cvms()["fails"]["restarts"], self.cvms()["fails"]["status"]), (2, 0))
        self.command("stop", "pod")
        out, _ = run.communicate(timeout=PATIENCE)
        self.assertEqual(out, b"run 1\nrun 2\nrun 3\n")
        self.assertEqual(run.returncode, 128 + signal.SIGTERM, "the counter's")

    def test_stop_and_start_one_while_the_other_runs(self):
        starts = ("$| = 1; $SIG{TERM} = sub { print qq(term\\n); exit 7 }; print qq(up\\n);" + self.note("up") +
                  "select undef, undef, undef, 0.1 while 1")
        run = self.start(*self.yaml(("counter", COUNT, ""), ("other", starts, "")))
        self.wait(lambda: os.path.exists(self.path("data/notes")))
        for n in range(2, 7):
            self.command("stop", "pod/other")
            self.assertEqual((self.state("other"), self.cvms()["other"]["status"]), ("ended", 7))
            self.goes_on()
            self.command("start", "pod/other")
            self.wait(lambda: len(self.notes()) == n)
            self.goes_on()
        self.command("restart", "-t", "0", "pod/other")
        self.wait(lambda: len(self.notes()) == 7)
        self.assertEqual(self.cvms()["other"]["status"], 137)
        before = self.count()
        self.command("stop", "pod/other")
        self.command("kill", "-s", "KILL", "pod/counter")
        out, _ = run.communicate(timeout=PATIENCE)
        self.assertGreaterEqual(self.count(), before, "the counter never started again")
        self.assertEqual((run.returncode, out.count(b"up\n"), out.count(b"term\n")), (137, 7, 6))

    def test_memory_and_descriptors_come_back(self):
        grows = "$x = 'x' x (64 << 20); open($f[$_], '<', '/etc/hostname') for 1 .. 100;" + self.note("up") + "sleep 1000"
        run = self.start(*self.yaml(("grows", grows, ", memory: 256M, restart: always, restart_delay: 1ms"), ("counter", COUNT, "")))
        monitor = None
        used = []
        for n in range(1, 7):
            self.wait(lambda: os.path.exists(self.path("data/notes")) and len(self.notes()) == n)
            monitor = monitor or open(f"/proc/{run.pid}/task/{run.pid}/children").read().split()[0]
            memory = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{monitor}/status").read())[1])
            # Listing them is for root.
            used.append((memory, os.stat(f"/proc/{monitor}/fd").st_size))
            self.command("kill", "-s", "KILL", "pod/grows")
        # The counter has its file open, or not.
        self.assertLessEqual(max(fds for _, fds in used), min(fds for _, fds in used) + 1, used)
        self.assertLess(max(memory for memory, _ in used), used[0][0] + (32 << 10), used)
        self.goes_on()

    def test_detached_with_logs(self):
        code = "$| = 1; print qq(line $_\\n) and select undef, undef, undef, 0.05 for 1 .. 20; warn qq(last\\n); exit 3"
        self.assertEqual(self.command(*self.yaml(("talks", code, ""), ("counter", COUNT, "")), "--detach"), b"pod\n")
        follower = self.start("logs", "-f", "pod/talks")
        out, err = follower.communicate(timeout=PATIENCE)
        self.assertEqual((out, err), (b"".join(b"line %d\n" % i for i in range(1, 21)) + b"last\n", b""))
        self.assertEqual(self.command("logs", "pod/talks"), out)
        self.goes_on()
        self.command("stop", "pod")
        self.assertEqual(self.command("ps", "--json"), b"[]\n")

    def test_detached_that_cannot_begin(self):
        """Whoever starts it in the background is told as in the foreground; a pod in which another cVM goes on stays."""
        said = b"intravisor: %s: nosuch: not found in the cVM's PATH (/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)\n"
        for restart in (), ("--restart", "never"):
            ran = self.run_command("run", *OPTIONS, "-q", "-d", "--name", "bad", *restart, "nosuch")
            self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (127, b"", said % b"bad"))
        arguments = self.yaml(("wrong", "", ", after: []"), ("counter", COUNT, ""))
        with open(self.path("pod.yaml")) as f:
            text = f.read().replace("program: /usr/bin/perl", "program: nosuch", 1)
        with open(self.path("pod.yaml"), "w") as f:
            f.write(text)
        ran = self.run_command(*arguments, "-d")
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (0, b"pod\n", said % b"wrong"))
        self.goes_on()
        self.command("stop", "pod")

    def test_ps_and_stats(self):
        self.start(*self.yaml(("counter", COUNT, ""), ("waits", "exit 0", ", after: [never]"), ("never", "sleep 1000", ", ready: {file: never}")))
        self.goes_on()
        seen = {name: (c["state"], c["status"], c["ready"]) for name, c in self.cvms().items()}
        self.assertEqual(seen, {"counter": ("running", None, True), "waits": ("waiting", None, False), "never": ("running", None, False)})
        first = self.cvms("stats")["counter"]["stats"]
        self.goes_on()
        second = self.cvms("stats")["counter"]["stats"]
        for number in ("wall_ns", "cpu_ns", "hostcalls"):
            self.assertGreater(second[number], first[number], number)
        self.assertIsNone(second["fast_syscalls"])
        self.assertGreater(second["memory_now"], 1 << 20)
        self.assertEqual(second["threads_peak"], 1)

    def test_crash_of_one_hurts_only_itself(self):
        run = self.start(*self.yaml(("crashes", "syscall(9999); unpack 'p', pack 'J', 16", ", restart: 'always:3', restart_delay: 1ms"),
                                    ("counter", COUNT, "")))
        self.wait(lambda: self.state("crashes") == "ended")
        self.assertEqual((self.cvms()["crashes"]["status"], self.cvms()["crashes"]["restarts"]), (139, 3))
        self.goes_on()
        self.command("stop", "pod")
        self.assertEqual(run.communicate(timeout=PATIENCE)[1].count(b"SIGSEGV"), 4)


if __name__ == "__main__":
    result = unittest.main(exit=False, warnings="ignore").result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(bool(failed))
