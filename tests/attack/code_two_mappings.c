/*
 * Question: can a forbidden sequence arise where two mappings of different kind meet: code of a file and sealed memory, code
 * and its own stubs' neighbour, in either order, with one replaced, moved or protected in between (Garmr, Cerberus: pages are
 * checked one by one)?
 * Expect: REFUSED: no boundary was crossed
 * Control: --insecure-no-scan
 * Native: the check of edges
 */
#include "attack.h"

static uint64_t g_at, g_shared;
static const uint8_t k_inverse[] = { 0xf0, 0xfe, 0x10 }; /* of WRPKRU */

static void fill(uint64_t page, bool at_end, int first, int count)
{
	uint8_t bytes[PAGE];

	memset(bytes, 0x90, PAGE);
	for (int i = 0; i < count; i++)
		bytes[at_end ? (int)PAGE - count + i : i] = (uint8_t)~k_inverse[first + i];
	memcpy((void *)page, bytes, PAGE);
}

static bool sealed(uint64_t page, bool at_end, int first, int count)
{
	if (hostcall(HC_mem_commit, page, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0))
		breach("mem_commit does not work");
	fill(page, at_end, first, count);
	return !hostcall(HC_mem_seal_code, page, PAGE, 0, 0, 0, 0);
}

static bool mapped(uint64_t page, bool at_end, int first, int count, uint64_t flags)
{
	static char bytes[4096] __attribute__((aligned(4096)));
	char name[] = "code-0";
	static int number;

	fill((uint64_t)bytes, at_end, first, count);
	name[5] = (char)('a' + number++);
	char path[32];
	snprintf(path, sizeof path, "/shared/%s", name);
	int fd = open(path, O_RDWR | O_CREAT, 0755);
	if (pwrite(fd, bytes, PAGE, 0) != (ssize_t)PAGE)
		breach("cannot write the file");
	close(fd);
	long file = hostcall(HC_file_open, g_shared, (uint64_t)name, 6, O_RDONLY, 0, 0);
	long result = hostcall(HC_mem_map_code, page, PAGE, (uint64_t)file, 0, flags, 0);
	hostcall(HC_file_close, (uint64_t)file, 0, 0, 0, 0, 0);
	return result >= 0;
}

static void whole(const char *what)
{
	for (int i = 0; i < 2 * (int)PAGE - 2; i++) {
		const uint8_t *p = (const uint8_t *)g_at + i;
		if (p[0] == (uint8_t)~k_inverse[0] && p[1] == (uint8_t)~k_inverse[1] && p[2] == (uint8_t)~k_inverse[2])
			breach("%s: WRPKRU across two mappings is executable", what);
	}
}

/* Reads two pages unless one of them is inaccessible. */
static void check(const char *what, bool first, bool second)
{
	if (first && second)
		whole(what);
}

static void attack(void)
{
	g_at = ((uint64_t)&g_victim & SLOT_MASK) + (32ull << 30);
	g_shared = granted_directory("symbols");
	for (int split = 1; split <= 2; split++) {
		bool a = sealed(g_at, true, 0, split), b = mapped(g_at + PAGE, false, split, 3 - split, 0);
		check("sealed, then a file", a, b);
		b = mapped(g_at + PAGE, false, split, 3 - split, 0), a = sealed(g_at, true, 0, split);
		check("a file, then sealed", a, b);
		a = mapped(g_at, true, 0, split, 0), b = mapped(g_at + PAGE, false, split, 3 - split, 0);
		check("a file, then a file", a, b);
		/* a harmless neighbour that is replaced */
		a = sealed(g_at, true, 0, split), b = sealed(g_at + PAGE, false, 0, 0);
		if (!a || !b)
			breach("harmless code was refused");
		b = sealed(g_at + PAGE, false, split, 3 - split);
		check("a neighbour replaced", a, b);
		/* made inaccessible or moved away, sealed beside, and made accessible again: it must have lost its execution */
		a = sealed(g_at, true, 0, split);
		hostcall(HC_mem_protect, g_at, PAGE, PROT_NONE, 0, 0, 0);
		b = sealed(g_at + PAGE, false, split, 3 - split);
		hostcall(HC_mem_protect, g_at, PAGE, PROT_READ, 0, 0, 0);
		if (!b)
			breach("code beside a page that does not execute was refused");
		if (!guarded((void (*)(void *))(g_at + PAGE - split), NULL).signal)
			breach("a protected page executes again");
		if (!hostcall(HC_mem_seal_code, g_at, PAGE, 0, 0, 0, 0))
			check("sealed again", true, true);
		/* executable pages do not move */
		a = sealed(g_at + 4 * PAGE, true, 0, split);
		if (!hostcall(HC_mem_move, g_at + 4 * PAGE, PAGE, g_at, PAGE, 0, 0))
			check("moved beside", a, b);
	}
	refused("no boundary was crossed");
}
