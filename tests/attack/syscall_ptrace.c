/*
 * Question: which dangerous system calls does a cVM's own `syscall` instruction reach: ptrace, kill of the host's
 * processes, io_uring, userfaultfd, prctl(PR_SET_DUMPABLE), seccomp, clone, execve, pidfd?
 * Expect: REFUSED: none reached the host
 * Control: --insecure-no-cookie
 */
#include <sys/syscall.h>

#include "attack.h"

static void attack(void)
{
	static uint8_t zero[256];

	/* Not PTRACE_TRACEME, for the control's thread would stop at its next signal and not end. */
	if (own_syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */, 0, 0, 0, 0, 0) == -ESRCH)
		breach("ptrace");
	if (own_syscall(SYS_io_uring_setup, 4, (uint64_t)zero, 0, 0, 0, 0) >= 0)
		breach("io_uring_setup");
	if (own_syscall(SYS_userfaultfd, 1, 0, 0, 0, 0, 0) >= 0)
		breach("userfaultfd");
	if (own_syscall(SYS_pkey_alloc, 0, 0, 0, 0, 0, 0) >= 0)
		breach("pkey_alloc");
	if (own_syscall(SYS_perf_event_open, (uint64_t)zero, 0, (uint64_t)-1, (uint64_t)-1, 0, 0) >= 0)
		breach("perf_event_open");
	if (own_syscall(SYS_unshare, 0x10000000, 0, 0, 0, 0, 0) == 0)
		breach("unshare");
	if (own_syscall(434 /* pidfd_open */, 2, 0, 0, 0, 0, 0) >= 0) /* 1 is the program itself */
		breach("pidfd_open of a process of the host");
	refused("none reached the host");
}
