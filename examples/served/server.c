/* Serves the file calls of another cVM: a small tree in memory, the libraries its loader needs from the other's own root, and
 * nothing else. What is refused is printed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cvm/syscalls.h>

#define FILES 64

static const struct {
	const char *path, *text;
} k_tree[] = { { "/tree/greeting", "hello from a tree that no disk has\n" }, { "/tree/numbers", "1\n2\n3\n" } };

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER; /* what follows */
static struct {
	int used, entry;
	uint64_t offset;
} g_open[FILES];

static int find(const char *path)
{
	for (unsigned i = 0; i < sizeof k_tree / sizeof k_tree[0]; i++)
		if (!strcmp(path, k_tree[i].path))
			return (int)i;
	return -1;
}

/* What every program needs before its work. */
static int is_of_the_loader(const char *path)
{
	return !strncmp(path, "/lib/", 5) || !strncmp(path, "/usr/lib/", 9) || !strcmp(path, "/etc/ld.so.cache") ||
	       !strcmp(path, "/etc/ld.so.preload") || !strncmp(path, "/usr/share/locale/", 18);
}

static int64_t describe(struct cvm_syscall *call, int entry, uint64_t to)
{
	struct stat st = { .st_mode = S_IFREG | 0444, .st_nlink = 1, .st_blksize = 4096, .st_ino = (ino_t)entry + 1,
			   .st_size = (off_t)strlen(k_tree[entry].text) };

	return cvm_syscall_write(call, to, &st, sizeof st);
}

static int64_t by_path(struct cvm_syscall *call, uint64_t address, int opens, uint64_t stat_to)
{
	char path[4096];
	ssize_t n = cvm_syscall_string(call, address, path, sizeof path);

	if (n < 0)
		return n;
	if (is_of_the_loader(path))
		return cvm_syscall_local(call);
	int entry = find(path);
	if (entry < 0) {
		printf("server: refused %s\n", path);
		fflush(stdout);
		return -EACCES;
	}
	if (!opens)
		return describe(call, entry, stat_to);
	for (uint32_t i = 0; i < FILES; i++)
		if (!g_open[i].used) {
			g_open[i].used = 1;
			g_open[i].entry = entry;
			g_open[i].offset = 0;
			return cvm_syscall_descriptor(call, i, 0);
		}
	return -ENFILE;
}

static int64_t by_descriptor(struct cvm_syscall *call)
{
	uint64_t id = call->arg[0] - CVM_SYSCALL_FD, n;

	if (id >= FILES || !g_open[id].used)
		return -EBADF;
	const char *text = k_tree[g_open[id].entry].text;
	uint64_t at = call->number == SYS_pread64 ? call->arg[3] : g_open[id].offset;
	switch (call->number) {
	case SYS_read:
	case SYS_pread64:
		n = at < strlen(text) ? strlen(text) - at : 0;
		n = n < call->arg[2] ? n : call->arg[2];
		if (cvm_syscall_write(call, call->arg[1], text + at, n))
			return -EFAULT;
		g_open[id].offset += call->number == SYS_read ? n : 0;
		return (int64_t)n;
	case SYS_fstat:
	case SYS_newfstatat:
		return describe(call, g_open[id].entry, call->arg[call->number == SYS_fstat ? 1 : 2]);
	case SYS_close:
		g_open[id].used = 0;
		return 0;
	case SYS_fadvise64:
		return 0;
	default:
		return -EINVAL;
	}
}

static int64_t handler(void *context, struct cvm_syscall *call)
{
	int64_t r;

	(void)context;
	pthread_mutex_lock(&g_lock);
	if (call->number == SYS_getpid)
		r = 4242;
	else if (call->number == SYS_open || call->number == SYS_stat)
		r = by_path(call, call->arg[0], call->number == SYS_open, call->arg[1]);
	else if (call->arg[0] >= CVM_SYSCALL_FD && call->arg[0] < 2 * CVM_SYSCALL_FD)
		r = by_descriptor(call);
	else if (call->number == SYS_openat || (call->number == SYS_newfstatat && (int)call->arg[0] == AT_FDCWD))
		r = by_path(call, call->arg[1], call->number == SYS_openat, call->arg[2]);
	else
		r = cvm_syscall_local(call);
	pthread_mutex_unlock(&g_lock);
	return r;
}

int main(int argc, char **argv)
{
	struct cvm_syscalls_options options = { .struct_size = sizeof options, .handler = handler, .threads = 2 };
	static const unsigned numbers[] = { SYS_open, SYS_openat, SYS_stat, SYS_newfstatat, SYS_getpid };
	struct cvm_syscalls *server;

	for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		cvm_syscall_set_add(&options.set, numbers[i]);
	int r = cvm_syscalls_start(argc > 1 ? argv[1] : "app", &options, &server);
	if (r) {
		printf("server: cannot serve: %s\n", strerror(-r));
		return 1;
	}
	while (cvm_syscalls_wait(server) == -EINTR)
		;
	cvm_syscalls_stop(server);
	printf("server: the program has ended\n");
	return 0;
}
