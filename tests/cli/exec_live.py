#!/usr/bin/python3
"""`intravisor exec` with real programs in real cVMs. What breaks its rules on either side is tests/cli/exec.py's; here only a cVM whose
program goes past its libOS to the channel. The programs that run all the time are Perl, position-independent."""
import os
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from at_terminal import AtTerminal  # noqa: E402
from pods_live import COMMAND, HERE, PATIENCE, LiveCase  # noqa: E402

UP = "$| = 1; open(F, '>>', '/data/up'); print F qq($ENV{NAME}\\n); close F;"
IDLE = UP + "sleep 1000 while 1"
BOTH = "pod/a", "pod/b"  # the second has its libOS in a domain of its own

# Leaves a child behind that keeps the output open.
DESCENDANT = r"""
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv)
{
	char *child[] = { argv[0], "child", NULL };
	pid_t pid;
	while (argc > 1)
		pause();
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, child, environ))
		return 1;
	printf("%d\n", pid);
	return 0;
}
"""

# Past the libOS: finds the channel (the second socket among the handles), and does with it what the argument says.
HOSTILE = r"""
#define main unused_main
#include "attack.h"
#undef main
#include "abi/exec.h"

static MAYBE void attack(void) { }

static uint64_t channel(void)
{
	for (uint64_t handle = BOOT_HANDLE_LOG + 1; handle < 64; handle++) {
		uint8_t name[128];
		uint32_t size = sizeof name;
		if (hostcall(HC_sock_name, handle, (uint64_t)name, (uint64_t)&size, 0, 0, 0) == 0)
			return handle;
	}
	printf("no channel\n");
	exit(1);
}

int main(int argc, char **argv)
{
	static struct { struct exec_message head; char payload[EXEC_DATA_MAX]; } m;
	uint64_t handle = channel();
	long sent = 0, n = 0, left = argc > 2 ? atol(argv[2]) : 1000000;
	unsigned random = 1;

	if (strcmp(argv[1], "noise") && strcmp(argv[1], "flood")) {
		if (strcmp(argv[1], "close") == 0)
			hostcall(HC_file_close, handle, 0, 0, 0, 0, 0);
		fclose(fopen("/data/done", "w")); /* it may have no output any more */
		while (strcmp(argv[1], "steal") == 0)
			hostcall(HC_file_read, handle, (uint64_t)&m, sizeof m, 0, 0, 0);
		pause();
	}
	while (left--) {
		if (strcmp(argv[1], "noise") == 0)
			for (size_t i = 0; i < sizeof m.head + 64; i++)
				((char *)&m)[i] = (char)((random = random * 1664525 + 1013904223) >> 24);
		else
			m.head = (struct exec_message){ EXEC_OUTPUT, (uint32_t)(left % EXEC_MAX), EXEC_DATA_MAX };
		n = hostcall(HC_file_write, handle, (uint64_t)&m, strcmp(argv[1], "noise") ? sizeof m : sizeof m.head + random % 64, 0, 0, 0);
		sent += n > 0;
	}
	printf("sent %ld, last %ld\n", sent, n);
	return 0;
}
"""


class ExecLive(AtTerminal, LiveCase):
    def start_pod(self, keys=""):
        run = self.start(*self.yaml(("a", IDLE, ", env: {NAME: a, OWN: x}" + keys), ("b", IDLE, ", env: {NAME: b, OWN: x}, isolate_libos: true" + keys)))
        self.wait(lambda: sorted(self.ups()) == ["a", "b"])
        return run

    def ups(self):
        try:
            with open(self.path("data/up")) as f:
                return f.read().split()
        except FileNotFoundError:
            return []

    def execute(self, *arguments, input=None):
        """(status, output, errors)"""
        how = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        ran = subprocess.run([COMMAND, "exec", *arguments], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, **how)
        return ran.returncode, ran.stdout, ran.stderr

    def client(self, *arguments, **how):
        process = subprocess.Popen([COMMAND, "exec", *arguments], env=self.env, stdin=how.get("stdin", subprocess.DEVNULL),
                                   stdout=how.get("stdout", subprocess.PIPE), stderr=subprocess.PIPE)
        self.processes.append(process)
        return process

    def compile(self, name, text):
        with open(self.path(name + ".c"), "w") as f:
            f.write(text)
        root = os.path.join(HERE, "../..")
        subprocess.run(["gcc", "-O1", "-w", "-fcf-protection=none", "-Wl,-z,now", "-I", os.path.join(root, "src"), "-I", os.path.join(root, "tests/attack"),
                        self.path(name + ".c"), "-o", self.path("data/" + name)], check=True)
        return "/data/" + name

    def test_program_and_its_surroundings(self):
        self.start_pod()
        for cvm in BOTH:
            self.assertEqual(self.execute(cvm, "echo", "-n", "a  b"), (0, b"a  b", b""))
            self.assertEqual(self.execute(cvm, "--", "/bin/sh", "-c", "echo out; echo err >&2; exit 7"), (7, b"out\n", b"err\n"))
            self.assertEqual(self.execute("-e", "OWN=y", "-e", "MORE=z", "-w", "/data", cvm, "sh", "-c", "echo $NAME $OWN $MORE; pwd"),
                             (0, cvm[-1].encode() + b" y z\n/data\n", b""))
            self.assertEqual(self.execute(cvm, "sh", "-c", "echo $OWN$MORE $PPID; pwd"), (0, b"x 0\n/\n", b""))
            self.assertEqual(self.execute(cvm, "perl", "-e", "print $$ > 1, getpgrp == $$, wait, -t STDIN"), (0, b"11-1", b""))
            self.assertEqual(self.execute(cvm, "cat"), (0, b"", b""))
            self.assertEqual(self.execute(cvm, "cat", input=b"not passed on"), (0, b"", b""))

    def test_user_and_what_the_first_process_has_changed_of_itself(self):
        """A program has what the cVM was given: as if the first process had left its user, groups, umask and limits alone."""
        # setgroups, setregid and setreuid by $), $( and $<; setrlimit(RLIMIT_NOFILE), setpriority.
        changes = ("chdir '/data'; umask 077; $l = pack('QQ', 50, 60); syscall(160, 7, $l) and die; setpriority 0, 0, 5;"
                   "$) = '33 44 55'; $( = 33; ($<, $>) = (33, 33);" + UP + "sleep 1000 while 1")
        see = "grep -E '^(Uid|Gid|Groups|Umask):' /proc/self/status; ulimit -n; nice; pwd; ls -d /data; echo $HOME"
        begin = self.yaml(("a", changes, ", env: {NAME: a}"), ("b", changes, ", env: {NAME: b, HOME: /srv}, isolate_libos: true"),
                          ("c", IDLE, ", env: {NAME: c}, user: '1000:1001'"))
        run = self.start(*begin)
        self.wait(lambda: len(self.ups()) == 3)
        self.assertIsNone(run.poll())
        for cvm in BOTH:
            changed = self.execute(cvm, "cat", "/proc/1/status")[1]
            self.assertRegex(changed, rb"\nUmask:\t0077\n(?s:.*)\nUid:\t33\t33\t0\t33\nGid:\t33\t33\t33\t33\n(?s:.*)\nGroups:\t44 55 \n", "the control")
        for cvm, own in (BOTH[0], (0, 0)), (BOTH[1], (0, 0)), ("pod/c", (1000, 1001)):
            for words, (uid, gid) in ((), own), (("-u", "0"), (0, 0)), (("-u", "7"), (7, 7)), (("--user=7:8",), (7, 8)):
                home = "/srv" if cvm == BOTH[1] else "/" if uid else "/root"
                ids = "Umask:\t0022\n" + "".join(f"{what}:" + f"\t{n}" * 4 + "\n" for what, n in (("Uid", uid), ("Gid", gid))) + "Groups:\t\n"
                self.assertEqual(self.execute(*words, cvm, "sh", "-c", see), (0, f"{ids}1024\n0\n/\n/data\n{home}\n".encode(), b""), words)
                ran = self.execute(*words, cvm, "perl", "-e", "use POSIX; open F, '>', '/tmp/own'; print join ' ', $<, $>, $(, $), (stat F)[4, 5],"
                                   " setuid(0) ? 'root' : $! + 0; unlink '/tmp/own'")
                self.assertEqual(ran[:2], (0, f"{uid} {uid} {gid} {gid} {uid} {gid} {1 if uid else 'root'}".encode()), ran)
            client, ours, _, _ = self.at_terminal("-t", "-u", "9", cvm, "sh", "-c", "stat -c 'owner %u:%g' $(tty)")
            self.assertIn(b"owner 9:5\r\n", self.until(ours, b"owner 9:5\r\n"))
            self.assertEqual(client.wait(PATIENCE), 0)

    def test_what_does_not_start(self):
        self.start_pod()
        for cvm in BOTH:
            for arguments, status, why in ((cvm, "nowhere"), 127, "nowhere: not found in the cVM's PATH"), ((cvm, "/nowhere"), 127, "/nowhere"), \
                    ((cvm, "/etc/passwd"), 126, "/etc/passwd"), ((cvm, "/tmp"), 126, "/tmp"), (("-w", "/nowhere", cvm, "pwd"), 126, "/nowhere"):
                ran = self.execute(*arguments)
                self.assertEqual(ran[:2], (status, b""), ran)
                self.assertRegex(ran[2].decode(), f"^intravisor: exec: .*{why}.*\n$")

    def test_ten_megabytes_there_and_back(self):
        self.start_pod()
        data = os.urandom(10 << 20)
        for cvm in BOTH:
            self.assertEqual(self.execute("-i", cvm, "cat", input=data), (0, data, b""))
        status, out, errors = self.execute("-i", "pod/a", "perl", "-e", "binmode STDIN; binmode STDERR; local $/; print STDERR <STDIN>", input=data)
        self.assertEqual((status, out, errors == data), (0, b"", True))

    def test_input_that_nobody_reads(self):
        self.start_pod()
        with open("/dev/zero", "rb") as zeros:
            for cvm in BOTH:
                for program in ("head", "-c", "3"), ("sh", "-c", "exec <&-; echo -n xyz"):
                    client = self.client("-i", cvm, *program, stdin=zeros)
                    self.assertEqual(len(client.communicate(timeout=PATIENCE)[0]), 3)
                    self.assertEqual(client.returncode, 0)

    def test_signals(self):
        self.start_pod()
        for cvm in BOTH:
            self.assertEqual(self.execute(cvm, "sh", "-c", "kill -SEGV $$")[0], 128 + signal.SIGSEGV)
            for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT:
                client = self.client(cvm, "perl", "-e", "$| = 1; print qq(up\\n); sleep 1000")
                self.assertEqual(client.stdout.readline(), b"up\n")
                client.send_signal(number)
                self.assertEqual(client.wait(PATIENCE), 128 + number)
        client = self.client("pod/a", "perl", "-e", "$| = 1; $SIG{TERM} = sub { print qq(term\\n); exit 9 }; print qq(up\\n); sleep 1000")
        self.assertEqual(client.stdout.readline(), b"up\n")
        client.terminate()
        self.assertEqual((client.communicate(timeout=PATIENCE)[0], client.returncode), (b"term\n", 9))

    def alive(self, cvm, pid):
        return self.execute(cvm, "perl", "-e", f"exit !kill 0, {pid}")[0] == 0

    def test_client_that_is_killed(self):
        self.start_pod(keys=", stop_timeout: 300ms")
        hangs = "$| = 1; $SIG{HUP} = sub { open F, '>', '/data/hup'; print F getppid; close F }; print qq($$\\n); sleep 1000 while 1"
        client = self.client("pod/a", "perl", "-e", hangs)
        pid = int(client.stdout.readline())
        client.kill()
        self.wait(lambda: os.path.exists(self.path("data/hup")))
        self.wait(lambda: not self.alive("pod/a", pid))
        client = self.client("-i", "pod/b", "perl", "-e", "$| = 1; print qq($$\\n); sleep 1000", stdin=subprocess.PIPE)
        pid = int(client.stdout.readline())
        client.kill()
        self.wait(lambda: not self.alive("pod/b", pid))

    def test_shell_at_a_terminal(self):
        job = b"perl -e '$| = 1; $SIG{CONT} = sub { print qq(goes on\\n) }; print 1 + 1, qq( jobs\\n); sleep 1000 while 1'\n"
        self.start_pod()
        for cvm in BOTH:
            client, ours, its, before = self.at_terminal("-it", "-e", "PS1=ready> ", cvm, "bash", "--norc", "--noprofile", "--noediting", "-i")
            self.until(ours, b"ready> ")
            for typed, shown in ((b"tty\n", rb"/dev/pts/\d+\r\n"), (b"stty size\n", b"25 81\r\n"), (b"echo $PPID <$(tty)\n", b"0\r\n")):
                os.write(ours, typed)
                self.assertRegex(self.until(ours, b"ready> "), shown)
            os.write(ours, job)
            self.until(ours, b"2 jobs\r\n")
            os.write(ours, b"\x1a")
            self.assertIn(b"Stopped", self.until(ours, b"ready> "))
            os.write(ours, b"fg\n")
            self.until(ours, b"goes on\r\n")
            os.write(ours, b"\x03")
            self.until(ours, b"ready> ")
            self.resize(its, 30, 100)
            client.send_signal(signal.SIGWINCH)
            os.write(ours, b"until [ \"$(stty size)\" = '30 100' ]; do :; done; exit 5\n")
            self.until(ours, b"exit\r\n")
            self.assertEqual((client.wait(PATIENCE), client.stderr.read()), (5, b""))
            self.assertEqual(termios.tcgetattr(its), before)
            self.assertEqual(self.execute(cvm, "ls", "/dev/pts"), (0, b"ptmx\n", b""))

    def test_terminal_hangs_up(self):
        self.start_pod()
        for cvm in BOTH:
            hangs = "$| = 1; $SIG{HUP} = sub { print OUT qq(hup ), -t STDIN ? 1 : 0, qq(\n) }; open OUT, '>', '/data/hup'; OUT->autoflush; " \
                    "print qq($$\n); 1 while <STDIN>; print OUT qq(end\n); sleep 1000 while 1"
            client, ours, _, _ = self.at_terminal("-it", cvm, "perl", "-MIO::Handle", "-e", hangs)
            pid = int(self.until(ours, b"\n"))
            os.write(ours, b"typed\n")
            self.until(ours, b"typed\r\n")
            client.kill()
            with open(self.path("data/hup")) as f:
                text = []
                self.wait(lambda: text.append(f.read()) or "end" in "".join(text) and "hup" in "".join(text))
            self.assertEqual(sorted("".join(text).split()[:3]), ["0", "end", "hup"])
            self.wait(lambda: self.execute(cvm, "ls", "/dev/pts") == (0, b"ptmx\n", b""))
            self.execute(cvm, "perl", "-e", f"kill 'KILL', {pid}")

    def told(self):
        with open(self.path("data/count")) as f:
            return f.read().split()

    def test_leaving_a_terminal(self):
        """Its program goes on and keeps its terminal, which takes what nobody reads."""
        self.start_pod(keys=", stop_timeout: 1ms")
        goes_on = ("$| = 1; $SIG{HUP} = sub { $hup = 1 }; print qq($$\n); for ($n = 0; ; $n++) { print 'x' x 20000; open F, '>', '/data/new';"
                   "print F $n, -t STDIN && -t STDOUT ? ' terminal' : '', $hup ? ' hup' : ''; close F; rename '/data/new', '/data/count'; select undef, undef, undef, 0.01 }")
        for cvm in BOTH:
            client, ours, its, before = self.at_terminal("-it", cvm, "perl", "-e", goes_on)
            pid = int(self.until(ours, b"\n").split()[0])
            os.write(ours, b"\x10\x11")
            while client.poll() is None:
                if select.select([ours], [], [], 0.1)[0]:
                    os.read(ours, 65536)
            self.assertEqual((client.returncode, client.stderr.read()), (0, b"intravisor: exec: left the program, which goes on\n"))
            self.assertEqual(termios.tcgetattr(its), before)
            self.wait(lambda: os.path.exists(self.path("data/count")))
            seen = self.told()
            self.wait(lambda: int(self.told()[0]) > int(seen[0]) + 20)
            self.assertEqual(self.told()[1:], ["terminal"])
            self.assertEqual(self.execute(cvm, "ls", "/dev/pts"), (0, b"0\nptmx\n", b""))
            self.execute(cvm, "perl", "-e", f"kill 'KILL', {pid}")
            self.wait(lambda: self.execute(cvm, "ls", "/dev/pts") == (0, b"ptmx\n", b""))
            os.unlink(self.path("data/count"))

    def test_only_started(self):
        """exec -d: it is told whether the program begins, and no more; nothing but its memory limits how many there are."""
        self.start_pod()
        # Where its streams go, whose child it is, and that what it prints holds it up nowhere.
        notes = ("print 'x' x 1000000; print STDERR 'y' x 1000000; open F, '>>', $ARGV[0]; F->autoflush;"
                 "print F join(' ', (map { readlink qq(/proc/self/fd/$_) } 0 .. 2), getppid, getpgrp == $$, defined(getc STDIN) ? 'input' : 'end', $$), qq(\n);")
        for n, cvm in enumerate(BOTH):
            for i in range(20):
                self.assertEqual(self.execute("-d", cvm, "perl", "-MIO::Handle", "-e", notes + "sleep 1000 while 1", f"/data/begun{n}"), (0, b"", b""))
            self.assertEqual(self.execute(cvm, "echo", "there"), (0, b"there\n", b""))
            lines = []
            self.wait(lambda: lines.append(self.lines(f"begun{n}")) or len(lines[-1]) == 20)
            self.assertEqual({tuple(line.split()[:-1]) for line in lines[-1]}, {("/dev/null",) * 3 + ("0", "1", "end")})
            pids = [int(line.split()[-1]) for line in lines[-1]]
            self.assertTrue(self.alive(cvm, pids[0]))
            self.execute(cvm, "kill", *map(str, pids))
            self.wait(lambda: not any(self.process_state(cvm, pid) for pid in pids))
            for words, status, why in (("nowhere",), 127, "nowhere: not found in the cVM's PATH"), (("/etc/passwd",), 126, "/etc/passwd"), (("/tmp",), 126, "/tmp"):
                ran = self.execute("-d", cvm, *words)
                self.assertEqual(ran[:2], (status, b""), ran)
                self.assertIn(why, ran[2].decode())
            self.assertEqual(self.execute("-d", "-w", "/nowhere", cvm, "pwd")[0], 126)
            self.assertEqual(self.execute("-d", cvm, "sh", "-c", "exit 7"), (0, b"", b""), "that comes later")

    def lines(self, name):
        try:
            with open(self.path("data/" + name)) as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def test_orphans(self):
        """They become the first process's children, which does not wait for them; with init: true they go when they end."""
        self.start(*self.yaml(("a", IDLE, ", env: {NAME: a}"), ("b", IDLE, ", env: {NAME: b}, init: true")))
        self.wait(lambda: sorted(self.ups()) == ["a", "b"])
        daemon = "exit if fork; select undef, undef, undef, 0.001 until getppid == 1; print qq($$\n)"
        for cvm, left in (BOTH[0], "Z"), (BOTH[1], None):
            status, out, errors = self.execute(cvm, "perl", "-e", daemon)
            self.assertEqual((status, errors), (0, b""))
            # It has printed its number, and ends.
            self.wait(lambda: self.process_state(cvm, int(out)) == left)

    def process_state(self, cvm, pid):
        said = self.execute(cvm, "cat", f"/proc/{pid}/stat")[1].decode()
        return said.rsplit(")", 1)[1].split()[0] if said else None

    def test_several_at_once_and_one_that_nobody_reads(self):
        self.start_pod()
        for cvm in BOTH:
            lazy = self.client(cvm, "perl", "-e", "print 'x' x 65536 for 1 .. 100")
            self.assertEqual(lazy.stdout.read(1), b"x")
            results = {}
            data = os.urandom(1 << 20)
            threads = [threading.Thread(target=lambda i=i: results.update({i: self.execute("-i", cvm, "cat", input=data[i:])})) for i in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for i in range(10):
                self.assertEqual((results[i][0], results[i][1] == data[i:]), (0, True), results[i][2])
            self.assertEqual(len(lazy.stdout.read()), 6553600 - 1)
            self.assertEqual(lazy.wait(PATIENCE), 0)

    def test_files_are_the_cvms(self):
        sees = UP + "select(undef, undef, undef, 0.01) until -e '/tmp/x'; open F, '<', '/tmp/x'; print <F>; unlink '/tmp/x'; sleep 1000 while 1"
        run = self.start(*self.yaml(("a", sees, ", env: {NAME: a}"), ("b", IDLE, ", env: {NAME: b}")))
        self.wait(lambda: sorted(self.ups()) == ["a", "b"])
        self.assertEqual(self.execute("pod/a", "sh", "-c", "echo own >/etc/exec-made"), (0, b"", b""))
        self.assertEqual(self.execute("pod/a", "cat", "/etc/exec-made"), (0, b"own\n", b""))
        self.assertEqual(self.execute("pod/b", "cat", "/etc/exec-made")[0], 1)
        self.assertFalse(os.path.exists("/etc/exec-made"))
        self.assertEqual(self.execute("pod/a", "sh", "-c", "echo seen >/tmp/y; exec perl -e \"rename '/tmp/y', '/tmp/x'\""), (0, b"", b""))
        self.assertEqual(run.stdout.readline(), b"seen\n")
        self.wait(lambda: self.execute("pod/a", "cat", "/tmp/x")[0] == 1)

    def test_restarts(self):
        self.start_pod()
        for n in range(2, 8):
            self.assertEqual(self.execute("pod/a", "sh", "-c", "echo x >/tmp/x; exec cat /tmp/x"), (0, b"x\n", b""))
            self.command("restart", "-t", "0", "pod/a")
            # At once: its libOS has hardly begun, and its program starts all the same.
            self.assertEqual(self.execute("pod/a", "cat", "/tmp/x")[0], 1)
            self.wait(lambda: self.ups().count("a") == n)
        self.assertEqual(self.ups().count("b"), 1)

    def test_cvm_that_ends(self):
        self.start_pod()
        for cvm in BOTH:
            client = self.client("-i", cvm, "cat", stdin=subprocess.PIPE)
            client.stdin.write(b"x")
            client.stdin.flush()
            self.assertEqual(client.stdout.read(1), b"x")
            self.command("kill", cvm)
            self.assertEqual((client.wait(PATIENCE), client.stderr.read()), (137, b"intravisor: exec: the cVM ended\n"))

    def test_memory_limit(self):
        self.start_pod(keys=", memory: 96M")
        for cvm in BOTH:
            status, out, errors = self.execute(cvm, "perl", "-e", "$x = 'x' x (200 << 20); print 'got it'")
            self.assertEqual(out, b"")
            self.assertNotEqual(status, 0)
            hogs = [self.client(cvm, "perl", "-e", "$| = 1; $x = 'x' x (16 << 20); print 'up'; sleep 1000") for _ in range(8)]
            self.wait(lambda: any(hog.poll() is not None for hog in hogs))
            for hog in hogs:
                hog.kill()
            self.wait(lambda: self.execute(cvm, "echo", "there") == (0, b"there\n", b""))
        self.assertEqual({c["restarts"] for c in self.cvms().values()} | {c["state"] for c in self.cvms().values()}, {0, "running"})

    def test_no_threads_for_it(self):
        self.start_pod(keys=", threads: 1")
        for cvm in BOTH * 2:
            self.assertEqual(self.execute(cvm, "echo"), (125, b"", b"intravisor: exec: the cVM has no room for exec: Resource temporarily unavailable\n"))

    def test_descendant_that_keeps_the_output(self):
        self.start_pod()
        program = self.compile("descendant", DESCENDANT)
        for cvm in BOTH:
            status, out, errors = self.execute(cvm, program)
            self.assertEqual((status, errors), (0, b""))
            self.assertTrue(self.alive(cvm, int(out)))
            self.execute(cvm, "perl", "-e", f"kill 'KILL', {int(out)}")

    def test_channel_that_its_cvm_closes_or_reads_itself(self):
        self.start_pod(keys=", stop_timeout: 300ms")
        program = self.compile("hostile", HOSTILE)
        self.assertEqual(self.execute("pod/b", program, "close")[:2], (1, b"no channel\n"))
        for n, how in (2, "close"), (3, "steal"):
            takes = self.client("pod/a", program, how)
            self.wait(lambda: os.path.exists(self.path("data/done")))
            unheard = [self.client("pod/a", "sh", "-c", "echo >>/data/unheard") for _ in range(20)]
            self.assertEqual(self.execute("pod/b", "echo", "there"), (0, b"there\n", b""))
            for client in unheard + [takes]:
                client.kill()
            self.assertEqual(self.execute("pod/b", "echo", "there"), (0, b"there\n", b""))
            self.command("restart", "-t", "0", "pod/a")
            self.wait(lambda: self.ups().count("a") == n)
            self.assertEqual(self.execute("pod/a", "echo", "again"), (0, b"again\n", b""))
            if how == "close":  # nothing that was asked of the old life is done in the new one
                self.assertFalse(os.path.exists(self.path("data/unheard")))
            os.unlink(self.path("data/done"))

    def test_program_that_goes_past_its_libos_to_the_channel(self):
        run = self.start_pod()
        program = self.compile("hostile", HOSTILE)
        beside = self.client("-i", "pod/b", "cat", stdin=subprocess.PIPE)
        for how in "noise", "flood":
            status, out, errors = self.execute("pod/a", program, how, "200000")
            self.assertEqual((status, errors), (125, b"intravisor: exec: the cVM's libOS broke the rules of exec\n"))
            self.assertRegex(run.stderr.readline().decode(), "^intravisor: a: its libOS broke the rules of exec")
            self.assertIn(b"a has a libOS that broke the rules of exec", self.execute("pod/a", "echo", "x")[2])
            beside.stdin.write(how.encode())
            beside.stdin.flush()
            self.assertEqual(beside.stdout.read(5), how.encode())
            with open(f"/proc/{run.pid}/status") as f:
                self.assertLess(int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]), 64 << 10)
            ups = self.ups().count("a")
            self.command("restart", "-t", "0", "pod/a")
            self.assertEqual(self.execute("pod/a", "echo", "again"), (0, b"again\n", b""))
            self.wait(lambda: self.ups().count("a") == ups + 1)
        self.assertEqual(beside.communicate(timeout=PATIENCE), (b"", b""))


if __name__ == "__main__":
    unittest.main()
