#!/usr/bin/python3
"""
Question: connections count as memory of who made them. Can a cVM that ends and starts again collect more than its limit, if another
keeps the other ends?
Expect: what the other holds stays within the limit of one life
Control: --insecure-no-limits
"""
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import SCRATCH, check, run  # noqa: E402

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
    with tempfile.TemporaryDirectory(dir=SCRATCH) as where:
        for name, text in ("pod.yaml", POD.replace("WHERE", where)), ("keeper.pl", KEEPER), ("bomb.pl", BOMB):
            with open(os.path.join(where, name), "w", encoding="ascii") as f:
                f.write(text)
        status, output = run(*options, "-y", f"{where}/pod.yaml", env=os.environ)
    found = re.search(r"^held (\d+)$", output, re.M)
    check(found, f"no count: status {status}", output)
    return int(found[1]), output


def main():
    most = LIMIT_MIB * 1024 // CONNECTION_KIB
    count, output = held([])
    check(0 < count <= most, f"{count} connections of {CONNECTION_KIB} KiB, {most} are the limit", output)
    control, output = held(["--insecure-no-limits"])
    check(control > most, f"the control holds {control} only", output)
    print(f"REFUSED: {count} held of {most} at most; {control} without limits")


if __name__ == "__main__":
    main()
