/*
 * Function starts of Go programs, which have neither unwind tables nor, stripped, symbols, but always .gopclntab, the
 * table their own runtime walks stacks with. Called by functions.c; layout of Go 1.18 and later (runtime/symtab.go).
 */
#include <string.h>

#include "internal.h"

#define MAGIC_118 0xfffffff0u
#define MAGIC_120 0xfffffff1u

struct go_header {
	uint32_t magic;
	uint8_t zero[2], quantum, pointer_size;
	uint64_t functions, files, text, names, units, file_table, pc_table, function_table;
};

static bool named(const struct translator *t, const Elf64_Shdr *names, const Elf64_Shdr *s)
{
	static const char suffix[] = ".gopclntab"; /* PIE: .data.rel.ro.gopclntab */
	static const char prefix[] = ".data.rel.ro";
	char name[sizeof(prefix) + sizeof(suffix)] = { 0 };
	const char *start = name;
	uint64_t at = names->sh_offset + s->sh_name, room;

	if (names->sh_offset > t->elf.size || at > t->elf.size)
		return false;
	room = t->elf.size - at;
	memcpy(name, t->elf.data + at, room < sizeof(name) - 1 ? room : sizeof(name) - 1);
	if (strncmp(name, prefix, strlen(prefix)) == 0)
		start += strlen(prefix);
	return strcmp(start, suffix) == 0;
}

static void add_table(struct translator *t, const Elf64_Shdr *s)
{
	struct go_header h;
	uint64_t base, room;

	if (!elf_view_copy(&t->elf, s->sh_offset, &h, sizeof(h)) || (h.magic != MAGIC_118 && h.magic != MAGIC_120) ||
	    h.pointer_size != 8 || h.function_table > t->elf.size - s->sh_offset)
		return;
	base = s->sh_offset + h.function_table;
	room = (t->elf.size - base) / 8;
	for (uint64_t i = 0; i <= h.functions && i < room; i++) {
		uint32_t distance, at;

		memcpy(&distance, t->elf.data + base + i * 8, sizeof(distance));
		if (functions_to_text(t, h.text + distance, &at)) {
			bits_set(t->anchor, at);
			bits_set(t->strong, at);
		}
	}
}

void go_functions_collect(struct translator *t)
{
	Elf64_Shdr names, s;

	if (!elf_view_shdr(&t->elf, t->elf.header.e_shstrndx, &names))
		return;
	for (uint32_t i = 0; elf_view_shdr(&t->elf, i, &s); i++) {
		if (s.sh_type == SHT_PROGBITS && named(t, &names, &s)) {
			add_table(t, &s);
			return;
		}
	}
}
