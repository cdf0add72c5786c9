"""Attack tests: tests/attack/*.c run as cVM "attacker" beside cVM "victim"; see attack.h.

The comment that opens a file holds:
  Question: what the attacker tries
  Expect: the exact last line; "REFUSED: " with nothing behind it takes any refusal; "|killed" behind it also takes that
          only the attacker's cVM is ended
  Control: the option with which the same program must print BREACH, or "none: why"
  Control-result: dead    the control ends the whole Intravisor instead
  Build: gcc (the default) or another one of harness.BUILDS
  Options: YAML keys of the attacker, KEY=VALUE
  Needs: what the emulated machine lacks, so that the test is skipped there
All need protection keys, so without them they run in the emulated machine.
"""
import os
import re

import harness
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
    return compile_c(source, directives(source, ("build",)).get("build", "gcc"))


def prepare():
    victim_program()
    for name in sorted(os.listdir(FOLDER)):
        if name.endswith(".c"):
            attack_program(os.path.join(FOLDER, name))
    monitor_symbols()


def monitor_symbols():
    """Offsets of the monitor's symbols from gate_enter: an attacker knows all about the monitor."""
    path = os.path.join(harness.OUT, "symbols")
    if harness.IN_VM and os.path.exists(path):
        return harness.read(path)
    ran = run(["/usr/bin/nm", os.path.join(harness.BUILD, "intravisor-monitor")])
    symbols = {words[2]: int(words[0], 16) for words in map(str.split, ran.text().splitlines()) if len(words) == 3}
    expect("gate_enter" in symbols, "the monitor has no symbol gate_enter", ran)
    text = "".join(f"{name} {value - symbols['gate_enter']}\n" for name, value in sorted(symbols.items()))
    with open(path, "w") as f:
        f.write(text)
    return text


def stage(name, program, options):
    """Directories, links and YAML file of one run."""
    where = scratch(f"attack-{name}")
    for folder in ("shared", "shared/a", "own", "outside", "read-only"):
        os.makedirs(f"{where}/{folder}")
    for file, text in (("outside/secret", "secret\n"), ("read-only/read-only-mark", "kept\n"), ("shared/symbols", monitor_symbols())):
        with open(f"{where}/{file}", "w") as f:
            f.write(text)
    os.symlink("../outside/secret", f"{where}/shared/climbing-link")
    os.symlink("../outside", f"{where}/shared/climbing-directory")
    os.symlink(f"{where}/outside/secret", f"{where}/shared/absolute-link")
    os.symlink("/proc/self/root/etc/hostname", f"{where}/shared/proc-link")
    os.mkfifo(f"{where}/shared/fifo")
    bin_folder = os.path.dirname(program)
    extra = "".join(f"    {o.split('=')[0]}: {o.split('=')[1]}\n" for o in options.split())
    with open(f"{where}/pod.yaml", "w") as f:
        f.write(f"""cVMs:
  - name: victim
    program: {victim_program()}
    volumes: ["{bin_folder}:{bin_folder}:ro", "{where}/shared:/shared", "{where}/own:/own"]
  - name: attacker
    program: {program}
    volumes: ["{bin_folder}:{bin_folder}:ro", "{where}/shared:/shared", "{where}/read-only:/read-only:ro"]
{extra}""")
    return where


def run_pair(where, options):
    """Runs victim and attacker; returns verdict line or None, the victim's line or None, status, all output."""
    with Started(yaml_command(f"{where}/pod.yaml", options, insecure=[])) as pod:
        def over():
            text = pod.output()
            return VERDICT.search(text) or re.search(r"^intravisor: attacker: .*(signal|exit|end|kill|loaded)", text, re.M)
        try:
            pod.wait_for(over, 60)
        except Fail:
            if pod.process.poll() is None:  # neither verdict nor crash nor end: it hangs
                raise
        with open(f"{where}/shared/stop", "w"):
            pass
        status = pod.wait()
        text = pod.output()
    verdict = VERDICT.findall(text) and VERDICT.search(text)[0]
    victim = re.search(r"^victim: (\w+)$", text, re.M)
    return verdict or None, victim and victim[1], status, text


def attack(source):
    name = os.path.basename(source)[:-2]
    said = directives(source, ("question", "build", "expect", "control", "control-result", "options", "needs"))

    def test():
        if not harness.HAVE_KEYS:
            raise harness.Skip("needs protection keys", keys=True)
        if "needs" in said and harness.IN_VM:
            raise harness.Skip(f"needs {said['needs']}", keys=True)
        for key in ("question", "expect", "control"):
            expect(key in said, f"the file's comment has no {key}")
        program = attack_program(source)
        where = stage(name, program, said.get("options", ""))
        verdict, victim, status, text = run_pair(where, [])
        wanted, _, killed = said["expect"].partition("|")
        if verdict is None:
            expect(killed == "killed", f"no verdict, status {status}\n{text}")
            expect(status != 0, f"the attacker vanished with status 0\n{text}")
        else:
            fits = verdict.startswith("REFUSED: ") if wanted.strip() == "REFUSED:" else verdict == wanted.strip()
            expect(fits, f"expected {wanted!r}, got {verdict!r}\n{text}")
            expect(status == 0, f"status {status}\n{text}")
        expect(victim == "intact", f"the victim is {victim or 'gone'}\n{text}")
        expect(harness.read(f"{where}/read-only/read-only-mark") == "kept\n" and os.listdir(f"{where}/read-only") == ["read-only-mark"]
               and harness.read(f"{where}/outside/secret") == "secret\n" and os.listdir(f"{where}/outside") == ["secret"],
               f"files outside changed\n{text}")
        if said["control"].startswith("none"):
            return None
        where = stage(name + "-control", program, said.get("options", ""))
        verdict, victim, status, text = run_pair(where, said["control"].split())
        if said.get("control-result") == "dead":
            expect(victim is None and status != 0, f"the control did not end the Intravisor: status {status}\n{text}")
        else:
            expect(verdict is not None and verdict.startswith("BREACH: "), f"the control ({said['control']}) is no breach: {verdict}\n{text}")
        return None
    return test


def tests():
    return [Test("attack/" + n[:-2], attack(os.path.join(FOLDER, n)), vm="only") for n in sorted(os.listdir(FOLDER)) if n.endswith(".c")]
