/* System calls of the net family; see sys/syscalls.h for the format. */
#ifndef LIBOS_TABLE_NET_H
#define LIBOS_TABLE_NET_H

#define SYSCALLS_NET(SYS)            \
	SYS(socket, "dxd")           \
	SYS(socketpair, "dxdp")      \
	SYS(bind, "fad")             \
	SYS(connect, "fad")          \
	SYS(listen, "fd")            \
	SYS(accept, "fpp")           \
	SYS(accept4, "fppx")         \
	SYS(getsockname, "fpp")      \
	SYS(getpeername, "fpp")      \
	SYS(sendto, "fbuxad")        \
	SYS(recvfrom, "fruxpp")      \
	SYS(sendmsg, "fpx")          \
	SYS(recvmsg, "fpx")          \
	SYS(sendmmsg, "fpux")        \
	SYS(recvmmsg, "fpuxt")       \
	SYS(shutdown, "fd")          \
	SYS(setsockopt, "fddpu")     \
	SYS(getsockopt, "fddpp")

#endif
