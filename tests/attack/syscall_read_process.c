/*
 * Question: can a cVM's own `syscall` instruction read another cVM through process_vm_readv or /proc/self/mem?
 * Expect: REFUSED: neither gave a byte
 * Control: --insecure-no-cookie
 */
#include <sys/syscall.h>
#include <sys/uio.h>

#include "attack.h"

static void attack(void)
{
	uint64_t word = 0;
	struct iovec local = { &word, 8 }, remote = { (void *)g_victim.pattern, 8 };
	long pid = own_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);

	if (own_syscall(SYS_process_vm_readv, (uint64_t)pid, (uint64_t)&local, 1, (uint64_t)&remote, 1, 0) == 8)
		breach("process_vm_readv: %#lx", word);
	long fd = own_syscall(SYS_openat, (uint64_t)-100, (uint64_t)"/proc/self/mem", O_RDWR, 0, 0, 0);
	if (fd >= 0 && own_syscall(SYS_pread64, (uint64_t)fd, (uint64_t)&word, 8, g_victim.pattern, 0, 0) == 8)
		breach("/proc/self/mem: %#lx", word);
	refused("neither gave a byte");
}
