#!/usr/bin/python3
"""
Question: connections count as memory of who made them. Can a cVM that ends and starts again collect more than its limit, if another
keeps the other ends?
Expect: what the other holds stays within the limit of one life
Control: --insecure-no-limits
"""
import os
import re
import subprocess
import sys
import tempfile

INTRAVISOR, OPTIONS = os.environ["INTRAVISOR"], os.environ.get("INTRAVISOR_OPTIONS", "").split()
LIMIT_MIB, CONNECTION_KIB, LIVES = 32, 256, 4
POD = f"""
cVMs:
  - name: keeper
    program: /usr/bin/perl
    args: [/work/keeper.pl]
    volumes: ["WHERE:/work:ro"]
    listen: [7000]
  - name: bomb
    program: /usr/bin/perl
    args: [/work/bomb.pl]
    volumes: ["WHERE:/work:ro"]
    reach: [7000]
    memory: {LIMIT_MIB}M
    restart: on-failure:{LIVES - 1}
    restart_delay: 100ms
"""
SOCKETS = "use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0) or die; my $a = sockaddr_in(7000, INADDR_LOOPBACK);\n"
# Until nobody has come for as long as every life and pause may take.
KEEPER = SOCKETS + """bind($s, $a) && listen($s, 128) or die; my @held; $SIG{ALRM} = sub { print "held ", scalar(@held), "\n"; exit 0 };
for (;;) { alarm(6); accept(my $c, $s) or next; push @held, $c; }
"""
BOMB = """use Socket; my @s; for (1 .. 300) { socket(my $s, PF_INET, SOCK_STREAM, 0) or last;
for my $try (1 .. 50) { connect($s, sockaddr_in(7000, INADDR_LOOPBACK)) and push(@s, $s), last; last if @s; select(undef, undef, undef, 0.1); }
last if !@s or $s[-1] != $s; } print "made ", scalar(@s), "\n"; exit 1;
"""


def held(options):
    with tempfile.TemporaryDirectory() as where:
        for name, text in ("pod.yaml", POD.replace("WHERE", where)), ("keeper.pl", KEEPER), ("bomb.pl", BOMB):
            with open(os.path.join(where, name), "w", encoding="ascii") as f:
                f.write(text)
        ran = subprocess.run([INTRAVISOR, "run", "-q", *OPTIONS, *options, "-y", f"{where}/pod.yaml"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    found = re.search(r"^held (\d+)$", ran.stdout, re.M)
    if not found:
        sys.exit(f"no count: status {ran.returncode}\n{ran.stdout}")
    return int(found[1]), ran.stdout


def main():
    most = LIMIT_MIB * 1024 // CONNECTION_KIB
    count, output = held([])
    if not 0 < count <= most:
        sys.exit(f"BREACH: {count} connections of {CONNECTION_KIB} KiB, {most} are the limit\n{output}")
    control, output = held(["--insecure-no-limits"])
    if control <= most:
        sys.exit(f"the control holds {control} only\n{output}")
    print(f"REFUSED: {count} held of {most} at most; {control} without limits")


if __name__ == "__main__":
    main()
