/*
 * Question: can a path leave a granted directory: by "..", an absolute path, an absolute or climbing symlink, a magic link?
 * Expect: REFUSED: nothing outside was opened
 * Control: --insecure-no-path-check
 * Native: openat2 and its flags
 */
#include "attack.h"

static long g_shared = -1;

/* The handle of /shared among the granted directories: the one in which the victim's file exists. */
static void find_shared(void)
{
	for (uint64_t handle = 3; handle < 64 && g_shared < 0; handle++) {
		long file = hostcall(HC_file_open, handle, (uint64_t)"symbols", 7, O_RDONLY, 0, 0);
		if (file >= 0) {
			g_shared = (long)handle;
			hostcall(HC_file_close, (uint64_t)file, 0, 0, 0, 0, 0);
		}
	}
	if (g_shared < 0)
		breach("the granted directory was not found");
}

static bool opens(const char *path, int flags)
{
	long file = hostcall(HC_file_open, (uint64_t)g_shared, (uint64_t)path, strlen(path), (uint64_t)flags, 0, 0);

	if (file >= 0)
		hostcall(HC_file_close, (uint64_t)file, 0, 0, 0, 0, 0);
	return file >= 0;
}

static void attack(void)
{
	find_shared();
	/* made by the harness: outside/secret beside the granted directory; links to it inside */
	static const char *const paths[] = { "../outside/secret", "a/../../outside/secret", "climbing-link", "climbing-directory/secret",
					     "proc-link", "../../../../../../../../etc/hostname" };
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		if (opens(paths[i], O_RDONLY))
			breach("opened %s", paths[i]);
	if (opens("absolute-link", O_RDONLY))
		breach("opened a file through an absolute link");
	if (opens("fifo", O_RDONLY | O_NONBLOCK))
		breach("opened a fifo");
	if (hostcall(HC_dir_mkdir, (uint64_t)g_shared, (uint64_t)"..", 2, 0755, 0, 0) != -EINVAL ||
	    hostcall(HC_dir_unlink, (uint64_t)g_shared, (uint64_t)"../outside/secret", 17, 0, 0, 0) >= 0 ||
	    hostcall(HC_dir_mkdir, (uint64_t)g_shared, (uint64_t)"../outside/new", 14, 0755, 0, 0) >= 0)
		breach("a name with a slash or dots was accepted");
	refused("nothing outside was opened");
}
