/*
 * The report of a fatal signal: what, where (mapping and nearest dynamic symbol), registers, and which code addresses
 * lie on the stack. Symbols come from the ELF image that is mapped there (its DT_SYMTAB), read with care: the dying
 * program may have destroyed anything. Called once, by signal/deliver.c, with no lock held.
 */
#include "core/log.h"
#include "core/uaccess.h"
#include "mm/mm.h"
#include "signal/internal.h"

#include <linux/elf.h>

#define DT_GNU_HASH_ 0x6ffffef5
#define STACK_WORDS 2048
#define STACK_SHOWN 16
#define SYMBOLS_MAX 200000u
#define NAME_SHOWN 80

struct image {
	uint64_t base, end; /* of the mappings of one file */
	uint64_t symbols, strings, hash, gnu_hash;
};

struct image_search {
	const char *name;
	uint64_t addr;
	struct image found;
};

/* Mappings of one file that follow one another are one image. */
static void visit_mapping(const struct mm_range *range, void *data)
{
	struct image_search *s = data;

	if (strcmp(range->name, s->name))
		return;
	if (range->offset == 0 && range->start <= s->addr)
		s->found.base = range->start;
	if (range->start <= s->addr && range->end > s->found.end)
		s->found.end = range->end;
}

static bool read_dynamic(struct image *im, uint64_t bias, uint64_t dynamic)
{
	for (int i = 0; i < 200; i++) {
		Elf64_Dyn d;
		uint64_t at;

		if (get_user(d, (void *)(dynamic + (uint64_t)i * sizeof(d))))
			return false;
		at = d.d_un.d_ptr >= im->base ? d.d_un.d_ptr : bias + d.d_un.d_ptr;
		switch (d.d_tag) {
		case DT_NULL: return im->symbols && im->strings;
		case DT_SYMTAB: im->symbols = at; break;
		case DT_STRTAB: im->strings = at; break;
		case DT_HASH: im->hash = at; break;
		case DT_GNU_HASH_: im->gnu_hash = at; break;
		default: break;
		}
	}
	return false;
}

static bool read_image(struct image *im, uint64_t *bias)
{
	Elf64_Ehdr h;
	uint64_t dynamic = 0;

	if (get_user(h, (void *)im->base) || memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_phnum > 64)
		return false;
	*bias = im->base;
	for (int i = h.e_phnum - 1; i >= 0; i--) {
		Elf64_Phdr ph;

		if (get_user(ph, (void *)(im->base + h.e_phoff + (uint64_t)i * sizeof(ph))))
			return false;
		if (ph.p_type == PT_LOAD)
			*bias = im->base + ph.p_offset - ph.p_vaddr;
		else if (ph.p_type == PT_DYNAMIC)
			dynamic = ph.p_vaddr;
	}
	return dynamic && read_dynamic(im, *bias, *bias + dynamic);
}

/* DT_HASH says how many symbols there are. Without it: up to the string table, which linkers place behind. */
static uint32_t symbol_count(const struct image *im)
{
	uint32_t count = 0;

	if (im->hash && get_user(count, (void *)(im->hash + 4)))
		return 0;
	if (!im->hash && im->strings > im->symbols)
		count = (uint32_t)MIN((im->strings - im->symbols) / sizeof(Elf64_Sym), SYMBOLS_MAX);
	return MIN(count, SYMBOLS_MAX);
}

/* " (name+0x4)", or nothing if there is no symbol below. Static functions have none: "behind" says that it is another. */
static void nearest_symbol(uint64_t addr, const char *file, char *out, size_t size)
{
	struct image_search s = { .name = file, .addr = addr };
	uint64_t bias, best = 0;
	char name[NAME_SHOWN + 1];
	Elf64_Sym sym;
	uint64_t best_end = 0;
	uint32_t best_name = 0, count;

	out[0] = 0;
	mm_for_each(visit_mapping, &s);
	if (!s.found.base || !read_image(&s.found, &bias))
		return;
	count = symbol_count(&s.found);
	for (uint32_t i = 1; i < count; i++) {
		if (get_user(sym, (void *)(s.found.symbols + i * sizeof(sym))))
			return;
		if (sym.st_shndx == SHN_UNDEF || ELF_ST_TYPE(sym.st_info) != STT_FUNC || bias + sym.st_value > addr ||
		    sym.st_value < best)
			continue;
		best = sym.st_value;
		best_name = sym.st_name;
		best_end = sym.st_value + sym.st_size;
	}
	if (!best)
		return;
	if (copy_string_from_user(name, (void *)(s.found.strings + best_name), sizeof(name)) == -EFAULT)
		return;
	name[NAME_SHOWN] = 0;
	format(out, size, " (%s%s+0x%lx)", addr - bias < best_end ? "" : "behind ", name, addr - bias - best);
}

/* "path+0xoffset (symbol+0x12)", or false if nothing is mapped there. */
static bool describe(uint64_t addr, char *out, size_t size)
{
	static char file[512]; /* the report is written by one thread only */
	char symbol[NAME_SHOWN + 32];
	struct mm_range range;

	if (!mm_find(addr, &range, file, sizeof(file)))
		return false;
	symbol[0] = 0;
	if (file[0] == '/')
		nearest_symbol(addr, file, symbol, sizeof(symbol));
	format(out, size, "%s+0x%lx%s", file[0] ? file : "[anonymous]",
	       addr - range.start + (file[0] == '/' ? (uint64_t)range.offset : 0), symbol);
	return true;
}

/* Is there a call instruction in front of it: E8 relative, or FF /2 with its operand? */
static bool is_return_address(uint64_t addr)
{
	uint8_t code[7];

	if (copy_from_user(code, (void *)(addr - sizeof(code)), sizeof(code)))
		return false;
	for (int i = 0; i <= 5; i++)
		if (code[i] == 0xff && (code[i + 1] >> 3 & 7) == 2)
			return true;
	return code[2] == 0xe8;
}

static void scan_stack(uint64_t rsp)
{
	char place[320];
	unsigned shown = 0;

	for (unsigned i = 0; i < STACK_WORDS && shown < STACK_SHOWN; i++) {
		struct mm_range range;
		char name[16];
		uint64_t word;

		if (get_user(word, (void *)((rsp & ~7ull) + i * 8ull)))
			return;
		if (word < PAGE_SIZE || !mm_find(word, &range, name, sizeof(name)) || !(range.prot & PROT_EXEC) ||
		    !is_return_address(word))
			continue;
		if (describe(word, place, sizeof(place)))
			log_crash("  stack: 0x%lx %s", word, place);
		shown++;
	}
}

void crash_report(struct thread *t, const struct regs *r, const siginfo_t *info)
{
	static uint32_t reported;
	char place[320];
	int sig = info->si_signo;

	if (__atomic_exchange_n(&reported, 1, __ATOMIC_RELAXED))
		return;
	if (info->si_code > 0 && (SIGBIT(sig) & SIGNAL_SYNCHRONOUS_SET))
		log_crash("%s (code %d), address 0x%lx, in %s [tid %d]", signal_name(sig), info->si_code,
			  (uint64_t)info->si_addr, t->comm, t->tid);
	else
		log_crash("%s in %s [tid %d]", signal_name(sig), t->comm, t->tid);
	log_crash("  at 0x%lx %s", r->rip, describe(r->rip, place, sizeof(place)) ? place : "(nothing is mapped there)");
	log_crash("  rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx", r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi);
	log_crash("  rbp %lx rsp %lx r8 %lx r9 %lx r10 %lx r11 %lx", r->rbp, r->rsp, r->r8, r->r9, r->r10, r->r11);
	log_crash("  r12 %lx r13 %lx r14 %lx r15 %lx flags %lx", r->r12, r->r13, r->r14, r->r15, r->rflags);
	scan_stack(r->rsp);
}
