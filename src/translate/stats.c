/*
 * intravisor-translate --stats: what would become of a file, for people. Prints a summary of each executable segment
 * and every place that stays as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"
#include "translate.h"

struct file {
	const char *path;
	const uint8_t *bytes;
	size_t size;
	int status;
};

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void print_patches(const struct translate_output *out, uint64_t offset)
{
	uint32_t count[TRANSLATE_KINDS] = { 0 };

	for (size_t i = 0; i < out->patch_count; i++) {
		const struct translate_patch *p = &out->patches[i];

		count[p->kind]++;
		if (p->why != NULL)
			printf("  0x%llx: %s: %s\n", (unsigned long long)(offset + p->core), translate_kind_name(p->kind),
			       p->why);
	}
	for (int kind = 0; kind < TRANSLATE_KINDS; kind++)
		if (count[kind] != 0)
			printf("  %6u %s\n", count[kind], translate_kind_name((enum translate_kind)kind));
}

static void print_segment(uint64_t offset, uint64_t size, void *arg)
{
	struct file *file = arg;
	struct translate_input in = { file->bytes, file->size, offset, size, true };
	struct translate_output out;
	double start = now_ms();

	if (size > TRANSLATE_SIZE_MAX || translate_segment(&in, &out) != 0) {
		fprintf(stderr, "intravisor-translate: %s: segment at 0x%llx cannot be translated\n", file->path,
			(unsigned long long)offset);
		file->status = 1;
		return;
	}
	printf("%s: segment at 0x%llx, %llu bytes, %.1f ms: syscalls %u found, %u rewritten, %u unproven; forbidden %u "
	       "found, %u replaced, %u in data, %u left; stubs %zu bytes\n",
	       file->path, (unsigned long long)offset, (unsigned long long)size, now_ms() - start, out.sites_found,
	       out.sites_rewritten, out.sites_unproven, out.forbidden_found, out.forbidden_replaced,
	       out.forbidden_data, out.forbidden_left,
	       out.stub_used);
	if (out.forbidden_left != 0)
		printf("  refused: %s\n", out.reason);
	print_patches(&out, offset);
	translate_free(&out);
}

int stats_print(const char *path)
{
	struct file file = { .path = path };
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		file.bytes = read_file(fd, &file.size);
	if (file.bytes == NULL) {
		fprintf(stderr, "intravisor-translate: %s: %s\n", path, strerror(errno));
		file.status = 1;
	} else if (translate_each_segment(file.bytes, file.size, print_segment, &file) == 0) {
		fprintf(stderr, "intravisor-translate: %s: no 64-bit x86 ELF file with executable segments\n", path);
		file.status = 1;
	}
	if (file.bytes != NULL)
		munmap((void *)file.bytes, file.size);
	if (fd >= 0)
		close(fd);
	return file.status;
}
