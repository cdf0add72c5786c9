"""Attack tests: tests/attack/*.c run as cVM "attacker" beside cVM "victim"; see attack.h. tests/attack/*.py attack the
command from outside: run as the scripts of tests/cli are, with the same first four entries in their docstring.

The comment that opens a file holds:
  Question: what the attacker tries
  Expect: the exact last line; "REFUSED: " with nothing behind it takes any refusal; "|killed" behind it also takes that
          only the attacker's cVM is ended
  Control: the option with which the same program must print BREACH; or the attacker's YAML key, KEY=VALUE, instead of that of
          Options; or "none: why"
  Control-result: dead    the control ends the whole Intravisor instead; starved, changed: the victim is
  Control-if: a regular expression; the control runs only where /proc/self/maps has it
  Native: what refuses it, not needing protection keys: it runs natively, as insecure as the machine forces it to
  Build: gcc (the default) or another one of harness.BUILDS
  Command: options of the command
  Options: YAML keys of the attacker, KEY=VALUE; FREE_PORT in them is a free one, also told in /shared/port
  Grants: capabilities    what tests/attack/cap.h describes, between the attacker and a companion that owns
  Companions: how many more cVMs run the program, with the argument "companion"
  Companion0-options: YAML keys of the first of them alone, as Options
  Never: a regular expression that no line of the output may match
  Never-in-control: the same, which the control's output must match instead of having BREACH
  Signals-pending: how many more signals may be queued for the user than before
  Shared-memory: MiB that the host's memory files may grow by
  Needs: what the emulated machine lacks, so that the test is skipped there
Others need protection keys, so without them they run in the emulated machine.
"""
import os
import re
import socket
import stat
import threading

import harness
import suite_cli
from harness import ROOT, Fail, Started, Test, compile_c, directives, expect, run, scratch, yaml_command

FOLDER = os.path.join(ROOT, "tests/attack")
VERDICT = re.compile(r"^(REFUSED|BREACH): .*$", re.M)


def victim_program():
    source = os.path.join(harness.OUT, "bin", "victim.c")
    original = harness.read(os.path.join(FOLDER, "victim.c.in"))
    if harness.read(source) != original:
        os.makedirs(os.path.dirname(source), exist_ok=True)
        with open(source, "w") as f:
            f.write(original)
    return compile_c(source)


def attack_program(source):
    return compile_c(source, directives(source, ("build",)).get("build", "gcc"), flags=("-Wl,-z,now",))  # threads without TLS bind nothing


def prepare():
    victim_program()
    for source in sources():
        attack_program(source)
    monitor_symbols()
    libos_symbols()


def sources(ending=".c"):
    return [os.path.join(FOLDER, n) for n in sorted(os.listdir(FOLDER)) if n.endswith(ending)]


def monitor_symbols():
    """Offsets of the monitor's symbols, and of its system call instructions, from gate_enter: an attacker knows all about it."""
    path = os.path.join(harness.OUT, "symbols")
    if harness.IN_VM and os.path.exists(path):
        return harness.read(path)
    with _symbols_lock:
        return read_symbols(path)


def libos_symbols():
    """Offsets of the libOS's symbols from the slot."""
    path = os.path.join(harness.OUT, "libos-symbols")
    if harness.IN_VM and os.path.exists(path):
        return harness.read(path)
    with _symbols_lock:
        ran = run(["/usr/bin/nm", os.path.join(harness.BUILD, "intravisor-libos")])
        text = "".join(f"{w[2]} {int(w[0], 16)}\n" for w in map(str.split, ran.text().splitlines()) if len(w) == 3)
        expect("user_copy" in text, "the libOS has no symbol user_copy", ran)
        with open(path, "w") as f:
            f.write(text)
    return text


_symbols_lock = threading.Lock()


def read_symbols(path):
    binary = harness.MONITOR
    if harness.read(path) and os.path.getmtime(path) > os.path.getmtime(binary):
        return harness.read(path)
    ran = run(["/usr/bin/nm", binary])
    symbols = {words[2]: int(words[0], 16) for words in map(str.split, ran.text().splitlines()) if len(words) == 3}
    expect("gate_enter" in symbols, "the monitor has no symbol gate_enter", ran)
    calls = re.findall(r"^\s*([0-9a-f]+):\s+syscall\b", run(["/usr/bin/objdump", "-d", "--no-show-raw-insn", binary]).text(), re.M)
    expect(calls, "no system call instruction in the monitor")
    symbols.update({f"syscall.{i}": int(address, 16) for i, address in enumerate(calls)})
    text = "".join(f"{name} {value - symbols['gate_enter']}\n" for name, value in sorted(symbols.items()))
    with open(path, "w") as f:
        f.write(text)
    return text


def special_files(folder):
    with socket.socket(socket.AF_UNIX) as s:
        here = os.open(folder, os.O_PATH)
        s.bind(f"/proc/self/fd/{here}/socket")  # a short name for a long path
        os.close(here)
    for name, kind, device in (("device", stat.S_IFCHR, os.makedev(1, 3)), ("block-device", stat.S_IFBLK, os.makedev(7, 0))):
        try:
            os.mknod(f"{folder}/{name}", kind | 0o666, device)
        except PermissionError:
            pass  # the attack does without


# What the comment "Grants: capabilities" gives: the companion owns, the attacker may open; and the other way round for "evil".
OWNED = '[{file: shared}, {call: "service*"}, {stream: port}]', '[{call: evil}, {stream: evil}]'
OPENED = '[{file: evil}, {call: evil}, {stream: evil}]', \
    '[{file: shared, access: rw, map: true, grant: true}, {call: "service*"}, {stream: port}]'


def grants(which, said):
    return f"    provides: {which[0]}\n    uses: {which[1]}\n" if "grants" in said else ""


def stage(name, program, said):
    """Directories, links and YAML file of one run."""
    where = scratch(f"attack-{name}")
    for folder in ("shared", "shared/a", "own", "outside", "read-only"):
        os.makedirs(f"{where}/{folder}")
    for file, text in (("outside/secret", "secret\n"), ("read-only/read-only-mark", "kept\n"), ("shared/symbols", monitor_symbols()),
                       ("shared/libos-symbols", libos_symbols())):
        with open(f"{where}/{file}", "w") as f:
            f.write(text)
    os.symlink("../outside/secret", f"{where}/shared/climbing-link")
    os.symlink("../outside", f"{where}/shared/climbing-directory")
    os.symlink(f"{where}/outside/secret", f"{where}/shared/absolute-link")
    os.symlink("/proc/self/root/etc/hostname", f"{where}/shared/proc-link")
    os.mkfifo(f"{where}/shared/fifo")
    special_files(f"{where}/shared")
    bin_folder = os.path.dirname(program)
    options = said.get("options", "")
    if "FREE_PORT" in options:
        port = harness.free_port()
        options = options.replace("FREE_PORT", str(port))
        with open(f"{where}/shared/port", "w") as f:
            f.write(f"{port}\n")
    extra, first = ("".join(f"    {o.split('=')[0]}: {o.split('=')[1]}\n" for o in text.split())
                    for text in (options, said.get("companion0-options", "")))
    with open(f"{where}/pod.yaml", "w") as f:
        f.write(f"""cVMs:
  - name: victim
    program: {victim_program()}
    volumes: ["{bin_folder}:{bin_folder}:ro", "{where}/shared:/shared", "{where}/own:/own"]
  - name: attacker
    program: {program}
    volumes: ["{bin_folder}:{bin_folder}:ro", "{where}/shared:/shared", "{where}/read-only:/read-only:ro"]
{extra}{grants(OPENED, said)}""")
        for i in range(int(said.get("companions", 0))):
            f.write(f"""  - name: companion{i}
    program: {program}
    args: [companion]
    volumes: ["{bin_folder}:{bin_folder}:ro", "{where}/shared:/shared"]
{extra}{'' if i else first}{grants(OWNED, said)}""")
    return where


def signals_pending():
    return int(re.search(r"^SigQ:\s+(\d+)/", harness.read("/proc/self/status"), re.M)[1])


def shared_memory():
    """MiB of memory files and other shared memory on the host."""
    return int(re.search(r"^Shmem:\s+(\d+) kB", harness.read("/proc/meminfo"), re.M)[1]) >> 10


class Outcome:
    """verdict: the first verdict line or None; victim: the word behind "victim:" or None; status; all output."""

    def __init__(self):
        self.verdict = self.victim = self.status = None
        self.text, self.pending, self.shared = "", 0, 0


def run_pod(where, options, insecure):
    result = Outcome()
    before, shared_before = signals_pending(), shared_memory()
    with Started(yaml_command(f"{where}/pod.yaml", options, insecure=insecure)) as pod:
        def over():
            result.pending = max(result.pending, signals_pending() - before)
            result.shared = max(result.shared, shared_memory() - shared_before)
            text = pod.output()
            return VERDICT.search(text) or re.search(r"^intravisor: attacker: .*(signal|SIG|exit|end|kill|loaded)", text, re.M)
        try:
            pod.wait_for(over, 60)
        except Fail:
            if pod.process.poll() is None:  # neither verdict nor crash nor end: it hangs
                raise
        with open(f"{where}/shared/stop", "w"):
            pass
        result.status = pod.wait()
        result.text = pod.output()
    found = VERDICT.search(result.text)
    victim = re.search(r"^victim: (.*)$", result.text, re.M)
    result.verdict, result.victim = found and found[0], victim and victim[1]
    return result


DIRECTIVES = ("question", "build", "expect", "control", "control-result", "control-if", "native", "command", "options", "companions",
              "companion0-options", "grants",
              "never", "never-in-control", "signals-pending", "shared-memory", "needs")


def check_outcome(said, outcome, where):
    text = outcome.text
    wanted, _, killed = said["expect"].partition("|")
    if outcome.verdict is None:
        expect(killed == "killed", f"no verdict, status {outcome.status}\n{text}")
        expect(outcome.status != 0, f"the attacker vanished with status 0\n{text}")
    else:
        fits = outcome.verdict.startswith("REFUSED: ") if wanted.strip() == "REFUSED:" else outcome.verdict == wanted.strip()
        expect(fits, f"expected {wanted!r}, got {outcome.verdict!r}\n{text}")
        expect(outcome.status == 0, f"status {outcome.status}\n{text}")
    expect(outcome.victim == "intact", f"the victim is {outcome.victim or 'gone'}\n{text}")
    expect(harness.read(f"{where}/read-only/read-only-mark") == "kept\n" and os.listdir(f"{where}/read-only") == ["read-only-mark"]
           and harness.read(f"{where}/outside/secret") == "secret\n" and os.listdir(f"{where}/outside") == ["secret"],
           f"files outside changed\n{text}")
    for key in ("never", "never-in-control"):
        expect(key not in said or not re.search(said[key], text, re.M), f"the output has what it must never have\n{text!r}")
    expect("shared-memory" not in said or outcome.shared <= int(said["shared-memory"]), f"memory files grew by {outcome.shared} MiB")
    expect("signals-pending" not in said or outcome.pending <= int(said["signals-pending"]), f"{outcome.pending} signals were queued")


def check_control(said, outcome):
    text, how = outcome.text, said.get("control-result")
    if how == "dead":
        expect(outcome.victim is None and outcome.status != 0, f"the control did not end the Intravisor: status {outcome.status}\n{text}")
    elif "never-in-control" in said:
        expect(re.search(said["never-in-control"], text, re.M), f"the control's output has not what it should\n{text!r}")
    elif how in ("starved", "changed"):
        expect((outcome.victim or "").startswith(how.upper()), f"the victim is {outcome.victim or 'gone'} with {said['control']}\n{text}")
    else:
        expect((outcome.verdict or "").startswith("BREACH: "), f"the control ({said['control']}) is no breach: {outcome.verdict}\n{text}")


def attack(source):
    name = os.path.basename(source)[:-2]
    said = directives(source, DIRECTIVES)

    def test():
        if "native" not in said and not harness.HAVE_KEYS:
            raise harness.Skip("needs protection keys", keys=True)
        if "needs" in said and harness.IN_VM:
            raise harness.Skip(f"needs {said['needs']}", keys=True)
        for key in ("question", "expect", "control"):
            expect(key in said, f"the file's comment has no {key}")
        program = attack_program(source)
        insecure = harness.INSECURE if "native" in said else []
        where = stage(name, program, said)
        check_outcome(said, run_pod(where, said.get("command", "").split(), insecure), where)
        possible = "control-if" not in said or re.search(said["control-if"], harness.read("/proc/self/maps"))
        if possible and not said["control"].startswith("none"):
            option = said["control"].split() if said["control"].startswith("-") else []
            where = stage(name + "-control", program, said if option else dict(said, options=said["control"]))
            check_control(said, run_pod(where, said.get("command", "").split() + option, insecure))
    return test


def tests():
    found = [Test("attack/" + os.path.basename(s)[:-2], attack(s), vm=None if "native" in directives(s, ("native",)) else "only") for s in sources()]
    return found + [Test("attack/" + os.path.basename(s)[:-3], suite_cli.script(s)) for s in sources(".py")]
