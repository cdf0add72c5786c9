/*
 * Question: the vDSO is executable for every cVM and holds `syscall` instructions that nobody rewrote: do they reach the host?
 * (K23's P3: code that is there before any interposer.)
 * Expect: REFUSED: every one is trapped
 * Control: --insecure-no-cookie
 * Native: the filter
 */
#include <elf.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "raw.h"

static void attack(void)
{
	const uint8_t *vdso = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *header = (const void *)vdso;
	int found = 0;

	if (!vdso)
		breach("there is no vDSO");
	const Elf64_Phdr *segment = (const void *)(vdso + header->e_phoff);
	for (int i = 0; i < header->e_phnum; i++)
		for (uint64_t at = 0; segment[i].p_type == PT_LOAD && at + 1 < segment[i].p_filesz; at++) {
			const uint8_t *p = vdso + segment[i].p_offset + at;
			if (p[0] != 0x0f || p[1] != 0x05)
				continue;
			const struct raw_row rows[] = {
				{ "getppid", SYS_getppid, { 0 } },
				{ "getrandom over the victim", SYS_getrandom, { g_victim.pattern, 8, 0 } },
				{ "munmap of the victim", SYS_munmap, { g_victim.pattern, PAGE } },
			};
			raw_rows(rows, 3, (void *)p);
			found++;
		}
	if (!found)
		breach("no system call in the vDSO: the attack shows nothing");
	refused("every one is trapped");
}
