/*
 * User and group numbers: the file system's follow the effective ones and are whose the new files are, and the saved ones after
 * execve; prctl's words that a child inherits, and arguments that it refuses; what is asked of a scheduling policy.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

static void ids(const char *when)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");

	printf("%s: setfsuid %d, setfsgid %d\n", when, setfsuid(-1), setfsgid(-1));
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, "Uid:", 4) || !strncmp(line, "Gid:", 4))
			fputs(line, stdout);
	if (f)
		fclose(f);
}

static void made(const char *name)
{
	struct stat st;
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);

	if (fd < 0 || fstat(fd, &st))
		printf("%s: %s\n", name, strerror(errno));
	else
		printf("%s is of %u:%u\n", name, st.st_uid, st.st_gid);
	close(fd);
	unlink(name);
}

static void move(void)
{
	ids("at first");
	printf("setfsgid %d\n", setfsgid(8));
	printf("setfsuid %d\n", setfsuid(7));
	ids("file system's");
	made("of-7");
	T(setresgid(-1, 6, 5));
	T(setresuid(-1, 4, 3));
	ids("effective");
	made("of-4");
	printf("setfsuid %d", setfsuid(7));
	printf(", %d\n", setfsuid(3));
	ids("no right to 7, but to the saved one");
	T(setresuid(-1, -1, -1));
	ids("nothing set");
	printf("setfsuid %d\n", setfsuid(3));
}

static void words(void)
{
	T(prctl(PR_SET_TIMERSLACK, 70000));
	fflush(stdout);
	if (!fork()) {
		printf("slack %d\n", prctl(PR_GET_TIMERSLACK));
		T(prctl(PR_SET_TIMERSLACK, 1234));
		T(prctl(PR_SET_TIMERSLACK, 0));
		printf("slack of the parent %d\n", prctl(PR_GET_TIMERSLACK));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	T(prctl(PR_SET_TIMERSLACK, 0));
	printf("slack %d\n", prctl(PR_GET_TIMERSLACK));
	T(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0));
	T(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 1, 0));
	T(prctl(PR_SET_THP_DISABLE, 0, 1, 0, 0));
	T(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 1));
	T(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	T(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0));
	T(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
	T(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 64, 0, 0));
	T(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_CHOWN, 0, 0));
	T(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
	T(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 1, 0));
	T(prctl(PR_CAP_AMBIENT, 99, CAP_CHOWN, 0, 0));
	for (int policy = -1; policy < 9; policy++)
		if (policy != 7) /* since Linux 6.12 */
			printf("policy %d: %d to %d\n", policy, sched_get_priority_min(policy), sched_get_priority_max(policy));
}

static void validated(void)
{
	static const int flags[] = { 0, MAP_POPULATE, MAP_NORESERVE, MAP_STACK, MAP_LOCKED, 1 << 10, MAP_SYNC, MAP_FIXED_NOREPLACE, 1 << 30 };
	int fd = open("mapped", O_CREAT | O_RDWR, 0600);

	T(ftruncate(fd, 4096));
	for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
		void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | flags[i], fd, 0);

		printf("flags %#x: %s\n", flags[i], p == MAP_FAILED ? strerror(errno) : "ok");
		if (p != MAP_FAILED)
			munmap(p, 4096);
	}
	unlink("mapped");
}

int main(int argc, char **argv)
{
	char top[] = "/tmp/process-ids-XXXXXX", ours[4096] = "";
	pid_t pid;

	if (argc > 1) {
		ids("another program");
		return 0;
	}
	if (!mkdtemp(top) || chdir(top) || chmod(top, 0777) || readlink("/proc/self/exe", ours, sizeof ours - 1) < 0)
		return 1;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		move();
		T(setresuid(-1, 0, -1));
		printf("setfsuid %d, setfsgid %d\n", setfsuid(9), setfsgid(9));
		fflush(stdout);
		execl(ours, argv[0], "again", NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	words();
	validated();
	rmdir(top);
	return 0;
}
