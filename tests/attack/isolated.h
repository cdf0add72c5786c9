/*
 * What attacks of a program on its own isolated libOS share: where that is. Include after attack.h.
 */
#ifndef TESTS_ATTACK_ISOLATED_H
#define TESTS_ATTACK_ISOLATED_H

static MAYBE uint64_t slot(void)
{
	return (uint64_t)&g_victim & SLOT_MASK; /* the programs are position-independent: not in the low window */
}

static MAYBE uint64_t libos_text(void)
{
	return slot() + SLOT_LIBOS_TEXT;
}

/* The caller's struct thread, on the libOS's heap. */
static MAYBE uint64_t libos_thread(void)
{
	return vcpu()->libos_thread;
}

/* The run-time address of a symbol of the libOS. */
static MAYBE uint64_t libos_symbol(const char *wanted)
{
	return slot() + symbol_offset("/shared/libos-symbols", wanted);
}

#endif
