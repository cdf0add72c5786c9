/*
 * The image of the libOS or of a bare program as the monitor wants it: an untranslated code image and the initial data.
 */
#ifndef CLI_LIBOS_IMAGE_H
#define CLI_LIBOS_IMAGE_H

#include <stdint.h>

#include "config/error.h"

struct libos_image {
	int text_fd; /* memory file: struct code_image_header, then code */
	int data_fd; /* sealed memory file */
	uint64_t data_size, bss_size;
	uint64_t entry; /* offset from the slot's base */
};

/* Reads the ELF file intravisor-libos. 0, or negative errno after a message; the descriptors are the caller's. */
__attribute__((warn_unused_result)) int libos_image_read(const char *path, struct libos_image *image);

/* The same for a program that was built with the SDK for the libOS's place. 0, or -EINVAL with the error set. */
__attribute__((warn_unused_result)) int bare_image_read(const char *path, struct libos_image *image,
							 struct config_error *error);

#endif
