/*
 * Random calls of syscalls_guest.c, which includes this, on what lives in memory: extended attributes and inotify. No file stays open: when
 * one that is gone is told of is CAVEATS.md's business.
 */
#ifndef TESTS_FUZZ_SYSCALLS_WATCH_H
#define TESTS_FUZZ_SYSCALLS_WATCH_H

#include <sys/inotify.h>
#include <sys/xattr.h>

static int g_watch[2]; /* inotify; 0: none */

static const char *watch_path(void)
{
	return WORD_OF("a", "b", "c", "d1", "d2", "d1/a", "d1/b", "d2/a", "d1/d2", "s1", ".", "d2/d1");
}

static void watch_make(void)
{
	int *n = &g_watch[below(2)];

	if (*n && rarely(8)) {
		say("close watch %td", n - g_watch);
		result(close(*n));
		*n = 0;
	} else if (!*n) {
		int flags = IN_NONBLOCK | (int)ONE_OF(0, IN_CLOEXEC, rarely(5));
		say("inotify_init %td %x", n - g_watch, (unsigned)flags);
		*n = inotify_init1(flags);
		if (result(*n < 0 ? -1 : 0) < 0)
			*n = 0;
	}
}

static void watch_add(void)
{
	unsigned which = below(2);
	const char *name = watch_path();
	uint32_t mask = (uint32_t)ONE_OF(IN_ALL_EVENTS, IN_ALL_EVENTS, IN_MODIFY, IN_CREATE | IN_DELETE, IN_MOVE, IN_ATTRIB | IN_ACCESS, IN_OPEN | IN_CLOSE, 0,
					  IN_DELETE_SELF | IN_MOVE_SELF, IN_ISDIR, 1u << 16) |
			(uint32_t)ONE_OF(0, 0, 0, 0, IN_ONESHOT, IN_MASK_ADD, IN_MASK_CREATE, IN_ONLYDIR, IN_DONT_FOLLOW, IN_MASK_ADD | IN_MASK_CREATE, IN_EXCL_UNLINK);
	int n = rarely(20) ? (int)ONE_OF(99, 0, 60) : g_watch[which];

	say("add_watch %d of %u %s %x", n ? n != g_watch[which] ? n : -2 : -1, which, name, mask);
	result(inotify_add_watch(n ? n : -1, name, mask));
}

static void watch_read(void)
{
	char bytes[4096] __attribute__((aligned(8)));
	uint32_t cookie = 0;
	unsigned which = below(2);
	size_t room = (size_t)ONE_OF(4096, 4096, 4096, 16, 40, 100, 0);
	int waiting = -1;
	struct pollfd p = { g_watch[which], POLLIN, 0 };

	if (!g_watch[which])
		return;
	ioctl(g_watch[which], FIONREAD, &waiting);
	say("watched %u %zu poll %d has %d", which, room, poll(&p, 1, 0), waiting);
	ssize_t n = result(read(g_watch[which], bytes, room));
	for (char *at = bytes; n > 0 && at < bytes + n;) {
		struct inotify_event *e = (void *)at;
		say(" %d:%x", e->wd, e->mask);
		if (e->len)
			say("[%s %u]", e->name, e->len);
		if (e->cookie)
			say("%s", e->cookie == cookie ? "=" : "*");
		cookie = e->cookie;
		at += sizeof *e + e->len;
	}
}

static void watch_remove(void)
{
	unsigned which = below(2);
	int wd = (int)below(rarely(4) ? 30 : 6) - rarely(20);

	if (!g_watch[which])
		return;
	say("rm_watch %u %d", which, wd);
	result(inotify_rm_watch(g_watch[which], wd));
}

/* What is done with a file while it is open. */
static void watch_use(const char *name)
{
	int flags = (int)ONE_OF(O_RDONLY, O_WRONLY | O_CREAT, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_WRONLY | O_TRUNC, O_PATH, O_RDONLY | O_DIRECTORY);
	unsigned what = below(8);
	struct stat st;
	int n;

	if (lstat(name, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) /* FIFOs would wait */
		return;
	say("use %s %o %u", name, (unsigned)flags, what);
	n = open(name, flags | O_CLOEXEC, 0644);
	if (result(n < 0 ? -1 : 0))
		return;
	fill(20);
	if (fstat(n, &st) == 0 && S_ISREG(st.st_mode))
		switch (what) {
		case 0: result(write(n, g_buffer, 10)); break;
		case 1: result(read(n, g_buffer, 10)); break;
		case 2: result(ftruncate(n, (long)below(9))); break;
		case 3: result(fallocate(n, 0, 0, 10)); break;
		case 4: result(fchmod(n, 0600)); break;
		case 5: result(pwrite(n, g_buffer, 0, 3)); break;
		case 6: result(fsetxattr(n, "user.f", "v", 1, 0)); break;
		default: break;
		}
	close(n);
}

/* Something to see. */
static void watch_change(void)
{
	const char *one = watch_path(), *two = watch_path();

	switch (below(14)) {
	case 0:
	case 1:
	case 2: watch_use(one); break;
	case 3: say("mkdir %s", one); result(mkdir(one, 0755)); break;
	case 4: say("rmdir %s", one); result(rmdir(one)); break;
	case 5: say("unlink %s", one); result(unlink(one)); break;
	case 6:
	case 7: say("rename %s %s", one, two); result(rename(one, two)); break;
	case 8: {
		unsigned flags = (unsigned)ONE_OF(1, 2, 2);
		say("renameat2 %s %s %u", one, two, flags);
		result(renameat2(AT_FDCWD, one, AT_FDCWD, two, flags));
		break;
	}
	case 9: say("link %s %s", one, two); result(link(one, two)); break;
	case 10: say("chmod %s", one); result(chmod(one, 0755)); break;
	case 11: {
		long size = (long)below(20);
		say("truncate %s %ld", one, size);
		result(truncate(one, size));
		break;
	}
	case 12: {
		struct timespec times[2] = { { 5, ONE_OF(0, UTIME_OMIT, UTIME_NOW) }, { 6, ONE_OF(0, UTIME_OMIT) } };
		int flags = (int)ONE_OF(0, AT_SYMLINK_NOFOLLOW);
		say("utimensat %s %ld %ld %x", one, times[0].tv_nsec, times[1].tv_nsec, (unsigned)flags);
		result(utimensat(AT_FDCWD, one, times, flags));
		break;
	}
	default: say("symlink %s %s", one, two); result(symlink(one, two)); /* leads nowhere, or to a directory */
	}
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void show_names(char *list, long size)
{
	char *names[64];
	size_t count = 0;

	for (char *at = list; at < list + size && count < 64; at += strlen(at) + 1)
		names[count++] = at;
	qsort(names, count, sizeof names[0], compare_words);
	for (size_t i = 0; i < count; i++)
		say(" %.30s", names[i]);
}

static void do_attributes(void)
{
	static char value[65540], longest[260];
	const char *file = rarely(20) ? WORD_OF("", "nothing/a", "a/b") : watch_path();
	const char *name = rarely(6) ? WORD_OF("", "user.", "nodot", "other.x", "system.x", "user", "trusted.", ".") : WORD_OF("user.a", "user.b", "user.a.b", "trusted.t", "user.f");
	long size = rarely(4) ? ONE_OF(0, 65536, 65537, 1, 4096) : (long)below(40);
	int flags = rarely(3) ? (int)ONE_OF(XATTR_CREATE, XATTR_REPLACE, 3, 4) : 0;
	bool follow = !rarely(4);
	struct stat st;
	bool there = (follow ? stat : lstat)(file, &st) == 0; /* which of two errors is found first depends on the version */
	void *at = there && rarely(30) ? (void *)8 : value;

	if (!there)
		name = "user.a", size = below(40), flags = 0;
	else if (rarely(30)) {
		memset(longest, 'n', sizeof longest);
		memcpy(longest, "user.", 5);
		longest[ONE_OF(254, 255, 256)] = 0;
		name = longest;
	}
	switch (below(5)) {
	case 0:
	case 1:
		fill(40);
		memcpy(value, g_buffer, 40);
		say("setxattr %s %.20s %zu %ld %x %d", file, name, strlen(name), size, (unsigned)flags, follow);
		result((follow ? setxattr : lsetxattr)(file, name, at, (size_t)size, flags));
		break;
	case 2: {
		memset(value, 0, sizeof value);
		say("getxattr %s %.20s %zu %ld %d", file, name, strlen(name), size, follow);
		long n = result((follow ? getxattr : lgetxattr)(file, name, at, (size_t)size));
		if (n > 0 && size)
			say(" #%x", hash(value, (size_t)n));
		break;
	}
	case 3: {
		say("listxattr %s %ld %d", file, size, follow);
		long n = result((follow ? listxattr : llistxattr)(file, value, (size_t)size));
		if (n > 0 && size)
			show_names(value, n);
		break;
	}
	default:
		say("removexattr %s %.20s %zu %d", file, name, strlen(name), follow);
		result((follow ? removexattr : lremovexattr)(file, name));
	}
}

#endif
