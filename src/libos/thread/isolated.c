/*
 * What an isolated libOS needs besides isolated.S: program areas, the check of arguments, and the program's context when
 * an upcall interrupts it on its way. Area contents are the program's to change at any time.
 */
#include "thread/isolated.h"
#include "abi/slot.h"
#include "core/hostcall.h"
#include "thread/thread.h"

_Static_assert(HC_thread_switch == 103, "isolated.S");

#define AREA_SIZE 256u
#define AREAS ((SLOT_SIZE - SLOT_PROGRAM_END) / AREA_SIZE)
_Static_assert(REGS_SIZE <= AREA_SIZE, "it holds registers");

static uint64_t g_used[AREAS / 64]; /* bit per area; the callers' lock, like g_committed: areas that have memory */
static uint64_t g_committed;

void isolated_init(uint64_t slot_base)
{
	g_libos_start = slot_base;
	g_libos_size = SLOT_LIBOS_END;
}

bool registers_in_program(const struct regs *r)
{
	return address_in_program(r->rdi) && address_in_program(r->rsi) && address_in_program(r->rdx) &&
	       address_in_program(r->r10) && address_in_program(r->r8) && address_in_program(r->r9);
}

uint64_t program_area_take(void)
{
	uint64_t first = g_libos_start + SLOT_PROGRAM_END, i = 0;

	while (i < AREAS / 64 && !~g_used[i])
		i++;
	if (i == AREAS / 64)
		return 0;
	i = i * 64 + (uint64_t)__builtin_ctzll(~g_used[i]);
	if (i >= g_committed) {
		if (hostcall(HC_mem_commit, first + i * AREA_SIZE, PAGE_SIZE, 3 /* R|W */, 0) < 0)
			return 0;
		g_committed += PAGE_SIZE / AREA_SIZE;
	}
	g_used[i / 64] |= 1ull << (i % 64);
	return first + i * AREA_SIZE;
}

void program_area_give(uint64_t area)
{
	uint64_t i = (area - g_libos_start - SLOT_PROGRAM_END) / AREA_SIZE;

	g_used[i / 64] &= ~(1ull << (i % 64));
}

/* Nothing here is trusted, nor need it be: whatever comes out is a context that has the program's rights. */
void isolated_context(const struct thread *t, struct upcall_frame *f)
{
	const volatile struct regs *area = (const volatile struct regs *)t->program_area;
	uint64_t gate;

	__asm__("mov %%gs:%c1, %0" : "=r"(gate) : "i"(VCPU_GATE));
	if (f->rip == gate && f->r11 == HC_thread_switch) { /* the gate had begun to use these */
		f->rax = area->rax;
		f->rcx = area->rcx;
		f->rdx = area->rdx;
	} else if (f->rip >= (uint64_t)program_resumes_begin && f->rip < (uint64_t)program_resumes_end) {
		const struct regs *left = (const struct regs *)(t->kernel_stack - sizeof *left);

		memcpy(f, left, offsetof(struct regs, orig_rax));
		memcpy(&f->rip, &left->rip, 5 * sizeof(uint64_t));
	}
}
