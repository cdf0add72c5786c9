/*
 * libcvm's platform where a libOS is: threads, memory and descriptors are those of the C library. Of the C library only
 * what glibc and musl share is used. A program elsewhere finds no CP_AT_CVM in its auxiliary vector; one that is apart from its
 * libOS (isolate_libos) finds BOOT_AT_CVM_SYSCALL besides.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "abi/slot.h"
#include "abi/boot.h"
#include "base/copy.h"
#include "cvm/cap.h"
#include "sdk/sdk.h"

_Static_assert(CP_AT_CVM == BOOT_AT_CVM, "auxiliary vector");

int g_sdk_present;
const bool platform_interrupts = true;

__attribute__((constructor(101))) static void detect(void)
{
	if (getauxval(CP_AT_CVM))
		g_sdk_present = getauxval(BOOT_AT_CVM_SYSCALL) == BOOT_SYSCALL_CAPABILITY ? SDK_LIBOS : SDK_GATE;
}

/* Vector registers are the caller's to save, as in any function. */
long platform_without_gate(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
{
	register long r10 __asm__("r10") = a2, r8 __asm__("r8") = a3, r9 __asm__("r9") = a4;
	long ret;

	(void)a5;
	if (g_sdk_present == SDK_NONE)
		return -ENOSYS;
	__asm__ volatile("mov %[number], %%eax\n\tsyscall"
			 : "=a"(ret)
			 : [number] "i"(BOOT_SYSCALL_CAPABILITY), "D"(nr), "S"(a0), "d"(a1), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "cc", "memory" VECTORS_TOO);
	return ret;
}

void platform_yield(void)
{
	syscall(SYS_sched_yield);
}

void platform_futex_wait(const uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void platform_futex_wake(const uint32_t *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static void *run(void *argument)
{
	struct platform_thread *t = argument;

	t->function(t->argument);
	return NULL;
}

int platform_thread_start(struct platform_thread *t, void (*function)(void *), void *argument)
{
	_Static_assert(sizeof(pthread_t) <= sizeof t->private, "room");

	t->function = function;
	t->argument = argument;
	return pthread_create((pthread_t *)t->private, NULL, run, t) ? -EAGAIN : 0;
}

void platform_thread_join(struct platform_thread *t)
{
	pthread_join(*(pthread_t *)t->private, NULL);
}

int platform_after_fork(void (*function)(void))
{
	return pthread_atfork(NULL, NULL, function) ? -EAGAIN : 0;
}

static void *map(size_t size, int prot)
{
	void *at = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

void *platform_pages(size_t size)
{
	return map(size, PROT_READ | PROT_WRITE);
}

void platform_pages_free(void *pages, size_t size)
{
	munmap(pages, size);
}

void *platform_reserve(size_t size)
{
	return map(size, PROT_NONE);
}

void platform_unreserve(void *at, size_t size)
{
	munmap(at, size);
}

/* An isolated libOS knows what it has mapped there. */
int platform_unmap(void *at, size_t size)
{
	long r = g_sdk_present == SDK_LIBOS ? 0 : gate(HC_mem_release, at, size);

	return r ? (int)r : munmap(at, size) ? -errno : 0;
}

int platform_vacate(void *at, size_t size)
{
	if (g_sdk_present != SDK_LIBOS)
		return (int)gate(HC_mem_release, at, size);
	return mmap(at, size, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED ? -errno : 0;
}

int platform_copies_may_fault(void)
{
	return syscall(BOOT_SYSCALL_CAPABILITY, BOOT_CAPABILITY_COPIES, copy_fault_begin, copy_fault_end, copy_fault_exit) ? -errno : 0;
}

int platform_event_new(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void platform_event_set(int fd)
{
	eventfd_write(fd, 1);
}

void platform_event_clear(int fd)
{
	eventfd_t value;

	eventfd_read(fd, &value);
}

void platform_event_close(int fd)
{
	close(fd);
}

static int g_doorbell = -1; /* poll.c's lock */

int platform_doorbell(void)
{
	if (g_doorbell < 0)
		g_doorbell = open(BOOT_EVENTS_DEVICE, O_RDONLY | O_CLOEXEC);
	return g_doorbell < 0 ? -errno : g_doorbell;
}

void platform_doorbell_forget(void)
{
	if (g_doorbell >= 0)
		close(g_doorbell);
	g_doorbell = -1;
}

int platform_events(uint64_t bits[CAPS_MAX / 64])
{
	ssize_t n = read(g_doorbell, bits, CAPS_MAX / 8);

	return n < 0 ? -errno : n > 0;
}

long platform_poll(struct pollfd *p, unsigned count, int64_t timeout_ns)
{
	struct timespec ts = { .tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000 };
	int r = ppoll(p, count, timeout_ns < 0 ? NULL : &ts, NULL);

	return r < 0 ? -errno : r;
}

uint64_t platform_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}
