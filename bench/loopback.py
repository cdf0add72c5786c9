"""Two programs that talk over TCP on 127.0.0.1, each in its own cVM of one Intravisor, against the same two as plain processes.
Called by bench.py, whose helpers come in as `bench`."""
import os
import re
import statistics

import multi_tier
from harness import OUT, Fail, Started, free_port, scratch, yaml_command
from suite_loopback import pod


def couple(bench, name, server, client, port, **options):
    """The client's output with both in cVMs."""
    folders = [os.path.join(OUT, "bin")]
    volumes = [f"{f}:{f}:ro" for f in folders]
    path = pod(name, [{"name": "server", "command": server, "listen": [port], "volumes": volumes, **options},
                      {"name": "client", "command": client, "reach": [port], "volumes": volumes, "after": ["server"]}])
    return yaml_command(path)


def loopback_tcp(bench):
    stream, total = bench.program("stream"), 512 if bench.QUICK else 4096
    port = free_port()
    server, client = [stream, "server", port], [stream, "client", port, 65536, total]

    def mine():
        return float(bench.output(couple(bench, "bench-stream", server, client, port)).text().split()[-1])

    def native():
        with Started(server) as other:
            other.wait_for(lambda: True)
            return bench.number(client)
    yield bench.entry("loopback_tcp_64k", "MB/s", *bench.both(*bench.alternate(mine, native)))


def rate_of(text):
    lines = [line for line in text.replace("\r", "\n").splitlines() if re.match(r'"(SET|GET)"', line)]
    return statistics.mean(float(line.split(",")[1].strip('"')) for line in lines) if len(lines) == 2 else None


def loopback_redis(bench):
    for name, clients, pipeline, requests in (("p1", 50, 1, 100_000), ("p16", 50, 16, 1_000_000), ("one", 1, 1, 20_000)):
        requests //= 4 if bench.QUICK else 1

        def words(port):
            return ["/usr/bin/redis-benchmark", "-p", port, "-c", clients, "-P", pipeline, "-n", requests, "-t", "set,get", "--csv"]

        def mine():
            port, where = free_port(), scratch("bench-loopback-redis")
            command = couple(bench, "bench-redis", bench.redis_server(port, "/tmp"), words(port), port, bind=[f"127.0.0.1:{port}"],
                             ready=f"{{port: {port}}}")
            with Started(command, cwd=where) as both:
                both.wait_for(lambda: rate_of(both.output()), 300)
                both.process.terminate()
                both.wait()
                return rate_of(both.output())

        def native():
            port, where = free_port(), scratch("bench-loopback-redis")
            with Started(bench.redis_server(port, where)) as server:
                server.wait_for(bench.ready(port))
                return rate_of(bench.output(words(port), timeout=300).text())
        yield bench.entry(f"loopback_redis_{name}", "requests/s", *bench.both(*bench.alternate(mine, native)))


def pod_requests(bench):
    if not os.path.exists("/usr/bin/wrk"):
        raise Fail("wrk is not installed")
    seconds = 2 if bench.QUICK else 4
    with multi_tier.cvms() as ours, multi_tier.processes() as native:
        values = bench.alternate(lambda: multi_tier.load(ours, seconds)[0], lambda: multi_tier.load(native, seconds)[0])
        yield bench.entry("pod_requests", "requests/s", *bench.both(*values))


MEASURES = [loopback_tcp, loopback_redis, pod_requests]
