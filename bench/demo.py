#!/usr/bin/python3
"""`make run`: Debian's redis-server in a cVM, used from outside by the real redis-cli and redis-benchmark, then python3 and
sqlite3 doing real work in cVMs, a service of four cVMs under wrk, and a table of how fast each was against the native run.
usage: demo.py [--quick]
"""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests"))
sys.path.insert(0, HERE)
import bench  # noqa: E402
import multi_tier  # noqa: E402
from harness import HAVE_KEYS, OUT, Fail, Started, free_port, run, scratch  # noqa: E402

ROWS = []


def step(text):
    print(f"\n== {text}", flush=True)


def row(what, ours, native, unit, better):
    ROWS.append((what, f"{ours:,.0f}" if ours >= 100 else f"{ours:.2f}", f"{native:,.0f}" if native >= 100 else f"{native:.2f}", unit,
                 f"{(ours / native if better == 'more' else native / ours) * 100:.0f} %"))


def redis():
    where, port, native_port = scratch("demo-redis"), free_port(), free_port()
    step(f"redis-server in a cVM (it may listen on 127.0.0.1:{port} and write {os.path.relpath(where)}, nothing else)")
    command = bench.ours(bench.redis_server(port, where), "-v", f"{where}:{where}", "-p", f"127.0.0.1:{port}")
    with Started(command) as server, Started(bench.redis_server(native_port, where)) as native:
        server.wait_for(bench.ready(port))
        native.wait_for(bench.ready(native_port))
        for words in (["set", "greeting", "hello from a cVM"], ["get", "greeting"], ["incrby", "counter", "42"]):
            print(f"$ redis-cli -p {port} {' '.join(words)}\n{run(['/usr/bin/redis-cli', '-p', port, *words]).text().rstrip()}")
        info = run(["/usr/bin/redis-cli", "-p", port, "info", "server"]).text()
        print("\n".join(line for line in info.splitlines() if line.startswith(("redis_version", "os:", "process_id"))))
        step("redis-benchmark against it and against a native redis-server")
        for test, pipeline, requests in (("set", 1, 40_000), ("get", 1, 40_000), ("set", 16, 200_000), ("get", 16, 200_000)):
            requests = requests // 10 if bench.QUICK else requests
            ours = bench.redis_load(port, test, pipeline, requests)
            row(f"redis {test}, pipeline {pipeline}", ours, bench.redis_load(native_port, test, pipeline, requests), "requests/s", "more")
        server.process.terminate()
        print(f"redis-server ended with status {server.wait()} after SIGTERM")


def timed(command, stdin=None):
    started = time.perf_counter()
    ran = bench.output(command, stdin=stdin, timeout=600)
    return time.perf_counter() - started, ran.text()


def same(what, command, *options, stdin=None, native=None, times=1):
    runs = [(timed(bench.ours(command, *options), stdin), timed(native or command, stdin)) for _ in range(times)]
    text, native_text = runs[-1][0][1], runs[-1][1][1]
    ours, theirs = sorted(mine[0] for mine, _ in runs)[times // 2], sorted(his[0] for _, his in runs)[times // 2]
    print(text.rstrip())
    if text != native_text:
        raise Fail(f"{what}: the output differs from the native run's:\n{native_text}")
    row(what, ours, theirs, "s", "less")


def several():
    step("four cVMs (examples/multi-tier): nginx, an API gateway, redis and SQLite; wrk from outside")
    with multi_tier.cvms() as ours, multi_tier.processes() as native:
        for _ in range(2):
            print(f"$ curl http://127.0.0.1:{ours}/item/17\n{multi_tier.get(ours, 17).rstrip()}")
        mine, theirs = [], []
        for _ in range(1 if bench.QUICK else 3):
            rate, report = multi_tier.load(ours, 1 if bench.QUICK else 4)
            mine.append(rate)
            theirs.append(multi_tier.load(native, 1 if bench.QUICK else 4)[0])
        print(report.rstrip())
    mine, theirs = sorted(mine)[len(mine) // 2], sorted(theirs)[len(theirs) // 2]
    row("multi-tier, wrk", mine, theirs, "requests/s", "more")
    print(f"\nThe pod serves {mine:,.0f} requests a second; the same programs as plain processes over TCP {theirs:,.0f}.")


def main():
    os.makedirs(OUT, exist_ok=True)
    if not HAVE_KEYS:
        print("NOTE: this CPU has no memory protection keys, so the cVMs below run with --insecure-no-pkeys: everything works,\n"
              "nothing is isolated. On a CPU with ospke in /proc/cpuinfo the same command isolates them.")
    try:
        redis()
        step("python3 in a cVM: JSON, hashes, big integers")
        programs = os.path.join(os.path.dirname(HERE), "tests/e2e/programs")
        mount = ("-v", f"{programs}:{programs}:ro")
        same("python3 json", [bench.PYTHON, f"{programs}/json_work.py"], *mount, times=3)
        same("python3 decimal", [bench.PYTHON, f"{programs}/decimal_work.py"], *mount, times=3)
        rows = 10_000 if bench.QUICK else 300_000
        step(f"sqlite3 in a cVM: {rows:,} rows into a database on a host directory, an index, three queries")
        where = scratch("demo-sqlite")
        work = bench.insert(rows) + b"select count(*), sum(a), max(b) from t;\n"
        same("sqlite3", ["/usr/bin/sqlite3", f"{where}/cvm.db"], "-v", f"{where}:{where}", stdin=work,
             native=["/usr/bin/sqlite3", f"{where}/native.db"])
        checked = run(["/usr/bin/sqlite3", f"{where}/cvm.db", "pragma integrity_check"]).text().strip()
        print(f"reopened natively, integrity_check: {checked}")
        if checked != "ok":
            raise Fail("the database is not whole")
        several()
    except Fail as error:
        print(f"\nfailed: {error}", file=sys.stderr)
        return 1
    step("what ran, and how fast")
    print(f"{'':28} {'in a cVM':>12} {'native':>12} {'unit':12} speed")
    for what, ours, native, unit, speed in ROWS:
        print(f"{what:28} {ours:>12} {native:>12} {unit:12} {speed}")
    insecure = "" if HAVE_KEYS else " --insecure-no-pkeys"
    print(f"""
Measured once or a few times, so whatever else this machine did shows in it; `make bench` measures properly. Now try it yourself:

  build/intravisor check
  build/intravisor run{insecure} -- python3.11 -c 'print("hello from a cVM")'
  build/intravisor run{insecure} -y examples/hello/pod.yaml""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
