/*
 * intravisor-translate: the untrusted helper process that turns an executable segment of a file into a code image.
 * Started by the command (src/cli) once an image, with both files already open; or by a person with --stats.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/code_image.h"
#include "abi/slot.h"
#include "helper.h"
#include "translate.h"

#define FILE_MAX (1ull << 30)

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "intravisor-translate: %s: %s\n", what, why);
	return 1;
}

uint8_t *read_file(int fd, size_t *size)
{
	struct stat st;
	uint8_t *bytes;
	size_t have = 0, want;

	if (syscall(SYS_fstat, fd, &st) != 0) /* C libraries' may be newfstatat, and struct stat is the kernel's */
		return NULL;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0) {
		errno = EINVAL;
		return NULL;
	}
	want = (uint64_t)st.st_size < FILE_MAX ? (size_t)st.st_size : FILE_MAX;
	bytes = mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bytes == MAP_FAILED)
		return NULL;
	while (have < want) {
		ssize_t got = pread(fd, bytes + have, want - have, (off_t)have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			errno = got == 0 ? EIO : errno;
			munmap(bytes, want);
			return NULL;
		}
		have += (size_t)got;
	}
	*size = want;
	return bytes;
}

static bool write_all(int fd, const void *bytes, size_t size, uint64_t offset)
{
	const uint8_t *p = bytes;

	while (size > 0) {
		ssize_t put = pwrite(fd, p, size, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		p += put;
		size -= (size_t)put;
		offset += (uint64_t)put;
	}
	return true;
}

static bool write_image(int fd, const struct translate_output *out)
{
	struct code_image_header header = {
		.magic = CODE_IMAGE_MAGIC,
		.version = CODE_IMAGE_VERSION,
		.text_size = out->text_size,
		.stub_size = out->stub_size,
		.sites_found = out->sites_found,
		.sites_rewritten = out->sites_rewritten,
		.forbidden_replaced = out->forbidden_replaced,
		.forbidden_left = out->forbidden_left,
	};
	uint64_t text = CODE_IMAGE_HEADER_SIZE, stubs = text + out->text_size;

	_Static_assert(sizeof(header.reason) == TRANSLATE_REASON_MAX, "the reason fits");
	memcpy(header.data, out->data, sizeof(header.data));
	memcpy(header.reason, out->reason, sizeof(header.reason));
	return ftruncate(fd, 0) == 0 && ftruncate(fd, (off_t)(stubs + out->stub_size)) == 0 &&
	       write_all(fd, out->text, out->text_used, text) && write_all(fd, out->stubs, out->stub_size, stubs) &&
	       write_all(fd, &header, sizeof(header), 0);
}

static bool parse(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return errno == 0 && end != text && *end == 0 && text[0] != '-' && *value <= max;
}

static int translate_fds(char **argv)
{
	struct translate_input in = { 0 };
	struct translate_output out;
	uint64_t in_fd, out_fd, stubs;
	int error;

	if (!parse(argv[0], INT_MAX, &in_fd) || !parse(argv[1], INT_MAX, &out_fd) ||
	    !parse(argv[2], INT64_MAX, &in.offset) || !parse(argv[3], TRANSLATE_SIZE_MAX, &in.size) ||
	    !parse(argv[4], 1, &stubs))
		return fail("arguments", "IN_FD OUT_FD OFFSET SIZE STUBS must be numbers in their ranges");
	/* whatever the file makes of us: its text, and stubs that are no more */
	sandbox_limits(CODE_IMAGE_HEADER_SIZE + 2 * ((in.size + CVM_PAGE_SIZE - 1) & ~(CVM_PAGE_SIZE - 1)));
	if (sandbox_enter() != 0)
		return fail("seccomp", strerror(errno));
	in.stubs = stubs;
	in.file = read_file((int)in_fd, &in.file_size);
	if (in.file == NULL)
		return fail("cannot read the file", strerror(errno));
	error = translate_segment(&in, &out);
	if (error != 0)
		return fail("cannot translate", error == -EINVAL ? "offset or size outside of the file" : strerror(-error));
	if (!write_image((int)out_fd, &out))
		return fail("cannot write the image", strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "--stats") == 0) {
		int status = 0;

		sandbox_limits(RLIM_INFINITY);
		for (int i = 2; i < argc; i++)
			status |= stats_print(argv[i]);
		return status;
	}
	if (argc == 6)
		return translate_fds(argv + 1);
	fprintf(stderr, "usage: intravisor-translate IN_FD OUT_FD OFFSET SIZE STUBS(0|1)\n"
			"       intravisor-translate --stats FILE...\n");
	return 1;
}
