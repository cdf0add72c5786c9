/*
 * libFuzzer target for the code translator: the input is either a whole (hostile) ELF file or, if its first byte is
 * odd, code that gets a well-formed ELF file around it. Beyond not crashing, every translation must mean what the
 * original meant (tests/unit/translate_check.c).
 *
 * clang -fsanitize=fuzzer,address,undefined, src/translate without main.c, sandbox.c and stats.c, and translate_check.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/translate_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one(const uint8_t *file, size_t file_size, uint64_t offset, uint64_t size, bool stubs)
{
	struct translate_input in = { file, file_size, offset, size, stubs };
	struct translate_output out;
	const char *wrong;
	uint64_t where;

	if (size > TRANSLATE_SIZE_MAX || translate_segment(&in, &out) != 0)
		return;
	wrong = translate_check(file + offset, &out, &where);
	if (wrong != NULL) {
		fprintf(stderr, "%s at 0x%llx\n", wrong, (unsigned long long)where);
		abort();
	}
	translate_free(&out);
}

struct whole {
	const uint8_t *file;
	size_t size;
};

static void segment(uint64_t offset, uint64_t size, void *arg)
{
	const struct whole *w = arg;

	one(w->file, w->size, offset, size, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct whole w;

	if (size < 2)
		return 0;
	if (data[0] & 1) {
		size_t file_size;
		uint8_t *file = small_elf(data + 1, size - 1, &file_size);

		one(file, file_size, SMALL_ELF_TEXT, size - 1, !(data[0] & 2));
		free(file);
		return 0;
	}
	w = (struct whole){ data + 1, size - 1 };
	translate_each_segment(w.file, w.size, segment, &w);
	one(w.file, w.size, 0, w.size + 100, data[0] & 2);
	return 0;
}
