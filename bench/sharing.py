"""What sharing costs: CP_Files, CP_Calls and CP_Streams between two cVMs beside memcpy, shared memory, pipes and sockets between two
processes, over sizes from 1 byte to 64 MiB. bench.py calls what is in MEASURES with itself."""
import json
import os
import statistics

NATIVE = ("memcpy", "mmap_memcpy", "pipe", "unix", "tcp")
OURS = ("cp_file_read", "cp_file_write", "cp_stream")


def parse(text):
    """{(what, size): (bytes/s, p50, p99, p999)} and {what: number}"""
    table, single = {}, {}
    for words in map(str.split, text.splitlines()):
        if len(words) == 6:
            table[words[0], int(words[1])] = tuple(map(float, words[2:]))
        elif len(words) == 2:
            single[words[0]] = float(words[1])
    return table, single


def medians(runs):
    table = {key: tuple(statistics.median(run[0][key][i] for run in runs) for i in range(4)) for key in runs[0][0]}
    return table, {key: statistics.median(run[1][key] for run in runs) for key in runs[0][1]}


def sharing(bench):
    harness = bench.harness
    sdk = os.path.join(harness.BUILD, "sdk/libcvm.a")
    program = harness.compile_c(os.path.join(bench.PROGRAMS, "sharing.c"), "gcc", [
        "-O2", "-I", os.path.join(harness.ROOT, "include"), "-Wl,--whole-archive", sdk, "-Wl,--no-whole-archive"])
    folder = os.path.dirname(program)
    where = os.path.join(bench.scratch("bench-sharing"), "pod.yaml")
    apart = os.path.join(bench.scratch("bench-sharing-apart"), "pod.yaml")

    def write(path, server, client, isolated):
        cvms = [{"name": role, "program": program, "args": [role], "volumes": [f"{folder}:{folder}:ro"], "isolate_libos": isolated,
                 key: [{"call": "bench/null"}, {"stream": "bench/stream"}]} for role, key in ((server, "provides"), (client, "uses"))]
        with open(path, "w") as f:
            json.dump({"cVMs": cvms}, f)
    write(where, "server", "client", False)
    write(apart, "callee", "caller", True)
    ours, native, isolated = [], [], []
    for _ in range(3 if bench.QUICK else 5):  # turn and turn about
        ours.append(parse(bench.output(harness.yaml_command(where), timeout=300).text()))
        isolated.append(parse(bench.output(harness.yaml_command(apart), timeout=300).text())[1]["cp_call_null_cycles"])
        native.append(parse(bench.output([program, "native"], timeout=300).text()))
    runs = len(ours)
    (mine, own), (other, rival) = medians(ours), medians(native)
    everything = {**other, **{k: v for k, v in mine.items() if k[0] in OURS}}
    draw(bench, everything)
    for (what, size), (rate, p50, p99, p999) in sorted(everything.items()):
        yield bench.entry(f"sharing_{what}_{size}", "bytes/s", rate, runs=runs, p50_ns=p50, p99_ns=p99, p999_ns=p999)

    def against(name, key, rivals, bound):
        for rival_name, table, rival_key in rivals:
            suffix = "" if rival_name == rivals[0][0] else "_" + rival_name
            yield bench.entry(name + suffix, "bytes/s", mine[key][0], rival_name, table[rival_key][0], runs=runs, bound=bound[rival_name])
    for size, name, bound in ((65536, "64k", 0.95), (4096, "4k", 0.80)):
        for way in ("read", "write"):
            yield from against(f"cp_file_{way}_{name}", (f"cp_file_{way}", size), [("memcpy", mine, ("memcpy_cvm", size))], {"memcpy": bound})
    for way in ("read", "write"):
        yield from against(f"cp_file_{way}_4k_gate", (f"cp_file_{way}_gate", 4096), [("memcpy", mine, ("memcpy_cvm", 4096))], {"memcpy": 0.80})
    yield from against("cp_file_read_64k_behind", ("cp_file_read_behind", 65536), [("memcpy", mine, ("memcpy_behind", 65536))], {"memcpy": 0.95})
    for way in ("read", "write"):
        yield from against(f"cp_file_{way}_64b", (f"cp_file_{way}", 64), [("pipe", other, ("pipe", 64))], {"pipe": 5})
    yield from against("cp_stream_64k", ("cp_stream", 65536), [("memcpy", mine, ("memcpy_cvm", 65536)), ("unix", other, ("unix", 65536))],
                       {"memcpy": 0.90, "unix": 4})
    pipe_messages = other["pipe", 64][0] / 64
    yield bench.entry("cp_stream_64b_msgs", "messages/s", own["cp_stream_64b_batched"], "pipe", pipe_messages, runs=runs, bound=10,
                      unbatched=bench.rounded(mine["cp_stream", 64][0] / 64))
    yield bench.entry("cp_stream_wake_ns", "ns", own["cp_stream_wake_ns"], "pipe", rival["pipe_wake_ns"], runs=runs, bound=1)
    if bench.HAVE_KEYS:
        wrpkru = float(bench.output([bench.program("wrpkru")]).text().split()[-1])
        yield bench.entry("cp_call_null_cycles", "cycles", own["cp_call_null_cycles"], "one WRPKRU", wrpkru, runs=runs, bound=12)
    else:
        yield bench.entry("cp_call_null_cycles", "cycles", own["cp_call_null_cycles"], runs=runs, bound="12 x wrpkru_cycles",
                          reason="without the four WRPKRU: " + bench.NO_KEYS)
    yield bench.entry("cp_call_null_isolated_cycles", "cycles", statistics.median(isolated), "without isolate_libos",
                      own["cp_call_null_cycles"], runs=runs)
    yield bench.entry("cp_call_null_ns", "ns", own["cp_call_null_ns"], "pipe round trip", rival["pipe_roundtrip_ns"], runs=runs, bound=1 / 30)


def draw(bench, everything):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, (rates, times) = pyplot.subplots(1, 2, figsize=(13, 5))
    for what in OURS + NATIVE:
        points = sorted((size, value) for (name, size), value in everything.items() if name == what)
        sizes = [size for size, _ in points]
        style = {"marker": "o", "linewidth": 2} if what in OURS else {"marker": ".", "linestyle": "--"}
        line, = rates.loglog(sizes, [v[0] / 1e9 for _, v in points], label=what, **style)
        times.loglog(sizes, [v[1] / 1000 for _, v in points], label=what, color=line.get_color(), **style)
        times.fill_between(sizes, [v[1] / 1000 for _, v in points], [v[2] / 1000 for _, v in points], color=line.get_color(), alpha=0.08)
    for axes, title in ((rates, "throughput, GB/s"), (times, "one operation, microseconds: median, up to the 99th percentile")):
        axes.set_xlabel("bytes")
        axes.set_title(title)
        axes.grid(True, which="major", alpha=0.3)
    rates.legend()
    figure.tight_layout()
    figure.savefig(os.path.join(bench.RESULTS, "sharing.png"), dpi=110)
    pyplot.close(figure)


MEASURES = [sharing]
