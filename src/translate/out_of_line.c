/*
 * Translates a page of code to run elsewhere (abi/out_of_line.h): finds the instructions that the entries lead to inside the page
 * and emits each with the same meaning at its new place, in the same order. Branches inside the page stay inside the
 * translation; what leaves the page leaves for the original addresses, and calls push the original return address. An instruction
 * that cannot be emitted, or not without a forbidden sequence, is left out: what leads there leaves for its original address,
 * where the libOS learns of it.
 *
 * At the first byte of each translation the registers are what they would be at the original. So everything that can fault comes
 * first in a translation of several instructions, before anything that the program could see.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/out_of_line.h"
#include "internal.h"

#define ROUNDS_MAX 400u
#define PAD_MAX 8u
#define NOP 0x90
#define INT3 0xcc

struct page {
	struct translator t; /* text offsets are those of the page */
	const struct out_of_line_request *request;
	uint16_t place[OUT_OF_LINE_PAGE]; /* in the image, 0: not translated */
	uint16_t behind[OUT_OF_LINE_PAGE];
	uint8_t pad[OUT_OF_LINE_PAGE];	  /* bytes of nothing in front */
	bool found[OUT_OF_LINE_PAGE], bad[OUT_OF_LINE_PAGE];
	uint16_t stack[OUT_OF_LINE_PAGE];
	uint32_t waiting;
	uint8_t *image;
	uint32_t used;
};

static bool is_call(const struct insn *insn)
{
	return insn->z.meta.category == ZYDIS_CATEGORY_CALL;
}

/* LOOP, LOOPE, LOOPNE, JRCXZ: they have no long form. */
static bool is_counting(const struct insn *insn)
{
	return insn->z.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (insn->z.opcode & 0xfc) == 0xe0;
}

static bool is_stack_pointer(const struct insn *insn)
{
	bool extended = insn->z.attributes & ZYDIS_ATTRIB_HAS_REX && insn->bytes[insn->z.raw.rex.offset] & 1;

	return insn->z.raw.modrm.mod == 3 ? insn->z.raw.modrm.rm == 4 && !extended
					  : insn->z.raw.modrm.rm == 4 && insn->z.raw.sib.base == 4 && !extended;
}

static bool can_emit(const struct insn *insn)
{
	const ZydisDecodedInstruction *z = &insn->z;

	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_WRPKRU:
	case ZYDIS_MNEMONIC_WRGSBASE:
	case ZYDIS_MNEMONIC_XRSTOR:
	case ZYDIS_MNEMONIC_XRSTOR64:
		return false;
	default:
		break;
	}
	if (z->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return false;
	if (is_call(insn) && !z->raw.imm[0].is_relative) /* call *%rsp jumps to what it pushes */
		return z->operand_width == 64 && z->address_width == 64 && !(z->raw.modrm.mod == 3 && is_stack_pointer(insn));
	if (is_call(insn) || is_counting(insn))
		return z->operand_width == 64;
	return insn_movable(insn) != MOVABLE_NO || z->meta.category == ZYDIS_CATEGORY_SYSCALL ||
	       z->meta.category == ZYDIS_CATEGORY_INTERRUPT || z->meta.category == ZYDIS_CATEGORY_CET ||
	       z->meta.category == ZYDIS_CATEGORY_XSAVE || z->mnemonic == ZYDIS_MNEMONIC_HLT || z->mnemonic == ZYDIS_MNEMONIC_UD2 ||
	       z->meta.category == ZYDIS_CATEGORY_WIDENOP;
}

/* Never goes on behind itself. */
static bool ends(const struct insn *insn)
{
	return insn_movable(insn) == MOVABLE_END || insn->z.mnemonic == ZYDIS_MNEMONIC_UD2 || insn->z.mnemonic == ZYDIS_MNEMONIC_HLT;
}

static void arrive(struct page *p, int64_t at)
{
	if (at >= 0 && at < OUT_OF_LINE_PAGE && !p->found[at] && !p->bad[at] && p->waiting < OUT_OF_LINE_PAGE)
		p->stack[p->waiting++] = (uint16_t)at;
}

static void find_from(struct page *p, uint32_t at)
{
	struct insn insn;
	int64_t target;

	while (at < OUT_OF_LINE_PAGE && !p->found[at] && !p->bad[at]) {
		if (!insn_decode(&p->t, at, &insn) || !can_emit(&insn)) {
			p->bad[at] = true;
			return;
		}
		p->found[at] = true;
		if (insn_branch_target(&insn, &target))
			arrive(p, target);
		if (ends(&insn))
			return;
		at += insn.size;
	}
}

static void find(struct page *p)
{
	for (uint32_t i = 0; i < p->request->entries && i < OUT_OF_LINE_ENTRIES; i++) {
		arrive(p, p->request->entry[i]);
		while (p->waiting)
			find_from(p, p->stack[--p->waiting]);
	}
}

/* Where an original address is to be gone to, as a distance from the page. */
static int64_t way_to(const struct page *p, int64_t at)
{
	bool inside = at >= 0 && at < OUT_OF_LINE_PAGE && p->place[at];

	return inside ? (int64_t)(p->request->image - p->request->origin) + p->place[at] : at;
}

/* FF /operation with the operand of `insn`, an FF too, whose stack pointer was `pushed` bytes higher. */
static void same_operand(struct code *code, const struct insn *insn, uint8_t operation, uint8_t pushed)
{
	struct insn other = *insn;
	uint8_t bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
	const ZydisDecodedInstruction *z = &insn->z;
	uint8_t at = z->raw.modrm.offset, modrm = (uint8_t)((insn->bytes[at] & 0xc7) | operation << 3);
	int32_t disp = (int32_t)z->raw.disp.value + pushed;

	memcpy(bytes, insn->bytes, insn->size);
	bytes[at] = modrm;
	if (pushed && z->raw.modrm.mod != 3 && is_stack_pointer(insn)) {
		bytes[at] = (modrm & 0x3f) | 0x80;
		code_bytes(code, bytes, at + 2u); /* with the SIB byte */
		code_bytes(code, &disp, sizeof(disp));
		return;
	}
	other.bytes = bytes;
	code_insn(code, &other);
}

/* What can fault are the operand and the word that is pushed: both are touched first. */
static void emit_call(const struct page *p, struct code *code, const struct insn *insn)
{
	uint64_t back = p->request->origin + insn->at + insn->size;
	uint32_t low = (uint32_t)back, high = (uint32_t)(back >> 32);
	int64_t target;

	if (!insn->z.raw.imm[0].is_relative && insn->z.raw.modrm.mod != 3) {
		same_operand(code, insn, 6, 0);		     /* push operand */
		code_bytes(code, "\x48\x8d\x64\x24\x08", 5); /* lea 8(%rsp),%rsp */
	}
	code_bytes(code, "\xc7\x44\x24\xf8", 4); /* movl $low,-8(%rsp) */
	code_bytes(code, &low, 4);
	code_bytes(code, "\xc7\x44\x24\xfc", 4); /* movl $high,-4(%rsp) */
	code_bytes(code, &high, 4);
	code_bytes(code, "\x48\x8d\x64\x24\xf8", 5); /* lea -8(%rsp),%rsp */
	if (insn_branch_target(insn, &target))
		code_jump(code, way_to(p, target));
	else
		same_operand(code, insn, 4, 8); /* jmp *operand */
}

static void emit_counting(const struct page *p, struct code *code, const struct insn *insn)
{
	int64_t target;

	insn_branch_target(insn, &target);
	code_bytes(code, insn->bytes, insn->size - 1u);
	code_bytes(code, "\x02\xeb\x05", 3); /* taken: over the jump over the jump */
	code_jump(code, way_to(p, target));
}

static void emit(const struct page *p, struct code *code, const struct insn *insn)
{
	int64_t target;

	if (is_call(insn)) {
		emit_call(p, code, insn);
	} else if (is_counting(insn)) {
		emit_counting(p, code, insn);
	} else if (insn_branch_target(insn, &target)) {
		struct insn other = *insn;

		other.z.raw.imm[0].value.s = way_to(p, target) - insn->at - insn->size;
		code_insn(code, &other);
	} else {
		code_insn_otherwise(code, insn);
	}
}

static uint32_t next_found(const struct page *p, uint32_t at)
{
	while (at < OUT_OF_LINE_PAGE && !p->found[at])
		at++;
	return at;
}

static void lose(struct page *p, uint32_t at)
{
	p->found[at] = false;
	p->bad[at] = true;
	p->place[at] = 0;
}

/* All instructions, once. False if one was lost on the way: others may have meant to go on there. */
static bool emit_all(struct page *p, bool settled)
{
	bool whole = true;

	p->used = OUT_OF_LINE_MAP;
	memset(p->image + OUT_OF_LINE_MAP, INT3, OUT_OF_LINE_SIZE - OUT_OF_LINE_MAP);
	for (uint32_t at = next_found(p, 0); at < OUT_OF_LINE_PAGE; at = next_found(p, at + 1)) {
		struct code code = { .size = 0 };
		struct insn insn;
		uint32_t end;

		for (uint32_t i = 0; i < p->pad[at]; i++)
			p->image[p->used++] = NOP;
		code.at = (int64_t)(p->request->image - p->request->origin) + p->used;
		if (!insn_decode(&p->t, at, &insn))
			code.failed = true;
		else
			emit(p, &code, &insn);
		end = at + insn.size;
		if (!code.failed && !ends(&insn) && (end >= OUT_OF_LINE_PAGE || next_found(p, at + 1) != end))
			code_jump(&code, way_to(p, end));
		if ((code.failed && settled) || p->used + code.size + PAD_MAX > OUT_OF_LINE_SIZE) {
			lose(p, at);
			whole = false;
			continue;
		}
		p->place[at] = (uint16_t)p->used;
		memcpy(p->image + p->used, code.byte, code.size);
		p->used += code.size;
		p->behind[at] = (uint16_t)p->used;
	}
	return whole;
}

/* The instruction whose translation has the byte at `place`. */
static uint32_t owner(const struct page *p, uint32_t place)
{
	uint32_t at = next_found(p, 0);

	while (at < OUT_OF_LINE_PAGE && p->behind[at] <= place)
		at = next_found(p, at + 1);
	return at;
}

/* Breaks the forbidden sequence at `place`: between two translations, by moving what has a distance in it, or by doing without. */
static void break_up(struct page *p, uint32_t place)
{
	uint32_t at = owner(p, place);
	uint32_t next = at < OUT_OF_LINE_PAGE ? next_found(p, at + 1) : at;

	if (at >= OUT_OF_LINE_PAGE)
		return;
	if (place + 3 > p->behind[at] && next < OUT_OF_LINE_PAGE && p->pad[next] == 0)
		p->pad[next] = 1;
	else if (p->pad[at] < PAD_MAX)
		p->pad[at]++;
	else
		lose(p, at);
}

static bool build(struct page *p)
{
	for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
		uint32_t place;

		emit_all(p, false); /* sizes do not depend on places */
		if (!emit_all(p, true))
			continue;
		place = forbidden_next(p->image, OUT_OF_LINE_MAP, OUT_OF_LINE_SIZE);
		if (place == OUT_OF_LINE_SIZE)
			return true;
		break_up(p, place);
	}
	return false;
}

int translate_out_of_line(const struct translate_input *in, struct translate_output *out)
{
	const uint8_t *object = in->file + in->offset;
	struct page *p = calloc(1, sizeof(*p));
	struct out_of_line_request request;

	if (p == NULL)
		return -ENOMEM;
	memcpy(&request, object, sizeof(request));
	p->image = mmap(NULL, OUT_OF_LINE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->image == MAP_FAILED) {
		free(p);
		return -ENOMEM;
	}
	p->request = &request;
	p->t.orig = object + OUT_OF_LINE_CODE;
	p->t.size = request.known;
	ZydisDecoderInit(&p->t.full, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	find(p);
	if (build(p))
		memcpy(p->image, p->place, sizeof(p->place));
	else
		memset(p->image + OUT_OF_LINE_MAP, INT3, OUT_OF_LINE_SIZE - OUT_OF_LINE_MAP);
	out->text = p->image;
	out->text_size = out->text_used = OUT_OF_LINE_SIZE;
	out->data[0] = (struct code_image_data){ 0, OUT_OF_LINE_MAP / CVM_PAGE_SIZE };
	out->data_count = 1;
	free(p);
	return 0;
}

bool is_out_of_line(const struct translate_input *in)
{
	uint64_t left = in->file_size - in->offset;
	struct out_of_line_request request;

	if (in->size != OUT_OF_LINE_SIZE || in->stubs || left < OUT_OF_LINE_CODE + OUT_OF_LINE_PAGE)
		return false;
	memcpy(&request, in->file + in->offset, sizeof(request));
	return request.magic == OUT_OF_LINE_MAGIC && request.known <= left - OUT_OF_LINE_CODE &&
	       request.known >= OUT_OF_LINE_PAGE && request.known < OUT_OF_LINE_PAGE + ZYDIS_MAX_INSTRUCTION_LENGTH;
}
