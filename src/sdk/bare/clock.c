/* The monotonic clock: the host's vDSO, which every cVM may execute; without one, or where it would make a system call, the
 * monitor's. */
#include <elf.h>

#include "sdk/bare/bare.h"

typedef int clock_fn(int clock, int64_t ts[2]);

/* The vDSO is linked at 0 with one loaded segment: offsets in the file are addresses. */
static clock_fn *find_clock(void)
{
	const char *base = (const char *)g_bare_start.vdso, *strings = NULL;
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)base;
	const Elf64_Sym *symbols = NULL;
	const Elf64_Dyn *dynamic = NULL;
	uint32_t count = 0;

	for (int i = 0; base && i < eh->e_phnum; i++) {
		const Elf64_Phdr *ph = (const Elf64_Phdr *)(base + eh->e_phoff) + i;
		if (ph->p_type == PT_DYNAMIC)
			dynamic = (const Elf64_Dyn *)(base + ph->p_offset);
	}
	for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
		if (dynamic->d_tag == DT_STRTAB)
			strings = base + dynamic->d_un.d_ptr;
		else if (dynamic->d_tag == DT_SYMTAB)
			symbols = (const Elf64_Sym *)(base + dynamic->d_un.d_ptr);
		else if (dynamic->d_tag == DT_HASH)
			count = ((const uint32_t *)(base + dynamic->d_un.d_ptr))[1];
	}
	/* Newer ones have no DT_HASH: then the symbols end where the strings begin. */
	if (!count && strings > (const char *)symbols)
		count = (uint32_t)((strings - (const char *)symbols) / (long)sizeof *symbols);
	for (uint32_t i = 0; strings && symbols && i < count; i++)
		if (symbols[i].st_shndx && !memcmp(strings + symbols[i].st_name, "__vdso_clock_gettime", 21))
			return (clock_fn *)(base + symbols[i].st_value);
	return NULL;
}

uint64_t platform_now(void)
{
	static clock_fn *known;
	clock_fn *f = __atomic_load_n(&known, __ATOMIC_RELAXED);
	struct hc_info info;
	int64_t ts[2];

	if (!f) {
		f = find_clock();
		__atomic_store_n(&known, f, __ATOMIC_RELAXED);
	}
	if (f && !f(1 /* CLOCK_MONOTONIC */, ts))
		return (uint64_t)ts[0] * 1000000000ull + (uint64_t)ts[1];
	return gate(HC_cvm_info, &info) ? 0 : info.boottime_ns;
}

uint64_t cvm_clock_ns(void)
{
	return platform_now();
}
