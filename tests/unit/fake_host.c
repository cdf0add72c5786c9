/*
 * A monitor for unit tests of the libOS: a slot, a vCPU page behind GS, and a gate that does the mem_* hostcalls with the
 * host's own mmap family. No isolation; the libOS's files run as ordinary code of the
 * test. In the C library's world: the test proper is in the libOS's (their basic types do not go together).
 */
#define _GNU_SOURCE
#include "abi/hostcall.h"
#include "abi/slot.h"
#include "abi/vcpu.h"
#include "unit/fake_host.h"

#include <asm/prctl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct vcpu_page g_vcpu;
static uint64_t g_base;

long fake_hostcall(long nr, long a0, long a1, long a2, long a3, long a4);

/* Register convention of abi/hostcall.h to System V; keeps what the gate keeps. */
__asm__(".text\n"
	"fake_gate:\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	and $-16, %rsp\n"
	"	mov %r8, %rcx\n"  /* a2 */
	"	mov %rsi, %rdx\n" /* a1 */
	"	mov %rdi, %rsi\n" /* a0 */
	"	mov %r11, %rdi\n" /* number */
	"	mov %r9, %r8\n"	  /* a3 */
	"	mov %r10, %r9\n"  /* a4 */
	"	call fake_hostcall\n"
	"	mov %rbp, %rsp\n"
	"	pop %rbp\n"
	"	ret\n");
extern char fake_gate[];

static long result(void *p)
{
	return p == MAP_FAILED ? -errno : 0;
}

static int checked(long addr, long size)
{
	uint64_t at = (uint64_t)addr - g_base;

	if ((addr | size) & 4095 || size <= 0)
		return -EINVAL;
	return at < SLOT_LIBOS_HEAP || at >= SLOT_SIZE || (uint64_t)size > SLOT_SIZE - at ? -EFAULT : 0;
}

static long reserve(long addr, long size)
{
	return result(mmap((void *)addr, (size_t)size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0));
}

long fake_hostcall(long nr, long a0, long a1, long a2, long a3, long a4)
{
	int shared = a3 & HC_MEM_SHARED ? MAP_SHARED : MAP_PRIVATE;
	long ret;

	if (nr <= HC_mem_sync && nr >= HC_mem_commit && checked(a0, a1))
		return checked(a0, a1);
	switch (nr) {
	case HC_mem_commit:
		return result(mmap((void *)a0, (size_t)a1, (int)a2, shared | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0));
	case HC_mem_release:
		return reserve(a0, a1);
	case HC_mem_protect:
		return mprotect((void *)a0, (size_t)a1, (int)a2) ? -errno : 0;
	case HC_mem_seal_code:
		return mprotect((void *)a0, (size_t)a1, PROT_READ | PROT_EXEC) ? -errno : 0;
	case HC_mem_map_file:
		return result(mmap((void *)a0, (size_t)a1, (int)a2, shared | MAP_FIXED, (int)a4, 0));
	case HC_mem_advise:
		return madvise((void *)a0, (size_t)a1, (int)a2) ? -errno : 0;
	case HC_mem_move:
		ret = result(mremap((void *)a0, (size_t)a1, (size_t)a3, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)a2));
		return ret ? ret : reserve(a0, a1);
	case HC_mem_sync:
	case HC_thread_yield:
		return 0;
	case HC_random:
		return getrandom((void *)a0, (size_t)a1, 0);
	case HC_file_write: /* to the log */
		return (long)fwrite((void *)a1, 1, (size_t)a2, stdout);
	case HC_cvm_exit:
		exit(1);
	default:
		fprintf(stderr, "unexpected hostcall %ld\n", nr);
		exit(1);
	}
}

uint64_t fake_host_init(void *thread)
{
	char *p = mmap(NULL, 2 * SLOT_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(77);
	}
	g_base = ((uint64_t)p + SLOT_SIZE - 1) & SLOT_MASK;
	g_vcpu.self = (uint64_t)&g_vcpu;
	g_vcpu.gate = (uint64_t)fake_gate;
	g_vcpu.libos_thread = (uint64_t)thread;
	syscall(SYS_arch_prctl, ARCH_SET_GS, &g_vcpu);
	return g_base;
}

void fake_host_fail(const char *file, int line, const char *what)
{
	printf("%s:%d: failed: %s\n", file, line, what);
	exit(1);
}

bool fake_host_access(uint64_t addr, bool *writable)
{
	static int fd[2] = {-1, -1};
	char rest;

	if (fd[0] < 0 && pipe(fd))
		exit(1);
	*writable = false;
	if (write(fd[1], (void *)addr, 1) != 1)
		return false;
	/* The same byte comes back: nothing changes. */
	*writable = read(fd[0], (void *)addr, 1) == 1;
	return *writable || read(fd[0], &rest, 1) == 1;
}

_Noreturn void unit_exit(int status)
{
	_exit(status);
}

int unit_child(void (*f)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		f();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
