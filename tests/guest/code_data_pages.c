/*
 * A code segment that holds pages of read-only data, some with bytes that may not execute: it loads, the data reads as it
 * is, code on both sides runs, and protections may be changed and changed back.
 * Build: one-segment
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096ul

static const uint8_t k_data[5 * PAGE] __attribute__((aligned(4096))) = {
	[0] = 1,
	[PAGE + 7] = 0x0f, 0x01, 0xef,	     /* WRPKRU */
	[2 * PAGE - 2] = 0x0f, 0xae, 0x28,   /* XRSTOR, across two pages */
	[3 * PAGE] = 0xf3, 0x0f, 0xae, 0xd8, /* WRGSBASE */
	[5 * PAGE - 1] = 9,
};

static uint32_t sum(const uint8_t *volatile p)
{
	uint32_t s = 0;

	for (uint32_t i = 0; i < sizeof k_data; i++)
		s = s * 31 + p[i];
	return s;
}

int main(void)
{
	void *page = (void *)(uintptr_t)(k_data + PAGE);
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], access[8];
	unsigned long start, end;

	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %4s", &start, &end, access) == 3 && (unsigned long)page >= start && (unsigned long)page < end)
			printf("maps say %s\n", access);
	printf("sum %x\n", sum(k_data));
	printf("none: %d\n", mprotect(page, PAGE, PROT_NONE));
	printf("read and execute again: %d\n", mprotect(page, PAGE, PROT_READ | PROT_EXEC));
	printf("sum %x\n", sum(k_data));
	return 0;
}
