/*
 * A hostile cVM: some threads make random and half-valid hostcalls, straight through the gate and past their own libOS,
 * which knows nothing of it. Driven by hostcalls_live.py, which watches the monitor and another cVM meanwhile.
 *
 * usage: hostcalls_guest SEED STEPS DIRECTORY     DIRECTORY is a volume; STEPS 0 does nothing
 * Ends by a hostcall of its own, or in any way that is its own fault.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include "abi/capability.h"
#include "abi/hostcall.h"
#include "abi/slot.h"
#include "abi/vcpu.h"

#define PAGE CVM_PAGE_SIZE
#define ARENA_PAGES 1024u
#define SCRATCH_SIZE 65536u
#define FUZZERS 3
#define IDLE_MAX 100 /* times 2 ms without a step of anybody */

struct fuzzer {
	uint64_t random;
	uint64_t steps;
	uint64_t length;	/* of the buffer or path chosen last */
	uint8_t *scratch;	/* this thread's buffers */
	uint32_t vcpu;
	uint64_t cap[16]; /* capabilities it got, some of them closed again */
};

static uint8_t *g_arena;
static struct fuzzer g_fuzzer[FUZZERS];
static uint32_t g_done, g_never;
static uint8_t g_stacks[8][16384] __attribute__((aligned(4096)));
static struct upcall_frame g_frames[8] __attribute__((aligned(16)));

/* Calls between cVMs come back with every register but rsp changed. */
static __attribute__((noinline)) long hostcall(uint64_t number, const uint64_t a[6])
{
	register uint64_t r8 __asm__("r8") = a[2], r9 __asm__("r9") = a[3], r10 __asm__("r10") = a[4];
	register uint64_t r11 __asm__("r11") = number, r12 __asm__("r12") = a[5];
	uint64_t rdi = a[0], rsi = a[1];
	long result;

	__asm__ volatile("sub $128, %%rsp\n\tpush %%rbp\n\tpush %%rbx\n\tpush %%r12\n\tpush %%r13\n\tpush %%r14\n\tpush %%r15\n\t"
			 "call *%%gs:16\n\t"
			 "pop %%r15\n\tpop %%r14\n\tpop %%r13\n\tpop %%r12\n\tpop %%rbx\n\tpop %%rbp\n\tadd $128, %%rsp"
			 : "=a"(result), "+D"(rdi), "+S"(rsi), "+r"(r8), "+r"(r9), "+r"(r10), "+r"(r11)
			 : "r"(r12)
			 : "rcx", "rdx", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
			   "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	return result;
}

/* What threads made by hostcall run: a few hostcalls and the end, the same when they are kicked. */
__asm__(".text\n"
	"made_thread:\n"
	"	mov $40, %ebx\n"
	"1:	xor %r11d, %r11d\n" /* null */
	"	call *%gs:16\n"
	"	dec %ebx\n"
	"	jnz 1b\n"
	"made_upcall:\n"
	"	xor %edi, %edi\n"
	"	mov made_exit_number(%rip), %r11\n"
	"	call *%gs:16\n"
	"	ud2\n"
	".data\n"
	"made_exit_number: .quad 0\n"
	".text\n");
extern char made_thread[], made_upcall[];
extern uint64_t made_exit_number;

static uint64_t next(struct fuzzer *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return f->random;
}

static uint64_t below(struct fuzzer *f, uint64_t n)
{
	return (next(f) >> 16) % n;
}

static bool rarely(struct fuzzer *f, unsigned one_in)
{
	return below(f, one_in) == 0;
}

static uint64_t slot(void)
{
	return (uint64_t)&g_done & SLOT_MASK;
}

/* Addresses that are not the caller's, or at the edge of what is. */
static uint64_t foreign(struct fuzzer *f)
{
	struct vcpu_page *v;
	__asm__("mov %%gs:0, %0" : "=r"(v));
	const uint64_t edge[] = { slot() - SLOT_SIZE, slot() - PAGE, slot(), slot() + SLOT_SIZE - PAGE, slot() + SLOT_SIZE, (uint64_t)v, v->monitor_thread, v->gate,
				  0, PAGE, SLOT_LOW_BASE, SLOT_LOW_END - PAGE, SLOT_LOW_END, 1ull << 47, ~0ull << 47, ~0ull & ~(PAGE - 1), slot() + SLOT_LIBOS_HEAP - PAGE,
				  slot() - SLOT_SIZE + SLOT_PROGRAM_BASE };

	return edge[below(f, sizeof edge / sizeof edge[0])] + (rarely(f, 3) ? below(f, 2 * PAGE) : 0);
}

static uint64_t anything(struct fuzzer *f)
{
	static const uint64_t odd[] = { 0, 1, 2, 0xff, PAGE, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, 1ull << 62, 1ull << 63, ~0ull, ~0ull - 4095, 1ull << 40 };

	return rarely(f, 2) ? odd[below(f, sizeof odd / sizeof odd[0])] : rarely(f, 2) ? next(f) : foreign(f);
}

static uint64_t page_address(struct fuzzer *f)
{
	if (rarely(f, 40))
		return foreign(f) & (rarely(f, 4) ? ~0ull : ~(PAGE - 1));
	if (rarely(f, 60)) /* image window, the low window, or far out in the slot */
		return below(f, 2) ? slot() + SLOT_IMAGE_BASE + 0x30000000 + PAGE * below(f, 4096) : slot() + (48ull << 30) + PAGE * below(f, 1 << 20);
	return (uint64_t)g_arena + PAGE * below(f, ARENA_PAGES);
}

static uint64_t page_size(struct fuzzer *f, uint64_t address)
{
	uint64_t end = (uint64_t)g_arena + ARENA_PAGES * PAGE;

	if (rarely(f, 60))
		return anything(f);
	uint64_t size = PAGE * (1 + below(f, rarely(f, 8) ? 256 : 8));
	return address >= (uint64_t)g_arena && address < end && size > end - address ? end - address : size;
}

static uint64_t buffer(struct fuzzer *f)
{
	f->length = rarely(f, 30) ? anything(f) : below(f, rarely(f, 4) ? 20000 : 64);
	if (rarely(f, 30))
		return foreign(f);
	if (rarely(f, 8))
		return page_address(f) + below(f, PAGE);
	return (uint64_t)f->scratch + below(f, 32768);
}

static uint64_t text(struct fuzzer *f, bool name)
{
	static const char *const names[] = { "f0", "f1", "f2", "f3", "d0", "d1", "l0", "l1", ".", "..", "", "a\0b", "f0/", "x" };
	static const char *const paths[] = { "d0/f1", "d0/../f2", "../..", "/", "/etc/passwd", "l0", "bin/true", "usr/bin/env", "lib/x86_64-linux-gnu/libc.so.6", "d1/d0/d1",
					     "usr/lib/x86_64-linux-gnu/libm.so.6", "proc/self/maps", "/proc/self/fd/3", "dev/null", "f0", "f1", "." };
	char *at = (char *)f->scratch + 40000;
	const char *chosen = name || rarely(f, 3) ? names[below(f, sizeof names / sizeof names[0])] : paths[below(f, sizeof paths / sizeof paths[0])];

	f->length = chosen[0] == 'a' ? 3 : strlen(chosen);
	memcpy(at, chosen, f->length + 1);
	if (rarely(f, 50)) {
		f->length = rarely(f, 2) ? 255 + below(f, 4000) : anything(f);
		memset(at, 'y', 5000);
	}
	return rarely(f, 50) ? buffer(f) : (uint64_t)at;
}

static uint64_t capability(struct fuzzer *f)
{
	return rarely(f, 20) ? anything(f) : rarely(f, 8) ? below(f, 40) : f->cap[below(f, 16)];
}

static uint64_t cap_name(struct fuzzer *f)
{
	static const char *const names[] = { "board", "made", "calls", "streams", "tcp/80", "none", "", "a b", "m*" };
	const char *chosen = names[below(f, sizeof names / sizeof names[0])];

	f->length = rarely(f, 40) ? anything(f) : strlen(chosen);
	strcpy((char *)f->scratch + 57000, chosen);
	return rarely(f, 40) ? buffer(f) : (uint64_t)f->scratch + 57000;
}

static uint64_t call_message(struct fuzzer *f)
{
	struct call_message *m = (struct call_message *)(f->scratch + 58000);

	*m = (struct call_message){ .cap = { (uint32_t)capability(f), (uint32_t)capability(f) }, .caps = (uint32_t)(rarely(f, 10) ? anything(f) : below(f, 3)),
				    .deadline_ns = rarely(f, 3) ? anything(f) : 1 };
	return rarely(f, 30) ? buffer(f) : (uint64_t)m;
}

static uint64_t handle(struct fuzzer *f)
{
	return rarely(f, 50) ? anything(f) : below(f, rarely(f, 3) ? 64 : 14);
}

static void fill_address(struct fuzzer *f, uint8_t *at)
{
	static const uint16_t ports[] = { 0, 1, 80, 0x2823, 0xffff };
	uint16_t family = rarely(f, 8) ? (uint16_t)next(f) : rarely(f, 3) ? AF_INET6 : AF_INET, port = ports[below(f, 5)];

	memset(at, 0, 28);
	memcpy(at, &family, 2);
	memcpy(at + 2, &port, 2);
	if (family == AF_INET)
		memcpy(at + 4, "\x7f\0\0\1", 4);
	else
		at[23] = 1;
}

static uint64_t iovecs(struct fuzzer *f)
{
	struct iovec *v = (struct iovec *)(f->scratch + 48000);

	for (int i = 0; i < 64; i++)
		v[i].iov_base = (void *)buffer(f), v[i].iov_len = f->length;
	return rarely(f, 30) ? buffer(f) : (uint64_t)v;
}

static uint64_t message(struct fuzzer *f)
{
	struct hc_msg *m = (struct hc_msg *)(f->scratch + 50000);

	fill_address(f, f->scratch + 50100);
	fill_address(f, f->scratch + 50200);
	*m = (struct hc_msg){ .name = rarely(f, 2) ? (uint64_t)f->scratch + 50100 : rarely(f, 10) ? foreign(f) : 0, .iov = iovecs(f), .name_size = (uint32_t)below(f, 32),
			      .iov_count = (uint32_t)(rarely(f, 20) ? anything(f) : below(f, 8)), .flags = (uint32_t)next(f),
			      .source = rarely(f, 4) ? (uint64_t)f->scratch + 50200 : rarely(f, 10) ? foreign(f) : 0, .source_size = (uint32_t)below(f, 32),
			      .control = rarely(f, 3) ? buffer(f) : rarely(f, 10) ? foreign(f) : 0,
			      .control_size = (uint32_t)(rarely(f, 20) ? anything(f) : below(f, 300)),
			      .hops = (uint16_t)below(f, 300), .traffic_class = (uint16_t)below(f, 300), .six = (uint32_t)below(f, 2) };
	return rarely(f, 30) ? buffer(f) : (uint64_t)m;
}

static uint64_t thread_start(struct fuzzer *f)
{
	uint64_t which = below(f, 8);
	struct hc_thread *t = (struct hc_thread *)(f->scratch + 51000);

	*t = (struct hc_thread){ .entry = (uint64_t)made_thread, .stack = (uint64_t)g_stacks[which] + 8192, .libos_thread = next(f),
				 .upcall_entry = (uint64_t)made_upcall, .upcall_stack = (uint64_t)g_stacks[which] + 16384, .upcall_frame = (uint64_t)&g_frames[which] };
	if (rarely(f, 1500)) {
		uint64_t *field = (uint64_t *)t + below(f, sizeof *t / 8);
		*field = anything(f);
	}
	return rarely(f, 1500) ? buffer(f) : (uint64_t)t;
}

static uint64_t poll_set(struct fuzzer *f)
{
	struct pollfd *p = (struct pollfd *)(f->scratch + 52000);

	for (int i = 0; i < 16; i++)
		p[i] = (struct pollfd){ (int)handle(f), (short)next(f), (short)next(f) };
	return rarely(f, 30) ? buffer(f) : (uint64_t)p;
}

/* A structure of small numbers. */
static uint64_t structure(struct fuzzer *f)
{
	uint64_t *at = (uint64_t *)(f->scratch + 54000);

	for (int i = 0; i < 40; i++)
		at[i] = rarely(f, 12) ? anything(f) : below(f, 3) ? below(f, 4) : below(f, 1000000);
	return rarely(f, 25) ? buffer(f) : (uint64_t)at;
}

static uint64_t address(struct fuzzer *f)
{
	fill_address(f, f->scratch + 55000);
	f->length = rarely(f, 10) ? below(f, 200) : 16 + 12 * below(f, 2);
	return rarely(f, 25) ? buffer(f) : (uint64_t)f->scratch + 55000;
}

static uint64_t size_word(struct fuzzer *f)
{
	uint32_t *at = (uint32_t *)(f->scratch + 55200);

	*at = rarely(f, 5) ? (uint32_t)anything(f) : (uint32_t)below(f, 300);
	return rarely(f, 25) ? buffer(f) : (uint64_t)at;
}

static uint64_t one_of(struct fuzzer *f, const uint64_t *values, size_t count)
{
	return rarely(f, 20) ? anything(f) : values[below(f, count)];
}
#define ONE_OF(...) one_of(f, (const uint64_t[]){ __VA_ARGS__ }, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8)

/* One letter, one argument. */
static uint64_t argument(struct fuzzer *f, char kind, const uint64_t *a, int i)
{
	switch (kind) {
	case 'a': return page_address(f);
	case 'z': return page_size(f, a[i - 1]);
	case 'r': return ONE_OF(0, 1, 2, 3, 3, 3, 4, 5, 7);
	case 'm': return ONE_OF(0, 0, 1);
	case 'h': return handle(f);
	case 'd': return ONE_OF(3, 4, 4, 4, handle(f));
	case 'p': return text(f, false);
	case 'n': return text(f, true);
	case 'b': return buffer(f);
	case 'l': return rarely(f, 40) ? anything(f) : f->length;
	case 's': return structure(f);
	case 'i': return iovecs(f);
	case 'c': return rarely(f, 20) ? anything(f) : below(f, 10);
	case 'g': return rarely(f, 4) ? anything(f) : PAGE * below(f, 64);
	case 'G': return rarely(f, 20) ? 1ull << (60 + below(f, 4)) : below(f, 1 << 20); /* never room that is really taken */
	case 'f': return ONE_OF(O_RDONLY, O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_PATH, O_PATH | O_NOFOLLOW, O_DIRECTORY, O_RDWR | O_TRUNC, O_WRONLY | O_APPEND,
				O_TMPFILE | O_RDWR, HC_OPEN_NO_SYMLINKS, O_RDONLY | O_NONBLOCK);
	case 'o': return ONE_OF(0, 0644, 0777, 0, 04755, 01777);
	case 'w': return ONE_OF(0, 1, 2, 3, 4);
	case 't': return rarely(f, 20) ? anything(f) : below(f, 500000);
	case 'u': return rarely(f, 8) ? foreign(f) : (uint64_t)f->scratch + 56000 + 4 * below(f, 16) + rarely(f, 10);
	case 'T': return thread_start(f);
	case 'v': return rarely(f, 3) ? g_fuzzer[below(f, FUZZERS)].vcpu : below(f, 64);
	case 'M': return message(f);
	case 'A': return address(f);
	case 'S': return size_word(f);
	case 'P': return poll_set(f);
	case 'q': return ONE_OF(FIONREAD, FIONBIO, TCGETS, TCSETS, TIOCGWINSZ, TIOCGPGRP, TIOCSTI, TIOCSCTTY);
	case 'D': return ONE_OF(MADV_DONTNEED, MADV_FREE, MADV_WILLNEED, MADV_NORMAL, MADV_REMOVE, MADV_HWPOISON, MADV_DONTFORK);
	case 'k': return ONE_OF(F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_SETFL, F_SETOWN);
	case 'y': return ONE_OF(SOCK_STREAM, SOCK_DGRAM, SOCK_STREAM | SOCK_NONBLOCK, SOCK_DGRAM | SOCK_NONBLOCK, SOCK_RAW);
	case 'Y': return ONE_OF(AF_INET, AF_INET6, AF_UNIX, 17);
	case 'e': return ONE_OF(1, 2, 3);
	case 'L': return ONE_OF(1, 6, 0, 41, 17);
	case 'O': return ONE_OF(2, 3, 4, 7, 8, 9, 13, 20, 21, 1, 38);
	case 'N': return ONE_OF(0, O_NONBLOCK, O_APPEND, O_ASYNC);
	case '0': return 0;
	case 'C': return capability(f);
	case 'j': return ONE_OF(1, 1, 2, 3, 5, 6, 7, 4);
	case 'J': return cap_name(f);
	case 'R': return ONE_OF(31, 31, 3, 1, 9, 16, 0);
	case 'Q': return call_message(f);
	case 'W': return rarely(f, 20) ? anything(f) : PAGE * below(f, 17);
	default: return anything(f);
	}
}

static const char *const k_arguments[HC_COUNT] = {
	[HC_null] = "", [HC_mem_commit] = "azrm", [HC_mem_release] = "az", [HC_mem_protect] = "azr", [HC_mem_map_file] = "azrmhg",
	[HC_mem_map_code] = "azhgm", [HC_mem_seal_code] = "az", [HC_mem_advise] = "azD", [HC_mem_move] = "azaz", [HC_mem_sync] = "azw",
	[HC_thread_create] = "T", [HC_thread_exit] = "u", [HC_thread_kick] = "v", [HC_thread_upcall_done] = "", [HC_futex_wait] = "uct",
	[HC_futex_wake] = "uc", [HC_futex_requeue] = "ucuc", [HC_thread_yield] = "", [HC_thread_cputime] = "ms", [HC_cvm_exit] = "xxx",
	[HC_cvm_events] = "", [HC_cvm_info] = "s", [HC_random] = "bl", [HC_file_open] = "dplfo", [HC_file_close] = "h",
	[HC_file_stat] = "hplxs", [HC_file_readlink] = "hplbl", [HC_file_read] = "hbl", [HC_file_write] = "hbl", [HC_file_pread] = "hblg",
	[HC_file_pwrite] = "hblG", [HC_file_readv] = "hicg", [HC_file_writev] = "hicG", [HC_file_seek] = "hGw", [HC_file_getdents] = "hbl",
	[HC_file_truncate] = "hG", [HC_file_allocate] = "hwGG", [HC_file_sync] = "hm", [HC_file_lock] = "hks", [HC_file_flock] = "hc",
	[HC_file_chmod] = "ho", [HC_file_chown] = "hcc", [HC_file_utimes] = "hs", [HC_file_statfs] = "hs", [HC_file_ioctl] = "hqs",
	[HC_file_setfl] = "hN", [HC_file_dup] = "h", [HC_dir_mkdir] = "dnlo", [HC_dir_unlink] = "dnlm", [HC_dir_rename] = "dnldnl",
	[HC_dir_link] = "hdnl", [HC_dir_symlink] = "pldnl", [HC_sock_create] = "Yy0", [HC_sock_bind] = "hAl", [HC_sock_connect] = "hAl",
	[HC_sock_listen] = "hc", [HC_sock_accept] = "hASN", [HC_sock_send] = "hMc", [HC_sock_recv] = "hMc", [HC_sock_shutdown] = "hc",
	[HC_sock_getopt] = "hLObS", [HC_sock_setopt] = "hLObl", [HC_sock_name] = "hAS", [HC_sock_peer] = "hAS", [HC_poll] = "Pct", [HC_epoll_create] = "",
	[HC_epoll_ctl] = "hehxx", [HC_epoll_wait] = "hbct", [HC_eventfd_create] = "cN", [HC_timerfd_create] = "mN", [HC_timerfd_settime] = "hmss",
	[HC_timerfd_gettime] = "hs", [HC_memobj_create] = "G", [HC_thread_setup] = "T", [HC_mem_low_window] = "",
	[HC_cap_open] = "jJlR", [HC_cap_create] = "jJlW", [HC_cap_memory] = "azR", [HC_cap_derive] = "CWWR", [HC_cap_seal] = "CCm", [HC_cap_revoke] = "C",
	[HC_cap_close] = "C", [HC_cap_info] = "Csc", [HC_cap_read] = "CblW", [HC_cap_write] = "CblW", [HC_cap_map] = "CazrW", [HC_cap_wait] = "Cctc",
	[HC_cap_notify] = "C", [HC_cap_events] = "sm", [HC_cap_doorbell] = "", [HC_call_invoke] = "xxxxxx", [HC_call_invoke_msg] = "CQ", [HC_call_serve] = "xxxxxx",
	[HC_call_caps] = "sc", [HC_stream_connect] = "Cx", [HC_stream_accept] = "C", [HC_stream_send] = "CblC", [HC_stream_recv] = "Cblm", [HC_stream_cap] = "C",
	[HC_stream_shutdown] = "Cc", [HC_stream_map] = "Ca", [HC_stream_window] = "Cs", [HC_clock_read] = "cs",
};

static bool gives_capability(unsigned number)
{
	return number == HC_cap_open || number == HC_cap_create || number == HC_cap_memory || number == HC_cap_derive || number == HC_cap_seal ||
	       number == HC_stream_connect || number == HC_stream_accept || number == HC_stream_cap;
}

/* Calls that end the thread or blind its libOS are made now and then only. */
static bool too_often(struct fuzzer *f, unsigned number)
{
	switch (number) {
	case HC_thread_exit: case HC_cvm_exit: return !rarely(f, 2000);
	case HC_thread_setup: return !rarely(f, 1000);
	case HC_thread_upcall_done: case HC_mem_map_code: return !rarely(f, 20);
	default: return false;
	}
}

static void step(struct fuzzer *f)
{
	unsigned number = (unsigned)below(f, HC_COUNT);
	const char *kinds = k_arguments[number];
	uint64_t a[6] = { 0 };

	if (!kinds) /* a hostcall that is new here */
		kinds = "xxxxxx";
	if (too_often(f, number))
		return;
	for (int i = 0; i < 6; i++)
		a[i] = i < (int)strlen(kinds) ? argument(f, kinds[i], a, i) : next(f);
	uint64_t with_cap = number == HC_call_invoke || number == HC_call_serve ? capability(f) << 32 : 0;
	long result = hostcall(rarely(f, 500) ? anything(f) : number | with_cap, a);
	if (result >= 0 && gives_capability(number))
		f->cap[below(f, 16)] = (uint64_t)result;
}

static uint64_t wait_word(uint32_t *word, uint64_t ns)
{
	return (uint64_t)hostcall(HC_futex_wait, (const uint64_t[6]){ (uint64_t)word, 0, ns });
}

static _Noreturn void end(uint64_t status)
{
	for (;;)
		hostcall(HC_cvm_exit, (const uint64_t[6]){ status, 0, 0 });
}

static __attribute__((noreturn)) void *fuzz(void *argument)
{
	struct fuzzer *f = argument;

	__asm__("movl %%gs:52, %0" : "=r"(f->vcpu));
	for (; f->steps; f->steps--)
		step(f);
	__atomic_add_fetch(&g_done, 1, __ATOMIC_RELAXED);
	for (;;)
		wait_word(&g_never, 1000000000);
}

/* Wakes fuzzers out of hostcalls that would wait for ever, and ends the cVM when they are done or gone. */
static _Noreturn void watch(void)
{
	uint64_t seen[FUZZERS] = { 0 };

	for (int idle = 0; idle < IDLE_MAX && __atomic_load_n(&g_done, __ATOMIC_RELAXED) < FUZZERS; idle++) {
		wait_word(&g_never, 2000000);
		for (int i = 0; i < FUZZERS; i++) {
			uint64_t left = __atomic_load_n(&g_fuzzer[i].steps, __ATOMIC_RELAXED);
			if (seen[i] != left)
				idle = 0;
			else if (g_fuzzer[i].vcpu)
				hostcall(HC_thread_kick, (const uint64_t[6]){ g_fuzzer[i].vcpu });
			seen[i] = left;
		}
	}
	end(0);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 2 ? strtoull(argv[1], NULL, 0) : 1, steps = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
	pthread_t thread;

	if (argc > 3 && chdir(argv[3]) == 0) {
		close(open("started", O_CREAT | O_RDWR, 0644));
		close(open("f0", O_CREAT | O_RDWR, 0644));
		mkdir("d0", 0755);
		if (symlink("../../../etc/passwd", "l0") || symlink("d0", "l1"))
			seed ^= 0; /* they are there already */
	}
	if (steps == 0)
		return 0;
	made_exit_number = HC_thread_exit;
	g_arena = mmap(NULL, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < FUZZERS; i++) {
		g_fuzzer[i] = (struct fuzzer){ .random = seed * 0x9e3779b97f4a7c15ull + (uint64_t)i + 1, .steps = steps,
					       .scratch = mmap(NULL, SCRATCH_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) };
		pthread_create(&thread, NULL, fuzz, &g_fuzzer[i]);
	}
	watch();
}
