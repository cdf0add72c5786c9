/*
 * Question: can WRPKRU, XRSTOR or WRGSBASE hide inside other instructions (an immediate, a displacement, two instructions that
 * meet; ERIM, USENIX Security 2019, section 4.2), to be entered in the middle, by sealing or through a file's code?
 * Expect: REFUSED: 48 hiding places
 * Control: --insecure-no-scan
 * Native: the scanner
 */
#include "attack.h"

/* Instructions with a hole of at least four bytes, and where it begins. */
static const struct {
	uint8_t bytes[12];
	int size, hole;
} k_hosts[] = {
	{ { 0xb8, 0, 0, 0, 0 }, 5, 1 },				  /* mov $imm32, %eax */
	{ { 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0 }, 10, 2 },	  /* movabs $imm64, %rax */
	{ { 0x48, 0x8d, 0x80, 0, 0, 0, 0 }, 7, 3 },		  /* lea disp32(%rax), %rax */
	{ { 0xe8, 0, 0, 0, 0 }, 5, 1 },				  /* call rel32 */
	{ { 0xc4, 0xe3, 0x7d, 0x0f, 0xc1, 0, 0x90, 0x90, 0x90 }, 9, 5 }, /* vpalignr $imm8 and what follows */
	{ { 0x0f, 0x1f, 0x80, 0, 0, 0, 0 }, 7, 3 },		  /* nop disp32(%rax) */
};
static const struct {
	uint8_t inverse[4]; /* of the bytes, which would not be loaded with this program otherwise */
	int size;
} k_hidden[] = {
	{ { 0xf0, 0xfe, 0x10 }, 3 },	   /* wrpkru */
	{ { 0xf0, 0x51, 0xd0 }, 3 },	   /* xrstor (%rdi) */
	{ { 0xf0, 0x51, 0x94, 0xff }, 4 }, /* xrstor 0(%rbx) with disp8 */
	{ { 0x0c, 0xf0, 0x51, 0x27 }, 4 }, /* wrgsbase %eax */
};

static int try_file(const uint8_t *page, uint64_t shared, uint64_t at)
{
	int fd = open("/shared/hidden", O_RDWR | O_CREAT | O_TRUNC, 0755);

	if (pwrite(fd, page, PAGE, 0) != (ssize_t)PAGE)
		breach("cannot write the file");
	close(fd);
	long file = hostcall(HC_file_open, shared, (uint64_t)"hidden", 6, O_RDONLY, 0, 0);
	long result = hostcall(HC_mem_map_code, at, PAGE, (uint64_t)file, 0, 0, 0);
	hostcall(HC_file_close, (uint64_t)file, 0, 0, 0, 0, 0);
	/* the translator may have replaced it: then the bytes are no longer there */
	return result >= 0 && !memcmp((void *)at, page, PAGE);
}

static void attack(void)
{
	uint64_t at = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30), shared = granted_directory("symbols");
	static uint8_t page[4096];
	int places = 0;

	for (size_t h = 0; h < sizeof k_hosts / sizeof k_hosts[0]; h++)
		for (size_t i = 0; i < sizeof k_hidden / sizeof k_hidden[0]; i++)
			for (int end = 0; end < 2; end++) { /* at the page's start and at its end */
				memset(page, 0x90, sizeof page);
				uint8_t *p = end ? page + PAGE - k_hosts[h].size : page;
				memcpy(p, k_hosts[h].bytes, (size_t)k_hosts[h].size);
				for (int k = 0; k < k_hidden[i].size; k++)
					p[k_hosts[h].hole + k] = (uint8_t)~k_hidden[i].inverse[k];
				if (hostcall(HC_mem_commit, at, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0))
					breach("mem_commit does not work");
				memcpy((void *)at, page, PAGE);
				if (!hostcall(HC_mem_seal_code, at, PAGE, 0, 0, 0, 0))
					breach("sequence %zu in instruction %zu was sealed", i, h);
				if (try_file(page, shared, at))
					breach("sequence %zu in instruction %zu of a file executes", i, h);
				places++;
			}
	refused("%d hiding places", places);
}
