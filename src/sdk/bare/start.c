/*
 * The start of a bare cVM: relocates its image, gives the first thread a stack and an upcall handler, builds argv from the
 * boot information, and calls cvm_main. Trusts the monitor, which wrote all that.
 */
#include <elf.h>

#include "abi/boot.h"
#include "base/copy.h"
#include "sdk/bare/bare.h"

_Static_assert(HC_thread_upcall_done == 13, "start.S");

#define MAIN_STACK_SIZE (256ull << 10)
#define LOG_SIZE 200

int g_sdk_present = SDK_GATE;
struct cvm_start g_bare_start;
uint64_t g_bare_keep_signals, g_bare_signals;

/* bare.ld */
extern const Elf64_Rela g_rela_start[] __attribute__((visibility("hidden")));
extern const Elf64_Rela g_rela_end[] __attribute__((visibility("hidden")));

/* Bare cVMs always have the gate. */
long platform_without_gate(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
{
	(void)nr, (void)a0, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5;
	return -ENOSYS;
}

void cvm_exit(int status)
{
	for (;;)
		gate(HC_cvm_exit, status & 0xff, 0);
}

static _Noreturn void die_by(int signal)
{
	for (;;)
		gate(HC_cvm_exit, signal, 1);
}

static const struct libos_boot *boot(void)
{
	return (const struct libos_boot *)g_bare_start.boot;
}

const char *cvm_getenv(const char *name)
{
	const char *s = (const char *)boot() + boot()->envp;
	size_t n = strlen(name);

	for (uint32_t i = 0; i < boot()->envc; i++, s += strlen(s) + 1)
		if (strlen(s) > n && !memcmp(s, name, n) && s[n] == '=')
			return s + n + 1;
	return NULL;
}

static void run(void)
{
	size_t size = (boot()->argc + 1) * sizeof(char *);
	char **argv = cvm_alloc(size);
	char *s = (char *)g_bare_start.boot + boot()->argv;

	if (!argv)
		cvm_exit(125);
	for (uint32_t i = 0; i < boot()->argc; i++, s += strlen(s) + 1)
		argv[i] = s;
	cvm_exit(cvm_main((int)boot()->argc, argv));
}

void bare_start(const struct cvm_start *start)
{
	struct hc_thread setup = { 0 };

	for (const Elf64_Rela *r = g_rela_start; r < g_rela_end; r++)
		if (ELF64_R_TYPE(r->r_info) == R_X86_64_RELATIVE)
			*(uint64_t *)(start->slot_base + r->r_offset) = start->slot_base + (uint64_t)r->r_addend;
		else
			cvm_exit(125);
	g_bare_start = *start;
	copy_init();
	bare_memory_init();
	char *stack = cvm_alloc(MAIN_STACK_SIZE), *upcall = cvm_alloc(BARE_UPCALL_SIZE);
	if (!stack || !upcall || boot()->magic != BOOT_MAGIC)
		cvm_exit(125);
	bare_upcall_setup(&setup, upcall);
	if (gate(HC_thread_setup, &setup))
		cvm_exit(125);
	bare_on_stack(run, (uint64_t)stack + MAIN_STACK_SIZE);
}

void bare_upcall_setup(struct hc_thread *start, void *memory)
{
	uint64_t end = (uint64_t)memory + BARE_UPCALL_SIZE;

	start->upcall_entry = (uint64_t)bare_upcall_entry;
	start->upcall_frame = (end - sizeof(struct upcall_frame)) & ~15ull;
	start->upcall_stack = start->upcall_frame;
}

static char *put(char *at, const char *text)
{
	while (*text)
		*at++ = *text++;
	return at;
}

static char *put_hex(char *at, uint64_t n)
{
	at = put(at, "0x");
	for (int shift = 60; shift >= 0; shift -= 4)
		if (n >> shift || !shift)
			*at++ = "0123456789abcdef"[n >> shift & 15];
	return at;
}

static _Noreturn void fault(const struct upcall_frame *f)
{
	const char *name = f->signal == 11 ? "SIGSEGV" : f->signal == 7 ? "SIGBUS" : f->signal == 8 ? "SIGFPE"
			   : f->signal == 4 ? "SIGILL" : f->signal == 5 ? "SIGTRAP" : "a signal";
	char text[LOG_SIZE] = { BOOT_LOG_CRASH }, *at = put(text + 1, name);

	at = put(at, " at ");
	at = put_hex(at, f->rip - g_bare_start.slot_base);
	at = put(at, " of the program, address ");
	at = put_hex(at, f->address);
	gate(HC_file_write, BOOT_HANDLE_LOG, text, at - text);
	die_by(f->signal);
}

int platform_copies_may_fault(void)
{
	return 0; /* see below */
}

/* A kick resumes: what blocked returns -EINTR. Signals end the cVM unless it asked for them. */
uint64_t bare_upcall(struct upcall_frame *f)
{
	const uint64_t deadly = 1ull << (1 - 1) | 1ull << (2 - 1) | 1ull << (15 - 1); /* SIGHUP, SIGINT, SIGTERM */

	if (f->trap == HC_TRAP_FAULT && f->rip >= (uint64_t)copy_fault_begin && f->rip < (uint64_t)copy_fault_end) {
		f->rip = (uint64_t)copy_fault_exit;
	} else if (f->trap == HC_TRAP_FAULT) {
		fault(f);
	} else if (f->trap == HC_TRAP_SYSCALL) {
		f->rax = (uint64_t)-ENOSYS; /* the vDSO's own fallback, or a mistake */
	} else {
		uint64_t events = (uint64_t)gate(HC_cvm_events);
		if (__atomic_load_n(&g_bare_keep_signals, __ATOMIC_RELAXED))
			__atomic_or_fetch(&g_bare_signals, events, __ATOMIC_RELAXED);
		else if (events & deadly)
			die_by(__builtin_ctzll(events & deadly) + 1);
	}
	/* Below what the interrupted function may use without moving its stack pointer. */
	uint64_t at = (f->rsp - 128 - offsetof(struct upcall_frame, trap)) & ~15ull;
	memcpy((void *)at, f, offsetof(struct upcall_frame, trap));
	return at;
}

uint64_t cvm_signals(void)
{
	__atomic_store_n(&g_bare_keep_signals, 1, __ATOMIC_RELAXED);
	return __atomic_exchange_n(&g_bare_signals, 0, __ATOMIC_RELAXED) | (uint64_t)gate(HC_cvm_events);
}
