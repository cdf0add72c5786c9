/*
 * May anything branch to this instruction? Asked for instructions that are to be moved away from behind another one.
 * The answer does not rely on having decoded everything: any four bytes of executable segments that would be a rel32
 * to the place count, whatever they are, and so do any eight aligned bytes of the file that hold its link-time address
 * (pointers, relocation addends, symbols, absolute jump tables) and entries of relative jump tables at every place
 * whose address the code takes. Only close by, where every small constant would look like a branch, the decoded instructions decide,
 * or, in what cannot be decoded, every byte.
 * Landing pads of exceptions count (unwind.c) and so does ENDBR64.
 */
#include <string.h>

#include "internal.h"

#define NEAR 8192	/* distances that decoding decides */
#define NEAR_REACH (NEAR + 8u) /* and the branch's own size */
#define TABLES_PASSED_MAX 4	/* a table ends where the next begins; some "next" ones are no tables */

static void mark(struct translator *t, uint64_t vaddr)
{
	uint64_t at = vaddr - t->vaddr;

	if (at < t->size)
		bits_set(t->target, (uint32_t)at);
}

/* lea distance(%rip),%register: its distance lies at bytes[i]. */
static bool is_lea(const uint8_t *bytes, uint64_t i)
{
	return i >= 3 && (bytes[i - 3] & 0xfb) == 0x48 && bytes[i - 2] == 0x8d && (bytes[i - 1] & 0xc7) == 0x05;
}

/* Every 32-bit value at every byte offset of an executable segment, taken as relative and maybe as absolute. */
static void scan_code(struct translator *t, uint64_t *tables, const Elf64_Phdr *load)
{
	const uint8_t *bytes = t->elf.data + load->p_offset;
	bool absolute = t->elf.header.e_type == ET_EXEC;
	uint64_t text = t->vaddr, size = t->size, offset, room;

	for (uint64_t i = 0; i + 4 <= load->p_filesz; i++) {
		uint64_t to;
		int32_t value;

		memcpy(&value, bytes + i, 4);
		to = load->p_vaddr + i + 4 + (uint64_t)(int64_t)value;
		if (to - text < size && (value < -NEAR || value > NEAR))
			bits_set(t->target, (uint32_t)(to - text));
		if (bytes[i] == 0x8d && is_lea(bytes, i + 2) && i + 6 <= load->p_filesz) {
			memcpy(&value, bytes + i + 2, 4);
			to = load->p_vaddr + i + 6 + (uint64_t)(int64_t)value;
			if (elf_view_offset(&t->elf, to, &offset, &room))
				bits_set(tables, (uint32_t)(offset / 4));
		}
		if (absolute && (uint64_t)(uint32_t)value - text < size)
			bits_set(t->target, (uint32_t)((uint32_t)value - text));
	}
}

/* Relative jump table at file offset 4 * slot: distances from its own start, until one leads to where no code is. */
static void walk_table(struct translator *t, const uint64_t *tables, const Elf64_Phdr *load, uint32_t slot)
{
	uint64_t start = (uint64_t)slot * 4, end = load->p_offset + load->p_filesz;
	uint64_t base = load->p_vaddr + (start - load->p_offset);
	uint32_t passed = 0;

	for (uint64_t entry = start; entry + 4 <= end && passed < TABLES_PASSED_MAX; entry += 4) {
		int32_t distance;
		uint64_t at;

		memcpy(&distance, t->elf.data + entry, 4);
		at = base + (uint64_t)(int64_t)distance - t->vaddr;
		if (at >= t->size || !bits_test(t->code, (uint32_t)at))
			return;
		bits_set(t->target, (uint32_t)at);
		if (entry != start && bits_test(tables, (uint32_t)(entry / 4)))
			passed++;
	}
}

static void walk_tables(struct translator *t, const uint64_t *tables, const Elf64_Phdr *load)
{
	uint32_t end = (uint32_t)((load->p_offset + load->p_filesz) / 4);
	uint32_t slot = bits_next(tables, (uint32_t)((load->p_offset + 3) / 4), end);

	for (; slot < end; slot = bits_next(tables, slot + 1, end))
		walk_table(t, tables, load, slot);
}

static void find_targets(struct translator *t)
{
	uint64_t *tables = bits_new((uint32_t)(t->elf.size / 4));

	t->targets_done = true;
	if (tables == NULL) {
		t->out_of_memory = true;
		return;
	}
	for (uint32_t i = 0; i < t->elf.loads; i++)
		if (t->elf.load[i].p_flags & PF_X)
			scan_code(t, tables, &t->elf.load[i]);
	for (uint32_t i = 0; i < t->elf.loads; i++)
		walk_tables(t, tables, &t->elf.load[i]);
	for (uint64_t i = 0; i + 8 <= t->elf.size; i += 8) {
		uint64_t word;

		memcpy(&word, t->elf.data + i, 8);
		mark(t, word);
	}
	free(tables);
}

static bool is_short_branch(uint8_t opcode)
{
	return opcode == 0xeb || (opcode & 0xf0) == 0x70 || (opcode & 0xfc) == 0xe0;
}

/* Could undecoded bytes at `from` be a branch to `at`, a close one? */
static bool may_branch(const struct translator *t, uint32_t from, uint32_t at)
{
	int32_t distance;

	if (from + 2 <= t->size && is_short_branch(t->orig[from]) &&
	    (int64_t)from + 2 + (int8_t)t->orig[from + 1] == at)
		return true;
	if (t->size - from < sizeof(distance))
		return false;
	memcpy(&distance, t->orig + from, sizeof(distance));
	return (int64_t)from + 4 + distance == at;
}

/* Decodes what lies close to `at`; false if there are undecoded bytes that might branch to it. */
static bool neighbours_decoded(struct translator *t, uint32_t at)
{
	uint32_t from = at > NEAR_REACH ? at - NEAR_REACH : 0;
	uint32_t to = t->size - at > NEAR_REACH ? at + NEAR_REACH : t->size;

	while (from < to) {
		struct region region = code_region(t, from);
		uint32_t end = region.end > from ? region.end : from + 1;

		for (; !region.ok && from < end && from < to; from++)
			if (may_branch(t, from, at))
				return false;
		from = end;
	}
	return true;
}

bool code_is_target(struct translator *t, uint32_t at)
{
	static const uint8_t endbr64[4] = { 0xf3, 0x0f, 0x1e, 0xfa };

	if (!t->targets_done)
		find_targets(t);
	if (bits_test(t->anchor, at) || bits_test(t->target, at) || bits_test(t->lsda, at))
		return true;
	if (t->size - at >= 4 && memcmp(t->orig + at, endbr64, 4) == 0)
		return true;
	return !neighbours_decoded(t, at) || bits_test(t->branch, at);
}
