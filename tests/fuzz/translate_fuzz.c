/*
 * libFuzzer target for the code translator: the input is either a whole (hostile) ELF file or, if its first byte is
 * odd, code that gets a well-formed ELF file around it. Beyond not crashing, every translation must mean what the
 * original meant (tests/unit/translate_check.c). If it is 4, a page to run out of line, which is entered at the offsets before it:
 * what comes out must be free of forbidden sequences (that it means the same is for tests/unit/out_of_line_test.c).
 *
 * clang -fsanitize=fuzzer,address,undefined, src/translate without main.c, sandbox.c and stats.c, and translate_check.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/out_of_line.h"
#include "base/forbidden.h"
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

static void out_of_line(const uint8_t *data, size_t size)
{
	static uint8_t object[2 * OUT_OF_LINE_PAGE + 14];
	struct out_of_line_request request = { OUT_OF_LINE_MAGIC, 0x7f1234567000, 0x7f1234667000, sizeof(object) - OUT_OF_LINE_CODE, 0, { 0 } };
	struct translate_input in = { object, sizeof(object), 0, OUT_OF_LINE_SIZE, false };
	struct translate_output out;

	while (request.entries < 16 && size > 2) {
		memcpy(&request.entry[request.entries++], data, 2);
		data += 2;
		size -= 2;
	}
	memset(object, 0x90, sizeof(object));
	memcpy(object, &request, sizeof(request));
	memcpy(object + OUT_OF_LINE_CODE, data, size < sizeof(object) - OUT_OF_LINE_CODE ? size : sizeof(object) - OUT_OF_LINE_CODE);
	if (translate_segment(&in, &out) != 0 || out.text_size != OUT_OF_LINE_SIZE)
		abort();
	for (size_t at = OUT_OF_LINE_MAP; at + FORBIDDEN_LENGTH <= out.text_size; at++)
		if (forbidden_at(out.text, at))
			abort();
	for (size_t i = 0; i < OUT_OF_LINE_PAGE; i++) {
		uint16_t place = ((const uint16_t *)out.text)[i];
		if (place && (place < OUT_OF_LINE_MAP || place >= OUT_OF_LINE_SIZE))
			abort();
	}
	translate_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct whole w;

	if (size < 2)
		return 0;
	if (data[0] == 4) {
		out_of_line(data + 1, size - 1);
		return 0;
	}
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
