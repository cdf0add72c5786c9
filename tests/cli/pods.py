#!/usr/bin/python3
"""Pods: start order, restarts, and the control socket with its commands, beside a fake monitor (fake_monitor.py)."""
import json
import os
import re
import select
import signal
import socket
import stat
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fakes import PATIENCE, Box  # noqa: E402

NOTE = "os.write(os.open('notes', os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), (cvm.name + ' {}\\n').encode())"
UP = NOTE.format("up")


def quote(code):
    return json.dumps(code)  # which YAML understands


def cvm(name, code, **more):
    keys = "".join(f", {key}: {value}" for key, value in more.items())
    return f"  - {{name: {name}, args: [fake, {quote(code)}]{keys}}}\n"


FOREVER = UP + "\nwhile not cvm.killed(): time.sleep(0.005)"
UNTIL_OVER = "while not os.path.exists('over'): time.sleep(0.002)\ncvm.exit(0)"
UNTIL_TERM = UP + "\ncvm.wait_signal(60); cvm.exit(cvm.name == 'never')"
# Counts its runs in a file; ends with the given status until run N, then with 0.
FAILS = "n = len(open('runs').read()) + 1 if os.path.exists('runs') else 1; open('runs', 'a').write('x'); cvm.exit({} if n < {} else 0)"


class PodCase(unittest.TestCase):
    def setUp(self):
        self.box = Box()
        self.processes = []

    def tearDown(self):
        for pod in json.loads(self.box.run("ps", "--json")[1] or "[]"):
            self.box.run("stop", "-t", "0", pod["pod"])
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.assertEqual(self.box.wait_nothing_left(), [], "processes are left")

    def yaml(self, *cvms, head="", name="pod.yaml"):
        self.box.file(name, head + "cVMs:\n" + "".join(cvms))

    def run_pod(self, *cvms, options=("-q",), **more):
        self.yaml(*cvms, **more)
        return self.box.run("run", "--insecure-no-pkeys", *options, "-y", "pod.yaml")

    def start_pod(self, *cvms, options=(), **more):
        """In the background; returns when all that starts at once runs."""
        self.yaml(*cvms, **more)
        process = self.box.start("run", "--insecure-no-pkeys", "-q", *options, "-y", "pod.yaml")
        self.processes.append(process)
        self.wait(lambda: self.box.run("ps", "--json")[1] != "[]\n")
        return process

    def wait(self, condition, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it did not happen")
            time.sleep(0.01)

    def notes(self):
        path = os.path.join(self.box.work, "notes")
        return open(path).read().splitlines() if os.path.exists(path) else []

    def command(self, *arguments, status=0, **options):
        ran = self.box.run(*arguments, **options)
        self.assertEqual(ran[0], status, ran)
        return ran[2] if status else ran[1]

    def cvms(self, pod="pod", command="ps"):
        pods = json.loads(self.command(command, "--json", pod))
        self.assertEqual([p["pod"] for p in pods], [pod])
        return {c["name"]: c for c in pods[0]["cvms"]}

    def state(self, name, pod="pod"):
        return self.cvms(pod)[name]["state"]

    def socket_path(self, pod="pod"):
        return os.path.join(self.box.runtime, "intravisor", pod + ".sock")

    def connect(self, pod="pod"):
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.connect(self.socket_path(pod))  # waits while the pod's queue is full
        s.settimeout(PATIENCE)
        return s

    def talk(self, request, pod="pod"):
        with self.connect(pod) as s:
            try:
                s.sendall(request)
            except BrokenPipeError:
                pass
            answer = b""
            while not answer.endswith(b"\n"):
                part = s.recv(65536)
                if not part:
                    return None
                answer += part
            return json.loads(answer)


class Pods(PodCase):
    # Order

    def test_starts_in_order(self):
        ran = self.run_pod(cvm("c", UP + "; cvm.exit(0)", after="[b, a]"), cvm("b", UP + "; cvm.exit(0)", after="a", ready="{exit: 0}"),
                           cvm("a", "time.sleep(0.2); " + UP + "; cvm.exit(0)", ready="{exit: 0}"))
        self.assertEqual(ran, (0, "", ""))
        self.assertEqual(self.notes(), ["a up", "b up", "c up"])

    def test_without_a_condition_started_is_enough(self):
        self.assertEqual(self.run_pod(cvm("a", "while not os.path.exists('notes'): time.sleep(0.01)\n" + UP + "; cvm.exit(0)"), cvm("b", UP + "; cvm.exit(0)", after="a"))[0], 0)
        self.assertEqual(self.notes(), ["b up", "a up"])

    def test_ready_file(self):
        ran = self.run_pod(cvm("a", "time.sleep(0.2); open('flag', 'w')\n" + UNTIL_OVER,
                               ready="{file: flag}"),
                           cvm("b", "status = 5 + os.path.exists('flag'); open('over', 'w'); cvm.exit(status)", after="a"))
        self.assertEqual(ran[0], 6)

    def test_ready_port(self):
        """A libOS that says so (EXEC_LISTENS), for whatever may be listened on."""
        says = "time.sleep(0.2); open('told', 'w').write(cvm.ready); cvm.exec_send(21); cvm.exec_send(21)\n" + UNTIL_OVER
        for port, grant, name in ((6379, {"bind": 6379}, "tcp/6379"), (6379, {"listen": 6379}, "tcp/6379"), (80, {"net": "any"}, "tcp/80"),
                                  (8080, {"bind": "'127.0.0.1:8000-8090'"}, "tcp/8080"), (5, {"listen": "'*'"}, "tcp/5"),
                                  ("'unix:/run//app.sock'", {"listen": "'unix:/run/app.sock'"}, "unix/run/app.sock")):
            ran = self.run_pod(cvm("a", says, ready=f"{{port: {port}, timeout: 200s}}", **grant),
                               cvm("b", "status = 5 + os.path.exists('told'); open('over', 'w'); cvm.exit(status)", after="a"))
            self.assertEqual(ran[0], 6, ran)
            told = os.path.join(self.box.work, "told")
            self.assertEqual(open(told).read(), name)
            os.unlink(told)
            os.unlink(os.path.join(self.box.work, "over"))

    def test_ready_port_is_believed_of_its_own(self):
        """Who has no such condition breaks the rules, and who has another one is not ready by that."""
        process = self.start_pod(cvm("a", "cvm.exec_send(22)\n" + UNTIL_TERM), cvm("f", "cvm.exec_send(21)\n" + UNTIL_TERM), cvm("b", "cvm.exec_send(21)\n" + UNTIL_TERM, ready="{file: never}"),
                                 cvm("c", UNTIL_TERM, ready="{port: 1}", listen=1), cvm("d", UP, after="c"), cvm("e", UP, after="b"))
        said = sorted(process.stderr.readline() for _ in range(3))
        self.assertEqual(said, [f"intravisor: {n}: its libOS broke the rules of exec (a message about no program): nothing more is started in it "
                                "until it starts again\n".encode() for n in "abf"])
        self.assertEqual([self.cvms()[n]["ready"] for n in "abcde"], [True, False, False, False, False])
        self.assertEqual([self.state(n) for n in "de"], ["waiting", "waiting"])

    def test_not_ready_in_time(self):
        process = self.start_pod(cvm("a", UNTIL_TERM, ready="{file: never, timeout: 100ms}"),
                                 cvm("b", UP + "; cvm.exit(0)", after="a"), cvm("c", UP + "; cvm.exit(0)", after="b"),
                                 cvm("d", UP + "; cvm.exit(0)"))
        self.assertEqual(process.stderr.readline(), b"intravisor: b is not started: a was not ready in time\n")
        self.assertEqual(process.stderr.readline(), b"intravisor: c is not started: b was not started\n")
        self.command("stop", "pod")
        self.assertEqual((process.wait(PATIENCE), process.stderr.read()), (125, b""))
        self.assertEqual(sorted(self.notes()), ["a up", "d up"])

    def test_ended_before_it_was_ready(self):
        for ready, status in (("{file: never}", 0), ("{exit: 0}", 3), ("{exit: 3}", 4)):
            ran = self.run_pod(cvm("a", f"cvm.exit({status})", ready=ready), cvm("b", UP + "; cvm.exit(0)", after="a", ready="{exit: 0}"),
                               cvm("c", UP, after="b"))
            self.assertEqual(ran[0], status or 125)
            self.assertEqual(ran[2], "intravisor: b is not started: a ended before it was ready\n"
                                     "intravisor: c is not started: b was not started\n")
        self.assertEqual(self.notes(), [])

    # Restarts

    def test_restart_on_failure(self):
        ran = self.run_pod(cvm("a", FAILS.format(3, 4), restart="on-failure", restart_delay="1ms"), options=())
        self.assertEqual(ran[0], 0)
        self.assertEqual([line for line in ran[2].splitlines() if "insecure" not in line],
                         [f"intravisor: warning: a ended with status 3 and starts again in {ms} ms" for ms in (1, 2, 4)])

    def test_what_a_life_logged_stands_before_its_end(self):
        code = "[cvm.log(str(i)) for i in range(40)]; " + FAILS.format(3, 4)
        err = self.run_pod(cvm("a", code, restart="on-failure", restart_delay="1ms"), options=())[2]
        life = [f"[a] {i}" for i in range(40)]
        self.assertEqual([line for line in err.splitlines() if "insecure" not in line],
                         sum((life + [f"intravisor: warning: a ended with status 3 and starts again in {ms} ms"] for ms in (1, 2, 4)), []) + life)

    def test_restart_at_most(self):
        for policy in ("on-failure:2", "always:2"):
            self.assertEqual(self.run_pod(cvm("a", FAILS.format(3, 99), restart=policy, restart_delay="1ms"))[0], 3)
            self.assertEqual(open(os.path.join(self.box.work, "runs")).read(), "xxx")
            os.unlink(os.path.join(self.box.work, "runs"))

    def test_no_restart_by_default_nor_of_success(self):
        for more in ({}, {"restart": "never"}):
            self.assertEqual(self.run_pod(cvm("a", UP + "; cvm.exit(3)", **more))[0], 3)
        self.assertEqual(self.run_pod(cvm("a", UP + "; cvm.exit(0)", restart="on-failure"))[0], 0)
        self.assertEqual(self.notes(), ["a up"] * 3)

    def test_restart_option_of_one_program(self):
        ran = self.box.python(FAILS.format(7, 3), "--restart", "on-failure:5", "--restart-delay", "1ms")
        self.assertEqual(ran, (0, "", ""))

    def test_termination_ends_restarts_and_waiting(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            process = self.start_pod(cvm("a", "cvm.wait_signal(60); cvm.exit(4)", restart="always", ready="{file: never}"),
                                     cvm("b", UP, after="a"), cvm("c", "cvm.exit(5)", restart="always", restart_delay="1h"))
            self.wait(lambda: self.state("c") == "restarting")
            process.send_signal(number)
            process.wait(PATIENCE)
            self.assertEqual(process.returncode, 4)
        self.assertEqual(self.notes(), [])

    def test_a_bare_cvm_is_killed_instead_of_signalled(self):
        from fakes import libos_elf
        self.box.file("prog", libos_elf())
        process = self.start_pod(f"  - {{name: a, runtime: bare, program: prog, args: [{quote('time.sleep(60)')}]}}\n")
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        self.assertEqual(process.returncode, 137)

    # What can be seen

    def test_ps(self):
        self.start_pod(cvm("a", UNTIL_TERM), cvm("b", "cvm.exit(3)"), cvm("c", UNTIL_TERM, after="a"),
                       cvm("d", "cvm.exit(1)", restart="on-failure:9", restart_delay="1h"), cvm("w", UP, after="never"),
                       cvm("never", UNTIL_TERM, ready="{file: never}"))
        self.wait(lambda: self.state("c") == "running" and self.state("d") == "restarting" and self.state("b") == "ended")
        pods = json.loads(self.command("ps", "--json"))
        self.assertEqual([(p["pod"], sorted(p)) for p in pods], [("pod", ["cvms", "pid", "pod"])])
        self.assertEqual(pods[0]["pid"], self.processes[0].pid)
        seen = {c["name"]: (c["state"], c["status"], c["ready"], c["restarts"], c["uptime_ms"] is not None) for c in pods[0]["cvms"]}
        self.assertEqual(seen, {"a": ("running", None, True, 0, True), "b": ("ended", 3, True, 0, False),
                                "c": ("running", None, True, 0, True), "d": ("restarting", 1, True, 0, False),
                                "w": ("waiting", None, False, 0, False), "never": ("running", None, False, 0, True)})
        lines = self.command("ps").splitlines()
        self.assertEqual(lines[0].split(), ["POD", "CVM", "STATE", "READY", "RESTARTS", "UPTIME", "STATUS"])
        self.assertEqual(lines[2].split(), ["pod", "b", "ended", "yes", "0", "-", "3"])
        self.assertEqual(self.command("ps", "pod").splitlines()[2].split(), lines[2].split())

    def test_ps_of_nothing(self):
        self.assertEqual(self.command("ps", "--json"), "[]\n")
        self.assertIn("no pod is called x", self.command("ps", "x", status=1))

    def test_stats(self):
        self.start_pod(cvm("a", UNTIL_TERM), cvm("b", "cvm.exit(0)"))
        self.wait(lambda: self.state("b") == "ended")
        stats = {name: c["stats"] for name, c in self.cvms(command="stats").items()}
        self.assertEqual((stats["a"]["cpu_ns"], stats["a"]["memory_now"], stats["a"]["hostcalls"]), (1250000000, 2 << 20, 11))
        self.assertEqual((stats["b"]["cpu_ns"], stats["b"]["memory_peak"], stats["b"]["hostcalls"]), (250000000, 3 << 20, 7))
        line = self.command("stats", "pod").splitlines()[1].split()
        self.assertEqual(line[:7], ["pod", "a", "running", "1.250", "2.0M", "4.0M", "11"])
        watch = self.box.start("stats", "--watch", "--json")
        first, second = (json.loads(watch.stdout.readline()) for _ in range(2))
        watch.kill()
        watch.communicate()
        self.assertEqual(first[0]["cvms"][0]["stats"], second[0]["cvms"][0]["stats"])

    def test_json_is_what_the_readme_says(self):
        self.start_pod(cvm("a", UNTIL_TERM), cvm("b", "cvm.exit(3)"), cvm("w", UP, after="never"), cvm("never", UNTIL_TERM, ready="{file: never}"))
        self.wait(lambda: self.state("a") == "running" and self.state("b") == "ended" and self.state("never") == "running")
        with open(os.path.join(os.path.dirname(__file__), "../../README.md"), encoding="utf-8") as f:
            text = f.read()
        text = text[text.index("`--json` prints"):]
        said = set(re.findall(r"`([a-z_]+)`", text[:text.index("\n\n")]))
        counts = {"wall_ns", "cpu_ns", "memory_now", "memory_peak", "code_bytes", "log_dropped", "hostcalls", "fast_syscalls", "trapped_syscalls",
                  "faults", "threads_peak", "handles_peak", "code_images"}
        members = {"name": str, "runtime": str, "state": str, "ready": bool, "restarts": int, "uptime_ms": int, "status": int}
        self.assertEqual(said, {"pod", "pid", "cvms", "stats"} | set(members) | counts)
        for command in ("ps", "stats"):
            pod, = json.loads(self.command(command, "--json"))
            self.assertEqual((set(pod), pod["pod"], pod["pid"]), ({"pod", "pid", "cvms"}, "pod", self.processes[0].pid))
            for c in pod["cvms"]:
                runs = c["name"] in ("a", "never")
                stats = c.pop("stats", {})
                null = {m for m, isnt in (("status", c["name"] != "b"), ("uptime_ms", not runs)) if isnt}
                self.assertEqual({m: None if m in null else kind for m, kind in members.items()}, {m: None if v is None else type(v) for m, v in c.items()})
                self.assertEqual(set(stats), counts if command == "stats" else set())
                self.assertEqual({n for n, v in stats.items() if type(v) is not int or v < 0}, {"fast_syscalls"} if runs and stats else set())

    def test_stats_of_a_monitor_that_does_not_answer(self):
        self.start_pod(cvm("a", UNTIL_TERM))
        os.kill(self.monitor_pid(), signal.SIGSTOP)
        self.assertEqual(self.cvms(command="stats")["a"]["stats"]["cpu_ns"], 0)
        os.kill(self.monitor_pid(), signal.SIGCONT)

    def monitor_pid(self):
        pid = self.processes[-1].pid
        return int(open(f"/proc/{pid}/task/{pid}/children").read().split()[0])

    def test_two_pods(self):
        self.start_pod(cvm("a", UNTIL_TERM))
        self.start_pod(cvm("x", UNTIL_TERM), options=("--name", "other"))
        self.wait(lambda: len(json.loads(self.command("ps", "--json"))) == 2)
        self.assertEqual([p["pod"] for p in json.loads(self.command("ps", "--json"))], ["other", "pod"])
        self.command("stop", "other")
        self.assertEqual([p["pod"] for p in json.loads(self.command("ps", "--json"))], ["pod"])

    # Orders

    def test_kill(self):
        self.start_pod(cvm("a", UP + "\nwhile True: n = cvm.wait_signal(60); open('got', 'a').write(f'{n} ')"), cvm("b", FOREVER))
        got = os.path.join(self.box.work, "got")
        for arguments, number in ((["pod/a"], 15), (["-s", "USR1", "pod/a"], 10), (["-s", "sigusr2", "pod"], 12), (["-s", "1", "pod/a"], 1),
                                  (["-HUP", "pod/a"], 1), (["pod/a", "-10"], 10), (["--signal=SIGUSR2", "pod/a"], 12)):
            self.command("kill", *arguments)
            self.wait(lambda: os.path.exists(got) and open(got).read().split()[-1:] == [str(number)])
        self.command("kill", "-s", "KILL", "pod/b")
        self.wait(lambda: self.state("b") == "ended")
        self.assertEqual((self.cvms()["b"]["status"], self.state("a")), (137, "running"))
        self.assertIn("b is not running", self.command("kill", "pod/b", status=1))
        self.assertIn("no cVM of this name", self.command("kill", "pod/x", status=1))
        self.assertIn("no pod is called x", self.command("kill", "x/a", status=1))
        self.assertIn("kill: not a signal: FROB", self.command("kill", "-s", "FROB", "pod/a", status=2))
        self.assertIn("kill: unknown option -FROB (", self.command("kill", "-FROB", "pod/a", status=2))
        self.assertIn("kill: unknown option --time=1s (", self.command("kill", "--time=1s", "pod/a", status=2))
        self.assertIn("stop: not a time: soon (", self.command("stop", "--time=soon", "pod/a", status=2))
        self.assertIn("stop: not a time: soon", self.command("stop", "-t", "soon", "pod/a", status=2))
        self.command("kill", "-s", "9", "pod")
        self.assertEqual(self.processes[0].wait(PATIENCE), 137)

    def test_killed_cvm_is_restarted_by_its_policy(self):
        self.start_pod(cvm("a", FOREVER, restart="always", restart_delay="1ms"), cvm("b", FOREVER))
        for n in range(1, 4):
            self.command("kill", "-s", "KILL", "pod/a")
            self.wait(lambda: self.cvms()["a"]["restarts"] == n and self.state("a") == "running")
        self.wait(lambda: self.notes().count("a up") == 4)
        self.assertEqual(self.notes().count("b up"), 1)

    def test_stop_start_restart_of_one(self):
        self.start_pod(cvm("a", UNTIL_TERM, restart="always", restart_delay="1ms"), cvm("b", FOREVER))
        self.command("stop", "pod/a")
        self.assertEqual((self.state("a"), self.state("b")), ("ended", "running"))
        self.command("stop", "pod/a")  # is stopped already
        time.sleep(0.1)
        self.assertEqual(self.state("a"), "ended")
        self.command("start", "pod/a")
        self.wait(lambda: self.notes().count("a up") == 2)
        self.assertIn("a is running already", self.command("start", "pod/a", status=1))
        self.command("restart", "pod/a")
        self.wait(lambda: self.notes().count("a up") == 3)
        self.command("stop", "pod/a")
        self.command("restart", "pod/a")
        self.wait(lambda: self.notes().count("a up") == 4)
        self.assertEqual((self.state("a"), self.notes().count("b up")), ("running", 1))

    def test_stop_kills_after_the_time(self):
        self.start_pod(cvm("a", "cvm.wait_signal(60)\n" + FOREVER), cvm("b", FOREVER, stop_timeout="100ms"), cvm("c", UNTIL_TERM))
        self.command("stop", "-t", "200ms", "pod/a")
        self.command("stop", "pod/b")
        self.command("stop", "-t", "0", "pod/b")
        self.assertEqual([self.cvms()[n]["status"] for n in "abc"], [137, 137, None])
        self.command("restart", "-t", "0", "pod/c")
        self.assertEqual([self.cvms()["c"][k] for k in ("status", "state")], [137, "running"])

    def test_stop_pod(self):
        process = self.start_pod(cvm("a", UNTIL_TERM, restart="always"), cvm("b", UNTIL_TERM, after="n"),
                                 cvm("n", UNTIL_TERM, ready="{file: never}"))
        self.command("stop", "pod")
        self.assertEqual(self.command("ps", "--json"), "[]\n")
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertEqual(sorted(self.notes()), ["a up", "n up"])

    def test_restart_of_the_only_one_keeps_the_pod(self):
        process = self.start_pod(cvm("a", UNTIL_TERM))
        self.command("restart", "pod")
        self.wait(lambda: len(self.notes()) == 2)
        self.command("stop", "pod/a")
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_start_before_its_turn(self):
        self.start_pod(cvm("a", UNTIL_TERM, ready="{file: never}"), cvm("b", UNTIL_TERM, after="a"))
        self.command("start", "pod/b")
        self.wait(lambda: "b up" in self.notes())

    def test_one_cvm_must_be_named_among_several(self):
        self.start_pod(cvm("a", UNTIL_TERM), cvm("b", UNTIL_TERM))
        for command in ("start", "restart", "logs"):
            self.assertIn("the pod has several cVMs, name one: pod/a, pod/b\n", self.command(command, "pod", status=2))

    # Output

    def test_logs(self):
        code = UP + "; cvm.write(b'out\\n\\xff'); cvm.write('err\\n', 2); cvm.log('traced'); cvm.crash('crashed'); cvm.wait_signal(60); cvm.exit(0)"
        self.start_pod(cvm("a", code), cvm("b", UNTIL_TERM), head="logs: capture\n")
        self.wait(lambda: b"crashed\n" in self.raw("logs", "pod/a"))
        self.assertEqual(sorted(self.raw("logs", "pod/a").split(b"\n")),
                         sorted([b"out", b"\xfferr", b"[a] traced", b"intravisor: a: crashed", b""]))
        self.assertEqual(self.raw("logs", "pod/b"), b"")

    def raw(self, *arguments):
        process = self.box.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, err), (0, b""))
        return out

    def test_logs_follow(self):
        self.start_pod(cvm("a", "for i in range(6): cvm.write(f'{i}\\n'); cvm.wait_signal(60)\ncvm.exit(0)"), cvm("b", FOREVER), head="logs: capture\n")
        follower = self.box.start("logs", "-f", "pod/a")
        for i in range(6):
            self.assertEqual(follower.stdout.readline(), b"%d\n" % i)
            self.command("kill", "pod/a")
        self.assertEqual(follower.communicate(timeout=PATIENCE), (b"", b""), "it ends with the cVM")
        self.assertEqual(follower.returncode, 0)
        self.assertEqual(self.raw("logs", "pod/a"), b"".join(b"%d\n" % i for i in range(6)))

    def test_logs_tail(self):
        """The last lines, of which one without a newline is one; with -f what comes then, too."""
        self.start_pod(cvm("a", "cvm.write('1\\n\\n3\\n'); cvm.wait_signal(60); cvm.write('4'); cvm.wait_signal(60); cvm.write('5\\n'); " + UNTIL_TERM),
                       cvm("b", "[cvm.write(b'%06d\\n' % i) for i in range(100000)]; " + UNTIL_TERM), cvm("c", UNTIL_TERM), head="logs: capture\n")
        self.wait(lambda: self.raw("logs", "pod/a") == b"1\n\n3\n")
        for lines, seen in ((0, b""), (1, b"3\n"), (2, b"\n3\n"), (3, b"1\n\n3\n"), (4, b"1\n\n3\n"), (4294967295, b"1\n\n3\n"), ("all", b"1\n\n3\n")):
            for words in (["-n", str(lines)], [f"-n{lines}"], ["--tail", str(lines)], [f"--tail={lines}"]):
                self.assertEqual(self.raw("logs", *words, "pod/a"), seen, words)
        followers = [self.box.start("logs", "-f", "--tail", n, "pod/a") for n in ("1", "all")]
        self.processes += followers
        self.assertEqual([f.stdout.readline() for f in followers], [b"3\n", b"1\n"])
        news = self.connect()
        news.sendall(b'{"command": "logs", "cvm": "a", "follow": true, "tail": 0}\n')
        self.assertEqual(news.recv(12), b'{"ok":true}\n')
        self.command("kill", "pod/a")
        self.wait(lambda: self.raw("logs", "-n", "1", "pod/a") == b"4")
        self.assertEqual(self.raw("logs", "-n", "2", "pod/a"), b"3\n4")
        self.command("kill", "pod/a")
        self.assertEqual(followers[0].stdout.readline(), b"45\n")
        self.assertEqual([followers[1].stdout.readline() for _ in range(3)], [b"\n", b"3\n", b"45\n"])
        self.assertEqual(b"".join(news.recv(1) for _ in range(3)), b"45\n")
        # Where the oldest bytes have gone, what is left of their line is one.
        self.wait(lambda: self.raw("logs", "-n", "1", "pod/b") == b"099999\n")
        self.assertEqual(self.raw("logs", "-n", "30000", "pod/b"), b"".join(b"%06d\n" % i for i in range(70000, 100000)))
        left = (256 << 10) // 7
        self.assertEqual(self.raw("logs", "-n", str(left), "pod/b"), b"".join(b"%06d\n" % i for i in range(100000 - left, 100000)))
        self.assertEqual(len(self.raw("logs", "-n", str(left + 1), "pod/b")), 256 << 10)
        self.assertEqual(self.raw("logs", "-n", "5", "pod/c"), b"")
        for tail in (b"-1", b"1.0", b'"5"', b"null", b"[]", b"99999999999999999999"):
            answer = self.talk(b'{"command": "logs", "cvm": "a", "tail": %s}\n' % tail)
            self.assertEqual(answer["ok"], False, tail)
        with self.connect() as s:
            s.sendall(b'{"command": "logs", "cvm": "a", "tail": 9223372036854775807}\n')
            self.assertEqual(b"".join(iter(lambda: s.recv(99), b"")), b'{"ok":true}\n1\n\n3\n45\n')

    def test_logs_are_bounded(self):
        self.start_pod(cvm("a", "[cvm.write(b'%07d\\n' % i) for i in range(100000)]; " + UNTIL_TERM), head="logs: capture\n")
        self.wait(lambda: self.notes() == ["a up"])
        self.wait(lambda: self.raw("logs", "pod/a").endswith(b"0099999\n"))
        self.assertEqual(self.raw("logs", "pod"), b"".join(b"%07d\n" % i for i in range(100000 - 32768, 100000)))

    def test_output_is_not_captured_unless_asked(self):
        process = self.start_pod(cvm("a", "print('seen', flush=True); " + UNTIL_TERM))
        self.assertEqual(process.stdout.readline(), b"seen\n")
        self.assertIn("output is not captured (write logs: capture into the YAML file, or use run --detach)",
                      self.command("logs", "pod/a", status=1))

    def test_follower_that_does_not_read_loses_bytes_and_holds_nobody_up(self):
        self.start_pod(cvm("a", "cvm.wait_signal(60); [cvm.write(b'x' * 65536) for i in range(64)]; " + UNTIL_TERM), head="logs: capture\n")
        with self.connect() as s:
            s.sendall(b'{"command": "logs", "cvm": "a", "follow": true}\n')
            self.assertEqual(s.recv(12), b'{"ok":true}\n')
            self.command("kill", "pod/a")
            self.wait(lambda: self.notes() == ["a up"])
            self.assertEqual(len(self.raw("logs", "pod/a")), 256 << 10)
            self.command("stop", "pod/a")
            text = b"".join(iter(lambda: s.recv(1 << 20), b""))
        lost = re.findall(rb"\n\[(\d+) bytes of output were dropped\]\n", text)
        self.assertTrue(lost)
        self.assertEqual(text.count(b"x") + sum(map(int, lost)), 64 << 16)

    def test_flood_of_log_lines(self):
        process = self.start_pod(cvm("a", "while not cvm.killed(): cvm.log('x' * 2000); cvm.log('')", log_rate="1K"),
                                 cvm("b", "cvm.log('here'); " + UNTIL_TERM))
        self.wait(lambda: self.cvms(command="stats")["a"]["stats"]["log_dropped"] > 1000000)
        self.command("stop", "-t", "0", "pod")
        self.assertEqual(process.communicate(timeout=PATIENCE)[1], b"[b] here\n")

    def test_dropped_log_is_counted_for_each_life(self):
        code = "if not os.path.exists('quiet'): cvm.log('x' * 1500)\n"
        self.start_pod(cvm("a", code + UNTIL_TERM, log_rate="1K"))
        self.wait(lambda: self.cvms(command="stats")["a"]["stats"]["log_dropped"] == 1500)
        self.box.file("quiet", "")
        self.command("restart", "pod/a")
        self.assertEqual(self.cvms(command="stats")["a"]["stats"]["log_dropped"], 0)

    # In the background

    def test_detach(self):
        self.yaml(cvm("a", "cvm.write('hello\\n'); print('nowhere'); " + UNTIL_TERM))
        self.assertEqual(self.box.run("run", "--insecure-no-pkeys", "-q", "-d", "-y", "pod.yaml"), (0, "pod\n", ""))
        self.wait(lambda: self.raw("logs", "pod") == b"hello\n")
        self.assertEqual(self.box.run("stop", "pod"), (0, "", ""))
        self.assertEqual(self.command("ps", "--json"), "[]\n")

    def test_detach_one_program(self):
        ran = self.box.python("cvm.write(str([h[:2] for h in cvm.handles[1:3]])); " + UNTIL_TERM, "-d", "--name", "job")
        self.assertEqual(ran, (0, "job\n", ""))
        self.wait(lambda: self.raw("logs", "job") == b"[(1, 2), (1, 2)]")
        self.command("stop", "job")

    def test_detach_tells_why_it_failed(self):
        ran = self.box.python("while not os.path.exists('go'): time.sleep(0.002)\nmonitor.fatal('no memory')", "-d")
        self.assertEqual((ran[0], ran[1]), (0, "fake\n"))  # the fake's cVM says so only after it began
        self.box.file("go", "")
        self.box.helper("monitor", "neither ELF nor script")
        ran = self.box.python("", "-d", "--name", "x")
        self.assertEqual((ran[0], ran[1]), (125, ""))
        self.assertIn("cannot start the monitor", ran[2])
        self.assertFalse(os.path.exists(self.socket_path("x")))
        self.wait(lambda: not os.path.exists(self.socket_path("fake")))

    def test_detach_needs_a_control_socket(self):
        env = dict(self.box.env, XDG_RUNTIME_DIR="/proc/nowhere")
        ran = self.box.python("cvm.exit(0)", "-d", env=env)
        self.assertEqual((ran[0], ran[1]), (125, ""))
        self.assertIn("cannot be controlled, so cannot be left in the background: /proc/nowhere/intravisor: ", ran[2])
        self.yaml(cvm("a", "cvm.exit(3)"))
        self.assertEqual(self.box.run("run", "--insecure-no-pkeys", "-q", "-y", "pod.yaml", env=env), (3, "", ""))
        err = self.box.run("run", "--insecure-no-pkeys", "--verbose", "-y", "pod.yaml", env=env)[2]
        self.assertIn("no control socket, so ps, logs, stop do not work", err)

    # Names and sockets

    def test_names(self):
        self.start_pod(cvm("a", UNTIL_TERM), head="name: mine\n")
        self.assertIn("a pod called mine is running (stop it, or choose another name)",
                      self.run_pod(cvm("a", "cvm.exit(0)"), head="name: mine\n")[2])
        self.assertEqual(self.run_pod(cvm("a", "cvm.exit(0)"), options=("-q", "--name", "mine"))[0], 125)
        self.assertEqual(self.box.python("cvm.exit(3)", "--name", "mine")[0], 125)
        self.assertEqual(self.box.python("cvm.exit(3)", "--name", "hers")[0], 3)
        self.command("stop", "mine")

    def test_a_name_nobody_chose_gets_a_number(self):
        self.start_pod(cvm("a", UNTIL_TERM))
        self.assertEqual(self.run_pod(cvm("a", f"import subprocess; cvm.exit(sum(n.endswith('.sock') for n in os.listdir({os.path.dirname(self.socket_path())!r})))"))[0], 2)
        self.start_pod(cvm("a", UNTIL_TERM))
        self.wait(lambda: [p["pod"] for p in json.loads(self.command("ps", "--json"))] == ["pod", "pod-2"])

    def test_one_unnamed_program_has_no_socket(self):
        self.assertEqual(self.box.python(f"cvm.exit(os.path.exists({os.path.dirname(self.socket_path())!r}))")[0], 0)

    def test_permissions_of_the_socket(self):
        process = self.start_pod(cvm("a", UNTIL_TERM), )
        path = self.socket_path()
        self.assertEqual([stat.S_IMODE(os.stat(p).st_mode) for p in (path, os.path.dirname(path))], [0o600, 0o700])
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        self.assertFalse(os.path.exists(path))

    def test_directory_that_others_can_write_to_is_not_used(self):
        os.makedirs(os.path.dirname(self.socket_path()))
        os.chmod(os.path.dirname(self.socket_path()), 0o777)
        why = os.path.dirname(self.socket_path()) + ": it belongs to another user, or others may write to it (set XDG_RUNTIME_DIR to a directory of your own)"
        status, _, err = self.box.python("cvm.exit(0)", "-d")
        self.assertEqual(status, 125)
        self.assertIn(why, err)
        self.assertIn(why, self.command("ps", status=1))
        self.assertEqual(os.listdir(os.path.dirname(self.socket_path())), [])

    def test_stale_socket(self):
        process = self.start_pod(cvm("a", UNTIL_TERM))
        process.kill()
        process.communicate()
        self.assertTrue(os.path.exists(self.socket_path()))
        self.assertEqual(self.command("ps", "--json"), "[]\n")
        self.assertFalse(os.path.exists(self.socket_path()), "ps cleans up")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(self.socket_path())
        self.assertIn("no pod is called pod", self.command("kill", "pod", status=1))
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(self.socket_path())
        self.start_pod(cvm("a", UNTIL_TERM), options=("--name", "pod"))
        self.assertEqual(self.state("a"), "running")

    def test_what_is_no_socket_is_left_alone(self):
        os.makedirs(os.path.dirname(self.socket_path()), 0o700)
        with open(self.socket_path(), "w") as f:
            f.write("precious")
        self.start_pod(cvm("a", UNTIL_TERM), options=("--name", "other"))
        self.assertEqual([p["pod"] for p in json.loads(self.command("ps", "--json"))], ["other"])
        self.command("stop", "other")
        self.assertEqual(self.command("ps", "--json"), "[]\n")
        with open(self.socket_path()) as f:
            self.assertEqual(f.read(), "precious")

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to become another user")
    def test_another_user_is_refused(self):
        os.chmod(self.box.folder, 0o755)
        self.start_pod(cvm("a", FOREVER))
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        ran = self.box.run("kill", "-s", "KILL", "pod", **nobody)
        self.assertEqual(ran[0], 1, "no permission for the directory")
        # Even if the files' permissions were wrong, the peer's user is asked for.
        for path, mode in ((self.box.runtime, 0o755), (os.path.dirname(self.socket_path()), 0o755), (self.socket_path(), 0o666)):
            os.chmod(path, mode)
        code = (f"import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect({self.socket_path()!r})\n"
                "try:\n    s.sendall(b'{\"command\": \"signal\", \"signal\": 9}\\n')\nexcept BrokenPipeError:\n    pass\n"
                "print(s.recv(999).decode())")
        import subprocess
        out = subprocess.run(["/usr/bin/python3", "-c", code], stdout=subprocess.PIPE, **nobody).stdout
        self.assertEqual(json.loads(out), {"ok": False, "error": "only the user who started the pod, and root, may control it"})
        self.assertEqual(self.state("a"), "running")
        subprocess.run(["/usr/bin/python3", "-c", code], check=True, capture_output=True)  # control: root may
        self.assertEqual(self.processes[0].wait(PATIENCE), 137)

    # Hostile clients

    def test_bad_requests(self):
        self.start_pod(cvm("a", FOREVER))
        deep = b"[" * 1500 + b"]" * 1500
        for request in (b"\n", b"x\n", b"{}\n", b"[]\n", b"null\n", deep + b"\n", b'{"a":' * 700 + b"1" + b"}" * 700 + b"\n", b"\xff\xfe\n",
                        b"\0\n", b'{"command": "status"', b'{"command": 5}\n', b'{"command": "frob"}\n', b'{"command": "start"}\n',
                        b'{"command": "logs"}\n', b'{"command": "stop", "cvm": "x"}\n', b'{"command": "stop", "cvm": 5}\n',
                        b'{"command": "stop", "cvm": null}\n', b'{"command": "stop", "cvm": "a", "timeout_ms": -1}\n',
                        b'{"command": "stop", "cvm": "a", "timeout_ms": 1e9}\n', b'{"command": "stop", "timeout_ms": 999999999999}\n',
                        b'{"command": "signal", "signal": 0}\n', b'{"command": "signal", "signal": 65}\n',
                        b'{"command": "signal", "signal": "KILL"}\n', b'{"command": "status", "command": "signal"}\n',
                        b'{"command": "sta\\u0000tus"}\n', b"x" * 5000, b"x" * 100000, b'{"command": "' + b"s" * 4070 + b'"}\n'):
            if not request.endswith(b"\n") and len(request) < 4096:
                self.connect().close()
                continue
            answer = self.talk(request)
            self.assertEqual((answer["ok"], type(answer["error"])), (False, str), request[:50])
        self.assertEqual(self.state("a"), "running")
        self.assertTrue(self.talk(b'{"command": "status"}\n{"command": "signal", "signal": 9}\n')["ok"])
        self.assertEqual(self.state("a"), "running", "one request each")

    def test_flood_of_connections(self):
        self.start_pod(cvm("a", FOREVER), head="logs: capture\n")
        idle = []
        for _ in range(300):  # more than it serves; each says nothing, or half a request
            s = self.connect()
            if len(idle) % 2:
                s.setblocking(False)
                try:
                    s.send(b'{"command"')
                except OSError:
                    pass
            idle.append(s)
        self.assertEqual(self.state("a"), "running")
        for _ in range(50):
            self.connect().close()
        self.assertEqual(self.state("a"), "running")
        self.assertLess(len(os.listdir(f"/proc/{self.processes[0].pid}/fd")), 60)

    def test_clients_that_wait_do_not_lock_others_out_of_stopping(self):
        process = self.start_pod(cvm("a", FOREVER), head="logs: capture\n")
        followers = []
        for _ in range(20):
            s = self.connect()
            try:
                s.sendall(b'{"command": "logs", "cvm": "a", "follow": true}\n')
            except BrokenPipeError:
                pass  # it was refused at once
            followers.append(json.loads(s.recv(999)))
            followers.append(s)
        self.assertEqual([f for f in followers if isinstance(f, dict) and not f["ok"]],
                         [{"ok": False, "error": "the pod has too many clients (try again)"}] * 4)
        self.assertIn("too many clients", self.command("ps", "pod", status=1))
        process.send_signal(signal.SIGTERM)
        self.assertIsNone(process.poll())
        followers[1].close()
        self.wait(lambda: self.box.run("kill", "-s", "KILL", "pod")[0] == 0)
        self.assertEqual(process.wait(PATIENCE), 137)

    def test_clients_that_leave_while_they_wait(self):
        self.start_pod(cvm("a", FOREVER), cvm("b", FOREVER), head="logs: capture\n")
        for request in (b'{"command": "stop", "cvm": "a", "timeout_ms": 300}', b'{"command": "stats"}',
                        b'{"command": "logs", "cvm": "a", "follow": true}', b'{"command": "restart", "cvm": "a", "timeout_ms": 1}'):
            for _ in range(10):
                with self.connect() as s:
                    s.sendall(request + b"\n")
        self.wait(lambda: self.state("a") in ("ended", "running"))
        self.assertEqual(self.state("b"), "running")

    def test_clients_without_end_are_cut_off(self):
        self.start_pod(cvm("a", FOREVER))
        with self.connect() as s:
            s.sendall(b'{"command"')
            self.assertEqual(select.select([s], [], [], PATIENCE)[0], [s])
            self.assertEqual(s.recv(10), b"")

    def test_an_answer_of_rubbish(self):
        os.makedirs(os.path.dirname(self.socket_path()), 0o700)
        for answer in (b"", b"\n", b"[]\n", b"{}\n", b"x" * (2 << 20), b'{"ok": true, "pod": "\\u001b[2J", "cvms": [5, {"name": [], "stats": 7}]}\n',
                       b'{"ok": true, "cvms": 7}\n', b'{"ok": false, "error": "\\u001b[2J"}\n'):
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(self.socket_path())
                server.listen()
                for command in ("ps", "stats"):
                    process = self.box.start(command, "pod")
                    peer, _ = server.accept()
                    try:
                        peer.sendall(answer)
                    except OSError:
                        pass
                    peer.close()
                    out, err = process.communicate(timeout=PATIENCE)
                    self.assertIn(process.returncode, (0, 1))
                    self.assertNotIn(b"\x1b", out + err)
            os.unlink(self.socket_path())


if __name__ == "__main__":
    result = unittest.main(exit=False, warnings="ignore").result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(bool(failed))
