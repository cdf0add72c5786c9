#!/usr/bin/python3
"""The command beside a monitor (a fake one): what it hands over, prints, passes on and answers, and how it ends."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fakes import PATIENCE, Box, libos_elf  # noqa: E402


class BesideMonitor(unittest.TestCase):
    def setUp(self):
        self.box = Box()

    def tearDown(self):
        self.assertEqual(self.box.wait_nothing_left(), [], "processes are left")

    def value(self, expression, *options, **more):
        status, out, err = self.box.python(f"print({expression}, flush=True); cvm.exit(0)", *options, **more)
        self.assertEqual((status, err), (0, ""))
        return out.strip()

    # Exit statuses

    def test_exit_status_is_the_programs(self):
        for code in (0, 1, 42, 255):
            self.assertEqual(self.box.python(f"cvm.exit({code})")[0], code)

    def test_exit_status_of_a_signal(self):
        self.assertEqual(self.box.python("cvm.exit(139, 1)")[0], 139)
        self.assertEqual(self.box.python("cvm.exit(11, 1)")[0], 139)

    def test_first_status_that_is_not_zero(self):
        cvms = "".join(f"  - {{name: c{i}, program: fake, args: ['time.sleep({delay}); cvm.exit({code})']}}\n"
                       for i, (code, delay) in enumerate([(0, 0), (3, 0.2), (4, 0)]))
        self.box.file("pod.yaml", "cVMs:\n" + cvms)
        self.assertEqual(self.box.run("run", "--insecure-no-pkeys", "-q", "-y", "pod.yaml")[0], 3)

    def test_monitor_dies(self):
        status, _, err = self.box.python("os.kill(os.getpid(), 9)")
        self.assertEqual(status, 125)
        self.assertIn("the monitor ended unexpectedly (killed by signal 9)", err)

    def test_monitor_fatal(self):
        status, _, err = self.box.python("monitor.fatal('no\\x1b memory')")
        self.assertEqual((status, err), (125, "intravisor: no\\x1b memory\n"))
        status, _, err = self.box.python("monitor.fatal('no memory', -5)")
        self.assertEqual((status, err), (125, "intravisor: no memory: Input/output error\n"))

    def test_report(self):
        status, _, err = self.box.python("cvm.report('no\\x1b frame', 0, 11, 4096, 8); cvm.report('stop'); cvm.exit(3)")
        self.assertEqual((status, err), (3, "intravisor: fake: no\\x1b frame: signal 11 at 0x1000, address 0x8\n"
                                            "intravisor: fake: stop\n"))

    def test_monitor_cannot_be_executed(self):
        self.box.helper("monitor", "neither ELF nor script")
        status, _, err = self.box.python("")
        self.assertEqual(status, 125)
        self.assertIn("cannot start the monitor", err)

    def test_killed_command_takes_the_monitor_along(self):
        process = self.box.start("run", "--insecure-no-pkeys", "-q", "fake", "print('up', flush=True); time.sleep(60)")
        self.assertEqual(process.stdout.readline(), b"up\n")
        process.kill()
        process.communicate()
        self.assertEqual(self.box.wait_nothing_left(), [])

    # What is printed

    def test_log_is_prefixed_and_escaped(self):
        code = r"cvm.log(b'one\n\ntwo\ttab \x1b[2J\r\x07 \xc3\xa9 \xc3 \xff \xe2\x80\xae \xc2\x9b \x7f\x00'); cvm.exit(0)"
        status, out, err = self.box.python(code, "--name", "web")
        self.assertEqual((status, out), (0, ""))
        self.assertEqual(err, "[web] one\n[web] two\ttab \\x1b[2J\\x0d\\x07 é \\xc3 \\xff \\xe2\\x80\\xae \\xc2\\x9b \\x7f\\x00\n")

    def test_crash_report(self):
        err = self.box.python("cvm.crash('SIGSEGV at 0x10\\n  in main'); cvm.exit(139, 1)", "--name", "db")[2]
        self.assertEqual(err, "intravisor: db: SIGSEGV at 0x10\nintravisor: db:   in main\n")

    def test_many_log_lines_stay_whole(self):
        err = self.box.python("[cvm.log('x' * 2000) for i in range(500)]; cvm.exit(0)")[2]
        self.assertEqual(err, ("[fake] " + "x" * 2000 + "\n") * 500)

    def test_bad_messages_are_ignored(self):
        code = ("monitor.events.send(b'abc'); cvm.send(999, b'x'); cvm.send(18, b'short'); cvm.send(2);"
                "monitor.events.send(struct.pack('=IIII', 17, 77, 1, 0) + b'?'); cvm.write(b'', 3); cvm.log(''); cvm.crash('');"
                "cvm.log('kind', b'\\x1b'); cvm.exit(5)")
        status, _, err = self.box.python(code)
        self.assertEqual((status, err), (5, "[fake] kind\n"))

    def test_message_behind_an_empty_one_is_kept(self):
        """Both are there, and their writer is gone, before the command looks."""
        code = ("command = os.getppid(); os.kill(command, signal.SIGSTOP); cvm.write(b'', 3); cvm.log('kept'); cvm.exit(5); child = os.fork()\n"
                "if not child: os.closerange(3, 256); time.sleep(0.5); os.kill(command, signal.SIGCONT); os._exit(0)")
        status, _, err = self.box.python(code)
        self.assertEqual((status, err), (5, "[fake] kept\n"))

    def test_long_messages_are_cut(self):
        err = self.box.python("cvm.log('x' * 2047 + 'yz'); cvm.log('next'); cvm.exit(0)")[2]
        self.assertEqual(err, f"[fake] {'x' * 2047}y\n[fake] next\n")

    def test_what_was_said_before_a_report_stands_before_it(self):
        err = self.box.python("[cvm.log(str(i)) for i in range(30)]; cvm.report('it is broken'); cvm.exit(0)")[2]
        self.assertEqual(err, "".join(f"[fake] {i}\n" for i in range(30)) + "intravisor: fake: it is broken\n")

    def test_log_rate(self):
        # a second's worth is 1024 bytes, so 1025 never pass
        code = "cvm.log('a' * 100); [cvm.log('x' * 1025) for i in range(500)]; cvm.exit(0)"
        err = self.box.python(code, "--log-rate=1K", "--stats")[2].splitlines()
        self.assertEqual(err[0], "[fake] " + "a" * 100)
        self.assertEqual(dict(zip(err[1].split(), err[2].split()))["log_drop"], "500.5K")
        err = self.box.python(code, "--log-rate=1K", "--stats", "--insecure-no-limits")[2].splitlines()
        self.assertEqual((err.count("[fake] " + "x" * 1025), err[-1].split()[-1]), (500, "0B"))

    def test_stats(self):
        err = self.box.python("cvm.exit(0)", "--stats", "--name", "web")[2].splitlines()
        self.assertEqual(len(err), 2)
        self.assertEqual(dict(zip(err[0].split(), err[1].split())),
                         {"cVM": "web", "status": "0", "wall_s": "1.500", "cpu_s": "0.250", "mem_peak": "3.0M",
                          "hostcalls": "7", "fast_calls": "99", "trapped": "1", "fast": "99.00%", "faults": "2",
                          "threads": "3", "handles": "5", "code": "2", "code_mem": "8.0K", "log_drop": "0B"})

    def test_insecure_options_are_listed(self):
        status, out, err = self.box.run("run", "--insecure-no-pkeys", "--insecure-no-scan", "fake", "cvm.exit(0)")
        self.assertEqual([line.split(":")[:3] for line in err.splitlines()],
                         [["intravisor", " warning", " --insecure-no-pkeys"], ["intravisor", " warning", " --insecure-no-scan"]])
        self.assertEqual(self.value("monitor.insecure", "--insecure-no-wx"), str(1 | 1 << 8))

    # Signals

    def test_signals_are_passed_on(self):
        code = "print('up', flush=True); cvm.exit(cvm.wait_signal())"
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
                       signal.SIGWINCH, signal.SIGCONT):
            process = self.box.start("run", "--insecure-no-pkeys", "-q", "fake", code)
            self.assertEqual(process.stdout.readline(), b"up\n")
            process.send_signal(number)
            process.communicate(timeout=PATIENCE)
            self.assertEqual(process.returncode, number)

    def test_group_signal_reaches_the_program_once(self):
        code = "print('up', flush=True); a = cvm.wait_signal(); b = cvm.wait_signal(0.3); cvm.exit(a + 100 * bool(b))"
        process = self.box.start("run", "--insecure-no-pkeys", "-q", "fake", code, start_new_session=True)
        self.assertEqual(process.stdout.readline(), b"up\n")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, signal.SIGINT)

    def test_ignored_signal_stays_ignored(self):
        code = "print('up', flush=True); cvm.exit(bool(cvm.wait_signal(0.3)))"
        process = self.box.start("run", "--insecure-no-pkeys", "-q", "fake", code,
                                 preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.assertEqual(process.stdout.readline(), b"up\n")
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0)

    # What is handed over

    def test_arguments_and_defaults(self):
        self.assertEqual(self.value("cvm.args[0], cvm.program, cvm.name, cvm.hostname, cvm.cwd, cvm.uid, cvm.gid"),
                         "fake fake fake fake / 0 0")
        self.assertEqual(self.value("cvm.threads, cvm.handles_max, cvm.nice"), f"256 4096 {os.getpriority(os.PRIO_PROCESS, 0)}")

    def test_program_arguments_are_not_options(self):
        code = "print(cvm.args[2:], flush=True); cvm.exit(0)"
        for marker in (["--"], []):
            out = self.box.run("run", "--insecure-no-pkeys", "-q", *marker, "fake", code, "--name", "-x", "--", "a b", "")[1]
            self.assertEqual(out.strip(), str(["--name", "-x", "--", "a b", ""]))

    def test_default_environment(self):
        self.assertEqual(self.value("sorted(cvm.env.items())", env=dict(self.box.env, SECRET="x", LANG="C.UTF-8")),
                         str(sorted({"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
                                     "TERM": "dumb", "LC_ALL": "C", "LANG": "C.UTF-8"}.items())))

    def test_environment_options(self):
        env = dict(self.box.env, SECRET="x")
        self.assertEqual(self.value("cvm.env['A'], cvm.env['SECRET'], 'B' in cvm.env, cvm.env['HOME'], cvm.env['E'] == ''",
                                    "-e", "A=0", "-eA=1=2", "-e", "SECRET", "--env=B", "-e", "HOME=/h", "-e", "E=", env=env),
                         "1=2 x False /h True")
        self.assertEqual(self.value("cvm.env", "--env-clear", "-e", "A=1", env=env), "{'A': '1'}")
        self.assertEqual(self.value("cvm.env['SECRET'], cvm.env['PATH']", "--env-host", env=env), "x /usr/bin:/bin")
        self.assertEqual(self.value("cvm.env['HOME']", "-u", "5"), "/")
        self.box.file("one", "# what they say\nA=1\nHOME=/f\nPATH=/p\nSECRET")
        self.box.file("two", "A=2\nC=2\n")
        self.assertEqual(self.value("[cvm.env[n] for n in ('A', 'B', 'C', 'HOME', 'PATH', 'SECRET')]", "-e", "C=3", "--env-file", "one",
                                    "--env-file=two", "-e", "B=4", env=env), str(["2", "4", "3", "/f", "/p", "x"]))
        self.assertEqual(self.value("sorted(cvm.env.items())", "--env-clear", "--env-file", "two", env=env), str([("A", "2"), ("C", "2")]))
        self.box.file("other_editor", b"\xef\xbb\xbfA=1\r\n\r\n# \r\nB=2 \r\r\nC=\r\nD=4\r")
        self.assertEqual(self.value("sorted(cvm.env.items())", "--env-clear", "--env-file", "other_editor", env=env),
                         str([("A", "1"), ("B", "2 \r"), ("C", ""), ("D", "4")]))

    def test_init(self):
        self.assertEqual(self.value("cvm.flags"), "0")
        self.assertEqual(self.value("cvm.flags", "--init"), "32")

    def test_limits(self):
        self.assertEqual(self.value("cvm.memory, cvm.threads, cvm.handles_max, cvm.uid, cvm.gid", "-m", "64M",
                                    "--threads=7", "--handles", "99", "-u", "5:6"),
                         f"{64 << 20} 7 99 5 6")
        self.assertEqual(self.value("cvm.nice", "--cpu-weight", "1"), "19")
        self.assertEqual(self.value("cvm.nice", "--cpu-weight", "100"), str(os.getpriority(os.PRIO_PROCESS, 0)))
        self.assertEqual(self.value("cvm.nice", "--cpu-weight", "33"), "5")

    def test_default_mounts(self):
        self.assertEqual(self.value("cvm.mounts"),
                         str([(2, 4, 0, "/"), (5, 0, 0, "/dev"), (8, 0, 0, "/dev/pts"), (3, 0, 0, "/dev/shm"), (4, 0, 0, "/proc"),
                              (3, 0, 0, "/run"), (3, 0, 0, "/tmp")]))

    def test_volumes(self):
        self.box.file("one", "1")
        os.mkdir(os.path.join(self.box.work, "dir"))
        options = ("-v", "dir:/data//x/", "-v", f"{self.box.work}/one:/etc/one:ro", "--tmpfs", "/data", "-v", "dir:/tmp:ro")
        self.assertEqual(self.value("[m for m in cvm.mounts if m[3] not in ('/', '/dev', '/dev/pts', '/dev/shm', '/proc', '/run')]", *options),
                         str([(3, 0, 0, "/data"), (1, 5, 0, "/data/x"), (6, 6, 1, "/etc/one"), (1, 7, 1, "/tmp")]))
        self.assertEqual(self.value("[h[:2] for h in cvm.handles[3:]]", *options), "[(1, 2), (2, 1), (2, 3), (3, 1), (2, 1)]")
        self.assertEqual(self.value("os.listdir(cvm.handles[5][2]), open(f'/proc/self/fd/{cvm.handles[6][2]}').read()", *options), "[] 1")

    def test_only_granted_descriptors_are_inherited(self):
        read_end, write_end = os.pipe()
        code = ("known = {0, 1, 2, monitor.text, monitor.data, monitor.events.fileno(), cvm.code.fileno(), cvm.handles[3][2], cvm.handles[4][2],"
                "int(__import__('sys').argv[1].rpartition('/')[2])};"
                "there = set(map(int, os.listdir('/proc/self/fd'))) - known;"
                "print([fd for fd in there if os.path.exists(f'/proc/self/fd/{fd}')], flush=True); cvm.exit(0)")
        out = self.box.python(code, pass_fds=(read_end, write_end))[1]
        self.assertEqual(out, "[]\n")

    def test_stdio_rights(self):
        self.assertEqual(self.value("[h[:2] for h in cvm.handles[:3]]", input=b""), "[(1, 1), (1, 2), (1, 2)]")

    def test_closed_stdio_is_not_granted(self):
        run = subprocess.run(["/bin/sh", "-c", 'exec "$@" <&- >&-', "sh", self.box.command, "run", "--insecure-no-pkeys", "-q", "fake",
                              "cvm.log(str([h[:2] for h in cvm.handles[:4]])); cvm.exit(0)"], env=self.box.env, stderr=subprocess.PIPE, timeout=PATIENCE)
        self.assertEqual((run.returncode, run.stderr), (0, b"[fake] [(1, 0), (1, 0), (1, 2), (1, 2)]\n"))

    def test_network_rules(self):
        self.assertEqual(self.value("cvm.rules"), "[]")
        self.assertEqual(self.value("cvm.rules", "-p", "80", "--bind", "127.0.0.1:8000-8010/udp", "--connect", "10.0.0.0/8:443",
                                    "--connect=[fd00::/8]:*", "--publish", "localhost:0"),
                         str([("bind", "tcp", "0.0.0.0", 0, 80, 80), ("bind", "tcp", "::", 0, 80, 80),
                              ("bind", "udp", "127.0.0.1", 32, 8000, 8010), ("connect", "tcp", "10.0.0.0", 8, 443, 443),
                              ("connect", "tcp", "fd00::", 8, 1, 65535), ("bind", "tcp", "127.0.0.1", 32, 0, 0),
                              ("bind", "tcp", "::1", 128, 0, 0)]))
        self.assertEqual(self.value("len(cvm.rules), cvm.rules[0]", "--net", "any"), "8 ('bind', 'tcp', '0.0.0.0', 0, 0, 65535)")

    def test_yaml(self):
        os.mkdir(os.path.join(self.box.work, "sub"))
        path = self.box.file("sub/pod.yaml", """
cVMs:
  - name: one
    program: [fake, "print(sorted(cvm.env)[:2], cvm.args[2:], cvm.memory, cvm.mounts[-1], cvm.rules, cvm.flags, flush=True); cvm.exit(0)"]
    args: [a, 5]
    env: {A: 1, HOME: null, B: "null"}
    env_clear: true
    memory: 1G
    threads: 8
    volumes: [{host: ., guest: /vol, read_only: true}]
    bind: 80/udp
    trace: true
    runtime: libos
  - args: [fake, "cvm.log(cvm.env['K']); cvm.exit(0)"]
    name: two
    env: [K=v]
""")
        status, out, err = self.box.run("run", "--insecure-no-pkeys", "-q", "-y", path, cwd="/")
        self.assertEqual((status, err), (0, "[two] v\n"))
        self.assertEqual(out, "['A', 'B'] ['a', '5'] 1073741824 (1, 5, 1, '/vol') "
                              "[('bind', 'udp', '0.0.0.0', 0, 80, 80), ('bind', 'udp', '::', 0, 80, 80)] 3\n")

    def test_yaml_from_standard_input(self):
        text = b"cVMs: [{name: a, program: fake, args: ['cvm.exit(9)']}]"
        self.assertEqual(self.box.run("run", "--insecure-no-pkeys", "-q", "-y", "-", input=text)[0], 9)

    def test_thirteen_cvms(self):
        self.box.file("pod.yaml", "cVMs:\n" + "".join(f"  - {{name: c{i}, args: [fake, cvm.exit(0)]}}\n" for i in range(13)))
        status, _, err = self.box.run("run", "--insecure-no-pkeys", "--stats", "-q", "-y", "pod.yaml")
        self.assertEqual((status, len(err.splitlines())), (0, 14))

    def test_libos_image(self):
        self.box.helper("libos", libos_elf(text=b"T" * 5000, data=b"D" * 300, bss=77))
        self.assertEqual(self.value("len(os.pread(monitor.text, 99999, 0)), os.pread(monitor.text, 2, 9095),"
                                    "os.pread(monitor.data, 999, 0) == b'D' * 300, monitor.data_size, monitor.bss_size, hex(monitor.entry)"),
                         "12288 b'T\\x00' True 300 77 0x100010")

    # What cVMs share

    def pod(self, text, *options):
        self.box.file("pod.yaml", text)
        return self.box.run("run", "--insecure-no-pkeys", "-q", *options, "-y", "pod.yaml")

    def test_nothing_is_shared_by_default(self):
        self.assertEqual(self.value("cvm.grants, monitor.files, cvm.caps, cvm.image, len(monitor.images), cvm.launch_flags, monitor.flags"),
                         "[] [] 1024 0 1 0 0")

    def test_grants(self):
        status, out, err = self.pod("""
cVMs:
  - name: one
    args: [fake, "print(*cvm.grants, cvm.caps, sep='#', flush=True); cvm.exit(0)"]
    caps: 4096
    provides:
      - file: board
      - call: math/*
      - stream: s:1@x
    listen: [6379, "unix:/run//app.sock", "*"]
  - name: two
    args: [fake, "print(*cvm.grants, sep='#', flush=True); cvm.exit(0)"]
    uses:
      - {file: board, access: rw, map: true}
      - {file: "bo*", grant: true}
      - file: b*
        access: w
      - {call: math/sum, grant: "true"}
      - "file:board-2*,r,map"
      - call:math/x
      - {stream: "s:1@x"}
    provides: [{file: board-2b}]
    reach: [6379, unix:/run/app.sock]
""")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(sorted(out.replace("\n", "#").strip("#").split("#")), sorted(str(g) for g in [
            ("file", "provide", "rwugm", "board"), ("call", "provide", "rwugm", "math/*"), ("stream", "provide", "rwugm", "s:1@x"),
            ("stream", "provide", "rwugm", "tcp/6379"), ("stream", "provide", "rwugm", "unix/run/app.sock"),
            ("stream", "provide", "rwugm", "tcp/*"), ("stream", "use", "u", "tcp/6379"), ("stream", "use", "u", "tcp/*"), 4096,
            ("file", "use", "rwm", "board"), ("file", "use", "rg", "bo*"), ("file", "use", "w", "b*"), ("call", "use", "ug", "math/sum"),
            ("file", "use", "rm", "board-2*"), ("call", "use", "u", "math/x"), ("stream", "use", "u", "s:1@x"),
            ("file", "provide", "rwugm", "board-2b"), ("stream", "use", "u", "tcp/6379"), ("stream", "use", "u", "unix/run/app.sock")]))

    def test_grants_of_its_own_ports(self):
        """What one may listen on it may connect to, unless another one may listen there, too."""
        show = "'print(*cvm.grants, sep=chr(35), flush=True); cvm.exit(0)'"
        status, out, err = self.pod(f"""
cVMs:
  - {{name: one, args: [fake, {show}], listen: [80, 81, unix:/a], reach: [81, 82]}}
  - {{name: two, args: [fake, {show}], listen: [82, 83], provides: [stream:tcp/84]}}
  - {{name: three, args: [fake, {show}], listen: [83], provides: ["stream:tcp/84*"]}}
""")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(sorted(out.replace("\n", "#").strip("#").split("#")), sorted(str(("stream", role, "u" if role == "use" else "rwugm", name)) for role, name in [
            ("provide", "tcp/80"), ("use", "tcp/80"), ("provide", "tcp/81"), ("use", "tcp/81"), ("provide", "unix/a"), ("use", "tcp/82"),
            ("provide", "tcp/82"), ("use", "tcp/82"), ("provide", "tcp/83"), ("provide", "tcp/84"),
            ("provide", "tcp/83"), ("provide", "tcp/84*")]))

    def test_grant_options(self):
        self.assertEqual(self.value("cvm.grants, cvm.caps", "--provide", "file:f", "--use=file:f,rw,map,grant", "--listen", "80", "--reach=80",
                                    "--caps", "5"),
                         str([("file", "provide", "rwugm", "f"), ("file", "use", "rwgm", "f"), ("stream", "provide", "rwugm", "tcp/80"),
                              ("stream", "use", "u", "tcp/80")]) + " 5")

    def test_files(self):
        self.box.file("content", b"bytes\0\xff")
        for key in ("files", "capfiles"):
            status, out, err = self.pod(f"""
{key}:
  - {{name: a/b, size: 8K}}
  - {{name: text, data: "héllo\\n"}}
  - {{name: padded, size: 0x10, data: abc}}
  - {{name: host, file: content}}
  - {{name: host-padded, file: content, size: 9}}
cVMs:
  - args: [fake, "import fcntl; [print(n, size, os.pread(fd, 99, 0).strip(bytes(1)), os.fstat(fd).st_size, fcntl.fcntl(fd, 1034) & 6) for n, size, fd in monitor.files]; cvm.exit(0)"]
""")
            self.assertEqual((status, err), (0, ""))
            self.assertEqual(out, "a/b 8192 b'' 12288 6\ntext 7 b'h\\xc3\\xa9llo\\n' 8192 6\npadded 16 b'abc' 8192 6\n" # with CAP_HEED's page
                                  "host 7 b'bytes\\x00\\xff' 8192 6\nhost-padded 9 b'bytes\\x00\\xff' 8192 6\n")

    def test_bare(self):
        self.box.file("one", libos_elf(text=b"1" * 100, data=b"d1", bss=5))
        self.box.file("two", libos_elf(text=b"2" * 100, data=b"data2", bss=0))
        code = "print(cvm.name, cvm.image, cvm.args[2:], cvm.mounts, len(cvm.handles), os.pread(monitor.images[cvm.image][0], 4, 4096), "\
               "monitor.images[cvm.image][2:4], flush=True); cvm.exit(0)"
        cvms = "".join(f"  - {{name: {name}, program: {program}, runtime: {runtime}, args: [\"{code}\", x]}}\n" for name, program, runtime in
                       [("a", "one", "bare"), ("b", "fake", "libos"), ("c", "two", "bare"), ("d", "one", "bare")])
        status, out, err = self.pod("cVMs:\n" + cvms)
        self.assertEqual((status, err), (0, ""))
        lines = sorted(out.splitlines())
        self.assertEqual([lines[0], lines[2], lines[3]], ["a 1 ['x'] [] 4 b'1111' (2, 5)", "c 2 ['x'] [] 4 b'2222' (5, 0)",
                                                           "d 1 ['x'] [] 4 b'1111' (2, 5)"])
        self.assertTrue(lines[1].startswith("b 0 ['x'] [(2, 4, 0, '/')"))

    # Code channels and the cache

    def images(self, status, out):
        self.assertEqual(status, 0, out)
        return out

    def cache_files(self):
        folder = os.path.join(self.box.home, ".cache/intravisor")
        return sorted(os.path.join(folder, n) for n in os.listdir(folder) if not n.endswith(".uses")) if os.path.isdir(folder) else []

    ASK = ("s, r, i = cvm.request({!r}, {}, {}, {}); print(s, r, i and (len(i), i[4096:4100], i[-1:]), flush=True);")

    def ask(self, path, offset=0, size=4096, stubs=1, *options):
        status, out, err = self.box.python(self.ASK.format(path, offset, size, stubs) + "cvm.exit(0)", *options)
        self.assertEqual(status, 0, err)
        return out.strip()

    def settled(self, name, content):
        path = self.box.file(name, content)
        time.sleep(0.05)
        return path

    def test_code_is_translated_then_cached(self):
        path = self.settled("prog", b"A" * 4096 + b"B" * 5000)
        self.assertEqual(self.ask(path, 4096, 5000), "0  (16384, b'BBBB', b's')")
        self.assertEqual(len(self.cache_files()), 1)
        self.box.helper("translate", "#!/bin/false\n")  # another translator: not the same entry
        self.assertRegex(self.ask(path, 4096, 5000), "^-8 the code translator failed with status 1 None$")

    def test_cache_is_used(self):
        path = self.settled("prog", b"A" * 4096)
        self.ask(path)
        before = os.stat(os.path.join(self.box.bin, "intravisor-translate"))
        with open(os.path.join(self.box.bin, "intravisor-translate"), "r+b") as f:
            f.write(b"#!/bin/false -I\n")
        os.utime(os.path.join(self.box.bin, "intravisor-translate"), ns=(before.st_atime_ns, before.st_mtime_ns))
        self.assertEqual(self.ask(path), "0  (12288, b'AAAA', b's')")
        self.assertRegex(self.ask(path, 0, 4096, 0), "^-8 ", "another request is another entry")

    def test_prefetch(self):
        path, other = self.settled("prog", b"A" * 4096), self.settled("other", b"B" * 4096)
        # Two runs of the same program, which asks for one image in the first and for both in the second.
        one = self.ASK.format(path, 0, 4096, 1)
        both = (f"end = time.monotonic() + {PATIENCE}\nwhile monitor.held() < {{}} and time.monotonic() < end: time.sleep(0.002)\n"
                "print(monitor.held()); " + one.replace("{", "{{").replace("}", "}}") + self.ASK.format(other, 0, 4096, 1))
        self.assertEqual(self.box.python(one + "cvm.exit(0)")[1], "0  (12288, b'AAAA', b's')\n")
        folder = os.path.join(self.box.home, ".cache/intravisor")
        lists = [n for n in os.listdir(folder) if n.endswith(".uses")]
        self.assertEqual(len(lists), 1)
        with open(os.path.join(folder, lists[0])) as f:
            self.assertEqual(f.read(), os.path.basename(self.cache_files()[0]) + "\n")
        for held in (1, 2):
            self.assertEqual(self.box.python(both.format(held) + "cvm.exit(0)")[1],
                             f"{held}\n0  (12288, b'AAAA', b's')\n0  (12288, b'BBBB', b's')\n")
        # Whatever is in the list and behind its names, answers stay right.
        for content in (b"", b"x" * 5000, b"../" * 100, b"\0" * 100, b"f" * 32 + b".code\n" * 40):
            with open(os.path.join(folder, lists[0]), "wb") as f:
                f.write(content)
            self.assertEqual(self.box.python(one + "cvm.exit(0)")[1], "0  (12288, b'AAAA', b's')\n")
        with open(path, "r+b") as f:
            f.write(b"C" * 4096)
        self.assertEqual(self.box.python(one + "cvm.exit(0)")[1], "0  (12288, b'CCCC', b's')\n")

    @unittest.skipUnless(os.path.isdir("/dev/shm"), "needs a file system whose files the monitor does not map itself")
    def test_prefetch_takes_little_memory(self):
        """What a cVM of one run asked for does not fill the memory of the next."""
        large, small = self.settled("large", b"SPARSE" + bytes(4090)), self.settled("small", b"A" * 4096)
        os.truncate(large, 65 << 20)
        time.sleep(0.05)
        with tempfile.TemporaryDirectory(dir="/dev/shm") as cache:
            env = dict(self.box.env, XDG_CACHE_HOME=cache)
            ask = f"cvm.request({large!r}, 0, 65 << 20); cvm.request({small!r}); cvm.exit(0)"
            self.assertEqual(self.box.python(ask, env=env)[0], 0)
            self.assertEqual(sum(n.endswith(".code") for n in os.listdir(f"{cache}/intravisor")), 2)
            code = (f"end, sizes = time.monotonic() + {PATIENCE}, []\n"
                    "while not all(sizes or [0]) and time.monotonic() < end:\n"  # until there is one that has its bytes
                    "    fds = [f'/proc/{os.getppid()}/fd/{n}' for n in os.listdir(f'/proc/{os.getppid()}/fd')]\n"
                    "    sizes = [os.stat(fd).st_size for fd in fds if os.path.exists(fd) and 'intravisor-code' in os.readlink(fd)]\n"
                    "print(sizes, flush=True); cvm.exit(0)")
            self.assertEqual(self.box.python(code, env=env)[1], "[12288]\n")

    def test_changed_file_is_not_taken_from_the_cache(self):
        path = self.settled("prog", b"A" * 4096)
        self.ask(path)
        with open(path, "r+b") as f:
            f.write(b"C" * 4096)
        self.assertEqual(self.ask(path), "0  (12288, b'CCCC', b's')")

    def test_damaged_entries_are_rewritten(self):
        path = self.settled("prog", b"A" * 4096)
        self.ask(path)
        entry, = self.cache_files()
        with open(entry, "rb") as f:
            good = f.read()
        wrong = [b"", good[:100], good[:-1], good + b"x", bytes(len(good))]
        flipped = lambda i: good[:i] + bytes([good[i] ^ 1]) + good[i + 1:]
        wrong += [flipped(i) for i in (0, 20, len(good) - 100, len(good) - 1)]
        two_days_ago = time.time() - 2 * 86400
        for content, changed in [(w, None) for w in wrong] + [(flipped(i), (two_days_ago, two_days_ago)) for i in (4097, len(good) - 130)]:
            with open(entry, "wb") as f:
                f.write(content)
            os.utime(entry, changed)
            self.assertEqual(self.ask(path), "0  (12288, b'AAAA', b's')")
            with open(entry, "rb") as f:
                self.assertEqual(f.read(), good)
        os.unlink(entry)
        os.symlink("/dev/zero", entry)
        self.assertEqual(self.ask(path), "0  (12288, b'AAAA', b's')")
        self.assertFalse(os.path.islink(entry))

    def test_translator_failures(self):
        self.assertEqual(self.ask(self.settled("bad", b"FAIL")), "-8 text at 0x0: cannot be rewritten\x1b[31m None")
        self.assertEqual(self.ask(self.settled("die", b"DIE")), "-8 the code translator was killed by signal 9 None")
        os.unlink(os.path.join(self.box.bin, "intravisor-translate"))
        self.assertRegex(self.ask(self.settled("good", b"A")), "^-8 cannot start the code translator")
        self.assertEqual(self.cache_files(), [])

    def test_bad_requests(self):
        path = self.box.file("prog", b"A" * 4096)
        for arguments in ((path, 1, 4096), (path, 4096, 4096), (path, 0, 0), ("/dev/null", 0, 4096), (self.box.work, 0, 4096)):
            self.assertRegex(self.ask(*arguments), "^-22 no segment of a regular file: Invalid argument None$")
        out = self.box.python("print(cvm.request('', fds=[]), cvm.request('', fds=[1, 2]), flush=True); cvm.exit(0)")[1]
        self.assertIn("bad code request", out)

    def test_translators_run_side_by_side(self):
        slow, fast, go = self.settled("slow", b"SLOW"), self.settled("fast", b"F"), os.path.join(self.box.bin, "go")
        self.box.file("pod.yaml", "cVMs:\n" + "".join(
            f"  - {{name: c{i}, args: [fake, \"{self.ASK.format(path, 0, 4, 1)} {then} cvm.exit(0)\"]}}\n"
            for i, (path, then) in enumerate([(slow, ""), (slow, ""), (fast, f"open({go!r}, 'w');")])))
        status, out, _ = self.box.run("run", "--insecure-no-pkeys", "-q", "-y", "pod.yaml")
        self.assertEqual(status, 0)
        self.assertIn("F", out.splitlines()[0], "the fast one, asked last, answers first")

    def test_share_of_code_images(self):
        """Of memory, of the number, and of the disk: what the monitor would refuse is neither made nor kept."""
        paths = [self.settled(f"large{i}", bytes([65 + i]) * (8 << 20)) for i in range(3)]
        code = f"print([cvm.request(p, 0, 8 << 20)[0] for p in {paths}], flush=True); cvm.exit(0)"
        self.assertEqual(self.box.python(code, "--memory", "24M")[1], "[0, 0, -12]\n")
        self.assertEqual(len(self.cache_files()), 2)
        self.assertEqual(self.box.python(code, "--memory", "24M", "--insecure-no-limits")[1], "[0, 0, 0]\n")
        self.assertEqual(len(self.cache_files()), 3)
        path = self.settled("small", b"A" * 4096)
        code = f"said = [cvm.request({path!r})[0] for i in range(400)]; print(said.count(0), said.count(-12), flush=True); cvm.exit(0)"
        self.assertEqual(self.box.python(code)[1], "315 85\n")
        self.assertEqual(self.box.python(code, "--insecure-no-limits")[1], "400 0\n")

    def test_share_of_the_cache(self):
        """The disk waits for nobody who writes more than half of what is kept."""
        path = self.settled("sparse", b"SPARSE" + bytes(4090))
        os.truncate(path, 600 << 20)
        time.sleep(0.05)
        self.assertEqual(self.ask(path, 0, 600 << 20), f"0  ({1 << 24}, b'SPAR', b'\\x00')")
        self.assertEqual(self.cache_files(), [])
        self.assertEqual(self.ask(path, 0, 1 << 20), f"0  ({4096 + (1 << 20)}, b'SPAR', b'\\x00')")
        self.assertEqual(len(self.cache_files()), 1)

    def test_last_request_is_answered(self):
        """Those of lives that have ended are given up: what came for them would lie in the socket, with its memory."""
        path = self.settled("large", b"A" * (8 << 20))
        self.box.file("pod.yaml", "cVMs:\n  - {name: a, restart: on-failure:5, restart_delay: 1ms, args: [fake, " + json.dumps(
            f"cvm.number = cvm.life; cvm.ask({path!r}, 0, 8 << 20); seen = []\n"
            "while cvm.life == 6 and seen[-1:] != [6]: status = cvm.answer()[0]; seen.append(cvm.answered)\n"
            "if cvm.life == 6: print(status, seen == sorted(set(seen)), flush=True)\n"
            "cvm.exit(cvm.life < 6)") + "]}\n")
        status, out, err = self.box.run("run", "--insecure-no-pkeys", "-q", "-y", "pod.yaml")
        self.assertEqual((status, out), (0, "0 True\n"), err)

    def test_flood_of_requests(self):
        """More of them than a channel has room for, while a translator is at work; and more than it has room for answers."""
        slow, path = self.settled("slow-flood", b"SLOW"), self.settled("flood", b"A" * 4096)
        go = os.path.join(self.box.bin, "go")
        code = (f"cvm.number = 0; cvm.ask({slow!r})\n"
                f"for i in range(1, 1001): cvm.number = i; cvm.ask({path!r})\n"
                f"open({go!r}, 'w')\n"
                "while True:\n"
                "    status = cvm.answer()[0]\n"
                "    if cvm.answered == 1000: break\n"
                f"print(status, cvm.request({path!r})[0], flush=True); cvm.exit(0)")
        try:
            self.assertEqual(self.box.python(code)[1], "0 0\n")
        finally:
            os.unlink(go)

    def test_translators_have_the_weight_of_their_cvm(self):
        go = os.path.join(self.box.bin, "go")
        code = ("import threading; t = threading.Thread(target=lambda: cvm.request({!r})); t.start()\n"
                "def nice():\n"
                "    found = []\n"
                "    for pid in filter(str.isdigit, os.listdir('/proc')):\n"
                "        try: words = open(f'/proc/{{pid}}/stat').read().rsplit(')', 1)[1].split()\n"
                "        except OSError: continue\n"
                "        if int(words[1]) == os.getppid() and int(pid) != os.getpid(): found.append(int(words[16]))\n"
                "    return found\n"
                "end = time.monotonic() + {}\n"
                "while nice() != [{}] and time.monotonic() < end: time.sleep(0.002)\n"
                "print(nice(), flush=True); open({!r}, 'w'); t.join(); cvm.exit(0)")
        for weight, nice in (("1", 19), ("100", os.getpriority(os.PRIO_PROCESS, 0))):
            path = self.settled(f"slow{nice}", b"SLOW")
            self.assertEqual(self.box.python(code.format(path, PATIENCE, nice, go), "--cpu-weight", weight)[1], f"[{nice}]\n")
            os.unlink(go)

    def test_translator_ends_with_the_run(self):
        path = self.settled("hang", b"HANG")
        code = f"import threading; threading.Thread(target=lambda: cvm.request({path!r}), daemon=True).start(); time.sleep(0.3); cvm.exit(4)"
        self.assertEqual(self.box.python(code)[0], 4)

    def test_without_a_cache_directory(self):
        path = self.settled("prog", b"A" * 4096)
        for env in ({"PATH": "/bin"}, {"HOME": "/proc/nowhere"}, {"XDG_CACHE_HOME": "/dev/null"}):
            status, out, err = self.box.python(self.ASK.format(path, 0, 4096, 1) + "cvm.exit(0)", env=env)
            self.assertEqual((status, out, err), (0, "0  (12288, b'AAAA', b's')\n", ""))
        err = self.box.run("run", "--insecure-no-pkeys", "--verbose", "fake", "cvm.exit(0)", env={"HOME": "/proc/nowhere"})[2]
        self.assertIn("no code cache on disk", err)

    def test_cache_that_others_can_write_to_is_not_used(self):
        path = self.settled("prog", b"A" * 4096)
        folder = os.path.join(self.box.home, ".cache/intravisor")
        os.makedirs(folder)
        os.chmod(folder, 0o777)
        self.ask(path)
        self.assertEqual(self.cache_files(), [])
        self.assertIn(f"cache: {folder}: it belongs to another user, or others may write to it (set HOME", self.box.run("cache")[2])

    def test_cache_command(self):
        self.ask(self.settled("prog", b"A" * 4096))
        self.assertRegex(self.box.run("cache")[1], r"/\.cache/intravisor: 1 entries, 0\.0 MiB of 1024 MiB")
        self.assertRegex(self.box.run("cache", "--clear")[1], "removed 1 entries")
        self.assertEqual(self.cache_files(), [])

    def test_bound_of_the_cache(self):
        folder = os.path.join(self.box.home, ".cache/intravisor")
        os.makedirs(folder, 0o700)
        for i in range(3):
            path = os.path.join(folder, f"{i:032x}.code")
            with open(path, "wb") as f:
                f.truncate(500 << 20)
            os.utime(path, (1000 + i, 1000 + i))
        # Names that are not the cache's, and one that is.
        others = ["unrelated", "tmp.unrelated", "tmp.1.backup", "tmp.1.2.3", "tmp..1", "tmp.1."]
        for name in others + ["tmp.77.0", "tmp.77.uses"]:
            with open(os.path.join(folder, name), "w"):
                pass
            os.utime(os.path.join(folder, name), (1000, 1000))
        self.ask(self.settled("prog", b"A" * 4096))
        names = [os.path.basename(p) for p in self.cache_files()]
        self.assertNotIn(f"{0:032x}.code", names)
        self.assertIn(f"{2:032x}.code", names)
        self.assertEqual(set(others) - set(names), set())
        self.assertEqual(len(names), 3 + len(others))


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(bool(failed))
