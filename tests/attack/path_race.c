/*
 * Question: can a path leave its granted directory while other threads rename what it goes through: a directory against
 * a link that climbs out, a directory moved away under a "..", a file against a link, a file against a FIFO?
 * Expect: REFUSED: 60000 opens in the middle of renames stayed inside
 * Control: --insecure-no-path-check
 * Native: openat2 and its flags
 */
#include "raw.h"

static uint64_t g_shared;
static volatile bool g_stop;

static long rename_exchange(const char *a, const char *b)
{
	return hostcall(HC_dir_rename, g_shared, (uint64_t)a, strlen(a), g_shared, (uint64_t)b, strlen(b) | 2ull << 32);
}

static void renames(void *pair)
{
	char **names = pair;

	while (!g_stop)
		rename_exchange(names[0], names[1]);
}

static void move_away(void *unused)
{
	(void)unused;
	while (!g_stop) {
		long deep = hostcall(HC_file_open, g_shared, (uint64_t)"a/deep", 6, O_RDONLY | O_DIRECTORY, 0, 0);
		if (deep >= 0) {
			hostcall(HC_dir_rename, (uint64_t)deep, (uint64_t)"moved", 5, g_shared, (uint64_t)"moved", 5);
			hostcall(HC_dir_rename, g_shared, (uint64_t)"moved", 5, (uint64_t)deep, (uint64_t)"moved", 5);
			hostcall(HC_file_close, (uint64_t)deep, 0, 0, 0, 0, 0);
		}
	}
}

static void look(const char *path, uint64_t flags, unsigned *opened)
{
	char text[8] = "";
	long file = hostcall(HC_file_open, g_shared, (uint64_t)path, strlen(path), flags, 0, 0);

	if (file < 0)
		return;
	++*opened;
	if (hostcall(HC_file_read, (uint64_t)file, (uint64_t)text, 7, 0, 0, 0) > 0 && !memcmp(text, "secret", 6))
		breach("%s led to the file outside", path);
	static struct statx st;
	if (!hostcall(HC_file_stat, (uint64_t)file, 0, 0, STATX_TYPE, (uint64_t)&st, 0) && !S_ISREG(st.stx_mode) && !(flags & O_PATH))
		breach("%s opened something of type %o", path, st.stx_mode & S_IFMT);
	hostcall(HC_file_close, (uint64_t)file, 0, 0, 0, 0, 0);
}

static void attack(void)
{
	static const char *pairs[][2] = { { "inside", "climbing-directory" }, { "file", "climbing-link" }, { "file2", "fifo" } };
	struct raw_thread *threads[4];
	unsigned opened = 0;

	g_shared = granted_directory("symbols");
	mkdir("/shared/inside", 0755);
	mkdir("/shared/a/deep", 0755);
	mkdir("/shared/a/deep/moved", 0755);
	static const char *const files[] = { "/shared/inside/secret", "/shared/file", "/shared/file2", "/shared/a/deep/moved/here" };
	for (size_t i = 0; i < 4; i++) {
		int fd = open(files[i], O_WRONLY | O_CREAT, 0644);
		if (write(fd, "inside\n", 7) != 7)
			breach("cannot write %s", files[i]);
		close(fd);
	}
	for (int i = 0; i < 3; i++)
		raw_start(threads[i] = raw_new(renames, pairs[i]));
	raw_start(threads[3] = raw_new(move_away, NULL));
	for (int i = 0; i < 10000; i++) {
		look("inside/secret", O_RDONLY, &opened);
		look("climbing-directory/secret", O_RDONLY, &opened);
		look("file", O_RDONLY, &opened);
		look("climbing-link", O_RDONLY | O_NOFOLLOW, &opened);
		look("file2", O_RDONLY | O_NONBLOCK, &opened);
		look("a/deep/moved/../../../../outside/secret", O_RDONLY, &opened);
	}
	g_stop = true;
	for (int i = 0; i < 4; i++)
		raw_wait(threads[i]);
	if (opened < 100)
		breach("only %u opens worked: the attack shows nothing", opened);
	refused("60000 opens in the middle of renames stayed inside");
}
