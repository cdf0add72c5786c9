/*
 * The code translator: each kind of site by hand-assembled code, run before and after translation; then whole
 * libraries of this machine, decoded before and after. Run with file names to check those instead.
 */
#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

#include "abi/slot.h"
#include "abi/vcpu.h"
#include "translate_check.h"

typedef long code_fn(long, long, long);

static struct vcpu_page *g_vcpu;
static volatile uint64_t *g_entered, *g_restored;
static uint8_t *g_window; /* text here, stubs SLOT_STUB_DELTA above */

void test_syscall_entry(void);
void test_xrstor_gate(void);

__asm__(".text\n"
	"test_syscall_entry:\n"
	"	movq %rcx, %mm0\n"
	"	mov %gs:64, %rcx\n" /* no flags may change */
	"	lea 1(%rcx), %rcx\n"
	"	mov %rcx, %gs:64\n"
	"	syscall\n"
	"	movq %mm0, %rcx\n"
	"	emms\n"
	"	jmp *%rcx\n"
	"test_xrstor_gate:\n"
	"	incq %gs:72\n"
	"	xrstor (%rdi)\n"
	"	xor %edi, %edi\n" /* flags are the gate's to clobber; rdi is saved by the stub */
	"	ret\n");

static int set_up(void **state)
{
	(void)state;
	g_vcpu = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	g_vcpu->syscall_entry = (uint64_t)test_syscall_entry;
	g_vcpu->xrstor_gate = (uint64_t)test_xrstor_gate;
	g_entered = (uint64_t *)((uint8_t *)g_vcpu + 64);
	g_restored = (uint64_t *)((uint8_t *)g_vcpu + 72);
	g_window = mmap(NULL, 2 * SLOT_STUB_DELTA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return g_window == MAP_FAILED || syscall(SYS_arch_prctl, ARCH_SET_GS, g_vcpu) != 0;
}

struct subject {
	uint8_t *file;
	size_t file_size;
	const uint8_t *orig;
	struct translate_output out;
};

static struct subject subject_make(const void *code, size_t size, bool stubs)
{
	struct subject s;
	struct translate_input in = { .offset = SMALL_ELF_TEXT, .size = size, .stubs = stubs };
	uint64_t where;

	s.file = small_elf(code, size, &s.file_size);
	s.orig = s.file + SMALL_ELF_TEXT;
	in.file = s.file;
	in.file_size = s.file_size;
	assert_int_equal(translate_segment(&in, &s.out), 0);
	s.out.text_used = size < s.out.text_used ? size : s.out.text_used;
	const char *wrong = translate_check(s.orig, &s.out, &where);
	if (wrong != NULL)
		fail_msg("%s at 0x%llx", wrong, (unsigned long long)where);
	return s;
}

static void subject_free(struct subject *s)
{
	free(s->file);
	translate_free(&s->out);
}

static void put(void *at, const void *bytes, size_t size)
{
	size_t room = (size + 4095) & ~4095ul;

	if (room == 0)
		return;
	assert_ptr_equal(mmap(at, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), at);
	memcpy(at, bytes, size);
	assert_int_equal(mprotect(at, room, PROT_READ | PROT_EXEC), 0);
}

/* Runs the original, then the translation, at the same address; both must give the same, which is returned. */
static long run(const struct subject *s, size_t entry, long a, long b, long c)
{
	long before, after;

	put(g_window, s->orig, s->out.text_used);
	before = ((code_fn *)(g_window + entry))(a, b, c);
	put(g_window, s->out.text, s->out.text_size);
	put(g_window + SLOT_STUB_DELTA, s->out.stubs, s->out.stub_size);
	after = ((code_fn *)(g_window + entry))(a, b, c);
	assert_int_equal(before, after);
	return after;
}

static const struct translate_patch *only_patch(const struct subject *s, enum translate_kind kind)
{
	assert_int_equal(s->out.patch_count, 1);
	assert_string_equal(translate_kind_name(s->out.patches[0].kind), translate_kind_name(kind));
	return &s->out.patches[0];
}

static void mov_in_front_is_overwritten_and_syscall_stays(void **state)
{
	static const uint8_t code[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3 }; /* mov $39,%eax; syscall; ret */
	struct subject s = subject_make(code, sizeof(code), true);
	uint64_t entered = *g_entered;

	(void)state;
	only_patch(&s, TRANSLATE_SYSCALL_BEFORE);
	assert_int_equal(s.out.sites_found, 1);
	assert_int_equal(s.out.sites_rewritten, 1);
	assert_memory_equal(s.out.text + 5, code + 5, 3);
	assert_int_equal(run(&s, 0, 0, 0, 0), getpid());
	assert_int_equal(*g_entered, entered + 1);
	subject_free(&s);
}

static void short_window_goes_on_in_the_stub(void **state)
{
	/* push $39; pop %rax; syscall; ret */
	static const uint8_t code[] = { 0x6a, 39, 0x58, 0x0f, 0x05, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), true);
	uint64_t entered = *g_entered;

	(void)state;
	only_patch(&s, TRANSLATE_SYSCALL_STUB);
	assert_int_equal(run(&s, 0, 0, 0, 0), getpid());
	assert_int_equal(*g_entered, entered + 1);
	subject_free(&s);
}

static void long_window_goes_on_in_the_text_and_branches_are_kept(void **state)
{
	/* mov %edi,%eax; syscall; cmp $-4096,%rax; ja 1f; ret; 1: mov $-1,%rax; ret */
	static const uint8_t code[] = { 0x89, 0xf8, 0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0x77, 0x01,
					0xc3, 0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), true);

	(void)state;
	only_patch(&s, TRANSLATE_SYSCALL_TEXT);
	assert_int_equal(run(&s, 0, 39, 0, 0), getpid());
	assert_int_equal(run(&s, 0, 9999, 0, 0), -1);
	subject_free(&s);
}

static void flags_and_red_zone_survive_a_syscall(void **state)
{
	/* mov %rsi,-8(%rsp); stc; mov $39,%eax; syscall; mov -8(%rsp),%rax; adc $0,%rax; ret */
	static const uint8_t code[] = { 0x48, 0x89, 0x74, 0x24, 0xf8, 0xf9, 0xb8, 39,	0,    0,    0,	 0x0f, 0x05,
					0x48, 0x8b, 0x44, 0x24, 0xf8, 0x48, 0x83, 0xd0, 0x00, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), true);

	(void)state;
	assert_int_equal(run(&s, 0, 0, 41, 0), 42);
	subject_free(&s);
}

static void rip_relative_neighbours_are_moved(void **state)
{
	/* mov n(%rip),%eax; syscall; ret; mov $(n: .long 39),%eax */
	static const uint8_t code[] = { 0x8b, 0x05, 4, 0, 0, 0, 0x0f, 0x05, 0xc3, 0xb8, 39, 0, 0, 0 };
	struct subject s = subject_make(code, sizeof(code), true);

	(void)state;
	only_patch(&s, TRANSLATE_SYSCALL_BEFORE);
	assert_int_equal(run(&s, 0, 0, 0, 0), getpid());
	subject_free(&s);
}

static void syscall_that_is_a_branch_target_is_not_overwritten(void **state)
{
	/* jmp 1f; mov %edi,%eax; 1: syscall; ret */
	static const uint8_t code[] = { 0xeb, 0x02, 0x89, 0xf8, 0x0f, 0x05, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), true);

	(void)state;
	only_patch(&s, TRANSLATE_SYSCALL_LEFT);
	assert_int_equal(s.out.sites_found, 1);
	assert_int_equal(s.out.sites_rewritten, 0);
	assert_memory_equal(s.out.text, code, sizeof(code));
	subject_free(&s);
}

static void branch_between_moved_instructions_is_respected(void **state)
{
	/* test %esi,%esi; je 1f; mov %edi,%edi; 1: mov %edi,%eax; syscall; ret */
	static const uint8_t code[] = { 0x85, 0xf6, 0x74, 0x02, 0x89, 0xff, 0x89, 0xf8, 0x0f, 0x05, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), true);

	(void)state;
	assert_int_equal(only_patch(&s, TRANSLATE_SYSCALL_STUB)->start, 6);
	assert_int_equal(run(&s, 0, 39, 0, 0), getpid());
	assert_int_equal(run(&s, 0, 39, 1, 0), getpid());
	subject_free(&s);
}

static void syscall_bytes_inside_an_immediate_are_no_site(void **state)
{
	static const uint8_t code[] = { 0xb8, 0x0f, 0x05, 0, 0, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), true);

	(void)state;
	assert_int_equal(s.out.sites_found, 0);
	assert_int_equal(s.out.patch_count, 0);
	subject_free(&s);
}

static void misdecoded_function_is_left_alone(void **state)
{
	/* the last instruction runs over the end of the section */
	static const uint8_t code[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3, 0xb8, 0x00 };
	struct subject s = subject_make(code, sizeof(code), true);

	(void)state;
	only_patch(&s, TRANSLATE_SYSCALL_LEFT);
	assert_int_equal(s.out.sites_unproven, 1);
	subject_free(&s);
}

static void signal_return_without_unwind_information_keeps_its_bytes(void **state)
{
	static const uint8_t code[] = { 0x90, 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), true);

	(void)state;
	only_patch(&s, TRANSLATE_SYSCALL_LEFT);
	subject_free(&s);
}

static void without_stubs_syscalls_stay(void **state)
{
	static const uint8_t code[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), false);

	(void)state;
	assert_int_equal(s.out.sites_found, 1);
	assert_int_equal(s.out.sites_rewritten, 0);
	assert_int_equal(s.out.stub_size, 0);
	assert_memory_equal(s.out.text, code, sizeof(code));
	subject_free(&s);
}

static void wrpkru_becomes_ud2(void **state)
{
	static const uint8_t code[] = { 0x31, 0xc9, 0x0f, 0x01, 0xef, 0xc3 };

	(void)state;
	for (int stubs = 0; stubs < 2; stubs++) {
		struct subject s = subject_make(code, sizeof(code), stubs);

		only_patch(&s, TRANSLATE_UD2);
		assert_memory_equal(s.out.text + 2, "\x0f\x0b\xcc", 3);
		assert_int_equal(s.out.forbidden_replaced, 1);
		assert_int_equal(s.out.forbidden_left, 0);
		subject_free(&s);
	}
}

static void wrgsbase_becomes_ud2(void **state)
{
	/* wrgsbase %rdi; ret; xrstors (%rdi), the processor's to refuse; ret */
	static const uint8_t code[] = { 0xf3, 0x48, 0x0f, 0xae, 0xdf, 0xc3, 0x0f, 0xc7, 0x1f, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), true);

	(void)state;
	assert_memory_equal(s.out.text, "\x0f\x0b\xcc\xcc\xcc\xc3\x0f\xc7\x1f\xc3", sizeof(code));
	assert_int_equal(s.out.forbidden_left, 0);
	subject_free(&s);
}

/* An XSAVE area whose xmm0 is `value`. */
static uint8_t *xsave_area(uint64_t value)
{
	static _Alignas(64) uint8_t stack[8192];
	uint8_t *area = stack + 4096;

	memset(stack, 0, sizeof(stack));
	memcpy(area + 24, "\x80\x1f", 2); /* MXCSR */
	memcpy(area + 160, &value, 8);
	area[512] = 2;
	return area;
}

static void xrstor_goes_through_the_gate(void **state)
{
	/* mov %rsi,-8(%rsp); mov $2,%eax; xor %edx,%edx; stc; xrstor (%rdi); movq %xmm0,%rax; adc -8(%rsp),%rax; ret */
	static const uint8_t code[] = { 0x48, 0x89, 0x74, 0x24, 0xf8, 0xb8, 2,	  0,	0,    0,    0x31, 0xd2, 0xf9, 0x0f,
					0xae, 0x2f, 0x66, 0x48, 0x0f, 0x7e, 0xc0, 0x48, 0x13, 0x44, 0x24, 0xf8, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), true);
	uint64_t restored = *g_restored;

	(void)state;
	assert_int_equal(s.out.forbidden_left, 0);
	only_patch(&s, TRANSLATE_XRSTOR);
	assert_int_equal(run(&s, 0, (long)xsave_area(1000), 234, 0), 1235);
	assert_int_equal(*g_restored, restored + 1);
	subject_free(&s);
}

static void xrstor_from_the_stack_finds_its_operand(void **state)
{
	/* mov %rsp,%r11; lea -64(%rdi),%rsp; mov $2,%eax; xor %edx,%edx; xrstor 0x40(%rsp); mov %r11,%rsp;
	 * movq %xmm0,%rax; ret */
	static const uint8_t code[] = { 0x49, 0x89, 0xe3, 0x48, 0x8d, 0x67, 0xc0, 0xb8, 2,    0,    0,	  0,	0x31, 0xd2,
					0x0f, 0xae, 0x6c, 0x24, 0x40, 0x4c, 0x89, 0xdc, 0x66, 0x48, 0x0f, 0x7e, 0xc0, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), true);

	(void)state;
	assert_int_equal(only_patch(&s, TRANSLATE_XRSTOR)->end - s.out.patches[0].start, 5);
	assert_int_equal(run(&s, 0, (long)xsave_area(77), 0, 0), 77);
	subject_free(&s);
}

static void xrstor_without_stubs_is_reported(void **state)
{
	static const uint8_t code[] = { 0x0f, 0xae, 0x6c, 0x24, 0x40, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), false);

	(void)state;
	assert_int_equal(s.out.forbidden_left, 1);
	assert_string_equal(s.out.reason, "offset 0x1000: XRSTOR: XRSTOR, and no room for a stub");
	subject_free(&s);
}

static void constants_are_split(void **state)
{
	static const struct {
		uint8_t code[12];
		size_t size;
		long want;
	} cases[] = {
		{ { 0xb8, 0x0f, 0x01, 0xef, 0x00, 0xc3 }, 6, 0xef010f },		    /* mov $..,%eax */
		{ { 0x48, 0xc7, 0xc0, 0x0f, 0x01, 0xef, 0x80, 0xc3 }, 8, (int32_t)0x80ef010f }, /* mov $..,%rax */
		{ { 0x48, 0xb8, 1, 2, 0x0f, 0x01, 0xef, 3, 4, 5, 0xc3 }, 11, 0x050403ef010f0201 }, /* movabs */
		{ { 0x41, 0xb8, 0xf3, 0x0f, 0xae, 0xd8, 0x4c, 0x89, 0xc0, 0xc3 }, 10, 0xd8ae0ff3 },  /* mov $..,%r8d */
		{ { 0x48, 0x8d, 0x87, 0x0f, 0x01, 0xef, 0x00, 0xc3 }, 8, 0xef0110 },	    /* lea ..(%rdi),%rax */
		{ { 0x4c, 0x8d, 0xa7, 0x0f, 0x01, 0xef, 0x00, 0x4c, 0x89, 0xe0, 0xc3 }, 11, 0xef0110 }, /* ,%r12 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct subject s = subject_make(cases[i].code, cases[i].size, true);

		only_patch(&s, TRANSLATE_MOVED);
		assert_int_equal(s.out.forbidden_left, 0);
		if (i != 5) /* it would lose the caller's r12 */
			assert_int_equal(run(&s, 0, 1, 0, 0), cases[i].want);
		subject_free(&s);
	}
}

static void twin_encodings_replace_spanning_bytes(void **state)
{
	/* push %rbp; mov %esi,%ebp; imul $15,%edi,%eax; add %ebp,%edi; add %edi,%eax; pop %rbp; ret */
	static const uint8_t code[] = { 0x55, 0x89, 0xf5, 0x6b, 0xc7, 0x0f, 0x01, 0xef, 0x01, 0xf8, 0x5d, 0xc3 };

	(void)state;
	for (int stubs = 0; stubs < 2; stubs++) {
		struct subject s = subject_make(code, sizeof(code), stubs);

		only_patch(&s, TRANSLATE_REENCODED);
		assert_int_equal(run(&s, 0, 3, 4, 0), 52);
		subject_free(&s);
	}
}

static void spanning_bytes_are_moved_apart(void **state)
{
	/* mov $0xae0f0000,%eax; push $123; pop %rax; ret */
	static const uint8_t code[] = { 0xb8, 0x00, 0x00, 0x0f, 0xae, 0x6a, 123, 0x58, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), true);

	(void)state;
	only_patch(&s, TRANSLATE_MOVED);
	assert_int_equal(run(&s, 0, 0, 0, 0), 123);
	subject_free(&s);
}

static void branch_distances_are_redirected(void **state)
{
	enum { SIZE = 0x120000, CALL = 1113836 }; /* 5 + the distance 0xffef010f leads to 0 */
	static const uint8_t callee[] = { 0x8d, 0x47, 0x05, 0xc3 }; /* lea 5(%rdi),%eax; ret */
	static const uint8_t caller[] = { 0x50, 0xe8, 0x0f, 0x01, 0xef, 0xff, 0x5a, 0xc3 }; /* push; call; pop %rdx; ret */
	uint8_t *code = malloc(SIZE);
	struct subject s;

	(void)state;
	memset(code, 0x90, SIZE);
	memcpy(code, callee, sizeof(callee));
	memcpy(code + CALL - 1, caller, sizeof(caller));
	s = subject_make(code, SIZE, true);
	only_patch(&s, TRANSLATE_REDIRECTED);
	assert_int_equal(s.out.forbidden_left, 0);
	assert_int_equal(run(&s, CALL - 1, 10, 0, 0), 15);
	subject_free(&s);
	free(code);
}

static sigjmp_buf g_after_fault;
static volatile greg_t g_rsp_at_fault;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)info;
	g_rsp_at_fault = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RSP];
	siglongjmp(g_after_fault, signal);
}

/* A call through a pointer that cannot be read has not pushed a return address when it faults, nor has its replacement. */
static void fault_alike(const struct subject *s)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, old;
	greg_t rsp[2];

	sigaction(SIGSEGV, &action, &old);
	for (volatile int translated = 0; translated < 2; translated++) {
		put(g_window, translated ? s->out.text : s->orig, s->out.text_used);
		g_rsp_at_fault = 0;
		if (sigsetjmp(g_after_fault, 1) == 0)
			((code_fn *)g_window)(0, 0, 0);
		rsp[translated] = g_rsp_at_fault;
	}
	sigaction(SIGSEGV, &old, NULL);
	assert_int_not_equal(rsp[0], 0);
	assert_int_equal(rsp[0], rsp[1]);
}

static void calls_through_pointers_are_redirected(void **state)
{
	/* push %rax; mov $7,%eax; call *0xef010f(%rip); pop %rdx; ret; lea 5(%rdi,%rax),%eax; ret */
	static const uint8_t code[] = { 0x50, 0xb8, 7, 0, 0, 0, 0xff, 0x15, 0x0f, 0x01, 0xef, 0x00, 0x5a, 0xc3, 0x8d, 0x44, 0x07, 0x05, 0xc3 };
	const size_t pointer = 12 + 0xef010f, page = pointer & ~4095ul;
	struct subject s = subject_make(code, sizeof(code), true);
	uint8_t pointers[4096];
	uint64_t callee = (uint64_t)g_window + 14;

	(void)state;
	only_patch(&s, TRANSLATE_REDIRECTED);
	assert_int_equal(s.out.forbidden_left, 0);
	memcpy(pointers + (pointer - page), &callee, sizeof(callee));
	put(g_window + page, pointers, sizeof(pointers));
	assert_int_equal(run(&s, 0, 10, 0, 0), 22);
	assert_int_equal(mprotect(g_window + page, sizeof(pointers), PROT_NONE), 0);
	fault_alike(&s);
	subject_free(&s);
}

static void what_cannot_be_replaced_is_reported(void **state)
{
	/* addl $0xef010f,(%rdi); ret */
	static const uint8_t code[] = { 0x81, 0x07, 0x0f, 0x01, 0xef, 0x00, 0xc3 };
	struct subject s = subject_make(code, sizeof(code), true);

	(void)state;
	assert_int_equal(s.out.forbidden_left, 1);
	assert_string_equal(s.out.reason,
			    "offset 0x1002: WRPKRU: forbidden bytes inside an instruction that cannot be changed");
	subject_free(&s);
}

/* Three pages, of which only the first is in an executable section. */
static void pages_without_code_keep_their_bytes(void **state)
{
	static uint8_t code[3 * 4096] = { 0xc3, [4096 + 5] = 0x0f, 0x01, 0xef, [8192 - 2] = 0x0f, 0xae, 0x28, [12288 - 3] = 0x0f, 0x01, 0xef };
	struct translate_input in = { .offset = SMALL_ELF_TEXT, .size = sizeof(code), .stubs = true };
	struct translate_output out;
	size_t size;
	uint8_t *file = small_elf(code, sizeof(code), &size);
	Elf64_Shdr *text = (Elf64_Shdr *)(file + ((Elf64_Ehdr *)file)->e_shoff) + 1;

	(void)state;
	in.file = file;
	in.file_size = size;
	for (uint64_t code_size = 4096; code_size <= 4097; code_size++) {
		text->sh_size = code_size;
		assert_int_equal(translate_segment(&in, &out), 0);
		assert_int_equal(out.forbidden_found, 3);
		/* with one byte of code on the second page, what lies wholly there is refused */
		assert_int_equal(out.forbidden_left, code_size - 4096);
		assert_int_equal(out.data_count, 1);
		assert_int_equal(out.data[0].first, 1 + code_size - 4096);
		assert_int_equal(out.data[0].count, 2 - (code_size - 4096));
		assert_memory_equal(out.text, code, sizeof(code));
		translate_free(&out);
	}
	text->sh_flags = 0; /* no executable section at all: all may be code */
	assert_int_equal(translate_segment(&in, &out), 0);
	assert_int_equal(out.data_count, 0);
	translate_free(&out);
	free(file);
}

static void what_is_no_elf_file_is_copied(void **state)
{
	uint8_t file[8192] = { 0 };
	struct translate_input in = { file, sizeof(file), 4096, 8192, true };
	struct translate_output out;

	(void)state;
	memcpy(file + 5000, "\x0f\x01\xef", 3);
	assert_int_equal(translate_segment(&in, &out), 0);
	assert_int_equal(out.text_size, 8192);
	assert_int_equal(out.text_used, 4096);
	assert_memory_equal(out.text, file + 4096, 4096);
	assert_int_equal(out.forbidden_left, 1);
	assert_string_equal(out.reason, "offset 0x1388: WRPKRU: forbidden bytes outside of recognised code");
	translate_free(&out);
}

static void ranges_outside_of_the_file_are_refused(void **state)
{
	uint8_t file[4096] = { 0 };
	static const uint64_t bad[][2] = { { 1, 1 }, { 4096, 1 }, { 0, 0 }, { 0, TRANSLATE_SIZE_MAX + 1 }, { ~4095ull, 8192 } };
	struct translate_output out;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct translate_input in = { file, sizeof(file), bad[i][0], bad[i][1], true };

		assert_int_equal(translate_segment(&in, &out), -EINVAL);
	}
}

static int g_checked;

static void check_segment(uint64_t offset, uint64_t size, void *arg)
{
	struct subject *s = arg;
	struct translate_input in = { s->file, s->file_size, offset, size, true };
	const char *wrong;
	uint64_t where;

	if (size > TRANSLATE_SIZE_MAX)
		return;
	assert_int_equal(translate_segment(&in, &s->out), 0);
	wrong = translate_check(s->file + offset, &s->out, &where);
	if (wrong != NULL)
		fail_msg("%s at file offset 0x%llx", wrong, (unsigned long long)(offset + where));
	translate_free(&s->out);
	g_checked++;
}

static bool check_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct subject s;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0)
		return false;
	s.file_size = (size_t)st.st_size;
	s.file = mmap(NULL, s.file_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	assert_ptr_not_equal(s.file, MAP_FAILED);
	translate_each_segment(s.file, s.file_size, check_segment, &s);
	munmap(s.file, s.file_size);
	return true;
}

static void libraries_of_this_machine_mean_the_same(void **state)
{
	static const char *const paths[] = { "/lib/x86_64-linux-gnu/libc.so.6",
					     "/lib64/ld-linux-x86-64.so.2",
					     "/lib/x86_64-linux-musl/libc.so",
					     "/usr/sbin/ldconfig",
					     "/usr/bin/python3.11",
					     "/usr/bin/redis-server",
					     "/usr/bin/git",
					     "/lib/x86_64-linux-gnu/libcrypto.so.3",
					     "/lib/x86_64-linux-gnu/libnettle.so.8",
					     "/proc/self/exe" };

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (!check_file(paths[i]))
			print_message("%s: not on this machine\n", paths[i]);
	assert_true(g_checked > 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mov_in_front_is_overwritten_and_syscall_stays),
		cmocka_unit_test(short_window_goes_on_in_the_stub),
		cmocka_unit_test(long_window_goes_on_in_the_text_and_branches_are_kept),
		cmocka_unit_test(flags_and_red_zone_survive_a_syscall),
		cmocka_unit_test(rip_relative_neighbours_are_moved),
		cmocka_unit_test(syscall_that_is_a_branch_target_is_not_overwritten),
		cmocka_unit_test(branch_between_moved_instructions_is_respected),
		cmocka_unit_test(syscall_bytes_inside_an_immediate_are_no_site),
		cmocka_unit_test(misdecoded_function_is_left_alone),
		cmocka_unit_test(signal_return_without_unwind_information_keeps_its_bytes),
		cmocka_unit_test(without_stubs_syscalls_stay),
		cmocka_unit_test(wrpkru_becomes_ud2),
		cmocka_unit_test(wrgsbase_becomes_ud2),
		cmocka_unit_test(xrstor_goes_through_the_gate),
		cmocka_unit_test(xrstor_from_the_stack_finds_its_operand),
		cmocka_unit_test(xrstor_without_stubs_is_reported),
		cmocka_unit_test(constants_are_split),
		cmocka_unit_test(twin_encodings_replace_spanning_bytes),
		cmocka_unit_test(spanning_bytes_are_moved_apart),
		cmocka_unit_test(branch_distances_are_redirected),
		cmocka_unit_test(calls_through_pointers_are_redirected),
		cmocka_unit_test(what_cannot_be_replaced_is_reported),
		cmocka_unit_test(pages_without_code_keep_their_bytes),
		cmocka_unit_test(what_is_no_elf_file_is_copied),
		cmocka_unit_test(ranges_outside_of_the_file_are_refused),
		cmocka_unit_test(libraries_of_this_machine_mean_the_same),
	};

	for (int i = 1; i < argc; i++)
		check_file(argv[i]);
	return argc > 1 ? 0 : cmocka_run_group_tests(tests, set_up, NULL);
}
