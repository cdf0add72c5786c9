/*
 * Question: can a cVM leave a file behind that runs with another user's rights when somebody on the host starts it: by the
 * mode of a new file, of a nameless one, of a directory, or by chmod?
 * Expect: REFUSED: no bit beyond 01777 was set
 * Control: none: the mask has no option
 * Native: the mask of modes
 */
#include "attack.h"

static uint64_t g_shared;

static unsigned mode_of(uint64_t handle)
{
	static struct statx st;

	if (hostcall(HC_file_stat, handle, 0, 0, STATX_MODE, (uint64_t)&st, 0))
		breach("file_stat does not work");
	return st.stx_mode & 07777;
}

static void attack(void)
{
	static const int flags[] = { O_RDWR | O_CREAT | O_EXCL, O_RDWR | O_CREAT, O_RDWR | O_TMPFILE };
	static const unsigned modes[] = { 04755, 02755, 06777, 07777 };
	int made = 0;

	g_shared = granted_directory("symbols");
	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 0; k < 4; k++) {
			char name[] = "own-user-0";
			name[9] = (char)('0' + made);
			bool nameless = (flags[i] & O_TMPFILE) == O_TMPFILE;
			long file = hostcall(HC_file_open, g_shared, (uint64_t)(nameless ? "." : name), nameless ? 1 : 10, (uint64_t)flags[i], modes[k], 0);
			if (file < 0)
				continue;
			made++;
			if (mode_of((uint64_t)file) & 06000)
				breach("a new file has mode %o", mode_of((uint64_t)file));
			hostcall(HC_file_chmod, (uint64_t)file, modes[k], 0, 0, 0, 0);
			if (mode_of((uint64_t)file) & 06000)
				breach("after chmod it has mode %o", mode_of((uint64_t)file));
			if (hostcall(HC_file_chmod, (uint64_t)file, 0755, 0, 0, 0, 0) || mode_of((uint64_t)file) != 0755)
				breach("an ordinary chmod does not work");
			hostcall(HC_file_close, (uint64_t)file, 0, 0, 0, 0, 0);
		}
	}
	if (made < 8)
		breach("only %d files could be made", made);
	if (hostcall(HC_dir_mkdir, g_shared, (uint64_t)"own-group", 9, 07777, 0, 0))
		breach("mkdir does not work");
	long directory = hostcall(HC_file_open, g_shared, (uint64_t)"own-group", 9, O_RDONLY | O_DIRECTORY, 0, 0);
	if (directory < 0 || mode_of((uint64_t)directory) & 06000)
		breach("a new directory has mode %o", mode_of((uint64_t)directory));
	refused("no bit beyond 01777 was set");
}
