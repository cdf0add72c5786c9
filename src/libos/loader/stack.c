/*
 * Builds the first stack of a program (loader/stack.h): strings at the top, then platform and random bytes, then auxv,
 * environment, arguments and their count. Called by loader/exec.c once the stack is mapped.
 */
#include "loader/stack.h"
#include "abi/boot.h"
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "loader/elf_map.h"
#include "mm/mm.h"
#include "served/served.h"
#include "thread/clock.h"
#include "thread/isolated.h"
#include "thread/thread.h"

#include <linux/auxvec.h>

#define STRING_MAX 0x20000ull /* MAX_ARG_STRLEN */
#define AUXV_MAX 24
#define HWCAP2_FSGSBASE 2ull
#define SIGNAL_FRAME_SIZE 1024ull /* rt_sigframe without the vector state, with alignment */
#define CLOCK_TICKS 100
#define FIRST_USED 0xa000ull /* of the stack, besides arguments and environment: most programs use no more */

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

struct builder {
	uint64_t at; /* everything above is used */
	uint64_t low;
	int error;
};

static size_t count_strings(const char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

static int add_sizes(const char *const *list, uint64_t *sum)
{
	for (; *list; list++) {
		size_t size = strlen(*list) + 1;

		if (size > STRING_MAX)
			return -E2BIG;
		*sum += size + sizeof(char *);
	}
	return 0;
}

int stack_check(const char *const *argv, const char *const *envp, uint64_t *sum)
{
	int ret;

	*sum = 0;
	ret = add_sizes(argv, sum);
	if (!ret)
		ret = add_sizes(envp, sum);
	return ret ? ret : *sum > MM_STACK_MAX / 4 ? -E2BIG : 0;
}

static uint64_t push(struct builder *b, const void *data, size_t size)
{
	if (b->error || b->at - b->low < size) {
		b->error = b->error ? b->error : -E2BIG;
		return 0;
	}
	b->at -= size;
	b->error = copy_to_user((void *)b->at, data, size);
	return b->at;
}

static uint64_t push_string(struct builder *b, const char *s)
{
	return push(b, s, strlen(s) + 1);
}

/* Last string first, so that the first one is lowest. */
static void push_strings(struct builder *b, const char *const *list)
{
	for (size_t i = count_strings(list); i; i--)
		push_string(b, list[i - 1]);
}

/* The pointers to strings that lie one after the other from `at` on, and their NULL. */
static uint64_t write_pointers(struct builder *b, uint64_t to, const char *const *list, uint64_t at)
{
	const uint64_t null = 0;

	for (; *list && !b->error; list++, to += sizeof(at)) {
		b->error = copy_to_user((void *)to, &at, sizeof(at));
		at += strlen(*list) + 1;
	}
	if (!b->error)
		b->error = copy_to_user((void *)to, &null, sizeof(null));
	return to + sizeof(null);
}

static uint32_t cpu_features(void)
{
	uint32_t eax = 1, ebx, ecx = 0, edx;

	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return edx;
}

struct auxv {
	uint64_t v[AUXV_MAX][2];
	unsigned n;
};

static void aux(struct auxv *a, uint64_t type, uint64_t value)
{
	a->v[a->n][0] = type;
	a->v[a->n++][1] = value;
}

static void fill_auxv(struct auxv *a, const struct stack_request *rq, uint64_t random, uint64_t platform, uint64_t execfn)
{
	const struct elf_info *info = &rq->program->info;
	const struct process *p = current()->process;
	uint64_t bias = rq->program->bias;

	if (clock_vdso() && !served_clocks())
		aux(a, AT_SYSINFO_EHDR, clock_vdso());
	aux(a, AT_MINSIGSTKSZ, ALIGN_UP(g_start->xsave_size + SIGNAL_FRAME_SIZE, 16ull));
	aux(a, AT_HWCAP, cpu_features());
	aux(a, AT_PAGESZ, PAGE_SIZE);
	aux(a, AT_CLKTCK, CLOCK_TICKS);
	aux(a, AT_PHDR, info->phdr_vaddr ? bias + info->phdr_vaddr : 0);
	aux(a, AT_PHENT, ELF_PHDR_SIZE);
	aux(a, AT_PHNUM, info->phdr_count);
	aux(a, AT_BASE, rq->interpreter_base);
	aux(a, AT_FLAGS, 0);
	aux(a, AT_ENTRY, bias + info->entry);
	aux(a, AT_UID, p->uid);
	aux(a, AT_EUID, p->euid);
	aux(a, AT_GID, p->gid);
	aux(a, AT_EGID, p->egid);
	aux(a, AT_SECURE, 0);
	aux(a, AT_RANDOM, random);
	aux(a, AT_HWCAP2, HWCAP2_FSGSBASE);
	aux(a, AT_EXECFN, execfn);
	aux(a, AT_PLATFORM, platform);
	aux(a, BOOT_AT_CVM, BOOT_CVM_VERSION);
	if (isolated() && !g_served) /* what a server answers must not be reached past it */
		aux(a, BOOT_AT_CVM_SYSCALL, BOOT_SYSCALL_CAPABILITY);
	aux(a, AT_NULL, 0);
}

int stack_build(const struct stack_request *rq, uint64_t *sp)
{
	struct builder b = {.at = rq->top - 8, .low = rq->top - MM_STACK_MAX};
	struct auxv a = {.n = 0};
	struct mm_args *args = mm_args(current()->process->program);
	uint64_t seed[2] = {0}, argc = count_strings(rq->argv), execfn, random, platform, size, at, sum;
	int ret = stack_check(rq->argv, rq->envp, &sum);

	if (ret)
		return ret;
	mm_stack_reach(rq->top - sum - FIRST_USED);
	hostcall(HC_random, seed, sizeof(seed));
	execfn = push_string(&b, rq->path);
	args->env_end = b.at;
	push_strings(&b, rq->envp);
	args->env_start = args->arg_end = b.at;
	push_strings(&b, rq->argv);
	args->arg_start = b.at;
	b.at = ALIGN_DOWN(b.at, 16ull);
	platform = push_string(&b, "x86_64");
	random = push(&b, seed, sizeof(seed));
	if (b.error)
		return b.error;
	fill_auxv(&a, rq, random, platform, execfn);

	size = a.n * sizeof(a.v[0]) + (1 + argc + 1 + count_strings(rq->envp) + 1) * sizeof(uint64_t);
	if (b.at - b.low < size + 16)
		return -E2BIG;
	*sp = ALIGN_DOWN(b.at - size, 16ull);
	b.error = copy_to_user((void *)*sp, &argc, sizeof(argc));
	at = write_pointers(&b, *sp + sizeof(argc), rq->argv, args->arg_start);
	at = write_pointers(&b, at, rq->envp, args->env_start);
	args->auxv = at;
	args->auxv_size = a.n * sizeof(a.v[0]);
	return b.error ? b.error : copy_to_user((void *)at, a.v, args->auxv_size);
}
