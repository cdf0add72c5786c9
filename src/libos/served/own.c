/*
 * System calls that are never served (served/served.h), because they are about what only this libOS has: the program's
 * memory, threads and signals, the table of its descriptors, and waiting for several of them.
 */
#include "abi/served.h"
#include "served/served.h"

#ifndef __NR_futex_waitv
#define __NR_futex_waitv 449
#endif

#define OWN(name) [__NR_##name] = true

static const bool k_own[SERVED_CALLS] = {
	/* memory */
	OWN(mmap), OWN(munmap), OWN(mprotect), OWN(pkey_mprotect), OWN(pkey_alloc), OWN(pkey_free), OWN(mremap), OWN(brk), OWN(madvise),
	OWN(msync), OWN(mincore), OWN(mlock), OWN(mlock2), OWN(mlockall), OWN(munlock), OWN(munlockall), OWN(remap_file_pages),
	OWN(shmget), OWN(shmat), OWN(shmdt), OWN(shmctl),
	/* threads and processes */
	OWN(clone), OWN(clone3), OWN(fork), OWN(vfork), OWN(execve), OWN(execveat), OWN(exit), OWN(exit_group), OWN(gettid),
	OWN(set_tid_address), OWN(set_robust_list), OWN(get_robust_list), OWN(rseq), OWN(arch_prctl), OWN(prctl), OWN(futex),
	OWN(futex_waitv), OWN(sched_yield), OWN(membarrier), OWN(restart_syscall),
	/* signals, and timers that send them */
	OWN(rt_sigaction), OWN(rt_sigprocmask), OWN(rt_sigpending), OWN(rt_sigsuspend), OWN(rt_sigtimedwait), OWN(rt_sigqueueinfo),
	OWN(rt_tgsigqueueinfo), OWN(rt_sigreturn), OWN(sigaltstack), OWN(kill), OWN(tkill), OWN(tgkill), OWN(pause), OWN(alarm),
	OWN(getitimer), OWN(setitimer), OWN(timer_create), OWN(timer_settime), OWN(timer_gettime), OWN(timer_getoverrun),
	OWN(timer_delete), OWN(signalfd), OWN(signalfd4), OWN(pidfd_open), OWN(pidfd_send_signal),
	/* what processes share, and wait for */
	OWN(semget), OWN(semop), OWN(semtimedop), OWN(semctl), OWN(msgget), OWN(msgsnd), OWN(msgrcv), OWN(msgctl),
	OWN(mq_open), OWN(mq_unlink), OWN(mq_timedsend), OWN(mq_timedreceive), OWN(mq_notify), OWN(mq_getsetattr),
	/* descriptors as such */
	OWN(close), OWN(close_range), OWN(dup), OWN(dup2), OWN(dup3), OWN(poll), OWN(ppoll), OWN(select), OWN(pselect6),
	OWN(epoll_create), OWN(epoll_create1), OWN(epoll_ctl), OWN(epoll_wait), OWN(epoll_pwait), OWN(epoll_pwait2),
};

bool served_own_number(uint64_t nr)
{
	return k_own[nr];
}
