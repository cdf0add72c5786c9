/*
 * May anything branch to this instruction? Asked for instructions that are to be moved away from behind another one.
 * The answer does not rely on having decoded everything: any four bytes of executable segments that would be a rel32
 * to the place count, whatever they are, and so do any eight aligned bytes of the file that hold its link-time address
 * (pointers, relocation addends, symbols, absolute jump tables) and entries of relative jump tables at every place the
 * code refers to. Only close by, where every small constant would look like a branch, the decoded instructions decide,
 * or, in what cannot be decoded, every byte.
 * Functions with exception landing pads, and ENDBR64, count as targets everywhere.
 */
#include <string.h>

#include "internal.h"

#define NEAR 8192	/* distances that decoding decides */
#define NEAR_REACH (NEAR + 8u) /* and the branch's own size */
#define TABLE_ENTRIES_MAX 65536u
#define TABLE_BUDGET (16u << 20)

struct table_walk {
	uint64_t *seen; /* file offset / 4 */
	uint64_t budget;
};

static void mark(struct translator *t, uint64_t vaddr)
{
	uint64_t at = vaddr - t->vaddr;

	if (at < t->size)
		bits_set(t->target, (uint32_t)at);
}

/* Relative jump table at `base`: 32-bit distances from its own start, until one leads elsewhere. */
static void walk_table(struct translator *t, struct table_walk *walk, uint64_t base)
{
	uint64_t offset, room;

	if (!elf_view_offset(&t->elf, base, &offset, &room) || bits_test(walk->seen, (uint32_t)(offset / 4)))
		return;
	bits_set(walk->seen, (uint32_t)(offset / 4));
	for (uint32_t i = 0; i < TABLE_ENTRIES_MAX && (uint64_t)i * 4 + 4 <= room; i++) {
		int32_t distance;
		uint64_t at;

		memcpy(&distance, t->elf.data + offset + (uint64_t)i * 4, 4);
		at = base + (uint64_t)(int64_t)distance - t->vaddr;
		if (at < t->code_lo || at >= t->code_hi)
			return;
		bits_set(t->target, (uint32_t)at);
		if (walk->budget-- == 0) {
			t->targets_unknown = true;
			return;
		}
	}
	t->targets_unknown = t->targets_unknown || room / 4 > TABLE_ENTRIES_MAX;
}

/* Every 32-bit value at every byte offset of an executable segment, taken as relative and maybe as absolute. */
static void scan_code(struct translator *t, struct table_walk *walk, const Elf64_Phdr *load, uint64_t lo, uint64_t hi)
{
	const uint8_t *bytes = t->elf.data + load->p_offset;
	bool absolute = t->elf.header.e_type == ET_EXEC;
	uint64_t text = t->vaddr, size = t->size, span = hi - lo;

	for (uint64_t i = 0; i + 4 <= load->p_filesz && !t->targets_unknown; i++) {
		uint64_t here = load->p_vaddr + i + 4, to;
		int32_t value;

		memcpy(&value, bytes + i, 4);
		to = here + (uint64_t)(int64_t)value;
		if (__builtin_expect(to - lo < span, 0)) {
			if (to - text < size && (value < -NEAR || value > NEAR))
				bits_set(t->target, (uint32_t)(to - text));
			if (to % 4 == 0)
				walk_table(t, walk, to);
		}
		if (absolute && (uint64_t)(uint32_t)value - text < size)
			bits_set(t->target, (uint32_t)((uint32_t)value - text));
	}
}

static void find_targets(struct translator *t)
{
	struct table_walk walk = { bits_new((uint32_t)(t->elf.size / 4)), TABLE_BUDGET };
	uint64_t lo = UINT64_MAX, hi = 0;

	t->targets_done = true;
	if (walk.seen == NULL) {
		t->targets_unknown = true;
		return;
	}
	for (uint32_t i = 0; i < t->elf.loads; i++) {
		const Elf64_Phdr *load = &t->elf.load[i];

		lo = load->p_vaddr < lo ? load->p_vaddr : lo;
		hi = load->p_vaddr + load->p_memsz > hi ? load->p_vaddr + load->p_memsz : hi;
	}
	for (uint32_t i = 0; i < t->elf.loads; i++)
		if (t->elf.load[i].p_flags & PF_X)
			scan_code(t, &walk, &t->elf.load[i], lo, hi);
	for (uint64_t i = 0; i + 8 <= t->elf.size; i += 8) {
		uint64_t word;

		memcpy(&word, t->elf.data + i, 8);
		mark(t, word);
	}
	free(walk.seen);
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
	if (t->targets_unknown || bits_test(t->anchor, at) || bits_test(t->target, at) || bits_test(t->lsda, at))
		return true;
	if (t->size - at >= 4 && memcmp(t->orig + at, endbr64, 4) == 0)
		return true;
	return !neighbours_decoded(t, at) || bits_test(t->branch, at);
}
