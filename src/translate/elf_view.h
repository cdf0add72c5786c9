/*
 * A bounds-checked look at an ELF file for the translator: every offset and count in it is hostile. Only 64-bit
 * x86-64 ET_EXEC and ET_DYN files count as ELF; of anything else the translator knows no boundaries.
 */
#ifndef TRANSLATE_ELF_VIEW_H
#define TRANSLATE_ELF_VIEW_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_VIEW_LOADS_MAX 64

struct elf_view {
	const uint8_t *data;
	uint64_t size;
	Elf64_Ehdr header; /* valid if is_elf */
	bool is_elf;
	uint32_t loads;
	Elf64_Phdr load[ELF_VIEW_LOADS_MAX];
};

void elf_view_open(struct elf_view *elf, const uint8_t *data, uint64_t size);
bool elf_view_copy(const struct elf_view *elf, uint64_t offset, void *to, uint64_t size);
/* Program header or section header number i; false past the end. */
bool elf_view_phdr(const struct elf_view *elf, uint32_t i, Elf64_Phdr *phdr);
bool elf_view_shdr(const struct elf_view *elf, uint32_t i, Elf64_Shdr *shdr);
/* File offset of a link-time address, and how many bytes of the file follow it in that segment; false if none. */
bool elf_view_offset(const struct elf_view *elf, uint64_t vaddr, uint64_t *offset, uint64_t *room);

#endif
