/*
 * The slot: the one aligned range of addresses that a cVM owns, and how monitor, libOS and translator divide it.
 * The monitor enforces only "inside the slot" and, with isolate_libos, that the program has no access below SLOT_LIBOS_END;
 * the rest is the libOS's business, but the translator's stubs rely on SLOT_STUB_DELTA and the launcher on the libOS
 * image's place.
 */
#ifndef ABI_SLOT_H
#define ABI_SLOT_H

#define SLOT_SIZE (1ull << 36) /* 64 GiB, aligned to its size */
#define SLOT_MASK (~(SLOT_SIZE - 1))

/* Offsets from the slot's base. Below SLOT_LIBOS_TEXT nothing is ever mapped. */
#define SLOT_LIBOS_TEXT 0x00100000ull /* libOS code, at most 16 MiB */
#define SLOT_LIBOS_DATA 0x01100000ull /* libOS data, bss, then boot information (struct libos_boot) */
#define SLOT_LIBOS_HEAP 0x10000000ull /* kernel heap and kernel stacks of the libOS (shared when fork comes) */
#define SLOT_LIBOS_FILES 0x100000000ull /* 4 GiB: files that the libOS has mapped for itself (fs/mapped.c) */
#define SLOT_LIBOS_END 0x140000000ull /* 5 GiB: end of what belongs to the libOS */

/*
 * Program images (executable files and libraries) lie in windows of 1 GiB; the translator's stubs for code at X lie
 * at X + SLOT_STUB_DELTA, so every cVM maps the same translated bytes at any place. Windows alternate: image, stub.
 */
#define SLOT_STUB_DELTA 0x40000000ull /* 1 GiB */
#define SLOT_IMAGE_BASE 0x140000000ull
#define SLOT_IMAGE_WINDOWS 4
#define SLOT_IMAGE_END (SLOT_IMAGE_BASE + SLOT_IMAGE_WINDOWS * 2 * SLOT_STUB_DELTA) /* 13 GiB */

#define SLOT_PROGRAM_BASE SLOT_IMAGE_END /* brk, anonymous memory, stacks, other file mappings */
#define SLOT_PROGRAM_END (SLOT_SIZE - 0x100000ull) /* behind it: program areas of isolated threads (isolate_libos) */

/*
 * The low window: addresses that executables linked at a fixed place want (ET_EXEC, such as Debian's python3.11). It
 * belongs to at most one cVM at a time (hostcall mem_low_window), besides its slot. Images below SLOT_STUB_DELTA, their
 * stubs above it, as in an image window.
 */
#define SLOT_LOW_BASE 0x10000ull
#define SLOT_LOW_END (2 * SLOT_STUB_DELTA)

#define CVM_PAGE_SIZE 4096ull

#endif
