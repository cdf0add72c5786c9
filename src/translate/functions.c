/*
 * Where code surely begins: collects from sections, symbols, unwind tables and the entry point of an ELF file the text
 * offsets at which an instruction starts ("anchors"). Decoding goes from one anchor to the next (code_map.c) and is
 * believed only if it arrives there exactly, so a wrong or hostile entry costs speed, not correctness: whoever
 * misdescribes his own program gets no rewriting.
 */
#include <string.h>

#include "internal.h"

static bool to_text(const struct translator *t, uint64_t vaddr, uint32_t *at)
{
	uint64_t distance = vaddr - t->vaddr;

	if (vaddr < t->vaddr || distance < t->code_lo || distance > t->code_hi)
		return false;
	*at = (uint32_t)distance;
	return true;
}

static void add_anchor(struct translator *t, uint64_t vaddr)
{
	uint32_t at;

	if (to_text(t, vaddr, &at))
		bits_set(t->anchor, at);
}

static void add_sections(struct translator *t)
{
	Elf64_Shdr s;

	for (uint32_t i = 0; elf_view_shdr(&t->elf, i, &s); i++) {
		uint32_t start, end;
		bool code = s.sh_flags & SHF_EXECINSTR;

		if (!(s.sh_flags & SHF_ALLOC) || s.sh_type == SHT_NOBITS || s.sh_size == 0 ||
		    s.sh_addr + s.sh_size < s.sh_addr || !to_text(t, s.sh_addr, &start) ||
		    !to_text(t, s.sh_addr + s.sh_size, &end))
			continue;
		bits_set(t->anchor, start);
		bits_set(t->anchor, end);
		if (!code)
			continue;
		t->have_sections = true;
		bits_set(t->code, start);
		bits_set(t->data_from, end);
	}
	bits_set(t->have_sections ? t->data_from : t->code, t->code_lo);
}

/* Data between functions, say its symbol. */
static void add_object(struct translator *t, uint64_t vaddr, uint64_t size)
{
	uint32_t start, end;

	if (size == 0 || vaddr + size < vaddr || !to_text(t, vaddr, &start) || !to_text(t, vaddr + size, &end))
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
		add_anchor(t, sym.st_value);
		if (sym.st_size != 0 && sym.st_value + sym.st_size > sym.st_value)
			add_anchor(t, sym.st_value + sym.st_size);
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

#define AUGMENTATION_MAX 16
#define SYMBOL_TABLES_MAX 4

struct cursor {
	const uint8_t *p, *end;
	uint64_t vaddr; /* of p */
	bool bad;
};

static uint64_t take(struct cursor *c, uint32_t size)
{
	uint64_t value = 0;

	if ((uint64_t)(c->end - c->p) < size) {
		c->bad = true;
		return 0;
	}
	memcpy(&value, c->p, size);
	c->p += size;
	c->vaddr += size;
	return value;
}

static uint64_t take_leb(struct cursor *c)
{
	uint64_t value = 0;

	for (uint32_t shift = 0; !c->bad; shift += 7) {
		uint64_t byte = take(c, 1);

		if (shift < 64)
			value |= (byte & 0x7f) << shift;
		if (!(byte & 0x80) || shift > 70)
			break;
	}
	return value;
}

/* A pointer in DWARF's exception header encoding; only what GNU and LLVM tools write. */
static uint64_t take_pointer(struct cursor *c, uint8_t encoding, bool relative)
{
	uint64_t base = relative && (encoding & 0x70) == 0x10 ? c->vaddr : 0;
	uint64_t value;

	switch (encoding & 0x0f) {
	case 0x00: /* absptr */
	case 0x04: /* udata8 */
	case 0x0c: /* sdata8 */
		value = take(c, 8);
		break;
	case 0x03: /* udata4 */
		value = take(c, 4);
		break;
	case 0x0b: /* sdata4 */
		value = (uint64_t)(int64_t)(int32_t)take(c, 4);
		break;
	default:
		c->bad = true;
		return 0;
	}
	if ((encoding & 0x70) != 0 && (encoding & 0x70) != 0x10)
		c->bad = true;
	return value == 0 && !relative ? 0 : base + value;
}

struct cie {
	const uint8_t *at;
	uint8_t pointer, lsda;
	bool has_lsda, has_size, valid;
};

static struct cie read_cie(struct cursor c)
{
	struct cie cie = { .pointer = 0 };
	const uint8_t *augmentation;
	uint8_t version = (uint8_t)take(&c, 1);

	augmentation = c.p;
	while (take(&c, 1) != 0 && !c.bad)
		if (c.p - augmentation > AUGMENTATION_MAX)
			return cie;
	if (c.bad || (version != 1 && version != 3))
		return cie;
	take_leb(&c);
	take_leb(&c);
	if (version == 1)
		take(&c, 1);
	else
		take_leb(&c);
	cie.valid = true;
	if (*augmentation != 'z')
		return cie;
	cie.has_size = true;
	take_leb(&c);
	for (augmentation++; *augmentation != 0 && !c.bad; augmentation++) {
		if (*augmentation == 'R') {
			cie.pointer = (uint8_t)take(&c, 1);
		} else if (*augmentation == 'L') {
			cie.lsda = (uint8_t)take(&c, 1);
			cie.has_lsda = true;
		} else if (*augmentation == 'P') {
			uint8_t encoding = (uint8_t)take(&c, 1);
			take_pointer(&c, encoding & 0x0f, false);
		} else if (*augmentation != 'S' && *augmentation != 'B') {
			break;
		}
	}
	cie.valid = !c.bad;
	return cie;
}

static void add_fde(struct translator *t, struct cursor c, const struct cie *cie)
{
	uint64_t start = take_pointer(&c, cie->pointer, true);
	uint64_t size = take_pointer(&c, cie->pointer & 0x0f, false);
	uint64_t lsda = 0;
	uint32_t from, to;

	if (cie->has_size)
		take_leb(&c);
	if (cie->has_lsda)
		lsda = take_pointer(&c, cie->lsda & 0x0f, false);
	if (c.bad || size == 0 || !to_text(t, start, &from) || !to_text(t, start + size, &to) || to <= from)
		return;
	bits_set(t->anchor, from);
	bits_set(t->anchor, to);
	bits_set(t->unwind, from);
	bits_set(t->unwind_end, to);
	if (lsda != 0)
		bits_set(t->lsda, from);
}

static void add_eh_frame(struct translator *t, uint64_t offset, uint64_t size, uint64_t vaddr)
{
	struct cursor c = { t->elf.data + offset, t->elf.data + offset + size, vaddr, false };
	const uint8_t *start = c.p;
	struct cie cie = { .valid = false };

	while (c.end - c.p >= 8) {
		uint64_t length = take(&c, 4);
		struct cursor entry;
		const uint8_t *id_at;
		uint64_t id;

		if (length == 0)
			break;
		if (length == 0xffffffff)
			length = take(&c, 8);
		if (c.bad || length < 4 || length > (uint64_t)(c.end - c.p))
			break;
		entry = (struct cursor){ c.p, c.p + length, c.vaddr, false };
		c.p += length;
		c.vaddr += length;
		id_at = entry.p;
		id = take(&entry, 4);
		if (id == 0) {
			cie = read_cie(entry);
			cie.at = id_at - 4;
			continue;
		}
		if (id > (uint64_t)(id_at - start))
			continue;
		if (cie.at != id_at - id) { /* an FDE of an earlier CIE */
			struct cursor other = { id_at - id, c.end, 0, false };

			take(&other, 4);
			if (take(&other, 4) != 0)
				continue;
			cie = read_cie(other);
			cie.at = id_at - id;
		}
		if (cie.valid)
			add_fde(t, entry, &cie);
	}
}

/* .eh_frame by way of PT_GNU_EH_FRAME, which stripping section headers does not remove. */
static void add_eh_frame_header(struct translator *t, const Elf64_Phdr *phdr)
{
	uint64_t offset, room;
	struct cursor c;
	uint8_t head[4];
	uint64_t eh_frame;

	if (!elf_view_copy(&t->elf, phdr->p_offset, head, sizeof(head)) || head[0] != 1 || t->elf.size - phdr->p_offset < 12)
		return;
	c = (struct cursor){ t->elf.data + phdr->p_offset + 4, t->elf.data + t->elf.size, phdr->p_vaddr + 4, false };
	eh_frame = take_pointer(&c, head[1], true);
	if (!c.bad && elf_view_offset(&t->elf, eh_frame, &offset, &room))
		add_eh_frame(t, offset, room, eh_frame);
}

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

	if (!t->known)
		return;
	bits_set(t->anchor, t->code_lo);
	bits_set(t->anchor, t->code_hi);
	add_anchor(t, t->elf.header.e_entry);
	add_sections(t);
	add_by_sections(t);
	for (uint32_t i = 0; elf_view_phdr(&t->elf, i, &phdr); i++) {
		if (phdr.p_type == PT_GNU_EH_FRAME && !unwind_done) {
			add_eh_frame_header(t, &phdr);
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
