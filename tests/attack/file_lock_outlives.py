#!/usr/bin/python3
"""
Question: a file that is granted by itself is open in the monitor from start to end of the run. Can a cVM take a lock on it that nobody
gets any more once it has ended?
Expect: who comes after its end has the lock
Control: while it lives nobody else has the lock
"""
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import SCRATCH, check, run  # noqa: E402

POD = """
cVMs:
  - name: locker
    program: /usr/bin/perl
    args: [/work/lock.pl]
    volumes: ["WHERE:/work:ro", "WHERE/data:/data", "WHERE/signs:/signs"]
  - name: other
    program: /usr/bin/perl
    args: [/work/other.pl]
    volumes: ["WHERE:/work:ro", "WHERE/data:/data", "WHERE/signs:/signs"]
"""
# A lock of the whole file, and one of records (struct flock: type, whence, start, length, pid).
TAKE = """use Fcntl qw(:DEFAULT :flock); open(my $f, "+<", "/data") or die; my $l = pack("s s x4 q q l", F_WRLCK, 0, 0, 0, 0);
my $both = (flock($f, LOCK_EX | LOCK_NB) ? 1 : 0) . (fcntl($f, F_SETLK, $l) ? 1 : 0);
sub sign { open(my $s, ">", "/signs/$_[0]") or die; } sub wait_for { select(undef, undef, undef, 0.05) while !-e "/signs/$_[0]"; }
"""
LOCK = TAKE + """print "first $both\n"; sign("taken"); wait_for("seen"); exit 0;
"""
OTHER = """BEGIN { select(undef, undef, undef, 0.05) while !-e "/signs/taken"; }
""" + TAKE + """print "meanwhile $both\n"; close($f); sign("seen");
for my $try (1 .. 100) { select(undef, undef, undef, 0.05); open($f, "+<", "/data") or die; next if !flock($f, LOCK_EX | LOCK_NB);
print "later ", (fcntl($f, F_SETLK, $l) ? "both" : "one"), "\n"; exit 0; } print "never\n";
"""


def main():
    with tempfile.TemporaryDirectory(dir=SCRATCH) as where:
        os.mkdir(f"{where}/signs")
        for name, text in (("pod.yaml", POD.replace("WHERE", where)), ("lock.pl", LOCK), ("other.pl", OTHER), ("data", "data\n")):
            with open(os.path.join(where, name), "w", encoding="ascii") as f:
                f.write(text)
        status, output = run("-y", f"{where}/pod.yaml", env=os.environ)
    check(re.search("^first 11$", output, re.M) and re.search("^meanwhile 00$", output, re.M), f"no locks to begin with: status {status}", output)
    check(re.search("^later both$", output, re.M), "the locks outlived the cVM", output)
    print("REFUSED: the locks went with the cVM")


if __name__ == "__main__":
    main()
