/*
 * The seccomp filter of cVM threads: a host system call happens only with the cVM's cookie in its argument registers,
 * which only monitor code can load (host/syscall.h), and only if it is one that the monitor makes. Everything else,
 * and every other architecture's entry, becomes SIGSYS: to the libOS, a trapped system call.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "host/syscall.h"
#include "monitor/monitor.h"

#define ARG_LOW(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#define ARG_HIGH(n) (ARG_LOW(n) + 4)
#define FILTER_MAX 160

/* Up to four arguments: r8 and r9 must match. The busiest first: the program is a chain of compares. */
static const uint16_t k_calls4[] = {
	__NR_read, __NR_write, __NR_pread64, __NR_pwrite64, __NR_epoll_wait, __NR_sendmsg, __NR_recvmsg,
	__NR_readv, __NR_writev, __NR_poll, __NR_pkey_mprotect, __NR_mprotect, __NR_munmap, __NR_openat2, __NR_openat, __NR_close,
	__NR_fstat, __NR_lseek, __NR_getdents64, __NR_readlinkat, __NR_madvise, __NR_msync, __NR_fcntl, __NR_flock,
	__NR_fsync, __NR_fdatasync, __NR_ftruncate, __NR_fallocate,
	__NR_fstatfs, __NR_ioctl, __NR_dup3, __NR_mkdirat, __NR_unlinkat, __NR_symlinkat, __NR_socket, __NR_bind,
	__NR_connect, __NR_listen, __NR_accept4, __NR_shutdown, __NR_getsockname, __NR_getpeername, __NR_epoll_create1,
	__NR_epoll_ctl, __NR_eventfd2, __NR_timerfd_create, __NR_timerfd_settime, __NR_timerfd_gettime,
	__NR_memfd_create, __NR_getrandom, __NR_clock_gettime, __NR_sched_yield, __NR_tgkill, __NR_sigaltstack,
	__NR_rt_sigreturn, __NR_exit, __NR_exit_group, __NR_setpriority, __NR_sysinfo, __NR_gettid, __NR_getpid,
	__NR_rt_sigprocmask, __NR_restart_syscall /* after a stop and SIGCONT */,
};

/* Five arguments (or four with the fifth register used by the call): r9 must match. */
static const uint16_t k_calls5[] = { __NR_futex /* FUTEX_REQUEUE has five */, __NR_statx, __NR_fchownat, __NR_fchmodat2, __NR_utimensat, __NR_getsockopt, __NR_setsockopt, __NR_linkat, __NR_renameat2,
				     __NR_preadv, __NR_pwritev, __NR_mremap, __NR_clone };

struct builder {
	struct sock_filter insn[FILTER_MAX];
	unsigned count;
};

static void emit(struct builder *b, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	b->insn[b->count++] = (struct sock_filter){ code, jt, jf, k };
}

static void load(struct builder *b, uint64_t offset)
{
	emit(b, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* Go on if the word there is k, else refuse. */
static void require(struct builder *b, uint64_t offset, uint32_t k)
{
	load(b, offset);
	emit(b, BPF_JMP | BPF_JEQ | BPF_K, k, 1, 0);
	emit(b, BPF_RET | BPF_K, SECCOMP_RET_TRAP, 0, 0);
}

static void allow_listed(struct builder *b, const uint16_t *calls, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		emit(b, BPF_JMP | BPF_JEQ | BPF_K, calls[i], (uint8_t)(count - i), 0);
	emit(b, BPF_JMP | BPF_JA, 1, 0, 0);
	emit(b, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
}

static void build(struct builder *b, const uint64_t cookie[2])
{
	require(b, offsetof(struct seccomp_data, arch), AUDIT_ARCH_X86_64);
	load(b, offsetof(struct seccomp_data, nr));
	emit(b, BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 0, 10);
	require(b, ARG_HIGH(2), (uint32_t)cookie[0]);
	require(b, ARG_HIGH(3), (uint32_t)(cookie[0] >> 32));
	require(b, ARG_HIGH(4), (uint32_t)cookie[1]);
	emit(b, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	require(b, ARG_LOW(5), (uint32_t)cookie[1]);
	require(b, ARG_HIGH(5), (uint32_t)(cookie[1] >> 32));
	load(b, offsetof(struct seccomp_data, nr));
	allow_listed(b, k_calls5, ARRAY_SIZE(k_calls5));
	require(b, ARG_LOW(4), (uint32_t)cookie[0]);
	require(b, ARG_HIGH(4), (uint32_t)(cookie[0] >> 32));
	load(b, offsetof(struct seccomp_data, nr));
	allow_listed(b, k_calls4, ARRAY_SIZE(k_calls4));
	emit(b, BPF_RET | BPF_K, SECCOMP_RET_TRAP, 0, 0);
}

int filter_install(const struct cvm *c)
{
	struct builder b;

	if (insecure(LAUNCH_INSECURE_NO_COOKIE))
		return 0;
	b.count = 0;
	build(&b, c->cookie);
	struct sock_fprog program = { .len = (uint16_t)b.count, .filter = b.insn };
	return (int)host(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}
