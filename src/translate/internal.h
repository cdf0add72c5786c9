/*
 * What the translator's files share: the state of translating one segment. Nothing outside src/translate includes it.
 *
 * Addresses are int64_t distances from the start of the text: the text is [0, text_size), the stub area starts at
 * SLOT_STUB_DELTA. Where the segment is mapped does not matter, so neither does it appear. `orig` is what the file
 * says and is what gets decoded; `text` is what becomes of it.
 */
#ifndef TRANSLATE_INTERNAL_H
#define TRANSLATE_INTERNAL_H

#include <Zydis/Zydis.h>

#include "abi/slot.h"
#include "bits.h"
#include "elf_view.h"
#include "translate.h"

#define JUMP_SIZE 5u
#define SYSCALL_SIZE 2u

struct stub_area {
	uint8_t *bytes;
	uint32_t used, room, limit;
};

struct translator {
	struct elf_view elf;
	const uint8_t *orig; /* text bytes in the file */
	uint8_t *text;
	uint32_t text_size, size; /* mapped; backed by the file */
	uint32_t code_lo, code_hi; /* what may be code: the executable segment */
	uint64_t offset;	   /* of text[0] in the file */
	uint64_t vaddr;		   /* link-time address of text[0] */
	bool known;		   /* the range belongs to an executable PT_LOAD */
	bool use_stubs;

	/* what symbols and unwind tables say: see functions.c */
	uint64_t *anchor;    /* supposedly between two instructions */
	uint64_t *strong;    /* anchors that need no confirmation */
	uint64_t *code;	     /* functions.c collects starts here, then fills what lies between them and data_from */
	uint64_t *unwind, *lsda; /* likewise: covered by an FDE, by one with an unreadable LSDA */
	uint64_t *data_from, *unwind_end;
	uint64_t lsda_budget; /* bytes of exception tables to look at, yet */
	bool have_sections, collected;

	/* what decoding says, region by region on demand: see code_map.c */
	ZydisDecoder quick, full;
	uint64_t *boundary; /* instruction starts in decoded regions */
	uint64_t *region_done, *region_exact, *region_seen, *region_ok; /* by start of region */
	uint64_t *branch; /* targets of decoded direct branches */
	uint64_t *target; /* may be pointed to: see targets.c */
	struct region { uint32_t start, end; bool ok; } last_region;
	bool targets_done;

	uint64_t *taken; /* bytes already part of a change */
	struct stub_area stubs;
	struct translate_output *out;
	size_t patch_room;
	bool out_of_memory;
};

/* One fully decoded instruction. */
struct insn {
	const uint8_t *bytes;
	uint32_t at;
	uint8_t size;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

/* functions.c */
void functions_collect(struct translator *t);
bool functions_to_text(const struct translator *t, uint64_t vaddr, uint32_t *at);

/* go_functions.c */
void go_functions_collect(struct translator *t);

/* data_pages.c: are the bytes at `at` on a page that need not execute? Then it will not. */
bool data_page_has(struct translator *t, uint32_t at);

/* unwind.c */
void unwind_collect(struct translator *t, const Elf64_Phdr *phdr);

/* code_map.c */
struct region code_region(struct translator *t, uint32_t at);
bool code_is_boundary(struct translator *t, uint32_t at);
bool insn_decode(const struct translator *t, uint32_t at, struct insn *insn);
/* Text offset that a direct relative branch goes to, as an address. */
bool insn_branch_target(const struct insn *insn, int64_t *target);

/* targets.c: may anything branch to the instruction starting at `at`? Errs on the side of yes. */
bool code_is_target(struct translator *t, uint32_t at);

/* stub.c: building and placing changes */
struct code {
	int64_t at; /* address of byte[0] */
	uint32_t size;
	bool failed;
	uint8_t byte[768];
};

enum movable { MOVABLE_NO, MOVABLE_PLAIN, MOVABLE_BRANCH, MOVABLE_END, MOVABLE_FILLER };

enum movable insn_movable(const struct insn *insn);
void code_bytes(struct code *code, const void *bytes, uint32_t size);
void code_relative(struct code *code, int64_t to); /* a rel32 */
void code_jump(struct code *code, int64_t to);
void code_fill(struct code *code, uint32_t size); /* int3 up to size bytes */
void code_insn(struct code *code, const struct insn *insn);
void code_insn_otherwise(struct code *code, const struct insn *insn); /* if as it is it holds a forbidden sequence */
/* Moves the instructions in [from, to), stopping behind an unconditional branch; true if execution can get to `to`. */
bool code_insns(const struct translator *t, struct code *code, uint32_t from, uint32_t to, bool spaced);

/* Builds the bytes of one change for a stub at a given place. */
typedef void build_fn(struct translator *t, struct translate_patch *patch, struct code *text, struct code *stub);
/* Finds a place for the stub where neither it nor the text gets a forbidden sequence, and makes the change. */
bool change_place(struct translator *t, struct translate_patch *patch, build_fn *build);
/* The same for a change that needs no stub. */
bool change_in_place(struct translator *t, struct translate_patch *patch, const struct code *text);
void change_note(struct translator *t, const struct translate_patch *patch);

/* window.c: instructions that can be moved together */

/* Instruction start before `at` that may be moved to a stub, if `at` is no branch target or may be one. */
uint32_t window_before(struct translator *t, uint32_t at);
/* End of the instruction at `at` that may be moved; 0 if it may not. *ended: only filler may follow. */
uint32_t window_after(struct translator *t, uint32_t at, bool *ended);

/* scan.c */
uint32_t forbidden_next(const uint8_t *bytes, uint32_t from, uint32_t size); /* offset, or size if none */

/* out_of_line.c: does the input hold a request for that? */
bool is_out_of_line(const struct translate_input *in);
int translate_out_of_line(const struct translate_input *in, struct translate_output *out);

void syscall_site(struct translator *t, uint32_t at);
void forbidden_site(struct translator *t, uint32_t at);
void forbidden_left(struct translator *t, uint32_t at, const char *why);

#endif
