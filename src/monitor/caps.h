/*
 * Capabilities inside the monitor: the lists of the cVMs, the derivation tree, and the objects that they lead to.
 *
 * Every cVM has CAPS_MAX entries of its own in one table, so an entry's number says who holds it. g_arena->cap_lock guards
 * the tree, names and allocation. Operations that move data do not take it: they *pin* the entry (cap_get .. cap_put).
 * Revocation marks all below an entry as dead, then ends them from the leaves, each once no pin is left: afterwards no copy is
 * under way. It waits without the lock, for a copy may touch a page of a file that is long in coming.
 * Hence the rule: who holds a pin never takes the lock, and never sleeps but for a ring's lock.
 */
#ifndef MONITOR_CAPS_H
#define MONITOR_CAPS_H

#include "abi/capability.h"
#include "monitor/monitor.h"

#define CAP_DEAD 0x80000000u /* in pins: not to be used any more */

struct cap {
	uint32_t pins; /* atomic: operations under way, and CAP_DEAD */
	uint32_t generation;
	uint8_t kind, perms; /* from here to sequence: what it is (CAP_COPY) */
	uint8_t end;	   /* CAP_STREAM: 0 or 1 */
	uint8_t pending;   /* passed and not fetched: its holder cannot use, close or derive it, and so not free the entry */
	uint32_t object;   /* 0: none (memory of a slot) */
	uint64_t sealed;   /* with this type; 0: not. Types never come again: 64 bits do not run out */
	uint64_t base, length; /* CAP_MEMORY: address and bytes; CAP_TYPE: base is the type */
	uint32_t parent, child, next, previous; /* derivation tree: numbers of entries; 0: none */
	_Alignas(64) uint32_t sequence; /* futex of cap_wait; never reset. Others read it while the holder counts pins */
	uint32_t waiters;
	uint64_t map_addr, map_size; /* where it is mapped in its holder's slot; the holder's mem_lock */
};

/* What writer and reader tell each other, and what each needs for itself, lie in different cache lines. */
struct ring {
	_Alignas(64) uint64_t head; /* bytes ever written; who holds write_lock */
	uint8_t ended;		/* nothing more will be written */
	uint8_t dead;		/* nothing more will be read */
	uint8_t reset;		/* the reader went with bytes unread */
	uint8_t full;		/* the writer waits for room */
	uint32_t passed;	/* capabilities waiting in pass[]; cap_lock */
	uint32_t pass[CAP_PASS_MAX]; /* their numbers, in the reader's list */
	_Alignas(64) struct lock write_lock;
	uint64_t limit;		/* how far the head may come, by the tail as the writer saw it last */
	_Alignas(64) uint64_t tail; /* bytes ever read; who holds read_lock */
	_Alignas(64) struct lock read_lock;
};

struct object {
	uint32_t sequence, waiters; /* futex: contents changed, or a serving thread became free; never reset */
	uint8_t kind;	  /* CAP_MEMORY, CAP_EXPORT, CAP_LISTENER, CAP_STREAM; CAP_NONE: free */
	uint8_t closed;	  /* export: its capability is gone, serving threads leave */
	uint8_t notified; /* export: cap_notify since the last cap_wait */
	uint8_t watched;  /* memory: some watch[] is set */
	uint32_t refs;	  /* entries and serving threads that lead here; cap_lock */
	uint32_t root;	  /* the maker's entry, parent of what is opened by name; 0: the launch description's */
	struct cvm *payer; /* its memory counts here, or NULL */
	uint64_t size;	  /* bytes; whole pages are paid for */
	char name[CAP_NAME_MAX];
	union {
		struct {
			int32_t fd;
			uint16_t watch[CVMS_MAX]; /* index of the entry whose holder wants an event */
		} memory;
		struct {
			uint64_t used, free; /* atomic bits: serving threads, those without a call */
			uint32_t server[EXPORT_SERVERS_MAX]; /* threads */
		} export;
		struct {
			uint32_t backlog, count;
			uint16_t queue[LISTENER_BACKLOG_MAX]; /* streams not accepted yet, oldest first */
		} listener;
		struct {
			struct ring ring[2]; /* ring[e] is written by end e */
			uint32_t holder[2];  /* entry of each end; 0: gone, or not accepted yet */
			uint64_t word;
		} stream;
	};
};

static inline struct cap *cap_number(uint32_t number)
{
	return &g_arena->cap[number];
}

static inline uint32_t number_of(const struct cap *k)
{
	return (uint32_t)(k - g_arena->cap);
}

static inline struct cvm *holder_of(const struct cap *k)
{
	return &g_arena->cvm[number_of(k) / CAPS_MAX];
}

/* caps.c. cap_get pins an entry of the thread's cVM: kind (0: any) and all of perms; or an error pointer. */
struct cap *cap_get(struct thread *t, uint64_t handle, unsigned kind, unsigned perms);
static inline void cap_put(struct cap *k)
{
	__atomic_sub_fetch(&k->pins, 1, __ATOMIC_RELEASE);
}
static inline void cap_put_at_end(struct cap **k)
{
	if (!error_in(*k))
		cap_put(*k);
}
#define PINNED_CAP __attribute__((cleanup(cap_put_at_end))) /* put when the variable goes */
void cap_raise(uint32_t number); /* an event for its holder; after the change it tells of */
long cap_handle(const struct cap *k); /* or the error that it is */
uint32_t cap_state(const struct cap *k, uint32_t seen);
void cap_changed(uint32_t object);
void object_raise(struct object *o);
bool cap_close_all(struct cvm *c); /* false: to be tried again */
/* With cap_lock held. */
struct cap *cap_find(struct cvm *c, uint64_t handle, unsigned kind, unsigned perms);
/* `like` gives kind, perms, end, sealed, object, base and length: nobody may see an entry half made. */
struct cap *cap_new(struct cvm *c, const struct cap *like, struct cap *parent);
struct cap *cap_pass(struct cvm *from, uint64_t handle, struct cvm *to); /* derived; needs CAP_GRANT */
long cap_fetch(uint32_t number); /* what was passed: its handle from now on */
bool cap_drop(struct cap *k); /* as its holder's cap_close; false: to be tried again, it or one below is still used */
nodiscard long object_new(unsigned kind, struct cvm *payer, uint64_t size); /* number; with a reference, to be put */
void object_put(uint32_t object); /* the last: see cap_memory_free */

/* cap_memory.c, stream.c, call.c: the ends of objects, with cap_lock held */
int cap_memory_create(uint32_t object, int fd); /* takes the descriptor; -1: makes one */
void cap_memory_free(uint32_t object); /* without the lock meanwhile: a gibibyte takes 0.2 s. Its last entry is the maker's */
bool cap_unmap(struct cap *k); /* false: try again, its holder has the lock */
int cap_map_at(struct thread *t, struct cap *k, uint64_t addr, uint64_t size, uint32_t prot, int fd, uint64_t offset);
bool cap_mapped(struct cvm *c, uint64_t addr, uint64_t size, bool forget); /* holder's mem_lock held */
void stream_end_closed(struct object *s, unsigned end);
void stream_free(uint32_t object);
void export_closed(struct object *o);

#endif
