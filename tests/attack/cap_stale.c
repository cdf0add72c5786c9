/*
 * Question: does a closed handle work again when its place in the list is used by another capability? (Handle reuse is
 * to capabilities what use-after-free is to pointers.)
 * Expect: REFUSED: EBADF for every old handle
 * Control: --insecure-no-handle-check
 * Native: handles carry a generation
 */
#include "cap.h"

static void companion(void)
{
}

static void attack(void)
{
	static uint8_t secret = 42;
	uint32_t old[64];
	uint8_t byte = 0;

	for (int i = 0; i < 64; i++) {
		old[i] = must("cap_memory", CAP(cap_memory, &secret, 1, CAP_LOAD));
		CAP(cap_close, old[i]);
	}
	/* every place of the list is taken again */
	long handle;
	while ((handle = CAP(cap_memory, &secret, 1, CAP_LOAD)) > 0)
		for (int i = 0; i < 64; i++)
			if (handle == old[i])
				breach("handle %ld was given out twice", handle);
	if (handle != -EMFILE)
		breach("the list ended with %ld", handle);
	for (int i = 0; i < 64; i++) {
		long read = CAP(cap_read, old[i], &byte, 1, 0), closed = CAP(cap_close, old[i]);
		if (read != -EBADF || closed != -EBADF)
			breach("old handle %u: read %ld, close %ld", old[i], read, closed);
	}
	refused("EBADF for every old handle");
}
