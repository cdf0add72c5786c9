/*
 * Decoding: turns the anchors of functions.c into instruction boundaries, one region (anchor to anchor) at a time and
 * only where somebody asks, because most files hold thousands of functions and a handful of interesting places.
 *
 * A region is believed if every byte decodes, decoding ends exactly at the next anchor, all direct branches into it
 * meet instruction starts, and its own anchor is beyond doubt or met exactly by decoding from the one before (an FDE
 * may begin a byte early: glibc's and the kernel's signal trampolines). Otherwise nothing in it is changed.
 */
#include "internal.h"

/* Decodes [start, end) once; true if that ends exactly at the end. */
static bool decode_region(struct translator *t, uint32_t start, uint32_t end)
{
	uint32_t at = start;

	if (bits_test(t->region_done, start))
		return bits_test(t->region_exact, start);
	bits_set(t->region_done, start);
	if (!bits_test(t->code, start))
		return false;
	while (at < end) {
		ZydisDecodedInstruction z;

		if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&t->quick, NULL, t->orig + at, t->size - at, &z)))
			return false;
		bits_set(t->boundary, at);
		at += z.length;
		if (z.raw.imm[0].is_relative) {
			int64_t to = (int64_t)at + z.raw.imm[0].value.s;

			if (to >= 0 && to < t->size)
				bits_set(t->branch, (uint32_t)to);
		}
	}
	if (at == end)
		bits_set(t->region_exact, start);
	return at == end;
}

static bool anchor_holds(struct translator *t, uint32_t at)
{
	uint32_t before;

	if (bits_test(t->strong, at))
		return true;
	before = at > 0 ? bits_prev(t->anchor, at - 1) : BITS_NONE;
	return before != BITS_NONE && decode_region(t, before, at);
}

/* Every known branch into the region must meet an instruction; jumping over a lock prefix is an old custom. */
static bool branches_agree(const struct translator *t, const struct region *region)
{
	uint32_t at = bits_next(t->branch, region->start, region->end);

	for (; at < region->end; at = bits_next(t->branch, at + 1, region->end)) {
		bool after_lock = at > region->start && bits_test(t->boundary, at - 1) && t->orig[at - 1] == 0xf0;

		if (!bits_test(t->boundary, at) && !after_lock)
			return false;
	}
	return true;
}

struct region code_region(struct translator *t, uint32_t at)
{
	struct region region = { 0, 0, false };

	if (!t->collected)
		functions_collect(t);
	if (!t->known || at < t->code_lo || at >= t->code_hi)
		return region;
	if (at >= t->last_region.start && at < t->last_region.end)
		return t->last_region;
	region.start = bits_prev(t->anchor, at);
	region.end = bits_next(t->anchor, at + 1, t->code_hi);
	if (!bits_test(t->region_seen, region.start)) {
		bits_set(t->region_seen, region.start);
		if (decode_region(t, region.start, region.end) && anchor_holds(t, region.start) &&
		    branches_agree(t, &region))
			bits_set(t->region_ok, region.start);
	}
	region.ok = bits_test(t->region_ok, region.start);
	t->last_region = region;
	return region;
}

bool code_is_boundary(struct translator *t, uint32_t at)
{
	return code_region(t, at).ok && bits_test(t->boundary, at);
}

bool insn_decode(const struct translator *t, uint32_t at, struct insn *insn)
{
	if (at >= t->size ||
	    !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&t->full, t->orig + at, t->size - at, &insn->z, insn->op)))
		return false;
	insn->at = at;
	insn->bytes = t->orig + at;
	insn->size = insn->z.length;
	return true;
}

bool insn_branch_target(const struct insn *insn, int64_t *target)
{
	if (!insn->z.raw.imm[0].is_relative)
		return false;
	*target = (int64_t)insn->at + insn->size + insn->z.raw.imm[0].value.s;
	return true;
}
