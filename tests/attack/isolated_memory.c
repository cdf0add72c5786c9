/*
 * Question: can a program read or write its own isolated libOS: code, data, boot information, heap, its thread's kernel
 * stack, another thread's?
 * Expect: REFUSED: every load and store faults
 * Control: isolate_libos=false
 * Options: isolate_libos=true
 */
#include <pthread.h>

#include "attack.h"
#include "isolated.h"

static uint64_t g_other;
static volatile int g_stop;

static void *other(void *argument)
{
	__atomic_store_n(&g_other, libos_thread(), __ATOMIC_SEQ_CST);
	while (!g_stop)
		usleep(1000);
	return argument;
}

static void attack(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, other, NULL);
	while (!__atomic_load_n(&g_other, __ATOMIC_SEQ_CST))
		usleep(1000);
	const uint64_t places[] = { libos_text(), slot() + SLOT_LIBOS_DATA, libos_symbol("g_process"), libos_symbol("g_handlers"),
				    slot() + SLOT_LIBOS_HEAP, libos_thread(), libos_thread() - 3 * PAGE, g_other, g_other - 3 * PAGE };

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		if (!guarded(load_byte, (void *)places[i]).signal)
			breach("read place %zu, %#lx", i, places[i]);
		if (!guarded(store_byte, (void *)places[i]).signal)
			breach("wrote place %zu, %#lx", i, places[i]);
	}
	g_stop = 1;
	pthread_join(thread, NULL);
	refused("every load and store faults");
}
