/*
 * Hostcalls: everything a cVM can ask of the monitor. The one table that both sides share.
 *
 * Calling the gate (address at %gs:VCPU_GATE, by `call`):
 *   r11 = number; arguments in rdi, rsi, r8, r9, r10, r12; result in rax (>= 0, or negative errno).
 *   rax, rcx, rdx, rdi, rsi, r8-r11 and the flags are clobbered; rbx, rbp, r12-r15, vector and x87 state are kept.
 *   The stack pointer needs no alignment; only the return address on it is used.
 *
 * Rules common to all:
 *  - Every pointer with its length must lie inside the caller's slot, else -EFAULT. Structures are copied once.
 *  - Addresses and sizes of mem_* are multiples of the page size, else -EINVAL.
 *  - A handle is an index into the cVM's handle table, else -EBADF.
 *  - A blocking hostcall returns -EINTR when the thread is kicked (thread_kick, or an outside event): the kick itself
 *    arrives as an upcall as soon as the thread is back in the cVM.
 *  - Limits of the launch description: -ENOMEM (memory), -EAGAIN (threads), -EMFILE (handles).
 */
#ifndef ABI_HOSTCALL_H
#define ABI_HOSTCALL_H

/* X(name, number of arguments). The order is the number; append only. */
#define HOSTCALL_TABLE(X)                                                                                            \
	X(null, 0)		/* () -> 0: measures the gate */                                                     \
	/* memory (addresses inside the slot, at or above SLOT_LIBOS_HEAP) */                                        \
	X(mem_commit, 4)	/* (addr, size, prot, flags HC_MEM_*): zeroed anonymous memory, replacing what is there */ \
	X(mem_release, 2)	/* (addr, size): back to reserved, inaccessible, uncounted */                        \
	X(mem_protect, 3)	/* (addr, size, prot R|W|none): never adds execute; drops it where pages had it */   \
	X(mem_map_file, 6)	/* (addr, size, prot R|W, flags HC_MEM_SHARED or 0, handle, offset) */               \
	X(mem_map_code, 5)	/* (addr, size, handle, offset, flags HC_CODE_*): translated segment, read+execute; -> stub bytes */ \
	X(mem_seal_code, 2)	/* (addr, size): the present contents become read+execute if they pass the scan */   \
	X(mem_advise, 3)	/* (addr, size, MADV_DONTNEED/WILLNEED/FREE/SEQUENTIAL/RANDOM/NORMAL) */             \
	X(mem_move, 4)		/* (old, old_size, new, new_size): mremap MAYMOVE|FIXED, not for code; both in the slot */ \
	X(mem_sync, 3)		/* (addr, size, MS_* flags) */                                                       \
	/* threads */                                                                                                \
	X(thread_create, 1)	/* (struct hc_thread *) -> vCPU id; runs entry(rdi = libos_thread) on its own stack */ \
	X(thread_exit, 1)	/* (uint32_t *clear or 0): never returns; *clear = 0 and futex-woken when the stack is free */ \
	X(thread_kick, 1)	/* (vCPU id): upcall with HC_TRAP_KICK there; wakes it from a blocking hostcall */   \
	X(thread_upcall_done, 0) /* (): the upcall frame may be overwritten by the next one */                        \
	X(futex_wait, 3)	/* (uint32_t *, expected, timeout ns or -1) -> 0, -EAGAIN, -ETIMEDOUT, -EINTR */     \
	X(futex_wake, 2)	/* (uint32_t *, count) -> woken */                                                   \
	X(futex_requeue, 4)	/* (uint32_t *, wake, uint32_t *to, move) -> woken (+ moved) */                      \
	X(thread_yield, 0)	/* (): sched_yield */                                                                \
	X(thread_cputime, 2)	/* (which: 0 this thread, 1 all threads of the cVM; uint64_t *ns) */                  \
	/* the cVM itself */                                                                                         \
	X(cvm_exit, 3)		/* (status 0..255, or signal with flag 1, fast system calls counted): never returns */  \
	X(cvm_events, 0)	/* () -> pending outside signals as a bit set (bit n-1 = signal n), cleared by this */ \
	X(cvm_info, 1)		/* (struct hc_info *) */                                                             \
	X(random, 2)		/* (buf, size) -> bytes, like getrandom without blocking */                          \
	/* files. `dir` is a directory handle, paths are relative to it and never leave it; (dir, path, size of path) */ \
	X(file_open, 5)		/* (dir, path, path_size, open flags, mode) -> handle. O_PATH, O_NOFOLLOW, O_DIRECTORY, O_CREAT... \
				   Without a path the file of an O_PATH handle, with its rights; a granted file is such a handle. \
				   Only regular files, directories and (O_PATH) links; host symlinks resolve inside dir,    \
				   or with HC_OPEN_NO_SYMLINKS in flags give -ELOOP. O_CREAT makes a new file, else -EEXIST */                                       \
	X(file_close, 1)	/* (handle) */                                                                       \
	X(file_stat, 5)		/* (dir or handle, path, path_size (0: the handle itself), mask, struct statx *): no symlink followed at the end */ \
	X(file_readlink, 5)	/* (dir or O_PATH handle, path, path_size, buf, size) -> bytes */                     \
	X(file_read, 3)		/* (handle, buf, size) */                                                            \
	X(file_write, 3)	/* (handle, buf, size) */                                                            \
	X(file_pread, 4)	/* (handle, buf, size, offset) */                                                    \
	X(file_pwrite, 4)	/* (handle, buf, size, offset) */                                                    \
	X(file_readv, 4)	/* (handle, struct iovec *, count <= HC_IOV_MAX, offset or -1) */                     \
	X(file_writev, 4)	/* (handle, struct iovec *, count <= HC_IOV_MAX, offset or -1) */                     \
	X(file_seek, 3)		/* (handle, offset, SEEK_*): directories, SEEK_DATA/SEEK_HOLE, append offsets */       \
	X(file_getdents, 3)	/* (handle, buf, size) -> bytes of struct linux_dirent64 */                           \
	X(file_truncate, 2)	/* (handle, size) */                                                                 \
	X(file_allocate, 4)	/* (handle, mode, offset, size) */                                                   \
	X(file_sync, 2)		/* (handle, data only 0/1) */                                                        \
	X(file_lock, 3)		/* (handle, F_OFD_GETLK/SETLK/SETLKW, struct flock *) */                               \
	X(file_flock, 2)	/* (handle, LOCK_* operation) */                                                     \
	X(file_chmod, 2)	/* (handle, mode) */                                                                 \
	X(file_chown, 3)	/* (handle, uid, gid) */                                                             \
	X(file_utimes, 2)	/* (handle, struct timespec[2] or 0); the handle may be O_PATH */                     \
	X(file_statfs, 2)	/* (handle, struct statfs *) */                                                      \
	X(file_ioctl, 3)	/* (handle, request, buf): FIONREAD, FIONBIO; on ttys TCGETS, TCSETS*, TIOCGWINSZ, TIOCGPGRP */ \
	X(file_setfl, 2)	/* (handle, O_NONBLOCK|O_APPEND bits): F_SETFL */                                     \
	X(file_dup, 1)		/* (handle) -> a second handle on the same open file */                               \
	/* `name` is one component: no '/', not "." or ".." */                                                      \
	X(dir_mkdir, 4)		/* (dir, name, name_size, mode) */                                                   \
	X(dir_unlink, 4)	/* (dir, name, name_size, 0 or AT_REMOVEDIR) */                                       \
	X(dir_rename, 6)	/* (dir, name, name_size, newdir, newname, newname_size | flags << 32) RENAME_NOREPLACE/EXCHANGE */ \
	X(dir_link, 4)		/* (file handle, newdir, newname, newname_size) */                                    \
	X(dir_symlink, 5)	/* (target, target_size, dir, name, name_size) */                                     \
	/* sockets (AF_INET, AF_INET6; SOCK_STREAM, SOCK_DGRAM), always created non-inheritable */                   \
	X(sock_create, 3)	/* (domain, type | SOCK_NONBLOCK, protocol) -> handle */                               \
	X(sock_bind, 3)		/* (handle, sockaddr, size): needs a bind grant */                                   \
	X(sock_connect, 3)	/* (handle, sockaddr, size): needs a connect grant */                                \
	X(sock_listen, 2)	/* (handle, backlog) */                                                              \
	/* these three write up to 128 bytes of an address, however few *size asks for */                            \
	X(sock_accept, 4)	/* (handle, sockaddr or 0, uint32_t *size, SOCK_NONBLOCK or 0) -> handle */           \
	X(sock_name, 3)		/* (handle, sockaddr, uint32_t *size) */                                             \
	X(sock_peer, 3)		/* the same of the other end */                                                      \
	X(sock_send, 3)		/* (handle, struct hc_msg *, flags) */                                               \
	X(sock_recv, 3)		/* (handle, struct hc_msg *, flags); sizes and flags are written back */               \
	X(sock_shutdown, 2)	/* (handle, SHUT_*) */                                                               \
	X(sock_getopt, 5)	/* (handle, level, name, buf, uint32_t *size) */                                      \
	X(sock_setopt, 5)	/* (handle, level, name, buf, size): options on an allow-list */                       \
	/* waiting */                                                                                                \
	X(poll, 3)		/* (struct pollfd * with handles in fd, count <= HC_POLL_MAX, timeout ns or -1) */      \
	X(epoll_create, 0)	/* () -> handle */                                                                   \
	X(epoll_ctl, 5)		/* (epoll handle, EPOLL_CTL_*, handle, events, data) */                                \
	X(epoll_wait, 4)	/* (epoll handle, struct epoll_event *, count, timeout ns or -1, rounded up to 1 ms) */  \
	X(eventfd_create, 2)	/* (initial, EFD_SEMAPHORE|EFD_NONBLOCK) -> handle */                                  \
	X(timerfd_create, 2)	/* (clock, TFD_NONBLOCK) -> handle */                                                 \
	X(timerfd_settime, 4)	/* (handle, flags, struct itimerspec *new, struct itimerspec *old or 0) */             \
	X(timerfd_gettime, 2)	/* (handle, struct itimerspec *) */                                                  \
	X(memobj_create, 1)	/* (size) -> handle: shared memory object (a memfd), for mem_map_file, mem_map_code and file_pread/pwrite; \
				   its size counts as committed memory until closed; file_truncate resizes it */ \
	X(thread_setup, 1)	/* (struct hc_thread *): gives the calling thread its upcall frame, entry and stack, \
				   libos_thread and syscall_entry (entry, stack and fs_base are ignored); for the cVM's    \
				   first thread, which starts without; before it an upcall ends the cVM */      \
	X(mem_low_window, 0)	/* () -> 0: the addresses SLOT_LOW_BASE..SLOT_LOW_END (slot.h) are this cVM's until it ends, \
				   for a program linked at a fixed address; -EBUSY while another cVM has them */ \
	/* capabilities (abi/capability.h); `cap` is a capability handle; errors common to all: -EBADF no such handle or   \
	   wrong kind, -EKEYREVOKED, -EACCES permission missing or sealed, -EMFILE quota of capabilities */               \
	X(cap_open, 4)		/* (enum cap_kind MEMORY, CALL or CONNECT; name, size of name, CAP_* perms) -> cap: needs a \
				   grant to use it; -ENOENT not there (yet), -EACCES not granted */                       \
	X(cap_create, 4)	/* (MEMORY: a CP_File of `arg` zero bytes; EXPORT; LISTENER: backlog `arg` (0: full); TYPE; name, size of \
				   name, arg) -> cap with all permissions. A name needs a grant to provide it; -EEXIST     \
				   taken; MEMORY may be nameless (size 0), TYPE always is. Closing it revokes all that     \
				   was opened or derived from it */                                                     \
	X(cap_memory, 3)	/* (addr, size, perms without MAP) -> cap on bytes of the own slot */                       \
	X(cap_derive, 4)	/* (cap, offset, length, perms) -> cap: narrower; offset and length for MEMORY only, and    \
				   inside its bounds, else -ERANGE */                                                   \
	X(cap_seal, 3)		/* (cap, type cap, 1 seal or 0 unseal) -> a derived cap; -EPERM: sealed with another type */ \
	X(cap_revoke, 1)	/* (cap): everything derived from it, in every cVM; complete on return */                  \
	X(cap_close, 1)		/* (cap): what was derived from it falls to its parent; if it is the maker's, is revoked */  \
	X(cap_info, 3)		/* (cap, struct cap_info *, heed 0/1): 1 if the version matters (CAP_HEED) */        \
	X(cap_read, 4)		/* (cap, buf, size, offset) -> bytes, 0 at the end */                                  \
	X(cap_write, 4)		/* (cap, buf, size, offset) -> bytes; -ENOSPC at the end */                             \
	X(cap_map, 5)		/* (cap, addr, size, prot, offset): its pages at addr, which must be page-aligned like the   \
				   cap's own place in its object; once at a time for each cap (-EBUSY); nothing of them     \
				   may be moved; undone by mem_release of exactly that range, close or revocation */         \
	X(cap_wait, 4)		/* (cap, CAP_* states, timeout ns or -1, seen version of MEMORY) -> states; -ETIMEDOUT, -EINTR */ \
	X(cap_notify, 1)	/* (call cap): the export becomes readable, once for many; (memory cap): wakes its waiters */ \
	X(cap_events, 2)	/* (uint64_t bits[CAPS_MAX / 64], arm 0/1) -> 1 if any: which capabilities (by index = handle % \
				   CAPS_MAX) had an event since the last fetch; arm: the next one rings the doorbell once */ \
	X(cap_doorbell, 0)	/* () -> handle of an eventfd (an ordinary handle, for poll and epoll_ctl) */              \
	X(call_invoke, 6)	/* r11 = number | cap << 32; six words in the argument registers. Clobbers every register but \
				   rsp; returns status in rbx (0 or a negative errno: -EAGAIN no thread serves now,        \
				   -EOWNERDEAD the callee died of a signal, -ESHUTDOWN it exited, -ECANCELED its thread     \
				   exited, -EKEYREVOKED the export is closed, -ETIMEDOUT, -ELOOP nested too deep) and words \
				   in r12, r13, r8, r9, r10, r11 */                                                      \
	X(call_invoke_msg, 2)	/* (cap, struct call_message *): the same with capabilities and deadline; returns as above, \
				   and words and capabilities of the answer in the message */                             \
	X(call_serve, 6)	/* r11 = number | export cap << 32, six words: answers the current call, if any, and waits   \
				   for the next, which arrives as an answer does, with status = number of capabilities    \
				   passed. All registers but rsp are clobbered; the callee runs on the stack that called.   \
				   -EINTR: call again (a signal was delivered) */                                        \
	X(call_caps, 2)		/* (uint32_t cap[CAP_PASS_MAX], count or 0): with 0 fetches the capabilities passed with the \
				   current call -> count; else passes `count` with the answer to come */                   \
	X(stream_connect, 2)	/* (connect cap, word) -> stream cap: connected at once, bytes may be sent; -EAGAIN backlog full */ \
	X(stream_accept, 1)	/* (listener cap) -> stream cap, or -EAGAIN */                                            \
	X(stream_send, 4)	/* (stream cap, buf, size, cap to pass with the first byte or 0) -> bytes, -EAGAIN no room,  \
				   -EPIPE. One copy, into the receiver's ring */                                          \
	X(stream_recv, 4)	/* (stream cap, buf, size, 1: leave the bytes there) -> bytes, 0 at the end, -EAGAIN,        \
				   -ECONNRESET the peer went with bytes unread */                                         \
	X(stream_cap, 1)	/* (stream cap) -> the next capability that was passed, or -EAGAIN; before its bytes are read */ \
	X(stream_shutdown, 2)	/* (stream cap, SHUT_*) */                                                            \
	X(stream_map, 2)	/* (stream cap, addr): maps the receive ring read-only at addr, CAP_STREAM_RING bytes, twice in a \
				   row so that what wraps is contiguous; then stream_window and stream_recv with no buffer */ \
	X(stream_window, 2)	/* (stream cap, uint64_t out[2]): ring offset and number of bytes to be read; stream_recv(cap, 0, \
				   n) gives n of them back */ \
	X(clock_read, 2)	/* (clock, struct timespec *): the host's, by its kernel; no CPU clocks. The vDSO is faster */ \
	/* isolate_libos: the program is executed without access to what lies below SLOT_LIBOS_END, and has only this      \
	   hostcall; every other is -EPERM. An upcall enters the libOS too, and says HC_TRAP_PROGRAM */                \
	X(thread_switch, 1)	/* (rsp): the program goes on behind `ret` with this rsp. For the program: (): the libOS does,  \
				   with rsp = hc_thread.libos_stack and rax = the program's rsp. Other registers and vector \
				   state are kept or cleared as by every hostcall. -EPERM without isolate_libos */

#define HC_MEM_SHARED 1u /* MAP_SHARED: for mem_commit, memory that stays shared when fork comes */
#define HC_CODE_STUBS 1u /* addr lies in an image window: map stubs at addr + SLOT_STUB_DELTA */
#define HC_OPEN_NO_SYMLINKS (1ull << 40)
#define HC_IOV_MAX 64u
#define HC_POLL_MAX 256u
#define HC_PATH_MAX 4096u

#ifndef __ASSEMBLER__
#include <stdint.h>

enum hostcall {
#define X(name, nargs) HC_##name,
	HOSTCALL_TABLE(X)
#undef X
		HC_COUNT
};

/* What a cVM's first thread and every new one start with. */
struct hc_thread {
	uint64_t entry;		/* first instruction, with rdi = libos_thread */
	uint64_t stack;		/* initial rsp */
	uint64_t libos_thread;	/* goes to the vCPU page, never interpreted */
	uint64_t upcall_entry;	/* where upcalls start, with rdi = upcall_frame */
	uint64_t upcall_stack;	/* rsp of upcalls */
	uint64_t upcall_frame;	/* struct upcall_frame *, in the slot, 16-aligned */
	uint64_t syscall_entry; /* goes to the vCPU page */
	uint64_t fs_base;	/* initial FS base, must be below 2^47 */
	uint64_t libos_stack;	/* rsp of the libOS behind the program's thread_switch */
	uint64_t program_area;	/* goes to the vCPU page, never interpreted */
};

/* Passed in rdi to libos_entry on the first thread of a cVM. It lies at the start of the boot area, which follows the
 * libOS's data and bss; the thread has a small stack in the same place and must build its own. */
struct cvm_start {
	uint64_t slot_base;
	uint64_t boot;		/* address of the boot information the command wrote (abi/boot.h) */
	uint64_t boot_size;
	uint64_t memory_max;
	uint64_t vdso;		/* address of the vDSO's ELF header, readable and executable by cVMs; 0 if none */
	uint64_t data_end;	/* first address after everything mapped at SLOT_LIBOS_DATA */
	uint64_t xsave_mask;	/* state components a signal frame holds (no PKRU) */
	uint64_t xsave_size;	/* bytes of a standard-format XSAVE area for them */
	uint32_t threads_max;
	uint32_t host_cpus;
};

enum hc_trap {
	HC_TRAP_KICK = 0,    /* somebody kicked this thread; no program fault */
	HC_TRAP_SYSCALL = 1, /* an unrewritten `syscall`: number in rax, rip behind it */
	HC_TRAP_FAULT = 2,   /* SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGTRAP: see signal, code, address */
	HC_TRAP_PROGRAM = 8, /* with one of them: an isolated libOS's program was interrupted, wherever rip may point */
};

/* Written by the monitor into upcall_frame when a thread is interrupted. The libOS resumes (or not) by restoring the
 * registers itself; vector and x87 state are still in the processor. Until thread_upcall_done, further kicks are
 * remembered and a further fault ends the cVM. */
struct upcall_frame {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t rip, cs, rflags, rsp, ss; /* in the order iretq wants them */
	uint32_t trap;			   /* enum hc_trap */
	int32_t signal;			   /* Linux signal number */
	int32_t code;			   /* si_code */
	uint32_t trapno;		   /* processor's vector and error code, as in ucontext */
	uint64_t error;
	uint64_t address; /* si_addr */
};

struct hc_info {
	uint64_t memory_max, memory_now;
	uint64_t host_memory;  /* bytes of RAM */
	uint64_t boottime_ns;  /* CLOCK_BOOTTIME */
	uint32_t host_cpus, threads_now;
};

struct hc_msg {
	uint64_t name;	   /* sockaddr or 0 */
	uint64_t iov;	   /* struct iovec * */
	uint64_t source;   /* sock_send: the sockaddr that a datagram comes from, granted to be bound with the socket's port; or 0 */
	uint64_t control;  /* sock_recv: room for control data as recvmsg writes it, or 0 */
	uint32_t name_size;
	uint32_t iov_count; /* <= HC_IOV_MAX */
	uint32_t flags;	   /* written by sock_recv (MSG_TRUNC ...) */
	uint32_t source_size, control_size;
	/* sock_send: for this datagram alone; 0 means as the socket has it, else the value, which may be -1, plus two. `six`: as IPv6's options, else IPv4's. */
	uint16_t hops, traffic_class;
	uint32_t six;
};
#endif
#endif
