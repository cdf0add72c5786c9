/*
 * Where the other binaries are: beside the command (the build directory), in ../lib/intravisor or ../libexec/intravisor (installed), or in
 * meson's tree of targets. Never taken from the environment or PATH.
 */
#ifndef CLI_HELPERS_H
#define CLI_HELPERS_H

#include <stdint.h>

struct helpers {
	char *monitor, *translate, *libos; /* absolute paths */
};

/* For a run with these LAUNCH_INSECURE_*. 0, or negative errno after a message. */
__attribute__((warn_unused_result)) int helpers_find(struct helpers *helpers, uint32_t insecure);
void helpers_free(struct helpers *helpers);

#endif
