/*
 * Question: which system calls that change or copy memory past the processor's page tables (PKU Pitfalls, USENIX Security
 * 2020, section 4: process_vm_*, userfaultfd and pages changed behind the keys) reach the host by an instruction of one's own?
 * Expect: REFUSED: each one is trapped
 * Control: --insecure-no-cookie
 * Native: the filter
 */
#include <sys/syscall.h>
#include <sys/uio.h>

#include "raw.h"

static void attack(void)
{
	static uint64_t word;
	static struct iovec local = { &word, 8 }, remote;
	uint64_t victim = g_victim.pattern & ~(PAGE - 1), monitor = vcpu()->monitor_thread & ~(PAGE - 1);
	uint64_t own = (uint64_t)mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t rw = PROT_READ | PROT_WRITE, anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, l = (uint64_t)&local, r = (uint64_t)&remote;

	remote = (struct iovec){ (void *)victim, 8 };
	const struct raw_row rows[] = {
		{ "getppid", SYS_getppid, { 0 } },
		{ "mprotect of the victim", SYS_mprotect, { victim, PAGE, rw } },
		{ "mprotect of the monitor", SYS_mprotect, { monitor, PAGE, rw } },
		{ "mprotect of own code to writable", SYS_mprotect, { (uint64_t)attack & ~(PAGE - 1), PAGE, rw | PROT_EXEC } },
		{ "pkey_mprotect", SYS_pkey_mprotect, { victim, PAGE, rw, (uint64_t)-1 } },
		{ "pkey_mprotect with a key", SYS_pkey_mprotect, { monitor, PAGE, rw, 1 } },
		{ "pkey_alloc", SYS_pkey_alloc, { 0, 0 } },
		{ "pkey_free", SYS_pkey_free, { 1 } },
		{ "mmap", SYS_mmap, { own, PAGE, rw | PROT_EXEC, anonymous, (uint64_t)-1, 0 } },
		{ "mmap over the victim", SYS_mmap, { victim, PAGE, rw, anonymous, (uint64_t)-1, 0 } },
		{ "munmap", SYS_munmap, { victim, PAGE } },
		{ "mremap of the victim's page to here", SYS_mremap, { victim, PAGE, PAGE, 3, own } },
		{ "mremap that doubles", SYS_mremap, { victim, 0, PAGE, 3, own } },
		{ "madvise(DONTNEED)", SYS_madvise, { victim, PAGE, MADV_DONTNEED } },
		{ "madvise(REMOVE)", SYS_madvise, { monitor, PAGE, MADV_REMOVE } },
		{ "madvise(WIPEONFORK)", SYS_madvise, { victim, PAGE, 18 } },
		{ "madvise(HWPOISON)", SYS_madvise, { victim, PAGE, 100 } },
		{ "process_madvise", 440, { (uint64_t)-1, r, 1, MADV_COLD, 0 } },
		{ "remap_file_pages", SYS_remap_file_pages, { own, PAGE, 0, 1, 0 } },
		{ "brk", SYS_brk, { 0 } },
		{ "shmget", SYS_shmget, { 0, PAGE, 01600 } },
		{ "shmat", SYS_shmat, { 0, victim, 040000 /* SHM_REMAP */ } },
		{ "process_vm_readv", SYS_process_vm_readv, { 0, l, 1, r, 1, 0 } },
		{ "process_vm_writev", SYS_process_vm_writev, { 0, l, 1, r, 1, 0 } },
		{ "userfaultfd", SYS_userfaultfd, { 1 } },
		{ "vmsplice", SYS_vmsplice, { 1, r, 1, 8 /* GIFT */ } },
		{ "splice", SYS_splice, { 0, 0, 1, 0, PAGE, 0 } },
		{ "tee", SYS_tee, { 0, 1, PAGE, 0 } },
		{ "memfd_create", SYS_memfd_create, { (uint64_t) "attack", 0 } },
		{ "memfd_secret", 447, { 0 } },
		{ "mlockall", SYS_mlockall, { 3 } },
		{ "mbind", SYS_mbind, { victim, PAGE, 0, 0, 0, 0 } },
		{ "migrate_pages", SYS_migrate_pages, { 0, 0, 0, 0 } },
		{ "move_pages", SYS_move_pages, { 0, 1, r, 0, l, 0 } },
		{ "mincore", SYS_mincore, { monitor, PAGE, (uint64_t)&word } },
		{ "msync", SYS_msync, { victim, PAGE, 4 } },
		{ "map_shadow_stack", 453, { 0, PAGE, 0 } },
		{ "mseal of the slot", 462, { own, PAGE, 0 } },
		{ "write of the victim's bytes", SYS_write, { 1, victim, 8 } },
		{ "read over the victim's bytes", SYS_read, { 0, victim, 8 } },
		{ "preadv2", SYS_preadv2, { 0, r, 1, 0, 0, 0 } },
		{ "getrandom over the monitor", SYS_getrandom, { monitor, 8, 0 } },
	};
	raw_rows(rows, sizeof rows / sizeof rows[0], NULL);
	refused("each one is trapped");
}
