/*
 * System calls of threads, futexes, signals, time, processes, identity, limits and system information; see
 * sys/syscalls.h for the format. What Linux has and stands nowhere in the tables is ENOSYS on purpose: futex_waitv, rseq, membarrier, seccomp, ptrace, process_vm_*, bpf, perf_event_open,
 * io_uring_*, userfaultfd, kexec_*, mount and its family, io_* (AIO), keyctl, ioprio_*, set_thread_area, modify_ldt.
 */
#ifndef LIBOS_TABLE_THREAD_H
#define LIBOS_TABLE_THREAD_H

#define SYSCALLS_THREAD(SYS)              \
	/* sys_thread.c */                \
	SYS(clone, "xpPPP")               \
	SYS(clone3, "pu")                 \
	SYS(fork, "")                     \
	SYS(vfork, "")                    \
	SYS(execve, "spp")                \
	SYS(execveat, "fsppx")            \
	SYS(exit, "d")                    \
	SYS(exit_group, "d")              \
	SYS(set_tid_address, "p")         \
	SYS(gettid, "")                   \
	SYS(set_robust_list, "pu")        \
	SYS(get_robust_list, "dpp")       \
	SYS(arch_prctl, "xp")             \
	SYS(futex, "pddTPu")              \
	SYS(sched_yield, "")              \
	/* sys_signal.c */                \
	SYS(rt_sigaction, "dppu")         \
	SYS(rt_sigprocmask, "dppu")       \
	SYS(rt_sigpending, "pu")          \
	SYS(rt_sigsuspend, "pu")          \
	SYS(rt_sigtimedwait, "pptu")      \
	SYS(rt_sigqueueinfo, "ddp")       \
	SYS(rt_tgsigqueueinfo, "dddp")    \
	SYS(rt_sigreturn, "")             \
	SYS(sigaltstack, "pp")            \
	SYS(kill, "dd")                   \
	SYS(pidfd_send_signal, "fdpx")    \
	SYS(tkill, "dd")                  \
	SYS(tgkill, "ddd")                \
	SYS(pause, "")                    \
	SYS(restart_syscall, "")          \
	/* sys_time.c */                  \
	SYS(clock_gettime, "dp")          \
	SYS(clock_getres, "dp")           \
	SYS(clock_settime, "dt")          \
	SYS(clock_nanosleep, "dxtp")      \
	SYS(nanosleep, "tp")              \
	SYS(gettimeofday, "pp")           \
	SYS(settimeofday, "pp")           \
	SYS(clock_adjtime, "dp")          \
	SYS(adjtimex, "p")                \
	SYS(time, "p")                    \
	SYS(times, "p")                   \
	SYS(getrusage, "dp")              \
	/* sys_timer.c */                 \
	SYS(alarm, "u")                   \
	SYS(getitimer, "dp")              \
	SYS(setitimer, "dpp")             \
	SYS(timer_create, "dpp")          \
	SYS(timer_settime, "dxpp")        \
	SYS(timer_gettime, "dp")          \
	SYS(timer_getoverrun, "d")        \
	SYS(timer_delete, "d")            \
	/* sys_process.c */               \
	SYS(getpid, "")                   \
	SYS(getppid, "")                  \
	SYS(getpgid, "d")                 \
	SYS(getpgrp, "")                  \
	SYS(setpgid, "dd")                \
	SYS(getsid, "d")                  \
	SYS(setsid, "")                   \
	SYS(wait4, "dpxp")                \
	SYS(waitid, "ddpxp")              \
	SYS(prctl, "dPxxx")               \
	SYS(personality, "x")             \
	SYS(getpriority, "dd")            \
	SYS(setpriority, "ddd")           \
	SYS(prlimit64, "ddpp")            \
	SYS(getrlimit, "dp")              \
	SYS(setrlimit, "dp")              \
	/* sys_identity.c */              \
	SYS(getuid, "")                   \
	SYS(geteuid, "")                  \
	SYS(getgid, "")                   \
	SYS(getegid, "")                  \
	SYS(getresuid, "ppp")             \
	SYS(getresgid, "ppp")             \
	SYS(setuid, "d")                  \
	SYS(setgid, "d")                  \
	SYS(setreuid, "dd")               \
	SYS(setregid, "dd")               \
	SYS(setresuid, "ddd")             \
	SYS(setresgid, "ddd")             \
	SYS(setfsuid, "d")                \
	SYS(setfsgid, "d")                \
	SYS(getgroups, "dp")              \
	SYS(setgroups, "dp")              \
	SYS(capget, "pp")                 \
	SYS(capset, "pp")                 \
	/* sys_sched.c */                 \
	SYS(sched_getaffinity, "dup")     \
	SYS(sched_setaffinity, "dup")     \
	SYS(sched_getscheduler, "d")      \
	SYS(sched_setscheduler, "ddp")    \
	SYS(sched_getparam, "dp")         \
	SYS(sched_setparam, "dp")         \
	SYS(sched_get_priority_max, "d")  \
	SYS(sched_get_priority_min, "d")  \
	SYS(sched_rr_get_interval, "dp")  \
	SYS(sched_getattr, "dpux")        \
	SYS(sched_setattr, "dpx")         \
	SYS(ioprio_get, "dd")             \
	SYS(ioprio_set, "ddx")            \
	SYS(getcpu, "ppx")                \
	/* sys_info.c */                  \
	SYS(uname, "p")                   \
	SYS(sysinfo, "p")                 \
	SYS(getrandom, "rux")             \
	SYS(sethostname, "su")            \
	SYS(setdomainname, "su")          \
	SYS(syslog, "dpd")

#endif
