/*
 * The forbidden byte sequences against the instructions' own encodings (Intel SDM volume 2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/forbidden.h"

static void encodings(void **state)
{
	unsigned count[256] = { 0 };

	(void)state;
	assert_true(forbidden_after_0f(0x01, 0xef));	  /* wrpkru */
	assert_false(forbidden_after_0f(0x01, 0xee));	  /* rdpkru */
	assert_false(forbidden_after_0f(0xae, 0xe8));	  /* lfence */
	assert_true(forbidden_after_0f(0xae, 0x2f));	  /* xrstor (%rdi) */
	assert_true(forbidden_after_0f(0xae, 0x6c));	  /* xrstor disp8(sib) */
	assert_true(forbidden_after_0f(0xae, 0xae));	  /* xrstor disp32(%rsi) */
	assert_false(forbidden_after_0f(0xae, 0x27));	  /* xsave */
	assert_false(forbidden_after_0f(0xae, 0xd0));	  /* wrfsbase */
	assert_false(forbidden_after_0f(0xae, 0xc8));	  /* rdgsbase */
	assert_true(forbidden_after_0f(0xae, 0xd8));	  /* wrgsbase %eax */
	assert_true(forbidden_after_0f(0xae, 0xdf));	  /* wrgsbase %edi */
	assert_false(forbidden_after_0f(0xae, 0x1f));	  /* stmxcsr */
	assert_false(forbidden_after_0f(0xc7, 0x1f));	  /* xrstors (%rdi): faults outside the kernel */
	assert_false(forbidden_after_0f(0xc7, 0x0f));	  /* cmpxchg8b */
	for (unsigned b1 = 0; b1 < 256; b1++)
		for (unsigned b2 = 0; b2 < 256; b2++)
			count[b1] += forbidden_after_0f((uint8_t)b1, (uint8_t)b2);
	for (unsigned b1 = 0; b1 < 256; b1++)
		assert_int_equal(count[b1], b1 == 0x01 ? 1 : b1 == 0xae ? 24 + 8 : 0);
}

static void prefixes(void **state)
{
	static const uint8_t bare[] = { 0x12, 0x0f, 0xae, 0xdc }, wrgsbase[] = { 0xf3, 0x48, 0x0f, 0xae, 0xde };
	static const uint8_t far[] = { 0xf3, 0x66, 0x2e, 0x65, 0x67, 0xf2, 0x4f, 0x0f, 0xae, 0xdf };
	static const uint8_t apart[] = { 0xf3, 0x90, 0x48, 0x0f, 0xae, 0xde };

	(void)state;
	assert_false(forbidden_at(bare, 1)); /* undefined without F3: bytes of a table, say */
	assert_true(forbidden_at(wrgsbase, 2));
	assert_true(forbidden_at(far, 7));
	assert_false(forbidden_at(apart, 3)); /* F3 belongs to the PAUSE in front */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(encodings), cmocka_unit_test(prefixes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
