/*
 * From a configuration to what the monitor inherits: the launch description in a sealed memory file, the granted
 * descriptors, and the sockets to talk over. Everything that can be wrong with a grant is found here, before anything
 * is started.
 */
#ifndef CLI_LAUNCH_BUILD_H
#define CLI_LAUNCH_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "cli/host_path.h"
#include "cli/libos_image.h"
#include "config/config.h"

struct launch_plan {
	int launch_fd;	   /* the sealed description */
	int event_channel; /* the command's end */
	int code_channel[LAUNCH_CVMS_MAX];
	int log[LAUNCH_CVMS_MAX];    /* the command's ends of BOOT_HANDLE_LOG */
	int exec[LAUNCH_CVMS_MAX][2]; /* channels of abi/exec.h: the command's ends, and the cVMs'; or -1 */
	int output[LAUNCH_CVMS_MAX]; /* read ends of the cVMs' standard output and error, or -1 */
	int nice[LAUNCH_CVMS_MAX];   /* from the cpu weights */
	/* What the monitor inherits, launch_fd among them: descriptors above 2, all close-on-exec here, owned. */
	int *inherit;
	size_t inherited;
};

/* Descriptors 0, 1 and 2 exist afterwards: one that the caller closed is /dev/null, and no cVM gets it. Everything
 * above 2 becomes close-on-exec. Call first of all. */
void launch_prepare_stdio(void);

/* 0; -EINVAL with the error set when a grant names something wrong; another negative errno after a message. On failure
 * nothing stays open. `writable` are the directories that the configuration lets cVMs write to. Takes over the image's
 * descriptors in any case. */
__attribute__((warn_unused_result)) int launch_build(const struct config *config, uint32_t insecure,
						      const struct libos_image *image,
						      const struct host_places *writable, struct launch_plan *plan,
						      struct config_error *error);

/* Closes what only the monitor needs, once it has been started. */
void launch_close_inherited(struct launch_plan *plan);
void launch_close(struct launch_plan *plan);

#endif
