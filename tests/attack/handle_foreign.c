/*
 * Question: can a cVM use handles that are closed, never opened, beyond its table, or of the wrong kind?
 * Expect: REFUSED: EBADF for each
 * Control: --insecure-no-handle-check
 * Native: the handle table
 */
#include "attack.h"

static void attack(void)
{
	static char buffer[4096];
	long pair[2];
	int used = 0;

	for (int i = 0; i < 2; i++)
		if ((pair[i] = hostcall(HC_eventfd_create, 0, 0, 0, 0, 0, 0)) < 0)
			breach("eventfd_create does not work");
	hostcall(HC_file_close, (uint64_t)pair[0], 0, 0, 0, 0, 0);
	hostcall(HC_file_close, (uint64_t)pair[1], 0, 0, 0, 0, 0);
	for (int i = 0; i < 2; i++)
		if (hostcall(HC_file_write, (uint64_t)pair[i], (uint64_t)buffer, 1, 0, 0, 0) != -EBADF)
			breach("a closed handle still works");
	/* reading 0 bytes tells which handles exist without waiting on one */
	for (uint64_t handle = 300; handle < 70000; handle++) {
		long result = hostcall(HC_file_read, handle, (uint64_t)buffer, 0, 0, 0, 0);
		if (result != -EBADF)
			used++;
	}
	const uint64_t odd[] = { ~0ull, 1ull << 32, 1ull << 63, 0x7fffffff, 0xffffffff };
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
		if (hostcall(HC_file_read, odd[i], (uint64_t)buffer, 0, 0, 0, 0) != -EBADF)
			used++;
	if (used)
		breach("%d handles that were never given work", used);
	refused("EBADF for each");
}
