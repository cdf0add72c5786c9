/*
 * Question: cVMs share the standard streams with each other and with whoever started them: can one cVM switch them to
 * O_NONBLOCK, so that writes of others fail, or, where they are a file, write over what others wrote?
 * Expect: REFUSED: the streams are as they were
 * Control: none: kinds of handles and O_APPEND have no option
 * Native: kinds and rights of handles
 */
#include <sys/ioctl.h>

#include "attack.h"

static void attack(void)
{
	static const char mark[] = "BREACH: the attacker wrote here\n";
	static int one = 1;

	for (uint64_t handle = 0; handle < 3; handle++) {
		if (hostcall(HC_file_ioctl, handle, FIONBIO, (uint64_t)&one, 0, 0, 0) != -EBADF)
			breach("FIONBIO on stream %lu", handle);
		if (hostcall(HC_file_setfl, handle, O_NONBLOCK, 0, 0, 0, 0) != -EBADF || hostcall(HC_file_setfl, handle, O_APPEND, 0, 0, 0, 0) != -EBADF)
			breach("F_SETFL on stream %lu", handle);
		if (hostcall(HC_file_truncate, handle, 0, 0, 0, 0, 0) >= 0 || hostcall(HC_file_allocate, handle, 3, 0, PAGE, 0, 0) >= 0 ||
		    hostcall(HC_file_chmod, handle, 0, 0, 0, 0, 0) >= 0 || hostcall(HC_file_flock, handle, 2, 0, 0, 0, 0) >= 0)
			breach("stream %lu can be cut, punched, locked or have its mode changed", handle);
		long copy = hostcall(HC_file_dup, handle, 0, 0, 0, 0, 0);
		if (copy >= 0 && hostcall(HC_file_ioctl, (uint64_t)copy, FIONBIO, (uint64_t)&one, 0, 0, 0) != -EBADF)
			breach("FIONBIO on a copy of stream %lu", handle);
	}
	/* the first line of the output is the command's warning or the verdict: written over, it would be the mark */
	printf("REFUSED: the streams are as they were\n");
	fflush(stdout);
	for (uint64_t handle = 1; handle < 3; handle++) {
		struct { const void *base; uint64_t size; } iov = { mark, sizeof mark - 1 };
		hostcall(HC_file_pwrite, handle, (uint64_t)mark, sizeof mark - 1, 0, 0, 0);
		hostcall(HC_file_writev, handle, (uint64_t)&iov, 1, 0, 0, 0);
		if (hostcall(HC_file_seek, handle, 0, SEEK_SET, 0, 0, 0) >= 0)
			hostcall(HC_file_write, handle, (uint64_t)mark, sizeof mark - 1, 0, 0, 0);
	}
	_exit(0);
}
