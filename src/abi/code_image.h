/*
 * A code image: one executable segment of a file after translation, as the translator writes it, the disk cache keeps
 * it and the monitor maps it. Untrusted until the monitor has sealed its memory and scanned both parts.
 *
 * Layout of the (mem)file: struct code_image_header padded to one page, then `text_size` bytes of code to be mapped
 * where the program wanted the segment, then `stub_size` bytes to be mapped at that address + SLOT_STUB_DELTA.
 * Pages that `data` names are mapped readable only and need not pass the scan.
 */
#ifndef ABI_CODE_IMAGE_H
#define ABI_CODE_IMAGE_H

#include <stdint.h>

#define CODE_IMAGE_MAGIC 0x31474d4943445643ull /* "CVDCIMG1" */
#define CODE_IMAGE_VERSION 2u
#define CODE_IMAGE_HEADER_SIZE 4096ull
#define CODE_IMAGE_DATA_MAX 8u

struct code_image_data {
	uint32_t first, count; /* pages of the text */
};

struct code_image_header {
	uint64_t magic;
	uint32_t version;
	uint32_t flags;		  /* 0 */
	uint64_t text_size;	  /* bytes, a multiple of the page size */
	uint64_t stub_size;	  /* bytes, a multiple of the page size, may be 0, at most text_size */
	uint32_t sites_found;	  /* `syscall` instructions recognised */
	uint32_t sites_rewritten; /* of these, sites that now jump to a stub */
	uint32_t forbidden_replaced; /* forbidden sequences that were replaced */
	uint32_t forbidden_left;     /* forbidden sequences that could not be: the monitor will refuse the image */
	struct code_image_data data[CODE_IMAGE_DATA_MAX]; /* up to the first empty one, in any order */
	char reason[256];	  /* first refusal, NUL-terminated: "offset 0x1234: WRPKRU inside an immediate" */
};
_Static_assert(sizeof(struct code_image_header) <= CODE_IMAGE_HEADER_SIZE, "header fits its page");

#endif
