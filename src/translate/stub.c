/*
 * Builds and places changes: moves instructions so that they mean the same at another address, and finds a place in
 * the stub area where neither the stub nor the jump to it forms a forbidden sequence, with what surrounds them either.
 * Called by syscall_site.c and forbidden_site.c.
 */
#include <string.h>

#include "base/forbidden.h"
#include "internal.h"

#define STUB_ALIGN 16u
#define PLACE_TRIES 32u
#define INT3 0xcc
#define CONTEXT (FORBIDDEN_CONTEXT + FORBIDDEN_LENGTH - 1)

void code_bytes(struct code *code, const void *bytes, uint32_t size)
{
	if (size > sizeof(code->byte) - code->size) {
		code->failed = true;
		return;
	}
	memcpy(code->byte + code->size, bytes, size);
	code->size += size;
}

void code_relative(struct code *code, int64_t to)
{
	int64_t distance = to - (code->at + code->size + 4);
	int32_t value = (int32_t)distance;

	if (value != distance)
		code->failed = true;
	code_bytes(code, &value, sizeof(value));
}

void code_jump(struct code *code, int64_t to)
{
	code_bytes(code, "\xe9", 1);
	code_relative(code, to);
}

void code_fill(struct code *code, uint32_t size)
{
	while (code->size < size && !code->failed)
		code_bytes(code, &(uint8_t){ INT3 }, 1);
}

static bool is_rip_relative(const ZydisDecodedInstruction *z)
{
	/* moves of control and debug registers ignore mod: nothing follows then */
	return (z->attributes & ZYDIS_ATTRIB_HAS_MODRM) && z->raw.modrm.mod == 0 && z->raw.modrm.rm == 5 &&
	       z->raw.disp.size == 32;
}

/* Is it one of the two jump-if-condition forms that exist with a 32-bit distance? */
static bool is_jcc(const ZydisDecodedInstruction *z)
{
	return (z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (z->opcode & 0xf0) == 0x70) ||
	       (z->opcode_map == ZYDIS_OPCODE_MAP_0F && (z->opcode & 0xf0) == 0x80 &&
		z->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY);
}

static bool is_jmp(const ZydisDecodedInstruction *z)
{
	return z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (z->opcode == 0xe9 || z->opcode == 0xeb);
}

enum movable insn_movable(const struct insn *insn)
{
	const ZydisDecodedInstruction *z = &insn->z;

	if (z->raw.imm[0].is_relative) {
		if (z->operand_width == 16)
			return MOVABLE_NO;
		return is_jmp(z) ? MOVABLE_END : is_jcc(z) ? MOVABLE_BRANCH : MOVABLE_NO;
	}
	if (is_rip_relative(z) && z->address_width != 64)
		return MOVABLE_NO;
	switch (z->meta.category) {
	case ZYDIS_CATEGORY_NOP:
	case ZYDIS_CATEGORY_WIDENOP:
		return z->mnemonic == ZYDIS_MNEMONIC_NOP ? MOVABLE_FILLER : MOVABLE_NO;
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_RET:
		return z->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
				       (z->mnemonic != ZYDIS_MNEMONIC_JMP && z->mnemonic != ZYDIS_MNEMONIC_RET)
			       ? MOVABLE_NO
			       : MOVABLE_END;
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_CET:
	case ZYDIS_CATEGORY_XSAVE:
		return MOVABLE_NO;
	default:
		return z->mnemonic == ZYDIS_MNEMONIC_WRPKRU || z->mnemonic == ZYDIS_MNEMONIC_HLT ||
				       z->mnemonic == ZYDIS_MNEMONIC_UD2 || z->mnemonic == ZYDIS_MNEMONIC_WRGSBASE
			       ? MOVABLE_NO
			       : MOVABLE_PLAIN;
	}
}

void code_insn(struct code *code, const struct insn *insn)
{
	const ZydisDecodedInstruction *z = &insn->z;
	uint32_t start = code->size;
	int64_t target;

	if (insn_branch_target(insn, &target)) {
		if (is_jmp(z)) {
			code_jump(code, target);
		} else {
			code_bytes(code, (uint8_t[]){ 0x0f, (uint8_t)(0x80 | (z->opcode & 15)) }, 2);
			code_relative(code, target);
		}
		return;
	}
	code_bytes(code, insn->bytes, insn->size);
	if (is_rip_relative(z) && !code->failed) {
		int64_t distance = (int64_t)insn->at + insn->size + z->raw.disp.value - (code->at + code->size);
		int32_t value = (int32_t)distance;

		if (value != distance)
			code->failed = true;
		memcpy(code->byte + start + z->raw.disp.offset, &value, sizeof(value));
	}
}

bool code_insns(const struct translator *t, struct code *code, uint32_t from, uint32_t to, bool spaced)
{
	while (from < to) {
		struct insn insn;
		enum movable movable;

		if (!insn_decode(t, from, &insn)) {
			code->failed = true;
			return false;
		}
		movable = insn_movable(&insn);
		if (spaced) {
			code_bytes(code, "\x90", 1);
			code_insn_otherwise(code, &insn);
		} else {
			code_insn(code, &insn);
		}
		if (movable == MOVABLE_NO)
			code->failed = true;
		if (movable == MOVABLE_END)
			return false;
		from += insn.size;
	}
	return true;
}

/* Would these bytes at `start` of the text, with their new neighbours, be free of forbidden sequences? */
static bool text_clean(const struct translator *t, uint32_t start, const struct code *code)
{
	struct code around = { .at = 0 };
	uint32_t before = start < CONTEXT ? start : CONTEXT, end = start + code->size;
	uint32_t after = t->text_size - end < CONTEXT ? t->text_size - end : CONTEXT, first = start - before;

	code_bytes(&around, t->text + first, before);
	code_bytes(&around, code->byte, code->size);
	code_bytes(&around, t->text + end, after);
	for (uint32_t i = 0; (i = forbidden_next(around.byte, i, around.size)) < around.size; i++) {
		bool touches = i + FORBIDDEN_LENGTH > before && i < before + code->size;

		if (touches || forbidden_next(t->text, first + i, first + i + FORBIDDEN_LENGTH) != first + i)
			return false; /* others were there before */
	}
	return !around.failed;
}

static bool stub_clean(const struct translator *t, uint32_t at, const struct code *code)
{
	struct code around = { .at = 0 };

	for (uint32_t i = at < CONTEXT ? 0 : at - CONTEXT; i < at; i++)
		code_bytes(&around, i < t->stubs.used ? t->stubs.bytes + i : &(uint8_t){ INT3 }, 1);
	code_bytes(&around, code->byte, code->size);
	return !around.failed && forbidden_next(around.byte, 0, around.size) == around.size;
}

static bool stub_room(struct translator *t, uint64_t end)
{
	struct stub_area *s = &t->stubs;
	uint64_t room = s->room ? s->room : CVM_PAGE_SIZE;
	uint8_t *bytes;

	if (end > s->limit)
		return false;
	if (end <= s->room)
		return true;
	while (room < end)
		room *= 2;
	room = room > s->limit ? s->limit : room;
	bytes = realloc(s->bytes, room);
	if (bytes == NULL) {
		t->out_of_memory = true;
		return false;
	}
	memset(bytes + s->room, INT3, room - s->room);
	s->bytes = bytes;
	s->room = (uint32_t)room;
	return true;
}

void change_note(struct translator *t, const struct translate_patch *patch)
{
	struct translate_output *out = t->out;

	if (out->patch_count == t->patch_room) {
		size_t room = t->patch_room ? t->patch_room * 2 : 256;
		struct translate_patch *patches = realloc(out->patches, room * sizeof(*patches));

		if (patches == NULL) {
			t->out_of_memory = true;
			return;
		}
		out->patches = patches;
		t->patch_room = room;
	}
	out->patches[out->patch_count++] = *patch;
}

static void change_text(struct translator *t, const struct translate_patch *patch, const struct code *text)
{
	memcpy(t->text + patch->start, text->byte, text->size);
	for (uint32_t i = patch->start; i < patch->end; i++)
		bits_set(t->taken, i);
	change_note(t, patch);
}

bool change_in_place(struct translator *t, struct translate_patch *patch, const struct code *text)
{
	if (text->failed || text->size != patch->end - patch->start || !text_clean(t, patch->start, text))
		return false;
	change_text(t, patch, text);
	return true;
}

bool change_place(struct translator *t, struct translate_patch *patch, build_fn *build)
{
	uint32_t at = (t->stubs.used + STUB_ALIGN - 1) / STUB_ALIGN * STUB_ALIGN;

	if (!t->use_stubs)
		return false;
	for (uint32_t i = 0; i < PLACE_TRIES; i++, at += i % 2 ? 1 : STUB_ALIGN - 1) {
		struct code text = { .at = patch->start }, stub = { .at = (int64_t)SLOT_STUB_DELTA + at };

		patch->stub = at;
		build(t, patch, &text, &stub);
		code_fill(&text, patch->end - patch->start);
		if (text.failed || stub.failed || text.size != patch->end - patch->start)
			return false;
		if (!text_clean(t, patch->start, &text) || !stub_clean(t, at, &stub))
			continue;
		if (!stub_room(t, (uint64_t)at + stub.size))
			return false;
		memcpy(t->stubs.bytes + at, stub.byte, stub.size);
		t->stubs.used = at + stub.size;
		patch->stub_size = stub.size;
		change_text(t, patch, &text);
		return true;
	}
	return false;
}
