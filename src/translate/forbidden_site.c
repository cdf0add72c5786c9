/*
 * Makes one forbidden byte sequence disappear without changing what the program does, or says why it cannot. In order:
 * an instruction that is meant and may not run becomes UD2; XRSTOR becomes a call of the monitor's gate; an instruction
 * with a second encoding gets that; a direct branch goes through a jump elsewhere; and else the instructions that hold
 * the bytes move to a stub, apart from one another and with constants split, which gives them other bytes.
 */
#include <string.h>

#include "abi/vcpu.h"
#include "base/forbidden.h"
#include "internal.h"

#define PIECES_MAX FORBIDDEN_LENGTH
#define BEFORE_MAX 5
#define RED_ZONE 128
#define XRSTOR_PUSHED (RED_ZONE + 16)

struct pieces {
	uint32_t count;
	struct insn insn[PIECES_MAX];
};

void forbidden_left(struct translator *t, uint32_t at, const char *why)
{
	struct translate_patch p = { .kind = TRANSLATE_FORBIDDEN_LEFT, .start = at, .end = at, .core = at, .why = why };

	change_note(t, &p);
}

/* Tries windows around [from, to), itself known to be movable, until one takes a stub. */
static bool change_around(struct translator *t, uint32_t from, uint32_t to, bool ended, struct translate_patch *p,
			  build_fn *build)
{
	uint32_t start = from;

	for (uint32_t i = 0; i < BEFORE_MAX; i++) {
		uint32_t end = to;
		bool last = ended;

		while (end != 0 && end - start < JUMP_SIZE)
			end = window_after(t, end, &last);
		p->start = start;
		p->end = end;
		if (end != 0 && change_place(t, p, build))
			return true;
		if (code_is_target(t, start))
			return false;
		start = window_before(t, start);
		if (start == BITS_NONE)
			return false;
	}
	return false;
}

static bool make_illegal(struct translator *t, const struct insn *insn)
{
	struct translate_patch p = { TRANSLATE_UD2, insn->at, insn->at + insn->size, insn->at, 0, 0, 0, NULL };
	struct code text = { .at = insn->at };

	code_bytes(&text, "\x0f\x0b", 2);
	code_fill(&text, insn->size);
	return change_in_place(t, &p, &text);
}

/* lea <memory operand of insn>,%rdi with the stack pointer XRSTOR_PUSHED bytes lower than the program had it. */
static void lea_operand(struct code *stub, const struct insn *insn)
{
	const ZydisDecodedInstruction *z = &insn->z;
	bool rip = z->raw.modrm.mod == 0 && z->raw.modrm.rm == 5;
	bool sib = z->raw.modrm.rm == 4;
	bool no_base = z->raw.modrm.mod == 0 && sib && z->raw.sib.base == 5;
	int64_t disp = z->raw.disp.value;
	uint8_t rex = 0x48, modrm = (uint8_t)(7 << 3 | z->raw.modrm.rm);
	int32_t value;

	if (z->attributes & ZYDIS_ATTRIB_HAS_REX)
		rex |= insn->bytes[z->raw.rex.offset] & 3;
	if (z->address_width != 64 || (z->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS) ||
	    (z->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS))
		stub->failed = true;
	if (sib && z->raw.sib.base == 4 && !(rex & 1))
		disp += XRSTOR_PUSHED;
	if (!rip && !no_base)
		modrm |= 2 << 6;
	code_bytes(stub, (uint8_t[]){ rex, 0x8d, modrm }, 3);
	if (sib)
		code_bytes(stub, insn->bytes + z->raw.modrm.offset + 1, 1);
	if (rip)
		disp += (int64_t)insn->at + insn->size - (stub->at + stub->size + 4);
	value = (int32_t)disp;
	if (value != disp)
		stub->failed = true;
	code_bytes(stub, &value, sizeof(value));
}

static void build_xrstor(struct translator *t, struct translate_patch *p, struct code *text, struct code *stub)
{
	const uint8_t call[] = { 0x65, 0xff, 0x14, 0x25, VCPU_XRSTOR_GATE, 0, 0, 0 };
	struct insn insn;

	code_jump(text, stub->at);
	code_insns(t, stub, p->start, p->core, false);
	if (!insn_decode(t, p->core, &insn)) {
		stub->failed = true;
		return;
	}
	code_bytes(stub, "\x48\x8d\x64\x24\x80", 5); /* lea -128(%rsp),%rsp: no flags */
	code_bytes(stub, "\x9c\x57", 2);	     /* pushfq; push %rdi */
	lea_operand(stub, &insn);
	code_bytes(stub, call, sizeof(call));	     /* call *%gs:VCPU_XRSTOR_GATE */
	code_bytes(stub, "\x5f\x9d", 2);	     /* pop %rdi; popfq */
	code_bytes(stub, "\x48\x8d\xa4\x24\x80\0\0\0", 8); /* lea 128(%rsp),%rsp */
	if (code_insns(t, stub, p->core + insn.size, p->end, false))
		code_jump(stub, p->end);
}

/* An instruction that is what its bytes say. Returns NULL if done, else why not. */
static const char *replace_real(struct translator *t, const struct insn *insn)
{
	struct translate_patch p = { .kind = TRANSLATE_XRSTOR, .core = insn->at };

	switch (insn->z.mnemonic) {
	case ZYDIS_MNEMONIC_XRSTOR:
	case ZYDIS_MNEMONIC_XRSTOR64:
		if (!t->use_stubs)
			return "XRSTOR, and no room for a stub";
		return change_around(t, insn->at, insn->at + insn->size, false, &p, build_xrstor)
			       ? NULL
			       : "XRSTOR without room for a jump";
	default: /* WRPKRU, WRGSBASE */
		return make_illegal(t, insn) ? NULL : "instruction whose replacement is forbidden too";
	}
}

/* Register-to-register instructions that have a twin with the operands' places exchanged. */
static bool swap_operands(const struct insn *insn, struct code *text)
{
	const ZydisDecodedInstruction *z = &insn->z;
	uint8_t *modrm, *opcode;

	if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || z->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT ||
	    !(z->attributes & ZYDIS_ATTRIB_HAS_MODRM) || z->raw.modrm.mod != 3)
		return false;
	code_bytes(text, insn->bytes, insn->size);
	modrm = text->byte + z->raw.modrm.offset;
	opcode = modrm - 1;
	if ((*opcode < 0x40 && (*opcode & 7) < 4) || (*opcode >= 0x88 && *opcode <= 0x8b))
		*opcode ^= 2;
	else if (*opcode < 0x84 || *opcode > 0x87) /* TEST and XCHG are symmetric */
		return false;
	*modrm = (uint8_t)(0xc0 | (*modrm & 7) << 3 | (*modrm >> 3 & 7));
	if (z->attributes & ZYDIS_ATTRIB_HAS_REX) {
		uint8_t *rex = text->byte + z->raw.rex.offset;

		*rex = (uint8_t)((*rex & 0xfa) | (*rex & 1) << 2 | (*rex >> 2 & 1));
	}
	return true;
}

static bool reencode(struct translator *t, const struct insn *insn)
{
	struct translate_patch p = { TRANSLATE_REENCODED, insn->at, insn->at + insn->size, insn->at, 0, 0, 0, NULL };
	struct code text = { .at = insn->at };

	return swap_operands(insn, &text) && change_in_place(t, &p, &text);
}

/* Behind the window's call, a call through a pointer. One that cannot be read must fault as before the call: it is read first
 * with the return address taken away, which is written again then. %rax waits just below the program's red zone, where
 * signals leave alone what is in that of the stub. */
static void through_pointer(struct code *stub, int64_t pointer, int64_t back)
{
	code_bytes(stub, "\x48\x8d\x64\x24\x08", 5); /* lea 8(%rsp),%rsp */
	code_bytes(stub, "\xff\x35", 2);	       /* push pointer(%rip) */
	code_relative(stub, pointer);
	code_bytes(stub, "\x48\x89\x44\x24\x80", 5); /* mov %rax,-128(%rsp) */
	code_bytes(stub, "\x48\x8d\x05", 3);	       /* lea back(%rip),%rax */
	code_relative(stub, back);
	code_bytes(stub, "\x48\x89\x04\x24", 4);     /* mov %rax,(%rsp) */
	code_bytes(stub, "\x48\x8b\x44\x24\x80", 5); /* mov -128(%rsp),%rax */
	code_bytes(stub, "\xff\x25", 2);	       /* jmp *pointer(%rip) */
	code_relative(stub, pointer);
}

static void build_redirect(struct translator *t, struct translate_patch *p, struct code *text, struct code *stub)
{
	struct insn insn;
	int64_t target;

	if (!insn_decode(t, p->start, &insn)) {
		text->failed = true;
	} else if (insn_branch_target(&insn, &target)) {
		code_bytes(text, insn.bytes, insn.size - 4u);
		code_relative(text, stub->at);
		code_jump(stub, target);
	} else { /* call *pointer(%rip): addr32 call */
		code_bytes(text, "\x67\xe8", 2);
		code_relative(text, stub->at);
		through_pointer(stub, (int64_t)insn.at + insn.size + insn.z.raw.disp.value, p->end);
	}
}

static bool is_rip_call(const struct insn *insn)
{
	return insn->size == 6 && insn->bytes[0] == 0xff && insn->bytes[1] == 0x15;
}

/* A call keeps its return address this way. */
static bool redirect(struct translator *t, const struct insn *insn)
{
	struct translate_patch p = { .kind = TRANSLATE_REDIRECTED, .core = insn->at };

	p.start = insn->at;
	p.end = insn->at + insn->size;
	if (!is_rip_call(insn) && (!insn->z.raw.imm[0].is_relative || insn->z.raw.imm[0].size != 32))
		return false;
	return change_place(t, &p, build_redirect);
}

static void build_moved(struct translator *t, struct translate_patch *p, struct code *text, struct code *stub)
{
	code_jump(text, stub->at);
	if (code_insns(t, stub, p->start, p->end, true))
		code_jump(stub, p->end);
}

static bool move(struct translator *t, const struct insn *first, const struct insn *last)
{
	struct translate_patch p = { .kind = TRANSLATE_MOVED, .core = first->at };
	uint32_t end = first->at + first->size;
	bool ended = insn_movable(first) == MOVABLE_END;

	if (insn_movable(first) == MOVABLE_NO)
		return false;
	while (end != 0 && end <= last->at)
		end = window_after(t, end, &ended);
	return end != 0 && change_around(t, first->at, end, ended, &p, build_moved);
}

/* The instructions that the three bytes lie in. */
static bool find_pieces(struct translator *t, uint32_t at, struct pieces *pieces)
{
	struct region region = code_region(t, at);
	uint32_t start;

	pieces->count = 0;
	if (!region.ok)
		return false;
	for (start = bits_prev(t->boundary, at); start < at + FORBIDDEN_LENGTH; start += pieces->insn[pieces->count++].size)
		if (pieces->count == PIECES_MAX || !code_is_boundary(t, start) ||
		    !insn_decode(t, start, &pieces->insn[pieces->count]))
			return false;
	return pieces->count > 0;
}

static bool is_real(const struct insn *insn, uint32_t at)
{
	switch (insn->z.mnemonic) {
	case ZYDIS_MNEMONIC_WRPKRU:
	case ZYDIS_MNEMONIC_WRGSBASE:
	case ZYDIS_MNEMONIC_XRSTOR:
	case ZYDIS_MNEMONIC_XRSTOR64:
		return insn->at + insn->z.raw.modrm.offset == at + 2;
	default:
		return false;
	}
}

void forbidden_site(struct translator *t, uint32_t at)
{
	struct pieces pieces;
	const char *why = NULL;

	if (forbidden_next(t->text, at, at + FORBIDDEN_LENGTH) != at)
		return; /* gone with another change */
	if (!find_pieces(t, at, &pieces)) {
		forbidden_left(t, at, "forbidden bytes outside of recognised code");
		return;
	}
	if (bits_any(t->taken, pieces.insn[0].at, at + FORBIDDEN_LENGTH)) {
		forbidden_left(t, at, "forbidden bytes next to another replacement");
		return;
	}
	if (is_real(&pieces.insn[0], at)) {
		why = replace_real(t, &pieces.insn[0]);
		if (why != NULL)
			forbidden_left(t, at, why);
		return;
	}
	for (uint32_t i = 0; i < pieces.count; i++)
		if (reencode(t, &pieces.insn[i]) || redirect(t, &pieces.insn[i]))
			return;
	for (uint32_t size = pieces.count; size > 0; size--)
		for (uint32_t i = 0; i + size <= pieces.count; i++)
			if (move(t, &pieces.insn[i], &pieces.insn[i + size - 1]))
				return;
	forbidden_left(t, at, pieces.count > 1 ? "forbidden bytes spanning instructions that cannot be moved"
					       : "forbidden bytes inside an instruction that cannot be changed");
}
