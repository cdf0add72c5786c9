/*
 * Which neighbours of a place may be moved away with it to make room for a jump: a window of whole instructions,
 * known to be code, none of them part of another change, none but the first a branch target.
 */
#include "internal.h"

static bool usable(struct translator *t, const struct region *region, uint32_t at, struct insn *insn)
{
	return region->ok && at >= region->start && at < region->end && bits_test(t->boundary, at) &&
	       insn_decode(t, at, insn) && !bits_any(t->taken, at, at + insn->size);
}

uint32_t window_before(struct translator *t, uint32_t at)
{
	struct region region = code_region(t, at);
	struct insn insn;
	uint32_t start;

	if (!region.ok || at <= region.start)
		return BITS_NONE;
	start = bits_prev(t->boundary, at - 1);
	if (start == BITS_NONE || !usable(t, &region, start, &insn) || start + insn.size != at)
		return BITS_NONE;
	switch (insn_movable(&insn)) {
	case MOVABLE_PLAIN:
	case MOVABLE_FILLER:
		return start;
	default:
		return BITS_NONE;
	}
}

uint32_t window_after(struct translator *t, uint32_t at, bool *ended)
{
	struct region region = code_region(t, at);
	struct insn insn;
	enum movable movable;

	if (!usable(t, &region, at, &insn) || code_is_target(t, at))
		return 0;
	movable = insn_movable(&insn);
	if (movable == MOVABLE_NO || (*ended && movable != MOVABLE_FILLER))
		return 0;
	*ended = *ended || movable == MOVABLE_END;
	return at + insn.size;
}
