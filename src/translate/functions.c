/*
 * Where code surely begins: collects from sections, symbols, unwind tables and the entry point of an ELF file the text
 * offsets at which an instruction starts ("anchors"). Decoding goes from one anchor to the next (code_map.c) and is
 * believed only if it arrives there exactly, so a wrong or hostile entry costs speed, not correctness: whoever
 * misdescribes his own program gets no rewriting.
 */
#include <string.h>

#include "internal.h"

bool functions_to_text(const struct translator *t, uint64_t vaddr, uint32_t *at)
{
	uint64_t distance = vaddr - t->vaddr;

	if (vaddr < t->vaddr || distance < t->code_lo || distance > t->code_hi)
		return false;
	*at = (uint32_t)distance;
	return true;
}

static void add_anchor(struct translator *t, uint64_t vaddr, bool strong)
{
	uint32_t at;

	if (!functions_to_text(t, vaddr, &at))
		return;
	bits_set(t->anchor, at);
	if (strong)
		bits_set(t->strong, at);
}

static void add_sections(struct translator *t)
{
	Elf64_Shdr s;

	for (uint32_t i = 0; elf_view_shdr(&t->elf, i, &s); i++) {
		uint32_t start, end;
		bool code = s.sh_flags & SHF_EXECINSTR;

		if (!(s.sh_flags & SHF_ALLOC) || s.sh_type == SHT_NOBITS || s.sh_size == 0 ||
		    s.sh_addr + s.sh_size < s.sh_addr || !functions_to_text(t, s.sh_addr, &start) ||
		    !functions_to_text(t, s.sh_addr + s.sh_size, &end))
			continue;
		bits_set(t->anchor, start);
		bits_set(t->anchor, end);
		if (!code)
			continue;
		t->have_sections = true;
		bits_set(t->strong, start);
		bits_set(t->code, start);
		bits_set(t->data_from, end);
	}
	bits_set(t->have_sections ? t->data_from : t->code, t->code_lo);
}

/* Data between functions, say its symbol. */
static void add_object(struct translator *t, uint64_t vaddr, uint64_t size)
{
	uint32_t start, end;

	if (size == 0 || vaddr + size < vaddr || !functions_to_text(t, vaddr, &start) || !functions_to_text(t, vaddr + size, &end))
		return;
	bits_set(t->data_from, start);
	bits_clear(t->code, start);
	if (!bits_test(t->data_from, end))
		bits_set(t->code, end);
}

static void add_symbols(struct translator *t, uint64_t offset, uint64_t size)
{
	if (offset > t->elf.size)
		return;
	if (size > t->elf.size - offset)
		size = t->elf.size - offset;
	for (uint64_t i = 0; i < size / sizeof(Elf64_Sym); i++) {
		Elf64_Sym sym;
		uint8_t type;

		memcpy(&sym, t->elf.data + offset + i * sizeof(sym), sizeof(sym));
		type = ELF64_ST_TYPE(sym.st_info);
		if (sym.st_shndx == SHN_UNDEF || sym.st_shndx == SHN_ABS ||
		    (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE && type != STT_OBJECT))
			continue;
		if (type == STT_OBJECT)
			add_object(t, sym.st_value, sym.st_size);
		add_anchor(t, sym.st_value, type == STT_FUNC || type == STT_GNU_IFUNC);
		if (sym.st_size != 0 && sym.st_value + sym.st_size > sym.st_value)
			add_anchor(t, sym.st_value + sym.st_size, false);
	}
}

/* Without section headers: DT_SYMTAB, whose end nobody tells. By convention the string table follows it. */
static void add_dynamic_symbols(struct translator *t, const Elf64_Phdr *dynamic)
{
	uint64_t symtab = 0, strtab = 0, offset, room;
	Elf64_Dyn dyn;

	for (uint64_t i = 0; i < dynamic->p_filesz / sizeof(dyn) && i < 4096; i++) {
		if (!elf_view_copy(&t->elf, dynamic->p_offset + i * sizeof(dyn), &dyn, sizeof(dyn)) ||
		    dyn.d_tag == DT_NULL)
			break;
		if (dyn.d_tag == DT_SYMTAB)
			symtab = dyn.d_un.d_ptr;
		if (dyn.d_tag == DT_STRTAB)
			strtab = dyn.d_un.d_ptr;
	}
	if (strtab > symtab && elf_view_offset(&t->elf, symtab, &offset, &room))
		add_symbols(t, offset, strtab - symtab < room ? strtab - symtab : room);
}

#define SYMBOL_TABLES_MAX 4

static void add_by_sections(struct translator *t)
{
	Elf64_Shdr s;

	for (uint32_t i = 0, tables = 0; tables < SYMBOL_TABLES_MAX && elf_view_shdr(&t->elf, i, &s); i++) {
		if ((s.sh_type != SHT_SYMTAB && s.sh_type != SHT_DYNSYM) || s.sh_entsize != sizeof(Elf64_Sym))
			continue;
		add_symbols(t, s.sh_offset, s.sh_size);
		tables++;
	}
}

/* Turns the starts of stretches into all their members; a start wins over an end at the same place. */
static void fill_stretches(uint64_t *starts, const uint64_t *ends, uint32_t size)
{
	bool inside = false;

	for (uint32_t word = 0; word <= size / 64; word++) {
		uint64_t on = starts[word], off = ends[word], members = 0;

		if (on == 0 && off == 0) {
			starts[word] = inside ? ~0ull : 0;
			continue;
		}
		for (uint32_t bit = 0; bit < 64; bit++) {
			inside = (on >> bit & 1) || (inside && !(off >> bit & 1));
			members |= (uint64_t)inside << bit;
		}
		starts[word] = members;
	}
}

void functions_collect(struct translator *t)
{
	Elf64_Phdr phdr;
	bool unwind_done = false, dynamic_done = false;

	t->collected = true;
	if (!t->known)
		return;
	bits_set(t->anchor, t->code_lo);
	bits_set(t->anchor, t->code_hi);
	add_anchor(t, t->elf.header.e_entry, true);
	if (t->code_lo + t->offset != 0) /* else it begins with the ELF header */
		bits_set(t->strong, t->code_lo);
	add_sections(t);
	add_by_sections(t);
	go_functions_collect(t);
	for (uint32_t i = 0; elf_view_phdr(&t->elf, i, &phdr); i++) {
		if (phdr.p_type == PT_GNU_EH_FRAME && !unwind_done) {
			unwind_collect(t, &phdr);
			unwind_done = true;
		}
		if (phdr.p_type == PT_DYNAMIC && !dynamic_done && t->elf.header.e_shnum == 0) {
			add_dynamic_symbols(t, &phdr);
			dynamic_done = true;
		}
	}
	fill_stretches(t->code, t->data_from, t->size);
	fill_stretches(t->unwind, t->unwind_end, t->size);
	fill_stretches(t->lsda, t->unwind_end, t->size);
}
