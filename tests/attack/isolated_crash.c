/*
 * Question: does the report of a crash show memory of the isolated libOS, if the dying program's ELF headers say that its names
 * are there? The name of the host is such memory, with content that the program may choose.
 * Expect: REFUSED: the report was made without it
 * Never: own-memory-of-the-libos
 * Control: isolate_libos=false
 * Never-in-control: own-memory-of-the-libos
 * Options: isolate_libos=true
 * Native: the libOS's checks of what the program names
 */
#include <elf.h>
#include <sys/wait.h>

#include "attack.h"
#include "isolated.h"

extern const Elf64_Ehdr __ehdr_start;

static Elf64_Phdr g_headers[2];
static Elf64_Dyn g_dynamic[4];
static Elf64_Sym g_symbols[2];
static uint32_t g_hash[2] = { 1, 2 };

static NOINLINE void crash(void)
{
	__asm__ volatile("ud2");
}

/* An image with one symbol, crash(), whose name is at `name`: below the image, so the load bias must say it. */
static void forge(uint64_t name)
{
	uint64_t base = (uint64_t)&__ehdr_start;
	Elf64_Ehdr *header = (Elf64_Ehdr *)base;

	if (mprotect(header, PAGE, PROT_READ | PROT_WRITE))
		breach("the image's header is not writable: %s", strerror(errno));
	header->e_phoff = (uint64_t)g_headers - base;
	header->e_phnum = 2;
	g_headers[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_vaddr = base - name };
	g_headers[1] = (Elf64_Phdr){ .p_type = PT_DYNAMIC, .p_vaddr = (uint64_t)g_dynamic - name };
	g_dynamic[0] = (Elf64_Dyn){ .d_tag = DT_SYMTAB, .d_un.d_ptr = (uint64_t)g_symbols };
	g_dynamic[1] = (Elf64_Dyn){ .d_tag = DT_STRTAB };
	g_dynamic[2] = (Elf64_Dyn){ .d_tag = DT_HASH, .d_un.d_ptr = (uint64_t)g_hash };
	g_symbols[1] = (Elf64_Sym){ .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = 1, .st_value = (uint64_t)crash - name, .st_size = 64 };
}

static void attack(void)
{
	static const char name[] = "own-memory-of-the-libos";
	int status;
	pid_t pid;

	if (sethostname(name, sizeof name - 1))
		breach("sethostname: %s", strerror(errno));
	forge(libos_symbol("g_host")); /* before fork: afterwards both have the image, which cannot be written to then */
	pid = fork();
	if (!pid) {
		signal(SIGILL, SIG_DFL);
		crash();
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGILL)
		breach("the child did not crash: %#x", status);
	refused("the report was made without it");
}
