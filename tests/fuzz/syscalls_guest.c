/*
 * Random system calls whose results are determined by what went before: on files, directories, descriptors, pipes, sockets,
 * memory, signals, child processes, System V IPC, message queues, users and limits, pseudo-terminals, inotify and attributes. Runs natively and in a cVM with the same seed; syscalls_live.py compares the lines.
 *
 * usage: syscalls_guest SEED COUNT KINDS DIRECTORY
 * KINDS: letters of f(iles) d(escriptors) m(emory) s(ignals) p(rocess) c(hildren) i(pc of System V) n(Unix sockets) e(vents) q(ueues of messages) u(sers and limits) y(pseudo-terminals) w(atching and attributes); t if DIRECTORY, which is empty at the start or has a "top", is in memory.
 * One line for each call.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <dirent.h>
#include <unistd.h>

#define PAGE 4096u
#define REGION_PAGES 64u
#define FD_FIRST 3
#define FD_LAST 15

static const char *g_directory;
static const char *g_program, *g_kinds;
static bool g_ofd, g_on_tmpfs, g_files, g_maps, g_is_child;
static pid_t g_first; /* the program that was started; children of it make calls, too */
static uint64_t g_random;
static char g_out[1 << 16];
static size_t g_used;
static unsigned g_step;
static uint8_t *g_region; /* where all mappings go */
static uint8_t g_buffer[1 << 16], *g_guard; /* the latter cannot be accessed */
static int g_top, g_probe; /* the directory; a pipe's writing end and a file that tells what memory can be read */
static volatile sig_atomic_t g_handled[65];

static uint64_t next(void)
{
	g_random ^= g_random << 13;
	g_random ^= g_random >> 7;
	g_random ^= g_random << 17;
	return g_random >> 11;
}

static unsigned below(unsigned n)
{
	return (unsigned)(next() % n);
}

static bool rarely(unsigned one_in)
{
	return below(one_in) == 0;
}

#define ONE_OF(...) (((const long[]){ __VA_ARGS__ })[below(sizeof((const long[]){ __VA_ARGS__ }) / sizeof(long))])
#define WORD_OF(...) (((const char *const[]){ __VA_ARGS__ })[below(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))])

/* Whose number it is. */
static int who_is(pid_t pid)
{
	return pid <= 0 ? pid : pid == getpid() ? 1 : pid == g_first ? 2 : 3;
}

static void flush(void)
{
	for (size_t done = 0; done < g_used;) {
		ssize_t n = write(1, g_out + done, g_used - done);
		if (n <= 0)
			_exit(9);
		done += (size_t)n;
	}
	g_used = 0;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list list;

	if (g_used > sizeof g_out - 8192)
		flush();
	va_start(list, format);
	int n = vsnprintf(g_out + g_used, sizeof g_out - g_used, format, list);
	va_end(list);
	g_used += (size_t)n;
}

/* "-> 3" or "-> E2". The result itself, for more to be said. */
static long result(long r)
{
	int error = errno;

	if (r < 0)
		say(" -> E%d", error);
	else
		say(" -> %ld", r);
	return r;
}

static uint32_t hash(const void *bytes, size_t size)
{
	const uint8_t *p = bytes;
	uint32_t h = 2166136261u;

	while (size--)
		h = (h ^ *p++) * 16777619u;
	return h;
}

static const char *path(void)
{
	static char name[5000];
	const char *base = WORD_OF("a", "b", "c", "d", "d1", "d2", "d1/a", "d1/b", "d2/a", "d1/d2", "s1", "s2", "s1/a", "d1/s1", "d2/d1/a");

	if (!rarely(12))
		return base;
	switch (below(9)) {
	case 0: return "";
	case 1: return WORD_OF("a/", "d1/", "s1/", "nothing/a", "a/b", ".", "d1/.", "d1/..", "./a", "d1//b", "d1/../b");
	case 2: snprintf(name, sizeof name, "%0*d", (int)ONE_OF(254, 255, 256), 0); return name;
	case 3: { /* as long as a path may be, or one too long */
		size_t length = 4095 + (next() & 1);
		memset(name, '/', length);
		name[0] = '.', name[length - 1] = 'a', name[length] = 0;
		return name;
	}
	case 4: return (const char *)8;
	default: snprintf(name, sizeof name, "d1/./%s", base); return name;
	}
}

static const char *shown(const char *name)
{
	static char text[2][40];
	static unsigned which;

	if (name == (const char *)8)
		return "(bad)";
	char *t = text[which ^= 1];
	snprintf(t, sizeof text[0], "%.24s%s", name, strlen(name) > 24 ? "..." : "");
	return t;
}

static int fd(void)
{
	return rarely(40) ? (int)ONE_OF(-1, 99, 1000000, AT_FDCWD) : FD_FIRST + (int)below(FD_LAST - FD_FIRST + 1);
}

/* Where a path starts. */
static int at(void)
{
	return rarely(4) ? g_top : AT_FDCWD;
}

static size_t size_of_io(void)
{
	if (!g_files) /* what fits into a pipe depends on how it was filled */
		return below(300);
	return (size_t)(rarely(10) ? ONE_OF(0, 1, 4095, 4096, 4097, 65536) : below(3000));
}

/* What is stored behind a file's end in its last page lasts as long as the file system likes: where files are mapped, none ends in a page. */
static long whole_pages(long size)
{
	return g_maps && size > 0 ? (size + (long)PAGE - 1) / (long)PAGE * (long)PAGE : size;
}

static long offset(void)
{
	return rarely(12) ? ONE_OF(-1, 0, 4096, 65536, 1 << 20) : (long)below(20000);
}

/* A buffer: mostly good. How much of a message is lost to a bad one is nobody's business. */
static void *memory(void)
{
	return g_files && rarely(30) ? g_guard : g_buffer;
}

static void fill(size_t size)
{
	uint32_t word = (uint32_t)next();

	for (size_t i = 0; i < size && i < sizeof g_buffer; i++)
		g_buffer[i] = (uint8_t)(word >> i % 4 * 8) ^ (uint8_t)(i >> 2);
}

static bool kept(int number)
{
	return number == g_top || number == g_probe || number < FD_FIRST;
}

static void show_stat(const struct stat *st)
{
	bool directory = S_ISDIR(st->st_mode);

	/* sizes and link counts of directories are the file system's own business */
	say(" mode %o nlink %ld size %ld", st->st_mode, directory ? 0 : (long)st->st_nlink, directory ? 0 : (long)st->st_size);
}

/* Files */

static void do_open(void)
{
	const char *name = path();
	long flags = ONE_OF(O_RDONLY, O_WRONLY, O_RDWR) | ONE_OF(0, 0, 0, O_CREAT, O_CREAT, O_CREAT | O_EXCL, O_TRUNC, O_CREAT | O_TRUNC) |
		     ONE_OF(0, 0, 0, 0, O_APPEND, O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC, O_NONBLOCK, O_PATH, O_PATH | O_NOFOLLOW);
	long mode = ONE_OF(0644, 0600, 0755, 0444, 0);
	int dir = at();

	say("openat %s %lo %lo", shown(name), flags, mode);
	long r = openat(dir, name, (int)flags, mode);
	if (r > FD_LAST) { /* keep the numbers small */
		say(" -> beyond");
		close((int)r);
	} else {
		result(r);
	}
}

static void do_close(void)
{
	int n = fd();

	if (kept(n))
		return;
	say("close %d", n);
	result(close(n));
}

static void do_read(void)
{
	int n = fd();
	size_t size = size_of_io();
	void *to = memory();
	long where = offset();

	if (kept(n))
		return;
	bool positioned = rarely(2);
	memset(g_buffer, 0x11, sizeof g_buffer);
	say("%s %d %zu %ld", positioned ? "pread" : "read", n, size, positioned ? where : 0);
	long r = result(positioned ? pread(n, to, size, where) : read(n, to, size));
	if (r >= 0 && to == g_buffer)
		say(" #%x", hash(g_buffer, sizeof g_buffer));
}

static void do_write(void)
{
	int n = fd();
	size_t size = size_of_io();
	void *from = g_on_tmpfs ? g_buffer : memory(); /* Linux's tmpfs lets a failing write make the file longer */
	long where = offset() % (1 << 20);

	if (kept(n))
		return;
	bool positioned = rarely(2);
	fill(size);
	say("%s %d %zu %ld", positioned ? "pwrite" : "write", n, size, positioned ? where : 0);
	result(positioned ? pwrite(n, from, size, where) : write(n, from, size));
	struct stat st;
	if (g_maps && fstat(n, &st) == 0 && S_ISREG(st.st_mode))
		ftruncate(n, whole_pages(st.st_size));
}

static void do_vector(void)
{
	struct iovec v[6];
	int n = fd(), count = rarely(20) ? (int)ONE_OF(-1, 0, 1025) : (int)below(6);
	bool writes = rarely(2);

	if (kept(n))
		return;
	for (int i = 0; i < 6; i++)
		v[i] = (struct iovec){ rarely(30) && !(writes && g_on_tmpfs) ? memory() : g_buffer + 8192 * i, rarely(30) ? (size_t)(count > 1 ? ONE_OF(-1, 1l << 62) : -1) : below(g_files ? 2000 : 100) };
	if (writes)
		fill(60000);
	else
		memset(g_buffer, 0x22, sizeof g_buffer);
	say("%s %d %d", writes ? "writev" : "readv", n, count);
	result(writes ? writev(n, v, count) : readv(n, v, count));
	if (!writes)
		say(" #%x", hash(g_buffer, sizeof g_buffer));
}

static void do_seek(void)
{
	int n = fd();
	long where = rarely(3) ? -(long)below(3000) : offset(), whence = ONE_OF(SEEK_SET, SEEK_SET, SEEK_CUR, SEEK_END, 7);
	struct stat st;

	if (kept(n) || (fstat(n, &st) == 0 && S_ISDIR(st.st_mode)))
		return; /* positions in directories are cookies */
	say("lseek %d %ld %ld", n, where, whence);
	result(lseek(n, where, (int)whence));
}

static void do_stat(void)
{
	struct stat st;
	const char *name = path();
	int n = fd(), flags = (int)ONE_OF(0, AT_SYMLINK_NOFOLLOW, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH);
	long r;

	if (rarely(3)) {
		if (kept(n))
			return;
		say("fstat %d", n);
		r = result(fstat(n, &st));
		if (r == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
			return;
	} else {
		int dir = at();
		say("fstatat %s %x", shown(name), flags);
		r = result(fstatat(dir, name, &st, flags));
	}
	if (r == 0)
		show_stat(&st);
}

static void do_truncate(void)
{
	const char *name = path();
	int n = fd();
	long size = whole_pages(rarely(20) ? ONE_OF(-1, 1l << 20) : (long)below(30000));

	if (rarely(2)) {
		say("truncate %s %ld", shown(name), size);
		result(truncate(name, size));
	} else if (!kept(n)) {
		say("ftruncate %d %ld", n, size);
		result(ftruncate(n, size));
	}
}

/* Two links of one file on a volume: renaming one to the other changes nothing, but what /proc/self/fd says. */
static bool are_links(int from, const char *one, int to, const char *two)
{
	struct stat a, b;

	return !g_on_tmpfs && two != (const char *)8 && fstatat(from, one, &a, AT_SYMLINK_NOFOLLOW) == 0 && fstatat(to, two, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino;
}

static void do_names(void)
{
	const char *one = path(), *two;
	char copy[5000];

	if (one == (const char *)8)
		return;
	snprintf(copy, sizeof copy, "%s", one);
	one = copy;
	two = path();
	int from = at(), to = at();
	if (strlen(one) > 200 || (two != (const char *)8 && strlen(two) > 200)) /* which is looked at first is nobody's business */
		return;
	switch (below(12)) {
	case 0:
	case 1:
		say("mkdir %s", shown(two));
		result(mkdirat(to, two, (mode_t)ONE_OF(0755, 0700, 0777)));
		break;
	case 2:
		say("rmdir %s", shown(two));
		result(unlinkat(to, two, AT_REMOVEDIR));
		break;
	case 3:
	case 4:
		say("unlink %s", shown(two));
		result(unlinkat(to, two, 0));
		break;
	case 5:
	case 6:
		if (are_links(from, one, to, two))
			return;
		say("rename %s %s", shown(one), shown(two));
		result(renameat(from, one, to, two));
		break;
	case 7: {
		unsigned flags = (unsigned)ONE_OF(1, 2, 3, 8);
		if (are_links(from, one, to, two))
			return;
		say("renameat2 %s %s %u", shown(one), shown(two), flags);
		result(renameat2(from, one, to, two, flags));
		break;
	}
	case 8:
		say("link %s %s", shown(one), shown(two));
		result(linkat(from, one, to, two, (int)ONE_OF(0, 0, AT_SYMLINK_FOLLOW)));
		break;
	case 9: {
		const char *target = WORD_OF("a", "d1", "d1/a", "nothing", "s1", "s2", "d2", "");
		say("symlink %s %s", target, shown(two));
		result(symlinkat(target, to, two));
		break;
	}
	case 10: {
		char link[64];
		size_t size = (size_t)ONE_OF(64, 1, 3, 0);
		memset(link, 0, sizeof link);
		say("readlink %s %zu", shown(two), size);
		if (result(readlinkat(to, two, link, size)) > 0)
			say(" %.64s", link);
		break;
	}
	default: {
		int mode = (int)ONE_OF(F_OK, R_OK, W_OK, X_OK, R_OK | W_OK, 9);
		say("faccessat %s %d", shown(two), mode);
		result(faccessat(to, two, mode, 0));
	}
	}
}

static void do_mode(void)
{
	const char *name = path();
	int n = fd();
	long mode = ONE_OF(0644, 0600, 0755, 0444, 0777, 01755); /* what a sticky directory of all lets root open is a setting of the machine */

	if (rarely(4)) {
		say("umask %lo", mode & 077);
		result((long)umask((mode_t)mode & 077));
	} else if (rarely(2)) {
		say("chmod %s %lo", shown(name), mode);
		result(chmod(name, (mode_t)mode));
	} else if (!kept(n)) {
		say("fchmod %d %lo", n, mode);
		result(fchmod(n, (mode_t)mode));
	}
}

static void do_times(void)
{
	struct timespec times[2] = { { (long)below(1u << 30), (long)below(1000000000) }, { (long)below(1u << 30), rarely(10) ? 1000000000 : (long)below(1000000000) } };
	const char *name = path();
	struct stat st;

	if (rarely(6))
		times[0].tv_nsec = UTIME_OMIT;
	int flags = (int)ONE_OF(0, AT_SYMLINK_NOFOLLOW);
	say("utimensat %s %x", shown(name), flags);
	if (result(utimensat(AT_FDCWD, name, times, flags)) == 0 && fstatat(AT_FDCWD, name, &st, flags) == 0)
		say(" mtime %ld.%09ld", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void do_list(void)
{
	const char *name = WORD_OF(".", "d1", "d2", "a", "s1", "d1/d2");
	char *names[256];
	size_t count = 0;

	say("list %s", name);
	int n = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (n < 0) {
		result(n);
		return;
	}
	lseek(n, 0, SEEK_SET);
	long room = ONE_OF(300, 4096);
	for (long got; (got = syscall(SYS_getdents64, n, g_buffer, room)) > 0;)
		for (uint8_t *p = g_buffer; p < g_buffer + got && count < 256; p += ((struct dirent64 *)p)->d_reclen)
			names[count++] = strdup(((struct dirent64 *)p)->d_name);
	close(n);
	qsort(names, count, sizeof names[0], compare_names);
	for (size_t i = 0; i < count; i++) {
		say(" %.30s", names[i]);
		free(names[i]);
	}
}

static void do_place(void)
{
	char where[4096];

	if (rarely(3)) {
		const char *name = WORD_OF("d1", "d2", "a", "nothing", "s1");
		say("chdir %s", name);
		result(chdir(name));
	} else {
		say("fchdir top");
		result(fchdir(g_top));
	}
	long r = syscall(SYS_getcwd, where, sizeof where);
	say(r < 0 ? " getcwd E%d" : " getcwd ok", errno);
	if (r > 0 && strncmp(where, g_directory, strlen(g_directory)) == 0)
		say(" %s", where + strlen(g_directory));
}

static void do_copy(void)
{
	int from = fd(), to = fd();
	size_t size = size_of_io();
	off_t where = (off_t)below(5000), other = (off_t)below(5000), *use = rarely(2) ? &where : NULL, *use_other = rarely(2) ? &other : NULL;

	if (kept(from) || kept(to))
		return;
	if (rarely(2)) {
		struct stat st, other_st; /* of one open file to itself: nobody's business */
		if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode) || (fstat(to, &other_st) == 0 && st.st_ino == other_st.st_ino && st.st_dev == other_st.st_dev))
			return;
		say("sendfile %d %d %zu %ld", to, from, size, use ? (long)where : -1);
		result(sendfile(to, from, use, size));
		say(" %ld", (long)where);
	} else {
		struct stat st, other_st; /* between file systems: more than Linux does */
		if (fstat(from, &st) == 0 && fstat(to, &other_st) == 0 && st.st_dev != other_st.st_dev)
			return;
		say("copy_file_range %d %d %zu", from, to, size);
		result(copy_file_range(from, use, to, use_other, size, 0));
		say(" %ld %ld", (long)where, (long)other);
	}
}

static void do_locks(void)
{
	struct flock lock = { .l_type = (short)ONE_OF(F_RDLCK, F_WRLCK, F_UNLCK, 9), .l_whence = (short)ONE_OF(SEEK_SET, SEEK_CUR, SEEK_END), .l_start = (long)below(100),
			      .l_len = (long)below(50) };
	int n = fd();
	struct stat st;

	if (kept(n) || (lock.l_whence != SEEK_SET && fstat(n, &st) == 0 && S_ISDIR(st.st_mode)))
		return; /* directories: as above */
	if (rarely(3)) {
		long operation = ONE_OF(LOCK_SH, LOCK_EX, LOCK_UN, 0) | LOCK_NB;
		say("flock %d %ld", n, operation);
		result(flock(n, (int)operation));
		return;
	}
	if (g_is_child && !g_on_tmpfs) /* through an inherited descriptor: CAVEATS.md */
		return;
	int command = (int)(g_ofd ? ONE_OF(F_OFD_GETLK, F_OFD_SETLK) : ONE_OF(F_GETLK, F_SETLK)); /* mixed: see CAVEATS.md */
	if ((command == F_OFD_GETLK && lock.l_type == F_UNLCK) || (fcntl(n, F_GETFL) & O_ACCMODE) == O_WRONLY)
		return; /* newer kernels tell the description's own locks; write-only: see CAVEATS.md */
	say("lock %d %d %d %ld %ld", n, command, lock.l_type, (long)lock.l_start, (long)lock.l_len);
	if (result(fcntl(n, command, &lock)) == 0 && (command == F_GETLK || command == F_OFD_GETLK))
		say(" type %d start %ld len %ld", lock.l_type, (long)lock.l_start, (long)lock.l_len);
}

static void do_room(void)
{
	int n = fd(), mode = (int)ONE_OF(0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE);
	long from = (long)below(20000) - rarely(20) * 30000, size = (long)below(20000);
	struct stat st;

	if (kept(n))
		return;
	say("fallocate %d %d %ld %ld", n, mode, from, size);
	result(fallocate(n, mode, from, size));
	if (fstat(n, &st) == 0 && S_ISREG(st.st_mode))
		say(" size %ld", (long)st.st_size);
}

/* Descriptors */

static void do_dup(void)
{
	int n = fd(), to = fd();
	long flags = ONE_OF(0, O_CLOEXEC, 1);

	if (kept(to) && to != AT_FDCWD)
		return;
	switch (below(4)) {
	case 0: {
		say("dup %d", n);
		long r = dup(n);
		if (r > FD_LAST) {
			say(" -> beyond");
			close((int)r);
		} else {
			result(r);
		}
		break;
	}
	case 1:
		if (to > FD_LAST)
			return;
		say("dup3 %d %d %lo", n, to, flags);
		result(dup3(n, to, (int)flags));
		break;
	case 2:
		if (to > FD_LAST)
			return;
		say("dup2 %d %d", n, to);
		result(dup2(n, to));
		break;
	default: {
		int from = FD_FIRST + (int)below(20);
		say("fcntl %d F_DUPFD %d", n, from);
		long r = fcntl(n, F_DUPFD, from);
		result(r);
		if (r > FD_LAST)
			close((int)r);
	}
	}
}

static void do_fcntl(void)
{
	int n = fd();

	if (kept(n))
		return;
	switch (below(5)) {
	case 0:
		say("F_GETFD %d", n);
		result(fcntl(n, F_GETFD));
		break;
	case 1: {
		int flag = (int)below(2);
		say("F_SETFD %d %d", n, flag);
		result(fcntl(n, F_SETFD, flag));
		break;
	}
	case 2: {
		say("F_GETFL %d", n);
		result(fcntl(n, F_GETFL));
		break;
	}
	case 3: {
		int flags = O_NONBLOCK | (int)ONE_OF(0, O_APPEND);
		say("F_SETFL %d %o", n, flags);
		result(fcntl(n, F_SETFL, flags));
		break;
	}
	default: {
		int size = -1;
		say("FIONREAD %d", n);
		if (result(ioctl(n, FIONREAD, &size)) == 0)
			say(" %d", size);
	}
	}
}

static void beyond(const int pair[2])
{
	for (int i = 0; i < 2; i++)
		if (pair[i] > FD_LAST)
			close(pair[i]);
}

static void do_make(void)
{
	int pair[2] = { -1, -1 };
	long r;

	switch (below(6)) {
	case 0:
		say("pipe2");
		if (result(pipe2(pair, O_NONBLOCK)) == 0)
			say(" %d %d", pair[0], pair[1]);
		beyond(pair);
		return;
	case 1: {
		int type = (int)ONE_OF(SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET);
		say("socketpair %d", type);
		if (result(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, pair)) == 0)
			say(" %d %d", pair[0], pair[1]);
		beyond(pair);
		return;
	}
	case 2: {
		unsigned value = below(5);
		say("eventfd %u", value);
		r = eventfd(value, EFD_NONBLOCK | (int)ONE_OF(0, EFD_SEMAPHORE));
		break;
	}
	case 3:
		say("memfd");
		r = memfd_create("name", (unsigned)ONE_OF(0, MFD_CLOEXEC, MFD_ALLOW_SEALING));
		break;
	case 4: {
		const char *device = WORD_OF("/dev/null", "/dev/zero");
		say("open %s", device);
		r = open(device, O_RDWR | O_NONBLOCK);
		break;
	}
	default:
		say("epoll_create");
		r = epoll_create1((int)ONE_OF(0, EPOLL_CLOEXEC));
	}
	result(r);
	if (r > FD_LAST)
		close((int)r);
}

static void do_event_write(void)
{
	int n = fd();
	uint64_t value = rarely(4) ? ~0ull - below(3) : below(4);

	if (kept(n))
		return;
	say("write8 %d %llu", n, (unsigned long long)value);
	result(write(n, &value, 8));
}

static void do_poll(void)
{
	struct pollfd set[4];
	unsigned count = 1 + below(4);

	for (unsigned i = 0; i < count; i++) {
		set[i] = (struct pollfd){ fd(), (short)(POLLIN | (short)ONE_OF(0, POLLOUT, POLLPRI | POLLRDHUP)), 0 };
		if (kept(set[i].fd))
			return;
	}
	say("poll");
	for (unsigned i = 0; i < count; i++)
		say(" %d", set[i].fd);
	result(poll(set, count, 0));
	for (unsigned i = 0; i < count; i++)
		say(" %x", (unsigned)set[i].revents);
}

static int compare_events(const void *a, const void *b)
{
	const struct epoll_event *x = a, *y = b; /* two files that had one number are told apart by their events */

	if (x->data.u64 != y->data.u64)
		return x->data.u64 < y->data.u64 ? -1 : 1;
	return x->events < y->events ? -1 : x->events > y->events;
}

static void wait_for_events(int ep)
{
	struct epoll_event events[16];

	say("epoll_wait %d", ep);
	long r = result(epoll_wait(ep, events, 16, 0));
	qsort(events, r > 0 ? (size_t)r : 0, sizeof events[0], compare_events);
	for (long i = 0; i < r; i++)
		say(" %d:%x", (int)events[i].data.u64, events[i].events);
}

static void do_epoll(void)
{
	struct epoll_event events[16];
	int ep = fd(), n = fd();

	if (kept(ep) || kept(n))
		return;
	if (rarely(3)) {
		wait_for_events(ep);
		return;
	}
	int operation = (int)ONE_OF(EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, 7);
	events[0].events = (uint32_t)ONE_OF(EPOLLIN, EPOLLIN | EPOLLOUT, EPOLLOUT | EPOLLONESHOT, EPOLLIN | EPOLLRDHUP, 0);
	events[0].data.u64 = (uint64_t)n;
	say("epoll_ctl %d %d %d %x", ep, operation, n, events[0].events);
	result(epoll_ctl(ep, operation, n, &events[0]));
}

static void do_socket(void)
{
	int n = fd(), value = 0;
	socklen_t size = sizeof value;
	size_t bytes = 1 + below(300);

	if (kept(n))
		return;
	switch (below(4)) {
	case 0:
		fill(bytes);
		say("send %d %zu", n, bytes);
		result(send(n, g_buffer, bytes, MSG_DONTWAIT | MSG_NOSIGNAL));
		break;
	case 1: {
		int flags = MSG_DONTWAIT | (int)ONE_OF(0, MSG_PEEK, MSG_TRUNC);
		memset(g_buffer, 0x33, sizeof g_buffer);
		say("recv %d %zu %x", n, bytes, flags);
		if (result(recv(n, g_buffer, bytes, flags)) >= 0)
			say(" #%x", hash(g_buffer, sizeof g_buffer));
		break;
	}
	case 2: {
		int how = (int)ONE_OF(SHUT_RD, SHUT_WR, SHUT_RDWR, 5);
		say("shutdown %d %d", n, how);
		result(shutdown(n, how));
		break;
	}
	default: {
		int option = (int)ONE_OF(SO_TYPE, SO_ERROR, SO_DOMAIN, SO_ACCEPTCONN, SO_PASSCRED);
		say("getsockopt %d %d", n, option);
		if (result(getsockopt(n, SOL_SOCKET, option, &value, &size)) == 0)
			say(" %d", value);
	}
	}
}

/* Memory: pages of the region are named by number */

/* A whole file of /proc. */
static ssize_t read_text(const char *name, char *text, size_t size)
{
	int n = open(name, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t got = n;

	while (n >= 0 && used < size - 1 && (got = read(n, text + used, size - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = 0;
	if (n >= 0)
		close(n);
	return got < 0 ? -1 : (ssize_t)used;
}

/* The line of /proc/self/maps for an address. */
static bool maps_line(const uint8_t *where, char *line, size_t size)
{
	static char text[1 << 17];

	if (read_text("/proc/self/maps", text, sizeof text) < 0)
		return false;
	for (char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		unsigned long start, end;
		if (sscanf(at, "%lx-%lx", &start, &end) == 2 && (uintptr_t)where >= start && (uintptr_t)where < end) {
			snprintf(line, size, "%.*s", (int)strcspn(at, "\n"), at);
			return true;
		}
	}
	return false;
}

static uint8_t *page(unsigned *number)
{
	*number = below(REGION_PAGES);
	return g_region + *number * PAGE;
}

static size_t pages(unsigned from)
{
	unsigned count = 1 + below(8);

	return (size_t)PAGE * (from + count > REGION_PAGES ? REGION_PAGES - from : count);
}

static void address(const void *r)
{
	if (r == MAP_FAILED)
		say(" -> E%d", errno);
	else
		say(" -> page %ld", (long)((const uint8_t *)r - g_region) / (long)PAGE);
}

/* What can be read and written there, through system calls. */
static void do_look(void)
{
	unsigned number;
	uint8_t *where = page(&number);
	uint32_t word = (uint32_t)next();

	if (rarely(2)) {
		say("store page %u", number);
		pwrite(g_probe, &word, 4, 0);
		result(pread(g_probe, where + (word & 0xff0), 4, 0));
	} else {
		say("load page %u", number);
		long r = result(pwrite(g_probe, where, PAGE, 0));
		if (r > 0 && pread(g_probe, g_buffer, PAGE, 0) == PAGE)
			say(" #%x", hash(g_buffer, (size_t)r));
	}
}

static void do_map(void)
{
	unsigned from;
	uint8_t *to = page(&from);
	size_t size = pages(from) - rarely(4) * below(PAGE);
	int protection = (int)ONE_OF(PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_WRITE);
	int flags = MAP_FIXED | (int)ONE_OF(MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE), n = -1;
	long where = 0;

	if (rarely(2)) {
		flags |= MAP_ANONYMOUS;
	} else {
		n = fd();
		where = rarely(15) ? 100 : PAGE * (long)below(6);
		if (kept(n))
			return;
	}
	say("mmap page %u %zu prot %d flags %x fd %d at %ld", from, size, protection, (unsigned)flags, n, where);
	address(mmap(to, size, protection, flags, n, where));
}

static bool any_file(const uint8_t *from, size_t size)
{
	char line[300];

	for (size_t i = 0; i < size; i += PAGE)
		if (maps_line(from + i, line, sizeof line) && strchr(line, '/')) /* shared memory is of one, too */
			return true;
	return false;
}

static void do_change(void)
{
	unsigned from, other;
	uint8_t *at_page = page(&from), *to = page(&other);
	size_t size = pages(from);

	switch (below(5)) {
	case 0: {
		/* the region stays reserved, or a mapping of somebody else's choice could get there */
		say("unmap page %u %zu", from, size);
		address(mmap(at_page, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0));
		break;
	}
	case 1: {
		int protection = (int)ONE_OF(PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, 0x1000000);
		if (protection & PROT_EXEC && any_file(at_page, size)) /* what executes is a copy */
			protection = PROT_READ;
		say("mprotect page %u %zu %d", from, size, protection);
		if (result(mprotect(at_page, size, protection)) < 0 && errno != EINVAL) /* how far it got is nobody's business */
			mmap(at_page, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
		break;
	}
	case 2: {
		int advice = (int)ONE_OF(MADV_DONTNEED, MADV_NORMAL, MADV_WILLNEED, MADV_RANDOM, 77);
		say("madvise page %u %zu %d", from, size, advice);
		result(madvise(at_page, size, advice));
		break;
	}
	case 3: {
		size_t new_size = pages(other); /* of one mapping: what Linux has merged is not to be seen */
		if (mmap(at_page, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at_page)
			return;
		pread(g_probe, at_page, PAGE, 0);
		say("mremap page %u %zu to page %u %zu", from, size, other, new_size);
		void *r = mremap(at_page, size, new_size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		address(r);
		if (r != MAP_FAILED) /* reserved again, as above */
			mmap(at_page, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
		break;
	}
	default:
		say("msync page %u %zu", from, size);
		result(msync(at_page, size, (int)ONE_OF(MS_SYNC, MS_ASYNC, MS_SYNC | MS_ASYNC, MS_INVALIDATE)));
	}
}

/* Signals */

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)context;
	g_handled[signal]++;
	say(" [%d code %d value %d]", signal, info->si_code, info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
}

static int signal_number(void)
{
	return (int)ONE_OF(SIGUSR1, SIGUSR2, SIGCHLD, SIGWINCH, SIGRTMIN, SIGRTMIN + 1, SIGALRM);
}

static void show_set(const sigset_t *set)
{
	say(" set");
	for (int i = 1; i <= 64; i++)
		if (sigismember(set, i) > 0)
			say(" %d", i);
}

static void do_signal(void)
{
	int number = rarely(30) ? (int)ONE_OF(0, -1, 65, SIGKILL) : signal_number();
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | (int)ONE_OF(0, SA_RESTART, SA_NODEFER, SA_ONSTACK) }, old;
	sigset_t set, before;

	sigemptyset(&set);
	switch (below(7)) {
	case 0: {
		if (rarely(3))
			action.sa_handler = SIG_IGN, action.sa_flags = 0;
		else if ((number == SIGCHLD || number == SIGWINCH) && rarely(3)) /* by default these do nothing */
			action.sa_flags |= (int)ONE_OF(SA_RESETHAND, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_RESETHAND | SA_NODEFER);
		sigemptyset(&action.sa_mask);
		sigaddset(&action.sa_mask, signal_number());
		say("sigaction %d %s", number, action.sa_flags & SA_SIGINFO ? "handler" : "ignore");
		if (result(sigaction(number, &action, &old)) == 0)
			say(" was %s flags %x", old.sa_handler == SIG_DFL ? "default" : old.sa_handler == SIG_IGN ? "ignored" : "handled", (unsigned)old.sa_flags & ~0x04000000u);
		break;
	}
	case 1:
	case 2: {
		for (unsigned i = below(4); i; i--)
			sigaddset(&set, signal_number());
		int how = (int)ONE_OF(SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK, 5);
		say("sigprocmask %d", how);
		show_set(&set);
		if (result(sigprocmask(how, &set, &before)) == 0)
			show_set(&before);
		break;
	}
	case 3:
		if (number <= 0 || number == SIGKILL)
			break;
		say("kill %d", number);
		result(rarely(2) ? kill(getpid(), number) : rarely(4) ? syscall(SYS_tkill, syscall(SYS_gettid), number) : syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), number));
		break;
	case 4: {
		union sigval value = { .sival_int = (int)below(100) };
		if (number <= 0 || number == SIGKILL)
			break;
		say("sigqueue %d %d", number, value.sival_int);
		result(sigqueue(getpid(), number, value));
		break;
	}
	case 5:
		say("sigpending");
		sigpending(&set);
		show_set(&set);
		break;
	default: {
		struct timespec zero = { 0, 0 };
		siginfo_t info;
		sigset_t blocked;
		sigaddset(&set, number > 0 && number < 65 ? number : SIGUSR1);
		sigprocmask(SIG_BLOCK, NULL, &blocked);
		for (int i = 1; i <= 64; i++) /* of signals that are not blocked it would be luck */
			if (sigismember(&set, i) > 0 && !sigismember(&blocked, i))
				sigdelset(&set, i);
		say("sigtimedwait");
		show_set(&set);
		if (result(sigtimedwait(&set, &info, &zero)) > 0)
			say(" code %d", info.si_code);
	}
	}
}

static void do_signalfd(void)
{
	struct signalfd_siginfo info;
	sigset_t set;
	int n = fd();

	sigemptyset(&set);
	sigaddset(&set, signal_number());
	sigaddset(&set, signal_number());
	if (kept(n) && n != AT_FDCWD)
		return;
	if (rarely(2)) {
		say("signalfd");
		show_set(&set);
		long r = signalfd(-1, &set, SFD_NONBLOCK);
		result(r);
		if (r > FD_LAST)
			close((int)r);
	} else {
		say("read signalfd %d", n);
		memset(&info, 0, sizeof info);
		if (result(read(n, &info, sizeof info)) == (long)sizeof info)
			say(" signal %u code %d", info.ssi_signo, info.ssi_code);
	}
}

#include "syscalls_more.h"
#include "syscalls_paths.h"
#include "syscalls_sockets.h"
#include "syscalls_maps.h"
#include "syscalls_events.h"
#include "syscalls_users.h"
#include "syscalls_children.h"
#include "syscalls_ipc.h"
#include "syscalls_tty.h"
#include "syscalls_watch.h"
#include "syscalls_fork.h"
#include "syscalls_else.h"

static const struct {
	char kind;
	unsigned weight;
	void (*function)(void);
} k_calls[] = {
	{ 'f', 8, do_open }, { 'f', 3, do_close }, { 'f', 6, do_read }, { 'f', 8, do_write }, { 'f', 2, do_vector }, { 'f', 3, do_seek }, { 'f', 4, do_stat },
	{ 'f', 3, do_truncate }, { 'f', 14, do_names }, { 'f', 2, do_mode }, { 'f', 1, do_times }, { 'f', 3, do_list }, { 'f', 1, do_place }, { 'f', 2, do_copy },
	{ 'f', 2, do_locks }, { 'f', 2, do_room }, { 'd', 4, do_close }, { 'd', 4, do_dup }, { 'd', 5, do_fcntl }, { 'd', 5, do_make }, { 'd', 3, do_event_write },
	{ 'd', 4, do_poll }, { 'd', 6, do_epoll }, { 'd', 5, do_socket }, { 'd', 4, do_read }, { 'd', 4, do_write }, { 'd', 2, do_vector }, { 'm', 3, do_open },
	{ 'm', 1, do_close }, { 'm', 2, do_write }, { 'm', 2, do_read }, { 'm', 1, do_truncate }, { 'm', 6, do_map }, { 'm', 6, do_change }, { 'm', 10, do_look },
	{ 's', 10, do_signal }, { 's', 2, do_signalfd }, { 's', 1, do_close }, { 's', 2, do_altstack },
	{ 'f', 3, do_open_more }, { 'f', 2, do_statx }, { 'f', 3, do_names_more }, { 'f', 3, do_descriptor_more }, { 'd', 3, do_splice }, { 'd', 6, do_unix },
	{ 'd', 4, do_pass }, { 'd', 3, do_wait_more }, { 'd', 3, do_seals }, { 'd', 2, do_descriptor_more }, { 'm', 3, do_map_more }, { 'p', 4, do_futex }, { 'p', 1, do_limits },
	{ 'p', 4, do_process }, { 'p', 5, do_clocks }, { 'p', 2, do_signal }, { 'p', 1, do_altstack },
	{ 'c', 4, child_start }, { 'c', 8, child_kill }, { 'c', 5, child_wait4 }, { 'c', 5, child_waitid }, { 'c', 4, child_groups }, { 'c', 2, child_more }, { 'c', 4, child_look },
	{ 'i', 5, ipc_get }, { 'i', 5, ipc_control }, { 'i', 5, ipc_attach }, { 'i', 3, ipc_look }, { 'i', 7, ipc_semop }, { 'i', 5, ipc_semctl },
	{ 'i', 8, ipc_message }, { 'y', 1, do_tty }, { 'w', 1, watch_make }, { 'w', 3, watch_add },
	{ 'f', 6, do_below }, { 'f', 4, do_proc_fd }, { 'f', 4, do_old_names }, { 'f', 2, do_owner }, { 'f', 4, do_io_more }, { 'd', 3, do_io_more }, { 'f', 2, do_fcntl_more }, { 'd', 2, do_fcntl_more },
	{ 'm', 4, do_map_else }, { 'f', 2, do_nameless }, { 'd', 2, do_nameless }, { 'd', 2, do_proc_fd },
	{ 'n', 4, do_option }, { 'n', 8, do_abstract }, { 'n', 12, do_message }, { 'n', 4, do_many }, { 'n', 3, do_pair }, { 'n', 2, do_queued }, { 'n', 3, do_close }, { 'n', 1, do_dup },
	{ 'n', 3, do_poll }, { 'n', 4, do_pass }, { 'n', 4, do_unix }, { 'n', 3, do_socket },
	{ 'e', 5, do_masked }, { 'e', 5, do_signal }, { 'e', 8, do_epoll_more }, { 'e', 10, do_sources }, { 'e', 4, do_close }, { 'e', 2, do_make }, { 'e', 3, do_poll }, { 'e', 2, do_read }, { 'e', 2, do_write },
	{ 'q', 16, do_queue }, { 'q', 3, do_poll }, { 'q', 2, do_close }, { 'q', 1, do_fcntl }, { 'q', 1, do_epoll }, { 'q', 1, do_make }, { 'q', 1, do_dup }, { 'q', 1, do_signal }, { 'u', 1, do_user },
	{ 'w', 5, watch_read }, { 'w', 1, watch_remove }, { 'w', 12, watch_change }, { 'w', 5, do_attributes },
	{ 'f', 1, do_fork }, { 'd', 1, do_fork }, { 'm', 1, do_fork }, { 's', 1, do_fork }, { 'p', 1, do_fork }, { 'i', 1, do_fork }, { 'n', 1, do_fork }, { 'e', 1, do_fork }, { 'q', 1, do_fork }, { 'w', 1, do_fork },
	{ 'f', 1, do_fdinfo }, { 'd', 1, do_fdinfo }, { 'e', 1, do_fdinfo }, { 's', 1, do_status }, { 'p', 1, do_status }, { 'm', 2, do_maps }, { 'f', 2, do_room_more }, { 'd', 1, do_room_more },
	{ 'f', 3, do_list_open }, { 'f', 4, do_resolve }, { 'f', 3, do_rwf }, { 'd', 1, do_rwf }, { 'f', 2, do_attributes_open }, { 'p', 4, do_process_else },
};
#define CALLS (sizeof k_calls / sizeof k_calls[0])

static void one_call(const char *kinds)
{
	unsigned total = 0;

	for (size_t i = 0; i < CALLS; i++)
		total += strchr(kinds, k_calls[i].kind) ? k_calls[i].weight : 0;
	unsigned chosen = below(total);
	size_t which = 0;
	for (;; which++) {
		unsigned weight = strchr(kinds, k_calls[which].kind) ? k_calls[which].weight : 0;
		if (chosen < weight)
			break;
		chosen -= weight;
	}
	void (*function)(void) = k_calls[which].function;
	if (g_is_child && (function == do_map || function == do_change || function == do_map_more || function == do_map_else))
		function = do_look; /* what of its parent's a child may not change: CAVEATS.md */
	function();
}

static void one(const char *kinds)
{
	say("%u ", g_step);
	one_call(kinds);
	char where[4096];
	say(syscall(SYS_getcwd, where, sizeof where) < 0 ? " nowhere\n" : "\n");
}

static void prepare(const char *directory)
{
	static const int signals[] = { SIGUSR1, SIGUSR2, SIGALRM };
	static uint8_t stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		sigaction(signals[i], &action, NULL);
	sigaction(SIGRTMIN, &action, NULL);
	sigaction(SIGRTMIN + 1, &action, NULL);
	sigaltstack(&alternate, NULL);
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	for (int i = 3; i < 100; i++)
		close(i);
	if (chdir(directory) || chmod(".", 0700) || (mkdir("top", 0755) && errno != EEXIST) || chdir("top")) /* what is above it may be seen, by a link and ".." */
		_exit(8);
	g_top = fcntl(open(".", O_RDONLY | O_DIRECTORY), F_DUPFD_CLOEXEC, 60);
	close(3);
	g_probe = fcntl(memfd_create("probe", 0), F_DUPFD_CLOEXEC, 61);
	close(3);
	g_region = mmap(NULL, REGION_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	g_guard = mmap(NULL, sizeof g_buffer, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (g_top != 60 || g_probe != 61 || g_region == MAP_FAILED || ftruncate(g_probe, PAGE))
		_exit(8);
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return look_again(argv[2], !strcmp(argv[1], "again"));
	if (argc != 5)
		return 2;
	if (strpbrk(argv[3], "cy"))
		apart(argv);
	g_program = argv[0];
	g_kinds = argv[3];
	g_directory = argv[4];
	g_first = getpid();
	for (int signal = 32; signal < 34; signal++) { /* the C library's: who started this natively may ignore them */
		static const uint64_t by_default[4];
		syscall(SYS_rt_sigaction, signal, by_default, NULL, 8);
	}
	prepare(g_directory);
	g_random = strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15ull | 1;
	g_ofd = rarely(2);
	g_files = strchr(argv[3], 'f');
	g_maps = strchr(argv[3], 'm');
	g_on_tmpfs = strchr(argv[3], 't') || !strchr(argv[3], 'f'); /* memfds are in one, too */
	if (strpbrk(argv[3], "iq"))
		ipc_prepare();
	if (strchr(argv[3], 'y'))
		tty_prepare();
	for (unsigned count = (unsigned)atoi(argv[2]); g_step < count; g_step++)
		one(argv[3]);
	end_children();
	ipc_end();
	flush();
	return 0;
}
