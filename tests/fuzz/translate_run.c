/*
 * Does translated code of real programs compute what the original computed? For every executable segment of the files
 * given: the translation is compared with the original by decoding (tests/unit/translate_check.c), then changed places are
 * executed: a traced child process steps through the original window and through its replacement, at the same
 * addresses with the same registers and memory, and both must make the same system calls with the same registers and
 * leave at the same place in the same state. System calls are not made but answered here, as the libOS would. Then, until
 * the time is over, the same with pieces of that code into which system calls and forbidden bytes were put.
 *
 * usage: translate_run SEED SITES SECONDS FILE...     at most SITES places of a segment are executed
 * Prints two lines of totals; status 1 with what differs.
 */
#include <Zydis/Zydis.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "abi/slot.h"
#include "abi/vcpu.h"
#include "unit/translate_check.h"

#define TEXT 0x200000000000ull
#define STUBS (TEXT + SLOT_STUB_DELTA)
#define SCRATCH 0x210000000000ull /* what registers point to; the first page is the vCPU page */
#define SCRATCH_SIZE 0x10000u
#define FS_BASE (SCRATCH + 0x4000)
#define STACK (SCRATCH + 0xc000)
#define LIBOS_ENTRY (SCRATCH + 0x100000)  /* nothing is there: execution stops before it is fetched */
#define XRSTOR_GATE (SCRATCH + 0x100010)
#define FLAGS_COMPARED 0xcd5u /* CF PF AF ZF SF DF OF; TF is the tracer's */
#define EVENTS_MAX 4
#define STEPS_MAX 300
#define RED_ZONE 128
#define STUB_FRAME 32 /* flags, rdi, return address */
#define PIECES_MAX 1024
#define PIECE_SIZE 4096
#define CODE_SIZE 96

struct event {
	bool syscall; /* else XRSTOR */
	uint64_t address;
	struct user_regs_struct regs;
};

/* What one execution of a window did. */
struct course {
	struct event event[EVENTS_MAX];
	size_t events;
	int signal; /* that ended it; 0: it left the window */
	bool endless;
	struct user_regs_struct regs;
	struct user_fpregs_struct fp;
	uint8_t memory[SCRATCH_SIZE];
};

static uint64_t g_random;
static pid_t g_child;
static const char *g_path;
static uint64_t g_files, g_segments, g_sites, g_rewritten, g_executed, g_faulted, g_kinds[TRANSLATE_KINDS];
static ZydisDecoder g_decoder;
static uint8_t g_pieces[PIECES_MAX][PIECE_SIZE]; /* of the programs' code */
static size_t g_piece_count;

static uint64_t next_random(void)
{
	g_random ^= g_random << 13;
	g_random ^= g_random >> 7;
	g_random ^= g_random << 17;
	return g_random;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "translate_run: %s: %s: %s\n", g_path, what, strerror(errno));
	exit(2);
}

static void *map_shared(uint64_t at, uint64_t size)
{
	void *p = mmap((void *)at, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void start_child(void)
{
	int status;

	g_child = fork();
	if (g_child == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(0);
	}
	if (g_child < 0 || waitpid(g_child, &status, 0) != g_child || !WIFSTOPPED(status))
		die("cannot trace a child process");
	ptrace(PTRACE_SETOPTIONS, g_child, 0, PTRACE_O_EXITKILL);
}

static void end_child(void)
{
	kill(g_child, SIGKILL);
	waitpid(g_child, NULL, 0);
}

static uint64_t random_register(void)
{
	static const uint64_t odd[] = { 0, 1, ~0ull, 0x7fffffff, 0x80000000ull, 4096 };
	uint64_t r = next_random();

	if (r % 8 < 5)
		return SCRATCH + 0x5000 + (r >> 8) % 0x5000;
	return r % 8 == 5 ? odd[(r >> 8) % 6] : r % 8 == 6 ? r >> 8 & 0xfff : r;
}

static void random_state(struct user_regs_struct *r, uint64_t rip)
{
	if (ptrace(PTRACE_GETREGS, g_child, 0, r))
		die("PTRACE_GETREGS");
	unsigned long long *general[] = { &r->rax, &r->rbx, &r->rcx, &r->rdx, &r->rsi, &r->rdi, &r->rbp, &r->r8,
					  &r->r9,  &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15 };
	for (size_t i = 0; i < sizeof general / sizeof general[0]; i++)
		*general[i] = random_register();
	r->rsp = STACK + 8 * (next_random() % 16);
	r->eflags = 0x202 | (next_random() & FLAGS_COMPARED & ~0x400u); /* DF is clear wherever compilers' code runs */
	r->rip = rip;
	r->orig_rax = ~0ull; /* not in a system call: the kernel restarts nothing */
	r->fs_base = FS_BASE;
	r->gs_base = SCRATCH;
}

static bool decode(uint64_t rip, ZydisDecodedInstruction *z, ZydisDecodedOperand *op)
{
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&g_decoder, (const void *)rip, 15, z, op));
}

static uint64_t memory_operand(const struct user_regs_struct *r, const ZydisDecodedInstruction *z, const ZydisDecodedOperand *op)
{
	ZydisRegisterContext context = { 0 };
	const uint64_t values[16] = { r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
				      r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15 };
	ZyanU64 address = 0;

	for (int i = 0; i < 16; i++)
		context.values[ZYDIS_REGISTER_RAX + i] = values[i];
	ZydisCalcAbsoluteAddressEx(z, op, r->rip, &context, &address);
	return address;
}

static void note(struct course *c, bool syscall, uint64_t address, const struct user_regs_struct *regs)
{
	c->event[c->events++] = (struct event){ syscall, address, *regs };
}

/* What stands for the kernel or the libOS. */
static void answer(struct user_regs_struct *r, size_t number, uint64_t resume)
{
	static const uint64_t result[EVENTS_MAX] = { 0, (uint64_t)-11, 42, (uint64_t)-4 };

	r->rax = result[number % EVENTS_MAX];
	r->rcx = 0xc0ffee; /* not the place to go on, which in the replacement is another one */
	r->r11 = r->eflags & FLAGS_COMPARED;
	r->rip = resume;
}

/* Handles what must not be executed at regs->rip: true if it did. */
static bool intercept(struct course *c, struct user_regs_struct *r, bool original)
{
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];

	if (!original && r->rip == LIBOS_ENTRY) {
		note(c, true, 0, r);
		answer(r, c->events - 1, r->rcx);
		return true;
	}
	if (!original && r->rip == XRSTOR_GATE) {
		note(c, false, r->rdi, r);
		r->rip = *(uint64_t *)r->rsp;
		r->rsp += 8;
		return true;
	}
	if (!decode(r->rip, &z, op))
		return false;
	if (z.mnemonic == ZYDIS_MNEMONIC_SYSCALL) { /* in a replacement: one that was left beside the window's own */
		note(c, true, 0, r);
		answer(r, c->events - 1, r->rip + z.length);
		return true;
	}
	if (z.mnemonic == ZYDIS_MNEMONIC_XRSTOR || z.mnemonic == ZYDIS_MNEMONIC_XRSTOR64) {
		note(c, false, memory_operand(r, &z, &op[0]), r);
		r->rip += z.length;
		return true;
	}
	return false;
}

/* Other system calls, and what gives another result each time. */
static bool forbidden_to_run(uint64_t rip)
{
	const uint8_t *b = (const uint8_t *)rip;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];

	if ((b[0] == 0xcd && b[1] == 0x80) || (b[0] == 0x0f && b[1] == 0x34))
		return true;
	if (!decode(rip, &z, op))
		return false;
	return z.mnemonic == ZYDIS_MNEMONIC_RDTSC || z.mnemonic == ZYDIS_MNEMONIC_RDTSCP || z.mnemonic == ZYDIS_MNEMONIC_RDRAND ||
	       z.mnemonic == ZYDIS_MNEMONIC_RDSEED || z.mnemonic == ZYDIS_MNEMONIC_RDPID || z.mnemonic == ZYDIS_MNEMONIC_CPUID;
}

/* A window that ends in front of its system call ends, for the original, behind it. */
static bool inside(const struct translate_patch *p, uint64_t rip, bool original)
{
	uint64_t end = original && p->kind == TRANSLATE_SYSCALL_BEFORE ? p->core + 2 : p->end;

	return (rip >= TEXT + p->start && rip < TEXT + end) ||
	       (!original && ((rip >= STUBS + p->stub && rip < STUBS + p->stub + p->stub_size) || rip == LIBOS_ENTRY || rip == XRSTOR_GATE));
}

/* Steps through the window until it is left. */
static void execute(const struct translate_patch *p, const struct user_regs_struct *start, const struct user_fpregs_struct *fp,
		    const uint8_t *memory, bool original, struct course *c)
{
	struct user_regs_struct r = *start;
	int status;

	memset(c, 0, offsetof(struct course, memory));
	memcpy((void *)SCRATCH, memory, SCRATCH_SIZE);
	if (ptrace(PTRACE_SETFPREGS, g_child, 0, fp))
		die("PTRACE_SETFPREGS");
	for (int steps = 0; inside(p, r.rip, original) && !c->signal && !c->endless; steps++) {
		if (intercept(c, &r, original)) {
			c->endless = c->events == EVENTS_MAX;
			continue;
		}
		if (forbidden_to_run(r.rip) || steps > STEPS_MAX) {
			c->endless = true;
			break;
		}
		r.orig_rax = ~0ull;
		if (ptrace(PTRACE_SETREGS, g_child, 0, &r) || ptrace(PTRACE_SINGLESTEP, g_child, 0, 0) ||
		    waitpid(g_child, &status, 0) != g_child || !WIFSTOPPED(status) || ptrace(PTRACE_GETREGS, g_child, 0, &r))
			die("single step");
		if (WSTOPSIG(status) != SIGTRAP)
			c->signal = WSTOPSIG(status);
	}
	c->regs = r;
	ptrace(PTRACE_GETFPREGS, g_child, 0, &c->fp);
	memcpy(c->memory, (void *)SCRATCH, SCRATCH_SIZE);
}

static const char *same_registers(const struct user_regs_struct *a, const struct user_regs_struct *b, bool with_rcx)
{
	if (a->rax != b->rax || a->rbx != b->rbx || a->rdx != b->rdx || a->rsi != b->rsi || a->rdi != b->rdi || a->rbp != b->rbp)
		return "rax, rbx, rdx, rsi, rdi or rbp";
	if (a->r8 != b->r8 || a->r9 != b->r9 || a->r10 != b->r10 || a->r12 != b->r12 || a->r13 != b->r13 || a->r14 != b->r14 || a->r15 != b->r15)
		return "r8 to r15";
	if (a->r11 != b->r11)
		return "r11";
	if (with_rcx && a->rcx != b->rcx)
		return "rcx";
	if (a->rsp != b->rsp || (a->eflags ^ b->eflags) & FLAGS_COMPARED)
		return "rsp or flags";
	return a->fs_base != b->fs_base || a->gs_base != b->gs_base ? "segment bases" : NULL;
}

static const char *same_events(const struct course *a, const struct course *b)
{
	size_t common = a->events < b->events ? a->events : b->events;

	for (size_t i = 0; i < common; i++) {
		if (a->event[i].syscall != b->event[i].syscall || a->event[i].address != b->event[i].address)
			return "another system call or XRSTOR";
		const char *what = a->event[i].syscall ? same_registers(&a->event[i].regs, &b->event[i].regs, false) : NULL;
		if (what)
			return what;
		if (!a->event[i].syscall && (a->event[i].regs.rax != b->event[i].regs.rax || a->event[i].regs.rdx != b->event[i].regs.rdx))
			return "XRSTOR's mask";
	}
	return a->events != b->events && !a->endless && !b->endless ? "the number of system calls" : NULL;
}

/* Below the red zone nobody keeps anything: the stub of an XRSTOR uses some of that. */
static bool same_memory(const struct course *a, const struct course *b)
{
	uint64_t from = SCRATCH_SIZE, to = SCRATCH_SIZE;

	for (size_t i = 0; i < a->events; i++)
		if (!a->event[i].syscall && a->event[i].regs.rsp - SCRATCH < SCRATCH_SIZE && a->event[i].regs.rsp - SCRATCH > RED_ZONE + STUB_FRAME) {
			to = a->event[i].regs.rsp - SCRATCH - RED_ZONE;
			from = to - STUB_FRAME;
		}
	return !memcmp(a->memory, b->memory, from) && !memcmp(a->memory + to, b->memory + to, SCRATCH_SIZE - to);
}

static const char *same_course(const struct course *a, const struct course *b)
{
	const char *what = same_events(a, b);

	if (what || a->endless || b->endless)
		return what;
	if (a->signal != b->signal)
		return "the fault";
	if (!a->signal && a->regs.rip != b->regs.rip)
		return "the place where it leaves";
	what = same_registers(&a->regs, &b->regs, true);
	if (what)
		return what;
	if (memcmp(a->fp.xmm_space, b->fp.xmm_space, sizeof a->fp.xmm_space) || memcmp(a->fp.st_space, b->fp.st_space, sizeof a->fp.st_space))
		return "vector registers";
	return same_memory(a, b) ? NULL : "memory";
}

static bool executable_kind(enum translate_kind kind)
{
	return kind != TRANSLATE_UD2 && kind != TRANSLATE_SYSCALL_LEFT && kind != TRANSLATE_FORBIDDEN_LEFT;
}

static void hexdump(const char *what, const uint8_t *bytes, size_t size)
{
	fprintf(stderr, "  %s:", what);
	for (size_t i = 0; i < size; i++)
		fprintf(stderr, " %02x", bytes[i]);
	fprintf(stderr, "\n");
}

/* Whatever it is there. */
static void same_word(const struct course *a, struct course *b, uint64_t address)
{
	memcpy(b->memory + (address - SCRATCH), a->memory + (address - SCRATCH), 8);
}

static void execute_patch(const uint8_t *orig, const struct translate_output *out, const struct translate_patch *p)
{
	static struct course original, translated;
	static uint8_t memory[SCRATCH_SIZE];
	struct user_regs_struct start;
	struct user_fpregs_struct fp;

	for (size_t i = 0; i < SCRATCH_SIZE; i += 8) {
		uint64_t value = random_register();
		memcpy(memory + i, &value, 8);
	}
	struct vcpu_page *vcpu = (struct vcpu_page *)memory;
	vcpu->syscall_entry = LIBOS_ENTRY;
	vcpu->xrstor_gate = XRSTOR_GATE;
	random_state(&start, TEXT + p->start);
	ptrace(PTRACE_GETFPREGS, g_child, 0, &fp);
	for (size_t i = 0; i < sizeof fp.xmm_space / 4; i++)
		fp.xmm_space[i] = (unsigned)next_random();
	memcpy((void *)(TEXT + p->start), orig + p->start, p->end - p->start);
	execute(p, &start, &fp, memory, true, &original);
	memcpy((void *)(TEXT + p->start), out->text + p->start, p->end - p->start);
	execute(p, &start, &fp, memory, false, &translated);
	if (p->kind == TRANSLATE_REDIRECTED && orig[p->start] == 0xff) {
		/* the stub's %rax, just below the red zone; and where a return address goes, whether the call faults behind that or not */
		same_word(&original, &translated, start.rsp - RED_ZONE - 8);
		if (original.signal)
			same_word(&original, &translated, start.rsp - 8);
	}
	const char *what = same_course(&original, &translated);
	if (what) {
		fprintf(stderr, "translate_run: %s: %s at %#x: executed, %s differs\n", g_path, translate_kind_name(p->kind), p->core, what);
		hexdump("original", orig + p->start, p->end - p->start);
		hexdump("window", out->text + p->start, p->end - p->start);
		hexdump("stub", out->stubs + p->stub, p->stub_size);
		fprintf(stderr, "  left at %#llx (signal %d, %zu calls) and %#llx (signal %d, %zu calls)\n", original.regs.rip, original.signal,
			original.events, translated.regs.rip, translated.signal, translated.events);
		exit(1);
	}
	g_executed++;
	g_faulted += original.signal != 0;
	g_kinds[p->kind]++;
}

static void execute_some(const uint8_t *orig, const struct translate_output *out, size_t sites)
{
	size_t count = out->patch_count;

	memcpy(map_shared(TEXT, out->text_size), out->text, out->text_size);
	if (out->stub_size)
		memcpy(map_shared(STUBS, out->stub_size), out->stubs, out->stub_size);
	map_shared(SCRATCH, SCRATCH_SIZE);
	start_child();
	for (size_t i = 0; i < count; i++) {
		const struct translate_patch *p = &out->patches[i];
		if (executable_kind(p->kind) && (count <= sites || next_random() % count < sites))
			execute_patch(orig, out, p);
	}
	end_child();
	munmap((void *)TEXT, out->text_size);
	if (out->stub_size)
		munmap((void *)STUBS, out->stub_size);
}

struct file {
	const uint8_t *bytes;
	size_t size, sites;
};

static void keep_piece(const uint8_t *code, size_t size)
{
	if (size < PIECE_SIZE || g_piece_count == PIECES_MAX)
		return;
	memcpy(g_pieces[g_piece_count++], code + next_random() % (size - PIECE_SIZE + 1), PIECE_SIZE);
}

static void segment(uint64_t offset, uint64_t size, void *argument)
{
	const struct file *f = argument;
	struct translate_input in = { f->bytes, f->size, offset, size, true };
	struct translate_output out;
	uint64_t where;

	if (size > TRANSLATE_SIZE_MAX || offset % 4096 || translate_segment(&in, &out) != 0)
		return;
	const char *wrong = translate_check(f->bytes + offset, &out, &where);
	if (wrong != NULL) {
		fprintf(stderr, "translate_run: %s: %s at %#llx\n", g_path, wrong, (unsigned long long)(offset + where));
		exit(1);
	}
	g_segments++;
	g_sites += out.sites_found;
	g_rewritten += out.sites_rewritten;
	if (out.patch_count)
		execute_some(f->bytes + offset, &out, f->sites);
	keep_piece(f->bytes + offset, out.text_used);
	translate_free(&out);
}

/* Real instructions, a system call or forbidden bytes among them, real instructions. */
static size_t make_code(uint8_t code[CODE_SIZE])
{
	static const char *const inserted[] = { "\x0f\x05", "\xb8\x27\x00\x00\x00\x0f\x05", "\x0f\x05\x48\x3d\x01\xf0\xff\xff", "\x49\x89\xca\x0f\x05",
						"\xb8\x0f\x01\xef\x00", "\x48\x8d\x84\x24\x0f\x01\xef\x00", "\x0f\xae\x6c\x24\x40", "\x0f\xae\x2f", "\x05\x0f\x01\xef\x00" };
	static const uint8_t sizes[] = { 2, 7, 8, 5, 5, 8, 5, 3, 5 };
	const uint8_t *piece = g_pieces[next_random() % g_piece_count];
	size_t at = next_random() % (PIECE_SIZE - CODE_SIZE), which = next_random() % sizeof sizes, from = 0, to = 16 + next_random() % 32;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];

	memset(code, 0x90, CODE_SIZE);
	memcpy(code, piece + at, CODE_SIZE - 16);
	while (from < to) /* to a boundary between instructions, as a linear reading sees them */
		from += ZYAN_SUCCESS(ZydisDecoderDecodeFull(&g_decoder, code + from, CODE_SIZE - from, &z, op)) ? z.length : 1;
	memmove(code + from + sizes[which], code + from, CODE_SIZE - from - sizes[which]);
	memcpy(code + from, inserted[which], sizes[which]);
	memset(code + CODE_SIZE - 16, 0x90, 15);
	code[CODE_SIZE - 1] = 0xc3;
	return CODE_SIZE;
}

static void made_code(void)
{
	uint8_t code[CODE_SIZE];
	size_t file_size, size = make_code(code);
	uint8_t *file = small_elf(code, size, &file_size);
	struct file f = { file, file_size, 100 };

	g_path = "made code";
	segment(SMALL_ELF_TEXT, size, &f);
	free(file);
}

static void report(const char *what)
{
	printf("%llu %s, %llu segments, %llu syscall sites, %llu rewritten, %llu executed:", (unsigned long long)g_files, what,
	       (unsigned long long)g_segments, (unsigned long long)g_sites, (unsigned long long)g_rewritten, (unsigned long long)g_executed);
	for (int i = 0; i < TRANSLATE_KINDS; i++)
		if (g_kinds[i])
			printf(" %llu %s,", (unsigned long long)g_kinds[i], translate_kind_name((enum translate_kind)i));
	printf(" %llu faulted\n", (unsigned long long)g_faulted);
	g_files = g_segments = g_sites = g_rewritten = g_executed = g_faulted = 0;
	memset(g_kinds, 0, sizeof g_kinds);
}

static void read_file(const char *path, size_t sites)
{
	struct file f = { .sites = sites };
	struct stat st;

	g_path = path;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || st.st_size == 0)
		die("cannot open");
	f.size = (size_t)st.st_size;
	f.bytes = mmap(NULL, f.size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (f.bytes == MAP_FAILED)
		die("cannot map");
	translate_each_segment(f.bytes, f.size, segment, &f);
	munmap((void *)f.bytes, f.size);
	g_files++;
}

int main(int argc, char **argv)
{
	time_t end = argc > 4 ? time(NULL) + atol(argv[3]) : 0;

	if (argc < 5) {
		fprintf(stderr, "usage: translate_run SEED SITES SECONDS FILE...\n");
		return 2;
	}
	g_random = strtoull(argv[1], NULL, 0) | 1;
	ZydisDecoderInit(&g_decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (int i = 4; i < argc; i++)
		read_file(argv[i], strtoul(argv[2], NULL, 0));
	report("files");
	for (; g_piece_count && time(NULL) < end; g_files++)
		made_code();
	report("pieces of made code");
	return 0;
}
