/*
 * Reading ELF headers: what to map where, and why not.
 *
 * Pure: looks only at the bytes it is given, allocates nothing, calls nothing, so that it can be fuzzed and is shared by
 * the command (which reads the libOS's image) and the libOS (which loads programs). The bytes are hostile.
 *
 * Use: read the first 64 bytes (or more) of the file and call elf_parse_header; read info.phdr_count * ELF_PHDR_SIZE
 * bytes at info.phdr_offset and call elf_parse_segments; with info.interp_size > 0 read the interpreter's path and call
 * elf_parse_interp. Each returns 0 or one of enum elf_error (positive); elf_error_text makes a sentence of it.
 */
#ifndef LOADER_ELF_PARSE_H
#define LOADER_ELF_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_HEADER_SIZE 64u
#define ELF_PHDR_SIZE 56u
#define ELF_PHDRS_MAX 64u    /* program headers of any kind: 3,584 bytes */
#define ELF_LOADS_MAX 16u    /* PT_LOAD segments */
#define ELF_INTERP_MAX 4096u /* PT_INTERP with its NUL */
#define ELF_SPAN_MAX 0x40000000ull /* pages from the first to the last segment: one image window of abi/slot.h */

#define ELF_PAGE_SIZE 4096ull

/* Flags of elf_parse_header. */
#define ELF_ALLOW_FIXED 1u /* accept ET_EXEC (the libOS's own image is linked at its place) */

enum elf_error {
	ELF_OK = 0,
	ELF_ERROR_TRUNCATED,   /* the file ends inside its headers or inside a segment */
	ELF_ERROR_NOT_ELF,
	ELF_ERROR_CLASS,       /* 32-bit */
	ELF_ERROR_MACHINE,     /* another processor or byte order */
	ELF_ERROR_VERSION,
	ELF_ERROR_TYPE,	       /* object or core file */
	ELF_ERROR_NOT_PIE,     /* ET_EXEC */
	ELF_ERROR_HEADERS,     /* program header table missing, misshapen or too long */
	ELF_ERROR_NO_LOAD,     /* nothing to load */
	ELF_ERROR_LOADS,       /* more than ELF_LOADS_MAX */
	ELF_ERROR_OVERFLOW,    /* an offset plus a size wraps or leaves the window */
	ELF_ERROR_SIZES,       /* more bytes in the file than in memory */
	ELF_ERROR_ALIGNMENT,
	ELF_ERROR_OVERLAP,     /* segments overlap or are not in ascending order */
	ELF_ERROR_ENTRY,       /* the entry point is not in an executable segment */
	ELF_ERROR_INTERP,      /* two PT_INTERP, or no absolute NUL-terminated path */
	ELF_ERROR_COUNT
};

/* One PT_LOAD. All values as in the file; vaddr and offset are congruent modulo the page size. */
struct elf_load {
	uint64_t vaddr;	 /* relative to the load bias */
	uint64_t offset; /* in the file */
	uint64_t file_size, memory_size;
	uint64_t align;	 /* a power of two, at least ELF_PAGE_SIZE */
	bool read, write, exec;
};

struct elf_info {
	/* from elf_parse_header */
	uint64_t entry; /* relative to the load bias; may be 0 in a library */
	uint64_t phdr_offset;
	uint32_t phdr_count; /* at least 1, at most ELF_PHDRS_MAX */
	bool fixed;	     /* ET_EXEC: the addresses are absolute */
	/* from elf_parse_segments */
	bool exec_stack;     /* PT_GNU_STACK asks for an executable stack */
	bool has_dynamic;    /* PT_DYNAMIC is there */
	uint64_t phdr_vaddr; /* where the table is in memory (AT_PHDR), 0 if in no segment */
	uint64_t interp_offset, interp_size; /* PT_INTERP; size 0: static */
	uint64_t start, end; /* page-rounded span of all segments, relative to the load bias */
	uint64_t align;	     /* greatest alignment of a segment: the load bias must be a multiple */
	uint32_t loads;
	struct elf_load load[ELF_LOADS_MAX]; /* ascending addresses, on disjoint pages */
};

/* `bytes` is the start of the file, at least ELF_HEADER_SIZE of it unless the file is shorter. Zeroes *info first. */
__attribute__((warn_unused_result)) int elf_parse_header(const void *bytes, size_t size, unsigned flags, struct elf_info *info);

/* `phdrs` are the `size` bytes of the file at info->phdr_offset; `file_size` is the file's. On error *info is partial. */
__attribute__((warn_unused_result)) int elf_parse_segments(const void *phdrs, size_t size, uint64_t file_size,
							     struct elf_info *info);

/* `bytes` are the info->interp_size bytes at info->interp_offset: an absolute path whose only NUL is the last byte. */
__attribute__((warn_unused_result)) int elf_parse_interp(const void *bytes, size_t size);

/* "not an ELF file", "non-PIE executable (ET_EXEC): rebuild with -fPIE -pie", ... never a null pointer. */
const char *elf_error_text(int error);

#endif
