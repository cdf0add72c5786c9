/*
 * Question: a callee answers, or serves, with a stack pointer in the monitor, in the victim, at nothing, or with hardly any stack
 * left. Whom does it hurt?
 * Expect: REFUSED: the callee alone|killed
 * Control: none: the monitor uses no stack of a cVM; the victim's bytes and the caller's answers are the test
 * Native: the monitor uses no stack of a cVM
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

static void companion(void)
{
	uint32_t evil = open_named(CAP_CALL, "evil", CAP_USE);
	unsigned answered = 0;
	long status = 0;

	for (int i = 0; i < 4; i++) {
		uint64_t words[CALL_WORDS] = { 0 };
		status = call(evil, words);
		answered += status == 0 && words[0] == 7;
	}
	FILE *f = fopen("/shared/result.new", "w");
	fprintf(f, "%u\n", answered);
	fclose(f);
	rename("/shared/result.new", "/shared/result");
	owner_until_stop();
}

static uint64_t g_number, g_stacks[4];

/* Serves once, then answers with another stack pointer; the next call arrives on that one. */
static void *odd_server(void *index)
{
	uint64_t words[CALL_WORDS] = { 0 };
	uint64_t stack = g_stacks[(uintptr_t)index];

	while (gate_words(g_number, words) == -EINTR)
		;
	__asm__ volatile("mov %0, %%r11; mov $7, %%edi; xor %%esi, %%esi; mov %%gs:16, %%rax; lea 1f(%%rip), %%rcx\n\t"
			 "mov %1, %%rsp; jmp *%%rax\n\t"
			 "1: ud2"
			 : : "m"(g_number), "r"(stack) : "rax", "rcx", "rdi", "rsi", "r11", "memory");
	return NULL;
}

static void attack(void)
{
	unsigned answered;
	pthread_t thread;
	FILE *f;

	signal(SIGSEGV, SIG_DFL); /* where nothing isolates, a second call finds bytes on the stack that was asked for */
	g_number = HC_call_serve | (uint64_t)create_named(CAP_EXPORT, "evil", 0) << 32;
	g_stacks[0] = vcpu()->monitor_thread + 0x9000;
	g_stacks[1] = g_victim.pattern + 64;
	g_stacks[2] = 8;
	g_stacks[3] = ~0ull << 8;
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&thread, NULL, odd_server, (void *)i);
	while (!(f = fopen("/shared/result", "r")))
		usleep(1000);
	if (fscanf(f, "%u", &answered) != 1 || answered != 4)
		breach("the caller got %u of 4 answers", answered);
	refused("the callee alone");
}
