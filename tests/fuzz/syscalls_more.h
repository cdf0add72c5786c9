/*
 * More random system calls of syscalls_guest.c, which includes this: less common forms on files and descriptors, Unix sockets with
 * names, and what is about the process: limits, timers, futexes, scheduling.
 */
#ifndef TESTS_FUZZ_SYSCALLS_MORE_H
#define TESTS_FUZZ_SYSCALLS_MORE_H

#include <linux/futex.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

/* Files */

/* A new descriptor: the numbers stay small. */
static void opened(long r)
{
	if (r > FD_LAST) {
		say(" -> beyond");
		close((int)r);
	} else {
		result(r);
	}
}

static void do_open_more(void)
{
	const char *name = path();
	struct open_how how = { .flags = (uint64_t)(ONE_OF(O_RDONLY, O_WRONLY, O_RDWR) | ONE_OF(0, 0, O_CREAT, O_DIRECTORY, O_PATH, O_NOFOLLOW, O_CREAT | O_EXCL)),
				.mode = 0,
				.resolve = (uint64_t)ONE_OF(0, 0, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, 1 << 20) };
	int dir = at();

	switch (below(4)) {
	case 0:
		say("creat %s", shown(name));
		opened(creat(name, 0640));
		break;
	case 1: {
		long flags = ONE_OF(O_RDONLY, O_RDWR, O_RDWR | O_CREAT | O_EXCL, O_WRONLY | O_TRUNC);
		say("open %s %lo", shown(name), flags);
		opened(syscall(SYS_open, name, flags, 0600));
		break;
	}
	default:
		how.mode = how.flags & O_CREAT ? (uint64_t)ONE_OF(0600, 0644, 0100644) : (uint64_t)(rarely(10) ? 0600 : 0);
		say("openat2 %s %lo %lo %lx", shown(name), (long)how.flags, (long)how.mode, (long)how.resolve);
		opened(syscall(SYS_openat2, dir, name, &how, rarely(20) ? 8 : sizeof how));
	}
}

static void do_statx(void)
{
	const char *name = path();
	struct statx st;
	long flags = ONE_OF(0, 0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_NO_AUTOMOUNT, 1 << 20), mask = ONE_OF(STATX_BASIC_STATS, STATX_BASIC_STATS, 0, 1u << 31);
	int n = rarely(4) ? fd() : at();

	if (kept(n) && n != g_top)
		return;
	memset(&st, 0, sizeof st);
	say("statx %d %s %lx %lx", n == g_top ? -2 : n, shown(name), flags, mask);
	if (result(statx(n, name, (int)flags, (unsigned)mask, &st)) != 0 || !(mask & STATX_BASIC_STATS))
		return;
	bool directory = S_ISDIR(st.stx_mode);
	say(" has %x", st.stx_mask & STATX_BASIC_STATS);
	if (directory || S_ISREG(st.stx_mode) || S_ISLNK(st.stx_mode))
		say(" mode %o nlink %u size %ld", st.stx_mode, directory ? 0 : st.stx_nlink, directory ? 0 : (long)st.stx_size);
}

static void do_names_more(void)
{
	const char *name = path();
	int dir = at();

	if (name != (const char *)8 && strlen(name) > 200)
		return;
	switch (below(7)) {
	case 0: {
		int mode = (int)ONE_OF(F_OK, R_OK, W_OK, X_OK, 8), flags = (int)ONE_OF(0, AT_EACCESS, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 1);
		say("faccessat2 %s %d %x", shown(name), mode, (unsigned)flags);
		result(syscall(SYS_faccessat2, dir, name, mode, flags));
		break;
	}
	case 1: {
		long mode = ONE_OF(0644, 0700, 01755), flags = ONE_OF(0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 1);
		say("fchmodat2 %s %lo %lx", shown(name), mode, flags);
		result(syscall(SYS_fchmodat2, dir, name, mode, flags));
		break;
	}
	case 2: {
		long mode = ONE_OF(S_IFREG | 0644, 0600, g_on_tmpfs ? S_IFSOCK | 0755 : 0, S_IFDIR | 0755, S_IFLNK | 0777, 0170000);
		say("mknodat %s %lo", shown(name), mode);
		result(syscall(SYS_mknodat, dir, name, mode, 0));
		break;
	}
	case 3: {
		struct timeval times[2] = { { (long)below(1u << 30), 5 }, { (long)below(1u << 30), ONE_OF(0, 7, 999999, 1000000, -1) } };
		struct stat st;
		say("utimes %s %ld", shown(name), (long)times[1].tv_usec);
		if (result(rarely(2) ? syscall(SYS_utimes, name, times) : syscall(SYS_futimesat, AT_FDCWD, name, times)) == 0 && stat(name, &st) == 0)
			say(" mtime %ld.%09ld", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
		break;
	}
	case 4: {
		long flags = ONE_OF(0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 1);
		say("fchownat %s %lx", shown(name), flags);
		result(fchownat(dir, name, (uid_t)-1, (gid_t)-1, (int)flags));
		break;
	}
	case 5: {
		long flags = ONE_OF(AT_REMOVEDIR | 1, 1, AT_EMPTY_PATH);
		say("unlinkat %s %lx", shown(name), flags);
		result(syscall(SYS_unlinkat, dir, name, flags));
		break;
	}
	default: {
		struct statfs fs;
		say("statfs %s", shown(name));
		result(statfs(name, &fs));
	}
	}
}

static void do_descriptor_more(void)
{
	int n = fd();
	long from = offset(), size = (long)below(5000);

	if (kept(n))
		return;
	switch (below(8)) {
	case 0:
		say("fsync %d", n);
		result(rarely(2) ? fsync(n) : fdatasync(n));
		break;
	case 1: {
		int advice = (int)ONE_OF(POSIX_FADV_NORMAL, POSIX_FADV_DONTNEED, POSIX_FADV_WILLNEED, 99);
		say("fadvise %d %ld %ld %d", n, from, size, advice);
		result(syscall(SYS_fadvise64, n, from, size, advice));
		break;
	}
	case 2:
		say("readahead %d %ld %ld", n, from, size);
		result(syscall(SYS_readahead, n, from, size));
		break;
	case 3: {
		unsigned flags = (unsigned)ONE_OF(0, 2, 7, 8);
		say("sync_file_range %d %ld %ld %x", n, from, size, flags);
		result(syscall(SYS_sync_file_range, n, from, size, flags));
		break;
	}
	case 4:
	case 5: {
		struct iovec v[3] = { { g_buffer, 1 + below(300) }, { g_buffer + 1000, below(300) }, { g_buffer + 2000, below(300) } };
		bool writes = rarely(2);
		int count = 1 + (int)below(3), flags = g_files ? (int)ONE_OF(0, 0, 0, RWF_DSYNC, RWF_SYNC, 0x4000) : 0; /* few kinds but files know any */
		from = rarely(4) ? -1 : from;
		if (writes)
			fill(3000);
		else
			memset(g_buffer, 0x44, sizeof g_buffer);
		say("%s %d %d %ld %x", writes ? "pwritev2" : "preadv2", n, count, from, (unsigned)flags);
		long r = syscall(writes ? SYS_pwritev2 : SYS_preadv2, n, v, count, from, 0, flags);
		if (result(r) >= 0 && !writes)
			say(" #%x", hash(g_buffer, sizeof g_buffer));
		break;
	}
	case 6: {
		int last = n + (int)below(3);
		unsigned flags = (unsigned)ONE_OF(0, 0, 4, 2, 1);
		if (last > FD_LAST || n < 0)
			return;
		say("close_range %d %d %u", n, last, flags);
		result(syscall(SYS_close_range, n, last, flags));
		break;
	}
	default: {
		struct statfs fs;
		say("fstatfs %d", n);
		result(fstatfs(n, &fs));
	}
	}
}

/* Descriptors */

static bool is_pipe(int n)
{
	struct stat st;

	return fstat(n, &st) == 0 && S_ISFIFO(st.st_mode);
}

static void do_splice(void)
{
	int from = fd(), to = fd();
	size_t size = below(400);
	unsigned flags = SPLICE_F_NONBLOCK | (unsigned)ONE_OF(0, SPLICE_F_MOVE, SPLICE_F_MORE, 0x100);

	if (kept(from) || kept(to))
		return;
	if (!rarely(10) && (!is_pipe(from) || !is_pipe(to)))
		return;
	struct stat st; /* which devices can be spliced is a matter of versions */
	if ((fstat(from, &st) == 0 && S_ISCHR(st.st_mode)) || (fstat(to, &st) == 0 && S_ISCHR(st.st_mode)))
		return;
	if (rarely(2)) {
		say("splice %d %d %zu %x", from, to, size, flags);
		result(splice(from, NULL, to, NULL, size, flags));
	} else {
		say("tee %d %d %zu %x", from, to, size, flags);
		result(tee(from, to, size, flags));
	}
}

static socklen_t name_of(struct sockaddr_un *a, bool binds)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (rarely(12))
		a->sun_family = AF_INET;
	strcpy(a->sun_path, binds || rarely(2) ? WORD_OF("u1", "u2", "u3") : WORD_OF("nothing/u", "."));
	say(" %s%s", a->sun_path, a->sun_family == AF_UNIX ? "" : " inet");
	return (socklen_t)(rarely(12) ? 1 : offsetof(struct sockaddr_un, sun_path) + strlen(a->sun_path) + 1);
}

static void do_unix(void)
{
	struct sockaddr_un a = { 0 };
	socklen_t size = sizeof a;
	int n = fd();

	if (kept(n))
		return;
	switch (below(9)) {
	case 0:
	case 1: {
		int type = (int)ONE_OF(SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, 9);
		say("socket %d", type);
		opened(socket(AF_UNIX, type | SOCK_NONBLOCK, 0));
		break;
	}
	case 2:
		say("bind %d", n);
		size = name_of(&a, true);
		result(bind(n, (struct sockaddr *)&a, size));
		break;
	case 3: {
		int backlog = (int)below(3);
		say("listen %d %d", n, backlog);
		result(listen(n, backlog));
		break;
	}
	case 4:
		say("connect %d", n);
		size = name_of(&a, false);
		result(connect(n, (struct sockaddr *)&a, size));
		break;
	case 5: {
		int flags = (int)ONE_OF(SOCK_NONBLOCK, SOCK_NONBLOCK | SOCK_CLOEXEC, 1);
		say("accept4 %d %x", n, (unsigned)flags);
		long r = accept4(n, (struct sockaddr *)&a, &size, flags);
		if (r >= 0)
			say(" size %u %s", size, a.sun_path);
		opened(r);
		break;
	}
	case 6: {
		bool peer = rarely(2);
		size = rarely(5) ? 3 : sizeof a;
		say("%s %d", peer ? "getpeername" : "getsockname", n);
		if (result(peer ? getpeername(n, (struct sockaddr *)&a, &size) : getsockname(n, (struct sockaddr *)&a, &size)) == 0)
			say(" size %u family %d %s", size, a.sun_family, a.sun_path);
		break;
	}
	case 7:
		say("sendto %d", n);
		size = name_of(&a, false);
		fill(50);
		result(sendto(n, g_buffer, 1 + below(50), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&a, size));
		break;
	default: {
		const char *name = WORD_OF("u1", "u2");
		say("unlink %s", name);
		result(unlink(name));
	}
	}
}

static void do_pass(void)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	struct iovec v = { g_buffer, 1 + below(60) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	int n = fd(), passed[2] = { fd(), fd() };

	struct stat st[2];

	if (kept(n) || kept(passed[0]) || kept(passed[1]) || is_pipe(n) || fstat(passed[0], &st[0]) || fstat(passed[1], &st[1]))
		return;
	if (S_ISSOCK(st[0].st_mode) || S_ISSOCK(st[1].st_mode)) /* Linux closes what has passed itself, some time later */
		return;
	if (rarely(2)) {
		fill(v.iov_len);
		unsigned count = below(3);
		if (count) {
			m.msg_control = &control;
			m.msg_controllen = CMSG_SPACE(count * sizeof(int));
			control.head = (struct cmsghdr){ CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
			memcpy(CMSG_DATA(&control.head), passed, count * sizeof(int));
		}
		say("sendmsg %d %zu with %u", n, v.iov_len, count);
		result(sendmsg(n, &m, MSG_DONTWAIT | MSG_NOSIGNAL));
		return;
	}
	if (!rarely(3))
		m.msg_control = &control, m.msg_controllen = sizeof control;
	memset(g_buffer, 0x55, sizeof g_buffer);
	say("recvmsg %d %zu", n, v.iov_len);
	if (result(recvmsg(n, &m, MSG_DONTWAIT)) < 0)
		return;
	say(" #%x flags %x control %zu", hash(g_buffer, 100), (unsigned)m.msg_flags, (size_t)m.msg_controllen);
	struct cmsghdr *c = m.msg_controllen ? CMSG_FIRSTHDR(&m) : NULL;
	for (size_t i = 0; c && c->cmsg_type == SCM_RIGHTS && CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
		int got;
		memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof got);
		say(" got %d", got);
		if (got > FD_LAST)
			close(got);
	}
}

static void do_wait_more(void)
{
	struct timespec zero = { 0, 0 }, bad = { 0, 1000000000 };
	struct epoll_event events[4];
	int n = fd(), other = fd();

	if (kept(n) || kept(other))
		return;
	switch (below(5)) {
	case 0: {
		fd_set in, out;
		struct timeval now = { 0, 0 };
		FD_ZERO(&in);
		FD_ZERO(&out);
		if (n >= 0 && n < 64)
			FD_SET(n, &in);
		if (other >= 0 && other < 64)
			FD_SET(other, &out);
		say("select %d %d", n, other);
		result(select(rarely(20) ? -1 : 16, &in, &out, NULL, &now));
		say(" %d %d", n >= 0 && n < 64 && FD_ISSET(n, &in), other >= 0 && other < 64 && FD_ISSET(other, &out));
		break;
	}
	case 1: {
		struct pollfd p = { n, POLLIN | POLLOUT, 0 };
		say("ppoll %d", n);
		result(ppoll(&p, 1, rarely(8) ? &bad : &zero, NULL));
		say(" %x", (unsigned)p.revents);
		break;
	}
	case 2: {
		long count = ONE_OF(4, 0, -1);
		say("epoll_pwait2 %d %ld", n, count);
		result(syscall(SYS_epoll_pwait2, n, events, count, rarely(8) ? &bad : &zero, NULL, 8));
		break;
	}
	case 3: {
		long clock = ONE_OF(CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID, 77), flags = ONE_OF(TFD_NONBLOCK, TFD_NONBLOCK | TFD_CLOEXEC, 1);
		say("timerfd_create %ld %lo", clock, flags);
		opened(timerfd_create((int)clock, (int)flags));
		break;
	}
	default: {
		struct itimerspec t = { { (long)below(3), rarely(10) ? -1 : 5 }, { rarely(2) ? 0 : 100000, 0 } }, old = { 0 };
		long flags = ONE_OF(0, 0, 8);
		say("timerfd_settime %d %ld %ld", n, (long)t.it_value.tv_sec, flags);
		if (result(rarely(2) ? timerfd_settime(n, (int)flags, &t, &old) : timerfd_gettime(n, &old)) == 0)
			say(" every %ld.%ld armed %d", (long)old.it_interval.tv_sec, old.it_interval.tv_nsec, old.it_value.tv_sec != 0);
	}
	}
}

static void do_seals(void)
{
	int n = fd(), seals = (int)ONE_OF(F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, 0x20 /* F_SEAL_EXEC */, F_SEAL_SEAL, 0, 0x1000), on = (int)below(2);

	if (kept(n))
		return;
	switch (below(5)) {
	case 0:
		if (seals == F_SEAL_SEAL && !rarely(4))
			return;
		say("F_ADD_SEALS %d %x", n, (unsigned)seals);
		result(fcntl(n, F_ADD_SEALS, seals));
		break;
	case 1:
		say("F_GET_SEALS %d", n);
		result(fcntl(n, F_GET_SEALS));
		break;
	case 2:
		say("F_GETPIPE_SZ %d", n);
		result(fcntl(n, F_GETPIPE_SZ));
		break;
	case 3:
		say("FIOCLEX %d %d", n, on);
		result(ioctl(n, on ? FIOCLEX : FIONCLEX));
		break;
	default: {
		int command = (int)ONE_OF(TCGETS, 0x12345, FIOASYNC, TIOCGWINSZ);
		char room[256];
		memset(room, 0, sizeof room);
		say("ioctl %d %x", n, (unsigned)command);
		result(ioctl(n, command, room));
	}
	}
}

/* Memory: calls that fail, and those of which only the result is seen */

static void reserve(uint8_t *at_page, size_t size)
{
	mmap(at_page, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

static void do_map_more(void)
{
	unsigned from;
	uint8_t *at_page = page(&from);
	size_t size = pages(from), odd = below(4096);

	switch (below(7)) {
	case 0: {
		int flags = (int)ONE_OF(MAP_FIXED, MAP_FIXED | MAP_SHARED_VALIDATE | 1 << 28, MAP_FIXED_NOREPLACE | MAP_PRIVATE) | MAP_ANONYMOUS;
		size = rarely(3) ? 0 : size;
		say("mmap page %u %zu flags %x", from, size, (unsigned)flags);
		address(mmap(at_page, size, PROT_READ, flags, -1, 0));
		break;
	}
	case 1: {
		long length = ONE_OF(0, -1, 1l << 47, 1l << 62);
		say("munmap page %u+%zu %ld", from, odd, length);
		result(munmap(at_page + odd, (size_t)length));
		break;
	}
	case 2: {
		size_t length = rarely(2) ? 0 : PAGE;
		odd += odd == 0 && length;
		say("mprotect page %u+%zu %zu", from, odd, length);
		result(mprotect(at_page + odd, length, PROT_READ));
		break;
	}
	case 3: {
		int advice = (int)ONE_OF(MADV_NORMAL, MADV_FREE, MADV_COLD, MADV_PAGEOUT, MADV_DONTFORK, MADV_DONTDUMP, MADV_DODUMP, MADV_NOHUGEPAGE, MADV_SEQUENTIAL);
		if (mmap(at_page, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at_page)
			return;
		say("madvise page %u %zu %d", from, size, advice);
		result(madvise(at_page + (rarely(4) ? 1 : 0), rarely(8) ? 0 : size, advice));
		if (advice == MADV_DONTFORK) /* CAVEATS.md */
			madvise(at_page, size, MADV_DOFORK);
		break;
	}
	case 4: { /* in place */
		size_t smaller = PAGE * (1 + below((unsigned)(size / PAGE)));
		if (mmap(at_page, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at_page)
			return;
		pread(g_probe, at_page, PAGE, 0);
		say("mremap page %u %zu to %zu", from, size, smaller);
		address(mremap(at_page, size, smaller, 0));
		reserve(at_page + smaller, size - smaller);
		break;
	}
	case 5: {
		int flags = (int)ONE_OF(MREMAP_FIXED, 8, MREMAP_MAYMOVE | 16, MREMAP_DONTUNMAP);
		say("mremap page %u+%zu %zu flags %d", from, odd, size, flags);
		address(mremap(at_page + odd, size, rarely(4) ? 0 : size, flags, at_page));
		break;
	}
	default: {
		uint8_t there[64] = { 0 };
		odd = rarely(2) ? odd : 0;
		say("mincore page %u+%zu %zu", from, odd, size);
		result(mincore(at_page + odd, size, rarely(8) ? (uint8_t *)g_guard : there));
	}
	}
}

/* The process */

static void do_futex(void)
{
	static uint32_t word[4];
	struct timespec zero = { 0, rarely(10) ? -1 : 0 };
	long operation = ONE_OF(FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET, 99) |
			 ONE_OF(0, FUTEX_PRIVATE_FLAG);
	uint32_t value = below(3), *at_word = &word[below(2)];
	long third = ONE_OF(0, 1, -1);

	if ((operation & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && third == 0 && zero.tv_nsec < 0)
		return; /* two errors at once */
	if ((operation & FUTEX_CMD_MASK) <= FUTEX_WAKE && zero.tv_nsec == 0 && rarely(8))
		at_word = rarely(2) ? (uint32_t *)((char *)word + 1) : (uint32_t *)8;
	word[0] = below(2);
	say("futex %ld %u %ld", operation, value, third);
	bool waits = (operation & FUTEX_CMD_MASK) == FUTEX_WAIT || (operation & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
	result(syscall(SYS_futex, at_word, operation, value, waits ? (long)&zero : (long)below(2), &word[2], third));
	say(" %u %u", word[0], word[2]);
}

static void do_limits(void)
{
	struct rlimit limit = { 0, 0 }, seen = { 0, 0 };
	rlim_t wanted = below(100);
	long which = ONE_OF(RLIMIT_CORE, RLIMIT_CORE, 99, -1);

	say("prlimit %ld %lu", which, (unsigned long)wanted);
	if (result(syscall(SYS_prlimit64, 0, which, NULL, &limit)) != 0)
		return;
	bool beyond_hard = rarely(4);
	if (beyond_hard)
		limit.rlim_max = wanted, wanted++;
	else
		wanted = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	limit.rlim_cur = wanted;
	result(rarely(2) ? setrlimit((int)which, &limit) : syscall(SYS_prlimit64, 0, which, &limit, NULL));
	if (!beyond_hard && getrlimit((int)which, &seen) == 0)
		say(" as set %d", seen.rlim_cur == wanted);
}

static void do_process(void)
{
	switch (below(10)) {
	case 0: {
		char name[17] = { 0 };
		const char *set = WORD_OF("", "short", "much longer than it may be");
		say("prctl name %s", set);
		result(prctl(PR_SET_NAME, set));
		result(prctl(PR_GET_NAME, name));
		say(" %s", name);
		break;
	}
	case 1: {
		int number = (int)ONE_OF(0, SIGUSR1, 64, 65, -1), now = -1;
		say("prctl pdeathsig %d", number);
		result(prctl(PR_SET_PDEATHSIG, number));
		result(prctl(PR_GET_PDEATHSIG, &now));
		say(" %d", now);
		break;
	}
	case 2: {
		long what = ONE_OF(PR_GET_DUMPABLE, PR_GET_KEEPCAPS, PR_GET_TIMING, PR_GET_TIMERSLACK, 12345, PR_GET_SECUREBITS);
		say("prctl %ld", what);
		result(prctl((int)what, 0, 0, 0, 0));
		break;
	}
	case 3: {
		long what = ONE_OF(PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_TIMING), value = ONE_OF(0, 1, 2, -1);
		say("prctl %ld %ld", what, value);
		result(prctl((int)what, value, 0, 0, 0));
		break;
	}
	case 4: {
		long policy = ONE_OF(SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, 4, -1);
		say("sched_get_priority %ld", policy);
		result(sched_get_priority_max((int)policy));
		result(sched_get_priority_min((int)policy));
		break;
	}
	case 5: {
		struct sched_param p = { .sched_priority = (int)ONE_OF(0, 1, 100) };
		long policy = ONE_OF(SCHED_OTHER, SCHED_OTHER, 77);
		say("sched_setscheduler %ld %d", policy, p.sched_priority);
		result(sched_setscheduler(0, (int)policy, &p));
		result(sched_getscheduler(0));
		break;
	}
	case 6: {
		long which = ONE_OF(PRIO_PROCESS, 9);
		say("getpriority %ld", which);
		result(syscall(SYS_getpriority, which, 0) < 0 ? -1 : 0); /* the native run may be a nice one */
		break;
	}
	case 7: {
		int options = (int)ONE_OF(WNOHANG, WNOHANG | 0x100);
		say("wait4 %x", (unsigned)options);
		result(wait4(-1, NULL, options, NULL));
		siginfo_t info;
		result(waitid(P_ALL, 0, &info, WNOHANG | (int)ONE_OF(WEXITED, 0)));
		break;
	}
	case 8: {
		size_t size = (size_t)ONE_OF(24, 8, 0);
		say("set_robust_list %zu", size);
		if (size != 24)
			result(syscall(SYS_set_robust_list, g_buffer, size));
		break;
	}
	default: {
		unsigned flags = (unsigned)ONE_OF(0, 1, 2, 3, 4, 8, 6);
		say("getrandom %x", flags);
		result(syscall(SYS_getrandom, rarely(8) ? (void *)g_guard : g_buffer, 16, flags));
	}
	}
}

static void do_clocks(void)
{
	static timer_t timers[4];
	static bool made[4];
	static pid_t whose;
	unsigned which = below(4);

	if (whose != getpid()) /* none is inherited */
		memset(made, 0, sizeof made);
	whose = getpid();

	switch (below(7)) {
	case 0: {
		struct itimerval t = { { (long)below(5), 0 }, { rarely(2) ? 0 : 100000, rarely(12) ? 1000000 : 0 } }, old = { 0 };
		int kind = (int)ONE_OF(ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF, 3);
		say("setitimer %d %ld", kind, (long)t.it_value.tv_sec);
		if (result(setitimer(kind, &t, &old)) == 0)
			say(" every %ld armed %d", (long)old.it_interval.tv_sec, old.it_value.tv_sec != 0);
		break;
	}
	case 1: {
		unsigned seconds = rarely(2) ? 0 : 100000;
		say("alarm %u", seconds);
		result(alarm(seconds) != 0);
		break;
	}
	case 2: {
		struct sigevent event = { .sigev_notify = (int)ONE_OF(SIGEV_SIGNAL, SIGEV_SIGNAL, 9), .sigev_signo = (int)ONE_OF(SIGUSR1, 0, 65) };
		int clock = (int)ONE_OF(CLOCK_MONOTONIC, CLOCK_REALTIME, 77);
		int id = -1;
		if (made[which])
			break;
		say("timer_create %d %d %d", clock, event.sigev_notify, event.sigev_signo);
		if (result(syscall(SYS_timer_create, clock, &event, &id)) == 0)
			timers[which] = (timer_t)(intptr_t)id, made[which] = true;
		break;
	}
	case 3: {
		struct itimerspec t = { { (long)below(3), 7 }, { rarely(2) ? 0 : 100000, rarely(12) ? -1 : 0 } }, old = { 0 };
		if (!made[which])
			break;
		say("timer_settime %u %ld", which, (long)t.it_value.tv_sec);
		if (result(syscall(SYS_timer_settime, (int)(intptr_t)timers[which], 0, &t, &old)) == 0)
			say(" every %ld armed %d", (long)old.it_interval.tv_sec, old.it_value.tv_sec != 0);
		result(syscall(SYS_timer_getoverrun, (int)(intptr_t)timers[which]));
		break;
	}
	case 4:
		say("timer_delete %u", which);
		result(syscall(SYS_timer_delete, made[which] ? (int)(intptr_t)timers[which] : 99));
		made[which] = false;
		break;
	case 5: {
		struct timespec t = { 0, 0 };
		int clock = (int)ONE_OF(CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID, CLOCK_TAI, 77, -1);
		say("clock %d", clock);
		result(syscall(SYS_clock_getres, clock, &t));
		say(" %ld", (long)t.tv_sec);
		result(syscall(SYS_clock_gettime, clock, rarely(10) ? NULL : &t));
		break;
	}
	default: {
		struct timespec t = { rarely(5) ? -1 : 0, ONE_OF(0, 1, 1000000000, -1) };
		int clock = (int)ONE_OF(CLOCK_REALTIME, CLOCK_MONOTONIC, 77, CLOCK_THREAD_CPUTIME_ID), flags = (int)ONE_OF(0, TIMER_ABSTIME);
		say("clock_nanosleep %d %d %ld %ld", clock, flags, (long)t.tv_sec, t.tv_nsec);
		result(syscall(SYS_clock_nanosleep, clock, flags, &t, NULL));
	}
	}
}

static void do_altstack(void)
{
	static uint8_t stack[65536];
	stack_t s = { .ss_sp = stack, .ss_size = (size_t)ONE_OF(65536, 8192, 100, 0), .ss_flags = (int)ONE_OF(0, 0, SS_DISABLE, SS_ONSTACK, 1 << 31, 8) }, old;

	if (s.ss_size == 8192)
		s.ss_size = 32768;
	say("sigaltstack %zu %x", (size_t)s.ss_size, (unsigned)s.ss_flags);
	if (result(sigaltstack(rarely(4) ? NULL : &s, &old)) == 0)
		say(" was %zu %x", (size_t)old.ss_size, (unsigned)old.ss_flags);
}

#endif
