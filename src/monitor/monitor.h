/*
 * The monitor's own structures and the functions that its files offer one another. Everything here lives in key-0
 * memory, in one arena of fixed-size tables (arena.c); nothing allocates.
 *
 * Threads: the *supervisor* is the process's first thread: no seccomp filter, creates cVMs, talks to the command, cleans up.
 * Every other thread belongs to one cVM and runs monitor code only inside a hostcall or behind a signal.
 */
#ifndef MONITOR_H
#define MONITOR_H

#include <linux/errno.h>
#include <linux/memfd.h>

#include "abi/capability.h"
#include "abi/channel.h"
#include "abi/code_image.h"
#include "abi/hostcall.h"
#include "abi/launch.h"
#include "abi/slot.h"
#include "abi/vcpu.h"
#include "base/bits.h"
#include "base/copy.h"
#include "monitor/x86_64/offsets.h"

#define THREADS_MAX (2 * LAUNCH_THREADS_MAX + 1u) /* with a caller that is gone in each, and the supervisor */
#define CVMS_MAX LAUNCH_CVMS_MAX
#define HANDLES_MAX 16384u
#define CODE_IMAGES_MAX 4096u
#define CODE_SIZE_MAX (512ull << 20)
#define OBJECTS_MAX 2048u  /* CP_Files, exports, listeners */
#define STREAMS_MAX 16384u /* connections, numbered behind them */
#define OBJECT_BYTES_MAX (1ull << 32)
#define OBJECT_WINDOW (OBJECT_BYTES_MAX + CVM_PAGE_SIZE) /* addresses for a CP_File, with the page of CAP_HEED */
#define SLOT_PAGES (SLOT_SIZE / CVM_PAGE_SIZE)
#define CVM_PAGES (SLOT_PAGES + SLOT_LOW_END / CVM_PAGE_SIZE) /* the slot's, then the low window's */
#define BITMAP_SIZE ALIGN_UP(CVM_PAGES / 8, CVM_PAGE_SIZE)

/* A futex mutex in key-0 memory: 0 free, 1 held, 2 held with waiters. Holders never exit or enter a cVM. */
struct lock {
	uint32_t word;
};
void lock_take(struct lock *l);
bool lock_try(struct lock *l);
void lock_give(struct lock *l);

static inline void lock_give_at_end(struct lock **l)
{
	lock_give(*l);
}
/* A declaration: the lock is held from here to the end of the block, however that is left. */
#define LOCKED(l) struct lock *locked_ __attribute__((cleanup(lock_give_at_end), unused)) = (lock_take(l), l)

/* An address in a cVM, never dereferenced but by user_copy and the kernel. */
struct gaddr {
	uint64_t v;
};

enum thread_use { THREAD_FREE = 0, THREAD_USED = 1, THREAD_LEAVING = 2 };

enum thread_where { THREAD_HERE = 0, THREAD_AWAY, THREAD_PARKED, THREAD_RETURNED, THREAD_GONE, THREAD_WHERES = 8 }; /* call.c */
#define WHERE_IS(t) (LOAD((t)->where) % THREAD_WHERES)

/* What a thread left behind when it called into another cVM. */
struct call_frame {
	struct thread *who; /* the context it left */
	uint64_t away;	    /* its `where` since then */
	uint64_t user_sp, fs_base;
	uint64_t message;  /* struct call_message * in the caller's slot, or 0 */
	uint64_t deadline; /* CLOCK_MONOTONIC ns, or 0 */
	uint32_t object, bit; /* the export, and the serving thread's place in it */
	uint32_t mxcsr;
	uint16_t x87_control;
};

struct thread {
	/* known to gate.S by offset */
	uint32_t state;	 /* THREAD_IN_CVM or THREAD_IN_MONITOR; written by the thread itself */
	uint32_t kick;	 /* an upcall or the end waits for the next way out; set by signal handlers and kickers */
	uint64_t stack;	 /* top of the monitor stack */
	uint64_t user_sp;
	struct vcpu_page *vcpu;
	uint64_t cookie[2];
	uint64_t words[CALL_WORDS + 1]; /* for call_leave: words, status */
	uint32_t by_words; /* the hostcall ends by call_leave */

	struct cvm *cvm;  /* where it executes now */
	struct cvm *home; /* whose thread it is */
	uint32_t id;	 /* index of block and vCPU page */
	uint32_t use;	 /* enum thread_use; g_arena->thread_lock */
	uint32_t tid;	 /* host thread; the kernel clears it at exit (CLONE_CHILD_CLEARTID) */
	bool first;		/* of its cVM: installs the filter */
	bool program;		/* of this context: it executes the program of an isolated libOS */
	bool upcall_active;	/* between an upcall and thread_upcall_done */
	bool kick_deferred;	/* a kick came meanwhile */
	bool trap_pop;		/* trap.rip is still on the cVM's stack */
	struct hc_thread start;
	/* calls between cVMs: call.c */
	struct thread *as;	 /* the context it executes in */
	struct thread *executor; /* who executes in this one's, if not itself */
	uint32_t wake;		 /* futex of call_serve */
	uint32_t missed;	 /* was kicked, perhaps while its thread was in another context */
	uint32_t expired;	 /* bit 0: a deadline has passed; DEADLINE_HEARD for each kick heard in an upcall since */
	uint64_t deadline;	 /* the earliest in frames[], or 0; atomic */
	uint64_t fs_base;	 /* while it serves */
	bool leaving;		 /* its program thread ended while it was lent */
	uint32_t depth, passed;
	struct call_frame frames[CALL_DEPTH_MAX];
	uint32_t pass[CAP_PASS_MAX]; /* numbers of capabilities that came and were not fetched */
	struct upcall_frame trap; /* filled by the handler, delivered by trap_deliver */
	uint64_t hostcalls, trapped, faults;
	struct handle *lent; /* this hostcall uses it without a reference (handle_get) */
	_Alignas(64) uint8_t vectors[2752]; /* XSAVE area of a callee that outlives its deadline */
	uint64_t where; /* enum thread_where + THREAD_WHERES * number of the block's life; atomic; last: see block_take */
};

_Static_assert(offsetof(struct thread, words) == THREAD_WORDS, "gate.S");
_Static_assert(offsetof(struct thread, by_words) == THREAD_BY_WORDS, "gate.S");
_Static_assert(offsetof(struct thread, state) == THREAD_STATE, "gate.S");
_Static_assert(offsetof(struct thread, kick) == THREAD_KICK, "gate.S");
_Static_assert(offsetof(struct thread, stack) == THREAD_STACK, "gate.S");
_Static_assert(offsetof(struct thread, user_sp) == THREAD_USER_SP, "gate.S");
_Static_assert(offsetof(struct thread, vcpu) == THREAD_VCPU, "gate.S");
_Static_assert(offsetof(struct thread, cookie) == THREAD_COOKIE0, "gate.S");
_Static_assert(sizeof(struct upcall_frame) == 192, "gate.S builds one");
_Static_assert(sizeof(struct thread) <= THREAD_GUARD_LOW, "thread block");

enum handle_kind {
	HANDLE_NONE = 0,
	HANDLE_FILE = 1 << 0,
	HANDLE_DIR = 1 << 1,
	HANDLE_PATH = 1 << 2,	/* O_PATH */
	HANDLE_STDIO = 1 << 3,
	HANDLE_SOCKET = 1 << 4,
	HANDLE_EPOLL = 1 << 5,
	HANDLE_EVENTFD = 1 << 6,
	HANDLE_TIMERFD = 1 << 7,
	HANDLE_MEMOBJ = 1 << 8,
	HANDLE_STREAM = HANDLE_FILE | HANDLE_STDIO | HANDLE_SOCKET | HANDLE_EVENTFD | HANDLE_TIMERFD | HANDLE_MEMOBJ,
};

/* refs: 0 free; the table's own reference plus one per hostcall that uses the descriptor now. The descriptor is closed
 * when the last one goes, so it cannot be reused under a running hostcall. */
#define RIGHT_CHANGE 0x80u /* of metadata only: opened for reading below a writable grant */
#define RIGHT_LISTEN 0x40u /* of a socket that was bound as granted */
#define RIGHT_UDP 0x20u	   /* of a socket: the grants for UDP say what it may, else those for TCP */

struct handle {
	uint32_t refs;	  /* atomic */
	uint16_t kind;	  /* enum handle_kind */
	uint8_t rights;	  /* LAUNCH_RIGHT_*, RIGHT_*; atomic */
	uint8_t closing;
	int32_t fd;
	uint32_t size_pages; /* HANDLE_MEMOBJ: counted memory */
};

enum cvm_state { CVM_NONE = 0, CVM_RUNNING, CVM_DEAD };

struct cvm {
	uint32_t index;
	uint32_t state;	  /* enum cvm_state; supervisor */
	uint32_t dying;	  /* atomic: cvm_end was called */
	uint64_t base;	  /* of the slot */
	int32_t domain;		  /* the mechanism's number for it (a protection key), 0 if none */
	int32_t domain_libos;	  /* what lies below SLOT_LIBOS_END: the same, or its own if isolated */
	uint32_t domain_register; /* what its threads run with */
	uint32_t domain_program;  /* the same, or while they run the program of an isolated libOS */
	uint64_t cookie[2];
	const struct launch_cvm *config; /* in the arena's copy of the description */

	uint32_t threads; /* atomic: contexts; changed with g_arena->thread_lock, before a new one runs */
	uint64_t events;  /* atomic: outside signals not yet fetched */
	int32_t exit_status;
	uint32_t exit_signaled;

	struct lock mem_lock; /* everything below up to the bitmaps */
	uint64_t memory_now; /* bytes; atomic */
	uint32_t mappings; /* host mappings in its ranges, at most */
	uint64_t *mapped;  /* bit per page: accessible memory was mapped here */
	uint64_t *counted; /* bit per page: counts against memory_max */
	uint64_t *exec;	   /* bit per page: executes */
	uint64_t *shared;  /* bit per page: shared anonymous memory */

	struct lock handle_lock; /* allocation; entries by their own refs */
	uint32_t handles;
	uint32_t handle_hint; /* probably the lowest free one */
	uint32_t handle_end;  /* entries from here on were never used */
	struct handle handle[HANDLES_MAX];

	uint32_t caps, cap_hint, objects, streams; /* held, next to try; paid for; cap_lock */
	uint32_t cap_maps;	/* mappings that end with their capability; mem_lock */
	uint32_t cap_armed;	/* atomic: the next event rings the doorbell */
	int32_t doorbell_fd;	/* eventfd, made at the first use and kept: a late ring must not hit another file */
	uint64_t cap_events[CAPS_MAX / 64]; /* atomic bits */

	struct lock code_lock; /* the code channel */
	uint32_t code_requests; /* in all its lives */
	uint64_t start_ns;
	uint64_t images, image_bytes; /* made for it in all its lives: code_table_lock */
	struct cvm_stats stats; /* each by its own lock; times and current values when asked for */
};

/* A sealed code image. The key, up to `stubs`, is what fstat said of the source when it was made. */
struct code_image {
	uint64_t dev, ino, size, mtime_ns, ctime_ns, offset, length, stubs;
	uint64_t text_size, stub_size;
	int32_t memfd;
	bool scanned; /* atomic */
	struct code_image_data data[CODE_IMAGE_DATA_MAX];
};

struct arena {
	struct launch launch; /* private copy */
	struct lock thread_lock;
	uint32_t blocks_used; /* thread blocks ever used: the rest is untouched; thread_lock */
	struct lock code_table_lock;
	uint32_t insecure;
	int32_t pid;
	int32_t wake_fd;  /* eventfd: a cVM lost its last thread */
	int32_t proc_fd;  /* /proc/self/fd, O_PATH */
	int32_t maps_fd;  /* /proc/self/maps, for PROCMAP_QUERY */
	uint64_t xsave_mask;
	uint64_t vdso;
	struct cvm *low_owner; /* of the low window, or NULL; atomic */
	struct lock cap_lock;
	uint64_t cap_types;	/* sealing types given out */
	uint32_t tick;		/* atomic: the supervisor is to look again: a deadline, or a cVM not taken apart yet */
	int32_t rings_fd;	/* memfd of all rings */
	uint64_t rings;
	struct object *object;	/* [OBJECTS_MAX + STREAMS_MAX] */
	uint32_t objects_end;	/* of those with names that were ever used; cap_lock */
	struct cap *cap;	/* [CVMS_MAX * CAPS_MAX] */
	uint32_t code_images;
	struct code_image code[CODE_IMAGES_MAX];
	struct cvm cvm[CVMS_MAX];
};

extern struct arena *g_arena;

extern const void *g_launch_bytes; /* the whole launch description, read-only */
extern uint32_t g_key0_canary;

static inline bool insecure(uint32_t flag)
{
	return unlikely(g_arena->insecure & flag);
}

static inline struct thread *current_thread(void)
{
	struct thread *t;
	__asm__("mov %%gs:%c1, %0" : "=r"(t) : "i"(VCPU_MONITOR_THREAD));
	return t;
}

/* arena.c: address space of the process */
int arena_create(void);
struct cvm *arena_cvm(uint32_t index); /* prepared for cvm_create */
struct thread *thread_block(uint32_t id);
struct vcpu_page *vcpu_page(uint32_t id);
/* Blocks in use but the supervisor's. */
#define for_each_thread(t)                                                                                            \
	for (struct thread *t = thread_block(1); t < thread_block(g_arena->blocks_used);                               \
	     t = (struct thread *)((uint64_t)t + THREAD_BLOCK_SIZE))                                                   \
		if (t->use == THREAD_USED)
uint64_t slot_base(uint32_t index);
uint64_t object_address(uint32_t object); /* of its OBJECT_WINDOW */

/* user.c: access to cVM memory. 0 or -EFAULT; outputs of user_in undefined on failure. */
nodiscard bool in_slot(const struct cvm *c, struct gaddr a, uint64_t size);
static inline bool is_libos(const struct cvm *c, uint64_t addr) /* of isolated cVMs the program has no access there */
{
	return addr - c->base < SLOT_LIBOS_END;
}
nodiscard bool futex_word(const struct cvm *c, uint64_t addr); /* aligned, and in the slot */
nodiscard int user_in(const struct cvm *c, void *dst, struct gaddr src, uint64_t size);
nodiscard int user_out(const struct cvm *c, struct gaddr dst, const void *src, uint64_t size);
/* A NUL-terminated copy of `size` bytes without NUL in them: 0, -EFAULT, -ENAMETOOLONG, -EINVAL. */
nodiscard int user_path(const struct cvm *c, char *dst, uint64_t dst_size, struct gaddr src, uint64_t size);

/* The kernel's description of one mapping (linux/fs.h since 6.11). */
struct procmap_query {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
_Static_assert(sizeof(struct procmap_query) == 104, "linux/fs.h");
#define PROCMAP_QUERY 0xc0686611u
#define PROCMAP_EXECUTABLE 0x04u
#define PROCMAP_COVERING_OR_NEXT 0x10u

/* Pages of a cVM are numbered: those of the slot from 0, then those of the low window. */
static inline uint64_t page_of(const struct cvm *c, uint64_t addr)
{
	return addr < SLOT_LOW_END ? SLOT_PAGES + addr / CVM_PAGE_SIZE : (addr - c->base) / CVM_PAGE_SIZE;
}

/* handle.c */
nodiscard long handle_add(struct cvm *c, int fd, unsigned kind, unsigned rights); /* number; closes fd on failure */
nodiscard struct handle *handle_get(struct thread *t, uint64_t number, unsigned kinds); /* or an error pointer */
void handle_drop(struct handle *h);
static inline void handle_put(struct handle *h)
{
	if (current_thread()->lent != h)
		handle_drop(h);
}
static inline void handle_put_at_end(struct handle **h)
{
	if (*h && !error_in(*h))
		handle_put(*h);
}
#define PINNED __attribute__((cleanup(handle_put_at_end))) /* put when the variable goes */
int handle_close(struct cvm *c, uint64_t number);
void handle_close_all(struct cvm *c);

/* memory.c, code.c, scan.c */
nodiscard int memory_count(struct cvm *c, uint64_t bytes);
void memory_uncount(struct cvm *c, uint64_t bytes);
int memory_assign(struct cvm *c, uint64_t addr, uint64_t size, int prot); /* give pages their key and protection */
void memory_release_all(struct cvm *c);
/* May mem_* change these pages? -EINVAL: no whole pages; -EFAULT: of the libOS's text and data, or outside the slot and the low
 * window; -ENOMEM: no mappings left, but some more for a release. */
nodiscard int memory_check(struct cvm *c, uint64_t addr, uint64_t size, bool release);
nodiscard struct cvm *pages_of(struct thread *t, const uint64_t *a, bool release); /* whose pages (a[0], a[1]) are, or the error */
/* With mem_lock held: a shared or private mapping of a file, and inaccessible again. */
void memory_replace(struct cvm *c, uint64_t addr, uint64_t size); /* before something else is mapped there */
int memory_reserve(uint64_t addr, uint64_t size); /* addresses for nothing, into which the kernel maps nothing */
int memory_map(struct cvm *c, uint64_t addr, uint64_t size, uint64_t prot, uint32_t flags, int fd, uint64_t offset);
int memory_unmap(struct cvm *c, uint64_t addr, uint64_t size);
long reopen(int fd, uint64_t flags); /* hc_file.c: another descriptor of the very same file */
enum pages_change { PAGES_COUNT, PAGES_SET, PAGES_CLEAR };
/* Pages of [addr, addr + size) in a bitmap of the cVM: how many were set. */
uint64_t pages_change(const struct cvm *c, uint64_t *bitmap, uint64_t addr, uint64_t size, enum pages_change change);
void memory_uncount_pages(struct cvm *c, uint64_t addr, uint64_t size);
nodiscard int code_check_image(struct code_image *image);
nodiscard int code_map(struct cvm *c, struct code_image *image, uint64_t addr);

/* thread.c */
nodiscard long thread_create(struct cvm *c, const struct hc_thread *start, bool first); /* vCPU id */
struct cvm_stats thread_stats(const struct cvm *c); /* with what running threads have used */
_Noreturn void thread_leave(struct thread *t);
bool thread_alone(const struct cvm *c); /* nobody else, of whatever cVM, is in it */
_Noreturn void thread_main(struct thread *t);
void thread_kick(struct thread *t);
void vcpu_show(struct vcpu_page *v, const struct thread *context); /* what its program reads there */
void context_kick(struct thread *t);
void thread_set_program(struct thread *t, bool program); /* which rights its context has behind the next gate */
uint64_t clock_ns(long clock); /* 1: CLOCK_MONOTONIC, 7: CLOCK_BOOTTIME */
void cvm_end(struct cvm *c, int status, bool signaled); /* the first call wins; returns */

/* caps.c, call.c */
int caps_init(void);
_Noreturn void call_abort(struct thread *t); /* depth > 0: the context's cVM or thread ends; back to the caller */
void call_expired(struct thread *t);
bool call_deadlines(void);
void supervisor_tick(void); /* it is to look again */
#define DEADLINE_HEARD 2u
#define DEADLINE_GRACE (50 * DEADLINE_HEARD) /* kicks by which an upcall in progress may delay the end of an expired call */

/* cvm.c */
nodiscard int cvm_create(uint32_t index);
void cvm_destroy(struct cvm *c); /* or not yet, if others still use what was derived from its capabilities */
void cvm_stats_send(struct cvm *c);

/* trap.c */
int trap_install(void);
int trap_altstack(struct thread *t);

/* channel.c */
void event_send(uint32_t type, uint32_t cvm, const void *payload, uint32_t size);
void event_report(uint32_t type, uint32_t cvm, const char *what, struct channel_report *numbers);
nodiscard int code_request(struct cvm *c, int fd, const struct channel_code_request *request, int *memfd);

/* domain: the isolation mechanism, one header for all (x86_64/domain_pku.c) */
#include "monitor/domain.h"
#include "monitor/scan.h"

/* seccomp.c */
int filter_install(const struct cvm *c);

/* gate.S */
_Noreturn void cvm_enter(struct thread *t, uint64_t entry, uint64_t stack, uint64_t argument);
long thread_clone(uint64_t flags, uint64_t stack, uint32_t *child_tid, struct thread *t, uint64_t cookie1);
void gs_load(int unused, void *vcpu);

#endif
