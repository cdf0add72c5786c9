/*
 * A process whose threads sleep in everything that can be slept in ends, whoever ends it and how: by SIGKILL, by exit_group or execve
 * of one of its threads, by a fault, and stopped or not. What does not wake up hangs.
 *
 * Build: gcc
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHARED_FD 100
#define ROUNDS 10

static int g_odd;	     /* children that ended in another way than expected */
static atomic_int *g_asleep; /* how many are about to sleep */
#define NOBODY_WAKES 16	     /* g_asleep[] */
#define MSG 17
#define SEM 18

static int empty_pipe(int end)
{
	int p[2];

	if (pipe(p))
		exit(2);
	return p[end];
}

static void read_pipe(void)
{
	char c;

	(void)!read(empty_pipe(0), &c, 1);
}

static void write_pipe(void)
{
	static char much[1 << 20];

	(void)!write(empty_pipe(1), much, sizeof much);
}

static void poll_pipe(void)
{
	struct pollfd p = { .fd = empty_pipe(0), .events = POLLIN };

	poll(&p, 1, -1);
}

static void poll_mixed(void)
{
	struct pollfd p[2] = { { .fd = empty_pipe(0), .events = POLLIN }, { .fd = timerfd_create(CLOCK_MONOTONIC, 0), .events = POLLIN } };

	ppoll(p, 2, NULL, NULL);
}

static void select_pipe(void)
{
	int fd = empty_pipe(0);
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	select(fd + 1, &set, NULL, NULL, NULL);
}

static void epoll_pipe(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	int ep = epoll_create1(0);

	epoll_ctl(ep, EPOLL_CTL_ADD, empty_pipe(0), &e);
	epoll_wait(ep, &e, 1, -1);
}

static void epoll_nothing(void)
{
	struct epoll_event e;

	epoll_wait(epoll_create1(0), &e, 1, -1);
}

static void wait_futex(void)
{
	static uint32_t word;

	syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void wait_futex_of_all(void)
{
	syscall(SYS_futex, g_asleep + NOBODY_WAKES, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void lock_mutex(void)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&m);
	pthread_mutex_lock(&m);
}

static void sleep_long(void)
{
	sleep(100000);
}

static void wait_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigwaitinfo(&set, NULL);
}

static void suspend(void)
{
	sigset_t set;

	sigfillset(&set);
	sigsuspend(&set);
}

static void read_signalfd(void)
{
	struct signalfd_siginfo info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	(void)!read(signalfd(-1, &set, 0), &info, sizeof info);
}

static void read_eventfd(void)
{
	uint64_t n;

	(void)!read(eventfd(0, 0), &n, sizeof n);
}

static void read_timerfd(void)
{
	uint64_t n;

	(void)!read(timerfd_create(CLOCK_MONOTONIC, 0), &n, sizeof n);
}

static void read_inotify(void)
{
	char b[100];

	(void)!read(inotify_init(), b, sizeof b);
}

static void read_unix(void)
{
	int s[2];
	char c;

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	(void)!read(s[0], &c, 1);
}

static void write_datagrams(void)
{
	int s[2];

	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	while (send(s[0], "x", 1, 0) == 1)
		;
}

static void accept_unix(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	bind(s, (struct sockaddr *)&a, sizeof(sa_family_t));
	listen(s, 1);
	accept(s, NULL, NULL);
}

static void receive_message(void)
{
	struct { long type; char text[10]; } m;

	msgrcv(g_asleep[MSG], &m, sizeof m.text, 0, 0);
}

static void down(void)
{
	struct sembuf op = { .sem_op = -1, .sem_flg = SEM_UNDO };

	semop(g_asleep[SEM], &op, 1);
}

static void receive_mq(void)
{
	char text[10000];
	mqd_t q = mq_open("/process-blocked", O_CREAT | O_RDWR, 0600, NULL);

	mq_unlink("/process-blocked");
	mq_receive(q, text, sizeof text, NULL);
}

static void fifo_of(pid_t pid, char name[64])
{
	snprintf(name, 64, "/tmp/process-blocked-%d", pid);
}

static void open_fifo(void)
{
	char name[64];

	fifo_of(getpid(), name);
	mkfifo(name, 0600);
	open(name, O_RDONLY);
}

static void lock_file(void)
{
	char name[64];
	int a, b;

	snprintf(name, sizeof name, "/tmp/process-blocked-lock-%d", getpid());
	a = open(name, O_CREAT | O_RDWR, 0600);
	b = open(name, O_RDWR);
	unlink(name);
	flock(a, LOCK_EX);
	flock(b, LOCK_EX);
}

static void read_terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	char c;

	grantpt(master);
	unlockpt(master);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	(void)!read(slave, &c, 1);
}

/* For a child: it ends with its parent, which may have ended already. */
static void end_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
}

static void wait_child(void)
{
	char parent[16];
	const char *argv[] = { "process_blocked", parent, NULL };
	pid_t pid;

	snprintf(parent, sizeof parent, "%d", getpid());
	posix_spawn(&pid, "/proc/self/exe", NULL, NULL, (char **)argv, NULL);
	waitpid(pid, NULL, 0);
}

static void vfork_child(void)
{
	pid_t self = getpid();

	if (vfork())
		return;
	end_with(self);
	for (;;)
		pause();
}

static void join_thread(void)
{
	pthread_t t;

	pthread_create(&t, NULL, (void *(*)(void *))sleep_long, NULL);
	pthread_join(t, NULL);
}

static void (*const g_ways[])(void) = {
	read_pipe, write_pipe, poll_pipe, poll_mixed, select_pipe, epoll_pipe, epoll_nothing, wait_futex, wait_futex_of_all, lock_mutex, sleep_long,
	wait_signal, suspend, read_signalfd, read_eventfd, read_timerfd, read_inotify, read_unix, write_datagrams, accept_unix, receive_message,
	down, receive_mq, open_fifo, lock_file, read_terminal, wait_child, vfork_child, join_thread };
#define WAYS (int)(sizeof g_ways / sizeof *g_ways)

static void *sleeper(void *arg)
{
	atomic_fetch_add(g_asleep, 1);
	((void (*)(void))arg)();
	pause(); /* a signal that lets it go on wakes some */
	return NULL;
}

static void end(const char *how)
{
	const char *argv[] = { "process_blocked", "exit", NULL };

	if (!strcmp(how, "exit"))
		_exit(3);
	if (!strcmp(how, "exec"))
		execv("/proc/self/exe", (char **)argv);
	if (!strcmp(how, "fault"))
		raise(SIGSEGV);
	for (;;)
		pause();
}

static void *end_later(void *how)
{
	while (atomic_load(g_asleep) < WAYS)
		usleep(100);
	end(how);
	return NULL;
}

/* All sleep; then `how` happens, in the first thread or in another one. */
static void be_blocked(const char *how, int first)
{
	pthread_t t;

	for (int i = 0; i < WAYS; i++) {
		void (*way)(void) = g_ways[i];

		if (way == vfork_child && !strcmp(how, "stopped")) /* Linux cannot stop that */
			way = sleep_long;
		if (pthread_create(&t, NULL, sleeper, (void *)way))
			_exit(4);
	}
	if (first)
		end_later((void *)how);
	pthread_create(&t, NULL, end_later, (void *)how);
	for (;;)
		pause();
}

static pid_t start(const char *how, const char *first)
{
	const char *argv[] = { "process_blocked", how, first, NULL };
	pid_t pid;

	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, (char **)argv, NULL))
		exit(1);
	return pid;
}

/* The children of those that ended are ours: killed, or done. */
static void reaped(int status)
{
	g_odd += !WIFEXITED(status) && WTERMSIG(status) != SIGKILL;
}

static void reap(pid_t pid, int *status)
{
	char fifo[64];
	pid_t other;

	while ((other = waitpid(-1, status, 0)) != pid)
		reaped(*status);
	fifo_of(pid, fifo);
	unlink(fifo);
}

static void try_end(const char *how, const char *first)
{
	int status, last = -1, same = 1;

	for (int i = 0; i < ROUNDS; i++) {
		pid_t pid;

		atomic_store(g_asleep, 0);
		pid = start(how, first);
		if (!strcmp(how, "killed") || !strcmp(how, "stopped")) {
			while (atomic_load(g_asleep) < WAYS)
				usleep(100);
			if (!strcmp(how, "stopped")) {
				kill(pid, SIGSTOP);
				waitpid(pid, &status, WUNTRACED);
			}
			kill(pid, SIGKILL);
		}
		reap(pid, &status);
		same &= last == -1 || status == last;
		last = status;
	}
	printf("%s %s: status %x, always %d\n", how, first, (unsigned)last, same);
}

int main(int argc, char **argv)
{
	int status;
	static const char *const ways[] = { "killed", "stopped", "exit", "exec", "fault" };

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && !strcmp(argv[1], "exit"))
		return 5;
	if (argc == 2) {
		end_with(atoi(argv[1]));
		sleep_long();
	}
	if (argc == 1) {
		dup2(memfd_create("shared", 0), SHARED_FD);
		if (ftruncate(SHARED_FD, 4096))
			return 1;
	}
	g_asleep = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, SHARED_FD, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	if (argc == 3)
		be_blocked(argv[1], argv[2][0] == '1');
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	g_asleep[MSG] = msgget(IPC_PRIVATE, 0600);
	g_asleep[SEM] = semget(IPC_PRIVATE, 1, 0600);
	for (int i = 0; i < 5; i++) {
		try_end(ways[i], "0");
		try_end(ways[i], "1");
	}
	while (wait(&status) > 0)
		reaped(status);
	printf("children that ended otherwise: %d\n", g_odd);
	msgctl(g_asleep[MSG], IPC_RMID, NULL);
	semctl(g_asleep[SEM], 0, IPC_RMID);
	return 0;
}
