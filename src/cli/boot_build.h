/*
 * Boot information for a cVM's libOS (abi/boot.h): arguments, environment and the mount table.
 */
#ifndef CLI_BOOT_BUILD_H
#define CLI_BOOT_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

#define BOOT_SIZE_MAX (8u << 20)
#define BOOT_HANDLE_ROOT 4u /* 0, 1, 2 are standard input, output and error, 3 is BOOT_HANDLE_LOG */
#define BOOT_HANDLE_VOLUMES 5u

/* `volume_is_file[i]` tells a file from a directory; `exec` is the handle of abi/exec.h or 0, `flags` are BOOT_FLAG_* besides what
 * the cVM's configuration says. *block is the caller's to free. 0, or -EINVAL with the error set. */
__attribute__((warn_unused_result)) int boot_build(const struct config_cvm *cvm, const bool *volume_is_file, uint32_t exec, uint32_t flags,
						    void **block, size_t *size, struct config_error *error);

#endif
