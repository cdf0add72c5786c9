/*
 * Question: can a callee change the caller's modes, FS base (its thread-local storage) or callee-saved registers behind its
 * back?
 * Expect: REFUSED: the caller has its own modes
 * Control: --insecure-no-clean
 * Native: answers restore the caller's modes
 * Companions: 1
 * Grants: capabilities
 */
#include "cap_registers.h"

static void companion(void)
{
	uint32_t evil = open_named(CAP_CALL, "evil", CAP_USE), mxcsr = 0x3f80, after = 0;
	uint16_t control = 0x077f, control_after = 0;
	uint64_t words[CALL_WORDS] = { 0 }, fs = 0, fs_after = 1;
	long status;

	do {
		__asm__ volatile("ldmxcsr %1; fldcw %2; rdfsbase %0" : "=r"(fs) : "m"(mxcsr), "m"(control));
		status = gate_words(HC_call_invoke | (uint64_t)evil << 32, words);
		__asm__ volatile("stmxcsr %0; fnstcw %1; rdfsbase %2" : "=m"(after), "=m"(control_after), "=r"(fs_after));
	} while (status == -EAGAIN);
	FILE *f = fopen("/shared/result.new", "w");
	fprintf(f, "%ld %x %x %d\n", status, after, control_after, fs == fs_after);
	fclose(f);
	rename("/shared/result.new", "/shared/result");
	owner_until_stop();
}

static uint64_t g_number;

static void *answer_changed(void *unused)
{
	uint64_t words[CALL_WORDS] = { 0 };
	uint32_t mxcsr = 0x7f80;
	uint16_t control = 0x0f7f;

	while (gate_words(g_number, words) == -EINTR)
		;
	__asm__ volatile("ldmxcsr %0; fldcw %1; mov $0x1000, %%eax; wrfsbase %%rax\n\t"
			 "mov %2, %%r11; xor %%edi, %%edi; xor %%esi, %%esi; xor %%r8d, %%r8d; xor %%r9d, %%r9d\n\t"
			 "xor %%r10d, %%r10d; xor %%r12d, %%r12d; pushfq; orl $0x40400, (%%rsp); popfq\n\t"
			 "call *%%gs:16; ud2"
			 : : "m"(mxcsr), "m"(control), "m"(g_number)
			 : "rax", "rcx", "rdi", "rsi", "r8", "r9", "r10", "r11", "r12", "memory", "cc");
	return unused;
}

static void attack(void)
{
	unsigned mxcsr, control;
	long status;
	pthread_t thread;
	int same;
	FILE *f;

	g_number = HC_call_serve | (uint64_t)create_named(CAP_EXPORT, "evil", 0) << 32;
	pthread_create(&thread, NULL, answer_changed, NULL);
	while (!(f = fopen("/shared/result", "r")))
		usleep(1000);
	if (fscanf(f, "%ld %x %x %d", &status, &mxcsr, &control, &same) != 4 || status || mxcsr != 0x3f80 || control != 0x77f || !same)
		breach("status %ld, MXCSR %#x, x87 control %#x, FS base %s", status, mxcsr, control, same ? "kept" : "lost");
	refused("the caller has its own modes");
}
