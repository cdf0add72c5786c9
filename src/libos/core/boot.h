/*
 * The boot information that the command wrote for this cVM (abi/boot.h), as the rest of the libOS reads it.
 */
#ifndef LIBOS_BOOT_H
#define LIBOS_BOOT_H

#include "abi/boot.h"
#include "thread/thread.h"

static inline const struct libos_boot *boot_info(void)
{
	return (const struct libos_boot *)g_start->boot;
}

/* Are there handles to keep beyond their use, to save calls of the host (fs/dir_cache.c, fs/handle_cache.c)? */
static inline bool boot_handles_to_spare(void)
{
	return boot_info()->handles_max >= 256;
}

/* A string by its offset. The command wrote it, so this only guards against an offset outside. */
static inline const char *boot_string(uint32_t offset)
{
	return offset && offset < g_start->boot_size ? (const char *)(g_start->boot + offset) : "";
}

#endif
