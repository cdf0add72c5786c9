/*
 * The translator decodes hostile files with a large decoder: before it looks at one it gives up all it does not need.
 * Called by main.c; nothing here is relied on by the monitor, which scans what comes out.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"

#define MEMORY_MAX (6ull << 30) /* address space: file, text and bit sets of the largest file */
#define CPU_SECONDS_MAX 60

/* Without memory the kernel ends us, not the monitor with all cVMs, which may well be larger. */
static void be_first_victim(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, "1000", 4);
	close(fd);
}

void sandbox_limits(uint64_t file_max)
{
	be_first_victim();
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody waits for an image any more */
	/* failing to lower a limit is no reason to stop */
	(void)setrlimit(RLIMIT_AS, &(struct rlimit){ MEMORY_MAX, MEMORY_MAX });
	(void)setrlimit(RLIMIT_CPU, &(struct rlimit){ CPU_SECONDS_MAX, CPU_SECONDS_MAX });
	(void)setrlimit(RLIMIT_FSIZE, &(struct rlimit){ file_max, file_max });
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
}

#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

int sandbox_enter(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_read),
		ALLOW(SYS_pread64),
		ALLOW(SYS_write),
		ALLOW(SYS_pwrite64),
		ALLOW(SYS_writev), /* musl's stderr */
		ALLOW(SYS_fstat), /* not newfstatat, which takes paths */
		ALLOW(SYS_ftruncate),
		ALLOW(SYS_brk),
		ALLOW(SYS_mmap),
		ALLOW(SYS_mremap),
		ALLOW(SYS_munmap),
		ALLOW(SYS_madvise),
		ALLOW(SYS_futex),
		ALLOW(SYS_getrandom), /* malloc's first call */
		ALLOW(SYS_exit),
		ALLOW(SYS_exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
