/* Threads and futexes of a bare cVM. A thread's memory: stack, guard page, upcall stack and frame. */
#include "sdk/bare/bare.h"

const bool platform_interrupts = false;

int cvm_thread_create(struct cvm_thread *thread, void (*function)(void *), void *argument)
{
	struct hc_thread start = { .entry = (uint64_t)bare_thread_entry, .libos_thread = (uint64_t)thread };
	char *memory = cvm_alloc(BARE_THREAD_SIZE);

	if (!memory)
		return -EAGAIN;
	gate(HC_mem_release, memory + BARE_STACK_SIZE, CVM_PAGE_SIZE); /* the guard */
	start.stack = (uint64_t)memory + BARE_STACK_SIZE;
	bare_upcall_setup(&start, memory + BARE_STACK_SIZE + CVM_PAGE_SIZE);
	thread->function = function;
	thread->argument = argument;
	thread->memory = memory;
	thread->alive = 1;
	if (gate(HC_thread_create, &start) < 0) {
		cvm_free(memory, BARE_THREAD_SIZE);
		return -EAGAIN;
	}
	return 0;
}

void bare_thread_main(struct cvm_thread *thread)
{
	thread->function(thread->argument);
	for (;;)
		gate(HC_thread_exit, &thread->alive);
}

void cvm_thread_join(struct cvm_thread *thread)
{
	while (__atomic_load_n(&thread->alive, __ATOMIC_ACQUIRE))
		gate(HC_futex_wait, &thread->alive, 1, -1);
	cvm_free(thread->memory, BARE_THREAD_SIZE);
}

int cvm_futex_wait(uint32_t *word, uint32_t value, int64_t timeout_ns)
{
	long r = gate(HC_futex_wait, word, value, timeout_ns);

	return r == -EINTR ? 0 : (int)r;
}

int cvm_futex_wake(uint32_t *word, int count)
{
	return (int)gate(HC_futex_wake, word, count);
}

void platform_yield(void)
{
	gate(HC_thread_yield);
}

void platform_futex_wait(const uint32_t *word, uint32_t value)
{
	gate(HC_futex_wait, word, value, -1);
}

void platform_futex_wake(const uint32_t *word, int count)
{
	gate(HC_futex_wake, word, count);
}

void cvm_sleep_ns(uint64_t nanoseconds)
{
	uint64_t end = cvm_clock_ns() + nanoseconds, now;
	uint32_t never = 0;

	while ((now = cvm_clock_ns()) < end)
		gate(HC_futex_wait, &never, 0, end - now);
}

int platform_thread_start(struct platform_thread *t, void (*function)(void *), void *argument)
{
	_Static_assert(sizeof(struct cvm_thread) <= sizeof t->private, "room");
	return cvm_thread_create((struct cvm_thread *)t->private, function, argument);
}

void platform_thread_join(struct platform_thread *t)
{
	cvm_thread_join((struct cvm_thread *)t->private);
}

/* A bare cVM has no fork. */
int platform_after_fork(void (*function)(void))
{
	(void)function;
	return 0;
}
