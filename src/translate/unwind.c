/*
 * What unwind tables tell: .eh_frame, found by way of PT_GNU_EH_FRAME because that survives stripping, gives starts and
 * ends of functions; the exception tables it points to give landing pads, which are branch targets no instruction
 * shows. Called by functions.c; the tables are as hostile as the rest of the file.
 */
#include <string.h>

#include "internal.h"

#define AUGMENTATION_MAX 16
#define ENCODING_OMIT 0xff
#define ENCODING_ULEB 0x01
#define ENCODING_UDATA4 0x03
#define ENCODING_RELATIVE 0x10 /* to its own place */

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

/* Where an exception may go on in a function: landing pads of its LSDA. False if it says so in an unknown way. */
static bool add_landing_pads(struct translator *t, uint64_t function, uint64_t lsda)
{
	uint64_t offset, room, size;
	struct cursor c;
	uint8_t encoding;

	if (!elf_view_offset(&t->elf, lsda, &offset, &room))
		return false;
	c = (struct cursor){ t->elf.data + offset, t->elf.data + offset + room, lsda, false };
	if (take(&c, 1) != ENCODING_OMIT) /* landing pads count from elsewhere: nobody does that */
		return false;
	if (take(&c, 1) != ENCODING_OMIT)
		take_leb(&c);
	encoding = (uint8_t)take(&c, 1);
	size = take_leb(&c);
	if (c.bad || size > (uint64_t)(c.end - c.p) || (encoding != ENCODING_ULEB && encoding != ENCODING_UDATA4) ||
	    t->lsda_budget < size)
		return false;
	t->lsda_budget -= size;
	c.end = c.p + size;
	while (c.p < c.end && !c.bad) {
		uint64_t site[4]; /* start, length, landing pad, action */
		uint32_t at;

		for (uint32_t i = 0; i < 4; i++)
			site[i] = encoding == ENCODING_ULEB || i == 3 ? take_leb(&c) : take(&c, 4);
		if (site[2] != 0 && functions_to_text(t, function + site[2], &at))
			bits_set(t->target, at);
	}
	return !c.bad;
}

/* A pointer in DWARF's exception header encoding; only what GNU and LLVM tools write. Null stays null. */
static uint64_t take_pointer(struct cursor *c, uint8_t encoding)
{
	uint64_t base = (encoding & 0x70) == ENCODING_RELATIVE ? c->vaddr : 0;
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
	if ((encoding & 0x70) != 0 && (encoding & 0x70) != ENCODING_RELATIVE)
		c->bad = true;
	return value == 0 ? 0 : base + value;
}

struct cie {
	const uint8_t *at;
	uint8_t pointer, lsda;
	bool has_lsda, has_size, signal, valid;
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
			take_pointer(&c, encoding & 0x0f);
		} else if (*augmentation == 'S') {
			cie.signal = true;
		} else if (*augmentation != 'B') {
			break;
		}
	}
	cie.valid = !c.bad;
	return cie;
}

static void add_fde(struct translator *t, struct cursor c, const struct cie *cie)
{
	uint64_t start = take_pointer(&c, cie->pointer);
	uint64_t size = take_pointer(&c, cie->pointer & 0x0f);
	uint64_t lsda = 0;
	uint32_t from, to;

	if (cie->has_size)
		take_leb(&c);
	if (cie->has_lsda)
		lsda = take_pointer(&c, cie->lsda);
	if (c.bad || size == 0 || !functions_to_text(t, start, &from) || !functions_to_text(t, start + size, &to) || to <= from)
		return;
	if (!cie->signal) /* those begin a byte early */
		bits_set(t->anchor, from);
	bits_set(t->anchor, to);
	bits_set(t->unwind, from);
	bits_set(t->unwind_end, to);
	if (lsda != 0 && !add_landing_pads(t, start, lsda))
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
void unwind_collect(struct translator *t, const Elf64_Phdr *phdr)
{
	uint64_t offset, room;
	struct cursor c;
	uint8_t head[4];
	uint64_t eh_frame;

	if (!elf_view_copy(&t->elf, phdr->p_offset, head, sizeof(head)) || head[0] != 1 || t->elf.size - phdr->p_offset < 12)
		return;
	c = (struct cursor){ t->elf.data + phdr->p_offset + 4, t->elf.data + t->elf.size, phdr->p_vaddr + 4, false };
	eh_frame = take_pointer(&c, head[1]);
	if (!c.bad && elf_view_offset(&t->elf, eh_frame, &offset, &room))
		add_eh_frame(t, offset, room, eh_frame);
}
