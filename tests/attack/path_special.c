/*
 * Question: are a FIFO, a socket or a device node in a granted directory, or the host's /proc, /sys, /dev and other mounts
 * below the granted root, within reach: by opening, by truncating, or by a path handle that changes mode or owner?
 * Expect: REFUSED: only files, directories and links of the granted file system
 * Control: --insecure-no-path-check
 * Native: types of files and RESOLVE_NO_XDEV
 */
#include "attack.h"

static long open_in(uint64_t directory, const char *path, uint64_t flags)
{
	return hostcall(HC_file_open, directory, (uint64_t)path, strlen(path), flags, 0644, 0);
}

static void attack(void)
{
	static const uint64_t flags[] = { O_RDONLY, O_RDONLY | O_NONBLOCK, O_WRONLY | O_NONBLOCK, O_RDWR | O_NONBLOCK, O_RDONLY | O_TRUNC,
					  O_RDWR | O_CREAT, O_RDONLY | O_DIRECTORY };
	static const char *const special[] = { "fifo", "socket", "device", "block-device" };
	static const char *const mounts[] = { "proc/self/maps", "proc/self/environ", "proc/1/environ", "proc/sys/kernel/hostname", "proc", "sys/kernel",
					      "sys", "dev/null", "dev/mem", "dev/shm", "dev" };
	uint64_t shared = granted_directory("symbols"), root = granted_directory("etc/passwd");
	static struct statx st;

	for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
		if (open_in(root, mounts[i], O_RDONLY) >= 0)
			breach("opened /%s of the host", mounts[i]);
		if (open_in(root, mounts[i], O_PATH) >= 0)
			breach("has a path handle of /%s of the host", mounts[i]);
		if (!hostcall(HC_file_stat, root, (uint64_t)mounts[i], strlen(mounts[i]), STATX_BASIC_STATS, (uint64_t)&st, 0))
			breach("looked at /%s of the host", mounts[i]);
	}
	for (size_t i = 0; i < 4; i++) {
		bool there = !hostcall(HC_file_stat, shared, (uint64_t)special[i], strlen(special[i]), STATX_BASIC_STATS, (uint64_t)&st, 0);
		if (i < 2 && !there)
			breach("the test has no %s", special[i]);
		for (size_t k = 0; there && k < sizeof flags / sizeof flags[0]; k++)
			if (open_in(shared, special[i], flags[k]) >= 0)
				breach("opened %s with flags %#lx", special[i], flags[k]);
		if (there && open_in(shared, special[i], O_PATH) >= 0)
			breach("has a path handle of %s, for chmod or a link", special[i]);
	}
	if (open_in(shared, "symbols", O_RDONLY) < 0 || open_in(root, "etc/passwd", O_RDONLY) < 0)
		breach("ordinary files cannot be opened");
	refused("only files, directories and links of the granted file system");
}
