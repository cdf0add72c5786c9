"""End to end: programs as Debian ships them, in a cVM, against the same program run natively.

The first table is for programs whose output and exit status must equal the native run's; the functions below it are for
servers and for what the command itself promises.
"""
import fcntl
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import harness
from harness import (BUILD, INTRAVISOR, OUT, ROOT, Fail, Started, Test, compile_c, cvm, cvm_command, expect, expect_same,
                     free_port, listening, run, scratch, yaml_command)

PROGRAMS = os.path.join(ROOT, "tests/e2e/programs")
PYTHON = "/usr/bin/python3.11"
DATA = os.path.join(OUT, "data")


def data(name):
    """Input files, made once: the same bytes every time."""
    path = os.path.join(DATA, name)
    os.makedirs(DATA, exist_ok=True)
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two tests may want the same file at once
        if not os.path.exists(path):
            make_data(name, path)
    return path


def make_data(name, path):
    if name == "lines":  # a million lines in no order
        with open(path + ".new", "w") as f:
            x = 1
            for _ in range(1_000_000):
                x = x * 6364136223846793005 + 1442695040888963407 & 0xffffffffffffffff
                f.write(f"{x >> 33:x} {x >> 40 & 4095}\n")
    else:
        size = {"200mb": 200 << 20, "20mb": 20 << 20, "1mb": 1 << 20}[name]
        block = b"".join(i.to_bytes(4, "little") * (i % 7 + 1) for i in range(40000))
        with open(path + ".new", "wb") as f:
            left, turn = size, 0
            while left:
                part = (turn.to_bytes(8, "little") + block)[:left]
                f.write(part)
                left, turn = left - len(part), turn + 1
    os.rename(path + ".new", path)


# name, command, more: `files` of data() that the command needs, `stdin` bytes, `options`, `vm` as in Test.
# {200mb} stands for the path of that file, {programs} for tests/e2e/programs, {dir} for an empty directory that the program may write to.
TABLE = [
    ("echo", "/bin/echo one 'two words' -n", {"vm": "too"}),
    ("true", "/bin/true", {}),
    ("false", "/bin/false", {"vm": "too"}),
    ("cat_stdin", "/bin/cat", {"stdin": b"piped\n" * 5000 + b"no newline", "vm": "too"}),
    ("ls_recursive", "/bin/ls -lR /usr/share", {}),
    ("ls_small", "/bin/ls -l /usr/share/doc/bash /etc/passwd", {"vm": "too"}),
    ("sha256sum_200mb", "/usr/bin/sha256sum {200mb}", {"files": ["200mb"]}),
    ("sort_million", "/usr/bin/sort {lines}", {"files": ["lines"]}),
    ("sort_numeric_one_thread", "/usr/bin/sort --parallel=1 -S 20M -T /tmp -k2n {lines}", {"files": ["lines"]}),
    ("grep_recursive", "/bin/grep -r include /usr/include/linux", {}),
    ("find", "/usr/bin/find /usr/share/perl -name '*.pm' -size +10k", {}),
    ("wc", "/usr/bin/wc {lines}", {"files": ["lines"]}),
    ("md5_small", "/usr/bin/md5sum {1mb}", {"files": ["1mb"], "vm": "too"}),
    ("xz_stdout", "/usr/bin/xz -3 -T1 -c {20mb}", {"files": ["20mb"]}),
    ("xz_threads", "/usr/bin/xz -1 -T2 --block-size=4MiB -c {20mb}", {"files": ["20mb"]}),
    ("openssl_dgst", "/usr/bin/openssl dgst -sha512 {20mb}", {"files": ["20mb"]}),
    ("openssl_enc", "/usr/bin/openssl enc -aes-256-cbc -pbkdf2 -S 0102030405060708 -k secret -in {1mb}", {"files": ["1mb"]}),
    ("openssl_version", "/usr/bin/openssl version", {"vm": "too"}),
    ("perl", "/usr/bin/perl {programs}/work.pl", {"vm": "too"}),
    ("perl_regex", "/usr/bin/perl -ne '$n{$1}++ if /^(..)/; END { print \"$_ $n{$_}\\n\" for sort keys %n }' {lines}",
     {"files": ["lines"]}),
    ("busybox_sha256sum", "/bin/busybox sha256sum {20mb}", {"files": ["20mb"]}),
    ("busybox_sort", "/bin/busybox sort {programs}/words.txt", {"vm": "too"}),
    ("busybox_awk", "/bin/busybox awk '{ s += $2 } END { print s, NR }' {lines}", {"files": ["lines"]}),
    ("busybox_sed", "/bin/busybox sed -n 's/a\\(.\\)/<\\1>/gp' {programs}/words.txt", {}),
    ("busybox_wc", "/bin/busybox wc {lines}", {"files": ["lines"]}),
    ("busybox_gzip", "/bin/busybox gzip -c {20mb}", {"files": ["20mb"]}),
    ("busybox_gunzip", "/bin/busybox gunzip -c /usr/share/doc/bash/changelog.Debian.gz", {}),
    ("busybox_cut", "/bin/busybox cut -d' ' -f1 {programs}/words.txt", {}),
    ("busybox_sh_builtins", "/bin/busybox sh -c 'i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done; echo $i; exit 7'", {}),
    ("dash_builtins", "/bin/dash -c 'set -- a b c; echo $# $*; exit 9'", {"vm": "too"}),
    ("sqlite_memory", "/usr/bin/sqlite3 :memory: 'select sqlite_version(); with recursive c(x) as (select 1 union all "
                      "select x+1 from c where x<100000) select sum(x), count(*) from c'", {}),
    ("env_cleared", "/usr/bin/env", {"options": ["--env-clear", "-e", "LC_ALL=C", "-e", "A=1"], "env": {"LC_ALL": "C", "A": "1"}}),
    ("no_such_file", "/bin/cat /nonexistent", {"vm": "too"}),
    ("dd", "/bin/dd if=/dev/zero bs=64k count=160 status=none", {}),
    ("date", "/bin/date -u -d @1234567890", {}),
    ("printf_stderr", "/usr/bin/perl -e 'print STDERR \"to stderr\\n\"; print \"to stdout\\n\"; exit 300 & 255'", {}),
    ("gawk", "/usr/bin/gawk '{ n[$2 % 97] += $2 } END { for (i = 0; i < 97; i++) print i, n[i]; print length(n), sin(1) }' {lines}",
     {"files": ["lines"]}),
    ("sed", "/bin/sed -n -E 's/([a-z]+)[ \\t]+([0-9]+)/\\2 \\1/p' /etc/services", {}),
    ("jq", "/usr/bin/jq -n '[range(2000) | {a: ., b: (. * .)}] | group_by(.a % 7) | map({k: .[0].a, s: (map(.b) | add)})'", {}),
    ("objdump", "/usr/bin/objdump -d /bin/cat", {}),
    ("readelf", "/usr/bin/readelf -aW /bin/ls", {}),
    ("mawk", "/usr/bin/mawk '{ n[$2 % 97] += $2 } END { for (i = 0; i < 97; i++) print i, n[i] }' {lines}", {"files": ["lines"]}),
    ("diff_trees", "/usr/bin/diff -r /usr/include/linux /usr/include/asm-generic", {}),
    ("du", "/usr/bin/du -a /usr/share/perl", {}),
    ("lua", "/usr/bin/lua5.4 {programs}/work.lua", {}),
    ("ruby", "/usr/bin/ruby {programs}/work.rb", {}),
    ("bash_builtins", "/bin/bash --norc {programs}/work.bash", {"vm": "too"}),
    ("git_hash_object", "/usr/bin/git hash-object {1mb} /etc/services", {"files": ["1mb"]}),
    ("luajit", "/usr/bin/luajit {programs}/jit.lua", {"vm": "too"}),
    ("luajit_interpreted", "/usr/bin/luajit -joff {programs}/jit.lua", {}),
    ("php_jit", "/usr/bin/php -d opcache.enable_cli=1 -d opcache.jit=1255 -d opcache.jit_buffer_size=16M {programs}/jit.php", {}),
    ("grep_perl", "/bin/grep -cP '^(a|b)+[0-9]*.*\\d{2,}$' {lines}", {"files": ["lines"]}),
    # programs that start others by vfork or posix_spawn
    ("dash_commands", "/bin/dash {programs}/commands.sh {dir}", {"vm": "too"}),
    ("dash_exec", "/bin/dash -c 'echo first; exec env A=1 nice -n 5 dash -c \"ls -d /usr; echo \\$A; exit 4\"'", {}),
    ("bash_exec", "/bin/bash -c 'exec ls -d /usr'", {}),
    ("env_nice_nohup", "/usr/bin/env A=1 nice -n 5 nohup env -u PATH /usr/bin/printenv A", {}),
    ("stdbuf", "/usr/bin/stdbuf -oL /bin/cat /etc/services", {}),
    ("make", "/usr/bin/make -C {dir} -f {programs}/rules.mk", {}),
    ("make_parallel", "/usr/bin/make -j4 -C {dir} -f {programs}/rules.mk", {}),
    ("make_fails", "/usr/bin/make -C {dir} -f {programs}/rules.mk fails", {}),
    ("busybox_xargs", "/bin/busybox xargs -n1 /bin/echo word", {"stdin": b"a b c\nd 'e f'\n"}),
    ("busybox_find_exec", "/bin/busybox find /usr/share/perl -name 'S*.pm' -exec /bin/echo found {} ;", {}),
    ("busybox_time", "/bin/busybox time /bin/echo timed", {}),
    ("mawk_system", "/usr/bin/mawk 'BEGIN { print system(\"echo x; exit 5\"); print system(\"kill -9 $$\") }'", {}),
    ("gawk_system", "/usr/bin/gawk 'BEGIN { print system(\"exit 5\"); print \"b\\na\" | \"sort\"; print close(\"sort\") }'", {}),
    ("lua_popen", "/usr/bin/lua5.4 -e 'print(os.execute(\"exit 3\")); f = io.popen(\"ls -d /usr; exit 4\"); print(f:read(\"a\")); print(f:close())'", {}),
    ("php_exec", "/usr/bin/php -r 'system(\"echo a; echo b\"); echo shell_exec(\"ls -d /usr\"); exec(\"exit 3\", $o, $r); echo $r;'", {}),
    ("sed_command", "/bin/sed '1e echo from a command' /etc/hostname", {}),
    ("sqlite_shell", "/usr/bin/sqlite3 :memory: '.shell echo from a shell' 'select 1'", {}),
    ("dc_command", "/usr/bin/dc -e '!echo hi\n2 3 + p'", {}),
    ("gdb_shell", "/usr/bin/gdb -batch -nx -ex 'shell echo hi; exit 3' -ex 'print $_shell_exitcode'", {}),
    ("perl_exec", "/usr/bin/perl -e '$ENV{A} = 5; exec \"sh\", \"-c\", \"echo $0 \\$A; exit 6\", \"zero\"'", {}),
    # and by fork
    ("dash_pipelines", "/bin/dash {programs}/pipelines.sh {dir}", {"vm": "too"}),
    ("bash_forks", "/bin/bash --norc -c 'ls -d /usr | cat; x=$(echo a); echo $x; cat <(echo sub); for i in 1 2 3; do (exit $i); echo $?; done; "
                   "seq 5 | while read a; do echo $((a * a)); done; coproc cat; echo hi >&${COPROC[1]}; read x <&${COPROC[0]}; echo $x'", {}),
    ("busybox_sh", "/bin/busybox sh -c 'ls -d /usr | cat; busybox echo x; x=$(echo y); echo $x; (exit 4); echo $?'", {}),
    ("xargs_parallel", "/usr/bin/xargs -n1 -P4 /usr/bin/test -n", {"stdin": b" ".join(b"%d" % i for i in range(60))}),
    ("timeout", "/usr/bin/timeout 60 echo in time", {}),
    ("timeout_passes", "/usr/bin/timeout 0.1 sleep 1000", {}),
    ("find_exec", "/usr/bin/find /usr/share/perl -name 'S*.pm' -exec echo {} ;", {}),
    ("perl_forks", "/usr/bin/perl {programs}/forks.pl", {}),
    ("ruby_forks", "/usr/bin/ruby -e 'puts `ls -d /usr`; p Process.wait2(fork { exit 4 })[1].exitstatus; "
                   "IO.popen(\"cat\", \"r+\") { |f| f.puts \"x\"; f.close_write; puts f.read }'", {}),
    ("tar_gzip", "/bin/dash -c 'tar czf {dir}/a.tgz -C /usr/share perl && tar tzf {dir}/a.tgz | sort'", {}),
    ("mawk_pipes", "/usr/bin/mawk 'BEGIN { \"echo got\" | getline x; print x; print \"b\\na\" | \"sort\"; close(\"sort\") }'", {}),
    ("split_filter", "/usr/bin/split -l 1 --filter=cat /etc/passwd", {}),
    ("flock_runs", "/usr/bin/flock {dir} echo locked", {}),
    ("vim_command", "/usr/bin/vim -es -u NONE -c '!echo from a shell' -c q", {}),
    ("dash_forks", "/bin/dash {programs}/forks.sh {dir}", {"vm": "too"}),
    ("bash_script_forks", "/bin/bash --norc {programs}/forks.bash", {}),
    ("busybox_sh_forks", "/bin/busybox sh {programs}/forks.sh {dir}", {}),
    ("perl_copies", "/usr/bin/perl {programs}/copies.pl {dir}", {}),
    ("git_forks", "/bin/dash {programs}/git.sh {dir}", {}),
    ("make_pipes", "/usr/bin/make -j2 -Otarget -f {programs}/pipes.mk -C {dir}", {}),
    ("entry_point", "/usr/bin/env INIT_PORT=80 INIT_NAME=x {programs}/entry.sh {dir} /bin/dash -c 'echo $0 $*; cat $1 | wc -l' zero {dir}/conf", {}),
    ("find_xargs", "/bin/dash -c 'find /usr/share/perl -name \"*.pm\" -print0 | sort -z | xargs -0 -n40 -P4 sha256sum | sort'", {}),
    ("tar_gunzip", "/bin/dash -c 'cd {dir} && tar czf a.tgz -C /usr/include linux && tar tzf a.tgz | wc -l && tar xzf a.tgz && "
                 "diff -r linux /usr/include/linux'", {}),
    ("sort_compresses", "/usr/bin/sort --parallel=2 -S 20M -T {dir} --compress-program=gzip {lines}", {"files": ["lines"]}),
    ("gawk_coprocess", "/usr/bin/gawk 'BEGIN { c = \"sort -n\"; for (i = 12; i; i--) print i |& c; close(c, \"to\"); "
                       "while ((c |& getline x) > 0) print x; print close(c) }'", {}),
    ("timeout_statuses", "/bin/dash -c 'timeout 0.1 sleep 100; echo $?; timeout 100 sh -c \"exit 3\"; echo $?; timeout -s KILL 0.1 sleep 100; echo $?'", {}),
    ("bash_time", "/bin/bash -c 'TIMEFORMAT=; time { seq 5 | tac; }'", {}),
    ("php_pipes", "/usr/bin/php -r '$p = popen(\"seq 9 | sort -r\", \"r\"); echo stream_get_contents($p), pclose($p); echo `echo x | tr x y`;'", {}),
    ("script_in_script", "/bin/dash -c 'echo \"echo \\$(dash -c \\\"echo \\\\\\$(echo deep)\\\")\" | sh | cat'", {}),
    ("python_hello", f"{PYTHON} -c 'import sys; print(sys.version_info[:2], 6*7); sys.exit(5)'", {"vm": "too"}),
    ("python_stdin", f"{PYTHON} -", {"stdin": b"import os\nprint(os.getcwd(), sorted(os.environ)[:1])\n"}),
]
for _name in sorted(os.listdir(PROGRAMS)):
    if _name.endswith(".py"):
        TABLE.append(("python_" + _name[:-3], f"{PYTHON} {{programs}}/{_name}", {"options": ["--net", "any"]}))


def same_as_native(name, command, more):
    def test():
        import shlex
        places = {name: data(name) for name in more.get("files", ())}
        places["programs"] = PROGRAMS
        native_dir, cvm_dir = (scratch(f"e2e-{name}-{which}") for which in ("native", "cvm")) if "{dir}" in command else ("", "")

        def words(folder):
            return [re.sub(r"\{(200mb|20mb|1mb|lines|programs|dir)\}", lambda m: {**places, "dir": folder}[m[1]], w) for w in shlex.split(command)]
        volumes = ["-v", f"{PROGRAMS}:{PROGRAMS}:ro"] + (["-v", f"{DATA}:{DATA}:ro"] if "files" in more else [])
        volumes += ["-v", f"{cvm_dir}:{cvm_dir}"] if cvm_dir else []
        native = run(words(native_dir), stdin=more.get("stdin"), cwd="/", env=more.get("env"))
        ours = cvm(words(cvm_dir), volumes + more.get("options", []), stdin=more.get("stdin"), timeout=300)
        if native_dir:
            native.out, native.err = (text.replace(native_dir.encode(), cvm_dir.encode()) for text in (native.out, native.err))
        expect_same(native, ours)
        if "insecure" not in ours.errors() and native.err:
            expect(native.errors().splitlines()[-1] in ours.errors(), "stderr lacks the program's last line", native, ours)
    return test


def hello(kind):
    def test():
        program = compile_c(os.path.join(ROOT, "tests/guest/hello.c"), kind)
        folder = os.path.dirname(program)
        expect_same(run([program, "a"]), cvm([program, "a"], ["-v", f"{folder}:{folder}:ro"]))
    return test


def tar_to_volume():
    where = scratch("tar")
    ours = cvm(["/bin/tar", "-cf", "/out/a.tar", "-C", "/usr/share", "perl"], ["-v", f"{where}:/out"])
    expect(ours.status == 0, "tar failed", ours)
    listed = run(["/bin/tar", "-df", f"{where}/a.tar", "-C", "/usr/share"])
    expect(listed.status == 0, "the archive differs from the files", listed)
    ours = cvm(["/bin/tar", "-xf", "/out/a.tar", "-C", "/out"], ["-v", f"{where}:/out"])
    expect(ours.status == 0, "tar -x failed", ours)
    compared = run(["/usr/bin/diff", "-r", "/usr/share/perl", f"{where}/perl"])
    expect(compared.status == 0, "the unpacked tree differs", compared)


def overlay_is_private():
    before = os.stat("/etc/hosts").st_mtime_ns
    ours = cvm(["/usr/bin/perl", "-e", 'open F, ">>/etc/hosts" or die; print F "x\n"; close F; open F, ">/new-file" or die; '
                'mkdir "/etc/new" or die; unlink "/etc/passwd" or die; print -e "/etc/passwd" ? 1 : 0, -e "/new-file" ? 1 : 0, "\n"'])
    expect(ours.status == 0 and ours.text() == "01\n", "writing into the overlay failed", ours)
    expect(os.stat("/etc/hosts").st_mtime_ns == before and not os.path.exists("/new-file") and os.path.exists("/etc/passwd")
           and not os.path.exists("/etc/new"), "the host's files changed")


def own_name():
    """A cVM's host name resolves there, by a line that only its own /etc/hosts has; a file of the user's is left as it is."""
    def hosts(name, options=()):
        return cvm(["/bin/dash", "-c", "cat /etc/hosts; getent ahostsv4 $(uname -n) | cut -d ' ' -f 1 | uniq"], ["--hostname", name, *options])
    theirs = open("/etc/hosts").read()
    ours = hosts("own-name.of-a-test")
    end = "" if theirs.endswith("\n") else "\n"
    expect(ours.status == 0 and ours.text() == theirs + end + "127.0.0.1\town-name.of-a-test\n127.0.0.1\n", "its name does not resolve", ours)
    ours = hosts("localhost")
    expect(ours.status == 0 and ours.text() == theirs + "127.0.0.1\n", "a name was added twice", ours)
    where = scratch("own-name")
    with open(f"{where}/hosts", "w") as f:
        f.write("10.0.0.1 other # own-name.of-a-test\nown-name.of-a-test")
    before = open(f"{where}/hosts").read()
    ours = hosts("own-name.of-a-test", ["-v", f"{where}/hosts:/etc/hosts"])
    expect(ours.text() == before and open(f"{where}/hosts").read() == before, "the user's file changed", ours)


def read_only_volume():
    where = scratch("read-only")
    with open(f"{where}/f", "w") as f:
        f.write("kept\n")
    ours = cvm(["/bin/dd", "if=/dev/zero", "of=/vol/f", "bs=1", "count=1", "status=none"], ["-v", f"{where}:/vol:ro"])
    expect(ours.status == 1 and "Read-only file system" in ours.errors(), "a read-only volume was written", ours)
    expect(harness.read(f"{where}/f") == "kept\n", "the file changed")


def volume_that_is_a_file():
    where = scratch("file-volume")
    for name in ("native", "ours"):
        with open(f"{where}/{name}", "w") as f:
            f.write("hello\n")
    command = [PYTHON, f"{PROGRAMS}/one_file.py"]
    volumes = ["-v", f"{PROGRAMS}:{PROGRAMS}:ro", "-v", f"{where}/ours:{where}/native"]
    expect_same(run([*command, f"{where}/native"]), cvm([*command, f"{where}/native"], volumes))
    expect(harness.read(f"{where}/ours") == harness.read(f"{where}/native") == "aga", "the host sees something else")
    shutil.copy("/bin/true", f"{where}/program")  # nobody has it open for writing meanwhile: the host may execute it
    with Started(cvm_command(["/bin/sh", "-c", "echo up; read x"], ["-v", f"{where}/program:/program"]), stdin=subprocess.PIPE) as started:
        started.wait_for(lambda: "up" in started.output())
        expect(run([f"{where}/program"]).status == 0, "the host cannot execute it")
        started.process.stdin.close()
        started.wait()


def directories_of_one_file():
    """As in a repository of Maven: each name keeps its directory, and forgetting the oldest names forgets these."""
    where = scratch("one-each")
    for i in range(6000):
        os.makedirs(f"{where}/{i}", exist_ok=True)
        with open(f"{where}/{i}/f", "w"):
            pass
    look = f"import os\nprint(sum(os.stat(f'{where}/{{i}}/f').st_nlink for i in range(6000)))"
    ours = cvm([PYTHON, "-c", look], ["-v", f"{where}:{where}:ro"])
    expect(ours.status == 0 and ours.text() == "6000\n", "names were not found", ours)
    shutil.rmtree(where)


def openssl_genrsa():
    where = scratch("genrsa")
    ours = cvm(["/usr/bin/openssl", "genrsa", "-out", "/k/key.pem", "2048"], ["-v", f"{where}:/k"])
    expect(ours.status == 0, "genrsa failed", ours)
    checked = run(["/usr/bin/openssl", "rsa", "-in", f"{where}/key.pem", "-check", "-noout"])
    expect(checked.status == 0 and "RSA key ok" in checked.text() + checked.errors(), "not a key", checked)
    with open(f"{where}/text", "w") as f:
        f.write("to be signed\n")
    ours = cvm(["/usr/bin/openssl", "dgst", "-sha256", "-sign", "/k/key.pem", "-out", "/k/sig", "/k/text"], ["-v", f"{where}:/k"])
    expect(ours.status == 0, "signing failed", ours)
    public = run(["/usr/bin/openssl", "rsa", "-in", f"{where}/key.pem", "-pubout", "-out", f"{where}/pub.pem"])
    checked = run(["/usr/bin/openssl", "dgst", "-sha256", "-verify", f"{where}/pub.pem", "-signature", f"{where}/sig", f"{where}/text"])
    expect(public.status == 0 and checked.status == 0, "the signature does not verify", checked)


SQL = """pragma journal_mode=wal; pragma synchronous=normal;
create table t(id integer primary key, a integer, b text);
begin;
with recursive c(x) as (select 1 union all select x+1 from c where x<{rows})
insert into t select x, x*7919 % 1000003, 'row ' || x from c;
commit;
create index t_a on t(a);
update t set b = b || '!' where a % 10 = 3;
select count(*), sum(a), max(b) from t;
"""


def sqlite(rows):
    def test():
        where = scratch(f"sqlite-{rows}")
        sql = SQL.format(rows=rows).encode()
        native = run(["/usr/bin/sqlite3", f"{where}/native.db"], stdin=sql)
        ours = cvm(["/usr/bin/sqlite3", "/db/cvm.db"], ["-v", f"{where}:/db"], stdin=sql, timeout=600)
        expect_same(native, ours)
        reopened = run(["/usr/bin/sqlite3", f"{where}/cvm.db", "pragma integrity_check; select count(*), sum(a) from t"])
        expect(reopened.text().startswith("ok\n" + str(rows)), "the database is not whole", reopened)
        run(["rm", "-rf", where])
    return test


def redis_command(port, folder="/data"):
    return ["/usr/bin/redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--appendonly", "yes",
            "--appendfsync", "everysec", "--save", "", "--daemonize", "no", "--enable-debug-command", "yes"]


def redis_cli(port, *words):
    return run(["/usr/bin/redis-cli", "-p", str(port), *words])


def ready(port):
    return lambda: listening(port) and redis_cli(port, "ping").text() == "PONG\n"


def load_redis(port, requests):
    ran = run(["/usr/bin/redis-benchmark", "-p", str(port), "-c", "50", "-P", "16", "-n", str(requests), "-r", "5000", "-q", "-t",
               "set,get,incr,lpush,hset"], timeout=300)
    expect(ran.status == 0 and "Error" not in ran.text() + ran.errors(), "redis-benchmark failed", ran)
    for i in range(20):
        redis_cli(port, "set", f"mark:{i}", f"value {i * i}")


def contents(port):
    size = redis_cli(port, "dbsize").text()
    return size + "".join(redis_cli(port, "get", f"mark:{i}").text() for i in range(20)) + redis_cli(port, "debug", "digest").text()


def redis(requests):
    def test():
        where = scratch(f"redis-{requests}")
        port = free_port()
        command = cvm_command(redis_command(port), ["-v", f"{where}:/data", "-p", f"127.0.0.1:{port}"])
        with Started(command) as server:
            server.wait_for(ready(port))
            load_redis(port, requests)
            before = contents(port)
            expect("value 361" in before, "data is missing: " + before)
            server.process.send_signal(signal.SIGTERM)
            status = server.wait()
            expect(status == 0, f"status {status} after SIGTERM\n{server.output()}")
        with Started(command) as server:
            server.wait_for(ready(port))
            after = contents(port)
            expect(before == after, f"data differs after the restart:\n{before}\n{after}\n{server.output()}")
            redis_cli(port, "shutdown", "nosave")
            expect(server.wait() == 0, "status after SHUTDOWN\n" + server.output())
    return test


def redis_snapshot():
    """BGSAVE's child writes what there was at its fork, though the server goes on changing every key; and the server goes on."""
    where, port = scratch("redis-snapshot"), free_port()

    def idle(what):
        return lambda: not re.search(rf"^{what}:1", redis_cli(port, "info", "persistence").text(), re.M)
    command = cvm_command(redis_command(port), ["-v", f"{where}:/data", "-p", f"127.0.0.1:{port}"])
    with Started(command) as server:
        server.wait_for(ready(port))
        redis_cli(port, "debug", "populate", "30000", "key", "500")
        before = contents(port)
        expect(redis_cli(port, "bgsave").text() == "Background saving started\n", "no BGSAVE\n" + server.output())
        redis_cli(port, "eval", "for i = 0, 29999 do redis.call('set', 'key:' .. i, 'changed' .. i) end", "0")
        server.wait_for(idle("rdb_bgsave_in_progress"))
        changed = contents(port)
        expect(redis_cli(port, "bgrewriteaof").text().startswith("Background append only file rewriting"), "no rewriting\n" + server.output())
        redis_cli(port, "set", "mark:0", "behind the rewriting")
        server.wait_for(idle("aof_rewrite_(in_progress|scheduled)"))
        state = redis_cli(port, "info", "persistence").text()
        expect("rdb_last_bgsave_status:ok" in state and "aof_last_bgrewrite_status:ok" in state, f"{state}\n{server.output()}")
        after = contents(port)
        server.process.send_signal(signal.SIGTERM)
        expect(server.wait() == 0, "status after SIGTERM\n" + server.output())
    expect(len({before, changed, after}) == 3, "nothing changed")
    with Started(command) as server:
        server.wait_for(ready(port))
        expect(contents(port) == after, "the rewritten log has something else\n" + server.output())
    port = free_port()
    with Started(["/usr/bin/redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", where, "--save", "",
                  "--enable-debug-command", "yes"]) as native:
        native.wait_for(ready(port))
        expect(contents(port) == before, "the snapshot is not what there was at the fork\n" + native.output())


def git_log():
    """git reads and writes a repository without another process."""
    where = scratch("git")
    git = ["/usr/bin/git", "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@b", "-C", where]
    for command in (["init", "-q"], ["-c", "gc.auto=0", "commit", "-q", "--allow-empty", "-m", "first"]):
        ran = run(git + command)
        expect(ran.status == 0, "git itself failed", ran)
    with open(f"{where}/file", "w") as f:
        f.write("text\n" * 1000)
    volume = ["-v", f"{where}:{where}"]
    for command in (["add", "file"], ["-c", "gc.auto=0", "-c", "maintenance.auto=false", "commit", "-q", "-m", "second"]):
        ours = cvm(git + command, volume)
        expect(ours.status == 0, "failed in a cVM", ours)
    for command in (["--no-pager", "log", "--stat"], ["cat-file", "-p", "HEAD"], ["status", "--porcelain"],
                    ["--no-pager", "diff", "HEAD~1"], ["show", "HEAD:file"]):
        expect_same(run(git + command), cvm(git + command, volume))


def fixed_addresses():
    """Programs that want the same fixed place take turns, forked ones too; who starts one that wants an impossible place is told so and
    goes on."""
    child = "import os\nmine = list(range(1000))\np = os.fork()\nif not p: mine.clear(); os._exit(3)\nprint(os.wait()[1], sum(mine))"
    code = (f"import subprocess, sys, os\nchildren = [subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE) for _ in range(3)]\n"
            "p = os.fork()\nif not p: os.execv(sys.executable, ['python3', '-c', 'raise SystemExit(5)'])\n"
            "print(os.waitpid(p, 0)[1], [c.communicate()[0] for c in children])")
    native, ours = run([PYTHON, "-c", code]), cvm([PYTHON, "-c", code])
    expect(native.status == ours.status == 0 and ours.text() == native.text() == "1280 " + str([b"768 499500\n"] * 3) + "\n", "not as natively", ours)
    # Between python and the compiler proper, which wants more than both, is gcc's driver, which wants less than python.
    code = ("import subprocess\nmine = list(range(1000))\nprint([subprocess.run(['/usr/bin/gcc', '-x', 'c', '-c', '-o', '/dev/null', '-'], input=b'int a;')"
            ".returncode for _ in range(3)], sum(mine))")
    ours = cvm([PYTHON, "-c", code])
    expect(ours.status == 0 and ours.text() == "[0, 0, 0] 499500\n", "python starts gcc", ours)
    # Debian's gawk is linked there, too, and those of a pipeline begin and end at the same time.
    code = "for i in $(seq 100); do gawk 'BEGIN { print 1 }' | gawk '{ print $1 + 1 }' | gawk '{ print $1 + 1 }'; done | sort | uniq -c"
    ours = cvm(["/bin/dash", "-c", code])
    expect(ours.status == 0 and ours.text() == "    100 3\n", "pipelines of gawk", ours)
    where = scratch("fixed")
    with open(f"{where}/a.s", "w") as f:
        f.write(".globl a; a: mov $60, %eax; mov $7, %edi; syscall\n")
    for command in (["as", "-o", f"{where}/a.o", f"{where}/a.s"], ["ld", "-e", "a", "-Ttext-segment=0x200000000", "-o", f"{where}/a", f"{where}/a.o"]):
        ran = run(command)
        expect(ran.status == 0, "not built", ran)
    expect(run([f"{where}/a"]).status == 7, "does not run natively")
    ours = cvm(["/bin/dash", "-c", f"{where}/a; echo $?; echo goes on"], ["-v", f"{where}:{where}"])
    expect(ours.status == 0 and ours.text() == "126\ngoes on\n" and "non-PIE executable" in ours.errors(), "not refused", ours)


def www(name):
    where = scratch(name)
    os.makedirs(f"{where}/www")
    shutil.copyfile(data("1mb"), f"{where}/www/file")
    with open(f"{where}/www/index.html", "w") as f:
        f.write("<p>index</p>\n")
    return where, free_port()


def serves(server, port, where):
    """What curl gets, from outside and from a cVM of its own, is the file."""
    server.wait_for(lambda: listening(port))
    for command in (["/usr/bin/curl", "-sS", f"http://127.0.0.1:{port}/file"],
                    cvm_command(["/usr/bin/curl", "-sS", f"http://127.0.0.1:{port}/file"], ["--connect", f"127.0.0.1:{port}"])):
        got = run(command)
        expect(got.status == 0 and got.out == open(f"{where}/www/file", "rb").read(), "curl got something else: " + server.output(), got)
    missing = run(["/usr/bin/curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{port}/missing"])
    expect(missing.text() == "404", "no 404", missing)


def ends(server, number=signal.SIGTERM):
    server.process.send_signal(number)
    expect(server.wait() in (0, 128 + number), "status after the signal\n" + server.output())


def nginx():
    where, port = www("nginx")
    with open(f"{where}/conf", "w") as f:
        f.write("daemon off; master_process off; error_log stderr; pid /tmp/pid; events {} "
                f"http {{ access_log off; server {{ listen 127.0.0.1:{port}; root /srv/www; }} }}\n")
    with Started(cvm_command(["/usr/sbin/nginx", "-c", "/srv/conf"], ["-v", f"{where}:/srv:ro", "-p", f"127.0.0.1:{port}"])) as server:
        serves(server, port, where)
        ends(server)


def nginx_workers():
    """As Debian configures it: a master and workers, reload and graceful end by signals."""
    where, port = www("nginx-workers")

    def configure(text):
        with open(f"{where}/conf", "w") as f:
            f.write("user www-data; worker_processes 2; daemon off; error_log stderr; pid /tmp/pid; events { worker_connections 768; } "
                    "http { sendfile on; tcp_nopush on; include /etc/nginx/mime.types; access_log off; gzip on; "
                    f"server {{ listen 127.0.0.1:{port}; root /srv/www; location /text {{ return 200 {text}; }} }} }}\n")

    def text():
        return run(["/usr/bin/curl", "-sS", f"http://127.0.0.1:{port}/text"]).text()
    configure("one")
    with Started(cvm_command(["/usr/sbin/nginx", "-c", "/srv/conf"], ["-v", f"{where}:/srv:ro", "-p", f"127.0.0.1:{port}"])) as server:
        serves(server, port, where)
        load = run(["/usr/bin/wrk", "-t1", "-c16", "-d1", "--timeout", "60s", f"http://127.0.0.1:{port}/text"])
        expect("Requests/sec" in load.text() and "errors" not in load.text() and "Non-2xx" not in load.text(), "under load\n" + server.output(), load)
        expect(text() == "one", "wrong text")
        configure("two")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for(lambda: text() == "two")
        serves(server, port, where)
        expect("[alert]" not in server.output(), "something is wrong\n" + server.output())
        server.process.send_signal(signal.SIGQUIT)
        expect(server.wait() == 0, "status after SIGQUIT\n" + server.output())


def lighttpd():
    where, port = www("lighttpd")
    with open(f"{where}/conf", "w") as f:
        f.write(f'server.document-root = "/srv/www"\nserver.port = {port}\nserver.bind = "127.0.0.1"\n')
    with Started(cvm_command(["/usr/sbin/lighttpd", "-D", "-f", "/srv/conf"], ["-v", f"{where}:/srv:ro", "-p", f"127.0.0.1:{port}"])) as server:
        serves(server, port, where)
        ends(server)


def haproxy():
    """In front of a lighttpd in another cVM."""
    where, port = www("haproxy")
    back = free_port()
    with open(f"{where}/conf", "w") as f:
        f.write(f'server.document-root = "/srv/www"\nserver.port = {back}\nserver.bind = "127.0.0.1"\n')
    with open(f"{where}/haproxy.cfg", "w") as f:
        f.write("defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
                f"frontend f\n bind 127.0.0.1:{port}\n default_backend b\nbackend b\n server s 127.0.0.1:{back}\n")
    with Started(cvm_command(["/usr/sbin/lighttpd", "-D", "-f", "/srv/conf"], ["-v", f"{where}:/srv:ro", "-p", f"127.0.0.1:{back}"])) as server:
        server.wait_for(lambda: listening(back))
        with Started(cvm_command(["/usr/sbin/haproxy", "-db", "-f", "/srv/haproxy.cfg"],
                                 ["-v", f"{where}:/srv:ro", "-p", f"127.0.0.1:{port}", "--connect", f"127.0.0.1:{back}"])) as proxy:
            serves(proxy, port, where)
            ends(proxy)


POSTGRES = "/usr/lib/postgresql/15/bin"


def as_nobody(command, kind, where, port):
    """PostgreSQL refuses to be root; a cVM only says that its program is somebody else."""
    if kind == "cvm":
        return cvm_command(command, ["--user", "65534:65534", "-m", "1G", "-v", f"{where}:{where}", "-v", f"{PROGRAMS}:{PROGRAMS}:ro",
                                     "-p", f"127.0.0.1:{port}"])
    return (["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []) + command


def psql(port, sql):
    return run([f"{POSTGRES}/psql", "-XAtq", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-c", sql])


def postgres():
    """All of it in one cVM over a Unix socket, as natively; then a server and clients outside, with a backend that crashes."""
    said, port = {}, free_port()
    with tempfile.TemporaryDirectory(prefix="postgres.", ignore_cleanup_errors=True) as top:
        os.chmod(top, 0o755)
        for kind in ("native", "cvm"):
            where = f"{top}/{kind}"
            os.mkdir(where, 0o700)
            if os.geteuid() == 0 and kind == "native":
                os.chown(where, 65534, 65534)
            said[kind] = run(as_nobody(["/bin/sh", f"{PROGRAMS}/postgres.sh", where, str(port)], kind, where, port), timeout=200)
            log = read_if_there(f"{where}/log")
            expect(said[kind].status == 0 and said[kind].text().endswith("stopped\n"), f"{kind}:\n{log}", said[kind])
        expect_same(said["native"], said["cvm"])
        server_command = as_nobody([f"{POSTGRES}/postgres", "-D", f"{where}/db", "-p", str(port), "-k", "/tmp",
                                    "-c", "listen_addresses=127.0.0.1", "-c", "restart_after_crash=on"], "cvm", where, port)
        count = "select count(*), sum(a) from t"

        def answers():
            return psql(port, count).text() == "20000|200010000\n"
        for number in (signal.SIGTERM, signal.SIGINT):
            with Started(server_command) as server:
                server.wait_for(answers)
                if number == signal.SIGTERM:
                    load = run([f"{POSTGRES}/pgbench", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-n", "-c", "2", "-t", "20", "postgres"])
                    expect("40/40" in load.text() and " failed transactions: 0" in load.text(), server.output(), load)
                    crashed = psql(port, "copy (select pg_backend_pid()) to program 'kill -SEGV $(cat)'")
                    expect(crashed.status == 2 and "terminated" in crashed.errors(), "it did not crash", crashed)
                    server.wait_for(answers)
                    expect("was terminated by signal 11" in server.output() and "redo" in server.output(), "no recovery\n" + server.output())
                server.process.send_signal(number)
                expect(server.wait() == 0, "status after the signal\n" + server.output())
                expect("database system is shut down" in server.output(), "no shutdown\n" + server.output())


def read_if_there(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def memcached():
    import socket
    port = free_port()
    with Started(cvm_command(["/usr/bin/memcached", "-u", "root", "-U", "0", "-l", "127.0.0.1", "-p", str(port), "-t", "4"],
                             ["-p", f"127.0.0.1:{port}"])) as server:
        server.wait_for(lambda: listening(port))
        with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
            stream = s.makefile("rwb")
            for i in range(2000):
                value = str(i) * (i % 50 + 1)
                stream.write(f"set key{i} 0 0 {len(value)}\r\n{value}\r\n".encode())
                stream.flush()
                expect(stream.readline() == b"STORED\r\n", f"set {i} failed\n" + server.output())
            for i in (0, 7, 1999):
                stream.write(f"get key{i}\r\n".encode())
                stream.flush()
                got = [stream.readline() for _ in range(3)]
                expect(got[1] == (str(i) * (i % 50 + 1)).encode() + b"\r\n", f"get {i}: {got}\n" + server.output())
        ends(server)


def write_yaml(path, cvms):
    """cvms: list of maps whose values are texts or lists of texts."""
    import json
    lines = ["cVMs:"]
    for one in cvms:
        for i, (key, value) in enumerate(one.items()):
            lines.append(f"{'  - ' if i == 0 else '    '}{key}: {json.dumps(value)}")
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")


def two_redis():
    where = scratch("two-redis")
    ports = [free_port(), free_port()]
    cvms = []
    for i, port in enumerate(ports):
        os.makedirs(f"{where}/{i}")
        program, *arguments = redis_command(port)
        cvms.append({"name": f"redis{i}", "program": program, "args": arguments, "volumes": [f"{where}/{i}:/data"],
                     "bind": [f"127.0.0.1:{port}"]})
    write_yaml(f"{where}/pod.yaml", cvms)
    with Started(yaml_command(f"{where}/pod.yaml")) as pod:
        pod.wait_for(ready(ports[0]))
        pod.wait_for(ready(ports[1]))
        redis_cli(ports[0], "set", "who", "zero")
        redis_cli(ports[1], "set", "who", "one")
        loads = [subprocess.Popen(["/usr/bin/redis-benchmark", "-p", str(p), "-c", "20", "-P", "16", "-n", "50000", "-q", "-t", "set,get"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for p in ports]
        for load in loads:
            expect(load.wait(120) == 0, "redis-benchmark failed\n" + pod.output())
        got = [redis_cli(p, "get", "who").text() for p in ports]
        expect(got == ["zero\n", "one\n"], f"wrong data: {got}")
        redis_cli(ports[0], "shutdown", "nosave")
        time.sleep(0.5)
        expect(redis_cli(ports[1], "get", "who").text() == "one\n", "the second server went with the first\n" + pod.output())
        pod.process.send_signal(signal.SIGTERM)
        expect(pod.wait() == 0, "status after SIGTERM\n" + pod.output())


def exit_statuses():
    for status in (0, 1, 42, 126, 127, 255):
        ours = cvm(["/usr/bin/perl", "-e", f"exit {status}"])
        expect(ours.status == status, f"exit {status} became {ours.status}", ours)


def ends_by_signal():
    for name in ("TERM", "INT", "KILL", "ABRT", "SEGV"):
        number = getattr(signal, "SIG" + name)
        ours = cvm(["/usr/bin/perl", "-e", f"kill {name} => $$; sleep 10"])
        expect(ours.status == 128 + number, f"SIG{name} became status {ours.status}", ours)


def signals_reach_the_program():
    program = "$SIG{HUP} = sub { print 'hup '; }; $SIG{TERM} = sub { print qq(term\\n); exit 3 }; $| = 1; print qq(ready\\n); sleep 1 while 1"
    with Started(cvm_command(["/usr/bin/perl", "-e", program])) as started:
        started.wait_for(lambda: "ready" in started.output())
        started.process.send_signal(signal.SIGHUP)
        started.wait_for(lambda: "hup" in started.output())
        started.process.send_signal(signal.SIGTERM)
        status = started.wait()
        expect(status == 3 and "hup term" in started.output(), f"status {status}\n{started.output()}")


def could_not_start():
    for arguments, status in ((["/nonexistent/program"], 127), (["no-such-program-anywhere"], 127), (["/etc/passwd"], 126), (["/usr"], 126)):
        ours = cvm(arguments)
        expect(ours.status == status, f"{arguments[0]}: status {ours.status} instead of {status}", ours)
        expect(arguments[0] in ours.errors(), "the message does not name it", ours)


def pipes_between_cvms():
    """stdin and stdout are the command's own."""
    first = subprocess.Popen(cvm_command(["/usr/bin/seq", "1", "200000"]), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=harness.ENV)
    ran = run(cvm_command(["/usr/bin/sha256sum"]), stdin=first.stdout)
    first.stdout.close()
    first.wait()
    import hashlib
    wanted = hashlib.sha256("".join(f"{i}\n" for i in range(1, 200001)).encode()).hexdigest()
    expect(ran.text().startswith(wanted), "wrong bytes came through", ran)


def closed_pipe():
    """A reader that goes away ends the program by SIGPIPE, as natively."""
    first = subprocess.Popen(cvm_command(["/usr/bin/yes"]), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=harness.ENV)
    line = first.stdout.readline()
    first.stdout.close()
    status = first.wait(60 * harness.SLOWNESS)
    expect(line == b"y\n" and status in (141, -13), f"status {status}")


def tail_follows_a_volume():
    """inotify says that it cannot watch a host volume, so tail looks by itself and sees what others write."""
    where = scratch("tail")
    with open(f"{where}/log", "w") as f:
        f.write("first\n")
    with Started(cvm_command(["/usr/bin/tail", "-s", "0.1", "-f", "/v/log"], ["-v", f"{where}:/v"])) as tail:
        tail.wait_for(lambda: "first\n" in tail.output())
        with open(f"{where}/log", "a") as f:
            f.write("second\n")
        tail.wait_for(lambda: "second\n" in tail.output())
        expect("cannot be watched" in tail.output(), "the limit is not said:\n" + tail.output())
        ends(tail)


def translator_dies_with_its_parent():
    """Whoever started a translator is killed: it ends too. Stopped in the middle of a large file, so that it is still there."""
    where = scratch("translator")
    with open(f"{where}/file", "wb") as f:
        f.truncate(700 << 20)
    code = ("import os, signal, subprocess, sys, time\n"
            f"i = os.open('{where}/file', os.O_RDONLY); o = os.open('{where}/out', os.O_RDWR | os.O_CREAT)\n"
            f"p = subprocess.Popen(['{BUILD}/intravisor-translate', str(i), str(o), '0', '4096', '1'], pass_fds=(i, o))\n"
            "while 'Seccomp:\\t2' not in open(f'/proc/{p.pid}/status').read() and p.poll() is None: pass\n"
            "p.send_signal(signal.SIGSTOP)\n"
            "while '(stopped)' not in open(f'/proc/{p.pid}/status').read() and p.poll() is None: time.sleep(0.001)\n"
            "print(p.pid if p.poll() is None else 0, flush=True)\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n")
    ran = run([sys.executable, "-c", code])
    pid = int(ran.text() or 0)
    expect(pid > 0, "the translator was ready before it could be stopped", ran)
    for _ in range(100):
        try:
            with open(f"/proc/{pid}/stat") as f:
                if f.read().rpartition(")")[2].split()[0] in "ZX":
                    return
        except OSError:
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    raise Fail("the translator is still there 10 s after its parent was killed")


def trace():
    """Lines as strace prints them, to the log; a call that waits is unfinished first."""
    code = ("import os, threading, time\n"
            "r, w = os.pipe()\n"
            "t = threading.Thread(target=lambda: os.read(r, 100))\n"
            "t.start()\n"
            "for i in range(100): os.stat('/etc/hostname'); time.sleep(0.01)\n"
            "os.write(w, b'woken'); t.join()\n"
            "print(os.read(0, 9))\n")
    ours = cvm([PYTHON, "-S", "-c", code], ["--trace"], stdin=b"input")
    expect(ours.status == 0 and ours.text() == "b'input'\n", "the program's own output changed", ours)
    lines = [line.partition("] ")[2] for line in ours.errors().splitlines()]
    for wanted in (r'\[1\] openat\(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY\|O_CLOEXEC, 0\) = 3', r'\[1\] exit_group\(0\) = \?',
                   r'\[1\] write\(\d, "woken", 5(\) = 5| <unfinished ...>)', r'\[1\] read\(0, "input", 9\) = 5',
                   r'\[1\] openat\(.*\) = -1 ENOENT \(No such file or directory\)'):
        expect(any(re.fullmatch(wanted, line) for line in lines), f"the trace lacks {wanted}", ours)
    begun = next((i for i, line in enumerate(lines) if re.fullmatch(r"\[2\] read\(\d, <unfinished ...>", line)), None)
    ended = next((i for i, line in enumerate(lines) if re.fullmatch(r'\[2\] <... read resumed>"woken", 100\) = 5', line)), None)
    expect(None not in (begun, ended) and any("/etc/hostname" in line for line in lines[begun:ended]),
           f"no other call between lines {begun} and {ended} of the reading thread", ours)


def stats():
    ours = cvm(["/bin/ls", "/usr/bin"], ["--stats"])
    expect(ours.status == 0, "failed", ours)
    for word in ("fast", "trapped", "hostcalls", "memory"):
        expect(word in ours.errors().lower(), f"the statistics lack {word}", ours)
    return None


def read_over_without_the_host():
    """A file that is read over and over is copied out of a mapping; of file systems where that is not the same, it is read."""
    where = scratch("read-over")
    kind = run(["/usr/bin/stat", "-f", "-c", "%T", where]).text().strip()
    with open(f"{where}/f", "wb") as f:
        f.write(os.urandom(1 << 16))
    script = f"open F, '<', '{where}/f'; for (1..50000) {{ sysseek F, $_ % 15 * 4096, 0; sysread F, $x, 4096 }} print unpack '%32C*', $x"
    native, ours = run(["/usr/bin/perl", "-e", script]), cvm(["/usr/bin/perl", "-e", script], ["--stats", "-v", f"{where}:{where}:ro"])
    expect(ours.status == 0 and ours.text() == native.text(), "read something else", ours)
    head, row = ours.errors().splitlines()[-2:]
    calls = int(dict(zip(head.split(), row.split()))["hostcalls"])
    mapped = kind in ("ext2/ext3", "btrfs", "f2fs", "tmpfs")
    expect((calls < 10000) == mapped, f"{calls} hostcalls on {kind}", ours)


def crash_report():
    """A fault is reported with signal, address and symbol; only that cVM ends."""
    where = scratch("crash")
    program = compile_c(os.path.join(PROGRAMS, "crash.c"))
    folder = os.path.dirname(program)
    write_yaml(f"{where}/pod.yaml", [
        {"name": "crasher", "program": program, "volumes": [f"{folder}:{folder}:ro"]},
        {"name": "survivor", "program": "/usr/bin/perl", "args": ["-e", "sleep 3; open F, '>/out/alive'; print F 'yes'; close F"],
         "volumes": [f"{where}:/out"]},
    ])
    ours = run(yaml_command(f"{where}/pod.yaml"))
    errors = ours.errors()
    expect(harness.read(f"{where}/alive") == "yes", "the other cVM did not survive", ours)
    for word in ("crasher", "SIGSEGV", "0x123456", "(crash_here+0x", "(main+0x"):
        expect(word in errors, f"the report lacks {word}", ours)
    expect(ours.status != 0, "the crash is not in the exit status", ours)


def leaves_nothing_behind():
    """No process, socket or temporary file stays: everything that is made has a place of the test's own."""
    where = scratch("left-behind")
    for name in ("home", "tmp", "runtime"):
        os.mkdir(f"{where}/{name}")
    env = dict(harness.ENV, HOME=f"{where}/home", TMPDIR=f"{where}/tmp", XDG_RUNTIME_DIR=f"{where}/runtime")

    def left():
        return [os.path.join(d, n) for d, _, names in os.walk(where) for n in names if "/home/.cache/intravisor" not in d]

    def processes(session):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.getsid(int(pid)) == session:
                    found.append(harness.read(f"/proc/{pid}/comm").strip() + " " + pid)
            except OSError:
                pass
        return found

    ours = cvm(["/bin/echo", "marker"], env=env)
    expect(ours.status == 0 and not left(), f"failed, or left behind: {left()}", ours)
    with Started(cvm_command(["/usr/bin/perl", "-e", "$| = 1; print qq(up\n); sleep 1000"]), env=env) as started:
        started.wait_for(lambda: "up" in started.output())
        expect(len(processes(started.process.pid)) >= 2, f"command and monitor are not both there: {processes(started.process.pid)}")
        started.process.kill()
        started.process.wait()
        end = time.monotonic() + harness.limit_of(60)
        while processes(started.process.pid):
            expect(time.monotonic() < end, f"processes survive the command's SIGKILL: {processes(started.process.pid)}")
            time.sleep(0.02)
    expect(not left(), f"left behind: {left()}")


def ordinary_user():
    """Everything but installing packages works without root. In a directory that everybody can reach, wherever this one lies."""
    if os.getuid() != 0:
        return
    with tempfile.TemporaryDirectory(prefix="intravisor-rootless-") as where:
        for path in glob.glob(os.path.join(BUILD, "intravisor*")):
            shutil.copy(path, where)
        os.chmod(where, 0o755)
        os.mkdir(where + "/home")
        os.chown(where + "/home", 65534, 65534)
        command = ["/bin/sh", "-c", "echo rootless; cat /root/file; echo $?; echo new > /root/file"]
        natively, ours = (run(["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *before, *command],
                              env=dict(harness.ENV, HOME=where + "/home"), cwd="/")
                          for before in ([], [os.path.join(where, "intravisor"), *cvm_command([])[1:]]))
        expect_same(natively, ours)
        expect("Permission denied" in ours.errors() and ours.text() == "rootless\n1\n", "/root was open", ours)


def check_command():
    """`intravisor check` says whether this machine can run it."""
    ran = run([INTRAVISOR, "check"])
    if harness.HAVE_KEYS:
        expect(ran.status == 0, "this machine has protection keys", ran)
    else:
        expect(ran.status != 0 and re.search(r"protection key|PKU", ran.text() + ran.errors(), re.I), "does not name what is missing", ran)


def make_run():
    """What `make run` starts, where no test has left anything yet."""
    ran = run([sys.executable, os.path.join(ROOT, "bench/demo.py"), "--quick"], env=dict(harness.ENV, CVM_TESTS_OUT=scratch("run")), timeout=300)
    expect(ran.status == 0 and "integrity_check: ok" in ran.text() and "multi-tier, wrk" in ran.text(), "failed", ran)


def refuses_without_keys():
    if harness.HAVE_KEYS:
        return "this CPU has protection keys: nothing to refuse"
    ours = cvm(["/bin/echo", "ran"], insecure=[])
    expect(ours.status == 125 and b"ran" not in ours.out, "ran without protection keys and without being told to", ours)
    return None


FUNCTIONS = [
    (hello("gcc"), "hello_glibc", "too"), (hello("static"), "hello_static_glibc", None), (hello("musl"), "hello_musl", None),
    (hello("musl-static"), "hello_static_musl", "too"),
    (tar_to_volume, None, None), (overlay_is_private, None, "too"), (own_name, None, None), (read_only_volume, None, None),
    (volume_that_is_a_file, None, None), (directories_of_one_file, None, None), (openssl_genrsa, None, None),
    (sqlite(1_000_000), "sqlite_million_rows_wal", None), (sqlite(2000), "sqlite_small_wal", "too"),
    (redis(200_000), "redis_aof_restart", None), (redis(2000), "redis_small", "only"), (git_log, None, None),
    (redis_snapshot, None, None), (nginx, None, None), (nginx_workers, None, None), (lighttpd, None, None), (haproxy, None, None), (memcached, None, None),
    (postgres, None, None), (two_redis, "two_redis_in_one", None),
    (exit_statuses, None, None), (ends_by_signal, None, None), (signals_reach_the_program, None, "too"), (could_not_start, None, None),
    (pipes_between_cvms, None, None), (closed_pipe, None, None), (fixed_addresses, None, None), (translator_dies_with_its_parent, None, None), (tail_follows_a_volume, None, None),
    (trace, None, None), (stats, None, None), (read_over_without_the_host, None, None), (crash_report, None, "too"),
    (leaves_nothing_behind, None, None), (ordinary_user, None, None), (make_run, None, None), (check_command, None, "too"), (refuses_without_keys, None, None),
]


def prepare():
    """What the emulated machine would take long to make."""
    data("1mb")
    compile_c(os.path.join(PROGRAMS, "crash.c"))
    for kind in ("gcc", "musl-static"):
        compile_c(os.path.join(ROOT, "tests/guest/hello.c"), kind)


ISOLATED = ("dash_forks", "bash_script_forks", "git_forks", "make_pipes", "php_pipes", "ruby_forks", "python_spawn_work", "python_threading_work",
            "python_asyncio_work", "sqlite_memory")  # also with --isolate-libos


def tests():
    found = [Test("e2e/" + name, same_as_native(name, command, more), vm=more.get("vm")) for name, command, more in TABLE]
    found += [Test(f"e2e/{name}.isolated", same_as_native(name + ".isolated", command, {**more, "options": more.get("options", []) + ["--isolate-libos"]}))
              for name, command, more in TABLE if name in ISOLATED]
    found += [Test("e2e/" + (name or function.__name__), function, vm=vm) for function, name, vm in FUNCTIONS]
    return found
