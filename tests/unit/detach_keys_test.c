/*
 * The keys that leave a terminal: how they are written, and what is typed comes through whole, whatever the pieces it is read in, up to
 * the first place where the sequence stands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/detach_keys.h"

static void written(void **state)
{
	static const struct { const char *text; size_t count; char key[DETACH_KEYS_MAX]; } good[] = {
		{ DETACH_KEYS_DEFAULT, 2, { 16, 17 } }, { "", 0, { 0 } }, { "a", 1, { 'a' } }, { "Z,~,!", 3, { 'Z', '~', '!' } },
		{ "ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", 6, { 0, 27, 28, 29, 30, 31 } }, { "ctrl-a,ctrl-Z,CTRL-z", 3, { 1, 26, 26 } },
		{ "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", 16, "aaaaaaaaaaaaaaa" "a" },
	};
	static const char *const bad[] = { ",", "a,", ",a", "a,,b", "ab", " ", "\x01", "\x7f", "\xc3\xa4", "ctrl-", "ctrl-1", "ctrl-`", "ctrl-{", "ctrl-pp", "ctrl-,", "ctrlxp",
					   "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a" };
	const struct detach_keys defaults = DETACH_KEYS_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct detach_keys keys = { .count = 9, .held = 9 };

		assert_true(detach_keys_parse(good[i].text, &keys));
		assert_int_equal(keys.count, good[i].count);
		assert_int_equal(keys.held, 0);
		assert_memory_equal(keys.key, good[i].key, keys.count);
		if (i == 0)
			assert_memory_equal(&keys, &defaults, sizeof(keys));
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct detach_keys keys = { .count = 9 };

		assert_false(detach_keys_parse(bad[i], &keys));
		assert_int_equal(keys.count, 9);
	}
}

/* `text` is read in pieces: bits of `cuts` say where they end. */
static void check(const char *sequence, const char *text, size_t size, unsigned cuts)
{
	struct detach_keys keys = { .count = strlen(sequence) };
	const char *found = keys.count ? strstr(text, sequence) : NULL;
	char out[32];
	size_t passed = 0, begin = 0;
	bool whole = false;

	memcpy(keys.key, sequence, keys.count);
	for (size_t end = 1; end <= size && !whole; end++)
		if (end == size || (cuts & 1u << end)) {
			size_t held = keys.held, now = detach_keys_pass(&keys, text + begin, end - begin, out + passed, &whole);

			assert_true(now <= held + end - begin);
			passed += now;
			begin = end;
		}
	assert_int_equal(whole, found != NULL);
	if (!whole) {
		assert_true(keys.held < keys.count || !keys.count);
		memcpy(out + passed, keys.key, keys.held);
	}
	assert_int_equal(whole ? passed : passed + keys.held, whole ? (size_t)(found - text) : size);
	assert_memory_equal(out, text, whole ? passed : size);
}

static void passed_on(void **state)
{
	static const char *const sequences[] = { "", "a", "ab", "aa", "aab", "aba", "abab", "aabaa", "abcab" };

	(void)state;
	for (size_t size = 1, count = 3; size <= 7; size++, count *= 3)
		for (size_t n = 0; n < count; n++) {
			char text[8] = "";

			for (size_t i = 0, rest = n; i < size; i++, rest /= 3)
				text[i] = (char)('a' + rest % 3);
			for (size_t s = 0; s < sizeof sequences / sizeof sequences[0]; s++)
				for (unsigned cuts = 0; cuts < 1u << size; cuts += 2)
					check(sequences[s], text, size, cuts);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(written), cmocka_unit_test(passed_on) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
