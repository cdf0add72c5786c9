/*
 * Linux's system calls as their manual pages have them, for attacks on a libOS: written down from these and not from the libOS's
 * table. A letter an argument: p an address, m an address in some of the call's modes, . a number. In brackets: how it ends or waits.
 * What is not here is expected not to exist.
 */
#ifndef TESTS_ATTACK_SYSCALL_SHAPES_H
#define TESTS_ATTACK_SYSCALL_SHAPES_H

#include <sys/syscall.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

enum ending {
	RETURNS,
	ENDS, /* the process or its only thread, with its argument as status */
	FORKS,
	WAITS, /* for ever, if the addresses are null */
	CRASHES,
	APART, /* depends on flags so much that it is tried by itself */
};

struct shape {
	const char *arguments;
	enum ending ending;
	bool exists;
};

#define CALL(name, arguments_, ...) [SYS_##name] = { .exists = true, .arguments = arguments_, ##__VA_ARGS__ }

static const struct shape k_shapes[512] = {
	/* files */
	CALL(read, ".p."), CALL(write, ".p."), CALL(pread64, ".p.."), CALL(pwrite64, ".p.."), CALL(readv, ".p."), CALL(writev, ".p."),
	CALL(preadv, ".p..."), CALL(pwritev, ".p..."), CALL(preadv2, ".p...."), CALL(pwritev2, ".p...."), CALL(lseek, "..."),
	CALL(sendfile, "..p."), CALL(copy_file_range, ".p.p.."), CALL(splice, ".p.p.."), CALL(tee, "...."), CALL(vmsplice, ".p.."),
	CALL(open, "p.."), CALL(openat, ".p.."), CALL(openat2, ".pp."), CALL(creat, "p."), CALL(close, "."), CALL(close_range, "..."),
	CALL(memfd_create, "p."), CALL(dup, "."), CALL(dup2, ".."), CALL(dup3, "..."), CALL(fcntl, "..m"), CALL(flock, ".."),
	CALL(ioctl, "..m"), CALL(stat, "pp"), CALL(lstat, "pp"), CALL(fstat, ".p"), CALL(newfstatat, ".pp."), CALL(statx, ".p..p"),
	CALL(access, "p."), CALL(faccessat, ".p."), CALL(faccessat2, ".p.."), CALL(readlink, "pp."), CALL(readlinkat, ".pp."),
	CALL(statfs, "pp"), CALL(fstatfs, ".p"), CALL(getdents, ".p."), CALL(getdents64, ".p."), CALL(mkdir, "p."), CALL(mkdirat, ".p."),
	CALL(mknod, "p.."), CALL(mknodat, ".p.."), CALL(symlink, "pp"), CALL(symlinkat, "p.p"), CALL(unlink, "p"), CALL(unlinkat, ".p."),
	CALL(rmdir, "p"), CALL(rename, "pp"), CALL(renameat, ".p.p"), CALL(renameat2, ".p.p."), CALL(link, "pp"), CALL(linkat, ".p.p."),
	CALL(chdir, "p"), CALL(fchdir, "."), CALL(getcwd, "p."), CALL(chroot, "p"), CALL(umask, "."), CALL(chmod, "p."), CALL(fchmod, ".."),
	CALL(fchmodat, ".p."), CALL(fchmodat2, ".p.."), CALL(chown, "p.."), CALL(lchown, "p.."), CALL(fchown, "..."),
	CALL(fchownat, ".p..."), CALL(utimensat, ".pp."), CALL(utimes, "pp"), CALL(futimesat, ".pp"), CALL(utime, "pp"),
	CALL(truncate, "p."), CALL(ftruncate, ".."), CALL(fallocate, "...."), CALL(fsync, "."), CALL(fdatasync, "."),
	CALL(sync_file_range, "...."), CALL(syncfs, "."), CALL(sync, ""), CALL(fadvise64, "...."), CALL(readahead, "..."),
	CALL(setxattr, "ppp.."), CALL(lsetxattr, "ppp.."), CALL(fsetxattr, ".pp.."), CALL(getxattr, "ppp."), CALL(lgetxattr, "ppp."),
	CALL(fgetxattr, ".pp."), CALL(listxattr, "pp."), CALL(llistxattr, "pp."), CALL(flistxattr, ".p."), CALL(removexattr, "pp"),
	CALL(lremovexattr, "pp"), CALL(fremovexattr, ".p"), CALL(name_to_handle_at, ".ppp."), CALL(open_by_handle_at, ".p."),
	CALL(mount, "ppp.p"), CALL(umount2, "p."), CALL(pivot_root, "pp"),
	/* memory: what mmap's relatives name is an address, whether they look there or not */
	CALL(mmap, "p....."), CALL(munmap, "p."), CALL(mprotect, "p.."), CALL(pkey_mprotect, "p..."), CALL(mremap, "p...m"), CALL(brk, "p"),
	CALL(madvise, "p.."), CALL(msync, "p.."), CALL(mincore, "p.p"), CALL(mlock, "p."), CALL(mlock2, "p.."), CALL(mlockall, "."),
	CALL(munlock, "p."), CALL(munlockall, ""),
	/* sockets */
	CALL(socket, "..."), CALL(socketpair, "...p"), CALL(bind, ".p."), CALL(connect, ".p."), CALL(listen, ".."), CALL(accept, ".pp"),
	CALL(accept4, ".pp."), CALL(getsockname, ".pp"), CALL(getpeername, ".pp"), CALL(sendto, ".p..p."), CALL(recvfrom, ".p..pp"),
	CALL(sendmsg, ".p."), CALL(recvmsg, ".p."), CALL(sendmmsg, ".p.."), CALL(recvmmsg, ".p..p"), CALL(shutdown, ".."),
	CALL(setsockopt, "...p."), CALL(getsockopt, "...pp"),
	/* waiting, descriptors of events */
	CALL(poll, "p.."), CALL(ppoll, "p.pp."), CALL(select, ".pppp", WAITS), CALL(pselect6, ".ppppp", WAITS), CALL(epoll_create, "."),
	CALL(epoll_create1, "."), CALL(epoll_ctl, "...p"), CALL(epoll_wait, ".p.."), CALL(epoll_pwait, ".p..p."),
	CALL(epoll_pwait2, ".p.pp."), CALL(eventfd, "."), CALL(eventfd2, ".."), CALL(timerfd_create, ".."), CALL(timerfd_settime, "..pp"),
	CALL(timerfd_gettime, ".p"), CALL(signalfd, ".p."), CALL(signalfd4, ".p.."), CALL(pidfd_open, ".."), CALL(inotify_init, ""),
	CALL(inotify_init1, "."), CALL(inotify_add_watch, ".p."), CALL(inotify_rm_watch, ".."), CALL(pipe, "p"), CALL(pipe2, "p."),
	/* threads and processes */
	CALL(clone, ".pmmm", APART), CALL(clone3, "p."), CALL(fork, "", FORKS), CALL(vfork, "", FORKS), CALL(execve, "ppp"),
	CALL(execveat, ".ppp."), CALL(exit, ".", ENDS), CALL(exit_group, ".", ENDS), CALL(set_tid_address, "p"), CALL(gettid, ""),
	CALL(set_robust_list, "p."), CALL(get_robust_list, ".pp"), CALL(arch_prctl, ".p"), CALL(futex, "p..mm."), CALL(sched_yield, ""),
	CALL(wait4, ".p.p"), CALL(waitid, "..p.p"), CALL(prctl, ".m..."), CALL(personality, "."),
	/* signals */
	CALL(rt_sigaction, ".pp."), CALL(rt_sigprocmask, ".pp."), CALL(rt_sigpending, "p."), CALL(rt_sigsuspend, "p."),
	CALL(rt_sigtimedwait, "ppp."), CALL(rt_sigqueueinfo, "..p"), CALL(rt_tgsigqueueinfo, "...p"), CALL(rt_sigreturn, "", CRASHES),
	CALL(sigaltstack, "pp"), CALL(kill, ".."), CALL(pidfd_send_signal, "..p."), CALL(tkill, ".."), CALL(tgkill, "..."),
	CALL(pause, "", WAITS), CALL(restart_syscall, ""),
	/* time */
	CALL(clock_gettime, ".p"), CALL(clock_getres, ".p"), CALL(clock_settime, ".p"), CALL(clock_nanosleep, "..pp"), CALL(nanosleep, "pp"),
	CALL(gettimeofday, "pp"), CALL(settimeofday, "pp"), CALL(clock_adjtime, ".p"), CALL(adjtimex, "p"), CALL(time, "p"), CALL(times, "p"),
	CALL(getrusage, ".p"), CALL(alarm, "."), CALL(getitimer, ".p"), CALL(setitimer, ".pp"), CALL(timer_create, ".pp"),
	CALL(timer_settime, "..pp"), CALL(timer_gettime, ".p"), CALL(timer_getoverrun, "."), CALL(timer_delete, "."),
	/* System V */
	CALL(shmget, "..."), CALL(shmat, ".p."), CALL(shmdt, "p"), CALL(shmctl, "..p"), CALL(semget, "..."), CALL(semop, ".p."),
	CALL(semtimedop, ".p.p"), CALL(semctl, "...m"), CALL(msgget, ".."), CALL(msgsnd, ".p.."), CALL(msgrcv, ".p..."), CALL(msgctl, "..p"),
	/* POSIX message queues */
	CALL(mq_open, "p..p"), CALL(mq_unlink, "p"), CALL(mq_timedsend, ".p..p"), CALL(mq_timedreceive, ".p.pp"), CALL(mq_notify, ".p"),
	CALL(mq_getsetattr, ".pp"),
	/* identity, limits, the machine */
	CALL(getpid, ""), CALL(getppid, ""), CALL(getpgid, "."), CALL(getpgrp, ""), CALL(setpgid, ".."), CALL(getsid, "."), CALL(setsid, ""),
	CALL(getpriority, ".."), CALL(setpriority, "..."), CALL(prlimit64, "..pp"), CALL(getrlimit, ".p"), CALL(setrlimit, ".p"),
	CALL(getuid, ""), CALL(geteuid, ""), CALL(getgid, ""), CALL(getegid, ""), CALL(getresuid, "ppp"), CALL(getresgid, "ppp"),
	CALL(setuid, "."), CALL(setgid, "."), CALL(setreuid, ".."), CALL(setregid, ".."), CALL(setresuid, "..."), CALL(setresgid, "..."),
	CALL(setfsuid, "."), CALL(setfsgid, "."), CALL(getgroups, ".p"), CALL(setgroups, ".p"), CALL(capget, "pp"), CALL(capset, "pp"),
	CALL(sched_getaffinity, "..p"), CALL(sched_setaffinity, "..p"), CALL(sched_getscheduler, "."), CALL(sched_setscheduler, "..p"),
	CALL(sched_getparam, ".p"), CALL(sched_setparam, ".p"), CALL(sched_get_priority_max, "."), CALL(sched_get_priority_min, "."),
	CALL(sched_rr_get_interval, ".p"), CALL(sched_getattr, ".p.."), CALL(sched_setattr, ".p."), CALL(getcpu, "pp."),
	CALL(ioprio_get, ".."), CALL(ioprio_set, "..."),
	CALL(uname, "p"), CALL(sysinfo, "p"), CALL(getrandom, "p.."), CALL(sethostname, "p."), CALL(setdomainname, "p."), CALL(syslog, ".p."),
};
#undef CALL

#endif
