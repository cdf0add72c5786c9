#!/usr/bin/python3
"""Debian's programs, servers and CPython's own tests in a cVM against native runs: the tables and the totals of COMPAT.md.

usage: compat.py [NAME...]   programs of the table below, servers of servers.py, modules of modules.txt (all by default)

Writes build/tests/compat/table.md, and beside it what every test of a module did. Exit status 1 if a program differs
that is not known to, if one that is known to does not, or if nothing of CPython's passes natively.
"""
import json
import os
import shlex
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import harness
import servers
from harness import ENV, OUT, ROOT, Fail, cvm_command, run

RESULTS = os.path.join(OUT, "compat")
PYTHON = "/usr/bin/python3.11"
KINDS = ["native", "cvm"]
WORKERS = 2
MODULE_SECONDS, TEST_SECONDS = 300, 60
RESTARTS = 6  # of a module behind tests that end the interpreter

GO = "/usr/lib/go-1.19/bin/go build -o {made}/{name} {programs}/work.go"
GIT = "/usr/bin/git -c safe.directory=* -C {root} --no-pager"
# name, what it does, command, more: `make` builds what it needs first, `lines` in any order, `differs` says why the output does.
PROGRAMS = [
    ("nodejs", "JIT, WebAssembly, a worker, zlib, crypto, HTTP to itself", "/usr/bin/node {programs}/work.js", {"lines": True}),
    ("openjdk-17", "JIT, 8 threads, garbage collection, sockets, NullPointerException by SIGSEGV", "/usr/bin/java -cp {made} Work",
     {"make": "/usr/bin/javac -d {made} {programs}/Work.java"}),
    ("go", "2,000 goroutines, preemption, HTTP to itself, a signal, a recovered fault; ET_EXEC", "{made}/go", {"make": GO}),
    ("go-pie", "the same as PIE", "{made}/go-pie", {"make": GO.replace("build", "build -buildmode=pie")}),
    ("rust", "threads, sockets, a caught panic", "{made}/rust", {"make": "/usr/bin/rustc -O -o {made}/rust {programs}/work.rs"}),
    ("ripgrep", "searching a tree with 4 threads", "/usr/bin/rg -c -j4 --sort path define /usr/include/linux", {}),
    ("fd-find", "searching a tree", "/usr/bin/fdfind pm$ /usr/share/perl", {"lines": True}),
    ("hugo", "its version", "/usr/bin/hugo version", {}),
    ("caddy", "its version", "/usr/bin/caddy version", {}),
    ("pypy3", "JIT: a loop of three million", "/usr/bin/pypy3 -c 'print(sum(i * 7919 % 1003 for i in range(3000000)))'", {}),
    ("guile-3.0", "JIT: a loop of a million",
     "/usr/bin/guile-3.0 -c '(display (let loop ((i 0) (s 0)) (if (< i 1000000) (loop (+ i 1) (+ s (modulo (* i 7919) 1003))) s)))'", {}),
    ("vim-nox", "a script of ex commands", "/usr/bin/vim.nox -u NONE -es -c %s/root/ROOT/g -c %p -c qa! /etc/passwd", {}),
    ("dc", "2 to the 1,000", "/usr/bin/dc -e '2 1000 ^ p'", {}),
    ("jq", "sums and sorts", "/usr/bin/jq -nc '[range(20000) | . * 7919 % 1003] | [add, (sort | .[700])]'", {}),
    ("mawk", "a sum", "/usr/bin/mawk 'BEGIN { for (i = 0; i < 100000; i++) s += i; print s }'", {}),
    ("pigz", "compressing 4 MB with 4 threads", "/usr/bin/pigz -p4 -n -c /usr/bin/perl", {}),
    ("zstd", "compressing 4 MB with 4 threads", "/usr/bin/zstd -T4 -c /usr/bin/perl", {}),
    ("lz4", "compressing 4 MB", "/usr/bin/lz4 -c /usr/bin/perl", {}),
    ("bzip2", "compressing 4 MB", "/bin/bzip2 -c /usr/bin/perl", {}),
    ("gzip", "compressing 4 MB", "/bin/gzip -nc /usr/bin/perl", {}),
    ("objdump", "disassembling", "/usr/bin/objdump -d /bin/cat", {}),
    ("readelf", "all of a file", "/usr/bin/readelf -aW /bin/ls", {}),
    ("diff", "two trees", "/usr/bin/diff -r /usr/include/linux /usr/include/asm-generic", {}),
    ("find", "a tree", "/usr/bin/find /usr/share/zoneinfo -type f -printf '%s %p\\n'", {}),
    ("du", "a tree", "/usr/bin/du -a /usr/share/perl", {}),
    ("file", "kinds of files", "/usr/bin/file /bin/ls /etc/passwd /usr/share/perl", {}),
    ("gnuplot", "a plot", "/usr/bin/gnuplot -e 'set term dumb; plot sin(x)'", {}),
    ("imagemagick", "a filter", "/usr/bin/convert-im6.q16 -size 200x200 gradient:red-blue -blur 0x3 ppm:-", {}),
    ("gdb", "disassembling", "/usr/bin/gdb -nx -batch -ex 'disassemble main' /usr/bin/perl", {}),
    ("git-log", "a log", GIT + " log --oneline -n 50", {}),
    ("git-grep", "a search", GIT + " grep -n hostcall", {}),
    ("git-fsck", "checking a repository", GIT + " fsck --no-progress", {}),
    ("erlang", "a sum", "/usr/bin/erl -noshell -eval 'io:format(\"~p~n\", [lists:sum(lists:seq(1, 1000))]), halt().'", {}),
    ("valgrind", "its version", "/usr/bin/valgrind --version", {"differs": "its tools are linked at a fixed address above the low window"}),
    ("lsof", "files of a process", "/bin/dash -c 'cd /usr; exec 9</etc/passwd; lsof -w -a -p $$ -d 9,cwd -Fn | grep ^n'", {}),
    ("lsof-O", "files of a child, who has a file open", "/usr/bin/python3.11 {programs}/children.py lsof", {}),
    ("procps", "`ps`, `pgrep`, `pkill`, `pwdx`: its own children", "/usr/bin/python3.11 {programs}/children.py procps", {}),
    ("psmisc", "`pstree`, `fuser`, `killall`: its own children", "/usr/bin/python3.11 {programs}/children.py psmisc", {}),
    ("sbcl", "printing a number", "/usr/bin/sbcl --noinform --eval '(progn (print 42) (sb-ext:exit))'",
     {"differs": "memory at a fixed address below 2 GiB"}),
    ("ocaml", "native code and bytecode, a stack overflow", "/bin/sh -c 'mkdir -p $TMPDIR; cp {programs}/work.ml $TMPDIR/w.ml && cd $TMPDIR && ocamlopt w.ml -o w && ./w && ocamlc w.ml -o b && ./b'", {}),
    ("gfortran", "compiling, OpenMP", "/bin/sh -c 'mkdir -p $TMPDIR; gfortran -fopenmp -O2 {programs}/work.f90 -o $TMPDIR/w && $TMPDIR/w'", {}),
    ("fpc", "compiling", "/bin/sh -c 'mkdir -p $TMPDIR; cp {programs}/work.pas $TMPDIR && fpc -v0 $TMPDIR/work.pas >$TMPDIR/log; $TMPDIR/work'", {}),
    ("mono", "compiling, tasks, NullReferenceException", "/bin/sh -c 'mkdir -p $TMPDIR; mcs -out:$TMPDIR/w.exe {programs}/work.cs && mono $TMPDIR/w.exe'", {}),
    ("cargo", "building, testing", "/bin/sh -c 'mkdir -p $TMPDIR; cd $TMPDIR && cargo -q init --vcs none --name w && echo \"#[test] fn t() {}\" >>src/main.rs && cargo run -q --offline && "
     "cargo test -q --offline | grep -o \"1 passed\"'", {}),
    ("cmake", "configuring, ninja, ctest", "/bin/sh -c 'mkdir -p $TMPDIR; cd $TMPDIR && echo \"int main(void) { return 0; }\" >w.c && printf \"%s\\n\" "
     "\"project(w C)\" \"add_executable(w w.c)\" \"enable_testing()\" \"add_test(NAME t COMMAND w)\" >CMakeLists.txt && cmake -G Ninja . >log 2>&1; ninja | tail -n 1 && ctest | grep -o \"100% tests passed.*\"'", {}),
    ("jshell", "a parallel stream", "/bin/sh -c 'mkdir -p $TMPDIR; echo \"System.out.println(java.util.stream.IntStream.range(0, 1000).parallel().sum())\" >$TMPDIR/w && "
     "echo /exit >>$TMPDIR/w && jshell -R-Duser.home=$TMPDIR $TMPDIR/w'", {}),
    ("elixir", "100 tasks", "/usr/bin/elixir -e 'IO.puts(Enum.sum(Enum.map(Task.async_stream(1..100, &(&1 * 2)), fn {:ok, x} -> x end)))'", {}),
    ("swi-prolog", "a thread, a power", "/usr/bin/swipl -g 'X is 2**100, writeln(X), thread_create(writeln(hi), T), thread_join(T), halt'", {}),
    ("chicken", "compiling by C", "/bin/sh -c 'mkdir -p $TMPDIR; cd $TMPDIR && echo \"(print (let f ((n 24)) (if (< n 2) n (+ (f (- n 1)) (f (- n 2))))))\" >w.scm && csc w.scm && ./w && csi -s w.scm'", {}),
    ("racket", "a power, a thread, a sort", "/usr/bin/racket -e '(displayln (expt 3 200)) (thread-wait (thread (lambda () (displayln (vector-length (vector-sort (build-vector 100000 (lambda (i) (modulo (* i 7919) 100003))) <))))))'", {}),
    ("ecl", "a power", "/usr/bin/ecl --norc --eval '(progn (print (expt 2 100)) (ext:quit))'", {}),
    ("octave", "matrices", "/usr/bin/octave-cli --no-gui -q --eval 'A = magic(40); [u, s, v] = svd(A); printf(\"%.4f\\n\", s(1)); disp(real(fft(1:8)))'", {}),
    ("R", "a model, forked workers", "/usr/bin/Rscript -e 'set.seed(1); x <- rnorm(1000); print(summary(lm(x ~ seq_along(x)))); "
     "print(unlist(parallel::mclapply(1:4, function(i) i^2, mc.cores = 2)))'", {}),
    ("ffmpeg", "encoding H.264 with 4 threads, decoding", "/bin/sh -c 'mkdir -p $TMPDIR; ffmpeg -v error -f lavfi -i testsrc=d=1:s=160x120 -c:v libx264 -threads 4 -bitexact $TMPDIR/w.mp4 && "
     "ffmpeg -v error -i $TMPDIR/w.mp4 -f framemd5 -'", {}),
    ("ghostscript", "a page", "/bin/sh -c 'gs -q -dNOPAUSE -dBATCH -sDEVICE=ppmraw -r30 -sOutputFile=- /usr/share/ghostscript/*/examples/tiger.eps | md5sum'", {}),
    ("graphviz", "a graph", "/bin/sh -c 'echo \"digraph { a -> b; b -> c; c -> a }\" | dot -Tplain'", {}),
    ("qemu-user", "a program of its own kind", "/usr/bin/qemu-x86_64 /bin/ls /usr/share/perl", {}),
    ("rsync", "a tree, a changed file", "/bin/sh -c 'mkdir -p $TMPDIR; cd $TMPDIR && cp -r /usr/include/linux a && rsync -a a/ b && diff -r a b && echo x >>a/fs.h && touch -d @5 a/fs.h && rsync -ai --checksum a/ b'", {}),
    ("strace", "opened files", "/usr/bin/strace -o /dev/stdout -e trace=openat /bin/true", {"differs": "`ptrace`"}),
    ("clisp", "a power", "/usr/bin/clisp -q -x '(print (expt 2 100))'", {"differs": "memory at a fixed address"}),
    ("ghc", "a program", "/usr/bin/ghc -e 'print 42'", {"differs": "XRSTOR's bytes in `libHSghc`, in code that the translator does not recognise"}),
    ("gcc-asan", "`-fsanitize=address`", "/bin/sh -c 'mkdir -p $TMPDIR; echo \"#include <stdio.h>\nint main(void) { puts(\\\"ran\\\"); return 0; }\" | gcc -fsanitize=address -x c - -o $TMPDIR/w && $TMPDIR/w'",
     {"differs": "shadow memory at a fixed address, of 16 TiB"}),
    ("lscpu", "the processors", "/usr/bin/lscpu", {"differs": "`/sys`"}),
    ("ss", "sockets that listen", "/bin/ss -ltn", {"differs": "socket diagnosis by netlink"}),
]


def attempt(kind, command, directory, timeout):
    """What ran, with the network and an empty directory for temporary files; None if it did not end in time."""
    with tempfile.TemporaryDirectory(prefix="compat.", ignore_cleanup_errors=True) as temporary:
        env = dict(ENV, LC_ALL="C.UTF-8", TMPDIR=temporary)
        if kind == "cvm":
            variables = [word for name, value in env.items() for word in ("-e", f"{name}={value}")]
            command = cvm_command(command, ["-q", "--net", "any", "-v", f"{directory}:{directory}", "--env-clear", *variables])
        try:
            return run(command, timeout=timeout, cwd="/", env=env)
        except Fail:
            return None


def log(name, kind, ran):
    with open(f"{RESULTS}/{name}.{kind}.log", "a") as f:
        f.write(f"{ran or 'no end'}\n")


def program(name, what, command, more):
    """The row of a program, and what is new about it."""
    made = f"{RESULTS}/made"

    def words(line):
        for key, value in {"{programs}": f"{HERE}/programs", "{made}": made, "{root}": ROOT, "{name}": name}.items():
            line = line.replace(key, value)
        return shlex.split(line)

    def seen(ran):
        return ran and (ran.status, sorted(ran.out.splitlines()) if "lines" in more else ran.out)
    if "make" in more:
        ran = run(words(more["make"]), timeout=300, env=dict(ENV, GOCACHE=f"{made}/go-cache", GO111MODULE="off"))
        harness.expect(ran.status == 0, f"{name} is not built", ran)
    native, ours = (attempt(kind, words(command), made, 120) for kind in KINDS)
    if not native or not native.out:
        return f"| {name} | {what} | no output natively |", f"{name} has no output natively"
    log(name, "native", native)
    log(name, "cvm", ours)
    equal, why = seen(native) == seen(ours), more.get("differs")
    row = f"| {name} | {what} | {'yes' if equal else f'no: {why}' if why else '**no**'} |"
    return row, f"{name} {'is equal' if equal else 'differs'}, which is new" if equal == bool(why) else None


def results_of(path):
    """Outcome and message of each test, whether the module came to its end. A test that is only "started" ended the interpreter."""
    tests = {name: (outcome, message) for name, outcome, message in map(json.loads, harness.read(path).splitlines())}
    return tests, tests.pop("module", None) is not None


def module(name):
    """A module's tests that pass natively, and of these what came of those that do not in a cVM."""
    results = {}
    for kind in KINDS:
        path = f"{RESULTS}/{name}.{kind}.jsonl"
        tests, ended = {}, False
        for _ in range(RESTARTS):
            log(name, kind, attempt(kind, [PYTHON, f"{HERE}/cpython.py", name, path, TEST_SECONDS], RESULTS, MODULE_SECONDS))
            tests, ended = results_of(path)
            if ended:
                break
        results[kind] = tests
        if not ended:
            print(f"{name}: no end ({kind})", flush=True)
    passed = [test for test, (outcome, _) in results["native"].items() if outcome == "ok"]
    return name, passed, {test: ours for test in passed for ours in [results["cvm"].get(test, ("missing", ""))] if ours[0] != "ok"}


def summary(modules):
    """Rows of the modules that have a difference, and the totals."""
    rows = [f"| {name} | {len(passed)} | {len(bad)} |" for name, passed, bad in modules if bad]
    every = [ours for _, _, bad in modules for ours in bad.values()]
    passed, unimplemented = sum(len(passed) for _, passed, _ in modules), sum("[Errno 38]" in message for _, message in every)
    totals = (f"{len(modules)} modules of CPython's tests: of {passed:,} that pass natively, {len(every):,} do not in a cVM, none in "
              f"{len(modules) - len(rows)} modules; {unimplemented:,} end with ENOSYS.")
    return ["| module | passes natively | not in a cVM |", "|---|---|---|", *rows, "", totals] if modules else []


def server(*row):
    text, wrong, new = servers.row(*row) if row else servers.by_reach()
    log(text.split()[1], "cvm", wrong or "equal")
    return text, new


def main(only):
    with open(f"{HERE}/modules.txt") as f:
        names = f.read().split()
    every = {s[0]: s for s in servers.SERVERS} | {"redis-reach": ()}
    unknown = set(only) - set(names) - {p[0] for p in PROGRAMS} - set(every)
    if unknown:
        print(f"compat: no program, server or module of this name: {' '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    shutil.rmtree(RESULTS, ignore_errors=True)
    os.makedirs(f"{RESULTS}/made")
    new, rows, modules, served = [], [], [], []
    with ThreadPoolExecutor(WORKERS) as pool:
        for row, wrong in pool.map(lambda p: program(*p), [p for p in PROGRAMS if not only or p[0] in only]):
            print(row, flush=True)
            rows.append(row)
            new += [wrong] if wrong else []
        for text, wrong in (server(*row) for name, row in every.items() if not only or name in only):  # alone, for the rates
            print(text, flush=True)
            served.append(text)
            new += [wrong] if wrong else []
        for name, passed, bad in pool.map(module, [n for n in names if not only or n in only]):
            print(f"{name}: {len(passed)} pass natively, {len(bad)} of them not in a cVM", flush=True)
            modules.append((name, passed, bad))
    if modules and not any(passed for _, passed, _ in modules):
        new.append("no test of CPython passes natively")
    text = "\n".join([*(["| program | what it does | equal |", "|---|---|---|", *rows, ""] if rows else []),
                      *(["| server | what its client does | equal | rate |", "|---|---|---|---|", *served, ""] if served else []), *summary(modules), ""])
    with open(f"{RESULTS}/table.md", "w") as f:
        f.write(text)
    print(f"\n{text}\n{RESULTS}/table.md has this" + "".join(f"\nNEW: {line}" for line in new))
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
