/*
 * libcvm's platform where a libOS is: threads, memory and descriptors are those of the C library. Of the C library only
 * what glibc and musl share is used. A program elsewhere finds no CP_AT_CVM in its auxiliary vector.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "abi/slot.h"
#include "abi/boot.h"
#include "cvm/cap.h"
#include "sdk/sdk.h"

_Static_assert(CP_AT_CVM == BOOT_AT_CVM, "auxiliary vector");

int g_sdk_present;
const bool platform_interrupts = true;

__attribute__((constructor(101))) static void detect(void)
{
	g_sdk_present = getauxval(CP_AT_CVM) != 0;
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
