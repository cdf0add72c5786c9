/*
 * Question: is there any system call number, of those that exist, that may come, or that are out of every table, for which the
 * filter lets an instruction of one's own through, whatever its arguments (Jenny 5.2: lists must say what is allowed)?
 * Expect: REFUSED: 3304 calls were trapped
 * Control: --insecure-no-cookie
 * Native: the filter
 */
#include <sys/syscall.h>

#include "raw.h"

static void attack(void)
{
	static struct raw_row rows[4000];
	static const uint64_t fills[] = { 0, ~0ull, 1, 0x7fffffffffffffff };
	size_t count = 0;

	rows[count++] = (struct raw_row){ "getppid", SYS_getppid, { 0 } };
	for (size_t f = 0; f < 4; f++)
		for (long number = 0; number < 800; number++) {
			rows[count] = (struct raw_row){ "one of them", number, { 0 } };
			for (int i = 0; i < 6; i++)
				rows[count].a[i] = fills[f];
			count++;
		}
	for (long number = 0; number < 100; number++)
		rows[count++] = (struct raw_row){ "a number beyond all tables", number < 50 ? number - 50 : 1l << (number - 38), { 0 } };
	for (int i = 0; i < 3; i++)
		rows[count++] = (struct raw_row){ "a number with high bits", i == 0 ? SYS_getppid | 1l << 32 : i == 1 ? SYS_getppid | 1l << 63 : SYS_getppid | 1l << 31, { 0 } };
	raw_rows(rows, count, NULL);
	refused("%zu calls were trapped", count);
}
