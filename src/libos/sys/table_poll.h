/* System calls of the poll family; see sys/syscalls.h for the format. */
#ifndef LIBOS_TABLE_POLL_H
#define LIBOS_TABLE_POLL_H

#define SYSCALLS_POLL(SYS)            \
	SYS(poll, "pud")              \
	SYS(ppoll, "putpu")           \
	SYS(select, "dpppp")          \
	SYS(pselect6, "dppptp")       \
	SYS(epoll_create, "d")        \
	SYS(epoll_create1, "x")       \
	SYS(epoll_ctl, "fdfp")        \
	SYS(epoll_wait, "fpdd")       \
	SYS(epoll_pwait, "fpddpu")    \
	SYS(epoll_pwait2, "fpdtpu")   \
	SYS(eventfd, "u")             \
	SYS(eventfd2, "ux")           \
	SYS(timerfd_create, "dx")     \
	SYS(timerfd_settime, "fxpp")  \
	SYS(timerfd_gettime, "fp")    \
	SYS(signalfd, "fpu")          \
	SYS(signalfd4, "fpux")        \
	SYS(pidfd_open, "dx")         \
	SYS(inotify_init, "")         \
	SYS(inotify_init1, "x")       \
	SYS(inotify_add_watch, "fsx") \
	SYS(inotify_rm_watch, "fd")   \
	SYS(pipe, "p")                \
	SYS(pipe2, "px")

#endif
