/*
 * libFuzzer target for the ELF header parser: whatever it accepts lies inside the file, in order. Uses
 * src/loader/elf_parse.c alone.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "loader/elf_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_info info;

	if (elf_parse_header(data, size, size & 1 ? ELF_ALLOW_FIXED : 0, &info))
		return 0;
	uint64_t bytes = 56ull * info.phdr_count;
	if (info.phdr_offset > size || bytes > size - info.phdr_offset || elf_parse_segments(data + info.phdr_offset, bytes, size, &info))
		return 0;
	uint64_t end = 0;
	for (uint32_t i = 0; i < info.loads; i++) {
		const struct elf_load *l = &info.load[i];
		if (l->offset > size || l->file_size > size - l->offset || l->file_size > l->memory_size || l->vaddr < end ||
		    l->vaddr + l->memory_size < l->vaddr)
			abort();
		end = l->vaddr + l->memory_size;
	}
	if (info.interp_size && (info.interp_offset > size || info.interp_size > size - info.interp_offset))
		abort();
	return 0;
}
