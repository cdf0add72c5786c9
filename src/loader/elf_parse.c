/*
 * ELF header parser: see elf_parse.h.
 *
 * Trusts nothing in the bytes. Called by the command for the libOS's image and by the libOS (freestanding) for programs
 * and their interpreters. Everything is read by memcpy into aligned structures, every sum is checked for wrapping.
 */
#include "loader/elf_parse.h"

#include <elf.h>

_Static_assert(sizeof(Elf64_Ehdr) == ELF_HEADER_SIZE, "ELF header size");
_Static_assert(sizeof(Elf64_Phdr) == ELF_PHDR_SIZE, "ELF program header size");

static const char *const g_error_text[ELF_ERROR_COUNT] = {
	[ELF_OK] = "no error",
	[ELF_ERROR_TRUNCATED] = "truncated: the file ends before its headers or segments do",
	[ELF_ERROR_NOT_ELF] = "not an ELF file",
	[ELF_ERROR_CLASS] = "32-bit executable (needs 64-bit x86-64)",
	[ELF_ERROR_MACHINE] = "wrong machine (needs x86-64)",
	[ELF_ERROR_VERSION] = "unknown ELF version",
	[ELF_ERROR_TYPE] = "neither an executable nor a shared object",
	[ELF_ERROR_NOT_PIE] = "non-PIE executable (ET_EXEC): rebuild with -fPIE -pie",
	[ELF_ERROR_HEADERS] = "bad program header table",
	[ELF_ERROR_NO_LOAD] = "nothing to load (no PT_LOAD segment)",
	[ELF_ERROR_LOADS] = "too many PT_LOAD segments (at most 16)",
	[ELF_ERROR_OVERFLOW] = "a segment lies outside the addresses an image may have (1 GiB)",
	[ELF_ERROR_SIZES] = "a segment has more bytes in the file than in memory",
	[ELF_ERROR_ALIGNMENT] = "a segment is not aligned to pages",
	[ELF_ERROR_OVERLAP] = "segments overlap or are out of order",
	[ELF_ERROR_ENTRY] = "the entry point is not in an executable segment",
	[ELF_ERROR_INTERP] = "bad interpreter path (PT_INTERP)",
};

const char *elf_error_text(int error)
{
	if (error < 0 || error >= ELF_ERROR_COUNT || !g_error_text[error])
		return "unknown error";
	return g_error_text[error];
}

/* No libc: a loop that the compiler may turn into whatever the freestanding user provides. */
static void copy_bytes(void *to, const void *from, size_t size)
{
	__builtin_memcpy(to, from, size);
}

static int check_ident(const unsigned char *ident)
{
	if (ident[EI_MAG0] != ELFMAG0 || ident[EI_MAG1] != ELFMAG1 || ident[EI_MAG2] != ELFMAG2 ||
	    ident[EI_MAG3] != ELFMAG3)
		return ELF_ERROR_NOT_ELF;
	if (ident[EI_CLASS] == ELFCLASS32)
		return ELF_ERROR_CLASS;
	if (ident[EI_CLASS] != ELFCLASS64)
		return ELF_ERROR_NOT_ELF;
	if (ident[EI_DATA] != ELFDATA2LSB)
		return ELF_ERROR_MACHINE;
	if (ident[EI_VERSION] != EV_CURRENT)
		return ELF_ERROR_VERSION;
	return ELF_OK;
}

int elf_parse_header(const void *bytes, size_t size, unsigned flags, struct elf_info *info)
{
	Elf64_Ehdr header;

	__builtin_memset(info, 0, sizeof(*info));
	if (size < sizeof(header)) {
		/* A short text file is "not an ELF file" rather than a truncated one. */
		const unsigned char *b = bytes;
		bool magic = size >= SELFMAG && b[0] == ELFMAG0 && b[1] == ELFMAG1 && b[2] == ELFMAG2 && b[3] == ELFMAG3;
		return magic ? ELF_ERROR_TRUNCATED : ELF_ERROR_NOT_ELF;
	}
	copy_bytes(&header, bytes, sizeof(header));
	int error = check_ident(header.e_ident);
	if (error)
		return error;
	if (header.e_machine != EM_X86_64)
		return ELF_ERROR_MACHINE;
	if (header.e_version != EV_CURRENT)
		return ELF_ERROR_VERSION;
	if (header.e_type == ET_EXEC && !(flags & ELF_ALLOW_FIXED))
		return ELF_ERROR_NOT_PIE;
	if (header.e_type != ET_DYN && header.e_type != ET_EXEC)
		return ELF_ERROR_TYPE;
	if (header.e_phentsize != ELF_PHDR_SIZE || header.e_phnum == 0 || header.e_phnum > ELF_PHDRS_MAX ||
	    header.e_phoff < ELF_HEADER_SIZE || header.e_phoff > INT64_MAX - ELF_PHDRS_MAX * ELF_PHDR_SIZE)
		return ELF_ERROR_HEADERS;
	info->entry = header.e_entry;
	info->phdr_offset = header.e_phoff;
	info->phdr_count = header.e_phnum;
	info->fixed = header.e_type == ET_EXEC;
	return ELF_OK;
}

static uint64_t page_down(uint64_t value)
{
	return value & ~(ELF_PAGE_SIZE - 1);
}

static uint64_t page_up(uint64_t value)
{
	return page_down(value + ELF_PAGE_SIZE - 1);
}

/* Sizes, places and permissions of one PT_LOAD by itself. */
static int check_load(const Elf64_Phdr *p, uint64_t file_size)
{
	uint64_t end;

	if (p->p_filesz > p->p_memsz)
		return ELF_ERROR_SIZES;
	if (__builtin_add_overflow(p->p_vaddr, p->p_memsz, &end) || end > INT64_MAX)
		return ELF_ERROR_OVERFLOW;
	if (__builtin_add_overflow(p->p_offset, p->p_filesz, &end) || end > INT64_MAX)
		return ELF_ERROR_OVERFLOW;
	if (end > file_size)
		return ELF_ERROR_TRUNCATED;
	if (p->p_align & (p->p_align - 1))
		return ELF_ERROR_ALIGNMENT;
	if (p->p_align > ELF_SPAN_MAX)
		return ELF_ERROR_ALIGNMENT;
	/* Without bytes in the file nothing is mapped from it, and its offset means nothing. */
	if (p->p_filesz > 0 && (p->p_vaddr - p->p_offset) % ELF_PAGE_SIZE)
		return ELF_ERROR_ALIGNMENT;
	return ELF_OK;
}

static int add_load(const Elf64_Phdr *p, uint64_t file_size, struct elf_info *info)
{
	int error = check_load(p, file_size);
	if (error)
		return error;
	if (p->p_memsz == 0)
		return ELF_OK;
	if (info->loads == ELF_LOADS_MAX)
		return ELF_ERROR_LOADS;
	if (info->loads == 0)
		info->start = page_down(p->p_vaddr);
	else if (page_down(p->p_vaddr) < info->end)
		return ELF_ERROR_OVERLAP;
	info->end = page_up(p->p_vaddr + p->p_memsz);
	if (info->end - info->start > ELF_SPAN_MAX)
		return ELF_ERROR_OVERFLOW;
	uint64_t align = p->p_align > ELF_PAGE_SIZE ? p->p_align : ELF_PAGE_SIZE;
	if (align > info->align)
		info->align = align;
	info->load[info->loads++] = (struct elf_load){
		.vaddr = p->p_vaddr,
		.offset = p->p_offset,
		.file_size = p->p_filesz,
		.memory_size = p->p_memsz,
		.align = align,
		.read = p->p_flags & PF_R,
		.write = p->p_flags & PF_W,
		.exec = p->p_flags & PF_X,
	};
	return ELF_OK;
}

static int add_interp(const Elf64_Phdr *p, uint64_t file_size, struct elf_info *info)
{
	uint64_t end;

	if (info->interp_size || p->p_filesz < 2 || p->p_filesz > ELF_INTERP_MAX)
		return ELF_ERROR_INTERP;
	if (__builtin_add_overflow(p->p_offset, p->p_filesz, &end) || end > file_size)
		return ELF_ERROR_TRUNCATED;
	info->interp_offset = p->p_offset;
	info->interp_size = p->p_filesz;
	return ELF_OK;
}

/* The entry point, where a program has one, must be executable; AT_PHDR is found through the segment that holds it. */
static int check_whole(struct elf_info *info)
{
	bool entry_found = info->entry == 0;
	uint64_t table_size = (uint64_t)info->phdr_count * ELF_PHDR_SIZE;

	if (info->loads == 0)
		return ELF_ERROR_NO_LOAD;
	for (uint32_t i = 0; i < info->loads; i++) {
		const struct elf_load *l = &info->load[i];

		if (l->exec && info->entry >= l->vaddr && info->entry - l->vaddr < l->file_size)
			entry_found = true;
		if (!info->phdr_vaddr && info->phdr_offset >= l->offset && l->file_size >= table_size &&
		    info->phdr_offset - l->offset <= l->file_size - table_size)
			info->phdr_vaddr = l->vaddr + (info->phdr_offset - l->offset);
	}
	return entry_found ? ELF_OK : ELF_ERROR_ENTRY;
}

int elf_parse_segments(const void *phdrs, size_t size, uint64_t file_size, struct elf_info *info)
{
	if (size < (size_t)info->phdr_count * ELF_PHDR_SIZE || info->phdr_count > ELF_PHDRS_MAX)
		return ELF_ERROR_TRUNCATED;
	for (uint32_t i = 0; i < info->phdr_count; i++) {
		Elf64_Phdr p;
		int error = ELF_OK;

		copy_bytes(&p, (const char *)phdrs + (size_t)i * ELF_PHDR_SIZE, sizeof(p));
		if (p.p_type == PT_LOAD)
			error = add_load(&p, file_size, info);
		else if (p.p_type == PT_INTERP)
			error = add_interp(&p, file_size, info);
		else if (p.p_type == PT_DYNAMIC)
			info->has_dynamic = true;
		else if (p.p_type == PT_GNU_STACK)
			info->exec_stack = p.p_flags & PF_X;
		if (error)
			return error;
	}
	return check_whole(info);
}

int elf_parse_interp(const void *bytes, size_t size)
{
	const char *path = bytes;

	if (size < 2 || size > ELF_INTERP_MAX || path[0] != '/' || path[size - 1] != '\0')
		return ELF_ERROR_INTERP;
	for (size_t i = 0; i < size - 1; i++)
		if (path[i] == '\0')
			return ELF_ERROR_INTERP;
	return ELF_OK;
}
