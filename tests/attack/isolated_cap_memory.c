/*
 * Question: can a program that is apart from its libOS have the monitor read, write or map its libOS's memory, or map something
 * where the libOS does not expect it, by the hostcalls of capabilities that the libOS makes for it?
 * Expect: REFUSED: no hostcall took memory of the libOS
 * Control: isolate_libos=false provides=[{"file":"mine"},{"call":"mine"},{"stream":"mine"}] uses=[{"file":"mine","access":"rw","map":true,"grant":true},{"call":"mine"},{"stream":"mine"}]
 * Options: isolate_libos=true provides=[{"file":"mine"},{"call":"mine"},{"stream":"mine"}] uses=[{"file":"mine","access":"rw","map":true,"grant":true},{"call":"mine"},{"stream":"mine"}]
 * Native: the libOS's checks of what the program names
 */
#include "attack.h"
#include "isolated.h"

#define RING_MAP (2ull * CAP_STREAM_RING)

static uint64_t g_at; /* in a page of the libOS that it does not use */
static uint64_t g_file, g_stream;

static void must_be(long wanted, const char *what, uint64_t address, long result)
{
	if (result != wanted)
		breach("%s at %#lx gave %ld", what, address, result);
}

/* Every hostcall that there is, with an address of the libOS in every argument. */
static void in_registers(void)
{
	for (uint64_t number = 0; number < HC_COUNT; number++)
		for (int i = 0; is_for_programs(number) && i < 5; i++) {
			uint64_t a[5] = { g_file, 8, 8, 8, 8 };
			a[i] = g_at;
			must_be(-EFAULT, "a hostcall", g_at, ask_hostcall(number, a[0], a[1], a[2], a[3], a[4]));
			must_be(-EFAULT, "an own system call", g_at, own_syscall(BOOT_SYSCALL_CAPABILITY, number, a[0], a[1], a[2], a[3], a[4]));
		}
}

/* Buffers and capabilities on memory that begin outside and end in it, or behind everything. */
static void ranges(void)
{
	uint64_t end = slot() + SLOT_SIZE, own = (uint64_t)&g_at;
	const struct {
		uint64_t at, size;
	} bad[] = { { slot() - 4, 8 }, { slot() - 4, SLOT_LIBOS_END + 8 }, { slot() - PAGE, SLOT_SIZE }, { end - 4, 8 }, { end, 8 },
		    { own, SLOT_SIZE }, { own, -own }, { own, slot() - own + SLOT_LIBOS_TEXT }, { ~0ull - 3, 8 } };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		long memory = ASK(cap_memory, bad[i].at, bad[i].size, CAP_LOAD | CAP_STORE);
		must_be(-EFAULT, "cap_memory", bad[i].at, memory);
		if (bad[i].size > 8)
			continue;
		must_be(-EFAULT, "cap_read", bad[i].at, ASK(cap_read, g_file, bad[i].at, 8, 0));
		must_be(-EFAULT, "cap_write", bad[i].at, ASK(cap_write, g_file, bad[i].at, 8, 0));
		must_be(-EFAULT, "stream_send", bad[i].at, ASK(stream_send, g_stream, bad[i].at, 8, 0));
		must_be(-EFAULT, "stream_recv", bad[i].at, ASK(stream_recv, g_stream, bad[i].at, 8, 0));
		must_be(-EFAULT, "cap_info", bad[i].at, ASK(cap_info, g_file, bad[i].at));
		must_be(-EFAULT, "stream_window", bad[i].at, ASK(stream_window, g_stream, bad[i].at));
	}
}

static void refuses_map(const char *what, uint64_t address, uint64_t size)
{
	long r = ASK(cap_map, g_file, address, size, PROT_READ | PROT_WRITE, 0);

	if (r != -EINVAL && r != -EFAULT)
		breach("cap_map of %lu bytes over %s gave %ld", size, what, r);
	r = ASK(stream_map, g_stream, address);
	if (r != -EINVAL && r != -EFAULT)
		breach("stream_map over %s gave %ld", what, r);
}

/* Mappings: only where the program has reserved all of it. */
static void mappings(void)
{
	uint64_t reserved = (uint64_t)mmap(NULL, 2 * RING_MAP, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t used = (uint64_t)mmap((void *)(reserved + RING_MAP), RING_MAP, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	const struct {
		const char *what;
		uint64_t at, size;
	} bad[] = {
		{ "the libOS", g_at & ~(PAGE - 1), PAGE },
		{ "the libOS's heap", slot() + SLOT_LIBOS_HEAP, PAGE },
		{ "what lies before the libOS", slot(), PAGE },
		{ "all of the slot", slot() - PAGE, SLOT_SIZE },
		{ "the end of the libOS", slot() + SLOT_LIBOS_END - PAGE, 2 * PAGE },
		{ "the program areas", slot() + SLOT_PROGRAM_END, PAGE },
		{ "this thread's program area", vcpu()->program_area & ~(PAGE - 1), PAGE },
		{ "used memory", used, PAGE },
		{ "code", (uint64_t)attack & ~(PAGE - 1), PAGE },
		{ "stubs", slot() + SLOT_IMAGE_BASE + SLOT_STUB_DELTA, PAGE },
		{ "the stack", (uint64_t)__builtin_frame_address(0) & ~(PAGE - 1), PAGE },
		{ "more than is reserved", reserved + RING_MAP - PAGE, 64 * PAGE },
		{ "a size that wraps", reserved + PAGE, -(reserved + PAGE) },
		{ "a size of nothing", reserved + RING_MAP - PAGE, 0 },
		{ "no page", reserved + RING_MAP - PAGE + 1, PAGE },
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		refuses_map(bad[i].what, bad[i].at, bad[i].size);
	/* and there it works, and goes away with munmap */
	if (ASK(cap_map, g_file, reserved, PAGE, PROT_READ | PROT_WRITE, 0))
		breach("no mapping at all: nothing was tried");
	*(volatile uint64_t *)reserved = 0x6c6c6977;
	uint64_t word = 0;
	if (ASK(cap_read, g_file, &word, 8, 0) != 8 || word != 0x6c6c6977)
		breach("the mapping is not the file");
	refuses_map("a mapping", reserved, PAGE);
	munmap((void *)reserved, PAGE);
	if (!guarded(load_byte, (void *)reserved).signal)
		breach("the mapping outlives munmap");
}

static void attack(void)
{
	uint64_t listener, right, nothing = 0;

	g_at = libos_thread() & ~(PAGE - 1);
	g_file = make_mine(CAP_MEMORY, 64 * PAGE);
	listener = make_mine(CAP_LISTENER, 4);
	right = (uint64_t)ASK(cap_open, CAP_CONNECT, "mine", 4, CAP_USE);
	/* of the gate, the word itself */
	long stream = ASK(stream_connect, right, &nothing);
	if (stream <= 0 || ASK(stream_accept, listener) <= 0)
		breach("no stream");
	g_stream = (uint64_t)stream;
	must_be(-EFAULT, "cap_write", g_at, ASK(cap_write, g_file, g_at, 8, 0));
	in_registers();
	ranges();
	mappings();
	refused("no hostcall took memory of the libOS");
}
