#!/usr/bin/python3
"""What only time brings out. usage: soak.py [STARTS [SECONDS]]

First STARTS (2000) cVMs start and end in one Intravisor, 13 at a time: its memory, mappings, threads and descriptors
must be at the end what they were after the first of them. Then redis is under load for SECONDS (600) beside cVMs that
crash, loop and take all memory they can get: no request may fail; how long requests take, with and without the
neighbours, goes to bench/results/soak.json.
"""
import csv
import io
import os
import re
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(FOLDER))
import harness  # noqa: E402
from harness import ROOT, Fail, Started, compile_c, expect, free_port, read, run, scratch, write_json, yaml_command  # noqa: E402

CVMS = 13
WORKER = os.path.join(FOLDER, "worker.c")
NEIGHBOURS = {
    "crasher": ("perl", "my $m = 'x' x 4000000; kill SEGV => $$"),
    "looper": ("perl", "1 while 1"),
    "bomber": ("perl", "my @m; while (1) { push @m, 'x' x 1000000 }"),  # dies of it, and starts again
}


def usage(pid):
    """What a process has of the host; memory in bytes, without the pages of files. Of the monitor only root may read the mappings:
    for others there are none."""
    rss = re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+)", read(f"/proc/{pid}/status"), re.M)
    return {"descriptors": os.stat(f"/proc/{pid}/fd").st_size, "threads": len(os.listdir(f"/proc/{pid}/task")),
            "mappings": read(f"/proc/{pid}/maps").count("\n"), "memory": sum(map(int, rss)) << 10}


def monitor_of(pid):
    for child in read(f"/proc/{pid}/task/{pid}/children").split():
        if read(f"/proc/{child}/comm").startswith("intravisor-moni"):
            return child
    raise Fail("there is no monitor")


class Workers:
    """13 cVMs that start again and again; `hold` lets each stop and wait in its next life."""

    def __init__(self, starts):
        self.where, program = scratch("soak-starts"), compile_c(WORKER)
        os.makedirs(f"{self.where}/shared")
        lives = -(-starts // CVMS)
        with open(f"{self.where}/pod.yaml", "w") as f:
            f.write("cVMs:\n" + "".join(
                f"  - {{name: w{i}, program: {program}, args: [w{i}], memory: 128M, restart: 'always:{lives + 20}', restart_delay: 0s,\n"
                f"     volumes: ['{self.where}/shared:/shared', '{os.path.dirname(program)}:{os.path.dirname(program)}:ro'], bind: ['0']}}\n" for i in range(CVMS)))
        self.command = yaml_command(f"{self.where}/pod.yaml", ["-q"])

    def lives(self):
        """Of each worker."""
        return [os.path.getsize(p) if os.path.exists(p) else 0 for p in (f"{self.where}/shared/w{i}" for i in range(CVMS))]

    def hold(self, pod, monitor, seconds):
        """Until all wait, and what their last lives left is gone."""
        with open(f"{self.where}/shared/hold", "w"):
            pass
        pod.wait_for(lambda: all(os.path.exists(f"{self.where}/shared/w{i}.held") for i in range(CVMS)) and
                     len(os.listdir(f"/proc/{monitor}/task")) == CVMS + 1, seconds)
        return sum(self.lives())

    def go_on(self):
        os.unlink(f"{self.where}/shared/hold")


def compare(what, first, last, **noise):
    """noise: how much more there may be of what."""
    for key, most in noise.items():
        expect(last[key] <= first[key] + most, f"{what}: {key} grew from {first[key]} to {last[key]}\nfirst {first}\nlast  {last}")


def starts(count, first_count=CVMS * 4):
    def test():
        if os.geteuid() != 0:
            raise harness.Skip("needs root: what the monitor's process uses is hidden from others")
        workers = Workers(count)
        with Started(workers.command) as pod:
            pod.wait_for(lambda: sum(workers.lives()) >= first_count, 120)
            monitor = monitor_of(pod.process.pid)
            begun = workers.hold(pod, monitor, 120)
            first, first_command = usage(monitor), usage(pod.process.pid)
            workers.go_on()
            pod.wait_for(lambda: sum(workers.lives()) >= count, 120 + count // 2)
            ended = workers.hold(pod, monitor, 120)
            last, last_command = usage(monitor), usage(pod.process.pid)
            # Thread blocks keep their guards, which split a mapping: the most threads there ever were decide over some mappings.
            compare(f"the monitor, after {ended} starts (first looked at after {begun})", first, last,
                    descriptors=0, threads=0, mappings=4 * 3 * CVMS, memory=4 << 20)
            compare("the command", first_command, last_command, descriptors=0, threads=0, mappings=2, memory=4 << 20)
        return f"{ended} starts, memory {first['memory'] >> 10} to {last['memory'] >> 10} KiB, {last['mappings']} mappings, {last['descriptors']} descriptors"
    return test


def benchmark(port, seconds, requests):
    """redis-benchmark again and again: requests a second and p99 in ms of each round and command."""
    end, rows = time.monotonic() + seconds, []
    while time.monotonic() < end:
        ran = run(["/usr/bin/redis-benchmark", "-p", port, "-c", 20, "-n", requests, "-t", "set,get", "--csv"], timeout=300)
        expect(ran.status == 0 and "rror" not in ran.text() + ran.errors(), "a request failed", ran)
        for row in csv.DictReader(io.StringIO(ran.text())):
            rows.append((float(row["rps"]), float(row["p99_latency_ms"])))
    expect(rows, "redis-benchmark measured nothing")
    rows.sort(key=lambda r: r[1])
    return {"rounds": len(rows), "p99_ms": rows[len(rows) // 2][1], "worst_p99_ms": rows[-1][1], "requests_a_second": sorted(r[0] for r in rows)[len(rows) // 2]}


def redis_pod(where, port, neighbours):
    redis = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]
    with open(f"{where}/pod.yaml", "w") as f:
        f.write(f"cVMs:\n  - {{name: redis, program: /usr/bin/redis-server, args: {redis!r}, memory: 512M, bind: ['127.0.0.1:{port}']}}\n")
        for name in neighbours:
            program, code = NEIGHBOURS[name]
            f.write(f"  - {{name: {name}, program: [{program}, -e, \"{code}\"], memory: 128M, restart: always, restart_delay: 100ms}}\n")
    return Started(yaml_command(f"{where}/pod.yaml", ["-q"]))


def redis(seconds):
    def test():
        where, results = scratch("soak-redis"), {"cores": os.cpu_count(), "seconds": seconds}
        for name, neighbours, share in (("alone", [], 5), ("with neighbours", list(NEIGHBOURS), 1)):
            port = free_port()
            with redis_pod(where, port, neighbours) as pod:
                pod.wait_for(lambda p=port: run(["/usr/bin/redis-cli", "-p", p, "ping"]).text() == "PONG\n", 60)
                results[name] = benchmark(port, max(seconds / share, 3), 50000 if seconds > 60 else 5000)
                expect(pod.process.poll() is None, f"the Intravisor ended\n{pod.output()[-3000:]}")
        results["p99_ratio"] = round(results["with neighbours"]["p99_ms"] / results["alone"]["p99_ms"], 2)
        os.makedirs(os.path.join(ROOT, "bench/results"), exist_ok=True)
        write_json(os.path.join(ROOT, "bench/results/soak.json"), results)
        text = f"p99 {results['alone']['p99_ms']} ms alone, {results['with neighbours']['p99_ms']} ms with neighbours, {results['cores']} cores"
        if results["cores"] > len(NEIGHBOURS) + 2:  # a core for each cVM, and for the client
            expect(results["p99_ratio"] <= 1.5, f"the neighbours slow redis down: {text}")
        return text
    return test


def run_all(**tests):
    """One after the other up to the first that fails; the exit status."""
    os.makedirs(harness.OUT, exist_ok=True)
    for name, test in tests.items():
        try:
            print(f"soak/{name}: {test()}", flush=True)
        except (Fail, harness.Skip) as failure:
            print(f"FAIL soak/{name}: {failure}")
            return 1
    return 0


def main(arguments):
    counts = [int(a) for a in arguments] + [2000, 600][len(arguments):]
    return run_all(starts=starts(counts[0]), redis=redis(counts[1]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
