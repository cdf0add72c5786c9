/*
 * Random calls of syscalls_guest.c, which includes this, on files by other ways: directories by any descriptor, /proc/self/fd, the
 * older forms of calls, owners, positions of data and holes, the vectored calls' first forms, splices with positions.
 */
#ifndef TESTS_FUZZ_SYSCALLS_PATHS_H
#define TESTS_FUZZ_SYSCALLS_PATHS_H

#include <utime.h>

#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY (1024 + 3)
#endif

/* A descriptor that a path may start from: often no directory, or one that is gone. */
static int folder(void)
{
	int n = rarely(3) ? at() : fd();

	return kept(n) && n != g_top ? AT_FDCWD : n;
}

static const char *short_path(void)
{
	const char *name = path();

	return name == (const char *)8 || strlen(name) > 200 ? "d1/b" : name;
}

static void said_folder(const char *call, int dir)
{
	say("%s %d", call, dir == g_top ? -2 : dir);
}

/* What the link of a descriptor says, without what is of this machine and run. */
static void show_link(const char *link)
{
	size_t skip = strlen(g_directory);

	const char *number = strchr(link, '#');

	if (strncmp(link, "/proc/", 6) == 0) /* has the process's number */
		say(" proc%s", strchr(link + 6, '/') ? strchr(link + 6, '/') : "");
	else if (strncmp(link, g_directory, skip) == 0)
		say(" %.*s%s", (int)(number ? (size_t)(number - link) : strlen(link)) - (int)skip, link + skip, number ? number + 1 + strspn(number + 1, "0123456789") : "");
	else
		say(" %.*s", (int)strcspn(link, "["), link);
}

static void do_below(void)
{
	const char *name = short_path();
	int dir = folder();
	long mode = ONE_OF(0755, 0700, 0644, 0), flags;

	switch (below(8)) {
	case 0:
		said_folder("mkdirat", dir);
		say(" %s %lo", shown(name), mode);
		result(mkdirat(dir, name, (mode_t)mode));
		break;
	case 1:
		flags = ONE_OF(0, 0, AT_REMOVEDIR);
		said_folder("unlinkat", dir);
		say(" %s %lx", shown(name), flags);
		result(unlinkat(dir, name, (int)flags));
		break;
	case 2:
	case 3:
		flags = ONE_OF(O_RDONLY, O_RDWR, O_WRONLY) | ONE_OF(0, O_CREAT, O_CREAT | O_EXCL, O_DIRECTORY, O_PATH, O_CREAT | O_DIRECTORY, O_CREAT | O_NOFOLLOW, O_NOATIME);
		said_folder("openat", dir);
		say(" %s %lo", shown(name), flags);
		opened(openat(dir, name, (int)flags, 0644));
		break;
	case 4: {
		char copy[300];
		int to = folder();
		snprintf(copy, sizeof copy, "%s", name);
		name = short_path();
		if (are_links(dir, copy, to, name))
			return;
		said_folder("renameat", dir);
		say(" %s %d %s", shown(copy), to == g_top ? -2 : to, shown(name));
		result(renameat(dir, copy, to, name));
		break;
	}
	case 5: {
		struct timespec times[2] = { { 7, (long)below(1000) }, { 8, ONE_OF(0, 1, UTIME_OMIT) } };
		struct stat st;
		if (dir < 0 || dir == g_top)
			return;
		say("futimens %d %ld", dir, times[1].tv_nsec);
		if (result(syscall(SYS_utimensat, dir, NULL, times, 0)) == 0 && fstat(dir, &st) == 0)
			say(" %ld.%ld", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec);
		break;
	}
	case 6: {
		struct stat st;
		flags = ONE_OF(0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH);
		said_folder("fstatat", dir);
		say(" %s %lx", shown(name), flags);
		if (result(fstatat(dir, name, &st, (int)flags)) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)))
			show_stat(&st);
		break;
	}
	default: {
		static char link[4300];
		bool empty = rarely(3);
		said_folder("readlinkat", dir);
		say(" %s", empty ? "empty" : shown(name));
		long n = readlinkat(dir, empty ? "" : name, link, sizeof link - 1);
		if (n < 0)
			result(n);
		else /* of a magic link, its length is nobody's business */
			link[n] = 0, show_link(link);
	}
	}
}

static void do_proc_fd(void)
{
	char name[40], link[4300] = { 0 };
	int n = fd();
	struct stat st, real;

	if (n < 0 || n > 99 || kept(n))
		return;
	snprintf(name, sizeof name, "%s/%d", WORD_OF("/proc/self/fd", "/dev/fd", "/proc/thread-self/fd"), n);
	bool there = fstat(n, &real) == 0;
	switch (below(5)) {
	case 0: {
		long r;
		say("readlink %s", name);
		r = readlink(name, link, sizeof link - 1);
		if (r < 0)
			result(r); /* the length of a number in it is nobody's business */
		else
			show_link(link);
		break;
	}
	case 1: {
		long flags = ONE_OF(O_RDONLY, O_RDWR, O_WRONLY | O_TRUNC, O_RDONLY | O_DIRECTORY, O_PATH, O_RDWR | O_CREAT, O_RDONLY | O_NOFOLLOW) | O_NONBLOCK; /* an open link shows what its descriptor was then */
		if (!g_on_tmpfs && readlink(name, link, sizeof link - 1) > 0 && strstr(link, " (deleted)")) /* CAVEATS.md */
			return;
		if (there && S_ISCHR(real.st_mode))
			return;
		say("open %s %lo", name, flags);
		opened(open(name, (int)flags, 0600));
		break;
	}
	case 2: {
		bool follow = !rarely(4);
		say("%s %s", follow ? "stat" : "lstat", name);
		if (result((follow ? stat : lstat)(name, &st)) || !there)
			break;
		if (follow)
			say(" same %d", st.st_ino == real.st_ino);
		else
			say(" mode %o size %ld", st.st_mode, (long)st.st_size);
		break;
	}
	case 3: {
		const char *to = short_path();
		if (!g_on_tmpfs || (there && !S_ISREG(real.st_mode) && !S_ISDIR(real.st_mode)))
			return;
		say("link %s to %s", name, shown(to));
		result(linkat(AT_FDCWD, name, AT_FDCWD, to, rarely(4) ? 0 : AT_SYMLINK_FOLLOW));
		break;
	}
	default: {
		const char *to = short_path();
		if (!g_on_tmpfs || (there && !S_ISREG(real.st_mode) && !S_ISDIR(real.st_mode)))
			return;
		say("link descriptor %d to %s", n, shown(to));
		result(linkat(n, "", AT_FDCWD, to, AT_EMPTY_PATH));
	}
	}
}

static void do_old_names(void)
{
	char copy[300];
	const char *name = short_path();
	struct stat st;
	long mode = ONE_OF(0644, 0755, 0);

	snprintf(copy, sizeof copy, "%s", name);
	switch (below(12)) {
	case 0: say("mkdir %s", shown(name)); result(syscall(SYS_mkdir, name, 0755)); break;
	case 1: say("rmdir %s", shown(name)); result(syscall(SYS_rmdir, name)); break;
	case 2: say("unlink %s", shown(name)); result(syscall(SYS_unlink, name)); break;
	case 3:
		name = short_path();
		if (are_links(AT_FDCWD, copy, AT_FDCWD, name))
			return;
		say("rename %s %s", shown(copy), shown(name));
		result(syscall(SYS_rename, copy, name));
		break;
	case 4: name = short_path(); say("link %s %s", shown(copy), shown(name)); result(syscall(SYS_link, copy, name)); break;
	case 5: say("symlink %s", shown(name)); result(syscall(SYS_symlink, WORD_OF("d1/..", "../top", "s2", "d2/a"), name)); break;
	case 6: say("mknod %s %lo", shown(name), mode); result(syscall(SYS_mknod, name, S_IFREG | mode, 0)); break;
	case 7: say("chmod %s %lo", shown(name), mode); result(syscall(SYS_chmod, name, mode)); break;
	case 8: mode = ONE_OF(0, 1, 2, 4, 7, 8); say("access %s %ld", shown(name), mode); result(syscall(SYS_access, name, mode)); break;
	case 9: {
		bool follow = rarely(2);
		say("%s %s", follow ? "stat" : "lstat", shown(name));
		if (result(syscall(follow ? SYS_stat : SYS_lstat, name, &st)) == 0)
			show_stat(&st);
		break;
	}
	case 10: {
		struct utimbuf times = { 11, (long)below(1u << 30) };
		say("utime %s", shown(name));
		if (result(syscall(SYS_utime, name, &times)) == 0 && stat(name, &st) == 0)
			say(" %ld %ld", (long)st.st_atime, (long)st.st_mtime);
		break;
	}
	default: {
		char link[16] = { 0 };
		int size = (int)ONE_OF(15, 2, 0, -1);
		say("readlink %s %d", shown(name), size);
		if (result(syscall(SYS_readlink, name, link, size)) > 0)
			say(" %.15s", link);
	}
	}
}

/* Owners, and what their change does to the mode. */
static void do_owner(void)
{
	const char *name = short_path();
	int n = fd(), flags = (int)ONE_OF(0, AT_SYMLINK_NOFOLLOW);
	uid_t user = (uid_t)ONE_OF(0, 1, 1000, -1);
	gid_t group = (gid_t)ONE_OF(0, 1, 1000, -1);
	struct stat st;

	if (!g_on_tmpfs)
		return;
	if (rarely(2)) {
		long mode = ONE_OF(04755, 02755, 06711, 02644, 0644);
		say("chmod %s %lo", shown(name), mode);
		result(chmod(name, (mode_t)mode));
	}
	if (rarely(3) && !kept(n)) {
		say("fchown %d %d %d", n, (int)user, (int)group);
		if (result(fchown(n, user, group)) == 0 && fstat(n, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
			say(" %o %d %d", st.st_mode, (int)st.st_uid, (int)st.st_gid);
		return;
	}
	say("fchownat %s %d %d %x", shown(name), (int)user, (int)group, (unsigned)flags);
	if (result(fchownat(AT_FDCWD, name, user, group, flags)) == 0 && fstatat(AT_FDCWD, name, &st, flags) == 0)
		say(" %o %d %d", st.st_mode, (int)st.st_uid, (int)st.st_gid);
}

static bool is_kind(int n, mode_t kind)
{
	struct stat st;

	return fstat(n, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

static void do_io_more(void)
{
	int n = fd(), to = fd();
	long where = offset() % 30000, size = (long)below(3000);
	struct iovec v[2] = { { g_buffer, (size_t)below(1500) }, { g_buffer + 4000, (size_t)below(1500) } };

	if (kept(n) || kept(to))
		return;
	switch (below(7)) {
	case 0:
		memset(g_buffer, 0x66, sizeof g_buffer);
		say("preadv %d %ld", n, where);
		if (result(preadv(n, v, 2, where)) >= 0)
			say(" #%x", hash(g_buffer, sizeof g_buffer));
		break;
	case 1:
		fill(6000);
		say("pwritev %d %ld", n, where);
		result(pwritev(n, v, 2, where));
		break;
	case 2: {
		int whence = (int)ONE_OF(SEEK_DATA, SEEK_HOLE);
		struct stat st;
		if (!is_kind(n, S_IFREG) || fstat(n, &st) || (where < st.st_size && where >= 0)) /* where data lies is the file system's business */
			return;
		say("lseek %d %ld %d", n, where, whence);
		result(lseek(n, where, whence));
		break;
	}
	case 3: { /* a file and a pipe */
		bool out = is_kind(n, S_IFIFO);
		off_t at_file = where, *use = rarely(2) ? &at_file : NULL;
		if (out == is_kind(to, S_IFIFO) || !is_kind(out ? to : n, S_IFREG))
			return;
		say("splice %d %d %ld at %ld", n, to, size % 400, use ? where : -1);
		result(splice(n, out ? NULL : use, to, out ? use : NULL, (size_t)(size % 400), SPLICE_F_NONBLOCK));
		say(" %ld", (long)at_file);
		break;
	}
	case 4:
		if (!is_kind(n, S_IFIFO))
			return;
		static const char lasts[400] = "what a pipe has got it may show as it is later, so this never changes"; /* CAVEATS.md */
		v[0] = (struct iovec){ (char *)lasts, v[0].iov_len % 200 };
		v[1] = (struct iovec){ (char *)lasts + 9, v[1].iov_len % 200 };
		say("vmsplice %d %zu %zu", n, v[0].iov_len, v[1].iov_len);
		result(vmsplice(n, v, 2, SPLICE_F_NONBLOCK));
		break;
	case 5: {
		off_t at_file = where;
		if (!is_kind(n, S_IFREG) || !is_kind(to, S_IFREG))
			return;
		say("copy_file_range to itself %d %ld %ld", n, where, size);
		result(copy_file_range(n, &at_file, n, &(off_t){ where + size / 2 }, (size_t)size, rarely(10)));
		say(" %ld", (long)at_file);
		break;
	}
	default: {
		int mode = (int)ONE_OF(FALLOC_FL_ZERO_RANGE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE, 0x100, FALLOC_FL_ZERO_RANGE | FALLOC_FL_PUNCH_HOLE);
		if (is_kind(n, S_IFREG)) /* which of them a file system has is its business */
			return;
		say("fallocate %d %x %ld %ld", n, (unsigned)mode, where, size);
		result(fallocate(n, mode, where, size));
	}
	}
}

static void do_fcntl_more(void)
{
	int n = fd(), other = fd();

	if (kept(n))
		return;
	switch (below(8)) {
	case 0: {
		int from = (int)ONE_OF(3, 10, 40, -1, 1 << 30);
		say("F_DUPFD_CLOEXEC %d %d", n, from);
		long r = fcntl(n, F_DUPFD_CLOEXEC, from);
		result(r);
		if (r >= 0)
			say(" %d", fcntl((int)r, F_GETFD));
		if (r > FD_LAST)
			close((int)r);
		break;
	}
	case 1:
		say("F_DUPFD_QUERY %d %d", n, other);
		result(fcntl(n, F_DUPFD_QUERY, other));
		break;
	case 2: {
		int on = (int)below(2);
		say("FIONBIO %d", n);
		if (!on && !g_files)
			on = 1; /* nobody may wait */
		result(ioctl(n, FIONBIO, &on));
		result(fcntl(n, F_GETFL));
		break;
	}
	case 3: {
		long who = ONE_OF(0, 0, -1);
		say("F_SETOWN %d %ld", n, who);
		result(fcntl(n, F_SETOWN, who == -1 ? -getpgrp() : who));
		say(" %d", fcntl(n, F_GETOWN) != 0);
		break;
	}
	case 4: {
		int signal = (int)ONE_OF(0, SIGUSR1, 64, 65, -1);
		say("F_SETSIG %d %d", n, signal);
		result(fcntl(n, F_SETSIG, signal));
		result(fcntl(n, F_GETSIG));
		break;
	}
	case 5: {
		long size = ONE_OF(0, 4096, 5000, 8192, 65536, 1 << 20, -1);
		if (is_pipe(n) && (size < 65536 || rarely(2)))
			size = 65536 * 2; /* what fits into less depends on how it was filled */
		say("F_SETPIPE_SZ %d %ld", n, size);
		result(fcntl(n, F_SETPIPE_SZ, size));
		break;
	}
	case 6: {
		int command = (int)ONE_OF(F_GETLEASE, 99, 1100, F_GETOWN);
		if (!is_kind(n, S_IFREG) && command == F_GETLEASE)
			return;
		say("fcntl %d %d", n, command);
		result(fcntl(n, command, 0) < 0 ? -1 : 0);
		break;
	}
	default: {
		int flags = (int)ONE_OF(O_APPEND | O_NONBLOCK, O_NONBLOCK, O_NONBLOCK | O_CREAT | O_RDWR, O_NONBLOCK | O_NOATIME);
		say("F_SETFL %d %o", n, (unsigned)flags);
		result(fcntl(n, F_SETFL, flags));
		result(fcntl(n, F_GETFL));
	}
	}
}

/* Files without a name, and memfds of all kinds. */
static void do_nameless(void)
{
	if (g_files && !g_on_tmpfs) /* see do_write */
		return;
	if (rarely(2)) {
		unsigned flags = (unsigned)ONE_OF(0, MFD_CLOEXEC | MFD_ALLOW_SEALING, 8, 16, 24, 32, MFD_HUGETLB | 1);
		const char *name = rarely(8) ? (const char *)8 : WORD_OF("", "x", "a/b");
		if (flags & MFD_HUGETLB)
			flags |= 1u << 20; /* what the machine has of huge pages is its business: bits that mean nothing */
		say("memfd_create %s %x", shown(name), flags);
		long r = syscall(SYS_memfd_create, name, flags);
		if (r >= 0)
			say(" seals %d", fcntl((int)r, F_GET_SEALS));
		opened(r);
	} else if (g_on_tmpfs && g_files) {
		const char *name = WORD_OF(".", "d1", "a", "s1", "nothing", "");
		long flags = ONE_OF(O_RDWR, O_WRONLY, O_RDONLY, O_RDWR | O_EXCL, O_RDWR | O_CREAT);
		say("O_TMPFILE %s %lo", name, flags);
		opened(openat(AT_FDCWD, name, O_TMPFILE | (int)flags, 0600));
	}
}

#endif
