/*
 * What processes share: open files and their positions, pipes, FIFOs, sockets that pass descriptors and say who sent, locks,
 * eventfd, epoll, memory files with a mutex whose owner dies; and what each has to itself.
 * Build: gcc musl-static
 * Args: {dir}
 */
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "process.h"

static char g_path[PATH_MAX];
static int g_turn[2], g_back[2]; /* bytes to and from the child */
static char *g_in, *g_out;

static const char *path(const char *name)
{
	snprintf(g_path, sizeof g_path, "%s/%s", g_word, name);
	return g_path;
}

static pid_t child(const char *role, const char *word, const char *more)
{
	return start(role, g_in, g_out, word, more, NULL);
}

static char *inherited(int fd)
{
	return keep(fd);
}

static void positions(void)
{
	int fd = open(path("file"), O_RDWR | O_CREAT | O_TRUNC, 0600), appended = open(path("log"), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	char text[20] = "";
	long got;

	if (write(fd, "0123456789", 10) != 10)
		say("write", -1);
	lseek(fd, 2, SEEK_SET);
	reap("reads three", child("reads", inherited(fd), "3"));
	printf("position %ld\n", (long)lseek(fd, 0, SEEK_CUR));
	reap("sets flags", child("flags", inherited(fd), ""));
	printf("not blocking %d, closed at exec %d\n", !!(fcntl(fd, F_GETFL) & O_NONBLOCK), fcntl(fd, F_GETFD));
	reap("closes", child("closes", inherited(fd), ""));
	got = pread(fd, text, 10, 0);
	printf("open here %ld %s\n", got, text);
	for (int i = 0; i < 3; i++) {
		if (write(appended, "a", 1) != 1)
			say("write", -1);
		reap("appends", child("writes", inherited(appended), "b"));
	}
	close(appended);
	appended = open(path("log"), O_RDONLY);
	got = read(appended, text, 10);
	printf("log %ld %.6s\n", got, text);
	close(appended);
	close(fd);
}

static void pipes(void)
{
	int ends[2];
	char buf[4096];
	long got, sum = 0;
	pid_t pid[3];

	new_pipe(ends);
	pid[0] = child("writes-much", inherited(ends[1]), "300000");
	pid[1] = child("writes-much", inherited(ends[1]), "200000");
	close(ends[1]);
	while ((got = read(ends[0], buf, sizeof buf)) > 0)
		sum += got;
	printf("end of file after %ld, %ld\n", sum, got);
	reap("writer", pid[0]);
	reap("writer", pid[1]);
	close(ends[0]);

	new_pipe(ends);
	pid[0] = child("writes-much", inherited(ends[1]), "10000000");
	drop(ends[1]);
	if (read(ends[0], buf, 1) != 1)
		say("read", -1);
	close(ends[0]);
	reap("nobody reads", pid[0]);
	signal(SIGPIPE, SIG_IGN);
	say("nobody here either", write(ends[1], "x", 1));
	signal(SIGPIPE, SIG_DFL);
	close(ends[1]);

	new_pipe(ends);
	pid[0] = child("sleeps", inherited(ends[1]), "");
	close(ends[1]);
	hear(g_back[0]);
	struct pollfd p = { ends[0], POLLIN, 0 };
	printf("a writer lives %d\n", poll(&p, 1, 0));
	kill(pid[0], SIGKILL);
	printf("and is killed %d", poll(&p, 1, 60000));
	printf(" %#x, read %ld\n", p.revents, (long)read(ends[0], buf, 1));
	reap("killed", pid[0]);
	close(ends[0]);

	/* Three in a row, each reads from the one before. */
	int a[2], b[2];
	new_pipe(a), new_pipe(b);
	pid[0] = start("writes-much", g_in, g_out, inherited(a[1]), "1000000", NULL);
	drop(a[1]);
	close(a[1]);
	pid[1] = start("copies", inherited(a[0]), inherited(b[1]), NULL);
	close(a[0]);
	close(b[1]);
	for (sum = 0; (got = read(b[0], buf, sizeof buf)) > 0;)
		sum += got;
	printf("through three %ld\n", sum);
	reap("first", pid[0]);
	reap("second", pid[1]);
	close(b[0]);

	char name[50];
	snprintf(name, sizeof name, "/tmp/process-share-%d", (int)getpid());
	if (mkfifo(name, 0600))
		say("mkfifo", -1);
	pid[0] = child("fifo", name, "");
	int fd = open(name, O_RDONLY);
	got = read(fd, buf, 100);
	printf("fifo %ld\n", got);
	reap("fifo", pid[0]);
	unlink(name);
	close(fd);
}

static void locks(const char *file)
{
	int fd = open(file, O_RDWR | O_CREAT, 0600);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10 }, unlock = { .l_type = F_UNLCK };
	char *word = inherited(fd);
	pid_t pid;
	long got;
	int status;

	say("lock", fcntl(fd, F_SETLK, &lock));
	reap("record lock, the same descriptor", child("tries-lock", word, ""));
	reap("closing it there", child("closes", word, ""));
	reap("leaves it", child("tries-lock", word, ""));
	pid = child("waits-lock", word, "");
	hear(g_back[0]);
	fcntl(fd, F_SETLK, &unlock);
	hear(g_back[0]);
	say("now it has it", fcntl(fd, F_SETLK, &lock));
	fcntl(fd, F_GETLK, &lock);
	printf("type %d by the child %d\n", lock.l_type, lock.l_pid == pid);
	tell(g_turn[1]);
	reap("holder", pid);
	lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10 };
	say("free at its end", fcntl(fd, F_SETLK, &lock));
	pid = child("holds-second", word, "");
	hear(g_back[0]);
	lock.l_start = 100;
	tell(g_turn[1]); /* it tries to lock ours now */
	got = fcntl(fd, F_SETLKW, &lock) ? errno : 0;
	fcntl(fd, F_SETLK, &unlock);
	waitpid(pid, &status, 0);
	printf("each waits for the other: one is told %d\n", (got == EDEADLK) != (WEXITSTATUS(status) == EDEADLK));

	close(fd);
	fd = open(file, O_RDWR | O_CLOEXEC);
	word = inherited(fd);
	say("flock", flock(fd, LOCK_EX));
	reap("another opening", child("tries-flock", file, "open"));
	reap("the same opening", child("tries-flock", word, ""));
	reap("and unlocks it", child("unlocks-flock", word, ""));
	reap("another opening", child("tries-flock", file, "open"));
	close(fd);

	fd = open(file, O_RDWR | O_CLOEXEC);
	word = inherited(fd);
	lock.l_start = 0, lock.l_type = F_WRLCK, lock.l_pid = 0;
	say("lock of the opening", fcntl(fd, F_OFD_SETLK, &lock));
	reap("another opening", child("tries-ofd", file, "open"));
	reap("the same opening", child("tries-ofd", word, ""));
	close(fd);
}

static void send_fd(int socket, int fd, const char *text)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { (char *)text, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	if (sendmsg(socket, &msg, 0) != 1)
		say("sendmsg", -1);
}

static int receive_fd(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], c;
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	int fd = -1;

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof fd);
	return fd;
}

static void say_credentials(int socket, pid_t pid)
{
	char control[CMSG_SPACE(sizeof(struct ucred))], text[10];
	struct iovec iov = { text, sizeof text };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	struct ucred who = { 0 };

	if (recvmsg(socket, &msg, 0) > 0 && CMSG_FIRSTHDR(&msg) && CMSG_FIRSTHDR(&msg)->cmsg_type == SCM_CREDENTIALS)
		memcpy(&who, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof who);
	printf("sent by the child %d, user %d\n", who.pid == pid, who.uid == getuid());
}

static void sockets(void)
{
	int pair[2], ends[2], file = open(path("passed"), O_RDWR | O_CREAT | O_TRUNC, 0600), got, on = 1;
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(struct ucred);
	struct ucred who;
	char text[100] = "", *word;
	long n;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		say("socketpair", -1);
	new_pipe(ends);
	word = inherited(pair[1]);
	pid = child("passes", word, path("passed"));
	drop(pair[1]);
	send_fd(pair[0], file, "f");
	send_fd(pair[0], ends[1], "p");
	close(ends[1]);
	n = read(ends[0], text, sizeof text);
	printf("through a passed pipe %ld %s\n", n, text);
	got = receive_fd(pair[0]); /* one that the child opened, which ends then */
	reap("passes", pid);
	printf("position here %ld", (long)lseek(file, 0, SEEK_CUR));
	memset(text, 0, sizeof text);
	n = read(got, text, 5);
	printf(", from the child's file %ld %s\n", n, text);
	close(got);
	close(file);
	close(ends[0]);
	setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
	pid = child("sends", inherited(pair[1]), "");
	drop(pair[1]);
	say_credentials(pair[0], pid);
	reap("sends", pid);
	on = 0;
	setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
	pid = child("sleeps", inherited(pair[1]), "");
	close(pair[1]);
	hear(g_back[0]);
	kill(pid, SIGKILL);
	say("its end is the end of the file", read(pair[0], text, 1));
	reap("killed", pid);
	close(pair[0]);

	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "process-share-%d", (int)getpid());
	if (bind(listener, (struct sockaddr *)&name, sizeof name) || listen(listener, 5))
		say("listen", -1);
	pid = child("connects", name.sun_path + 1, "");
	got = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	say("peer", getsockopt(got, SOL_SOCKET, SO_PEERCRED, &who, &size));
	printf("is the child %d\n", who.pid == pid);
	tell(g_turn[1]);
	reap("connects", pid);
	close(got);
	pid = child("accepts", inherited(listener), "");
	drop(listener);
	got = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	say("connect", connect(got, (struct sockaddr *)&name, sizeof name));
	memset(text, 0, sizeof text);
	n = read(got, text, sizeof text);
	printf("from who accepted %ld %s\n", n, text);
	getsockopt(got, SOL_SOCKET, SO_PEERCRED, &who, &size);
	printf("its peer is who listened %d\n", who.pid == getpid());
	reap("accepts", pid);
	close(got);
	close(listener);
}

static void events(void)
{
	int fd = eventfd(0, EFD_CLOEXEC), e = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct itimerspec soon = { .it_value = { 0, 1000000 } };
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 7 };
	unsigned long value;
	pid_t pid;

	epoll_ctl(e, EPOLL_CTL_ADD, fd, &event);
	pid = child("adds", inherited(fd), "5");
	drop(fd);
	printf("epoll %d", epoll_wait(e, &event, 1, 60000));
	printf(" %d\n", event.data.u32);
	reap("adds", pid);
	printf("read %ld", (long)read(fd, &value, sizeof value));
	printf(" %lu\n", value);
	pid = child("epolls", inherited(e), ""); /* the child waits on this set, of a file that it does not have */
	drop(e);
	value = 3;
	if (write(fd, &value, sizeof value) != sizeof value)
		say("write", -1);
	reap("epolls", pid);
	timerfd_settime(timer, 0, &soon, NULL);
	reap("reads the timer", child("reads-8", inherited(timer), ""));
	close(fd);
	close(e);
	close(timer);
}

struct shared {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	int state, word;
};

static void memory(void)
{
	int fd = (int)syscall(SYS_memfd_create, "shared", MFD_CLOEXEC), status;
	struct shared *shared;
	pthread_mutexattr_t attr;
	pthread_condattr_t cattr;
	pid_t pid;

	if (ftruncate(fd, 8192))
		say("ftruncate", -1);
	shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&shared->mutex, &attr);
	pthread_condattr_init(&cattr);
	pthread_condattr_setpshared(&cattr, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&shared->cond, &cattr);
	pid = child("shares", inherited(fd), "");
	drop(fd);
	pthread_mutex_lock(&shared->mutex);
	while (shared->state != 1)
		pthread_cond_wait(&shared->cond, &shared->mutex);
	shared->state = 2;
	pthread_cond_signal(&shared->cond);
	pthread_mutex_unlock(&shared->mutex);
	waitpid(pid, &status, 0); /* it ends with the mutex held */
	say_status("shares", status);
	int err = pthread_mutex_lock(&shared->mutex);
	printf("its owner died %d, state %d\n", err == EOWNERDEAD, shared->state);
	pthread_mutex_consistent(&shared->mutex);
	pthread_mutex_unlock(&shared->mutex);

	pid = child("maps-private", inherited(fd), "");
	reap("changes its own copy", pid);
	printf("not here: %d\n", shared->word);
	munmap(shared, 8192);
	close(fd);
}

static char g_stack[32768] __attribute__((aligned(16)));

static int changes(void *arg)
{
	int fd = (int)(long)arg;

	syscall(SYS_dup2, 1, fd);
	syscall(SYS_chdir, "/usr");
	syscall(SYS_umask, 0123);
	return 0;
}

/* Memory alone is shared: the rest each process has to itself. */
static void own(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char folder[100];

	umask(022);
	reap("cloned", clone(changes, g_stack + sizeof g_stack, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)40));
	printf("its descriptor %d", close(40));
	printf(", folder %s, mask %o\n", getcwd(folder, sizeof folder), umask(022));
	reap("its copy", clone(changes, g_stack + sizeof g_stack, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)(long)fd));
	printf("here as before %d\n", fcntl(fd, F_GETFD));
	close(fd);
}

static void limits(void)
{
	struct rlimit limit;
	pid_t pid;
	int nice = getpriority(PRIO_PROCESS, 0);

	getrlimit(RLIMIT_NOFILE, &limit);
	pid = child("waits", "", "");
	hear(g_back[0]);
	struct rlimit less = { 55, limit.rlim_max };
	say("prlimit of a child", syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, &less, NULL));
	getrlimit(RLIMIT_NOFILE, &less);
	printf("not here %d\n", less.rlim_cur == limit.rlim_cur);
	say("its priority", setpriority(PRIO_PROCESS, pid, 19));
	printf("is %d, here as before %d\n", getpriority(PRIO_PROCESS, pid), getpriority(PRIO_PROCESS, 0) == nice);
	tell(g_turn[1]);
	reap("says its limit", pid);
	less.rlim_cur = 44;
	setrlimit(RLIMIT_NOFILE, &less);
	pid = child("waits", "", "");
	hear(g_back[0]);
	tell(g_turn[1]);
	reap("inherits it", pid);
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void tests(void)
{
	char file[50];

	signal(SIGPIPE, SIG_DFL);
	new_pipe(g_turn);
	new_pipe(g_back);
	g_in = keep(g_turn[0]), g_out = keep(g_back[1]);
	positions();
	pipes();
	snprintf(file, sizeof file, "/tmp/process-share-%d", (int)getpid());
	locks(file);
	unlink(file);
	sockets();
	events();
	memory();
	own();
	limits();
	say("none left", waitpid(-1, NULL, 0));
}

/* What the children do: role, descriptors to read and write, words. */

static int lock_it(int fd, int command)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10 };

	return fcntl(fd, command, &lock);
}

/* What a child is told: its name, the pipe ends to talk to its parent, a word that is often a descriptor, and one more. */
struct part {
	int in, out, fd;
	const char *word, *more;
	char buf[65536];
};

static int reads(struct part *p)
{
	return (int)read(p->fd, p->buf, atoi(p->more));
}

static int reads_8(struct part *p)
{
	return (int)read(p->fd, p->buf, 8);
}

static int sets_flags(struct part *p)
{
	return fcntl(p->fd, F_SETFL, O_NONBLOCK) || fcntl(p->fd, F_SETFD, FD_CLOEXEC);
}

static int closes(struct part *p)
{
	return close(p->fd);
}

static int writes(struct part *p)
{
	return (int)write(p->fd, p->more, strlen(p->more));
}

static int writes_much(struct part *p)
{
	long got;

	for (long left = atol(p->more); left > 0; left -= got)
		if ((got = write(p->fd, p->buf, left < 50000 ? left : 50000)) < 0)
			return 9;
	return 0;
}

static int copies(struct part *p)
{
	long got;

	while ((got = read(p->in, p->buf, sizeof p->buf)) > 0)
		if (write(p->out, p->buf, got) != got)
			return 9;
	return got ? 8 : 10;
}

static int sleeps(struct part *p)
{
	tell(p->out);
	for (;;)
		pause();
}

static int writes_fifo(struct part *p)
{
	return write(open(p->word, O_WRONLY), "fifo", 4) == 4 ? 11 : 12;
}

static int tries_lock(struct part *p)
{
	say("from here", lock_it(p->fd, F_SETLK));
	return 0;
}

static int waits_lock(struct part *p)
{
	tell(p->out);
	lock_it(p->fd, F_SETLKW);
	tell(p->out);
	hear(p->in);
	return 0;
}

static int holds_second(struct part *p)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 10 };

	fcntl(p->fd, F_SETLK, &lock);
	tell(p->out);
	hear(p->in);
	return lock_it(p->fd, F_SETLKW) ? errno : 13;
}

static int tries_flock(struct part *p)
{
	say("from here", flock(*p->more ? open(p->word, O_RDWR) : p->fd, LOCK_EX | LOCK_NB));
	return 0;
}

static int unlocks_flock(struct part *p)
{
	return flock(p->fd, LOCK_UN);
}

static int tries_ofd(struct part *p)
{
	say("from here", lock_it(*p->more ? open(p->word, O_RDWR) : p->fd, F_OFD_SETLK));
	return 0;
}

static int passes(struct part *p)
{
	int file = receive_fd(p->fd), pipe = receive_fd(p->fd), opened = open(p->more, O_RDONLY);

	if (write(file, "0123456789", 10) != 10 || write(pipe, "hello", 6) != 6)
		return 1;
	lseek(opened, 5, SEEK_SET);
	send_fd(p->fd, opened, "o");
	return 0;
}

static int sends(struct part *p)
{
	return (int)write(p->fd, "text", 4);
}

static int connects(struct part *p)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(to.sun_path + 1, sizeof to.sun_path - 1, "%s", p->word);
	if (connect(s, (struct sockaddr *)&to, sizeof to))
		return 1;
	hear(p->in);
	return 0;
}

static int accepts(struct part *p)
{
	return (int)write(accept(p->fd, NULL, NULL), "accepted", 8);
}

static int adds(struct part *p)
{
	unsigned long value = strtoul(p->more, NULL, 10);

	return (int)write(p->fd, &value, sizeof value);
}

static int epolls(struct part *p)
{
	struct epoll_event event = { 0 };
	int got = epoll_wait(p->fd, &event, 1, 60000);

	return (int)(got * 10 + event.data.u32);
}

static int shares(struct part *p)
{
	struct shared *shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);

	pthread_mutex_lock(&shared->mutex);
	shared->state = 1;
	pthread_cond_signal(&shared->cond);
	while (shared->state != 2)
		pthread_cond_wait(&shared->cond, &shared->mutex);
	shared->state = 3;
	kill(getpid(), SIGKILL);
	return 0;
}

static int maps_private(struct part *p)
{
	struct shared *own = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, p->fd, 0);

	own->word = 99;
	return own->state == 3 ? 14 : 15;
}

static int waits(struct part *p)
{
	struct rlimit limit;

	tell(p->out);
	hear(p->in);
	getrlimit(RLIMIT_NOFILE, &limit);
	return (int)limit.rlim_cur;
}

static const struct {
	const char *name;
	int (*play)(struct part *p);
} g_roles[] = {
	{ "reads", reads }, { "reads-8", reads_8 }, { "flags", sets_flags }, { "closes", closes }, { "writes", writes },
	{ "writes-much", writes_much }, { "copies", copies }, { "sleeps", sleeps }, { "fifo", writes_fifo },
	{ "tries-lock", tries_lock }, { "waits-lock", waits_lock }, { "holds-second", holds_second },
	{ "tries-flock", tries_flock }, { "unlocks-flock", unlocks_flock }, { "tries-ofd", tries_ofd }, { "passes", passes },
	{ "sends", sends }, { "connects", connects }, { "accepts", accepts }, { "adds", adds }, { "epolls", epolls },
	{ "shares", shares }, { "maps-private", maps_private }, { "waits", waits },
};

static int role(char **argv)
{
	static struct part p;

	p.in = atoi(argv[2]);
	p.out = atoi(argv[3]);
	p.word = argv[4] ? argv[4] : "";
	p.more = argv[4] && argv[5] ? argv[5] : "";
	p.fd = atoi(p.word);
	for (size_t i = 0; i < sizeof g_roles / sizeof g_roles[0]; i++)
		if (!strcmp(argv[1], g_roles[i].name))
			return g_roles[i].play(&p);
	return 99; /* no such role: the test is wrong */
}

int main(int argc, char **argv)
{
	return play(argc, argv, role, tests);
}
