"""The multi-tier example (examples/multi-tier) as cVMs and as plain processes, for the test, the benchmark and the demo."""
import contextlib
import os
import re
import urllib.request

from harness import Fail, ROOT, Started, free_port, read, run, scratch, yaml_command

EXAMPLE = os.path.join(ROOT, "examples/multi-tier")
PROGRAMS = os.path.join(ROOT, "build/examples")


def get(port, item):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/item/{item}", timeout=10) as answer:
        return answer.read().decode()


def answers(port):
    def ready():
        try:
            return bool(get(port, 0))
        except OSError:
            return False
    return ready


def configuration(where, ports, temporary="/tmp"):
    """nginx.conf with other ports, and another directory for what nginx makes."""
    text = read(f"{EXAMPLE}/nginx.conf").replace(" /tmp/", f" {temporary}/")
    for old, new in ports.items():
        text = text.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}")
    with open(f"{where}/nginx.conf", "w") as f:
        f.write(text)


@contextlib.contextmanager
def cvms():
    """The pod; gives the port outside."""
    where, port = scratch("multi-tier-cvms"), free_port()
    configuration(where, {8080: port})
    with open(f"{where}/pod.yaml", "w") as f:
        text = read(f"{EXAMPLE}/pod.yaml").replace("name: multi-tier\n", f"name: multi-tier-{port}\n")
        f.write(text.replace("../../build/examples", PROGRAMS).replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
    with Started(yaml_command(f"{where}/pod.yaml")) as pod:
        pod.wait_for(answers(port))
        yield port
        if pod.process.poll() is not None:
            raise Fail(f"the pod has ended\n{pod.output()}")


@contextlib.contextmanager
def processes():
    """The same programs, natively."""
    where, outside, gateway, redis = scratch("multi-tier-native"), free_port(), free_port(), free_port()
    configuration(where, {8080: outside, 8081: gateway}, where)
    commands = [
        [f"{PROGRAMS}/multi-tier-store", f"{where}/store.sock", f"{where}/store.db"],
        ["/usr/bin/redis-server", "--port", redis, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", where,
         "--loglevel", "warning"],
        [f"{PROGRAMS}/multi-tier-gateway", gateway, redis, f"{where}/store.sock"],
        ["/usr/sbin/nginx", "-c", f"{where}/nginx.conf", "-e", "stderr"]]
    with contextlib.ExitStack() as stack:
        for command in commands:
            last = stack.enter_context(Started(command))
        last.wait_for(answers(outside))
        yield outside


def load(port, seconds=4, connections=32):
    """Requests a second that wrk reaches, and its report; an answer that is not 200 is a failure."""
    ran = run(["/usr/bin/wrk", "-t1", f"-c{connections}", f"-d{seconds}", f"http://127.0.0.1:{port}/item/17"])
    rate = re.search(r"Requests/sec:\s+([\d.]+)", ran.text())
    if ran.status or not rate or re.search(r"Non-2xx|Socket errors", ran.text()):
        raise Fail(f"wrk: {ran}")
    return float(rate[1]), ran.text()
