/*
 * Question: a file's code brings stubs, 1 GiB above it. Can that place be used: by changing or moving
 * stubs, or by stubs that come to lie outside of their window or of the slot?
 * Expect: REFUSED: stubs are sealed, scanned and in their window
 * Control: --insecure-no-wx
 * Native: map_sealed and stubs_fit
 */
#include <elf.h>

#include "attack.h"

static uint64_t g_base, g_root;

static uint64_t g_offset, g_size; /* of libc's code, which is full of system calls */

static void find_code(long file)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;

	if (hostcall(HC_file_pread, (uint64_t)file, (uint64_t)&header, sizeof header, 0, 0, 0) != sizeof header)
		breach("cannot read libc");
	for (int i = 0; i < header.e_phnum; i++) {
		hostcall(HC_file_pread, (uint64_t)file, (uint64_t)&segment, sizeof segment, header.e_phoff + (uint64_t)i * sizeof segment, 0, 0);
		if (segment.p_type == PT_LOAD && segment.p_flags & PF_X) {
			g_offset = segment.p_offset & ~(PAGE - 1);
			g_size = (segment.p_offset + segment.p_filesz - g_offset + PAGE - 1) & ~(PAGE - 1);
		}
	}
}

static long map(uint64_t at)
{
	static const char path[] = "lib/x86_64-linux-gnu/libc.so.6";
	long file = hostcall(HC_file_open, g_root, (uint64_t)path, sizeof path - 1, O_RDONLY, 0, 0);

	if (file < 0)
		breach("cannot open libc: %ld", file);
	long result = hostcall(HC_mem_map_code, at, g_size, (uint64_t)file, g_offset, HC_CODE_STUBS, 0);
	hostcall(HC_file_close, (uint64_t)file, 0, 0, 0, 0, 0);
	return result;
}

static void attack(void)
{
	g_base = (uint64_t)&g_victim & SLOT_MASK;
	g_root = granted_directory("etc/passwd");
	find_code(hostcall(HC_file_open, g_root, (uint64_t)"lib/x86_64-linux-gnu/libc.so.6", 30, O_RDONLY, 0, 0));
	const uint64_t window = SLOT_STUB_DELTA, image = g_base + SLOT_IMAGE_BASE + 6 * window + (512ull << 20), stubs = image + window;
	const uint64_t outside[] = { g_base + SLOT_IMAGE_BASE + window, g_base + SLOT_IMAGE_END - PAGE, g_base + SLOT_IMAGE_END, g_base + SLOT_SIZE - PAGE,
				     g_base + SLOT_LIBOS_HEAP, g_base + SLOT_LIBOS_TEXT, g_base + SLOT_IMAGE_BASE - PAGE, g_base - PAGE, g_base + SLOT_SIZE,
				     g_victim.code & ~(PAGE - 1), SLOT_LOW_BASE, SLOT_LOW_END - PAGE, vcpu()->monitor_thread & ~(PAGE - 1) };

	for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
		if (map(outside[i]) >= 0)
			breach("code with stubs was mapped at place %zu, %#lx", i, outside[i]);
	if (hostcall(HC_mem_commit, stubs, 2 * PAGE, PROT_READ | PROT_WRITE, 0, 0, 0))
		breach("mem_commit does not work");
	long size = map(image);
	if (size <= 0)
		breach("code with stubs cannot be mapped: %ld", size);
	/* what was memory of ours there is the stubs now, and only that */
	if (!guarded(store_byte, (void *)stubs).signal)
		breach("the stubs are writable");
	if (!hostcall(HC_mem_protect, stubs, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, 0, 0, 0) && !guarded(store_byte, (void *)stubs).signal)
		breach("the stubs became writable and executable");
	if (hostcall(HC_mem_move, stubs, PAGE, image + 16 * PAGE, PAGE, 0, 0) >= 0)
		breach("the stubs were moved");
	/* written over through the front door they execute no more */
	if (map(image) <= 0 || hostcall(HC_mem_protect, stubs, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0))
		breach("cannot map again");
	*(uint8_t *)stubs = 0xc3;
	if (!guarded((void (*)(void *))stubs, NULL).signal)
		breach("changed stubs execute");
	refused("stubs are sealed, scanned and in their window");
}
