/*
 * Clocks. Real and monotonic time come from the host's vDSO, which needs no gate; its data pages are public. Processor
 * time comes by hostcall. If the vDSO cannot answer (there is none, or the host's clock source needs the kernel), the
 * others do too, and the program is not given the vDSO. The vDSO's ELF header is the host kernel's: it is read without suspicion.
 */
#include "thread/clock.h"
#include "core/hostcall.h"
#include "core/log.h"
#include "thread/thread.h"

#include <linux/elf.h>

typedef int vdso_gettime(int clock, struct timespec *ts);

static vdso_gettime *g_vdso_gettime;
static vdso_gettime *g_vdso_getres;
static uint64_t g_vdso; /* 0: of no use */

static void *dynamic_address(const char *base, uint64_t bias, const Elf64_Dyn *d)
{
	return (void *)(d->d_un.d_ptr >= (uint64_t)base ? d->d_un.d_ptr : bias + d->d_un.d_ptr);
}

/* How many symbols there are: the vDSO has a DT_HASH, or only a DT_GNU_HASH. */
static uint32_t gnu_hash_count(const uint32_t *hash)
{
	uint32_t buckets = hash[0], offset = hash[1], bloom = hash[2], last = 0;
	const uint32_t *bucket = hash + 4 + bloom * 2, *chain = bucket + buckets;

	for (uint32_t i = 0; i < buckets; i++)
		last = MAX(last, bucket[i]);
	if (last < offset)
		return offset;
	while (!(chain[last - offset] & 1))
		last++;
	return last + 1;
}

static void *vdso_symbol(uint64_t vdso, const char *name)
{
	const char *base = (const char *)vdso, *strings = NULL;
	const Elf64_Ehdr *header = (const void *)base;
	const Elf64_Phdr *ph = (const void *)(base + header->e_phoff);
	const Elf64_Dyn *dynamic = NULL;
	const Elf64_Sym *symbols = NULL;
	uint64_t bias = vdso;
	uint32_t count = 0;

	for (int i = header->e_phnum - 1; i >= 0; i--) {
		if (ph[i].p_type == PT_LOAD)
			bias = vdso + ph[i].p_offset - ph[i].p_vaddr;
		else if (ph[i].p_type == PT_DYNAMIC)
			dynamic = (const void *)(base + ph[i].p_offset);
	}
	for (const Elf64_Dyn *d = dynamic; d && d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_STRTAB)
			strings = dynamic_address(base, bias, d);
		else if (d->d_tag == DT_SYMTAB)
			symbols = dynamic_address(base, bias, d);
		else if (d->d_tag == DT_HASH)
			count = ((const uint32_t *)dynamic_address(base, bias, d))[1];
		else if (d->d_tag == 0x6ffffef5 /* DT_GNU_HASH */ && !count)
			count = gnu_hash_count(dynamic_address(base, bias, d));
	}
	for (uint32_t i = 0; symbols && strings && i < count; i++)
		if (symbols[i].st_shndx != SHN_UNDEF && strcmp(strings + symbols[i].st_name, name) == 0)
			return (void *)(bias + symbols[i].st_value);
	return NULL;
}

void clock_init(uint64_t vdso)
{
	struct timespec now;

	if (!vdso)
		return;
	g_vdso_gettime = (vdso_gettime *)vdso_symbol(vdso, "__vdso_clock_gettime");
	g_vdso_getres = (vdso_gettime *)vdso_symbol(vdso, "__vdso_clock_getres");
	/* Where it asks the kernel, which is an upcall, it fails: see libos_interrupted. */
	if (!g_vdso_gettime || g_vdso_gettime(CLOCK_MONOTONIC, &now))
		g_vdso_gettime = g_vdso_getres = NULL;
	else
		g_vdso = vdso;
}

uint64_t clock_vdso(void)
{
	return g_vdso;
}

/* CPU clocks of threads and processes (pthread_getcpuclockid): ~pid << 3 | 4 for a thread | kind; kind 2 is the
 * scheduler's. Only the caller's own can be read. Returns `which` of hostcall thread_cputime. */
static int cpu_clock(int clock)
{
	int id = ~(clock >> 3);
	const struct thread *t = current();

	if (clock >= 0)
		return clock == CLOCK_PROCESS_CPUTIME_ID ? 1 : clock == CLOCK_THREAD_CPUTIME_ID ? 0 : -EINVAL;
	if ((clock & 3) > 2)
		return -EINVAL;
	if (clock & 4)
		return id == 0 || id == t->tid ? 0 : -EINVAL;
	return id == 0 || id == t->process->pid ? 1 : -EINVAL;
}

/* The monitor adds up threads one after another: the time of one that ends meanwhile is missing for a moment. */
static uint64_t never_less(uint64_t ns)
{
	static uint64_t told;
	uint64_t last = __atomic_load_n(&told, __ATOMIC_RELAXED);

	while (last < ns && !__atomic_compare_exchange_n(&told, &last, ns, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return MAX(ns, last);
}

int clock_read(int clock, struct timespec *ts)
{
	uint64_t ns;
	int which = cpu_clock(clock);

	if (which >= 0) {
		long err = hostcall(HC_thread_cputime, which, &ns);
		if (err)
			return (int)err;
		*ts = ns_to_timespec((int64_t)(which ? never_less(ns) : ns));
		return 0;
	}
	if (clock < 0)
		return -EINVAL;
	if (clock == CLOCK_REALTIME_ALARM)
		clock = CLOCK_REALTIME;
	else if (clock == CLOCK_BOOTTIME_ALARM)
		clock = CLOCK_BOOTTIME;
	if (g_vdso_gettime && g_vdso_gettime(clock, ts) == 0)
		return 0;
	return (int)hostcall(HC_clock_read, clock, ts);
}

int clock_resolution(int clock, struct timespec *ts)
{
	struct timespec now;
	int err = clock_read(clock, &now);

	if (err)
		return err;
	*ts = (struct timespec){ 0, 1 };
	if (clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE) {
		ts->tv_nsec = 4000000;
		if (g_vdso_getres)
			(void)g_vdso_getres(clock, ts);
	}
	return 0;
}

int64_t clock_now(int clock)
{
	struct timespec ts;

	if (clock_read(clock, &ts))
		panic("clock %d cannot be read", clock);
	return timespec_to_ns(&ts);
}
