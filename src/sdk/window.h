/* CP_Files that libcvm has mapped for itself: see window.c. */
#ifndef SDK_WINDOW_H
#define SDK_WINDOW_H

#include "sdk/sdk.h"

/* Written once. */
struct sdk_window {
	int file;
	char *at;
	uint64_t size;
	uint32_t *heed; /* CAP_HEED; NULL: it is not writable */
};

struct sdk_file_use {
	struct sdk_window *window; /* atomic; NULL: none */
	int file;		   /* how often this one was used; atomic, and lost counts do not matter */
	uint32_t uses;
};
extern __attribute__((visibility("hidden"))) struct sdk_file_use g_sdk_file_use[CAPS_MAX]; /* by index */

/* Where all of [offset, offset + size) of the file is mapped; NULL if it is not, or is nothing. */
static inline const struct sdk_window *sdk_window(int file, uint64_t offset, uint64_t size)
{
	const struct sdk_window *w = __atomic_load_n(&g_sdk_file_use[(uint32_t)file % CAPS_MAX].window, __ATOMIC_ACQUIRE);

	return w && w->file == file && offset < w->size && size - 1 < w->size - offset ? w : NULL;
}

void sdk_file_used(int file);		   /* through the gate: it may be worth a window */
void sdk_file_unused(int file, bool open); /* takes its window away, if it has one; not open: the monitor unmaps it */

#endif
