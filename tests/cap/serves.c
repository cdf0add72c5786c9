/* Serves the system calls of the cVM argv[1] for serviced.c: argv[2] is "all", "own" (descriptors only of its own), "stuck",
 * "lost", "python" or "again" (it stops and starts anew many times). */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cvm/syscalls.h>

#include "check.h"
#include "serviced.h"

enum { TEXT, GATE, LEFT, RIGHT, FILES };

static struct cvm_syscalls *g_server;
static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER; /* what follows */
static uint64_t g_offset, g_gate, g_closed;
static struct cvm_syscall g_kept; /* a call of the program, kept beyond its end */
static bool g_meets, g_asked;
static unsigned g_met, g_beginnings, g_starts;

static int64_t read_text(struct cvm_syscall *call, uint64_t at)
{
	char text[TEXT_SIZE];
	uint64_t n = at < TEXT_SIZE ? TEXT_SIZE - at : 0;

	n = n < call->arg[2] ? n : call->arg[2];
	for (unsigned i = 0; i < TEXT_SIZE; i++)
		text[i] = TEXT_BYTE(i);
	return cvm_syscall_write(call, call->arg[1], text + at, n) ? -EFAULT : (int64_t)n;
}

static int64_t text_call(struct cvm_syscall *call)
{
	struct stat st = { .st_mode = S_IFREG | 0444, .st_size = TEXT_SIZE };
	int64_t n;

	switch (call->number) {
	case SYS_read:
		n = read_text(call, g_offset);
		g_offset += n > 0 ? (uint64_t)n : 0;
		return n;
	case SYS_pread64:
		return read_text(call, call->arg[3]);
	case SYS_fstat:
		return cvm_syscall_write(call, call->arg[1], &st, sizeof st);
	case SYS_newfstatat:
		return cvm_syscall_write(call, call->arg[2], &st, sizeof st);
	case SYS_lseek:
		return (int64_t)call->arg[1]; /* whatever it is */
	case SYS_sendfile:
		return cvm_syscall_local(call);
	case CVM_SYSCALL_POLL:
		return -ENOSYS;
	default:
		return -EINVAL;
	}
}

/* Bytes written can be read once. */
static int64_t gate_call(struct cvm_syscall *call)
{
	switch (call->number) {
	case SYS_write:
		g_gate += call->arg[2];
		cvm_syscalls_wake(g_server);
		return (int64_t)call->arg[2];
	case SYS_read:
		if (!g_gate)
			return cvm_syscall_again(call, CP_FOREVER);
		g_gate--;
		return cvm_syscall_write(call, call->arg[1], "g", 1) ? -EFAULT : 1;
	case SYS_fcntl:
		return call->arg[1] == F_GETFL ? O_RDWR : -EINVAL;
	case CVM_SYSCALL_POLL:
		return g_gate ? POLLIN | POLLOUT : POLLOUT;
	default:
		return -EINVAL;
	}
}

static void *ends_soon(void *unused)
{
	(void)unused;
	pause_ms(50);
	_exit(3);
}

static int64_t by_path(struct cvm_syscall *call, uint64_t address)
{
	char path[4096];
	ssize_t n = cvm_syscall_string(call, address, path, sizeof path);

	if (n < 0)
		return n;
	if (strncmp(path, "/s/", 3))
		return cvm_syscall_local(call);
	if (!strcmp(path, "/s/text"))
		return cvm_syscall_descriptor(call, TEXT, 0);
	if (!strcmp(path, "/s/gate"))
		return cvm_syscall_descriptor(call, GATE, 1);
	if (!strcmp(path, "/s/die"))
		_exit(3);
	if (!strcmp(path, "/s/soon")) {
		pthread_t thread;

		return pthread_create(&thread, NULL, ends_soon, NULL) ? -EAGAIN : -ENOENT;
	}
	if (!strcmp(path, "/s/never")) {
		pthread_mutex_unlock(&g_lock);
		for (;;)
			pause();
	}
	return -ENOENT;
}

/* Returns when two threads of the program are in the server. */
static int64_t meet(void)
{
	unsigned both = (g_met++ / 2 + 1) * 2;

	while (g_met < both) {
		pthread_mutex_unlock(&g_lock);
		pause_ms(1);
		pthread_mutex_lock(&g_lock);
	}
	return MET;
}

static int64_t handle(struct cvm_syscall *call)
{
	uint64_t id = call->arg[0] - CVM_SYSCALL_FD;

	switch (call->number) {
	case SYS_getpid: return PID;
	case SYS_getpgid: return LARGE;
	case SYS_getsid:
		g_asked = true;
		return g_starts;
	case SYS_getppid: return -EXDEV;
	case SYS_getuid: return (int64_t)g_closed;
	case SYS_geteuid: return g_meets ? meet() : cvm_syscall_local(call);
	case SYS_socketpair: return cvm_syscall_pair(call, LEFT, RIGHT, 0);
	case SYS_open: return by_path(call, call->arg[0]);
	case SYS_openat: return by_path(call, call->arg[1]);
	case SYS_uname: return call->arg[0] == FAR ? cvm_syscall_write(call, FAR, "x", 1) : cvm_syscall_local(call);
	}
	if (id >= FILES)
		return cvm_syscall_local(call);
	if (call->number == SYS_close) {
		g_closed++;
		return 0;
	}
	return id == TEXT ? text_call(call) : id == GATE ? gate_call(call) : call->number == SYS_write ? (int64_t)(id * 100) : -EINVAL;
}

static int64_t handler(void *context, struct cvm_syscall *call)
{
	(void)context;
	pthread_mutex_lock(&g_lock);
	if (call->number == SYS_getpid)
		g_kept = *call;
	int64_t r = handle(call);
	pthread_mutex_unlock(&g_lock);
	return r;
}

static void begin(void *context)
{
	(void)context;
	g_beginnings++;
}

static void start(const char *served, const struct cvm_syscalls_options *options)
{
	pthread_mutex_lock(&g_lock); /* no call before the server is known */
	g_starts++;
	IS(cvm_syscalls_start(served, options, &g_server), 0);
	pthread_mutex_unlock(&g_lock);
}

int main(int argc, char **argv)
{
	struct cvm_syscalls_options options = { .struct_size = sizeof options, .handler = handler, .begin = begin };
	const char *mode = argc > 2 ? argv[2] : "all";
	struct cvm_syscalls *other;
	char byte;
	int r;

	cvm_syscall_set_default(&options.set);
	g_meets = strcmp(mode, "python") != 0;
	options.only_own = strcmp(mode, "all") != 0;
	IS(cvm_syscalls_start("nobody", &options, &g_server), -EACCES);
	IS(cvm_syscalls_start("", &options, &g_server), -EINVAL);
	start(argv[1], &options);
	IS(cvm_syscalls_start(argv[1], &options, &other), -EEXIST);
	/* Not before the program's threads run: a program that is being loaded does not take EIO for an answer. */
	while (!strcmp(mode, "again") && g_starts < STARTS) {
		pause_ms(5);
		if (!__atomic_load_n(&g_asked, __ATOMIC_RELAXED))
			continue;
		cvm_syscalls_stop(g_server);
		start(argv[1], &options);
	}
	while ((r = cvm_syscalls_wait(g_server)) == -EINTR)
		;
	IS(r, 0);
	TRUE(g_beginnings >= 1 && g_beginnings <= g_starts);
	IS(cvm_syscall_read(&g_kept, g_kept.arg[0], &byte, 1), -EFAULT); /* its memory is out of reach */
	if (!strcmp(mode, "stuck")) {
		r = check_end("server");
		_exit(r); /* a handler never returns */
	}
	cvm_syscalls_stop(g_server);
	return check_end("server");
}
