/*
 * The report of a fatal signal: what, where (mapping and nearest symbol), registers, and which code addresses lie on the
 * stack, read with care: the dying program may have destroyed anything. Called once for a process, by signal/deliver.c,
 * with no lock held.
 */
#include "core/log.h"
#include "core/uaccess.h"
#include "mm/mm.h"
#include "signal/internal.h"
#include "thread/isolated.h"

#define STACK_WORDS 2048
#define STACK_SHOWN 16

static struct mutex g_report_lock;

/* "path+0xoffset (symbol+0x12)", or false if nothing is mapped there. */
static bool describe(uint64_t addr, char *out, size_t size)
{
	static char file[512]; /* g_report_lock */
	char symbol[SYMBOL_TEXT_SIZE];
	struct mm_range range;

	if (!mm_find(addr, &range, file, sizeof(file)))
		return false;
	symbol[0] = 0;
	if (file[0] == '/')
		symbol_text(addr, file, symbol, sizeof(symbol));
	format(out, size, "%s+0x%lx%s", file[0] ? file : "[anonymous]",
	       addr - range.start + (file[0] == '/' ? (uint64_t)range.offset : 0), symbol);
	return true;
}

/* Is there a call instruction in front of it: E8 relative, or FF /2 with its operand? */
static bool is_return_address(uint64_t addr)
{
	uint8_t code[7];

	if (!address_in_program(addr - sizeof(code)) || copy_from_user(code, (void *)(addr - sizeof(code)), sizeof(code)))
		return false;
	for (int i = 0; i <= 5; i++)
		if (code[i] == 0xff && (code[i + 1] >> 3 & 7) == 2)
			return true;
	return code[2] == 0xe8;
}

static void scan_stack(uint64_t rsp)
{
	char place[320];
	unsigned shown = 0;

	for (unsigned i = 0; i < STACK_WORDS && shown < STACK_SHOWN; i++) {
		struct mm_range range;
		char name[16];
		uint64_t word;

		if (!address_in_program(rsp) || get_user(word, (void *)((rsp & ~7ull) + i * 8ull)))
			return;
		if (word < PAGE_SIZE || !mm_find(word, &range, name, sizeof(name)) || !(range.prot & PROT_EXEC) ||
		    !is_return_address(word))
			continue;
		if (describe(word, place, sizeof(place)))
			log_crash("  stack: 0x%lx %s", word, place);
		shown++;
	}
}

static void report(struct thread *t, const struct regs *r, const siginfo_t *info)
{
	char place[320];
	int sig = info->si_signo;

	if (info->si_code > 0 && (SIGBIT(sig) & SIGNAL_SYNCHRONOUS_SET))
		log_crash("%s (code %d), address 0x%lx, in %s [tid %d]", signal_name(sig), info->si_code,
			  (uint64_t)info->si_addr, t->comm, t->tid);
	else
		log_crash("%s in %s [tid %d]", signal_name(sig), t->comm, t->tid);
	log_crash("  at 0x%lx %s", r->rip, describe(r->rip, place, sizeof(place)) ? place : "(nothing is mapped there)");
	log_crash("  rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx", r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi);
	log_crash("  rbp %lx rsp %lx r8 %lx r9 %lx r10 %lx r11 %lx", r->rbp, r->rsp, r->r8, r->r9, r->r10, r->r11);
	log_crash("  r12 %lx r13 %lx r14 %lx r15 %lx flags %lx", r->r12, r->r13, r->r14, r->r15, r->rflags);
	scan_stack(r->rsp);
}

void crash_report(struct thread *t, const struct regs *r, const siginfo_t *info)
{
	if (__atomic_exchange_n(&t->process->crash_reported, 1, __ATOMIC_RELAXED))
		return;
	mutex_lock(&g_report_lock);
	report(t, r, info);
	mutex_unlock(&g_report_lock);
}
