/*
 * Names for code addresses: the nearest function of the ELF image that is mapped there, from its DT_SYMTAB in memory and,
 * for static functions, from .symtab in the file if it was not stripped. Memory and file are read with care: a dying program
 * may have destroyed the one, and the other may be anything. Called by crash.c with no lock held.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/vfs.h"
#include "mm/mm.h"
#include "signal/internal.h"
#include "thread/isolated.h"

#include <linux/elf.h>
#include <linux/fcntl.h>

#define DT_GNU_HASH_ 0x6ffffef5
#define SYMBOLS_MAX 2000000u
#define SYMBOLS_AT_ONCE 128u
#define SECTIONS_MAX 4096u
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

/* Headers may say that anything lies anywhere. */
static bool read_memory(void *to, uint64_t from, size_t size)
{
	return address_in_program(from) && !copy_from_user(to, (void *)from, size);
}

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

		if (!read_memory(&d, dynamic + (uint64_t)i * sizeof(d), sizeof(d)))
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

	if (!read_memory(&h, im->base, sizeof(h)) || memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_phnum > 64)
		return false;
	*bias = im->base;
	for (int i = h.e_phnum - 1; i >= 0; i--) {
		Elf64_Phdr ph;

		if (!read_memory(&ph, im->base + h.e_phoff + (uint64_t)i * sizeof(ph), sizeof(ph)))
			return false;
		if (ph.p_type == PT_LOAD)
			*bias = im->base + ph.p_offset - ph.p_vaddr;
		else if (ph.p_type == PT_DYNAMIC)
			dynamic = ph.p_vaddr;
	}
	if (!dynamic || !read_dynamic(im, *bias, *bias + dynamic))
		im->symbols = im->strings = im->hash = 0;
	return true;
}

/* DT_HASH says how many symbols there are. Without it: up to the string table, which linkers place behind. */
static uint32_t symbol_count(const struct image *im)
{
	uint32_t count = 0;

	if (!im->symbols)
		return 0;
	if (im->hash && !read_memory(&count, im->hash + 4, sizeof(count)))
		return 0;
	if (!im->hash && im->strings > im->symbols)
		count = (uint32_t)MIN((im->strings - im->symbols) / sizeof(Elf64_Sym), SYMBOLS_MAX);
	return MIN(count, SYMBOLS_MAX);
}

/* The best so far: the function that starts last at or before the address. */
struct nearest {
	uint64_t at, addr; /* of the function and wanted, without the load bias */
	uint64_t size;
	char name[NAME_SHOWN + 1];
};

static bool is_nearer(const struct nearest *n, const Elf64_Sym *sym)
{
	return sym->st_shndx != SHN_UNDEF && ELF_ST_TYPE(sym->st_info) == STT_FUNC && sym->st_value <= n->addr &&
	       sym->st_value > n->at;
}

static void search_memory(const struct image *im, struct nearest *n)
{
	uint32_t count = symbol_count(im), best_name = 0;
	Elf64_Sym sym;

	for (uint32_t i = 1; i < count && read_memory(&sym, im->symbols + i * sizeof(sym), sizeof(sym)); i++) {
		if (!is_nearer(n, &sym))
			continue;
		n->at = sym.st_value;
		n->size = sym.st_size;
		best_name = sym.st_name;
	}
	if (n->at && (!address_in_program(im->strings + best_name) ||
		      copy_string_from_user(n->name, (void *)(im->strings + best_name), sizeof(n->name)) == -EFAULT))
		n->at = 0;
}

static bool read_at(struct file *f, void *to, size_t size, uint64_t offset)
{
	return offset <= INT64_MAX && file_pread(f, to, size, (off_t)offset) == (ssize_t)size;
}

static void search_table(struct file *f, const Elf64_Shdr *table, const Elf64_Shdr *strings, Elf64_Sym *buffer,
			 struct nearest *n)
{
	uint64_t count = MIN(table->sh_size / sizeof(*buffer), SYMBOLS_MAX);
	uint32_t best_name = 0;

	for (uint64_t i = 0; i < count; i += SYMBOLS_AT_ONCE) {
		uint64_t part = MIN(count - i, SYMBOLS_AT_ONCE);

		if (!read_at(f, buffer, part * sizeof(*buffer), table->sh_offset + i * sizeof(*buffer)))
			return;
		for (uint64_t k = 0; k < part; k++) {
			if (!is_nearer(n, &buffer[k]))
				continue;
			n->at = buffer[k].st_value;
			n->size = buffer[k].st_size;
			best_name = buffer[k].st_name;
		}
	}
	if (!best_name) /* nothing nearer than in memory */
		return;
	memset(n->name, 0, sizeof(n->name));
	if (best_name >= strings->sh_size ||
	    file_pread(f, n->name, NAME_SHOWN, (off_t)(strings->sh_offset + best_name)) <= 0)
		n->at = 0;
}

static void search_file(const char *path, struct nearest *n)
{
	Elf64_Sym *buffer = kmalloc(SYMBOLS_AT_ONCE * sizeof(*buffer));
	Elf64_Shdr section, strings;
	Elf64_Ehdr h;
	int error;
	struct file *f = buffer ? vfs_open(path, O_RDONLY, 0, &error) : NULL;

	if (f && read_at(f, &h, sizeof(h), 0) && !memcmp(h.e_ident, ELFMAG, SELFMAG) && h.e_shnum <= SECTIONS_MAX)
		for (uint32_t i = 0; i < h.e_shnum; i++) {
			if (!read_at(f, &section, sizeof(section), h.e_shoff + i * sizeof(section)))
				break;
			if (section.sh_type != SHT_SYMTAB || section.sh_link >= h.e_shnum ||
			    !read_at(f, &strings, sizeof(strings), h.e_shoff + section.sh_link * sizeof(section)))
				continue;
			search_table(f, &section, &strings, buffer, n);
			break;
		}
	if (f)
		file_put(f);
	kfree(buffer);
}

/* A function without a symbol is "behind" another one. */
void symbol_text(uint64_t addr, const char *file, char *out, size_t size)
{
	struct image_search s = { .name = file, .addr = addr };
	struct nearest n = { .at = 0 };
	uint64_t bias;

	out[0] = 0;
	mm_for_each(current()->process->program, visit_mapping, &s);
	if (!s.found.base || !read_image(&s.found, &bias))
		return;
	n.addr = addr - bias;
	search_memory(&s.found, &n);
	search_file(file, &n);
	if (n.at)
		format(out, size, " (%s%s+0x%lx)", n.addr - n.at < n.size ? "" : "behind ", n.name, n.addr - n.at);
}
