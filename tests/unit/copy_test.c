/*
 * base/x86_64/copy.S against copying byte by byte: every size up to some vectors, every alignment, nothing written beside the
 * destination, faults anywhere, and the vector register that it uses. Before copy_init, which only some processors leave as it
 * is, and after.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cmocka.h>

#include "base/copy.h"

#define SIZE_MAX_TRIED 300u
#define AREA 8192u
#define PAGE 4096u

static unsigned char g_from[AREA], g_to[AREA], g_expected[AREA];
static unsigned g_faults;

static void fill(void)
{
	for (unsigned i = 0; i < AREA; i++) {
		g_from[i] = (unsigned char)(i * 7 + i / 251);
		g_to[i] = g_expected[i] = (unsigned char)(i * 13 + 5);
	}
}

static void copy_once(unsigned to, unsigned from, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		g_expected[to + i] = g_from[from + i];
	assert_int_equal(user_copy(g_to + to, g_from + from, size), 0);
	for (unsigned i = 0; i < AREA; i++)
		if (g_to[i] != g_expected[i])
			fail_msg("%u bytes from %u to %u: byte %u is wrong", size, from, to, i);
	for (unsigned i = 0; i < size; i++)
		g_to[to + i] = g_expected[to + i] = (unsigned char)((to + i) * 13 + 5);
}

static void sizes_and_places(void **state)
{
	(void)state;
	fill();
	for (unsigned size = 0; size < SIZE_MAX_TRIED; size++)
		for (unsigned place = 0; place < 64; place++)
			copy_once(1000 + place, 1000 + place * 37 % 64, size);
	for (unsigned size = SIZE_MAX_TRIED; size < 5000; size += 257)
		for (unsigned place = 0; place < 2000; place += 131)
			copy_once(64 + place, 64 + (place * 7 + size) % 2000, size);
	assert_ptr_equal(memcpy(g_to, g_from, AREA), g_to);
	for (unsigned i = 0; i < AREA; i++)
		assert_int_equal(g_to[i], g_from[i]);
}

/* What the monitor's and the libOS's handlers do. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	(void)info;
	if (*rip < (greg_t)copy_fault_begin || *rip >= (greg_t)copy_fault_end)
		raise(signal == SIGSEGV ? SIGABRT : SIGKILL);
	*rip = (greg_t)copy_fault_exit;
	g_faults++;
}

static void faults(void **state)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, old;
	unsigned char *page = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(page != MAP_FAILED);
	mprotect(page, PAGE, PROT_NONE);
	mprotect(page + 2 * PAGE, PAGE, PROT_NONE);
	sigaction(SIGSEGV, &action, &old);
	unsigned expected = g_faults;
	for (unsigned size = 1; size < SIZE_MAX_TRIED; size++)
		for (unsigned inside = 0; inside < size; inside += 1 + inside / 9) {
			unsigned char *end = page + 2 * PAGE - inside, *begin = page + PAGE - size + inside;
			assert_int_equal(user_copy(g_to, end, size), -14);
			assert_int_equal(user_copy(end, g_from, size), -14);
			assert_int_equal(user_copy(g_to, begin, size), -14);
			assert_int_equal(user_copy(begin, g_from, size), -14);
			expected += 4;
		}
	assert_int_equal(g_faults, expected);
	assert_int_equal(user_copy(page + PAGE, g_from, PAGE), 0); /* up to the brim */
	sigaction(SIGSEGV, &old, NULL);
	munmap(page, 3 * PAGE);
}

/* The program's vector registers, in a copy that ends and in one that faults. */
static void vectors(void **state)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, old;
	unsigned char before[64], after[64];

	(void)state;
	if (!__builtin_cpu_supports("avx512vl"))
		return; /* copies use none then */
	sigaction(SIGSEGV, &action, &old);
	for (unsigned i = 0; i < sizeof before; i++)
		before[i] = (unsigned char)(200 - i);
	for (int bad = 0; bad < 2; bad++) {
		void *to = bad ? NULL : g_to;
		const void *from = g_from;
		uint64_t size = 500;
		memset(after, 0, sizeof after);
		__asm__ volatile("vmovdqu64 %[before], %%zmm16\n\tcall user_copy\n\tvmovdqu64 %%zmm16, %[after]"
				 : [after] "=m"(after), "+D"(to), "+S"(from), "+d"(size)
				 : [before] "m"(before)
				 : "rax", "rcx", "r8", "r9", "r10", "r11", "cc", "memory");
		for (unsigned i = 0; i < sizeof before; i++)
			assert_int_equal(after[i], before[i]);
	}
	sigaction(SIGSEGV, &old, NULL);
}

static int init(void **state)
{
	(void)state;
	copy_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest slow[] = { cmocka_unit_test(sizes_and_places), cmocka_unit_test(faults), cmocka_unit_test(vectors) };
	const struct CMUnitTest fast[] = { cmocka_unit_test(sizes_and_places), cmocka_unit_test(faults), cmocka_unit_test(vectors) };

	return cmocka_run_group_tests_name("before copy_init", slow, NULL, NULL) +
	       cmocka_run_group_tests_name("after copy_init", fast, init, NULL);
}
