/*
 * Does translated code still work? Loaded with LD_PRELOAD into any glibc program, this replaces the text of the C
 * library, the dynamic linker and every other library already loaded by its translation, before main runs: rewritten
 * system call sites then enter a tiny "libOS" that makes the real system call, XRSTOR goes through a gate that is just
 * that. A program that passes its own tests so was translated well, or does not run what was not.
 *
 * With TRANSLATE_LIVE=verbose it says what it replaced, and how often the stubs were used at exit.
 * Needs no protection keys. Knows nothing of the Intravisor but src/translate.
 */
#include <asm/prctl.h>
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/slot.h"
#include "abi/vcpu.h"
#include "translate/translate.h"

#define SEGMENTS_MAX 64
#define COUNTER 64 /* offset in the page at %gs:0 */

struct segment {
	uint64_t address, size, offset;
	char path[256];
	struct translate_output out;
};

static struct segment g_segment[SEGMENTS_MAX];
static size_t g_segments;
static uint8_t *g_vcpu;

void live_syscall_entry(void);
void live_xrstor_gate(void);

/* rcx holds where to go on; the x87 registers, empty at any call, keep it even where a clone changes the stack. */
__asm__(".text\n"
	"live_syscall_entry:\n"
	"	lock incq %gs:64\n" /* flags are not live: a C library looks at none across a system call */
	"	movq %rcx, %mm0\n"
	"	syscall\n"
	"	movq %mm0, %rcx\n"
	"	emms\n"
	"	jmp *%rcx\n"
	"live_xrstor_gate:\n"
	"	lock incq %gs:72\n"
	"	xrstor (%rdi)\n"
	"	ret\n");

static long raw(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static void die(const char *what, const char *path)
{
	fprintf(stderr, "translate_live: %s: %s\n", what, path);
	_exit(125);
}

static void find_segments(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
		struct segment *s = &g_segment[g_segments];
		unsigned long start, end, offset;
		char prot[8];

		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %255s", &start, &end, prot, &offset, s->path) != 5 ||
		    strcmp(prot, "r-xp") != 0 || s->path[0] != '/' || strstr(s->path, "translate_live") != NULL ||
		    strstr(s->path, "Zydis") != NULL)
			continue;
		s->address = start;
		s->size = end - start;
		s->offset = offset;
		if (++g_segments == SEGMENTS_MAX)
			die("too many segments", s->path);
	}
	if (maps != NULL)
		fclose(maps);
}

static void translate(struct segment *s)
{
	struct translate_input in = { .offset = s->offset, .size = s->size, .stubs = true };
	int fd = open(s->path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		die("cannot open", s->path);
	in.file_size = (size_t)st.st_size;
	in.file = mmap(NULL, in.file_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (in.file == MAP_FAILED || translate_segment(&in, &s->out) != 0 || s->out.text_size != s->size)
		die("cannot translate", s->path);
	munmap((void *)in.file, in.file_size);
	close(fd);
}

/* The text is replaced in one go by moving the translated pages over it. */
static void replace(struct segment *s)
{
	long stubs;

	if (s->out.stub_size != 0) {
		stubs = raw(SYS_mmap, (long)(s->address + SLOT_STUB_DELTA), (long)s->out.stub_size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (stubs != (long)(s->address + SLOT_STUB_DELTA)) {
			fprintf(stderr, "translate_live: no room for the stubs of %s\n", s->path);
			s->out.sites_rewritten = 0;
			return;
		}
		memcpy((void *)stubs, s->out.stubs, s->out.stub_size);
		raw(SYS_mprotect, stubs, (long)s->out.stub_size, PROT_READ | PROT_EXEC, 0, 0, 0);
	}
	raw(SYS_mprotect, (long)s->out.text, (long)s->size, PROT_READ | PROT_EXEC, 0, 0, 0);
	raw(SYS_mremap, (long)s->out.text, (long)s->size, (long)s->size, MREMAP_MAYMOVE | MREMAP_FIXED, (long)s->address,
	    0);
	s->out.text = NULL;
}

static void report(void)
{
	uint64_t calls, restores;

	memcpy(&calls, g_vcpu + COUNTER, 8);
	memcpy(&restores, g_vcpu + COUNTER + 8, 8);
	fprintf(stderr, "translate_live: %llu system calls and %llu XRSTOR through stubs\n", (unsigned long long)calls,
		(unsigned long long)restores);
}

__attribute__((constructor)) static void start(void)
{
	const char *mode = getenv("TRANSLATE_LIVE");
	bool verbose = mode != NULL && strcmp(mode, "verbose") == 0;
	struct vcpu_page *page;

	g_vcpu = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page = (struct vcpu_page *)g_vcpu;
	page->self = (uint64_t)g_vcpu;
	page->syscall_entry = (uint64_t)live_syscall_entry;
	page->xrstor_gate = (uint64_t)live_xrstor_gate;
	if (raw(SYS_arch_prctl, ARCH_SET_GS, (long)g_vcpu, 0, 0, 0, 0) != 0)
		die("cannot set the GS base", "arch_prctl");
	find_segments();
	for (size_t i = 0; i < g_segments; i++)
		translate(&g_segment[i]);
	for (size_t i = 0; i < g_segments; i++)
		replace(&g_segment[i]);
	for (size_t i = 0; verbose && i < g_segments; i++)
		fprintf(stderr, "translate_live: %s: %u of %u system calls\n", g_segment[i].path,
			g_segment[i].out.sites_rewritten, g_segment[i].out.sites_found);
	if (verbose)
		atexit(report);
}
