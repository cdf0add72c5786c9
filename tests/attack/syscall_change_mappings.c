/*
 * Question: can a cVM's own `syscall` instruction change protection, key or mapping of memory outside its slot?
 * Expect: REFUSED: the victim's and the monitor's mappings are as they were
 * Control: --insecure-no-cookie
 */
#include <sys/syscall.h>

#include "attack.h"

static void attack(void)
{
	uint64_t victim = g_victim.pattern & ~(PAGE - 1), monitor = vcpu()->monitor_thread & ~(PAGE - 1);

	if (own_syscall(SYS_pkey_mprotect, victim, PAGE, PROT_READ | PROT_WRITE, (uint64_t)-1, 0, 0) == 0)
		breach("pkey_mprotect of the victim's page");
	if (own_syscall(SYS_mprotect, victim, PAGE, PROT_READ, 0, 0, 0) == 0)
		breach("mprotect of the victim's page");
	if (own_syscall(SYS_mprotect, monitor, PAGE, PROT_READ, 0, 0, 0) == 0)
		breach("mprotect of the monitor's page");
	if (own_syscall(SYS_munmap, victim, PAGE, 0, 0, 0, 0) == 0 && own_syscall(SYS_madvise, victim, PAGE, MADV_NORMAL, 0, 0, 0))
		breach("munmap of the victim's page");
	if ((uint64_t)own_syscall(SYS_mmap, victim, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, (uint64_t)-1, 0) == victim &&
	    !guarded(load_byte, (void *)victim).signal)
		breach("mmap over the victim's page");
	if (own_syscall(SYS_madvise, victim, PAGE, MADV_DONTNEED, 0, 0, 0) == 0)
		breach("madvise threw away the victim's page");
	refused("the victim's and the monitor's mappings are as they were");
}
