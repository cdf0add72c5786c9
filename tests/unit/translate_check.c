/*
 * See translate_check.h. The checker decodes with Zydis like the translator but shares no code with it.
 */
#include "translate_check.h"

#include <Zydis/Zydis.h>
#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "abi/slot.h"
#include "abi/vcpu.h"
#include "base/forbidden.h"

uint8_t *small_elf(const uint8_t *code, size_t size, size_t *file_size)
{
	size_t headers = (SMALL_ELF_TEXT + size + 7) & ~7ul;
	uint8_t *file = calloc(1, headers + 2 * sizeof(Elf64_Shdr));
	Elf64_Ehdr *eh = (Elf64_Ehdr *)file;
	Elf64_Phdr *ph;
	Elf64_Shdr *sh;

	if (file == NULL)
		abort();
	*eh = (Elf64_Ehdr){ .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			    .e_type = ET_DYN,
			    .e_machine = EM_X86_64,
			    .e_version = EV_CURRENT,
			    .e_phoff = sizeof(*eh),
			    .e_shoff = headers,
			    .e_ehsize = sizeof(*eh),
			    .e_phentsize = sizeof(*ph),
			    .e_phnum = 1,
			    .e_shentsize = sizeof(*sh),
			    .e_shnum = 2 };
	ph = (Elf64_Phdr *)(file + eh->e_phoff);
	*ph = (Elf64_Phdr){ PT_LOAD, PF_R | PF_X, SMALL_ELF_TEXT, SMALL_ELF_TEXT, SMALL_ELF_TEXT, size, size, 4096 };
	sh = (Elf64_Shdr *)(file + headers) + 1;
	*sh = (Elf64_Shdr){ .sh_type = SHT_PROGBITS,
			    .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
			    .sh_addr = SMALL_ELF_TEXT,
			    .sh_offset = SMALL_ELF_TEXT,
			    .sh_size = size };
	memcpy(file + SMALL_ELF_TEXT, code, size);
	*file_size = headers + 2 * sizeof(*sh);
	return file;
}

struct decoded {
	int64_t at; /* address: the text starts at 0, the stub area at SLOT_STUB_DELTA */
	uint32_t size;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

static bool decode(const uint8_t *bytes, size_t size, size_t at, int64_t base, struct decoded *d)
{
	static ZydisDecoder decoder;
	static bool ready;

	if (!ready)
		ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ready = true;
	if (at >= size || !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes + at, size - at, &d->z, d->op)))
		return false;
	d->at = base + (int64_t)at;
	d->size = d->z.length;
	return true;
}

static int64_t branch_target(const struct decoded *d)
{
	return d->z.raw.imm[0].is_relative ? d->at + d->size + d->z.raw.imm[0].value.s : INT64_MIN;
}

static bool same_operand(const struct decoded *a, const struct decoded *b, int i)
{
	const ZydisDecodedOperand *x = &a->op[i], *y = &b->op[i];

	if (x->type != y->type || x->size != y->size)
		return false;
	switch (x->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return x->reg.value == y->reg.value;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		return x->imm.is_relative ? branch_target(a) == branch_target(b) : x->imm.value.u == y->imm.value.u;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		if (x->mem.segment != y->mem.segment || x->mem.base != y->mem.base || x->mem.index != y->mem.index ||
		    x->mem.scale != y->mem.scale)
			return false;
		if (x->mem.base == ZYDIS_REGISTER_RIP)
			return a->at + a->size + x->mem.disp.value == b->at + b->size + y->mem.disp.value;
		return x->mem.disp.value == y->mem.disp.value;
	default:
		return false;
	}
}

/* The same instruction, at another place or in another encoding. */
static bool same(const struct decoded *a, const struct decoded *b)
{
	if (a->z.mnemonic != b->z.mnemonic || a->z.operand_count_visible != b->z.operand_count_visible)
		return false;
	if (a->z.raw.imm[0].is_relative)
		return branch_target(a) == branch_target(b);
	for (int i = 0; i < a->z.operand_count_visible; i++)
		if (!same_operand(a, b, i))
			return false;
	return true;
}

struct walk {
	const uint8_t *orig;
	const struct translate_output *out;
	size_t at, end; /* in the stub */
};

static bool next_in_stub(struct walk *w, struct decoded *d)
{
	if (!decode(w->out->stubs, w->end, w->at, (int64_t)SLOT_STUB_DELTA, d))
		return false;
	w->at += d->size;
	return true;
}

/* not x; mov ~x: two instructions stand for one. lea likewise. True if b and what follows do the same as a. */
static bool same_in_two(struct walk *w, const struct decoded *a, const struct decoded *b)
{
	struct decoded second;

	if (a->z.mnemonic != b->z.mnemonic || !next_in_stub(w, &second) || a->op[0].reg.value != b->op[0].reg.value ||
	    second.op[0].reg.value != a->op[0].reg.value)
		return false;
	if (a->z.mnemonic == ZYDIS_MNEMONIC_MOV) {
		uint64_t mask = a->z.operand_width == 64 ? ~0ull : 0xffffffffull;

		return second.z.mnemonic == ZYDIS_MNEMONIC_NOT && second.op[0].size == a->op[0].size &&
		       (a->op[1].imm.value.u & mask) == (~b->op[1].imm.value.u & mask);
	}
	return a->z.mnemonic == ZYDIS_MNEMONIC_LEA && second.z.mnemonic == ZYDIS_MNEMONIC_LEA &&
	       a->op[1].mem.base == b->op[1].mem.base && a->op[1].mem.index == b->op[1].mem.index &&
	       a->op[1].mem.scale == b->op[1].mem.scale && second.op[1].mem.index == ZYDIS_REGISTER_NONE &&
	       second.op[1].mem.base == ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, a->op[0].reg.value) &&
	       a->op[1].mem.disp.value == b->op[1].mem.disp.value + second.op[1].mem.disp.value;
}

/* Original instructions [from, to) come next in the stub. *stopped: one of them never goes on. */
static const char *moved(struct walk *w, uint32_t from, uint32_t to, bool spaced, bool *stopped)
{
	*stopped = false;
	while (from < to) {
		struct decoded a, b;

		if (!decode(w->orig, w->out->text_used, from, 0, &a))
			return "original does not decode";
		if (*stopped) {
			if (a.z.mnemonic != ZYDIS_MNEMONIC_NOP)
				return "code behind a jump was overwritten";
			from += a.size;
			continue;
		}
		if (!next_in_stub(w, &b))
			return "stub does not decode";
		if (spaced) {
			if (b.z.mnemonic != ZYDIS_MNEMONIC_NOP || !next_in_stub(w, &b))
				return "no space between moved instructions";
		}
		if (!same(&a, &b) && !(spaced && same_in_two(w, &a, &b)))
			return "moved instruction differs";
		*stopped = a.z.mnemonic == ZYDIS_MNEMONIC_JMP || a.z.mnemonic == ZYDIS_MNEMONIC_RET;
		from += a.size;
	}
	return from == to ? NULL : "window ends inside an instruction";
}

static const char *jump_to(struct walk *w, int64_t target)
{
	struct decoded d;

	if (!next_in_stub(w, &d) || d.z.mnemonic != ZYDIS_MNEMONIC_JMP || branch_target(&d) != target)
		return "stub does not jump back";
	return NULL;
}

static const char *rest(struct walk *w, const struct translate_patch *p, uint32_t from)
{
	bool stopped;
	const char *wrong = moved(w, from, p->end, p->kind == TRANSLATE_MOVED, &stopped);

	if (wrong == NULL && !stopped)
		wrong = jump_to(w, p->end);
	return wrong == NULL && w->at != w->end ? "stub goes on behind its end" : wrong;
}

static bool through_gs(const struct decoded *d, ZydisMnemonic mnemonic, int slot)
{
	return d->z.mnemonic == mnemonic && d->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
	       d->op[0].mem.segment == ZYDIS_REGISTER_GS && d->op[0].mem.base == ZYDIS_REGISTER_NONE &&
	       d->op[0].mem.index == ZYDIS_REGISTER_NONE && d->op[0].mem.disp.value == slot;
}

static const char *check_syscall(struct walk *w, const struct translate_patch *p)
{
	bool in_stub = p->kind == TRANSLATE_SYSCALL_STUB, stopped;
	const uint8_t *code = in_stub ? w->out->stubs : w->out->text;
	int64_t resume = in_stub ? (int64_t)SLOT_STUB_DELTA + p->resume : (int64_t)p->resume;
	const char *wrong;
	struct decoded d;

	if (memcmp(w->orig + p->core, "\x0f\x05", 2) != 0)
		return "no syscall there";
	wrong = moved(w, p->start, p->core, false, &stopped);
	if (wrong != NULL || stopped)
		return wrong != NULL ? wrong : "jump in front of a syscall";
	if (!next_in_stub(w, &d) || d.z.mnemonic != ZYDIS_MNEMONIC_LEA || d.op[0].reg.value != ZYDIS_REGISTER_RCX ||
	    d.op[1].mem.base != ZYDIS_REGISTER_RIP || d.at + d.size + d.op[1].mem.disp.value != resume)
		return "rcx is not the place to go on";
	if (!next_in_stub(w, &d) || !through_gs(&d, ZYDIS_MNEMONIC_JMP, VCPU_SYSCALL_ENTRY))
		return "stub does not enter the libOS";
	if (p->resume < 2 || memcmp(code + p->resume - 2, "\x0f\x05", 2) != 0)
		return "no syscall in front of the place to go on";
	if (p->kind == TRANSLATE_SYSCALL_BEFORE)
		return p->resume == p->core + 2 && p->end == p->core && w->at == w->end ? NULL : "bad layout";
	if (in_stub) {
		w->at += 2;
		return w->at == p->resume ? rest(w, p, p->core + 2) : "goes on at the wrong place";
	}
	if (!decode(w->out->text, w->out->text_used, p->resume, 0, &d) || d.z.mnemonic != ZYDIS_MNEMONIC_JMP ||
	    branch_target(&d) != (int64_t)SLOT_STUB_DELTA + (int64_t)w->at)
		return "text does not jump to the rest";
	return rest(w, p, p->core + 2);
}

static const char *check_xrstor(struct walk *w, const struct translate_patch *p)
{
	static const ZydisMnemonic frame[] = { ZYDIS_MNEMONIC_LEA, ZYDIS_MNEMONIC_PUSHFQ, ZYDIS_MNEMONIC_PUSH,
					       ZYDIS_MNEMONIC_LEA, ZYDIS_MNEMONIC_CALL,	  ZYDIS_MNEMONIC_POP,
					       ZYDIS_MNEMONIC_POPFQ, ZYDIS_MNEMONIC_LEA };
	struct decoded original, d;
	bool stopped;
	const char *wrong = moved(w, p->start, p->core, false, &stopped);

	if (wrong != NULL || stopped)
		return wrong != NULL ? wrong : "jump in front of XRSTOR";
	if (!decode(w->orig, w->out->text_used, p->core, 0, &original))
		return "no XRSTOR there";
	for (size_t i = 0; i < sizeof(frame) / sizeof(frame[0]); i++) {
		int64_t want, have;

		if (!next_in_stub(w, &d) || d.z.mnemonic != frame[i] ||
		    (frame[i] == ZYDIS_MNEMONIC_CALL && !through_gs(&d, frame[i], VCPU_XRSTOR_GATE)))
			return "XRSTOR stub differs";
		if (i != 3)
			continue;
		want = original.op[0].mem.disp.value;
		have = d.op[1].mem.disp.value;
		if (original.op[0].mem.base == ZYDIS_REGISTER_RIP) {
			want += original.at + original.size;
			have += d.at + d.size;
		}
		if (original.op[0].mem.base == ZYDIS_REGISTER_RSP)
			want += 128 + 16;
		if (want != have || d.op[1].mem.base != original.op[0].mem.base ||
		    d.op[1].mem.index != original.op[0].mem.index || d.op[1].mem.scale != original.op[0].mem.scale)
			return "XRSTOR of another address";
	}
	return rest(w, p, p->core + original.size);
}

static const char *check_in_place(const struct walk *w, const struct translate_patch *p)
{
	struct decoded a, b;

	if (!decode(w->orig, w->out->text_used, p->start, 0, &a) || a.size != p->end - p->start ||
	    !decode(w->out->text, w->out->text_used, p->start, 0, &b))
		return "replacement does not decode";
	if (p->kind == TRANSLATE_UD2)
		return b.z.mnemonic == ZYDIS_MNEMONIC_UD2 ? NULL : "not UD2";
	return same(&a, &b) && a.size == b.size ? NULL : "other encoding means something else";
}

/* lea 8(%rsp),%rsp; push pointer; rax saved; lea end,%rax; mov %rax,(%rsp); rax restored: the pointer is read before anything has happened. */
static const char *check_pointer_read(struct walk *w, const struct translate_patch *p, const struct decoded *call)
{
	static const uint8_t taken[] = { 0x48, 0x8d, 0x64, 0x24, 0x08 }, saved[] = { 0x48, 0x89, 0x44, 0x24, 0x80 },
			     written[] = { 0x48, 0x89, 0x04, 0x24, 0x48, 0x8b, 0x44, 0x24, 0x80 };
	struct decoded push, lea;

	if (w->end - w->at != 38 || memcmp(w->out->stubs + w->at, taken, sizeof(taken)) != 0)
		return "return address not taken away";
	w->at += sizeof(taken);
	if (!next_in_stub(w, &push) || push.z.mnemonic != ZYDIS_MNEMONIC_PUSH || !same_operand(call, &push, 0))
		return "other pointer read";
	if (memcmp(w->out->stubs + w->at, saved, sizeof(saved)) != 0)
		return "rax not saved";
	w->at += sizeof(saved);
	if (!next_in_stub(w, &lea) || lea.z.mnemonic != ZYDIS_MNEMONIC_LEA || lea.op[0].reg.value != ZYDIS_REGISTER_RAX ||
	    lea.op[1].mem.base != ZYDIS_REGISTER_RIP || lea.at + lea.size + lea.op[1].mem.disp.value != (int64_t)p->end)
		return "other return address";
	if (memcmp(w->out->stubs + w->at, written, sizeof(written)) != 0)
		return "return address not written again";
	w->at += sizeof(written);
	return NULL;
}

static const char *check_redirect(struct walk *w, const struct translate_patch *p)
{
	struct decoded a, b, stub;

	if (!decode(w->orig, w->out->text_used, p->start, 0, &a) || a.size != p->end - p->start ||
	    !decode(w->out->text, w->out->text_used, p->start, 0, &b) || a.size != b.size ||
	    a.z.mnemonic != b.z.mnemonic)
		return "redirected branch is another";
	if (!a.z.raw.imm[0].is_relative) {
		const char *wrong = check_pointer_read(w, p, &a);

		if (wrong != NULL)
			return wrong;
	}
	if (branch_target(&b) != (int64_t)SLOT_STUB_DELTA + p->stub || !next_in_stub(w, &stub) ||
	    stub.z.mnemonic != ZYDIS_MNEMONIC_JMP)
		return "redirected branch goes astray";
	return a.z.raw.imm[0].is_relative ? (branch_target(&a) == branch_target(&stub) ? NULL : "other target")
					  : (same_operand(&a, &stub, 0) ? NULL : "other pointer");
}

static const char *check_patch(const uint8_t *orig, const struct translate_output *out, const struct translate_patch *p)
{
	struct walk w = { orig, out, p->stub, p->stub + p->stub_size };
	struct decoded d;

	if (p->end > out->text_used || p->start > p->end || w.end > out->stub_used)
		return "patch out of bounds";
	if (p->kind == TRANSLATE_UD2 || p->kind == TRANSLATE_REENCODED)
		return check_in_place(&w, p);
	if (p->kind == TRANSLATE_REDIRECTED)
		return check_redirect(&w, p);
	if (!decode(out->text, out->text_used, p->start, 0, &d) || d.z.mnemonic != ZYDIS_MNEMONIC_JMP ||
	    branch_target(&d) != (int64_t)SLOT_STUB_DELTA + p->stub)
		return "text does not jump to the stub";
	if (p->kind == TRANSLATE_XRSTOR)
		return check_xrstor(&w, p);
	return p->kind == TRANSLATE_MOVED ? rest(&w, p, p->start) : check_syscall(&w, p);
}

static uint32_t count_forbidden(const uint8_t *bytes, size_t size)
{
	uint32_t count = 0;

	for (size_t i = 0; i + 2 < size; i++)
		count += forbidden_at(bytes, i);
	return count;
}

const char *translate_check(const uint8_t *orig, const struct translate_output *out, uint64_t *where)
{
	size_t differs = 0, last = 0;
	uint8_t *covered = calloc(1, out->text_used + 1);
	const char *wrong = NULL;

	if (covered == NULL)
		abort();
	*where = 0;
	for (size_t i = 0; i < out->patch_count && wrong == NULL; i++) {
		const struct translate_patch *p = &out->patches[i];

		*where = p->core;
		if (p->kind == TRANSLATE_SYSCALL_LEFT || p->kind == TRANSLATE_FORBIDDEN_LEFT)
			continue;
		wrong = check_patch(orig, out, p);
		for (uint32_t at = p->start; wrong == NULL && at < p->end; at++) {
			if (covered[at]++)
				wrong = "windows overlap";
		}
	}
	for (; wrong == NULL && differs < out->text_used; differs++) {
		*where = differs;
		if (out->text[differs] != orig[differs] && !covered[differs])
			wrong = "changed outside of windows";
	}
	free(covered);
	for (last = out->text_used; wrong == NULL && last < out->text_size && last < out->text_used + 8192; last++)
		if (out->text[last] != 0)
			wrong = "bytes behind the file are not zero";
	for (last = out->stub_used; wrong == NULL && last < out->stub_size; last++)
		if (out->stubs[last] != 0xcc)
			wrong = "unused stub bytes are not int3";
	if (wrong == NULL && count_forbidden(out->text, out->text_used) + count_forbidden(out->stubs, out->stub_size) !=
				     out->forbidden_left + out->forbidden_data)
		wrong = "forbidden sequences miscounted";
	return wrong;
}
