/*
 * Code that runs out of line: a page of a JIT whose bytes may not execute (they hold a forbidden sequence) stays where it is, to
 * be read and written, and a translation of it runs elsewhere. The libOS puts a request into a memory object and maps an
 * image of OUT_OF_LINE_SIZE bytes of it (mem_map_code); the translator, which knows requests by their magic, makes the image
 * from what is requested instead of from the bytes there. Like every image it is untrusted, and scanned.
 *
 * The object: struct out_of_line_request in a page of its own, then `known` bytes of code. The image: for each byte of the page the
 * offset in the image of the translation of the instruction that starts there, or 0 (these pages are data), then code.
 */
#ifndef ABI_OUT_OF_LINE_H
#define ABI_OUT_OF_LINE_H

#include <stdint.h>

#define OUT_OF_LINE_MAGIC 0x314c4f4f45444f43ull /* "CODEOOL1" */
#define OUT_OF_LINE_PAGE 4096u	      /* bytes that are translated at once */
#define OUT_OF_LINE_CODE 4096u	      /* offset of the code in the object */
#define OUT_OF_LINE_MAP (2u * OUT_OF_LINE_PAGE) /* bytes of the image before its code */
#define OUT_OF_LINE_SIZE (OUT_OF_LINE_MAP + 32768u)
#define OUT_OF_LINE_ENTRIES 1024u

struct out_of_line_request {
	uint64_t magic;
	uint64_t origin; /* address of the page */
	uint64_t image;	 /* address of the image */
	uint32_t known;	 /* bytes of code in the object: the page, and up to 14 more for an instruction that ends behind it */
	uint32_t entries;
	uint16_t entry[OUT_OF_LINE_ENTRIES]; /* offsets in the page at which execution was seen to arrive */
};
_Static_assert(sizeof(struct out_of_line_request) <= OUT_OF_LINE_CODE, "the request fits its page");
_Static_assert(OUT_OF_LINE_SIZE <= UINT16_MAX, "places fit 16 bits");

#endif
