/*
 * Question: which system calls that change the state of the thread or the process that the gates rely on (segment bases, LDT,
 * filters, dumpability, signal handlers and masks, rseq's and robust lists' writes: PKU Pitfalls 4.2, Jenny section 4.4,
 * Endokernel's table of bypasses) reach the host by an instruction of one's own?
 * Expect: REFUSED: each one is trapped
 * Control: --insecure-no-cookie
 * Native: the filter
 */
#include <sys/syscall.h>

#include "raw.h"

static void attack(void)
{
	static uint8_t zero[512] __attribute__((aligned(64)));
	uint64_t z = (uint64_t)zero, own_vcpu = (uint64_t)vcpu();
	const struct raw_row rows[] = {
		{ "getppid", SYS_getppid, { 0 } },
		{ "arch_prctl(SET_GS)", SYS_arch_prctl, { 0x1001, z } },
		{ "arch_prctl(SET_FS)", SYS_arch_prctl, { 0x1002, z } },
		{ "arch_prctl(CET_DISABLE)", SYS_arch_prctl, { 0x5002, 1 } },
		{ "arch_prctl(REQ_XCOMP_PERM)", SYS_arch_prctl, { 0x1023, 18 } },
		{ "arch_prctl(MAP_VDSO_64)", SYS_arch_prctl, { 0x2003, z } },
		{ "modify_ldt", SYS_modify_ldt, { 0x11, z, 16 } },
		{ "set_thread_area", SYS_set_thread_area, { z } },
		{ "iopl", SYS_iopl, { 3 } },
		{ "ioperm", SYS_ioperm, { 0x80, 1, 1 } },
		{ "rseq", SYS_rseq, { z, 32, 0, 0x53053053 } },
		{ "rseq on the vCPU page", SYS_rseq, { own_vcpu, 32, 0, 0x53053053 } },
		{ "set_robust_list", SYS_set_robust_list, { z, 24 } },
		{ "get_robust_list", SYS_get_robust_list, { 0, z, z + 8 } },
		{ "set_tid_address", SYS_set_tid_address, { g_victim.pattern } },
		{ "prctl(SET_SECCOMP)", SYS_prctl, { 22, 1, 0 } },
		{ "prctl(SET_DUMPABLE)", SYS_prctl, { 4, 1 } },
		{ "prctl(SET_PDEATHSIG)", SYS_prctl, { 1, 0 } },
		{ "prctl(SET_NAME)", SYS_prctl, { 15, z } },
		{ "prctl(SET_MM)", SYS_prctl, { 35, 14, z, 512 } },
		{ "prctl(SET_TSC)", SYS_prctl, { 26, 2 } },
		{ "prctl(SET_SYSCALL_USER_DISPATCH)", SYS_prctl, { 59, 1, 0, 0, z } },
		{ "prctl(SET_THP_DISABLE)", SYS_prctl, { 41, 1 } },
		{ "prctl(SET_MDWE)", SYS_prctl, { 65, 1 } },
		{ "prctl(SET_VMA_ANON_NAME)", SYS_prctl, { 0x53564d41, 0, g_victim.pattern, PAGE, z } },
		{ "seccomp", SYS_seccomp, { 0, 0, 0 } },
		{ "seccomp(SET_MODE_FILTER)", SYS_seccomp, { 1, 0, z } },
		{ "personality(READ_IMPLIES_EXEC)", SYS_personality, { 0x0400000 } },
		{ "rt_sigaction", SYS_rt_sigaction, { 31, z, 0, 8 } },
		{ "rt_sigprocmask that blocks SIGSYS", SYS_rt_sigprocmask, { 0, z, 0, 8 } },
		{ "sigaltstack", SYS_sigaltstack, { z, 0 } },
		{ "rt_sigreturn", SYS_rt_sigreturn, { 0 } },
		{ "restart_syscall", SYS_restart_syscall, { 0 } },
		{ "unshare", SYS_unshare, { 0x10000000 } },
		{ "setns", SYS_setns, { 0, 0 } },
		{ "chroot", SYS_chroot, { (uint64_t) "/" } },
		{ "chdir", SYS_chdir, { (uint64_t) "/" } },
		{ "umask", SYS_umask, { 0 } },
		{ "setuid", SYS_setuid, { 0 } },
		{ "setresgid", SYS_setresgid, { 0, 0, 0 } },
		{ "capset", SYS_capset, { z, z } },
		{ "prlimit64", SYS_prlimit64, { 0, 7, z, 0 } },
		{ "sched_setaffinity", SYS_sched_setaffinity, { 0, 8, z } },
		{ "sched_setscheduler", SYS_sched_setscheduler, { 0, 1, z } },
		{ "setpriority", SYS_setpriority, { 0, 0, (uint64_t)-20 } },
		{ "ioprio_set", SYS_ioprio_set, { 1, 0, 0 } },
		{ "membarrier", SYS_membarrier, { 1, 0, 0 } },
		{ "ptrace", SYS_ptrace, { 0, 0, 0, 0 } },
		{ "fork", SYS_fork, { 0 } },
		{ "vfork", SYS_vfork, { 0 } },
		{ "clone", SYS_clone, { 0x100, 0, 0, 0, 0 } },
		{ "clone3", 435, { z, 88 } },
		{ "execve", SYS_execve, { (uint64_t) "/bin/true", 0, 0 } },
		{ "execveat", SYS_execveat, { (uint64_t)-100, (uint64_t) "/bin/true", 0, 0, 0 } },
		{ "exit", SYS_exit, { 0 } },
		{ "exit_group", SYS_exit_group, { 0 } },
		{ "kill", SYS_kill, { 0, 9 } },
		{ "tgkill", SYS_tgkill, { 1, 1, 9 } },
		{ "tkill", SYS_tkill, { 1, 9 } },
		{ "rt_sigqueueinfo", SYS_rt_sigqueueinfo, { 1, 9, z } },
		{ "pidfd_send_signal", SYS_pidfd_send_signal, { 0, 9, 0, 0 } },
		{ "timer_create", SYS_timer_create, { 0, 0, z } },
		{ "setitimer", SYS_setitimer, { 0, z, 0 } },
		{ "alarm", SYS_alarm, { 1 } },
		{ "pause", SYS_pause, { 0 } },
	};

	raw_rows(rows, sizeof rows / sizeof rows[0], NULL);
	refused("each one is trapped");
}
