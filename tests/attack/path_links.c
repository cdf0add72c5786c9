/*
 * Question: can a link turn a grant into more: a hard link of a read-only file into a writable directory, a hard link of a
 * link or of a granted directory itself, a link that the host follows, a handle of another grant as a directory to link in?
 * Expect: REFUSED: read-only stays read-only, links are only names
 * Control: none: rights of handles have no option
 * Native: rights of handles
 */
#include "attack.h"

static long open_in(uint64_t directory, const char *path, uint64_t flags)
{
	return hostcall(HC_file_open, directory, (uint64_t)path, strlen(path), flags, 0644, 0);
}

static long hard_link(long file, uint64_t directory, const char *name)
{
	return hostcall(HC_dir_link, (uint64_t)file, directory, (uint64_t)name, strlen(name), 0, 0);
}

static void attack(void)
{
	uint64_t shared = granted_directory("symbols"), read_only = granted_directory("read-only-mark"), root = granted_directory("etc/passwd");
	long mark = open_in(read_only, "read-only-mark", O_RDONLY), mark_path = open_in(read_only, "read-only-mark", O_PATH);
	long passwd = open_in(root, "etc/passwd", O_RDONLY), link = open_in(shared, "climbing-link", O_PATH | O_NOFOLLOW);
	char text[64];

	if (mark < 0 || mark_path < 0 || passwd < 0 || link < 0)
		breach("cannot open: %ld %ld %ld %ld", mark, mark_path, passwd, link);
	if (hard_link(mark, shared, "mine") != -EROFS || hard_link(mark_path, shared, "mine") != -EROFS || hard_link(passwd, shared, "mine") != -EROFS)
		breach("a read-only file got a name in a writable directory");
	if (hard_link((long)shared, shared, "mine") >= 0 || hard_link((long)root, shared, "mine") >= 0)
		breach("a directory was linked");
	if (hard_link(open_in(shared, "symbols", O_RDONLY), read_only, "mine") != -EROFS)
		breach("a name was made in a read-only directory");
	if (hostcall(HC_dir_rename, read_only, (uint64_t)"read-only-mark", 14, shared, (uint64_t)"mine", 4) != -EROFS ||
	    hostcall(HC_dir_rename, shared, (uint64_t)"symbols", 7, read_only, (uint64_t)"mine", 4) != -EROFS)
		breach("a rename crossed a read-only grant");
	/* a link to a link is that link, not what it names */
	hard_link(link, shared, "linked-link");
	if (open_in(shared, "linked-link", O_RDONLY) >= 0)
		breach("a hard link led to where its link climbs");
	/* links of our own to every place that only the host's root has */
	static const char *const targets[] = { "../outside/secret", "/proc/self/root", "/proc/self/fd/0", "/proc/1/root/etc/shadow",
					       "../../../../../../../../etc/passwd", "/dev/mem", "/read-only/read-only-mark", "../read-only/read-only-mark" };
	for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
		hostcall(HC_dir_unlink, shared, (uint64_t)"own-link", 8, 0, 0, 0);
		if (hostcall(HC_dir_symlink, (uint64_t)targets[i], strlen(targets[i]), shared, (uint64_t)"own-link", 8, 0))
			breach("cannot make a link");
		if (open_in(shared, "own-link", O_RDWR) >= 0 || open_in(shared, "own-link", O_RDONLY) >= 0 || open_in(shared, "own-link/.", O_RDONLY) >= 0 ||
		    open_in(shared, "own-link", O_WRONLY | O_CREAT) >= 0)
			breach("a link to %s was followed", targets[i]);
		if (hostcall(HC_file_readlink, shared, (uint64_t)"own-link", 8, (uint64_t)text, sizeof text, 0) != (long)strlen(targets[i]))
			breach("reading the link itself does not work");
	}
	refused("read-only stays read-only, links are only names");
}
