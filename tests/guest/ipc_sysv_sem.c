/*
 * System V semaphores: rules, errors, who waits and in which order they go on, SEM_UNDO, removal, permissions.
 * Args: {name}
 */
#define _GNU_SOURCE
#include "process.h"
#include "say.h"

#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <sys/sem.h>
#include <sys/time.h>
#include <time.h>

static int g_id;

static int op1(int id, int n, int op, int flags)
{
	struct sembuf b = { (unsigned short)n, (short)op, (short)flags };

	return semop(id, &b, 1);
}

static int op2(int n, int op, int flags, int n2, int op_2, int flags2)
{
	struct sembuf b[2] = { { (unsigned short)n, (short)op, (short)flags }, { (unsigned short)n2, (short)op_2, (short)flags2 } };

	return semop(g_id, b, 2);
}

static void values(const char *what)
{
	unsigned short v[3];

	if (semctl(g_id, 0, GETALL, v))
		say(what, -1);
	else
		printf("%s: %d %d %d, grow %d %d, zero %d\n", what, v[0], v[1], v[2], semctl(g_id, 0, GETNCNT), semctl(g_id, 1, GETNCNT),
		       semctl(g_id, 0, GETZCNT));
}

/* Until so many wait for semaphore n: for its growing, or for its being 0. */
static void until_waiting(int n, int cmd, int count)
{
	while (semctl(g_id, n, cmd) < count)
		usleep(1000);
}

static void errors(void)
{
	unsigned short big[3] = { 1, 40000, 1 };
	struct sembuf many[501] = { 0 };
	struct timespec bad = { -1, 0 }, none = { 0, 0 }, little = { 0, 20000000 };
	struct sembuf wait = { 0, -1, 0 }, far = { 3, 1, 0 };
	struct semid_ds ds;

	T(semget(IPC_PRIVATE, 0, 0600));
	T(semget(IPC_PRIVATE, -1, 0600));
	T(semget(IPC_PRIVATE, 32001, 0600));
	T(semop(-1, many, 1));
	T(semop(g_id + (1 << 20), many, 1));
	T(semop(g_id, many, 0));
	T(semop(g_id, many, 501));
	T(semop(g_id, many, 500));
	T(semop(g_id, NULL, 1));
	T(semop(g_id, &far, 1));
	T(semtimedop(g_id, &wait, 1, &bad));
	T(semtimedop(g_id, &wait, 1, (void *)8));
	T(semtimedop(g_id, &wait, 1, &none));
	T(semtimedop(g_id, &wait, 1, &little));
	T(op1(g_id, 0, -1, IPC_NOWAIT));
	T(op1(g_id, 0, 32767, 0));
	T(op1(g_id, 0, 1, 0));
	T(op1(g_id, 0, 0, IPC_NOWAIT));
	values("full");
	T(op1(g_id, 0, -32767, 0));
	T(op2(0, 1, 0, 1, -1, IPC_NOWAIT));
	values("nothing done");
	T(op2(0, 1, 0, 0, 1, 0));
	T(op2(0, -2, 0, 0, 0, 0));
	T(op1(g_id, 1, 20000, SEM_UNDO));
	T(op1(g_id, 1, -20000, 0));
	T(op1(g_id, 1, 20000, SEM_UNDO));
	T(semctl(g_id, 0, SETALL, big));
	T(semctl(g_id, 0, SETALL, NULL));
	T(semctl(g_id, 0, GETALL, NULL));
	T(semctl(g_id, 0, SETVAL, 32768));
	T(semctl(g_id, 0, SETVAL, -1));
	T(semctl(g_id, 3, SETVAL, 1));
	T(semctl(g_id, 3, GETVAL));
	T(semctl(g_id, -1, GETPID));
	T(semctl(g_id, 0, 99));
	T(semctl(-1, 0, GETVAL));
	T(semctl(g_id + (1 << 20), 0, GETVAL));
	T(semctl(g_id + (1 << 20), 0, SETVAL, -1));
	T(semctl(g_id, 0, IPC_STAT, NULL));
	T(semctl(g_id, 0, IPC_SET, NULL));
	T(semctl(INT_MAX, 0, SEM_STAT, &ds));
	T(semctl(g_id, 1, SETVAL, 0));
	values("values");
	printf("pids %d %d %d\n", semctl(g_id, 0, GETPID) == getpid(), semctl(g_id, 1, GETPID) == getpid(), semctl(g_id, 2, GETPID));
}

static void keys(void)
{
	key_t key = (key_t)strtoul(g_word, NULL, 16) | 1;
	int id = semget(key, 2, IPC_CREAT | IPC_EXCL | 0640);
	struct semid_ds ds;

	T(id);
	T(semget(key, 2, IPC_CREAT | IPC_EXCL));
	printf("the same %d %d\n", semget(key, 0, 0) == id, semget(key, 2, IPC_CREAT | 0600) == id);
	T(semget(key, 3, 0));
	T(semget(key ^ 0x40000000, 1, 0));
	semctl(id, 0, IPC_STAT, &ds);
	printf("count %lu mode %o times %d %d\n", ds.sem_nsems, ds.sem_perm.mode, ds.sem_otime != 0, ds.sem_ctime != 0);
	op1(id, 0, 0, 0);
	semctl(id, 0, IPC_STAT, &ds);
	printf("used %d, pid of who looked %d\n", ds.sem_otime != 0, semctl(id, 0, GETPID) == getpid());
	ds.sem_perm.mode = 0444;
	T(semctl(id, 0, IPC_SET, &ds));
	if (!fork()) {
		if (setgid(4321) || setuid(4321))
			printf("cannot be another user\n");
		T(semget(key, 0, 0600));
		T(semget(key, 0, 0444) < 0);
		T(op1(id, 0, 1, 0));
		T(op1(id, 0, 0, 0));
		T(semctl(id, 0, GETVAL));
		T(semctl(id, 0, SETVAL, 1));
		T(semctl(id, 5, SETVAL, 1));
		T(semctl(id, 5, GETVAL));
		T(semctl(id, 0, IPC_SET, &ds));
		T(semctl(id, 0, IPC_RMID));
		_exit(0);
	}
	wait(NULL);
	ds.sem_perm.mode = 0060;
	ds.sem_perm.gid = 77;
	T(semctl(id, 0, IPC_SET, &ds));
	for (gid_t group = 76; group <= 78; group++) {
		fflush(stdout);
		if (fork()) {
			wait(NULL);
			continue;
		}
		if (setgroups(2, (gid_t[]){group, 5}) || setgid(4321) || setuid(4321))
			printf("cannot be another user\n");
		printf("of group %d\n", (int)group);
		T(semget(key, 0, 0060) < 0);
		T(op1(id, 0, 1, 0));
		T(semctl(id, 0, GETVAL) < 0);
		T(semctl(id, 0, IPC_RMID));
		fflush(stdout);
		_exit(0);
	}
	T(semctl(id, 0, IPC_RMID));
	T(semctl(id, 0, IPC_RMID));
}

static pid_t waiter(int n, int op, int flags, char name)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		int ret = op1(g_id, n, op, flags);

		printf("%c: %s\n", name, ret ? strerror(errno) : "done");
		fflush(stdout);
		_exit(0);
	}
	return pid;
}

static void order(void)
{
	pid_t a, b, c;

	a = waiter(0, -2, 0, 'a');
	until_waiting(0, GETNCNT, 1);
	b = waiter(0, -1, 0, 'b');
	until_waiting(0, GETNCNT, 2);
	values("two wait");
	op1(g_id, 0, 1, 0); /* enough for the second */
	waitpid(b, NULL, 0);
	values("one waits");
	op1(g_id, 0, 2, 0);
	waitpid(a, NULL, 0);
	c = waiter(1, 0, 0, 'c');
	waitpid(c, NULL, 0);
	op1(g_id, 0, 1, 0);
	c = waiter(0, 0, 0, 'd');
	until_waiting(0, GETZCNT, 1);
	values("one for zero");
	op1(g_id, 0, -1, 0);
	waitpid(c, NULL, 0);
	/* what one does lets the next one go on */
	a = waiter(1, -1, 0, 'e');
	until_waiting(1, GETNCNT, 1);
	fflush(stdout);
	b = fork();
	if (!b)
		_exit(op2(0, -1, 0, 1, 1, 0));
	until_waiting(0, GETNCNT, 1);
	op1(g_id, 0, 1, 0);
	waitpid(a, NULL, 0);
	waitpid(b, NULL, 0);
	values("chain");
	a = waiter(0, -5, 0, 'f');
	until_waiting(0, GETNCNT, 1);
	semctl(g_id, 0, SETVAL, 7);
	waitpid(a, NULL, 0);
	values("set");
	a = waiter(2, -1, 0, 'g');
	until_waiting(2, GETNCNT, 1);
	semctl(g_id, 0, SETALL, (unsigned short[]){ 0, 0, 1 });
	waitpid(a, NULL, 0);
	values("all set");
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void interrupted(int flags)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = flags };
	struct itimerval t = { .it_value.tv_usec = 20000, .it_interval.tv_usec = 20000 }, off = { 0 };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
	T(op1(g_id, 0, -1, 0));
	setitimer(ITIMER_REAL, &off, NULL);
	values("nobody waits");
}

static void *add(void *arg)
{
	op1(g_id, 0, 2, SEM_UNDO);
	return arg;
}

static void undo(void)
{
	int ready[2];
	pthread_t thread;
	pid_t pid, a;

	new_pipe(ready);
	semctl(g_id, 0, SETALL, (unsigned short[]){ 1, 5, 0 });
	fflush(stdout);
	pid = fork();
	if (!pid) {
		op1(g_id, 0, -1, SEM_UNDO);
		op1(g_id, 1, 3, SEM_UNDO);
		pthread_create(&thread, NULL, add, NULL);
		pthread_join(thread, NULL);
		values("done");
		tell(ready[1]);
		for (;;)
			pause();
	}
	hear(ready[0]);
	semctl(g_id, 0, GETALL, (unsigned short[3]){ 0 });
	op1(g_id, 0, -2, 0);
	a = waiter(0, -1, 0, 'u');
	until_waiting(0, GETNCNT, 1);
	op1(g_id, 1, -7, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	op1(g_id, 0, 2, 0);
	waitpid(a, NULL, 0);
	values("undone, not below 0");
	/* set by hand, nothing is undone; a fork's child undoes nothing of its parent's; exec keeps it */
	fflush(stdout);
	pid = fork();
	if (!pid) {
		op1(g_id, 0, 4, SEM_UNDO);
		op1(g_id, 1, 4, SEM_UNDO);
		semctl(g_id, 0, SETVAL, 9);
		a = fork();
		if (!a)
			_exit(0);
		waitpid(a, NULL, 0);
		values("a child's end");
		fflush(stdout);
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	values("after exec");
	/* the end of a process that wanted to undo is an operation, even if nothing was done */
	struct semid_ds one;
	int id = semget(IPC_PRIVATE, 1, 0600);
	if (!fork())
		_exit(op1(id, 5, 1, SEM_UNDO) == 0);
	wait(NULL);
	semctl(id, 0, IPC_STAT, &one);
	printf("time %s\n", one.sem_otime ? "of an operation" : "of none");
	semctl(id, 0, IPC_RMID);
	op1(g_id, 0, 1, SEM_UNDO);
}

static void removal(void)
{
	pid_t a = waiter(2, -1, 0, 'x'), b = waiter(2, -1, SEM_UNDO, 'x');

	until_waiting(2, GETNCNT, 2);
	semctl(g_id, 0, IPC_RMID);
	waitpid(a, NULL, 0);
	waitpid(b, NULL, 0);
	T(op1(g_id, 0, 1, 0));
}

static void listed(void)
{
	int last, found = 0, in_proc = 0;
	struct seminfo info;
	struct semid_ds ds;
	char line[512];
	FILE *f = fopen("/proc/sysvipc/sem", "r");

	last = semctl(0, 0, SEM_INFO, &info);
	printf("used %d %d\n", info.semusz > 0, info.semaem >= 3);
	for (int i = 0; i <= last; i++)
		found += semctl(i, 0, SEM_STAT, &ds) == g_id && ds.sem_nsems == 3;
	if (f && fgets(line, sizeof(line), f))
		printf("%s", line);
	while (f && fgets(line, sizeof(line), f)) {
		int key, id, mode, count;

		if (sscanf(line, "%d %d %o %d", &key, &id, &mode, &count) == 4 && id == g_id)
			in_proc += key == 0 && mode == 0600 && count == 3;
	}
	if (f)
		fclose(f);
	printf("by index %d, in /proc %d\n", found, in_proc);
	semctl(0, 0, IPC_INFO, &info);
	printf("%d %d %d %d %d %d %d %d %d %d\n", info.semmap, info.semmni, info.semmns, info.semmnu, info.semmsl, info.semopm, info.semume,
	       info.semusz, info.semvmx, info.semaem);
}

static void tests(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	g_id = semget(IPC_PRIVATE, 3, 0600);
	T(g_id);
	listed();
	errors();
	semctl(g_id, 0, SETALL, (unsigned short[]){ 0, 0, 0 });
	keys();
	order();
	interrupted(0);
	interrupted(SA_RESTART);
	undo();
	removal();
}

int main(int argc, char **argv)
{
	g_self = argv[0];
	return apart(argc, argv, tests);
}
