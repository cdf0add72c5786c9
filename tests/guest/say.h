/* How guest programs say what they see: T, to be compared with a native run, and CHECK, where there is none. */
#ifndef SAY_H
#define SAY_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define T(call)                                                                 \
	do {                                                                    \
		errno = 0;                                                      \
		long ret_ = (long)(call);                                       \
		printf("%s -> %s\n", #call, ret_ < 0 ? strerror(errno) : "ok"); \
	} while (0)

static int g_failures __attribute__((unused));

#define CHECK(what)                                                                     \
	do {                                                                            \
		errno = 0;                                                              \
		if (!(what)) {                                                          \
			printf("line %d: %s (%s)\n", __LINE__, #what, strerror(errno)); \
			g_failures++;                                                   \
		}                                                                       \
	} while (0)

#endif
