/*
 * What thousands of processes cost, one after another: nothing that stays. And what happens at the limit of threads, at the
 * limit of memory, and at the end of the first process.
 * Build: musl-static
 * Options: --threads 8 --memory 96M
 * Native: no
 */
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "process.h"
#include "say.h"

#define SPAWNED 2000
#define STAYS   (512 << 10) /* bytes: 256 a process */

static unsigned long free_memory(void)
{
	struct sysinfo info;

	sysinfo(&info);
	return info.freeram * info.mem_unit;
}

static int open_files(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int ends(pid_t pid, int expected)
{
	int status;

	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == expected)
		return 1;
	printf("pid %d: status %#x, %s\n", pid, status, strerror(errno));
	return 0;
}

static pid_t dynamic(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(126);
	}
	return pid;
}

static char g_stack[32768] __attribute__((aligned(16)));

static int leaves(void *arg)
{
	syscall(SYS_exit_group, (int)(long)arg);
	return 0;
}

static pid_t spawned(int how)
{
	if (how == 0)
		return start("exit", "5", NULL);
	if (how == 1)
		return clone(leaves, g_stack + sizeof g_stack, CLONE_VM | SIGCHLD, (void *)5);
	if (how == 2)
		return dynamic();
	return start("leaks", NULL);
}

static void nothing_stays(const char *what, int how, int count, int status)
{
	unsigned long before = 0, now;
	int files = open_files(), last = 0, first = 0;

	for (int i = 0; i < count; i++) {
		if (i == count / 10)
			before = free_memory();
		last = spawned(how);
		first = i ? first : last;
		if (!ends(last, status)) {
			printf("%s: the %d.\n", what, i);
			g_failures++;
			return;
		}
	}
	now = free_memory();
	printf("%s: %d, %ld bytes stay\n", what, count, (long)(before - now));
	CHECK(now + STAYS > before);
	CHECK(open_files() == files);
	CHECK(last != first);
}

__attribute__((noinline)) static pid_t vfork_exit(void)
{
	pid_t pid = vfork();

	if (!pid)
		_exit(6);
	return pid;
}

static void thread_limit(void)
{
	pid_t pid[20];
	int count = 0, status;

	while (count < 20 && (pid[count] = vfork()) >= 0) {
		if (!pid[count]) {
			execl(g_self, g_self, "sleeps", NULL);
			_exit(126);
		}
		count++;
	}
	status = errno;
	CHECK(status == EAGAIN);
	printf("%d beside the first\n", count);
	CHECK(count >= 4 && count <= 7);
	kill(pid[0], SIGKILL);
	CHECK(waitpid(pid[0], &status, 0) == pid[0]);
	do
		pid[0] = vfork_exit(); /* the last of the old one may still be under way */
	while (pid[0] < 0 && errno == EAGAIN && !sched_yield());
	CHECK(ends(pid[0], 6));
	for (int i = 1; i < count; i++)
		kill(pid[i], SIGKILL);
	for (int i = 1; i < count; i++)
		CHECK(waitpid(pid[i], &status, 0) == pid[i] && WTERMSIG(status) == SIGKILL);
}

static void memory_limit(void)
{
	unsigned long before = free_memory();

	CHECK(ends(start("takes-all", NULL), 7));
	CHECK(free_memory() + STAYS > before);
	CHECK(ends(start("exit", "8", NULL), 8));
}

/* To all means all but the first process and the caller. */
static void first_process(void)
{
	pid_t pid[2], orphan, middle;
	int status, ends_of[2];

	CHECK(getpid() == 1 && getppid() == 0);
	new_pipe(ends_of);
	middle = start("leaves-orphan", keep(ends_of[1]), NULL);
	CHECK(read(ends_of[0], &orphan, sizeof orphan) == sizeof orphan);
	CHECK(ends(middle, 9));
	CHECK(waitpid(orphan, &status, WNOHANG) == 0);
	CHECK(kill(orphan, SIGTERM) == 0 && waitpid(-1, &status, 0) == orphan && WTERMSIG(status) == SIGTERM);
	CHECK(kill(-1, 0) == -1 && errno == ESRCH);
	pid[0] = start("sleeps", NULL), pid[1] = start("sleeps-apart", NULL);
	CHECK(ends(start("kills-all", NULL), 10));
	for (int i = 0; i < 2; i++)
		CHECK(waitpid(pid[i], &status, 0) == pid[i] && WTERMSIG(status) == SIGUSR1);
	pid[0] = start("sleeps", NULL);
	CHECK(kill(-1, SIGHUP) == 0); /* not to itself */
	CHECK(waitpid(pid[0], &status, 0) == pid[0] && WTERMSIG(status) == SIGHUP);
	CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

static int role(char **argv)
{
	const char *name = argv[1];

	if (!strcmp(name, "exit"))
		return atoi(argv[2]);
	if (!strcmp(name, "sleeps-apart"))
		setsid();
	if (!strncmp(name, "sleeps", 6))
		for (;;)
			pause();
	if (!strcmp(name, "leaks")) { /* all that a process can leave to its end to tidy */
		timer_t timer;
		int ends_of[2];
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
		memset(p, 1, 1 << 20);
		syscall(SYS_brk, syscall(SYS_brk, 0) + 100000);
		timer_create(CLOCK_MONOTONIC, NULL, &timer);
		if (pipe(ends_of) || write(ends_of[1], p, 1000) != 1000 || fcntl(open(g_self, O_RDONLY), F_SETLK, &lock))
			return 1;
		sigset_t set;
		sigfillset(&set);
		sigprocmask(SIG_BLOCK, &set, NULL);
		union sigval value = { 0 };
		for (int i = 0; i < 5; i++)
			sigqueue(getpid(), SIGRTMIN + i, value);
		return 5;
	}
	if (!strcmp(name, "takes-all")) {
		size_t size = 1 << 20, had = 0;
		while (mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
			had++;
		return errno == ENOMEM && had > 10 && had < 96 ? 7 : 1;
	}
	if (!strcmp(name, "leaves-orphan")) {
		pid_t pid = start("sleeps", NULL);
		return write(atoi(argv[2]), &pid, sizeof pid) == sizeof pid ? 9 : 1;
	}
	if (!strcmp(name, "kills-all"))
		return kill(-1, SIGUSR1) == 0 ? 10 : 1;
	return 1;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	g_self = argv[0];
	if (argc > 1)
		return role(argv);
	nothing_stays("vfork and exec", 0, SPAWNED, 5);
	nothing_stays("clone", 1, SPAWNED, 5);
	nothing_stays("/bin/true", 2, SPAWNED / 10, 0);
	nothing_stays("with a lot left", 3, SPAWNED / 10, 5);
	thread_limit();
	memory_limit();
	first_process();
	start("sleeps", NULL); /* ends with the first process, or this test never does */
	if (!g_failures)
		puts("ok");
	return !!g_failures;
}
