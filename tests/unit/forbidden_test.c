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
	assert_true(forbidden_after_0f(0xc7, 0x1f));	  /* xrstors (%rdi) */
	assert_false(forbidden_after_0f(0xc7, 0x0f));	  /* cmpxchg8b */
	assert_false(forbidden_after_0f(0xc7, 0xdf));
	for (unsigned b1 = 0; b1 < 256; b1++)
		for (unsigned b2 = 0; b2 < 256; b2++)
			count[b1] += forbidden_after_0f((uint8_t)b1, (uint8_t)b2);
	for (unsigned b1 = 0; b1 < 256; b1++)
		assert_int_equal(count[b1], b1 == 0x01 ? 1 : b1 == 0xae ? 24 + 8 : b1 == 0xc7 ? 24 : 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(encodings) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
