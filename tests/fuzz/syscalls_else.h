/*
 * Random calls of syscalls_guest.c, which includes this, that no other family makes: what /proc says of descriptors, signals and memory, other
 * ways to make room, attributes of open files, openat2's rules, and small calls about the process.
 */
#ifndef TESTS_FUZZ_SYSCALLS_ELSE_H
#define TESTS_FUZZ_SYSCALLS_ELSE_H

#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/xattr.h>

/* The line of `text` that begins with `key`. */
static void say_line(const char *text, const char *key)
{
	const char *at = strncmp(text, key, strlen(key)) ? NULL : text;
	char search[40];

	if (!at) {
		snprintf(search, sizeof search, "\n%s", key);
		at = strstr(text, search);
		at = at ? at + 1 : NULL;
	}
	if (at)
		say(" [%.*s]", (int)strcspn(at, "\n"), at);
}

static void do_fdinfo(void)
{
	static char text[8192];
	char name[40];
	int n = fd();
	struct stat st;

	if (kept(n))
		return;
	snprintf(name, sizeof name, "/proc/self/fdinfo/%d", n);
	say("fdinfo %d", n);
	if (result(read_text(name, text, sizeof text) < 0 ? -1 : 0))
		return;
	if (fstat(n, &st) == 0 && !S_ISDIR(st.st_mode)) /* positions in directories are cookies */
		say_line(text, "pos:");
	say_line(text, "flags:");
}

static void do_status(void)
{
	static const char *const keys[] = { "Umask:", "TracerPid:", "Uid:", "Gid:", "Threads:", "SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:" };
	static char text[8192];

	say("status");
	result(read_text("/proc/self/status", text, sizeof text) < 0 ? -1 : 0);
	for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++)
		say_line(text, keys[i]);
}

static void do_maps(void)
{
	unsigned number;
	uint8_t *where = page(&number);
	char line[300];
	unsigned long start, at;
	char access[8];
	int before = 0;

	say("maps page %u", number);
	if (result(maps_line(where, line, sizeof line) ? 0 : -1))
		return;
	if (sscanf(line, "%lx-%*x %7s %lx %*s %*s%n", &start, access, &at, &before) != 3)
		return;
	say(" %s", access);
	char *path = line + before + strspn(line + before, " ");
	size_t size = strlen(path), skip = strlen(g_directory);
	if (size > skip && !strncmp(path, g_directory, skip))
		say(" at %lx %.30s", at + ((uintptr_t)where - start), path + skip);
	else if (size)
		say(" %.12s", path);
}

/* Ways to make room that not every file system has. */
static void do_room_more(void)
{
	int n = fd(), mode = (int)ONE_OF(FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
					 FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	long from = rarely(3) ? (long)below(20000) : 4096l * below(5), size = rarely(3) ? (long)below(20000) : 4096l * below(5);
	struct stat st;

	if (!is_kind(n, S_IFREG) || kept(n) || (g_on_tmpfs && mode & FALLOC_FL_ZERO_RANGE)) /* in memory more than on Linux */
		return;
	say("fallocate %d %x %ld %ld", n, (unsigned)mode, from, size);
	result(fallocate(n, mode, from, size));
	if (fstat(n, &st) == 0)
		say(" size %ld", (long)st.st_size);
}

/* The whole of an open directory, which may be gone. */
static void do_list_open(void)
{
	int n = fd();
	char *names[256];
	size_t count = 0;
	long got, room = ONE_OF(4096, 300, 24, 0);
	bool old = rarely(4);

	if (!is_kind(n, S_IFDIR) || kept(n))
		return;
	say("list %d %ld", n, room);
	if (result(lseek(n, 0, SEEK_SET)))
		return;
	while ((got = syscall(old ? SYS_getdents : SYS_getdents64, n, g_buffer, room)) > 0)
		for (uint8_t *p = g_buffer; p < g_buffer + got && count < 256;) {
			struct dirent64 *e = (void *)p;
			names[count++] = strdup(old ? (char *)p + 18 : e->d_name);
			p += e->d_reclen;
		}
	result(got);
	lseek(n, 0, SEEK_SET); /* where it is now, is the file system's business, and no reader's */
	qsort(names, count, sizeof names[0], compare_names);
	for (size_t i = 0; i < count; i++) {
		if (got == 0) /* which are listed before one that has no room is the file system's business */
			say(" %.30s", names[i]);
		free(names[i]);
	}
}

static void do_resolve(void)
{
	struct {
		struct open_how how;
		uint64_t more;
	} big = { .how = { .flags = (uint64_t)(ONE_OF(O_RDONLY, O_RDWR, O_PATH, O_PATH | O_NOFOLLOW, O_RDONLY | O_DIRECTORY, O_RDWR | O_CREAT)),
			   .resolve = (uint64_t)(ONE_OF(0, RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT) | ONE_OF(0, 0, RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS)) },
		  .more = rarely(8) };
	const char *name = rarely(2) ? short_path() : WORD_OF("/a", "/d1/a", "/s1", "..", "../top/a", "d1/../a", "d1/../../top", "d1/../../../a", "s1/../a", "/..", "/../a", "/proc/self/cwd/a", g_on_tmpfs ? "/proc/self/fd/4" : "/", "/dev/null"); /* such as do_proc_fd opens */
	if (!strncmp(name, "/proc/self/fd", 13)) /* an open link shows what its descriptor was then */
		big.how.flags &= ~(uint64_t)O_NOFOLLOW;
	int dir = folder();
	size_t size = (size_t)(rarely(8) ? ONE_OF(0, 8, 23, 4096 + 8) : rarely(3) ? sizeof big : sizeof big.how);

	big.how.mode = big.how.flags & O_CREAT ? 0640 : 0;
	bool inside = big.how.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT);
	/* What lies outside is nobody's business, and natively the machine's: a descriptor of it would be changed by other calls (it was: "/"). */
	if (!inside && ((name[0] == '/' && strncmp(name, "/proc/self/", 11)) || strstr(name, "..")))
		return;
	if (size == 4096 + 8) { /* more than a page */
		memset(g_buffer, 0, size);
		memcpy(g_buffer, &big, sizeof big);
	}
	said_folder("openat2", dir);
	say(" %s %lo %lx size %zu%s", shown(name), (long)big.how.flags, (long)big.how.resolve, size, big.more ? " more" : "");
	opened(syscall(SYS_openat2, dir, name, size == 4096 + 8 ? (void *)g_buffer : &big, size));
}

static void do_rwf(void)
{
	struct iovec v = { g_buffer, 1 + below(500) };
	int n = fd(), flags = (int)ONE_OF(RWF_HIPRI, RWF_HIPRI | RWF_SYNC, RWF_DSYNC, RWF_SYNC); /* others: CAVEATS.md */
	long from = rarely(3) ? -1 : (long)below(9000);
	bool writes = rarely(2);

	if (!is_kind(n, S_IFREG) || kept(n))
		return;
	if (writes)
		fill(v.iov_len);
	else
		memset(g_buffer, 0x46, sizeof g_buffer);
	say("%s %d %zu %ld %x", writes ? "pwritev2" : "preadv2", n, v.iov_len, from, (unsigned)flags);
	long r = result(syscall(writes ? SYS_pwritev2 : SYS_preadv2, n, &v, 1, from, 0, flags));
	if (r >= 0 && !writes)
		say(" #%x", hash(g_buffer, sizeof g_buffer));
	say(" at %ld", (long)lseek(n, 0, SEEK_CUR));
}

/* Attributes of what is open; none of a volume's files are seen (CAVEATS.md). */
static void do_attributes_open(void)
{
	static char value[256];
	const char *name = WORD_OF("user.a", "user.b", "trusted.t", "user.", "other.x", "system.x");
	int n = fd(), flags = (int)ONE_OF(0, 0, XATTR_CREATE, XATTR_REPLACE, 3);
	size_t size = (size_t)ONE_OF(0, 5, 30, 200);

	if (!g_on_tmpfs || kept(n) || !(is_kind(n, S_IFREG) || is_kind(n, S_IFDIR)))
		return;
	switch (below(4)) {
	case 0:
		fill(200);
		say("fsetxattr %d %s %zu %x", n, name, size, (unsigned)flags);
		result(fsetxattr(n, name, g_buffer, size, flags));
		break;
	case 1: {
		say("fgetxattr %d %s %zu", n, name, size);
		long r = result(fgetxattr(n, name, value, size));
		if (r > 0 && size)
			say(" #%x", hash(value, (size_t)r));
		break;
	}
	case 2: {
		say("flistxattr %d %zu", n, size);
		long r = result(flistxattr(n, value, size));
		if (r > 0 && size)
			show_names(value, r);
		break;
	}
	default:
		say("fremovexattr %d %s", n, name);
		result(fremovexattr(n, name));
	}
}

static void process_numbers(void)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attr = { .size = (uint32_t)ONE_OF(48, 48, 0, 4, 200), .policy = (uint32_t)ONE_OF(0, 3, 5, 77), .flags = (uint64_t)ONE_OF(0, 0, 1 << 20), .priority = (uint32_t)ONE_OF(0, 0, 1) };
	struct sched_param p = { .sched_priority = (int)ONE_OF(0, 1, -1) };
	long who = ONE_OF(0, 0, 0x7fffffff, -1);

	switch (below(8)) {
	case 0: {
		unsigned size = (unsigned)ONE_OF(48, 56, 40, 0, 100000);
		say("sched_getattr %ld %u", who, size);
		if (result(syscall(SYS_sched_getattr, who, g_buffer, size, (long)ONE_OF(0, 0, 0, 1))) == 0)
			say(" size %u policy %u", *(uint32_t *)g_buffer, *(uint32_t *)(g_buffer + 4));
		break;
	}
	case 1:
		say("sched_setattr %ld %u %u %lu %u", who, attr.size, attr.policy, (unsigned long)attr.flags, attr.priority);
		attr.nice = getpriority(PRIO_PROCESS, 0);
		result(syscall(SYS_sched_setattr, who, &attr, 0));
		result(sched_getscheduler(0));
		break;
	case 2:
		say("sched_getparam %ld", who);
		if (result(syscall(SYS_sched_getparam, who, rarely(8) ? NULL : &p)) == 0)
			say(" %d", p.sched_priority);
		break;
	case 3:
		say("sched_setparam %ld %d", who, p.sched_priority);
		result(syscall(SYS_sched_setparam, who, &p));
		break;
	case 4: {
		size_t size = (size_t)ONE_OF(8, 128, 1024, 7, 0);
		say("sched_getaffinity %ld %zu", who, size);
		long r = syscall(SYS_sched_getaffinity, who, size, g_buffer);
		result(r < 0 ? r : 0);
		break;
	}
	case 5:
		memset(g_buffer, 0, 128);
		g_buffer[0] = (uint8_t)ONE_OF(0, 1);
		say("sched_setaffinity %ld %d", who, g_buffer[0]);
		result(syscall(SYS_sched_setaffinity, who, 128, g_buffer));
		break;
	case 6: {
		int which = (int)ONE_OF(1, 2, 9, 0), value = (int)ONE_OF(0, 2 << 13 | 4, 2 << 13 | 8, 3 << 13, 4 << 13);
		say("ioprio_set %d %ld %x", which, who, (unsigned)value);
		if (which == 2) /* which processes are meant is nobody's business */
			return;
		result(syscall(SYS_ioprio_set, which, who, value));
		result(syscall(SYS_ioprio_get, which, who));
		break;
	}
	default:
		say("sched_rr_get_interval %ld", who);
		result(syscall(SYS_sched_rr_get_interval, who, g_buffer));
	}
}

static void do_process_else(void)
{
	switch (below(12)) {
	case 0: {
		struct __user_cap_header_struct head = { (uint32_t)ONE_OF(_LINUX_CAPABILITY_VERSION_3, _LINUX_CAPABILITY_VERSION_1, 5), (int)ONE_OF(0, -1, 0x7fffffff) };
		bool none = rarely(4);
		say("capget %x %d%s", head.version, head.pid, none ? " none" : "");
		result(syscall(SYS_capget, &head, none ? NULL : g_buffer));
		say(" %x", head.version);
		break;
	}
	case 1: {
		long value = ONE_OF(0xffffffff, 0); /* others: CAVEATS.md */
		say("personality %lx", value);
		result(syscall(SYS_personality, value));
		break;
	}
	case 2: {
		long to = ONE_OF(0, -1);
		say("setfsuid %ld", to);
		result(setfsuid((uid_t)to));
		result(setfsgid((gid_t)to));
		break;
	}
	case 3: {
		int who = (int)ONE_OF(RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD, 5, -5);
		say("getrusage %d", who);
		result(syscall(SYS_getrusage, who, rarely(6) ? (void *)8 : g_buffer));
		break;
	}
	case 4: {
		struct utsname name;
		say("uname");
		result(uname(&name));
		say(" %s %s", name.sysname, name.machine);
		result(syscall(SYS_uname, 8));
		result(syscall(SYS_sysinfo, rarely(2) ? (void *)8 : g_buffer));
		break;
	}
	case 5: {
		long size = ONE_OF(-1, 65, 1000);
		say("sethostname %ld", size);
		result(syscall(rarely(2) ? SYS_sethostname : SYS_setdomainname, "x", size));
		break;
	}
	case 6: {
		int which = (int)ONE_OF(PRIO_PROCESS, PRIO_PROCESS, PRIO_PGRP, 7), who = (int)ONE_OF(0, 0x7fffffff, -1);
		int nice = getpriority(PRIO_PROCESS, 0);
		if (which == PRIO_PGRP && who == 0)
			return;
		say("setpriority %d %d", which, who);
		result(setpriority(which, (id_t)who, nice));
		break;
	}
	case 7: {
		struct itimerval t;
		int which = (int)ONE_OF(ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF, 3);
		say("getitimer %d", which);
		if (result(syscall(SYS_getitimer, which, rarely(8) ? NULL : &t)) == 0)
			say(" every %ld armed %d", (long)t.it_interval.tv_sec, t.it_value.tv_sec != 0);
		break;
	}
	case 8: {
		long r;
		say("small");
		result(syscall(SYS_getcpu, rarely(2) ? NULL : g_buffer, NULL, NULL));
		r = syscall(SYS_times, rarely(3) ? (void *)8 : g_buffer);
		result(r < 0 ? -1 : 0);
		result(syscall(SYS_gettimeofday, rarely(3) ? (void *)8 : g_buffer, NULL));
		result(syscall(SYS_nanosleep, &(struct timespec){ 0, ONE_OF(0, 1, -1, 1000000000) }, NULL));
		result(syscall(SYS_arch_prctl, ONE_OF(0x1234, 0x1003), 8));
		break;
	}
	case 9: {
		long size = 0;
		void *head = NULL;
		long who = ONE_OF(0, 0x7fffffff);
		say("get_robust_list %ld", who);
		result(syscall(SYS_get_robust_list, who, &head, &size));
		say(" %ld", size);
		break;
	}
	case 10: {
		int flags = (int)ONE_OF(0, 8, 4, 1 | 4);
		say("mlockall %d", flags);
		result(flags == 5 ? 0 : mlockall(flags));
		result(munlockall());
		break;
	}
	default: process_numbers();
	}
}

#endif
