/*
 * Rewrites one `syscall` instruction into a jump to a stub that enters the libOS (see translate.h for what the libOS
 * is promised). Three layouts, best first:
 *
 *   before: [jmp stub; int3...; syscall]     moved: only instructions in front. The syscall stays where it was, so
 *           even a branch straight to it works (slowly), and execution goes on behind it.
 *   text:   [jmp stub; syscall; jmp rest; int3...]   12 bytes or more; goes on at the second jump.
 *   stub:   [jmp stub; int3...]                       goes on in the stub.
 *
 * The last two move instructions behind the syscall too; these may not use the stack pointer, so that unwind tables
 * hold for the place where execution goes on.
 */
#include <string.h>

#include "abi/vcpu.h"
#include "internal.h"

#define BEFORE_MAX 6
#define AFTER_MAX 8
#define TEXT_WINDOW (JUMP_SIZE + SYSCALL_SIZE + JUMP_SIZE)

static void enter_libos(struct code *stub, int64_t resume)
{
	const uint8_t jump[] = { 0x65, 0xff, 0x24, 0x25, VCPU_SYSCALL_ENTRY, 0, 0, 0 };
	int64_t distance = resume - (stub->at + stub->size + 7);
	int32_t value = (int32_t)distance;

	code_bytes(stub, "\x48\x8d\x0d", 3); /* lea resume(%rip),%rcx */
	code_bytes(stub, &value, sizeof(value));
	code_bytes(stub, jump, sizeof(jump)); /* jmp *%gs:VCPU_SYSCALL_ENTRY */
	if (value != distance)
		stub->failed = true;
}

static void build_before(struct translator *t, struct translate_patch *p, struct code *text, struct code *stub)
{
	code_jump(text, stub->at);
	code_insns(t, stub, p->start, p->core, false);
	p->resume = p->core + SYSCALL_SIZE;
	enter_libos(stub, p->resume);
}

static void build_text(struct translator *t, struct translate_patch *p, struct code *text, struct code *stub)
{
	code_jump(text, stub->at);
	code_insns(t, stub, p->start, p->core, false);
	p->resume = p->start + JUMP_SIZE + SYSCALL_SIZE;
	enter_libos(stub, p->resume);
	code_bytes(text, "\x0f\x05", SYSCALL_SIZE);
	code_jump(text, stub->at + stub->size);
	if (code_insns(t, stub, p->core + SYSCALL_SIZE, p->end, false))
		code_jump(stub, p->end);
}

static void build_stub(struct translator *t, struct translate_patch *p, struct code *text, struct code *stub)
{
	const uint32_t entry_size = 7 + 8;
	int64_t resume;

	code_jump(text, stub->at);
	code_insns(t, stub, p->start, p->core, false);
	resume = stub->at + stub->size + entry_size + SYSCALL_SIZE;
	enter_libos(stub, resume);
	code_bytes(stub, "\x0f\x05", SYSCALL_SIZE);
	p->resume = (uint32_t)(resume - (int64_t)SLOT_STUB_DELTA);
	if (code_insns(t, stub, p->core + SYSCALL_SIZE, p->end, false))
		code_jump(stub, p->end);
}

/* libgcc recognises signal frames without unwind information by these very bytes at the return address. */
static bool is_bare_restorer(const struct translator *t, uint32_t at)
{
	static const uint8_t restorer[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };

	return at >= 7 && memcmp(t->orig + at - 7, restorer, sizeof(restorer)) == 0 && !bits_test(t->unwind, at);
}

/* The instruction at `at` leaves the stack pointer alone, or is a return, whose CFI row is the syscall's. */
static bool keeps_stack(const struct translator *t, uint32_t at)
{
	struct insn insn;

	if (!insn_decode(t, at, &insn))
		return false;
	if (insn.z.meta.category == ZYDIS_CATEGORY_RET)
		return true;
	for (uint32_t i = 0; i < insn.z.operand_count; i++) {
		const ZydisDecodedOperand *op = &insn.op[i];

		if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
		    ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, op->reg.value) == ZYDIS_REGISTER_RSP)
			return false;
	}
	return true;
}

/* starts[0] is the syscall, starts[n] the n-th instruction in front of it that may be moved. Returns how many. */
static uint32_t find_before(struct translator *t, uint32_t core, uint32_t starts[BEFORE_MAX + 1])
{
	uint32_t count = 0;

	starts[0] = core;
	while (count < BEFORE_MAX) {
		uint32_t start;

		if (count > 0 && core - starts[count] >= JUMP_SIZE)
			break;
		/* taking one more makes what is now the first an interior one; the syscall itself stays (layout 1) */
		if (count > 0 && code_is_target(t, starts[count]))
			break;
		start = window_before(t, starts[count]);
		if (start == BITS_NONE)
			break;
		starts[++count] = start;
	}
	return count;
}

/* The shortest window [start, end) with at least `need` bytes; its end, or 0. */
static uint32_t extend_after(struct translator *t, uint32_t start, uint32_t core, uint32_t need)
{
	uint32_t end = core + SYSCALL_SIZE;
	bool ended = false;

	for (uint32_t i = 0; i < AFTER_MAX && end - start < need; i++) {
		uint32_t next = window_after(t, end, &ended);

		if (next == 0 || !keeps_stack(t, end))
			return 0;
		end = next;
	}
	return end - start >= need ? end : 0;
}

static bool with_after(struct translator *t, const uint32_t *starts, uint32_t count, struct translate_patch *p)
{
	static const struct {
		enum translate_kind kind;
		uint32_t need;
		build_fn *build;
	} layouts[] = { { TRANSLATE_SYSCALL_TEXT, TEXT_WINDOW, build_text },
			{ TRANSLATE_SYSCALL_STUB, JUMP_SIZE, build_stub } };
	uint32_t most = count > 0 && code_is_target(t, p->core) ? 0 : count;

	for (uint32_t l = 0; l < sizeof(layouts) / sizeof(layouts[0]); l++) {
		for (uint32_t k = 0; k <= most; k++) {
			p->start = starts[k];
			p->end = extend_after(t, p->start, p->core, layouts[l].need);
			p->kind = layouts[l].kind;
			if (p->end != 0 && change_place(t, p, layouts[l].build))
				return true;
		}
	}
	return false;
}

static void leave(struct translator *t, uint32_t at, const char *why)
{
	struct translate_patch p = { .kind = TRANSLATE_SYSCALL_LEFT, .start = at, .end = at, .core = at, .why = why };

	change_note(t, &p);
}

void syscall_site(struct translator *t, uint32_t at)
{
	struct translate_patch p = { .core = at };
	uint32_t starts[BEFORE_MAX + 1], count;

	if (!code_region(t, at).ok) {
		t->out->sites_unproven++;
		leave(t, at, "not in recognised code");
		return;
	}
	if (!code_is_boundary(t, at) || bits_test(t->taken, at))
		return; /* part of another instruction, or moved */
	t->out->sites_found++;
	if (!t->use_stubs || is_bare_restorer(t, at)) {
		leave(t, at, t->use_stubs ? "signal return that unwinders recognise by its bytes" : "no stubs");
		return;
	}
	count = find_before(t, at, starts);
	if (count > 0 && at - starts[count] >= JUMP_SIZE) {
		p.kind = TRANSLATE_SYSCALL_BEFORE;
		p.start = starts[count];
		p.end = at;
		if (change_place(t, &p, build_before)) {
			bits_set(t->taken, at);
			bits_set(t->taken, at + 1);
			t->out->sites_rewritten++;
			return;
		}
	}
	if (with_after(t, starts, count, &p))
		t->out->sites_rewritten++;
	else
		leave(t, at, "no window free of branch targets");
}
