/*
 * Serving the system calls of another cVM: a policy, a tracer, virtual files, or all that the program ever reaches (the
 * `callback_out` of CAP-VMs, OSDI'22). The served cVM's YAML says `syscalls_to: SERVER`, which grants both what they need.
 *
 * The served program is unmodified. Its libOS keeps memory, threads, futexes, signals, program loading, poll and the table of
 * descriptors; the calls of the set chosen here come to a handler of the server, with number and arguments as in
 * syscall(2). Pointers among them are addresses of the program, followed by cvm_syscall_read and its kin: bounds are those
 * of the program's own memory, which the server reaches while it serves and the program lives.
 *
 * Who must be trusted: what a served cVM reaches outside its memory is what its YAML grants it, and the monitor refuses the
 * rest, whatever this server or the program does. A server is no guard against a program that bypasses its own libOS, unless
 * that has isolate_libos; and what it saw before cvm_syscall_local, another thread of the program may have changed since.
 *
 * Functions may be called by any number of threads at once. Errors common to all: cvm/cap.h.
 */
#ifndef CVM_SYSCALLS_H
#define CVM_SYSCALLS_H

#include <sys/types.h>

#include "cap.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define CVM_SYSCALLS_MAX 512u		 /* numbers are below */
#define CVM_SYSCALL_FD 0x40000000ull	 /* a descriptor argument at or above it is the server's own: minus this, its number */
#define CVM_SYSCALL_POLL 1022u		 /* (descriptor): the POLL* bits that are set now; -ENOSYS: always ready */

/* Which calls are served. Zero it first. */
struct cvm_syscall_set {
	uint64_t bits[CVM_SYSCALLS_MAX / 64];
};
void cvm_syscall_set_add(struct cvm_syscall_set *set, unsigned number); /* of <sys/syscall.h>; others are ignored */
/* Adds what reaches outside the program: files, pipes and sockets, by name and by descriptor, and identity (getpid, getuid
 * and their kin, uname). Not time: clocks are read without a system call, unless the set asks for clock_gettime, and not
 * what the libOS keeps. A handler answers what it does not care for with cvm_syscall_local; getpid too, unless the program
 * can do without kill, raise and abort, which the libOS executes by its own numbers. */
void cvm_syscall_set_default(struct cvm_syscall_set *set);

/* One call. The handler may change arg[] before cvm_syscall_again. */
struct cvm_syscall {
	unsigned number;
	int again; /* 1: it was answered by cvm_syscall_again before */
	uint64_t arg[6];
	uint64_t private_[8]; /* the library's */
};

/* Returns the result or a negative errno value, or what one of the functions below returned. It must not block for long:
 * the program's signals wait for its answer, which after syscalls_timeout (YAML) is ETIMEDOUT for the program. */
typedef int64_t cvm_syscall_fn(void *context, struct cvm_syscall *call);

/* The program's own libOS is to execute the call, with its own grants. */
int64_t cvm_syscall_local(struct cvm_syscall *call);
/* Not yet: the call comes again, with arg[], after cvm_syscalls_wake or timeout_ns (CP_FOREVER: no limit). A signal ends it
 * with EINTR, or begins it anew, as a wait in Linux. */
int64_t cvm_syscall_again(struct cvm_syscall *call, int64_t timeout_ns);
/* A new descriptor: the program gets the lowest free number, the server sees CVM_SYSCALL_FD + id (below CVM_SYSCALL_FD) in
 * later calls, and SYS_close once when the last duplicate is closed. */
int64_t cvm_syscall_descriptor(struct cvm_syscall *call, uint32_t id, int close_on_exec);
/* Two, for pipe, pipe2 and socketpair: the libOS writes their numbers where the program wants them. */
int64_t cvm_syscall_pair(struct cvm_syscall *call, uint32_t first, uint32_t second, int close_on_exec);

/* The program's memory: all of the bytes and 0, or -EFAULT. */
CP_NODISCARD int cvm_syscall_read(const struct cvm_syscall *call, uint64_t address, void *buffer, size_t size);
CP_NODISCARD int cvm_syscall_write(const struct cvm_syscall *call, uint64_t address, const void *buffer, size_t size);
/* Its length without the NUL, which is copied too. -ENAMETOOLONG: it does not fit into `size` bytes. -EFAULT. */
CP_NODISCARD ssize_t cvm_syscall_string(const struct cvm_syscall *call, uint64_t address, char *buffer, size_t size);

struct cvm_syscalls_options {
	size_t struct_size; /* sizeof this */
	unsigned threads;   /* that serve: calls handled at the same time; 1 to 64, 0: 4 */
	int only_own;	    /* of the calls with descriptors, only those with one of the server's */
	struct cvm_syscall_set set;
	cvm_syscall_fn *handler;
	void (*begin)(void *context); /* a program starts, or starts again: earlier descriptors are gone. May be NULL */
	void *context;
};

struct cvm_syscalls;
/* Serves the cVM `served` until cvm_syscalls_stop. -EACCES: it does not say syscalls_to this cVM. -EEXIST: served already.
 * -EINVAL: options. -EAGAIN: threads. -ENOMEM. */
CP_NODISCARD int cvm_syscalls_start(const char *served, const struct cvm_syscalls_options *options, struct cvm_syscalls **server);
/* Calls that wait (cvm_syscall_again) come again; poll looks again. */
void cvm_syscalls_wake(struct cvm_syscalls *server);
/* Returns when the program has ended, whose memory is out of reach from then on: the one that is served, or if there is none
 * the next. For one thread at a time. 0; -EINTR: a signal was handled. */
CP_NODISCARD int cvm_syscalls_wait(struct cvm_syscalls *server);
/* Returns when no handler runs any more. From then on the program's served calls are EIO. */
void cvm_syscalls_stop(struct cvm_syscalls *server);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
