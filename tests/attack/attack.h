/*
 * What attack programs share. An attack is a program in a cVM named "attacker"; beside it runs "victim" (victim.c.in),
 * which holds a pattern and tells its address through /shared/victim. The attack ends with one line, "REFUSED: ..." or
 * "BREACH: ...", printed by refused() or breach(). suite_attack.py says what the comment at an attack's top may hold.
 */
#ifndef TESTS_ATTACK_H
#define TESTS_ATTACK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#include "abi/boot.h"
#include "abi/hostcall.h"
#include "abi/slot.h"
#include "abi/vcpu.h"

#define PAGE CVM_PAGE_SIZE
#define NOINLINE __attribute__((noinline, unused))
#define MAYBE __attribute__((unused))

static void attack(void);

struct victim {
	uint64_t pattern; /* address of its page of pattern */
	uint64_t stack, code;
};
static struct victim g_victim MAYBE;

/* How a guarded access ended. */
struct outcome {
	int signal; /* 0: it did not fault */
	int code;
	uint64_t address, rip, rax;
};
static sigjmp_buf g_jump;
static volatile sig_atomic_t g_guarded;
static struct outcome g_outcome;

static void say(const char *kind, const char *format, va_list list)
{
	printf("%s: ", kind);
	vprintf(format, list);
	printf("\n");
	fflush(stdout);
	_exit(0);
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void refused(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	say("REFUSED", format, list);
	__builtin_unreachable();
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void breach(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	say("BREACH", format, list);
	__builtin_unreachable();
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	if (!g_guarded)
		breach("the attack itself faulted: signal %d at %p", signal, (void *)uc->uc_mcontext.gregs[REG_RIP]);
	g_outcome = (struct outcome){ signal, info->si_code, (uint64_t)info->si_addr,
				      (uint64_t)uc->uc_mcontext.gregs[REG_RIP], (uint64_t)uc->uc_mcontext.gregs[REG_RAX] };
	g_guarded = 0;
	siglongjmp(g_jump, 1);
}

/* Runs function(argument); a fault ends it and is the result. */
static NOINLINE struct outcome guarded(void (*function)(void *), void *argument)
{
	g_outcome = (struct outcome){ 0 };
	if (sigsetjmp(g_jump, 1) == 0) {
		g_guarded = 1;
		function(argument);
	}
	g_guarded = 0;
	return g_outcome;
}

static MAYBE const char *signal_text(struct outcome o)
{
	static char text[64];

	snprintf(text, sizeof text, "signal %d", o.signal);
	return o.signal == SIGSEGV ? "SIGSEGV" : o.signal == SIGILL ? "SIGILL" : o.signal == SIGSYS ? "SIGSYS" :
	       o.signal == SIGTRAP ? "SIGTRAP" : o.signal == SIGBUS ? "SIGBUS" : text;
}

static MAYBE struct vcpu_page *vcpu(void)
{
	struct vcpu_page *page;
	__asm__ volatile("mov %%gs:0, %0" : "=r"(page));
	return page;
}

/* Straight through the gate, past the libOS. */
static NOINLINE long hostcall(enum hostcall number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	register uint64_t r8 __asm__("r8") = a2, r9 __asm__("r9") = a3, r10 __asm__("r10") = a4;
	register uint64_t r11 __asm__("r11") = (uint64_t)number, r12 __asm__("r12") = a5;
	long result;

	/* calls of other cVMs take every register but rsp */
	__asm__ volatile("sub $128, %%rsp\n\tpush %%rbp\n\tcall *%%gs:16\n\tpop %%rbp\n\tadd $128, %%rsp"
			 : "=a"(result), "+D"(a0), "+S"(a1), "+r"(r8), "+r"(r9), "+r"(r10), "+r"(r11), "+r"(r12)
			 :
			 : "rbx", "rcx", "rdx", "r13", "r14", "r15", "memory", "cc");
	return result;
}

/* A symbol's offset, from one of the lists that the suite makes. */
static MAYBE uint64_t symbol_offset(const char *list, const char *wanted)
{
	FILE *f = fopen(list, "r");
	char name[256];
	long offset;

	while (f && fscanf(f, "%255s %ld", name, &offset) == 2)
		if (strcmp(name, wanted) == 0) {
			fclose(f);
			return (uint64_t)offset;
		}
	breach("%s has no symbol %s: the attack needs to be rewritten", list, wanted);
}

/* The run-time address of a symbol of the monitor. */
static MAYBE uint64_t monitor_symbol(const char *wanted)
{
	return vcpu()->gate + symbol_offset("/shared/symbols", wanted); /* counted from gate_enter */
}

static MAYBE void load_byte(void *address)
{
	(void)*(volatile uint8_t *)address;
}

static MAYBE void store_byte(void *address)
{
	*(volatile uint8_t *)address = 0x5a;
}

/* Bytes made executable in the ordinary way: written, then mprotected. A null pointer with errno if refused. */
static MAYBE void *make_code(const void *bytes, size_t size)
{
	uint8_t *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(page, 0x90, 2 * PAGE);
	__asm__("" : "+r"(bytes)); /* as immediates they would be in this program's own code */
	memcpy(page, bytes, size);
	return mprotect(page, 2 * PAGE, PROT_READ | PROT_EXEC) ? NULL : page;
}

/* The same, asked of the monitor itself: the libOS would have it run elsewhere. */
static MAYBE void *seal_code(const void *bytes, size_t size)
{
	uint8_t *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(page, 0x90, 2 * PAGE);
	__asm__("" : "+r"(bytes)); /* as above */
	memcpy(page, bytes, size);
	return hostcall(HC_mem_seal_code, (uint64_t)page, 2 * PAGE, 0, 0, 0, 0) ? NULL : page;
}

/* A `syscall` instruction of our own, which nobody rewrote: rdi number, rsi the six arguments. */
static MAYBE long own_syscall(long number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	static const uint8_t code[] = { 0x0f, 0x05, 0xc3 }; /* syscall; ret */
	static void *instruction;
	register uint64_t r10 __asm__("r10") = a3, r8 __asm__("r8") = a4, r9 __asm__("r9") = a5;
	long result = number;

	if (!instruction)
		instruction = make_code(code, sizeof code);
	if (!instruction)
		refused("own code: %s", strerror(errno));
	__asm__ volatile("sub $128, %%rsp\n\tcall *%[code]\n\tadd $128, %%rsp"
			 : "+a"(result)
			 : [code] "b"(instruction), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory", "cc");
	return result;
}

/* The handle of a granted directory, known by a file in it. */
static MAYBE uint64_t granted_directory(const char *file)
{
	for (uint64_t handle = 3; handle < 64; handle++) {
		long found = hostcall(HC_file_open, handle, (uint64_t)file, strlen(file), O_RDONLY, 0, 0);
		if (found >= 0) {
			hostcall(HC_file_close, (uint64_t)found, 0, 0, 0, 0, 0);
			return handle;
		}
	}
	breach("no granted directory has a file %s", file);
}

/* One message to the command's log: its kind, BOOT_LOG_* or any other byte, and text. Waits for room. */
static MAYBE void log_message(char kind, const char *text, size_t size)
{
	struct pollfd room = { .fd = BOOT_HANDLE_LOG, .events = POLLOUT };
	char message[1 + 8192] = { kind };
	long result;

	memcpy(message + 1, text, size);
	while ((result = hostcall(HC_file_write, BOOT_HANDLE_LOG, (uint64_t)message, 1 + size, 0, 0, 0)) == -EAGAIN)
		hostcall(HC_poll, (uint64_t)&room, 1, (uint64_t)-1, 0, 0, 0);
	if (result != (long)(1 + size))
		breach("the log does not take the message: %ld", result);
}

static int g_uses = -1;

/* Until the victim has once, from now on, used all that it needs of the process: mappings, descriptors, threads. */
static MAYBE void let_victim_work(void)
{
	unsigned long first = 0, now = 0;

	if (pread(g_uses, &first, sizeof first, 0) < 0)
		breach("cannot look after the victim");
	for (now = first; now < first + 2; usleep(2000))
		if (pread(g_uses, &now, sizeof now, 0) < 0)
			breach("cannot look after the victim");
}

static void find_victim(void)
{
	FILE *f;

	while (!(f = fopen("/shared/victim", "r")))
		usleep(10000);
	if (fscanf(f, "%lx %lx %lx", &g_victim.pattern, &g_victim.stack, &g_victim.code) != 3)
		breach("no victim");
	fclose(f);
	g_uses = open("/shared/uses", O_RDONLY);
}

#ifdef ATTACK_COMPANION
static void companion(void); /* what the program does in other cVMs */
#endif

int main(int argc, char **argv)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGSYS, SIGFPE, SIGTRAP };
	static char stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };

	setvbuf(stdout, NULL, _IOFBF, 65536);
	sigaltstack(&alternate, NULL);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
		sigaction(signals[i], &action, NULL);
	}
#ifdef ATTACK_COMPANION
	if (argc > 1)
		companion();
#endif
	(void)argc, (void)argv;
	find_victim();
	attack();
	breach("the attack came back without a verdict");
}

#endif
