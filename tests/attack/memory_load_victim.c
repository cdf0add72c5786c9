/*
 * Question: can a cVM load from memory of another cVM whose address it knows?
 * Expect: REFUSED: SIGSEGV
 * Control: --insecure-no-pkeys
 */
#include "attack.h"

static void attack(void)
{
	struct outcome o = guarded(load_byte, (void *)g_victim.pattern);

	if (!o.signal)
		breach("read the victim's memory: %#lx", *(volatile uint64_t *)g_victim.pattern);
	refused("%s", signal_text(o));
}
