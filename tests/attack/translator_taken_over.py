#!/usr/bin/python3
"""
Question: a hostile file has taken the translator's process over (here a library in it plays that). What can it do on the host
besides spoiling the image, which the monitor scans?
Expect: nothing but read the one file, write the other up to what an image may have, and use memory up to a bound; of all processes it
is the first that the kernel ends when there is none left
Control: the same attempts before the sandbox all succeed
"""
import os
import re
import subprocess
import sys

INTRAVISOR, SCRATCH = os.environ["INTRAVISOR"], os.environ["SCRATCH"]
TRANSLATOR = os.path.join(os.path.dirname(INTRAVISOR), "intravisor-translate")
PAGE, EPERM, ENOMEM, EFBIG = 4096, -1, -12, -27

LIBRARY = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pid_t g_parent;
static int g_out;

static void say(const char *when, const char *what, long result)
{
	char line[128];
	int error = result == -1 ? -errno : 0;

	(void)!write(2, line, (size_t)snprintf(line, sizeof line, "%s %s %d\n", when, what, error));
}

static void try_all(const char *when)
{
	struct rlimit cores = { 0, 0 };
	char text[256];
	struct stat st;

	say(when, "open", open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	say(when, "stat", syscall(SYS_newfstatat, AT_FDCWD, "/proc/self/exe", &st, 0));
	say(when, "readlink", readlink("/proc/self/exe", text, sizeof text));
	say(when, "socket", socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	say(when, "memory-file", memfd_create("x", MFD_CLOEXEC));
	say(when, "signal", kill(g_parent, 0));
	say(when, "process", syscall(SYS_getppid) == g_parent ? 0 : -1);
	say(when, "prctl", prctl(PR_SET_PDEATHSIG, SIGKILL));
	say(when, "limit", syscall(SYS_setrlimit, RLIMIT_CORE, &cores));
	void *memory = mmap(NULL, 7ul << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	say(when, "memory", memory == MAP_FAILED ? -1 : munmap(memory, 7ul << 30));
	say(when, "write", syscall(SYS_pwrite64, g_out, "x", 1ul, 3ul * 4096));
	say(when, "truncate", syscall(SYS_ftruncate, g_out, 3ul * 4096 + 1));
	long child = syscall(SYS_clone, (unsigned long)SIGCHLD, 0, 0, 0, 0);
	if (child == 0)
		syscall(SYS_exit_group, 0);
	say(when, "clone", child);
	errno = 0;
	say(when, "execute", syscall(SYS_execve, "/nonexistent", NULL, NULL) == -1 && errno == ENOENT ? 0 : -1);
}

__attribute__((constructor)) static void start(void)
{
	g_parent = getppid();
	g_out = atoi(getenv("OUT"));
	signal(SIGXFSZ, SIG_IGN);
	try_all("before");
	(void)!ftruncate(g_out, 0);
}

/* The first thing that the translator does with the file. */
ssize_t pread64(int fd, void *to, size_t size, off_t at)
{
	static int done;

	char end;

	if (!done++) {
		try_all("inside");
		syscall(SYS_read, 0, &end, 1ul); /* while it is looked at */
	}
	return syscall(SYS_pread64, fd, to, size, at);
}

ssize_t pread(int fd, void *to, size_t size, off_t at)
{
	return pread64(fd, to, size, at);
}
"""


def main():
    source, library, code = (os.path.join(SCRATCH, n) for n in ("taken.c", "taken.so", "code"))
    with open(source, "w") as f:
        f.write(LIBRARY)
    subprocess.run(["gcc", "-O1", "-w", "-fPIC", "-shared", source, "-o", library], check=True)
    with open(code, "wb") as f:
        f.write(b"\xc3" * PAGE)
    with open(code, "rb") as given, open(os.memfd_create("image"), "r+b") as image:
        fds = given.fileno(), image.fileno()
        ran = subprocess.Popen([TRANSLATOR, str(fds[0]), str(fds[1]), "0", str(PAGE), "1"], pass_fds=fds, stdin=subprocess.PIPE, text=True,
                               env={"LD_PRELOAD": library, "OUT": str(fds[1])}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text, victim = "", None
        while line := ran.stdout.readline():
            text += line
            if line.startswith("inside execute"):
                with open(f"/proc/{ran.pid}/oom_score_adj") as f:
                    victim = int(f.read())
                ran.stdin.close()
        ran.wait()
        made = os.pread(fds[1], 8, 0)
    said = {}
    for when, what, error in re.findall(r"^(before|inside) (\S+) (-?\d+)$", text, re.M):
        said.setdefault(when, {})[what] = int(error)
    if set(said) != {"before", "inside"} or ran.returncode or made != b"CVDCIMG1":
        sys.exit(f"the library does not run as it should: status {ran.returncode}\n{text}")
    if any(said["before"].values()):
        sys.exit(f"the control fails: {said['before']}")
    expected = {what: {"memory": ENOMEM, "write": EFBIG, "truncate": EFBIG}.get(what, EPERM) for what in said["before"]}
    if said["inside"] != expected:
        sys.exit(f"BREACH: {dict(set(said['inside'].items()) - set(expected.items()))}\n{text}")
    if victim != 1000:
        sys.exit(f"BREACH: others are ended first: {victim}")
    print(f"REFUSED: {len(expected)} attempts")


if __name__ == "__main__":
    main()
