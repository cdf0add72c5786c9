/*
 * The ELF header parser: this test's own file is accepted, and no damage to any one byte or any truncation makes it
 * report segments that leave the file or overlap.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/elf_parse.h"

static uint8_t *g_file;
static size_t g_size;

static int load(void **state)
{
	struct stat st;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	if (fd < 0 || fstat(fd, &st))
		return -1;
	g_size = (size_t)st.st_size;
	g_file = malloc(g_size);
	int bad = !g_file || read(fd, g_file, g_size) != (ssize_t)g_size;
	close(fd);
	return bad;
}

static int parse(const uint8_t *file, size_t size, struct elf_info *info)
{
	int ret = elf_parse_header(file, size, 0, info);

	if (ret)
		return ret;
	uint64_t bytes = 56ull * info->phdr_count;
	if (info->phdr_offset > size || bytes > size - info->phdr_offset)
		return ELF_ERROR_TRUNCATED;
	return elf_parse_segments(file + info->phdr_offset, bytes, size, info);
}

static void check(const struct elf_info *info, uint64_t size)
{
	uint64_t end = 0;

	assert_in_range(info->loads, 1, ELF_LOADS_MAX);
	for (uint32_t i = 0; i < info->loads; i++) {
		const struct elf_load *l = &info->load[i];
		assert_true(l->offset <= size && l->file_size <= size - l->offset);
		assert_true(l->file_size <= l->memory_size);
		assert_true(l->vaddr >= end && l->vaddr + l->memory_size >= l->vaddr);
		assert_int_equal(l->vaddr % ELF_PAGE_SIZE, l->offset % ELF_PAGE_SIZE);
		end = l->vaddr + l->memory_size;
	}
	assert_true(info->end - info->start <= ELF_SPAN_MAX);
}

static void own_file(void **state)
{
	struct elf_info info;

	(void)state;
	assert_int_equal(parse(g_file, g_size, &info), ELF_OK);
	check(&info, g_size);
	assert_true(info.interp_size > 1);
	assert_int_equal(elf_parse_interp(g_file + info.interp_offset, info.interp_size), ELF_OK);
	assert_int_not_equal(elf_parse_interp(g_file + info.interp_offset, info.interp_size - 1), ELF_OK);
	assert_int_not_equal(elf_parse_interp((const uint8_t *)"relative", 9), ELF_OK);
}

static void damaged(void **state)
{
	struct elf_info info;

	(void)state;
	for (size_t at = 0; at < 64 + 56 * 14; at++) {
		uint8_t kept = g_file[at];
		for (unsigned value = 0; value < 256; value++) {
			g_file[at] = (uint8_t)value;
			if (parse(g_file, g_size, &info) == ELF_OK)
				check(&info, g_size);
		}
		g_file[at] = kept;
	}
}

static void truncated(void **state)
{
	struct elf_info info;

	(void)state;
	for (size_t size = 0; size < g_size; size += size < 2000 ? 1 : 997)
		if (parse(g_file, size, &info) == ELF_OK)
			check(&info, size);
}

static void every_error_has_a_text(void **state)
{
	(void)state;
	for (int error = -2; error < ELF_ERROR_COUNT + 2; error++)
		assert_true(elf_error_text(error) && *elf_error_text(error));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(own_file), cmocka_unit_test(damaged), cmocka_unit_test(truncated),
					    cmocka_unit_test(every_error_has_a_text) };

	return cmocka_run_group_tests(tests, load, NULL);
}
