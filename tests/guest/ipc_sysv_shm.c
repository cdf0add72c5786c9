/*
 * System V shared memory: rules, errors, who has attached what across fork, exec, munmap and the end, removal, permissions.
 * Args: {name}
 */
#define _GNU_SOURCE
#include "process.h"
#include "say.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>

#define PAGE 4096ul

static int new_segment(size_t size, int flags)
{
	int id = shmget(IPC_PRIVATE, size, flags | IPC_CREAT);

	if (id < 0)
		say("shmget", id);
	return id;
}

static void show(const char *what, int id)
{
	struct shmid_ds ds;
	int ret = shmctl(id, IPC_STAT, &ds);

	if (ret)
		say(what, ret);
	else
		printf("%s: %lu attached, size %zu, mode %o, key %s, creator %s, last %s, times %d %d %d\n", what, (unsigned long)ds.shm_nattch,
		       ds.shm_segsz, ds.shm_perm.mode, ds.shm_perm.__key == IPC_PRIVATE ? "private" : "public",
		       ds.shm_cpid == getpid() ? "me" : "other", ds.shm_lpid == getpid() ? "me" : ds.shm_lpid ? "other" : "none",
		       ds.shm_atime != 0, ds.shm_dtime != 0, ds.shm_ctime != 0);
}

static void errors(void)
{
	int id = new_segment(3 * PAGE + 1, 0600);
	struct shmid_ds ds;
	char *at;

	T(shmget(IPC_PRIVATE, 0, 0600));
	T(shmget(IPC_PRIVATE, ULONG_MAX, 0600));
	T(shmget(IPC_PRIVATE, ULONG_MAX - (1ul << 24), 0600));
	T((long)shmat(-1, NULL, 0));
	T((long)shmat(id + (1 << 20), NULL, 0));
	T((long)shmat(id, (void *)1, 0));
	T((long)shmat(id, NULL, SHM_REMAP));
	T((long)shmat(id, (void *)1, SHM_REMAP | SHM_RND));
	T(shmdt(NULL));
	T(shmdt((void *)1));
	T(shmdt((void *)PAGE));
	T(shmctl(id, 99, NULL));
	T(shmctl(-1, IPC_STAT, &ds));
	T(shmctl(id + (1 << 20), IPC_STAT, &ds));
	T(shmctl(id + (1 << 20), IPC_RMID, NULL));
	T(shmctl(id, IPC_STAT, NULL));
	T(shmctl(id, IPC_SET, NULL));
	T(shmctl(INT_MAX, SHM_STAT, &ds));
	show("new", id);
	at = shmat(id, NULL, 0);
	T((long)at);
	printf("zero %d %d, whole pages\n", at[0], at[4 * PAGE - 1]);
	T((long)shmat(id, at, 0));
	T((long)shmat(id, at + PAGE, 0));
	T((long)shmat(id, at + 1, SHM_RND));
	printf("remapped to the same place %d\n", shmat(id, at, SHM_REMAP) == at);
	show("remapped", id);
	printf("rounded down %d\n", shmat(id, at + 5, SHM_REMAP | SHM_RND) == at);
	T(shmdt(at + PAGE));
	T(shmdt(at));
	T(shmdt(at));
	show("detached", id);
	T(shmctl(id, IPC_RMID, NULL));
	T(shmctl(id, IPC_RMID, NULL));
	T((long)shmat(id, NULL, 0));
}

static void keys(void)
{
	key_t key = (key_t)strtoul(g_word, NULL, 16) | 1;
	int id = shmget(key, 100, IPC_CREAT | IPC_EXCL | 0640);

	T(id);
	T(shmget(key, 100, IPC_CREAT | IPC_EXCL | 0640));
	printf("the same %d %d %d\n", shmget(key, 0, 0) == id, shmget(key, 100, IPC_CREAT | 0600) == id, shmget(key, 1, 0400) == id);
	T(shmget(key, 101, 0));
	T(shmget(key ^ 0x40000000, 100, 0));
	show("by key", id);
	T(shmctl(id, IPC_RMID, NULL));
	T(shmget(key, 0, 0));
}

static void views(void)
{
	int id = new_segment(PAGE, 0600), status;
	int *a = shmat(id, NULL, 0), *b = shmat(id, NULL, 0);
	const int *c = shmat(id, NULL, SHM_RDONLY);
	pid_t pid;

	*a = 42;
	printf("seen %d %d, in other places %d\n", *b, *c, a != b && (const int *)a != c);
	T(mprotect((void *)c, PAGE, PROT_READ | PROT_WRITE));
	show("three", id);
	pid = fork();
	if (!pid) {
		*b = 43;
		show("in a child", id);
		T(shmdt(c));
		show("less one", id);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("from the child %d, status %d\n", *a, status);
	show("its end", id);
	fflush(stdout);
	pid = fork();
	if (!pid) { /* a waiter through the read-only one, woken through another */
		struct timespec limit = { 60, 0 };

		*b = 44;
		syscall(SYS_futex, c, FUTEX_WAIT, 44, &limit, NULL, 0);
		_exit(*c);
	}
	while (*(volatile int *)a != 44)
		usleep(1000);
	*a = 45;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		syscall(SYS_futex, b, FUTEX_WAKE, 1, NULL, NULL, 0);
		usleep(1000);
	}
	printf("woken, status %d\n", WEXITSTATUS(status));
	T(munmap(b, PAGE));
	show("unmapped", id);
	T(shmctl(id, IPC_RMID, NULL));
	show("removed", id);
	T(shmdt(a));
	show("one", id);
	b = shmat(id, NULL, 0);
	printf("attached all the same, has %d\n", *b);
	T(shmdt(b));
	T(shmdt(c));
	show("none", id);
}

/* What exec and the end of a process leave. */
static void ends(void)
{
	int id = new_segment(2 * PAGE, 0600);
	int ready[2], go[2];
	char *at = shmat(id, NULL, 0);
	pid_t pid;

	fflush(stdout);
	new_pipe(ready);
	new_pipe(go);
	pid = fork();
	if (!pid) {
		drop(ready[1]);
		at[PAGE] = 'c';
		tell(ready[1]);
		hear(go[0]);
		raise(SIGKILL);
	}
	hear(ready[0]);
	show("parent and child", id);
	tell(go[1]);
	reap("killed", pid);
	show("after SIGKILL", id);
	printf("it wrote %c\n", at[PAGE]);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl(g_self, g_self, "detached", NULL);
		_exit(126);
	}
	reap("another program", pid);
	pid = start("detached", NULL);
	reap("another program by vfork", pid);
	show("after both", id);
	shmctl(id, IPC_RMID, NULL);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		shmdt(at);
		show("in the child", id);
		at = shmat(id, NULL, 0);
		printf("again, has %c\n", at[PAGE]);
		_exit(0);
	}
	reap("child", pid);
	show("with the parent alone", id);
	shmdt(at);
	show("gone", id);
}

/* Byte by byte in which pages a child survives reading. */
static void show_pages(const char *what, const char *at, int pages)
{
	fflush(stdout);
	for (int i = 0; i < pages; i++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			signal(SIGSEGV, SIG_DFL);
			_exit(((volatile const char *)at)[i * PAGE]);
		}
		waitpid(pid, &status, 0);
		printf("%s %d: %s %d\n", what, i, WIFEXITED(status) ? "has" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	}
}

static char *attach_filled(int id, int pages)
{
	char *at = shmat(id, NULL, 0);

	memset(at, 5, (size_t)pages * PAGE);
	return at;
}

/* What was mapped over parts of it is not its; as long as any part is there, it is attached. */
static void pieces(void)
{
	int id = new_segment(4 * PAGE, 0600), fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	char *at = attach_filled(id, 4);

	memset(mmap(at + PAGE, PAGE, PROT_READ | PROT_WRITE, fixed, -1, 0), 7, PAGE);
	memset(mmap(at + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE, fixed, -1, 0), 8, PAGE);
	T(shmdt(at));
	show_pages("detached", at, 4);
	show("all pieces detached", id);
	T(shmdt(at));
	at = attach_filled(id, 4);
	T(munmap(at, 2 * PAGE));
	show("begin unmapped", id);
	T(shmdt(at + 2 * PAGE));
	T(shmdt(at));
	show_pages("begin", at, 4);
	show("detached by the rest", id);
	at = attach_filled(id, 4);
	T(munmap(at, 2 * PAGE));
	T(munmap(at + 2 * PAGE, 2 * PAGE));
	show("unmapped in two", id);
	T(shmdt(at));
	T(shmctl(id, IPC_RMID, NULL));
}

/* To `to`, with what follows of it; 0: there it is. */
static int move(char *from, unsigned pages, char *to)
{
	return mremap(from, pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to ? 0 : -1;
}

static void moves(void)
{
	int id = new_segment(4 * PAGE, 0600);
	char *at = attach_filled(id, 4), *to = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	T(move(at, 4, to));
	show("moved", id);
	T(shmctl(id, IPC_RMID, NULL));
	show("removed", id);
	show_pages("where it is", to, 4);
	T(shmdt(at));
	T(shmdt(to));
	id = new_segment(4 * PAGE, 0600);
	at = attach_filled(id, 4);
	T(move(at, 2, to));
	show("its begin moved", id);
	T(shmdt(to));
	show("that is detached", id);
	T(shmdt(at));
	show("the rest is detached", id);
	at = attach_filled(id, 4);
	T(move(at + PAGE, 1, to + PAGE));
	T(shmdt(to + PAGE));
	T(shmdt(to));
	T(shmdt(at));
	show("detached", id);
	T(shmctl(id, IPC_RMID, NULL));
	munmap(to, 8 * PAGE);
}

static void changes(void)
{
	int id = new_segment(10, 0600);
	struct shmid_ds ds;
	pid_t pid;

	shmctl(id, IPC_STAT, &ds);
	ds.shm_perm.mode = 07444;
	T(shmctl(id, IPC_SET, &ds));
	show("set", id);
	ds.shm_perm.uid = (uid_t)-1;
	T(shmctl(id, IPC_SET, &ds));
	T(shmctl(id, SHM_LOCK, NULL));
	show("locked", id);
	T(shmctl(id, SHM_UNLOCK, NULL));
	show("unlocked", id);
	fflush(stdout);
	pid = fork();
	if (!pid) { /* others may only read */
		if (setgid(4321) || setuid(4321))
			printf("cannot be another user\n");
		T((long)shmat(id, NULL, 0));
		T((long)shmat(id, NULL, SHM_RDONLY));
		T((long)shmat(id, NULL, SHM_RDONLY | SHM_EXEC));
		T(shmctl(id, IPC_STAT, &ds));
		T(shmctl(id, IPC_SET, &ds));
		T(shmctl(id, SHM_LOCK, NULL));
		T(shmctl(id, IPC_RMID, NULL));
		_exit(0);
	}
	reap("another user", pid);
	T(shmctl(id, IPC_RMID, NULL));
}

/* By index, and as /proc has it. */
static void listed(void)
{
	int id = new_segment(12345, 0600), last, found = 0, line_found = 0;
	struct shm_info info;
	struct shminfo limits;
	struct shmid_ds ds;
	char line[512];
	FILE *f;

	last = shmctl(0, SHM_INFO, (struct shmid_ds *)&info);
	for (int i = 0; i <= last; i++)
		found += shmctl(i, SHM_STAT, &ds) == id && ds.shm_segsz == 12345;
	printf("by index %d, used %d, pages %d\n", found, info.used_ids > 0, info.shm_tot >= 4);
	f = fopen("/proc/sysvipc/shm", "r");
	if (f && fgets(line, sizeof(line), f))
		printf("%s", line);
	while (f && fgets(line, sizeof(line), f)) {
		int key, its_id, mode, cpid;
		unsigned long size;

		if (sscanf(line, "%d %d %o %lu %d", &key, &its_id, &mode, &size, &cpid) == 5 && its_id == id)
			line_found += key == 0 && mode == 0600 && size == 12345 && cpid == getpid();
	}
	if (f)
		fclose(f);
	printf("in /proc %d\n", line_found);
	T(shmctl(0, IPC_INFO, (struct shmid_ds *)&limits) < 0);
	printf("max %lu min %lu mni %lu seg %lu all %lu\n", limits.shmmax, limits.shmmin, limits.shmmni, limits.shmseg, limits.shmall);
	T(shmctl(id, IPC_RMID, NULL));
}

static void proc_value(const char *name)
{
	char path[64], line[128] = "?\n";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
	f = fopen(path, "r");
	if (f && !fgets(line, sizeof(line), f))
		strcpy(line, "empty\n");
	if (f)
		fclose(f);
	printf("%s %s", name, line);
}

static void tests(void)
{
	errors();
	keys();
	views();
	ends();
	pieces();
	moves();
	changes();
	listed();
	proc_value("shmmax");
	proc_value("shmall");
	proc_value("shmmni");
	proc_value("sem");
	proc_value("msgmax");
	proc_value("msgmnb");
	proc_value("msgmni");
}

int main(int argc, char **argv)
{
	g_self = argv[0];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "detached")) {
		char path[] = "/proc/self/maps", line[512];
		FILE *f = fopen(path, "r");
		int has = 0;

		while (f && fgets(line, sizeof(line), f))
			has += strstr(line, "/SYSV") != NULL;
		printf("attached segments: %d\n", has);
		return 0;
	}
	return apart(argc, argv, tests);
}
