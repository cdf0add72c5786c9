/*
 * Question: code that is mapped takes the place of memory that counts. If the monitor refuses it half-way, for its first page holds
 * WRPKRU, is the memory there still counted that it has not replaced?
 * Expect: REFUSED: memory ends at the limit
 * Control: none: what is counted has no option
 * Options: memory=96M
 * Native: code_map
 */
#include "attack.h"

#include <elf.h>

#define SIZE (8ull << 20)

static uint8_t g_file[SIZE];

/* A segment of one page of code and data behind it; WRPKRU is on both, so that the data will not execute and the code be refused. */
static uint64_t make_file(void)
{
	static const uint8_t wrpkru[] = { 0x0f, 0x01, 0xef };
	Elf64_Ehdr *e = (Elf64_Ehdr *)g_file;
	uint64_t volume = granted_directory("symbols");

	*e = (Elf64_Ehdr){ .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_DYN,
			   .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_phoff = sizeof *e, .e_ehsize = sizeof *e,
			   .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1, .e_shoff = 0x200, .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 1 };
	*(Elf64_Phdr *)(e + 1) = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = SIZE, .p_memsz = SIZE, .p_align = PAGE };
	*(Elf64_Shdr *)(g_file + 0x200) = (Elf64_Shdr){ .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR, .sh_addr = 0x400,
							.sh_offset = 0x400, .sh_size = 0x100 };
	memcpy(g_file + 0x800, wrpkru, sizeof wrpkru);
	memcpy(g_file + PAGE + 0x800, wrpkru, sizeof wrpkru);
	int fd = open("/shared/image", O_RDWR | O_CREAT, 0644);
	if (write(fd, g_file, SIZE) != (long)SIZE || close(fd))
		breach("cannot write the file");
	return (uint64_t)hostcall(HC_file_open, volume, (uint64_t)"image", 5, O_RDONLY, 0, 0);
}

static void attack(void)
{
	uint64_t base = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30), turn = 0, kept = 0, file = make_file();

	for (; turn < 32; turn++) {
		uint64_t at = base + turn * SIZE;
		long result = hostcall(HC_mem_commit, at, SIZE, PROT_READ | PROT_WRITE, 0, 0, 0);
		if (result)
			break;
		memset((void *)at, 1, SIZE);
		result = hostcall(HC_mem_map_code, at, SIZE, file, 0, 0, 0);
		if (result != -EPERM)
			breach("turn %lu: code with WRPKRU gave %ld", turn, result);
		struct outcome still = guarded(load_byte, (void *)(at + SIZE - 1));
		kept += !still.signal;
	}
	let_victim_work();
	if (kept * SIZE > 96ull << 20)
		breach("%lu MiB with a limit of 96", kept * SIZE >> 20);
	refused("memory ends at the limit");
}
