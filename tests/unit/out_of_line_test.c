/*
 * Code out of line: functions on a page that may not execute run by their translation elsewhere, as here where they may. A fault
 * handler does what the libOS does: who arrives at the page goes on in the translation.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cmocka.h>

#include "abi/out_of_line.h"
#include "base/forbidden.h"
#include "translate/translate.h"

#define PAGE ((size_t)OUT_OF_LINE_PAGE)
#define SPACE (1ul << 20)

typedef long code_fn(long, long, void *);

extern const uint8_t page_begin[], page_end[];
extern const uint8_t f_loop[], f_calls[], f_pointers[], f_table[], f_counting[], f_constants[], f_span[], f_far[], f_recursive[], f_refused[],
	f_last[];

__asm__(".pushsection .text\n"
	".balign 4096\n"
	"page_begin:\n"
	"f_loop:\n" /* sum of 1..rdi */
	"	xor %eax, %eax\n"
	"1:	test %rdi, %rdi\n"
	"	jz 2f\n"
	"	add %rdi, %rax\n"
	"	dec %rdi\n"
	"	jmp 1b\n"
	"2:	ret\n"
	"helper:\n"
	"	lea 3(%rdi, %rsi, 2), %rax\n"
	"	ret $0\n"
	"f_calls:\n" /* direct calls, results in registers that calls keep */
	"	push %rbx\n"
	"	call helper\n"
	"	mov %rax, %rbx\n"
	"	mov %rax, %rsi\n"
	"	call helper\n"
	"	add %rbx, %rax\n"
	"	pop %rbx\n"
	"	ret\n"
	"f_pointers:\n" /* through a register, memory, the stack, the stack with an index */
	"	push %rbx\n"
	"	push %rbp\n"
	"	mov %rdx, %rbp\n"
	"	lea helper(%rip), %rax\n"
	"	mov %rax, (%rdx)\n"
	"	call *%rax\n"
	"	mov %rax, %rsi\n"
	"	call *(%rbp)\n"
	"	mov %rax, %rsi\n"
	"	push (%rbp)\n"
	"	call *(%rsp)\n"
	"	push $7\n"
	"	mov %rax, %rsi\n"
	"	call *8(%rsp)\n"
	"	mov $1, %ebx\n"
	"	mov %rax, %rsi\n"
	"	call *(%rsp, %rbx, 8)\n"
	"	add $16, %rsp\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	ret\n"
	"table:	.long case0 - table, case1 - table, case2 - table\n"
	"value:	.quad 0x1122334455667788\n"
	"f_table:\n" /* a jump table and a constant in the page */
	"	lea table(%rip), %rdx\n"
	"	movslq (%rdx, %rdi, 4), %rax\n"
	"	add %rdx, %rax\n"
	"	jmp *%rax\n"
	"case0:	mov value(%rip), %rax\n"
	"	ret\n"
	"case1:	cmpq $0x55, value+3(%rip)\n"
	"	sete %al\n"
	"	movzx %al, %eax\n"
	"	ret\n"
	"case2:	mov $-1, %rax\n"
	"	ret\n"
	"f_counting:\n" /* loop, jrcxz, jecxz */
	"	mov %rdi, %rcx\n"
	"	xor %eax, %eax\n"
	"	jrcxz 2f\n"
	"1:	add %rcx, %rax\n"
	"	loop 1b\n"
	"	jecxz 2f\n"
	"	ud2\n"
	"2:	add $5, %rax\n"
	"	ret\n"
	"f_constants:\n" /* movabs, mov and lea whose constants hold XRSTOR and WRPKRU */
	"	.byte 0x48, 0xb8, 0x00, 0x0f, 0xae, 0xae, 0x45, 0, 0, 0\n"
	"	.byte 0xb9, 0x0f, 0x01, 0xef, 0x11\n"
	"	add %rcx, %rax\n"
	"	.byte 0x48, 0x8d, 0x8f, 0x0f, 0x01, 0xef, 0x00\n"
	"	add %rcx, %rax\n"
	"	ret\n"
	"f_span:\n" /* imul $15, %edi, %eax; add %ebp, %edi */
	"	push %rbp\n"
	"	mov %esi, %ebp\n"
	"	.byte 0x6b, 0xc7, 0x0f, 0x01, 0xef\n"
	"	add %edi, %eax\n"
	"	pop %rbp\n"
	"	ret\n"
	"f_far:\n" /* branches that leave the page: one with WRPKRU in its distance, not taken; a tail call of what rdx says */
	"	test %edi, %edi\n"
	"	.byte 0x0f, 0x88, 0x0f, 0x01, 0xef, 0x00\n"
	"	jmp *%rdx\n"
	"f_recursive:\n" /* Fibonacci */
	"	cmp $2, %rdi\n"
	"	jae 1f\n"
	"	mov %rdi, %rax\n"
	"	ret\n"
	"1:	push %rdi\n"
	"	dec %rdi\n"
	"	call f_recursive\n"
	"	pop %rdi\n"
	"	push %rax\n"
	"	sub $2, %rdi\n"
	"	call f_recursive\n"
	"	pop %rdi\n"
	"	add %rdi, %rax\n"
	"	ret\n"
	"f_refused:\n" /* WRPKRU in a constant that has no other form */
	"	.byte 0x81, 0xff, 0x0f, 0x01, 0xef, 0x00\n"
	"	mov $9, %eax\n"
	"	ret\n"
	".org page_begin + 4096 - 8\n"
	"f_last:\n" /* the last instruction ends on the next page */
	"	mov $4, %eax\n"
	"	.byte 0x48, 0x8d, 0x80\n"
	"page_end:\n"
	"	.long 0x1234\n"
	"	ret\n"
	".popsection\n");

static uint8_t *g_origin, *g_image; /* the page and the one behind it; its translation */
static uint16_t g_entry[OUT_OF_LINE_ENTRIES];
static uint32_t g_entries;
static unsigned g_arrivals;
static sigjmp_buf g_refused;

/* The translation for what is known of the entries, with the page not executable. */
static void translate(void)
{
	static uint8_t object[2 * OUT_OF_LINE_PAGE + 14];
	struct out_of_line_request request = { .magic = OUT_OF_LINE_MAGIC, .origin = (uint64_t)g_origin, .image = (uint64_t)g_image,
					       .known = sizeof(object) - OUT_OF_LINE_CODE, .entries = g_entries };
	struct translate_input in = { .file = object, .file_size = sizeof(object), .size = OUT_OF_LINE_SIZE };
	struct translate_output out;

	memcpy(request.entry, g_entry, sizeof(g_entry));
	memcpy(object, &request, sizeof(request));
	memcpy(object + OUT_OF_LINE_CODE, g_origin, request.known);
	assert_int_equal(translate_segment(&in, &out), 0);
	assert_int_equal(out.text_size, OUT_OF_LINE_SIZE);
	assert_int_equal(out.data_count, 1);
	for (size_t at = OUT_OF_LINE_MAP; at + FORBIDDEN_LENGTH <= out.text_size; at++)
		assert_false(forbidden_at(out.text, at));
	assert_int_equal(mprotect(g_image, OUT_OF_LINE_SIZE, PROT_READ | PROT_WRITE), 0);
	memcpy(g_image, out.text, out.text_size);
	assert_int_equal(mprotect(g_image, OUT_OF_LINE_SIZE, PROT_READ | PROT_EXEC), 0);
	translate_free(&out);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	uint64_t at = (uint64_t)*rip - (uint64_t)g_origin;
	const uint16_t *place = (const uint16_t *)g_image;

	(void)signal, (void)info;
	if (at >= PAGE || g_entries == OUT_OF_LINE_ENTRIES)
		abort();
	if (!place[at]) {
		g_entry[g_entries++] = (uint16_t)at;
		translate();
	}
	if (!place[at])
		siglongjmp(g_refused, 1);
	g_arrivals++;
	*rip = (greg_t)(g_image + place[at]);
}

static long call(const uint8_t *function, long a, long b, void *c)
{
	return ((code_fn *)(g_origin + (function - page_begin)))(a, b, c);
}

static int set_up(void **state)
{
	uint8_t *space = mmap(NULL, SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	g_origin = space + SPACE / 2;
	g_image = space + PAGE;
	return space == MAP_FAILED;
}

/* Runs what lies in `pages` where it executes, then out of line, once with all entries new and once with the translation there. */
static void same_in(const uint8_t *pages, const uint8_t *function, long a, long b, void *c)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL); /* cmocka has its own for each test */
	mprotect(g_origin, 2 * PAGE, PROT_READ | PROT_WRITE);
	memcpy(g_origin, pages, 2 * PAGE);
	mprotect(g_origin, 2 * PAGE, PROT_READ | PROT_EXEC);
	long expected = call(function, a, b, c);
	mprotect(g_origin, PAGE, PROT_READ);
	g_entries = 0;
	g_arrivals = 0;
	translate();
	assert_int_equal(call(function, a, b, c), expected);
	assert_true(g_arrivals > 0);
	assert_int_equal(call(function, a, b, c), expected);
}

static void same(const uint8_t *function, long a, long b, void *c)
{
	same_in(page_begin, function, a, b, c);
}

static void branches_stay_inside(void **state)
{
	(void)state;
	same(f_loop, 1000, 0, NULL);
	assert_int_equal(g_arrivals, 2); /* each call arrives once */
	for (long i = 0; i < 3; i++)
		same(f_table, i, 0, NULL);
	same(f_counting, 0, 0, NULL);
	same(f_counting, 17, 0, NULL);
}

static void calls_push_original_addresses(void **state)
{
	uint64_t pointer;

	(void)state;
	same(f_calls, 5, 6, NULL);
	same(f_pointers, 5, 6, &pointer);
	same(f_recursive, 12, 0, NULL);
}

static void constants_are_split(void **state)
{
	(void)state;
	same(f_constants, 100, 0, NULL);
	same(f_span, 3, 4, NULL);
}

static long outside(long a, long b, void *c)
{
	(void)c;
	return a - b;
}

static void pages_are_left(void **state)
{
	(void)state;
	same(f_far, 50, 8, (void *)outside);
	same(f_last, 0, 0, NULL);
	static uint8_t straight[2 * OUT_OF_LINE_PAGE]; /* its last instruction ends where the page does */
	memset(straight, 0x90, PAGE);
	memcpy(straight + PAGE - 5, "\xb8\x05\0\0\0\xc3", 6);
	same_in(straight, page_begin, 0, 0, NULL);
}

static void what_cannot_be_is_left_out(void **state)
{
	(void)state;
	same(f_loop, 3, 0, NULL);
	if (sigsetjmp(g_refused, 1) == 0) {
		call(f_refused, 0, 0, NULL);
		fail_msg("a constant with WRPKRU ran");
	}
	assert_int_equal(call(f_loop, 4, 0, NULL), 10);
}

/* Whatever bytes and entries: what comes out is clean, and its places lie in it. */
static void random_pages(void **state)
{
	static uint8_t object[2 * OUT_OF_LINE_PAGE + 14];
	static const uint8_t rich[] = { 0x0f, 0x01, 0xae, 0xef, 0xf3, 0xd8, 0x2f, 0xe8, 0x74, 0xeb, 0xff, 0x48, 0xe2, 0xc3, 0x8d, 0xb8 };

	(void)state;
	srand(7);
	for (unsigned round = 0; round < 60; round++) {
		struct out_of_line_request request = { .magic = OUT_OF_LINE_MAGIC, .origin = 0x7f0000000000, .image = 0x7f0000100000,
						       .known = (uint32_t)(OUT_OF_LINE_PAGE + (unsigned)rand() % 15), .entries = 64 };
		struct translate_input in = { .file = object, .file_size = sizeof(object), .size = OUT_OF_LINE_SIZE };
		struct translate_output out;

		for (unsigned i = 0; i < 64; i++)
			request.entry[i] = (uint16_t)(rand() % (round % 8 ? 4096 : 65536));
		memcpy(object, &request, sizeof(request));
		for (size_t i = OUT_OF_LINE_CODE; i < sizeof(object); i++)
			object[i] = rand() % 4 < (int)(round % 4) ? rich[(unsigned)rand() % sizeof(rich)] : (uint8_t)rand();
		assert_int_equal(translate_segment(&in, &out), 0);
		for (size_t at = OUT_OF_LINE_MAP; at + FORBIDDEN_LENGTH <= out.text_size; at++)
			assert_false(forbidden_at(out.text, at));
		for (unsigned i = 0; i < PAGE; i++) {
			unsigned place = ((const uint16_t *)out.text)[i];
			assert_true(place == 0 || (place >= OUT_OF_LINE_MAP && place < OUT_OF_LINE_SIZE));
		}
		translate_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(branches_stay_inside), cmocka_unit_test(calls_push_original_addresses),
		cmocka_unit_test(constants_are_split),	cmocka_unit_test(pages_are_left),
		cmocka_unit_test(what_cannot_be_is_left_out), cmocka_unit_test(random_pages),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
