/*
 * Question: the translator decodes files that a cVM wrote. Can a hostile ELF file (wild headers, tables, symbols, unwind data,
 * code; cut while it is read) crash what serves other cVMs, get forbidden bytes into executable memory, or stop the service?
 * Expect: REFUSED: after 270 hostile files an ordinary one works, and nothing forbidden executes
 * Control: --insecure-no-scan
 * Options: memory=1G
 * Native: the translator's process and the scanner behind it
 */
#include <elf.h>

#include "raw.h"

#define SIZE_MAX_ (1 << 20)

static uint64_t g_shared, g_root, g_at, g_seed = 1;
static uint8_t g_original[SIZE_MAX_], g_file[SIZE_MAX_];
static size_t g_size;
static volatile bool g_stop;

static uint64_t random_number(void)
{
	g_seed ^= g_seed << 13, g_seed ^= g_seed >> 7, g_seed ^= g_seed << 17;
	return g_seed;
}

static long map_segment(long file, const uint8_t *bytes, bool stubs)
{
	const Elf64_Ehdr *header = (const void *)bytes;
	const Elf64_Phdr *segment = (const void *)(bytes + header->e_phoff);

	for (int i = 0; i < header->e_phnum; i++)
		if (segment[i].p_type == PT_LOAD && segment[i].p_flags & PF_X) {
			uint64_t from = segment[i].p_offset & ~(PAGE - 1), to = (segment[i].p_offset + segment[i].p_filesz + PAGE - 1) & ~(PAGE - 1);
			long result = hostcall(HC_mem_map_code, g_at, to - from, (uint64_t)file, from, stubs ? HC_CODE_STUBS : 0, 0);
			return result < 0 ? result : (long)(to - from);
		}
	return -ENOEXEC;
}

/* Pages of data keep what they hold but do not execute: a return in them shows it. */
static bool executes(uint64_t address)
{
	uint8_t *ret = memchr((void *)(address & ~(PAGE - 1)), 0xc3, PAGE);

	return !ret || guarded((void (*)(void *))ret, NULL).address != (uint64_t)ret;
}

/* The forbidden sequences' bytes, as base/forbidden.h has them, without that they stand here. */
static void look(uint64_t from, uint64_t size, int turn)
{
	const uint8_t *p = (const uint8_t *)from;

	for (uint64_t i = 0; i + 3 <= size; i++) {
		if (p[i] != 0x0f)
			continue;
		uint8_t reg = p[i + 2] >> 3 & 7;
		bool memory = p[i + 2] >> 6 != 3;
		if ((p[i + 1] == 0x01 && p[i + 2] == 0xef) || (p[i + 1] == 0xae && reg == 5 && memory))
			if (executes(from + i))
				breach("turn %d: a forbidden sequence at byte %lu", turn, i);
	}
}

static void write_whole(const char *name, const uint8_t *bytes, size_t size)
{
	char path[64];

	snprintf(path, sizeof path, "/shared/%s", name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0755);
	if (write(fd, bytes, size) != (ssize_t)size)
		breach("cannot write %s", path);
	close(fd);
}

static void mutate(int turn)
{
	static const uint64_t odd[] = { 0, 1, 7, 0xfff, 0x1000, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, ~0ull, ~0xfffull };
	static const uint8_t inverse[] = { 0xf0, 0xfe, 0x10 };
	Elf64_Ehdr *header = (void *)g_file;

	memcpy(g_file, g_original, g_size);
	switch (turn % 9) {
	case 0: /* a field of the file header behind the identification */
		*(uint16_t *)(g_file + 16 + random_number() % 46) = (uint16_t)odd[random_number() % 12];
		break;
	case 1: /* a field of a program header */
		memcpy(g_file + header->e_phoff + random_number() % (56u * header->e_phnum - 8), &odd[random_number() % 12], 8);
		break;
	case 2: /* of a section header */
		memcpy(g_file + header->e_shoff + random_number() % (64u * header->e_shnum - 8), &odd[random_number() % 12], 8);
		break;
	case 3: /* counts of headers */
		header->e_shnum = (uint16_t)random_number(), header->e_phnum = (uint16_t)(turn & 16 ? header->e_phnum : 0xffff);
		break;
	case 4: /* tables that overlap each other and the headers */
		header->e_shoff = header->e_phoff + random_number() % 64;
		break;
	case 5: /* anything anywhere */
		for (int i = 0; i < 200; i++)
			g_file[64 + random_number() % (g_size - 64)] = (uint8_t)random_number();
		break;
	case 6: /* code of random bytes, full of system calls and prefixes */
		for (size_t i = 0x1000; i < g_size; i++)
			g_file[i] = random_number() % 3 ? (uint8_t)random_number() : (uint8_t)(0x0f05f366 >> random_number() % 4 * 8);
		break;
	case 7: /* WRPKRU at many places of the code */
		for (int i = 0; i < 50; i++) {
			size_t at = 0x1000 + random_number() % (g_size - 0x1003);
			for (int k = 0; k < 3; k++)
				g_file[at + (size_t)k] = (uint8_t)~inverse[k];
		}
		break;
	default: /* sections' contents: unwind tables, symbols, relocations */
		for (int i = 0; i < 40; i++) {
			const Elf64_Shdr *section = (const void *)(g_original + header->e_shoff + 64 * (random_number() % header->e_shnum));
			if (section->sh_type != SHT_NOBITS && section->sh_size > 8 && section->sh_offset + section->sh_size < g_size)
				memcpy(g_file + section->sh_offset + random_number() % (section->sh_size - 8), &odd[random_number() % 12], 8);
		}
	}
}

/* Cuts and grows the file while it is read. */
static void cuts(void *unused)
{
	(void)unused;
	while (!g_stop) {
		long file = hostcall(HC_file_open, g_shared, (uint64_t)"hostile", 7, O_RDWR, 0, 0);
		if (file < 0)
			continue;
		hostcall(HC_file_truncate, (uint64_t)file, 100, 0, 0, 0, 0);
		hostcall(HC_file_truncate, (uint64_t)file, 40000, 0, 0, 0, 0);
		hostcall(HC_file_close, (uint64_t)file, 0, 0, 0, 0, 0);
	}
}

static int try_file(int turn, const uint8_t *layout, bool stubs)
{
	long file = hostcall(HC_file_open, g_shared, (uint64_t)"hostile", 7, O_RDONLY, 0, 0);
	long size = file < 0 ? file : map_segment(file, layout, stubs);

	hostcall(HC_file_close, (uint64_t)file, 0, 0, 0, 0, 0);
	if (size > 0)
		look(g_at, (uint64_t)size, turn);
	return size > 0;
}

static void attack(void)
{
	int mapped = 0;

	g_shared = granted_directory("symbols");
	g_root = granted_directory("etc/passwd");
	g_at = ((uint64_t)&g_victim & SLOT_MASK) + SLOT_IMAGE_BASE + 6 * SLOT_STUB_DELTA + (512ull << 20);
	long file = hostcall(HC_file_open, g_root, (uint64_t)"usr/bin/true", 12, O_RDONLY, 0, 0);
	long size = file < 0 ? file : hostcall(HC_file_pread, (uint64_t)file, (uint64_t)g_original, SIZE_MAX_, 0, 0, 0);
	if (size < 10000 || size == SIZE_MAX_ || memcmp(g_original, ELFMAG, 4))
		breach("cannot read the file to begin with: %ld", size);
	g_size = (size_t)size;
	for (int turn = 0; turn < 270; turn++) {
		mutate(turn);
		write_whole("hostile", g_file, turn % 7 == 6 ? g_size / 2 : g_size);
		mapped += try_file(turn, g_original, turn & 1);
	}
	struct raw_thread *cutter = raw_new(cuts, NULL);
	raw_start(cutter);
	for (int turn = 0; turn < 20; turn++)
		try_file(1000 + turn, g_original, true);
	g_stop = true;
	raw_wait(cutter);
	write_whole("hostile", g_original, g_size);
	if (!try_file(2000, g_original, true))
		breach("after that an ordinary file does not work any more");
	if (mapped < 20)
		breach("only %d hostile files got as far as being mapped", mapped);
	refused("after 270 hostile files an ordinary one works, and nothing forbidden executes");
}
