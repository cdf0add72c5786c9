/*
 * RLIMIT_FSIZE: no system call makes a regular file larger than that; who tries gets SIGXFSZ, and EFBIG if that does not end it.
 * On a host volume, in memory, of a memfd; not of pipes. What a child has as its limit is no limit of others.
 * Args: {dir}
 * Build: gcc musl-static
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

#define LIMIT 10000

static char g_bytes[3 * LIMIT];
static volatile sig_atomic_t g_signals;

static void count(int sig, siginfo_t *info, void *context)
{
	(void)context;
	g_signals += sig == SIGXFSZ && info->si_code == SI_USER && info->si_pid == getpid();
}

static void limit(rlim_t bytes)
{
	struct rlimit l = { bytes, RLIM_INFINITY };

	T(setrlimit(RLIMIT_FSIZE, &l));
}

static void say(int fd, const char *what, long n)
{
	struct stat st;
	int error = errno;

	fstat(fd, &st);
	printf("%s: %ld %s, signals %d, size %ld, at %ld\n", what, n, n < 0 ? strerror(error) : "", (int)g_signals, (long)st.st_size,
	       (long)lseek(fd, 0, SEEK_CUR));
	g_signals = 0;
}

static void through(int fd, const char *path)
{
	struct iovec iov[3] = { { g_bytes, 4000 }, { g_bytes, 4000 }, { g_bytes, 4000 } };
	int in = open("/proc/self/exe", O_RDONLY), append, pipes[2];
	off_t at = 0, to = LIMIT - 10;
	ssize_t n;

	say(fd, "write, not all", write(fd, g_bytes, sizeof g_bytes));
	say(fd, "write", write(fd, g_bytes, 1));
	say(fd, "write nothing", write(fd, g_bytes, 0));
	say(fd, "pwrite below", pwrite(fd, g_bytes, 100, 0));
	say(fd, "pwrite, not all", pwrite(fd, g_bytes, 100, LIMIT - 1));
	say(fd, "pwrite", pwrite(fd, g_bytes, 100, LIMIT));
	lseek(fd, 1000, SEEK_SET);
	say(fd, "writev, not all", writev(fd, iov, 3));
	say(fd, "pwritev, not all", pwritev(fd, iov, 3, 5000));
	say(fd, "writev", writev(fd, iov, 3));
	say(fd, "ftruncate above", ftruncate(fd, LIMIT + 1));
	say(fd, "ftruncate", ftruncate(fd, LIMIT));
	say(fd, "fallocate above", fallocate(fd, 0, LIMIT - 1, 2));
	say(fd, "fallocate", fallocate(fd, 0, 0, LIMIT));
	say(fd, "ftruncate to nothing", ftruncate(fd, 0));
	lseek(fd, 0, SEEK_SET);
	n = sendfile(fd, in, &at, 2 * LIMIT); /* Linux tries again for the rest, and so signals, too */
	g_signals = 0;
	say(fd, "sendfile, not all", n);
	say(fd, "sendfile", sendfile(fd, in, &at, LIMIT));
	at = 0;
	say(fd, "copy_file_range", copy_file_range(fd, &at, fd, &to, 20, 0) > 10);
	T(pipe(pipes));
	T(write(pipes[1], g_bytes, LIMIT + 5000) == LIMIT + 5000);
	to = LIMIT - 3;
	n = splice(pipes[0], NULL, fd, &to, 100, 0);
	g_signals = 0;
	say(fd, "splice, not all", n);
	say(fd, "splice", splice(pipes[0], NULL, fd, &to, 100, 0));
	close(pipes[0]);
	close(pipes[1]);
	close(in);
	if (!path)
		return;
	say(fd, "truncate above", truncate(path, 3 * LIMIT));
	say(fd, "truncate", truncate(path, LIMIT - 7));
	append = open(path, O_WRONLY | O_APPEND);
	say(append, "append, not all", write(append, g_bytes, 10));
	say(append, "append", write(append, g_bytes, 10));
	say(append, "append by pwrite", pwrite(append, g_bytes, 10, 0));
	close(append);
}

static void in(const char *dir)
{
	char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/fs_limit.%d", dir, getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	through(fd, path);
	limit(RLIM_INFINITY);
	say(fd, "without limit", pwrite(fd, g_bytes, sizeof g_bytes, 0));
	limit(LIMIT);
	say(fd, "pwrite above, inside the file", pwrite(fd, g_bytes, 10, LIMIT + 5));
	say(fd, "ftruncate above, smaller", ftruncate(fd, LIMIT + 5));
	close(fd);
	unlink(path);
}

/* The child ends, or not; its parent has no limit. */
static void child(const char *what, void (*handler)(int))
{
	int fd = memfd_create("limited", 0), status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct rlimit l = { 0, 0 }, none = { 0, 0 };

		signal(SIGXFSZ, handler);
		setrlimit(RLIMIT_CORE, &none);
		setrlimit(RLIMIT_FSIZE, &l);
		_exit(write(fd, "x", 1) < 0 && errno == EFBIG ? 3 : 4);
	}
	waitpid(pid, &status, 0);
	printf("%s: %s %d; ", what, WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	T(write(fd, g_bytes, 1) == 1);
	close(fd);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = count, .sa_flags = SA_SIGINFO };
	int fd = memfd_create("limited", 0);

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGXFSZ, &sa, NULL);
	child("default action", SIG_DFL);
	child("ignored", SIG_IGN);
	limit(LIMIT);
	in(argc > 1 ? argv[1] : ".");
	in("/tmp");
	through(fd, NULL);
	return 0;
}
