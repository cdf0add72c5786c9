/*
 * Bounds-checked access to headers of a hostile ELF file (see elf_view.h). Called by functions.c, targets.c and
 * translate.c; trusts nothing but the size it is given.
 */
#include "elf_view.h"

#include <string.h>

bool elf_view_copy(const struct elf_view *elf, uint64_t offset, void *to, uint64_t size)
{
	if (offset > elf->size || size > elf->size - offset)
		return false;
	memcpy(to, elf->data + offset, size);
	return true;
}

void elf_view_open(struct elf_view *elf, const uint8_t *data, uint64_t size)
{
	Elf64_Phdr phdr;

	memset(elf, 0, sizeof(*elf));
	elf->data = data;
	elf->size = size;
	if (!elf_view_copy(elf, 0, &elf->header, sizeof(elf->header)))
		return;
	if (memcmp(elf->header.e_ident, ELFMAG, SELFMAG) != 0 || elf->header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    elf->header.e_ident[EI_DATA] != ELFDATA2LSB || elf->header.e_machine != EM_X86_64 ||
	    (elf->header.e_type != ET_EXEC && elf->header.e_type != ET_DYN))
		return;
	elf->is_elf = true;
	for (uint32_t i = 0; elf->loads < ELF_VIEW_LOADS_MAX && elf_view_phdr(elf, i, &phdr); i++) {
		bool wraps = phdr.p_vaddr + phdr.p_memsz < phdr.p_vaddr || phdr.p_memsz < phdr.p_filesz;

		if (phdr.p_type == PT_LOAD && !wraps && phdr.p_offset <= size && phdr.p_filesz <= size - phdr.p_offset)
			elf->load[elf->loads++] = phdr;
	}
}

bool elf_view_phdr(const struct elf_view *elf, uint32_t i, Elf64_Phdr *phdr)
{
	uint64_t at = elf->header.e_phoff + (uint64_t)i * sizeof(*phdr);

	if (!elf->is_elf || elf->header.e_phentsize != sizeof(*phdr) || i >= elf->header.e_phnum)
		return false;
	return elf->header.e_phoff <= elf->size && elf_view_copy(elf, at, phdr, sizeof(*phdr));
}

bool elf_view_shdr(const struct elf_view *elf, uint32_t i, Elf64_Shdr *shdr)
{
	uint64_t at = elf->header.e_shoff + (uint64_t)i * sizeof(*shdr);

	if (!elf->is_elf || elf->header.e_shoff == 0 || elf->header.e_shentsize != sizeof(*shdr) ||
	    i >= elf->header.e_shnum)
		return false;
	return elf->header.e_shoff <= elf->size && elf_view_copy(elf, at, shdr, sizeof(*shdr));
}

bool elf_view_offset(const struct elf_view *elf, uint64_t vaddr, uint64_t *offset, uint64_t *room)
{
	for (uint32_t i = 0; i < elf->loads; i++) {
		const Elf64_Phdr *load = &elf->load[i];

		if (vaddr >= load->p_vaddr && vaddr - load->p_vaddr < load->p_filesz) {
			*offset = load->p_offset + (vaddr - load->p_vaddr);
			*room = load->p_filesz - (vaddr - load->p_vaddr);
			return true;
		}
	}
	return false;
}
