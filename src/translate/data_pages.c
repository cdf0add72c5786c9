/*
 * Pages of a text segment that hold no code: some linkers put symbol tables and .rodata in front of and behind .text into
 * the same segment. Where such a page holds forbidden bytes, it and its like around it are mapped without execute
 * permission (abi/code_image.h). Only section headers are believed, and only where no executable section, function symbol
 * or unwind entry says otherwise; a program with lying headers faults there instead of being refused.
 */
#include "internal.h"

static bool section_overlaps(const Elf64_Shdr *s, uint64_t start, uint64_t end)
{
	return s->sh_addr < end && (s->sh_addr + s->sh_size < s->sh_addr || s->sh_addr + s->sh_size > start);
}

static bool page_is_data(const struct translator *t, uint32_t page)
{
	uint32_t from = page * (uint32_t)CVM_PAGE_SIZE, to = from + (uint32_t)CVM_PAGE_SIZE;
	bool headers = false;
	Elf64_Shdr s;

	if (!t->known || from >= t->size)
		return false;
	if (to > t->size)
		to = t->size;
	/* functions.c takes the first byte of a segment for code on no evidence */
	if (bits_any(t->strong, from == t->code_lo ? from + 1 : from, to) || bits_any(t->unwind, from, to))
		return false;
	for (uint32_t i = 0; elf_view_shdr(&t->elf, i, &s); i++) {
		if (!(s.sh_flags & SHF_EXECINSTR))
			continue;
		if (section_overlaps(&s, t->vaddr + from, t->vaddr + to))
			return false;
		headers = true; /* of this program: it has code elsewhere */
	}
	return headers;
}

bool data_page_has(struct translator *t, uint32_t at)
{
	struct translate_output *out = t->out;
	uint32_t page = at / (uint32_t)CVM_PAGE_SIZE, first = page;

	for (uint32_t i = 0; i < out->data_count; i++)
		if (page - out->data[i].first < out->data[i].count)
			return true;
	if (!t->collected)
		functions_collect(t);
	if (out->data_count == CODE_IMAGE_DATA_MAX || !page_is_data(t, page))
		return false;
	while (first > 0 && page_is_data(t, first - 1))
		first--;
	while (page_is_data(t, page + 1))
		page++;
	out->data[out->data_count++] = (struct code_image_data){ first, page + 1 - first };
	return true;
}
