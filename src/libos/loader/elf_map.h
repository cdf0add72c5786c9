/*
 * Program images: reading their headers (loader/elf_parse.h) and mapping them into an image window.
 */
#ifndef LIBOS_ELF_MAP_H
#define LIBOS_ELF_MAP_H

#include "core/types.h"
#include "loader/elf_parse.h"

struct file;

struct image {
	struct file *file; /* owned reference */
	struct elf_info info;
	char *interpreter; /* kmalloc'ed path of PT_INTERP, or NULL */
	uint64_t bias;	   /* set by image_map: added to the file's addresses */
};

/* Read and check the headers of an executable or interpreter. Consumes the reference to f, also on failure. Returns 0,
 * a positive enum elf_error, or a negative errno. */
nodiscard int image_read(struct image *image, struct file *f);
/* Map all segments at a place of the libOS's choice. 0 or negative errno (what was mapped stays). */
nodiscard int image_map(struct image *image);
void image_drop(struct image *image);

#endif
