/*
 * The code translator as a library: bytes of a file in, bytes of a code image (abi/code_image.h) out. Pure: no system
 * calls but for memory, so that unit tests and the fuzzer call exactly what the helper process runs. The input is
 * hostile; the output is trusted by nobody (the monitor scans it).
 *
 * What a rewritten `syscall` site promises to the libOS: it is entered by a jump through %gs:VCPU_SYSCALL_ENTRY with
 * rcx = where to go on (by a jump), everything else as the program left it, flags included. The two bytes in front of
 * that address are always a `syscall` instruction, so a call can be restarted at rcx - 2 as on Linux (it traps then).
 * rcx lies in the text behind the original place where that is possible (unwinders find it), else in the stub.
 */
#ifndef TRANSLATE_TRANSLATE_H
#define TRANSLATE_TRANSLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/code_image.h"

#define TRANSLATE_SIZE_MAX (1ull << 30) /* an image window: stubs of one image must not meet the text of the next */
#define TRANSLATE_REASON_MAX 256

struct translate_input {
	const uint8_t *file; /* the whole file */
	size_t file_size;
	uint64_t offset; /* of the segment in the file, a multiple of the page size */
	uint64_t size;	 /* bytes wanted, 1 .. TRANSLATE_SIZE_MAX */
	bool stubs;	 /* code may be moved to offset + SLOT_STUB_DELTA */
};

enum translate_kind {
	TRANSLATE_SYSCALL_BEFORE,  /* only instructions before the syscall moved; it stays where it was */
	TRANSLATE_SYSCALL_TEXT,	   /* the syscall moved inside its window; execution goes on in the text */
	TRANSLATE_SYSCALL_STUB,	   /* execution goes on in the stub */
	TRANSLATE_XRSTOR,	   /* jump to a stub that calls the monitor's XRSTOR gate */
	TRANSLATE_UD2,		   /* forbidden instruction made illegal */
	TRANSLATE_REENCODED,	   /* same instruction, other encoding, in place */
	TRANSLATE_REDIRECTED,	   /* direct branch that goes through a jump in the stub area */
	TRANSLATE_MOVED,	   /* instructions moved to a stub that ends with a jump back */
	TRANSLATE_SYSCALL_LEFT,	   /* a syscall that stays; start is its place */
	TRANSLATE_FORBIDDEN_LEFT,  /* a forbidden sequence that stays */
	TRANSLATE_KINDS,
};

/* One change (or refusal to change), text offsets. For tests and --stats. */
struct translate_patch {
	enum translate_kind kind;
	uint32_t start, end;	 /* window in the text: bytes that may differ from the file */
	uint32_t core;		 /* the syscall or the forbidden bytes it was made for */
	uint32_t stub, stub_size; /* in the stub area; 0, 0 if none */
	uint32_t resume;	 /* syscalls: text offset, or stub offset for TRANSLATE_SYSCALL_STUB */
	const char *why;	 /* for *_LEFT */
};

struct translate_output {
	uint8_t *text;	    /* text_size bytes allocated by mmap; those from text_used on are zero */
	size_t text_size;   /* multiple of the page size */
	size_t text_used;   /* bytes that the file has for it */
	uint8_t *stubs;	    /* stub_size bytes (malloc), or NULL */
	size_t stub_size;   /* multiple of the page size */
	size_t stub_used;
	uint32_t sites_found, sites_rewritten;
	uint32_t sites_unproven; /* bytes 0F 05 not known to be an instruction or data */
	uint32_t forbidden_found; /* in the file */
	uint32_t forbidden_replaced, forbidden_left;
	uint32_t forbidden_data; /* on pages of `data`, where they do no harm */
	struct code_image_data data[CODE_IMAGE_DATA_MAX]; /* pages to be mapped not executable */
	uint32_t data_count;
	char reason[TRANSLATE_REASON_MAX];
	struct translate_patch *patches;
	size_t patch_count;
};

/* 0, -EINVAL (offset or size out of bounds), -ENOMEM. On failure *out is empty. */
__attribute__((nonnull, warn_unused_result)) int translate_segment(const struct translate_input *in,
								   struct translate_output *out);
__attribute__((nonnull)) void translate_free(struct translate_output *out);
__attribute__((const)) const char *translate_kind_name(enum translate_kind kind);

/* Calls `each` for every executable PT_LOAD of an ELF file as ld.so would map it. Returns their number. */
__attribute__((nonnull(1, 3))) size_t translate_each_segment(const uint8_t *file, size_t size,
							      void (*each)(uint64_t offset, uint64_t size, void *arg),
							      void *arg);

#endif
