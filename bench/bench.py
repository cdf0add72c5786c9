#!/usr/bin/python3
"""Measures the Intravisor side by side with the native run (and crun where it works) and writes
bench/results/latest.json and PNG plots.

Each entry: name, unit, value (ours; the median of `runs` runs that alternate with the rival's), baseline_name, baseline
and ratio (ours divided by the rival's). What this machine cannot measure has value null and a reason; what was measured
without protection keys is marked "insecure": such a figure lacks the cost of changing rights.
usage: bench.py [--quick] [PART-OF-A-NAME...]
"""
import functools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests"))
import harness  # noqa: E402
from harness import HAVE_KEYS, OUT, Fail, Started, compile_c, cvm_command, free_port, listening, run, scratch  # noqa: E402

# The kernel gives each session with something to do the same share of a processor: four programs would get four, a pod of four one.
harness.GROUP = {"process_group": 0}

RESULTS = os.path.join(HERE, "results")
PROGRAMS = os.path.join(HERE, "programs")
QUICK = "--quick" in sys.argv
RUNS = 3 if QUICK else 7
PYTHON = "/usr/bin/python3.11"


def program(name):
    return compile_c(os.path.join(PROGRAMS, name + ".c"), "gcc", ["-O2"])


def output(command, **how):
    ran = run(command, **how)
    if ran.status:
        raise Fail(f"status {ran.status}: {ran}")
    return ran


def ours(command, *options):
    folders = [os.path.join(OUT, "bin"), PROGRAMS]
    os.makedirs(folders[0], exist_ok=True)
    volumes = [word for f in folders for word in ("-v", f"{f}:{f}:ro")]
    return cvm_command(command, [*volumes, *options])


def number(command):
    return float(output(command).text().split()[-1])


def seconds(command, stdin=None):
    started = time.perf_counter()
    output(command, stdin=stdin, timeout=600)
    return time.perf_counter() - started


def timed(command):
    """Milliseconds of a command: on the clock, and of the processor."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=harness.ENV)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 42):  # 42: hello's
        raise Fail(f"status {process.returncode}: {' '.join(command)}")
    return (time.perf_counter() - started) * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def alternate(mine, rival, runs=RUNS):
    """Two measurements, turn and turn about: medians, and how many runs each had. One warm-up of each."""
    mine(), rival()
    a, b = [], []
    for turn in range(runs):
        for measure, values in ((mine, a), (rival, b)) if turn % 2 else ((rival, b), (mine, a)):
            values.append(measure())
    return statistics.median(a), statistics.median(b)


def alternate_many(mine, rival, runs=RUNS):
    """The same for measurements that give several figures at once: a pair of medians for each."""
    pairs = []
    alternate(lambda: pairs.append((0, mine())) or 0, lambda: pairs.append((1, rival())) or 0, runs)
    sides = [[figures for side, figures in pairs[2:] if side == which] for which in (0, 1)]
    return [tuple(statistics.median(column) for column in both_sides) for both_sides in zip(*(zip(*side) for side in sides))]


def entry(name, unit, value, rival=None, baseline=None, runs=RUNS, **more):
    result = {"name": name, "unit": unit, "value": rounded(value), "runs": runs}
    if rival:
        result |= {"baseline_name": rival, "baseline": rounded(baseline), "ratio": rounded(value / baseline if baseline else None)}
    if not HAVE_KEYS and value is not None:
        result["insecure"] = True
    return result | more


def rounded(value):
    return None if value is None else float(f"{value:.4g}")


def unmeasured(name, unit, reason):
    return {"name": name, "unit": unit, "value": None, "runs": 0, "reason": reason}


NO_KEYS = "this CPU has no protection keys (ospke is not in /proc/cpuinfo)"


def wrpkru_cycles():
    if not HAVE_KEYS:
        yield unmeasured("wrpkru_cycles", "cycles", NO_KEYS)
        return
    yield entry("wrpkru_cycles", "cycles", statistics.median(number([program("wrpkru")]) for _ in range(RUNS)))


def gate_roundtrip_cycles():
    gate = program("gate")
    if HAVE_KEYS:
        mine, rival = alternate(lambda: number(ours([gate])), lambda: number([program("wrpkru")]))
        yield entry("gate_roundtrip_cycles", "cycles", mine, "one WRPKRU", rival)
    else:
        yield entry("gate_roundtrip_cycles", "cycles", statistics.median(number(ours([gate])) for _ in range(RUNS)),
                    reason="without the two WRPKRU: " + NO_KEYS)


def syscall_getpid_cycles():
    getpid = program("getpid")
    yield entry("syscall_getpid_cycles", "cycles", *both(*alternate(lambda: number(ours([getpid])), lambda: number([getpid]))))


def isolated_getpid_cycles():
    getpid = program("getpid")
    reason = {} if HAVE_KEYS else {"reason": "without the four WRPKRU: " + NO_KEYS}
    yield entry("isolated_getpid_cycles", "cycles", *both(*alternate(lambda: number(ours([getpid], "--isolate-libos")),
                lambda: number([getpid]))), **reason)


def both(mine, rival, name="native"):
    return mine, name, rival


def pread_4k():
    pread, where = program("pread"), scratch("bench-pread")
    with open(f"{where}/f", "wb") as f:
        f.write(bytes(1 << 20))
    options = ("-v", f"{where}:{where}")
    yield entry("pread_4k", "ns", *both(*alternate(lambda: number(ours([pread, f"{where}/f"], *options)), lambda: number([pread, f"{where}/f"]))))


def open_close():
    program_, where = program("open"), scratch("bench-open")
    with open(f"{where}/f", "wb"):
        pass
    options = ("-v", f"{where}:{where}")
    yield entry("open_close", "ns", *both(*alternate(lambda: number(ours([program_, f"{where}/f"], *options)), lambda: number([program_, f"{where}/f"]))))


def processes():
    make = program("process")
    for how, name in (("fork", "fork_wait"), ("exec", "fork_exec_wait"), ("spawn", "spawn_wait")):
        yield entry(name, "us", *both(*alternate(lambda: number(ours([make, how])), lambda: number([make, how]))))
    script = "i=0; while [ $i -lt 100 ]; do x=$(echo $i | tr 0-9 a-j); i=$((i + 1)); done"
    shell = ["/bin/sh", "-c", script]
    yield entry("shell_pipelines", "ms", *both(*alternate(lambda: timed(ours(shell))[0], lambda: timed(shell)[0])))


def fast_share(command, options=(), load=None, stdin=None):
    """Rewritten share of the program's executed system calls, from --stats."""
    where = [*ours(command, "--stats", *options)]
    if load:
        with Started(where) as started:
            load(started)
            started.process.terminate()
            started.wait()
            text = started.output()
    else:
        text = output(where, stdin=stdin).errors()
    lines = text.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("cVM "))
    row = dict(zip(lines[head].split(), lines[head + 1].split()))
    fast, trapped = int(row["fast_calls"]), int(row["trapped"])
    return fast / (fast + trapped)


def redis_server(port, folder):
    return ["/usr/bin/redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"]


def redis_load(port, test, pipeline, requests):
    ran = output(["/usr/bin/redis-benchmark", "-p", str(port), "-c", "50", "-P", str(pipeline), "-n", str(requests), "-t", test, "--csv"])
    return float(ran.text().splitlines()[-1].split(",")[1].strip('"'))


def ready(port):
    return lambda: listening(port)


def redis_rates():
    where, one, two = scratch("bench-redis"), free_port(), free_port()
    options = ("-v", f"{where}:{where}", "-p", f"127.0.0.1:{one}")
    with Started(ours(redis_server(one, where), *options)) as mine, Started(redis_server(two, where)) as native:
        mine.wait_for(ready(one))
        native.wait_for(ready(two))
        for test in ("get", "set"):
            for pipeline, requests in ((1, 60_000), (16, 400_000)):
                requests //= 4 if QUICK else 1
                def load(server, port):
                    before = cpu_ns(server.process.pid)
                    rate = redis_load(port, test, pipeline, requests)
                    return rate, (cpu_ns(server.process.pid) - before) / requests
                rates, cpu = alternate_many(lambda: load(mine, one), lambda: load(native, two))
                yield entry(f"redis_{test}_p{pipeline}", "requests/s", *both(*rates))
                yield entry(f"redis_{test}_p{pipeline}_cpu", "ns", *both(*cpu))


NGINX = """daemon off; master_process off; pid {where}/pid; error_log /dev/null;
events {{ worker_connections 512; }}
http {{ access_log off; client_body_temp_path {where}; proxy_temp_path {where}; fastcgi_temp_path {where}; uwsgi_temp_path {where};
scgi_temp_path {where}; server {{ listen 127.0.0.1:{port}; root {where}; }} }}
"""


def nginx_static():
    """A file of 4 KiB, opened and sent for each request."""
    where, commands, ports = {}, {}, {}
    for side in ("cvm", "native"):
        where[side], ports[side] = scratch(f"bench-nginx-{side}"), free_port()
        os.chmod(where[side], 0o777)  # run by root, nginx becomes another user
        for name, content in (("nginx.conf", NGINX.format(where=where[side], port=ports[side]).encode()), ("index.html", os.urandom(4096))):
            with open(f"{where[side]}/{name}", "wb") as f:
                f.write(content)
        commands[side] = ["/usr/sbin/nginx", "-c", f"{where[side]}/nginx.conf"]
    mine = ours(commands["cvm"], "-v", f"{where['cvm']}:{where['cvm']}", "-p", f"127.0.0.1:{ports['cvm']}")
    with Started(mine) as one, Started(commands["native"]) as two:
        one.wait_for(ready(ports["cvm"]))
        two.wait_for(ready(ports["native"]))

        def load(server, port):
            before = cpu_ns(server.process.pid)
            report = output(["/usr/bin/wrk", "-t1", "-c20", f"-d{1 if QUICK else 3}s", f"http://127.0.0.1:{port}/"]).text()
            requests = int(re.search(r"(\d+) requests in", report)[1])
            return float(re.search(r"Requests/sec: +([0-9.]+)", report)[1]), (cpu_ns(server.process.pid) - before) / requests
        rates, cpu = alternate_many(lambda: load(one, ports["cvm"]), lambda: load(two, ports["native"]))
    yield entry("nginx_static", "requests/s", *both(*rates))
    yield entry("nginx_static_cpu", "ns", *both(*cpu))


def cpu_ns(pid):
    """Processor time of a process and its children that live, all their threads."""
    tasks = os.listdir(f"/proc/{pid}/task")
    children = " ".join(harness.read(f"/proc/{pid}/task/{t}/children") for t in tasks).split()
    return sum(int(harness.read(f"/proc/{pid}/task/{t}/schedstat").split()[0]) for t in tasks) + sum(cpu_ns(int(c)) for c in children)


def syscall_fast_share():
    port, where = free_port(), scratch("bench-share")

    def load(started):
        started.wait_for(ready(port))
        redis_load(port, "get", 1, 20_000)
    shares = {
        "redis": lambda: fast_share(redis_server(port, where), ("-v", f"{where}:{where}", "-p", f"127.0.0.1:{port}"), load),
        "python": lambda: fast_share([PYTHON, f"{PROGRAMS}/python_bench.py"]),
        "sqlite": lambda: fast_share(["/usr/bin/sqlite3", f"{where}/s.db"], ("-v", f"{where}:{where}"), stdin=insert(20_000)),
    }
    values = {}
    for name, measure in shares.items():
        try:
            values[name] = measure()
            yield entry(f"syscall_fast_share_{name}", "share", values[name], runs=1)
        except (Fail, StopIteration, KeyError, ZeroDivisionError) as error:
            yield unmeasured(f"syscall_fast_share_{name}", "share", first_line(error))
    if values:
        yield entry("syscall_fast_share", "share", min(values.values()), runs=1, programs=sorted(values))


def python_bench():
    script = f"{PROGRAMS}/python_bench.py"
    mine, rival = alternate(lambda: 1 / number(ours([PYTHON, script])), lambda: 1 / number([PYTHON, script]))
    yield entry("python_bench", "runs/s", *both(mine, rival))


def insert(rows):
    return (f"pragma journal_mode=wal; create table if not exists t(id integer primary key, a integer, b text); delete from t; begin; "
            f"with recursive c(x) as (select 1 union all select x+1 from c where x<{rows}) insert into t select x, x*7919 % 1000003, "
            f"'row ' || x from c; commit; create index if not exists t_a on t(a);").encode()


SELECT = b"select sum(length(b)) from t where a between 1000 and 400000; select count(*) from t where b like '%77%'; select max(a) from t;" * 10


def sqlite():
    where = scratch("bench-sqlite")
    rows = 60_000 if QUICK else 300_000
    options = ("-v", f"{where}:{where}")
    for name, statements, work in (("sqlite_insert", insert(rows), rows), ("sqlite_select", SELECT, 10)):
        values = alternate(lambda: work / seconds(ours(["/usr/bin/sqlite3", f"{where}/cvm.db"], *options), statements),
                           lambda: work / seconds(["/usr/bin/sqlite3", f"{where}/native.db"], statements))
        yield entry(name, "rows/s" if work == rows else "queries/s", *both(*values))


def sha256_200mb():
    where = scratch("bench-sha")
    with open(f"{where}/f", "wb") as f:
        for _ in range(200):
            f.write(os.urandom(1 << 10) * 1024)
    command = ["/usr/bin/sha256sum", f"{where}/f"]
    values = alternate(lambda: 200 / seconds(ours(command, "-v", f"{where}:{where}:ro")), lambda: 200 / seconds(command))
    yield entry("sha256_200mb", "MB/s", *both(*values))
    os.unlink(f"{where}/f")


def trees():
    """Real programs that mostly ask for names, attributes and small files."""
    where, library = scratch("bench-trees"), "/usr/lib/python3.11"
    commands = {"tree_du": ["/usr/bin/du", "-s", "/usr/share"], "tree_grep": ["/usr/bin/grep", "-rlw", "import", library],
                "tree_tar": ["/usr/bin/tar", "-cf", f"{where}/t.tar", "-C", library, "."]}
    for name, command in commands.items():
        mine = ours(command, "-v", f"{where}:{where}")
        wall, cpu = alternate_many(lambda: timed(mine), lambda: timed(command))
        yield entry(f"{name}_ms", "ms", *both(*wall))
        yield entry(f"{name}_cpu_ms", "ms", *both(*cpu))
    os.unlink(f"{where}/t.tar")


def start_times():
    hello = compile_c(os.path.join(harness.ROOT, "tests/guest/hello.c"))
    for name, command in (("hello", [hello]), ("python", [PYTHON, "-c", "pass"])):
        mine = ours(command)
        if run(mine).status not in (0, 42):
            raise Fail(str(run(mine)))
        wall, cpu = alternate_many(lambda: timed(mine), lambda: timed(command), RUNS * 3)
        yield entry(f"start_{name}_ms", "ms", *both(*wall), runs=RUNS * 3)
        yield entry(f"start_{name}_cpu_ms", "ms", *both(*cpu), runs=RUNS * 3)
        crun = crun_bundle(name, command)
        if crun:
            values = alternate(lambda: timed(mine)[0], lambda: timed(crun())[0], RUNS * 3)
            yield entry(f"start_{name}_ms_crun", "ms", *both(*values, "crun"), runs=RUNS * 3)
        else:
            yield unmeasured(f"start_{name}_ms_crun", "ms", "crun cannot run a container here (cgroups, or not root)")


def crun_bundle(name, command):
    """A function that gives a crun command on the same root directory, or None where crun cannot run."""
    if not shutil.which("crun") or os.getuid():
        return None
    where = scratch(f"bench-crun-{name}")
    output(["crun", "spec"], cwd=where)
    with open(f"{where}/config.json") as f:
        config = json.load(f)
    config["process"] |= {"args": command, "terminal": False, "cwd": "/"}
    config["root"] = {"path": "/", "readonly": True}
    with open(f"{where}/config.json", "w") as f:
        json.dump(config, f)
    count = iter(range(10**9))

    def make():
        return ["crun", "run", "--bundle", where, f"bench-{os.getpid()}-{name}-{next(count)}"]
    return make if run(make()).status in (0, 42) else None


MEASURES = [wrpkru_cycles, gate_roundtrip_cycles, syscall_getpid_cycles, isolated_getpid_cycles, pread_4k, open_close, processes, syscall_fast_share, redis_rates,
            nginx_static, python_bench, sqlite, sha256_200mb, trees, start_times]


def first_line(error):
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def plot(results):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    with_ratio = [r for r in results if r.get("ratio")]
    if with_ratio:
        figure, axes = pyplot.subplots(figsize=(9, 0.3 * len(with_ratio) + 1.5))
        names = [f"{r['name']} [{r['unit']}] : {r['baseline_name']}" for r in with_ratio][::-1]
        # How many times as fast as the rival: to the right is better, for rates and times. The axis is logarithmic.
        values = [r["ratio"] if r["unit"].endswith("/s") else 1 / r["ratio"] for r in with_ratio][::-1]
        axes.barh(names, [v - 1 for v in values], left=1, color=["#44aa77" if v >= 1 else "#cc6677" for v in values])
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_xlim(min(values + [1]) / 1.5, max(values + [1]) * 2.5)
        axes.set_ylim(-0.7, len(values) - 0.3)
        ticks = [t for t in (0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100, 1000) if axes.get_xlim()[0] <= t <= axes.get_xlim()[1]]
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.xaxis.set_minor_locator(pyplot.NullLocator())
        axes.set_xlabel("times as fast as the rival that is named behind the colon")
        for i, value in enumerate(values):
            axes.text(value, i, f" {value:.2f} ", va="center", ha="left" if value >= 1 else "right", fontsize=8)
        figure.tight_layout()
        figure.savefig(os.path.join(RESULTS, "ratios.png"), dpi=110)
        pyplot.close(figure)
    redis = [r for r in results if r["name"].startswith("redis_") and r["unit"] == "requests/s" and r["value"]]
    if redis:
        figure, axes = pyplot.subplots(figsize=(7, 4))
        places = range(len(redis))
        axes.bar([p - 0.2 for p in places], [r["value"] / 1000 for r in redis], 0.4, label="Intravisor", color="#4477aa")
        axes.bar([p + 0.2 for p in places], [r["baseline"] / 1000 for r in redis], 0.4, label="native", color="#bbbbbb")
        axes.set_xticks(list(places), [r["name"][6:].replace("_", " ") for r in redis])
        axes.set_ylabel("1,000 requests/s")
        axes.legend()
        figure.tight_layout()
        figure.savefig(os.path.join(RESULTS, "redis.png"), dpi=110)
        pyplot.close(figure)


def main():
    os.makedirs(RESULTS, exist_ok=True)
    os.makedirs(OUT, exist_ok=True)
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]
    if not HAVE_KEYS:
        print("NOTE: " + NO_KEYS + ": measured with --insecure-no-pkeys, marked insecure", flush=True)
    import loopback
    import sharing
    here = sys.modules[__name__]
    shared = [functools.update_wrapper(functools.partial(m, here), m) for m in loopback.MEASURES + sharing.MEASURES]
    results, failed = [], False
    for measure in MEASURES + shared:
        if wanted and not any(w in measure.__name__ for w in wanted):
            continue
        try:
            for result in measure():
                results.append(result)
                show(result)
        except Fail as error:
            failed = True
            results.append(unmeasured(measure.__name__, "", "failed: " + first_line(error)))
            print(f"{measure.__name__}: {error}", file=sys.stderr, flush=True)
    harness.write_json(os.path.join(RESULTS, "latest.json"), results)
    plot(results)
    return 1 if failed else 0


def show(result):
    value = "-" if result["value"] is None else f"{result['value']:g}"
    rival = f"{result['baseline_name']} {result['baseline']:g}, ratio {result['ratio']:.3f}" if result.get("ratio") else result.get("reason", "")
    print(f"{result['name']:26} {value:>10} {result['unit']:10} {rival}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
