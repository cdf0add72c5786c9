#!/usr/bin/python3
"""Fault storm: a pod under load whose cVMs are killed at random, from outside and from inside, and start again.

usage: storm.py [SECONDS [SEED]]

Some cVMs are victims; the others are never killed and may never restart. Clients, in cVMs and outside, check every byte of calls,
streams, CP_Files, memory passed and revoked, and of TCP and Unix connections, also those of nginx, redis and Python's http.server.
Errors at a kill are counted; wrong bytes, a channel that does not go on afterwards, and anything that is left in the monitor's
tables, memory, mappings, threads or descriptors are failures. The seed decides who is killed, how, and what clients do (not when
each instruction runs, of course).
"""
import json
import os
import random
import re
import struct
import subprocess
import sys
import threading
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(FOLDER), FOLDER]
import harness  # noqa: E402
import storm_guest  # noqa: E402
from harness import BUILD, ENV, INTRAVISOR, ROOT, Fail, Started, compile_c, expect, free_port, listening, read, run, scratch, yaml_command  # noqa: E402
from soak import compare, monitor_of, run_all, usage  # noqa: E402

CHANNELS = ["call", "capability", "stream", "file", "tcp", "unix", "revoke", "evil"]  # storm.h
ALL, EVIL = (1 << 7) - 1, 1 << 7
VICTIMS = ["backend0", "backend1", "caller", "redis", "web"]
KILLS = ["KILL"] * 4 + ["TERM", "SEGV", "ABRT", "HUP"]
HARMLESS = re.compile(r"does not run|is not running|runs already|has not ended|is running|is being stopped|starts again")
PATIENCE = 120  # seconds without progress: only ever reached by a failure


def storm_program():
    return compile_c(os.path.join(FOLDER, "storm.c"), "gcc", [
        "-O2", "-Wextra", "-I", os.path.join(ROOT, "include"), *(os.path.join(FOLDER, f"storm_{part}.c") for part in ("backend", "client")),
        "-Wl,--whole-archive", os.path.join(BUILD, "sdk/libcvm.a"), "-Wl,--no-whole-archive"])


class Pod:
    def __init__(self, seed, corrupt=False):
        self.where, self.seed, self.corrupt = scratch(f"storm-{'control' if corrupt else 'soak'}"), seed, corrupt
        self.ports = {"backend0": free_port(), "backend1": free_port(), "redis": free_port(), "web": free_port(), "nginx": free_port()}
        self.program, self.tables = storm_program(), compile_c(os.path.join(FOLDER, "monitor_tables.c"))
        self.symbol = next(line.split()[0] for line in run(["nm", harness.MONITOR]).text().splitlines() if line.endswith(" g_arena"))
        self.env = dict(ENV, XDG_RUNTIME_DIR=f"{self.where}/runtime")
        os.makedirs(f"{self.where}/shared")
        self.write_yaml()

    def client(self, who, channels):
        return ["client", str(self.seed), str(who), f"{self.where}/shared", f"{self.ports['backend0']},{self.ports['backend1']}", str(channels)]

    def write_yaml(self):
        p, binaries = self.ports, os.path.dirname(self.program)
        python = compile_c(os.path.join(ROOT, "tests/loopback/python.c"), "gcc", ["-Wl,--no-as-needed", "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0"])
        shared = [f"{self.where}/shared:{self.where}/shared", f"{binaries}:{binaries}:ro", f"{FOLDER}:{FOLDER}:ro", f"{self.where}:/work:ro"]
        backends = [f"unix:/tmp/storm-{i}" for i in range(2)] + [p["backend0"], p["backend1"]]
        uses = [{"file": "board", "access": "rw", "grant": True}, {"file": "storm/*", "map": True}, {"call": "storm/*"}, {"stream": "storm/*"}]
        victim = {"restart": "always", "restart_delay": "0s"}
        cvms = [{"name": f"backend{i}", "program": self.program, "args": ["backend", str(i), str(p[f"backend{i}"])], "memory": "512M", "threads": 1024,
                 "bind": [f"127.0.0.1:{p[f'backend{i}']}"], "listen": [p[f"backend{i}"], f"unix:/tmp/storm-{i}"],
                 "provides": [{"file": f"storm/{i}"}, {"call": f"storm/{i}"}, {"stream": f"storm/{i}"}], "uses": [{"call": "storm/*"}], **victim}
                for i in range(2)]
        cvms += [{"name": name, "program": self.program, "args": self.client(who, channels), "memory": "256M", "uses": uses, "reach": backends, **more}
                 for name, who, channels, more in (("client", 0, ALL, {}), ("evil", 1, EVIL, {}), ("caller", 2, ALL, victim))]
        cvms += [
            {"name": "redis", "program": "/usr/bin/redis-server", "memory": "512M", "listen": [p["redis"]], "bind": [f"127.0.0.1:{p['redis']}"],
             "args": ["--port", str(p["redis"]), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp", "--loglevel", "warning"], **victim},
            {"name": "web", "program": "/usr/bin/python3.11", "args": [f"{FOLDER}/storm_guest.py", "web", str(p["web"])], "memory": "512M", "listen": [p["web"]], **victim},
            {"name": "nginx", "program": "/usr/sbin/nginx", "args": ["-c", "/work/nginx.conf", "-e", "stderr"], "memory": "256M",
             "bind": [f"127.0.0.1:{p['nginx']}"], "reach": [p["web"]]},
            {"name": "py", "program": python, "args": [f"{FOLDER}/storm_guest.py", "client", f"{self.where}/shared", str(p["redis"]), str(p["web"])],
             "memory": "512M", "reach": [p["redis"], p["web"]]}]
        for cvm in cvms:
            cvm["volumes"] = shared
            cvm["env"] = {"CORRUPT": "1"} if self.corrupt else {}
        nginx = read(f"{ROOT}/examples/multi-tier/nginx.conf").replace("127.0.0.1:8080", f"127.0.0.1:{p['nginx']}").replace("127.0.0.1:8081", f"127.0.0.1:{p['web']}")
        with open(f"{self.where}/nginx.conf", "w") as f:
            f.write(nginx.replace("error_log stderr warn", "error_log /dev/null crit"))
        with open(f"{self.where}/pod.yaml", "w") as f:  # JSON is YAML
            json.dump({"name": f"storm-{p['backend0']}", "files": [{"name": "board", "size": 4 * (512 << 10)}], "cVMs": cvms}, f, indent=1)
        self.name = f"storm-{p['backend0']}"

    def command(self, *words):
        """Of the control socket."""
        return run([INTRAVISOR, *words], env=self.env, timeout=60)

    def cvms(self):
        """What ps says, by name."""
        ran = self.command("ps", "--json", self.name)
        expect(ran.status == 0, "ps", ran)
        return {c["name"]: c for pod in json.loads(ran.text()) for c in pod["cvms"]}

    def counts(self):
        """(who, channel) -> (ok, errors, wrong)"""
        found = {}
        for who in "0", "1", "2", "3", "py":
            try:
                with open(f"{self.where}/shared/{who}", "rb") as f:
                    data = f.read()
            except FileNotFoundError:
                continue
            names = ["redis", "web"] if who == "py" else CHANNELS
            for i in range(len(data) // 24):
                count = struct.unpack_from("3Q", data, 24 * i)
                if any(count):
                    found[{"0": "client", "1": "evil", "2": "caller", "3": "outside", "py": "py"}[who], names[i]] = count
        return found


class Outside(threading.Thread):
    """Clients of granted ports, in Python: redis, and web through nginx."""

    def __init__(self, pod):
        super().__init__(daemon=True)
        self.channels = [storm_guest.Channel("redis outside", lambda: storm_guest.Redis(pod.ports["redis"]), pod.seed),
                         storm_guest.Channel("web outside through nginx", lambda: storm_guest.Web(pod.ports["nginx"]), pod.seed + 1)]
        self.ended, self.hold, self.held, self.go = False, False, threading.Event(), threading.Event()
        self.error = None

    def run(self):
        try:
            while not self.ended:
                for channel in self.channels:
                    channel.round()
                if self.hold:
                    for channel in self.channels:
                        channel.close()
                    self.held.set()
                    self.go.wait()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def pause(self):
        self.held.clear()
        self.go.clear()
        self.hold = True
        expect(self.held.wait(PATIENCE), f"a client outside hangs: {self.error}")

    def resume(self):
        self.hold = False
        self.go.set()

    def counts(self):
        return {("outside", c.name): (c.ok, c.errors, c.wrong) for c in self.channels}


class Storm:
    def __init__(self, pod, process, outside):
        self.pod, self.process, self.outside = pod, process, outside
        self.random, self.done, self.stopped = random.Random(pod.seed), {}, set()
        self.monitor = None

    def counts(self):
        return {**self.pod.counts(), **self.outside.counts()}

    def look(self):
        """Nobody says WRONG, the pod runs, those that nobody kills were never restarted."""
        said = self.process.output()
        expect("WRONG" not in said, "wrong:\n" + "\n".join(line for line in said.splitlines() if "WRONG" in line)[:3000])
        expect(self.process.process.poll() is None, f"the Intravisor ended\n{said[-3000:]}")
        expect(not self.outside.error, f"a client outside: {self.outside.error!r}")
        for key, (_, _, bad) in self.counts().items():
            expect(not bad, f"{key}: {bad} wrong")
        for name, cvm in self.pod.cvms().items():
            expect(name in VICTIMS or (cvm["restarts"] == 0 and cvm["state"] == "running"), f"{name}, which nobody killed: {cvm}\n{said[-3000:]}")

    def note(self, what, ran):
        """How often it was done; an answer that says no must be one that may be so in a storm."""
        good = ran.status == 0
        expect(good or HARMLESS.search(ran.errors()), f"{what}", ran)
        self.done[what] = self.done.get(what, 0) + good

    def hit(self):
        victim, what = self.random.choice(VICTIMS), self.random.randrange(12)
        name = f"{self.pod.name}/{victim}"
        if victim in self.stopped:
            ran = self.pod.command("start", name)
            expect(ran.status == 0, "a cVM that was stopped does not start", ran)
            self.stopped.discard(victim)
        elif what < 8:
            signal = self.random.choice(KILLS)
            self.note(f"kill {signal}", self.pod.command("kill", "-s", signal, name))
        elif what < 10:
            self.note("restart", self.pod.command("restart", "-t", self.random.choice(["0s", "50ms"]), name))
        elif what < 11:
            self.note("stop", self.pod.command("stop", "-t", "0s", name))
            self.stopped.add(victim)
        else:  # many at once
            commands = [subprocess.Popen([INTRAVISOR, "kill", "-s", "KILL", f"{self.pod.name}/{v}"], env=self.pod.env, stderr=subprocess.DEVNULL)
                        for v in VICTIMS if v not in self.stopped]
            for command in commands:
                command.wait(60)
            self.done["kill all"] = self.done.get("kill all", 0) + 1

    def blow(self, seconds):
        """The storm itself."""
        end, look = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            self.hit()
            time.sleep(self.random.random() ** 2 * 0.3)
            if time.monotonic() > look:
                self.look()
                look = time.monotonic() + 5

    def calm(self):
        """Every victim runs, and every channel goes on."""
        for victim in sorted(self.stopped):
            ran = self.pod.command("start", f"{self.pod.name}/{victim}")
            expect(ran.status == 0, "a cVM that was stopped does not start", ran)
        self.stopped.clear()
        before, end = self.counts(), time.monotonic() + PATIENCE
        while True:
            now = self.counts()
            stuck = [key for key in now if now[key][0] <= before.get(key, (0,))[0] + 3]
            if len(now) >= 7 + 1 + 7 + 1 + 2 + 2 and not stuck:
                break
            if time.monotonic() > end:
                self.look()
                raise Fail(f"{stuck or set(before) - set(now)} did not go on in {PATIENCE} s: {now}\n{self.process.output()[-3000:]}")
            time.sleep(0.05)
        self.look()

    def rest(self):
        """Nobody does anything, all victims have just started: what there is now."""
        self.calm()
        hold, held = f"{self.pod.where}/shared/hold", [f"{self.pod.where}/shared/{w}.held" for w in ("0", "1", "2", "3", "py")]
        with open(hold, "w"):
            pass
        self.outside.pause()
        self.process.wait_for(lambda: all(map(os.path.exists, held)), PATIENCE)
        for victim in VICTIMS:
            os.path.exists(held[2]) and victim == "caller" and os.unlink(held[2])
            ran = self.pod.command("restart", "-t", "0s", f"{self.pod.name}/{victim}")
            expect(ran.status == 0, "restart", ran)
        ports = self.pod.ports
        self.process.wait_for(lambda: os.path.exists(held[2]) and all(map(listening, (ports["redis"], ports["backend0"], ports["backend1"]))), PATIENCE)
        self.monitor = self.monitor or monitor_of(self.process.process.pid)
        now, same = self.what_there_is(), 0
        end = time.monotonic() + PATIENCE
        while same < 8:  # the last connections and threads have ended
            time.sleep(0.25)
            last, now = now, self.what_there_is()
            same = same + 1 if {**now, "memory": 0} == {**last, "memory": 0} and not now["wrong"] else 0
            expect(time.monotonic() < end, f"no rest: {now}")
        self.look()
        os.unlink(hold)
        self.outside.resume()
        return now

    def what_there_is(self):
        ran = run([self.pod.tables, self.monitor, self.pod.symbol])
        expect(ran.status in (0, 1), "the monitor's tables", ran)
        lines = ran.text().splitlines()
        tables = json.loads(lines[-1])
        del tables["cvms"][""]
        return {**usage(self.monitor), **tables, "wrong": lines[:-1], "command": {k: v for k, v in usage(self.process.process.pid).items() if k != "memory"}}


def compare_rests(first, last):
    """A leak at every kill, or at many, is far more than what a libOS keeps of the files and connections it came across. Threads that
    were there once leave memory and split mappings: the most there ever were decide."""
    compare("the monitor", first, last, mappings=4 * 200, memory=12 << 20, threads=4, descriptors=16, files=0, exports=0, listeners=0, streams=0)
    compare("the command", first["command"], last["command"], descriptors=2, threads=2, mappings=2)
    for name, cvm in first["cvms"].items():
        compare(name, cvm, last["cvms"][name], caps=4, handles=8)


def needs_root():
    if os.geteuid() != 0:
        raise harness.Skip("needs root: the monitor's tables are hidden from others")


def running(pod):
    """The pod, and the clients outside."""
    return Started(yaml_command(f"{pod.where}/pod.yaml", ["-q"]), env=pod.env)


def storm(seconds, seed, warm=8):
    def test():
        needs_root()
        pod = Pod(seed)
        try:
            with running(pod) as process, Started([pod.program, *pod.client(3, 1 << CHANNELS.index("tcp"))], env=ENV) as native:
                outside = Outside(pod)
                outside.start()
                s = Storm(pod, process, outside)
                s.calm()
                s.blow(warm)
                first = s.rest()
                s.blow(seconds)
                last = s.rest()
                compare_rests(first, last)
                expect("WRONG" not in native.output(), native.output())
                outside.ended = True
                counts, restarts = s.counts(), {name: c["restarts"] for name, c in pod.cvms().items() if c["restarts"]}
                for key, (ok, _, _) in sorted(counts.items()):
                    expect(ok, f"{key} never did anything")
        except Fail as fail:
            raise Fail(f"seed {seed} (again: tests/soak/storm.py {seconds} {seed})\n{fail}") from None
        return (f"seed {seed}, restarts by policy {restarts}, {sum(s.done.values())} blows, {sum(c[0] for c in counts.values())} rounds right, "
                f"{sum(c[1] for c in counts.values())} cut short, none wrong; memory {first['memory'] >> 20} to {last['memory'] >> 20} MiB, "
                f"{last['mappings']} mappings, {last['descriptors']} descriptors")
    return test


def control():
    """With one byte of every message another, every channel must say so; streams that are not closed must be seen."""
    needs_root()
    pod = Pod(1, corrupt=True)
    with running(pod) as process:
        outside = Outside(pod)
        outside.start()
        seen = [("client", c) for c in CHANNELS[:6]] + [("py", "redis"), ("py", "web"), ("outside", "web outside through nginx")]
        process.wait_for(lambda: all({**pod.counts(), **outside.counts()}.get(key, (0, 0, 0))[2] for key in seen) and
                         "WRONG backend: read after revocation" in process.output(), PATIENCE)
        storm_ = Storm(pod, process, outside)
        storm_.monitor = monitor_of(process.process.pid)
        process.wait_for(lambda: storm_.what_there_is()["streams"] > 40, PATIENCE)
        outside.ended = True
        outside.join(PATIENCE)
    return f"{len(seen) + 1} channels"


def main(arguments):
    seconds = int(arguments[0]) if arguments else 600
    seed = int(arguments[1]) if len(arguments) > 1 else random.SystemRandom().randrange(1, 1 << 31)
    print(f"storm: seed {seed}, {seconds} s", flush=True)
    return run_all(storm_control=control, storm=storm(seconds, seed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
