/*
 * Translates one executable segment: looks for `syscall` instructions and forbidden sequences in its bytes and has
 * each dealt with, then counts what is left by looking again at the result. Called by main.c, the unit tests and the
 * fuzzer; trusts nothing in the file.
 */
#include "translate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/forbidden.h"
#include "internal.h"

#define FILE_SIZE_MAX (1ull << 32)

static uint32_t page_up(uint64_t size)
{
	return (uint32_t)((size + CVM_PAGE_SIZE - 1) & ~(CVM_PAGE_SIZE - 1));
}

/* The executable PT_LOAD that most of the range belongs to says which addresses the text has, and where code is. */
static void find_segment(struct translator *t, const struct translate_input *in)
{
	uint64_t best = 0, end = in->offset + t->size;

	for (uint32_t i = 0; i < t->elf.loads; i++) {
		const Elf64_Phdr *load = &t->elf.load[i];
		uint64_t lo = load->p_offset > in->offset ? load->p_offset : in->offset;
		uint64_t hi = load->p_offset + load->p_filesz < end ? load->p_offset + load->p_filesz : end;

		if (!(load->p_flags & PF_X) || hi <= lo || hi - lo <= best)
			continue;
		best = hi - lo;
		t->known = true;
		t->vaddr = load->p_vaddr - load->p_offset + in->offset;
		t->code_lo = (uint32_t)(lo - in->offset);
		t->code_hi = (uint32_t)(hi - in->offset);
	}
}

static uint64_t **bit_sets(struct translator *t, uint32_t i)
{
	uint64_t **sets[] = { &t->anchor,	&t->unwind, &t->unwind_end, &t->lsda, &t->code, &t->data_from,
			      &t->boundary, &t->region_done, &t->region_ok, &t->region_exact, &t->region_seen, &t->strong, &t->branch, &t->target, &t->taken };

	return i < sizeof(sets) / sizeof(sets[0]) ? sets[i] : NULL;
}

static bool start(struct translator *t, const struct translate_input *in, struct translate_output *out)
{
	uint64_t **set;

	t->out = out;
	t->offset = in->offset;
	t->orig = in->file + in->offset;
	t->size = (uint32_t)(in->file_size - in->offset < in->size ? in->file_size - in->offset : in->size);
	t->text_size = page_up(in->size);
	t->use_stubs = in->stubs;
	t->stubs.limit = t->text_size;
	t->lsda_budget = in->file_size;
	elf_view_open(&t->elf, in->file, in->file_size);
	find_segment(t, in);
	for (uint32_t i = 0; (set = bit_sets(t, i)) != NULL; i++)
		if ((*set = bits_new(t->size)) == NULL)
			return false;
	t->text = mmap(NULL, t->text_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->text == MAP_FAILED)
		return false;
	out->text = t->text;
	out->text_size = t->text_size;
	out->text_used = t->size;
	memcpy(t->text, t->orig, t->size);
	ZydisDecoderInit(&t->full, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	t->quick = t->full;
	ZydisDecoderEnableMode(&t->quick, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
	return true;
}

static void visit_forbidden(struct translator *t)
{
	for (uint32_t at = 0; (at = forbidden_next(t->orig, at, t->size)) < t->size; at++) {
		t->out->forbidden_found++;
		forbidden_site(t, at);
	}
}

static void visit_syscalls(struct translator *t)
{
	const uint8_t *end = t->orig + t->size, *p = t->orig;

	while (end - p >= 2 && (p = memchr(p, 0x0f, (size_t)(end - p) - 1)) != NULL) {
		if (p[1] == 0x05)
			syscall_site(t, (uint32_t)(p - t->orig));
		p++;
	}
}

static const char *sequence_name(const uint8_t *bytes)
{
	return bytes[1] == 0x01 ? "WRPKRU" : bytes[2] >= 0xc0 ? "WRGSBASE" : "XRSTOR";
}

static const char *why_left(const struct translate_output *out, uint32_t at)
{
	for (size_t i = 0; i < out->patch_count; i++)
		if (out->patches[i].kind == TRANSLATE_FORBIDDEN_LEFT && out->patches[i].core == at)
			return out->patches[i].why;
	return "forbidden bytes that are no instruction";
}

/* The result is what counts, stubs included. */
static void count_left(struct translator *t, uint64_t offset)
{
	struct translate_output *out = t->out;
	uint32_t at = 0;

	for (; (at = forbidden_next(t->text, at, t->size)) < t->size; at++) {
		if (data_page_has(t, at) || data_page_has(t, at + FORBIDDEN_LENGTH - 1))
			out->forbidden_data++;
		else if (out->forbidden_left++ == 0)
			snprintf(out->reason, sizeof(out->reason), "offset 0x%llx: %s: %s",
				 (unsigned long long)(offset + at), sequence_name(t->text + at), why_left(out, at));
	}
	for (at = 0; (at = forbidden_next(out->stubs, at, (uint32_t)out->stub_size)) < out->stub_size; at++) {
		if (out->forbidden_left++ == 0)
			snprintf(out->reason, sizeof(out->reason), "stub 0x%x: %s: translator's own mistake", at,
				 sequence_name(out->stubs + at));
	}
	uint32_t stay = out->forbidden_left + out->forbidden_data;
	out->forbidden_replaced = out->forbidden_found > stay ? out->forbidden_found - stay : 0;
}

static bool finish(struct translator *t, uint64_t offset)
{
	struct translate_output *out = t->out;
	uint32_t size = page_up(t->stubs.used);

	if (size != 0) {
		uint8_t *bytes = realloc(t->stubs.bytes, size);

		if (bytes == NULL)
			return false;
		if (size > t->stubs.room)
			memset(bytes + t->stubs.room, 0xcc, size - t->stubs.room);
		t->stubs.bytes = bytes;
	}
	out->stubs = t->stubs.bytes;
	out->stub_size = size;
	out->stub_used = t->stubs.used;
	t->stubs.bytes = NULL;
	count_left(t, offset);
	return !t->out_of_memory;
}

int translate_segment(const struct translate_input *in, struct translate_output *out)
{
	struct translator t = { .known = false };
	uint64_t **set;
	bool done = false;

	memset(out, 0, sizeof(*out));
	if (in->size == 0 || in->size > TRANSLATE_SIZE_MAX || in->offset % CVM_PAGE_SIZE != 0 ||
	    in->file_size > FILE_SIZE_MAX || in->offset >= in->file_size)
		return -EINVAL;
	if (is_out_of_line(in))
		return translate_out_of_line(in, out);
	if (start(&t, in, out)) {
		visit_forbidden(&t);
		visit_syscalls(&t);
		done = finish(&t, in->offset);
	}
	for (uint32_t i = 0; (set = bit_sets(&t, i)) != NULL; i++)
		free(*set);
	free(t.stubs.bytes);
	if (!done)
		translate_free(out);
	return done ? 0 : -ENOMEM;
}

void translate_free(struct translate_output *out)
{
	if (out->text != NULL)
		munmap(out->text, out->text_size);
	free(out->stubs);
	free(out->patches);
	memset(out, 0, sizeof(*out));
}

const char *translate_kind_name(enum translate_kind kind)
{
	static const char *const names[TRANSLATE_KINDS] = {
		[TRANSLATE_SYSCALL_BEFORE] = "syscall, stays in place",
		[TRANSLATE_SYSCALL_TEXT] = "syscall, goes on in the text",
		[TRANSLATE_SYSCALL_STUB] = "syscall, goes on in the stub",
		[TRANSLATE_XRSTOR] = "XRSTOR through the gate",
		[TRANSLATE_UD2] = "made illegal",
		[TRANSLATE_REENCODED] = "encoded otherwise",
		[TRANSLATE_REDIRECTED] = "branch redirected",
		[TRANSLATE_MOVED] = "moved to a stub",
		[TRANSLATE_SYSCALL_LEFT] = "syscall left",
		[TRANSLATE_FORBIDDEN_LEFT] = "forbidden bytes left",
	};

	return kind < TRANSLATE_KINDS ? names[kind] : "?";
}

size_t translate_each_segment(const uint8_t *file, size_t size, void (*each)(uint64_t, uint64_t, void *), void *arg)
{
	struct elf_view elf;
	size_t count = 0;

	elf_view_open(&elf, file, size);
	for (uint32_t i = 0; i < elf.loads; i++) {
		const Elf64_Phdr *load = &elf.load[i];
		uint64_t skew = load->p_offset % CVM_PAGE_SIZE;

		if (!(load->p_flags & PF_X) || load->p_filesz == 0)
			continue;
		each(load->p_offset - skew, load->p_filesz + skew, arg);
		count++;
	}
	return count;
}
