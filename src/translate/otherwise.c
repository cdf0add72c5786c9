/*
 * Other bytes for the same effect: emits an instruction whose constants hold a forbidden sequence as two that do not.
 * Flags, memory and other registers are as after the one. Called by stub.c for instructions that are being moved.
 */
#include <string.h>

#include "internal.h"

static bool is_clean(const struct code *code, uint32_t from)
{
	return forbidden_next(code->byte, from, code->size) == code->size;
}

/* mov $constant,%register: load the complement, then NOT, which leaves the flags alone. */
static bool mov_complement(struct code *code, const struct insn *insn)
{
	const ZydisDecodedInstruction *z = &insn->z;
	bool short_form = (z->opcode & 0xf8) == 0xb8;
	bool long_form = z->opcode == 0xc7 && z->raw.modrm.mod == 3 && z->raw.modrm.reg == 0;
	uint8_t rex = 0, number = short_form ? z->opcode & 7 : z->raw.modrm.rm;
	uint32_t imm = code->size + z->raw.imm[0].offset;

	if (z->mnemonic != ZYDIS_MNEMONIC_MOV || z->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT ||
	    (!short_form && !long_form) || z->operand_width < 32)
		return false;
	code_bytes(code, insn->bytes, insn->size);
	for (uint32_t i = 0; i < z->raw.imm[0].size / 8u && !code->failed; i++)
		code->byte[imm + i] ^= 0xff;
	if (z->attributes & ZYDIS_ATTRIB_HAS_REX)
		rex = insn->bytes[z->raw.rex.offset] & 0x49;
	if (rex != 0)
		code_bytes(code, &rex, 1);
	code_bytes(code, (uint8_t[]){ 0xf7, (uint8_t)(0xd0 | number) }, 2);
	return true;
}

/* lea displacement(...),%register: with another displacement, then the difference. */
static bool lea_twice(struct code *code, const struct insn *insn)
{
	const int32_t delta = 0x01111111;
	const ZydisDecodedInstruction *z = &insn->z;
	uint8_t rex = 0, number = z->raw.modrm.reg;
	uint32_t disp = code->size + z->raw.disp.offset;
	int64_t first = z->raw.disp.value - delta;
	int32_t value = (int32_t)first;

	if (z->mnemonic != ZYDIS_MNEMONIC_LEA || z->raw.disp.size != 32 || z->operand_width < 32 ||
	    z->address_width != 64 || value != first || (z->raw.modrm.mod == 0 && z->raw.modrm.rm == 5))
		return false;
	code_bytes(code, insn->bytes, insn->size);
	if (code->failed)
		return false;
	memcpy(code->byte + disp, &value, sizeof(value));
	if (z->attributes & ZYDIS_ATTRIB_HAS_REX)
		rex = insn->bytes[z->raw.rex.offset] & 0x4c; /* W and R */
	rex |= (rex & 4) >> 2;				      /* the register is the base too */
	if (rex != 0)
		code_bytes(code, &rex, 1);
	code_bytes(code, (uint8_t[]){ 0x8d, (uint8_t)(0x80 | number << 3 | number) }, 2);
	if (number == 4)
		code_bytes(code, "\x24", 1);
	code_bytes(code, &delta, sizeof(delta));
	return true;
}

void code_insn_otherwise(struct code *code, const struct insn *insn)
{
	static bool (*const ways[])(struct code *, const struct insn *) = { mov_complement, lea_twice };
	uint32_t start = code->size;

	code_insn(code, insn);
	for (uint32_t i = 0; i < sizeof(ways) / sizeof(ways[0]) && !code->failed && !is_clean(code, start); i++) {
		uint32_t end = code->size;
		uint8_t plain[16];

		memcpy(plain, code->byte + start, sizeof(plain));
		code->size = start;
		if (!ways[i](code, insn)) {
			memcpy(code->byte + start, plain, sizeof(plain));
			code->size = end;
		}
	}
}
