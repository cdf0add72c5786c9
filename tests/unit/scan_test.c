/*
 * The monitor's scanner against a slow reference (scan_slow.h): every sequence at every offset of a buffer, short
 * buffers, and random bytes rich in the bytes that matter. tests/fuzz/scan_fuzz.c goes on where this ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/scan.h"
#include "unit/scan_slow.h"

static void every_offset(void **state)
{
	static const uint8_t sequence[][4] = { { 0x0f, 0x01, 0xef }, { 0x0f, 0xae, 0x2f }, { 0xf3, 0x0f, 0xae, 0xd8 } };
	uint8_t buffer[100];

	(void)state;
	for (size_t s = 0; s < 3; s++)
		for (size_t size = 3; size <= sizeof buffer; size++)
			for (size_t at = 0; at + (s == 2 ? 4 : 3) <= size; at++) {
				memset(buffer, 0x90, sizeof buffer);
				memcpy(buffer + at, sequence[s], s == 2 ? 4 : 3);
				assert_int_equal(scan_bytes(buffer, size), (int64_t)at + (s == 2));
			}
}

static void cut_off(void **state)
{
	uint8_t buffer[64];

	(void)state;
	for (size_t size = 0; size < sizeof buffer; size++) {
		memset(buffer, 0x90, sizeof buffer);
		memcpy(buffer + size, "\x0f\x01\xef", size + 3 <= sizeof buffer ? 3 : sizeof buffer - size);
		assert_int_equal(scan_bytes(buffer, size), -1);
		if (size >= 2 && size + 1 <= sizeof buffer) {
			memcpy(buffer + size - 2, "\x0f\x01\xef", 3);
			assert_int_equal(scan_bytes(buffer, size), -1);
		}
	}
}

static void random_bytes(void **state)
{
	static const uint8_t rich[] = { 0x0f, 0x01, 0xae, 0xef, 0xf3, 0x48, 0xd8, 0x2f, 0x18, 0xe8, 0x90 };
	static uint8_t buffer[512];

	(void)state;
	srand(1);
	for (int round = 0; round < 200000; round++) {
		size_t size = (size_t)rand() % sizeof buffer, from = (size_t)rand() % 16;
		int dense = rand() % 64 == 0;
		for (size_t i = 0; i < size; i++)
			buffer[i] = dense || rand() % 8 == 0 ? rich[(size_t)rand() % sizeof rich] : (uint8_t)rand();
		from = from > size ? size : from;
		assert_int_equal(scan_bytes(buffer + from, size - from), scan_slow(buffer + from, size - from));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_offset), cmocka_unit_test(cut_off), cmocka_unit_test(random_bytes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
