/* Capability lists, the derivation tree, names and events: see caps.h. */
#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/mman.h>

#include "host/syscall.h"
#include "monitor/caps.h"
#include "monitor/hostcalls.h"

/* What it is, and nothing that others change without the lock. */
#define CAP_COPY(to, from) memcpy(&(to)->kind, &(from)->kind, offsetof(struct cap, sequence) - offsetof(struct cap, kind))
#define HEED_WORD(k) ((uint32_t *)(object_address((k)->object) + CAP_HEED(g_arena->object[(k)->object].size)))
#define GENERATION_MAX 0x7ffffu /* handles stay positive: index and generation make 31 bits */

long cap_handle(const struct cap *k)
{
	return error_in(k) ?: (long)(k->generation * CAPS_MAX + number_of(k) % CAPS_MAX);
}

static struct cap *entry(const struct cvm *c, uint64_t handle)
{
	uint32_t holder = c->index;

	if (insecure(LAUNCH_INSECURE_NO_HANDLE_CHECK)) /* the attack test's control */
		holder = (uint32_t)((holder + (handle >> 32)) % g_arena->launch.cvms);
	return cap_number(holder * CAPS_MAX + (uint32_t)(handle % CAPS_MAX));
}

static bool is_handle_of(const struct cap *k, uint64_t handle)
{
	return (handle == (uint64_t)cap_handle(k) && !LOAD(k->pending)) || insecure(LAUNCH_INSECURE_NO_HANDLE_CHECK);
}

/* May the handle be used so? 0 or why not. */
static inline int judge(const struct cap *k, uint64_t handle, unsigned kind, unsigned perms)
{
	if (!is_handle_of(k, handle) || k->kind == CAP_NONE || (kind && kind != k->kind && k->kind != CAP_REVOKED))
		return -EBADF;
	if (k->kind == CAP_REVOKED || LOAD(k->pins) & CAP_DEAD)
		return -EKEYREVOKED;
	return ((k->sealed && kind) || perms & ~k->perms) && !insecure(LAUNCH_INSECURE_NO_CAP_CHECK) ? -EACCES : 0;
}

/* Looks again with the lock, for a dead entry may be changing. Apart from cap_get, which so keeps no register on the stack. */
static __attribute__((noinline)) struct cap *why_not(const struct cap *k, uint64_t handle, unsigned kind, unsigned perms)
{
	LOCKED(&g_arena->cap_lock);
	return error_pointer(judge(k, handle, kind, perms) ?: -EBADF);
}

struct cap *cap_get(struct thread *t, uint64_t handle, unsigned kind, unsigned perms)
{
	struct cap *k = entry(t->cvm, handle);

	/* Only what looks alive is counted, or hammering a dead entry would keep its revoker waiting. */
	if (likely(!(__atomic_load_n(&k->pins, __ATOMIC_RELAXED) & CAP_DEAD))) {
		bool dead = __atomic_add_fetch(&k->pins, 1, __ATOMIC_SEQ_CST) & CAP_DEAD;
		if (likely(!dead && !judge(k, handle, kind, perms)))
			return k;
		cap_put(k);
	}
	return why_not(k, handle, kind, perms);
}

struct cap *cap_find(struct cvm *c, uint64_t handle, unsigned kind, unsigned perms)
{
	struct cap *k = entry(c, handle);
	int error = judge(k, handle, kind, perms);

	return error ? error_pointer(error) : k;
}

void cap_raise(uint32_t number)
{
	struct cap *k = cap_number(number);
	struct cvm *c = holder_of(k);
	uint64_t *word = &c->cap_events[number % CAPS_MAX / 64], bit = 1ull << (number % 64), one = 1;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&k->waiters, __ATOMIC_RELAXED)) {
		__atomic_add_fetch(&k->sequence, 1, __ATOMIC_RELEASE);
		host(__NR_futex, &k->sequence, FUTEX_WAKE_PRIVATE, 1 << 30);
	}
	if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
		__atomic_or_fetch(word, bit, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&c->cap_armed, __ATOMIC_SEQ_CST) && __atomic_exchange_n(&c->cap_armed, 0, __ATOMIC_SEQ_CST))
		host(__NR_write, LOAD(c->doorbell_fd), &one, sizeof one);
}

void object_raise(struct object *o)
{
	__atomic_add_fetch(&o->sequence, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&o->waiters, __ATOMIC_SEQ_CST))
		host(__NR_futex, &o->sequence, FUTEX_WAKE_PRIVATE, 1 << 30);
}

static uint32_t *paid_for(struct cvm *c, unsigned kind)
{
	return kind == CAP_STREAM ? &c->streams : &c->objects;
}

long object_new(unsigned kind, struct cvm *payer, uint64_t size)
{
	bool stream = kind == CAP_STREAM;
	uint32_t i = stream ? OBJECTS_MAX : 1, end = stream ? OBJECTS_MAX + STREAMS_MAX : OBJECTS_MAX;
	uint32_t share = (end - i) / CVMS_MAX;

	if (payer && *paid_for(payer, kind) >= share && !insecure(LAUNCH_INSECURE_NO_LIMITS))
		return -EMFILE;
	while (i < end && g_arena->object[i].kind != CAP_NONE)
		i++;
	int r = i == end ? -EMFILE : payer ? memory_count(payer, ALIGN_UP(size, CVM_PAGE_SIZE)) : 0;
	if (r)
		return r;
	struct object *o = &g_arena->object[i];
	g_arena->objects_end = stream ? g_arena->objects_end : MAX(g_arena->objects_end, i + 1);
	memset(&o->kind, 0, sizeof *o - offsetof(struct object, kind));
	o->kind = (uint8_t)kind;
	o->refs = 1;
	o->payer = payer;
	o->size = size;
	if (kind == CAP_MEMORY)
		o->memory.fd = -1;
	if (payer)
		++*paid_for(payer, kind);
	return i;
}

void object_put(uint32_t object)
{
	struct object *o = &g_arena->object[object];

	if (!object || --o->refs)
		return;
	o->name[0] = 0; /* first: nobody finds it while the lock is given up for cap_memory_free */
	if (o->kind == CAP_MEMORY)
		cap_memory_free(object);
	else if (o->kind == CAP_STREAM)
		stream_free(object);
	if (o->payer) {
		memory_uncount(o->payer, ALIGN_UP(o->size, CVM_PAGE_SIZE));
		--*paid_for(o->payer, o->kind);
	}
	o->kind = CAP_NONE;
}

/* From now on nobody can begin to use the entry. True: nor does anybody. */
static bool cap_silence(struct cap *k)
{
	return __atomic_or_fetch(&k->pins, CAP_DEAD, __ATOMIC_SEQ_CST) == CAP_DEAD;
}

/* New first child of its parent; NULL: it has none. */
static void tree_link(struct cap *k, struct cap *parent)
{
	k->previous = 0;
	k->next = parent ? parent->child : 0;
	k->parent = parent ? number_of(parent) : 0;
	if (k->next)
		cap_number(k->next)->previous = number_of(k);
	if (parent)
		parent->child = number_of(k);
}

struct cap *cap_new(struct cvm *c, const struct cap *like, struct cap *parent)
{
	uint32_t max = insecure(LAUNCH_INSECURE_NO_LIMITS) ? CAPS_MAX : MIN(c->config->caps_max, CAPS_MAX);
	uint32_t at = c->cap_hint ? c->cap_hint : 1;

	if (parent && LOAD(parent->pins) & CAP_DEAD)
		return error_pointer(-ENOENT);
	for (uint32_t n = 1; c->caps < max && n < CAPS_MAX; n++, at = at % (CAPS_MAX - 1) + 1) {
		struct cap *k = cap_number(c->index * CAPS_MAX + at);
		if (k->kind != CAP_NONE || !cap_silence(k))
			continue;
		k->generation = k->generation % GENERATION_MAX + 1;
		CAP_COPY(k, like);
		k->child = 0;
		tree_link(k, parent);
		if (k->object)
			g_arena->object[k->object].refs++;
		c->caps++;
		c->cap_hint = at % (CAPS_MAX - 1) + 1;
		__atomic_and_fetch(&k->pins, ~CAP_DEAD, __ATOMIC_SEQ_CST);
		return k;
	}
	return error_pointer(-EMFILE);
}

static void tree_unlink(struct cap *k)
{
	if (k->previous)
		cap_number(k->previous)->next = k->next;
	else if (k->parent)
		cap_number(k->parent)->child = k->next;
	if (k->next)
		cap_number(k->next)->previous = k->previous;
}

/* Ends one entry without children, unless somebody still uses it. `forget`: its holder closes it; otherwise it stays as CAP_REVOKED. */
static bool cap_kill(struct cap *k, bool forget)
{
	struct object *o = &g_arena->object[k->object];
	struct cvm *c = holder_of(k);

	if (!cap_silence(k) || !cap_unmap(k))
		return false;
	if (k->kind == CAP_STREAM)
		stream_end_closed(o, k->end);
	else if (k->kind == CAP_EXPORT)
		export_closed(o);
	for (uint32_t i = 0; k->kind == CAP_LISTENER && i < o->listener.count; i++) {
		stream_end_closed(&g_arena->object[o->listener.queue[i]], 1);
		object_put(o->listener.queue[i]);
	}
	if (k->kind == CAP_EXPORT || k->kind == CAP_LISTENER)
		o->name[0] = 0;
	if (k->object && (k->kind == CAP_MEMORY || k->kind == CAP_CALL))
		object_raise(o); /* they wait for the object's changes */
	tree_unlink(k);
	k->parent = k->next = k->previous = k->object = 0; /* what stays as CAP_REVOKED is in no list */
	k->kind = forget ? CAP_NONE : CAP_REVOKED;
	if (forget) {
		c->caps--;
		c->cap_hint = MIN(c->cap_hint, number_of(k) % CAPS_MAX);
	}
	cap_raise(number_of(k));
	object_put((uint32_t)(o - g_arena->object));
	return true;
}

/* All below `top` is dead from now on, and so nothing more is derived from it. */
static void cap_condemn(struct cap *top)
{
	for (uint32_t number = top->child; number;) {
		struct cap *k = cap_number(number);
		cap_silence(k);
		for (number = k->child; !number && k != top; k = cap_number(k->parent))
			number = k->next;
	}
}

/* Ends what is below `top` and dead; in front of that may lie what was derived since. False: one of it is still used. */
static bool cap_kill_below(struct cap *top)
{
	for (uint32_t number = top->child; number;) {
		struct cap *k = cap_number(number);
		number = k->next;
		if (!(LOAD(k->pins) & CAP_DEAD))
			continue;
		while (k->child)
			k = cap_number(k->child);
		uint32_t up = k->parent;
		if (!cap_kill(k, false))
			return false;
		number = up != number_of(top) ? up : top->child; /* what was passed through a stream that ended may have stood here too */
	}
	return true;
}

bool cap_drop(struct cap *k)
{
	struct cap *parent = k->parent ? cap_number(k->parent) : NULL;

	cap_silence(k);
	if (!parent && (!k->object || g_arena->object[k->object].root)) /* the maker's */
		cap_condemn(k);
	if (!cap_kill_below(k))
		return false;
	while (k->child) { /* to the parent; what comes from the launch description has none */
		struct cap *child = cap_number(k->child);
		tree_unlink(child);
		tree_link(child, parent);
	}
	return cap_kill(k, true);
}

/* No thread of the cVM runs any more, and nothing else of it counts as memory. What others still hold counts as its own, until
 * they close it: a cVM that starts again does not get its limit anew. */
bool cap_close_all(struct cvm *c)
{
	uint64_t held = 0;

	LOCKED(&g_arena->cap_lock);
	for (uint32_t i = 1; i < CAPS_MAX && c->caps; i++)
		if (cap_number(c->index * CAPS_MAX + i)->kind != CAP_NONE)
			cap_drop(cap_number(c->index * CAPS_MAX + i));
	if (c->caps)
		return false;
	/* Only if there are any: merely to look at the table takes memory for all of it. */
	for (uint32_t i = 1; i < OBJECTS_MAX + STREAMS_MAX && (c->objects || c->streams); i++)
		if (g_arena->object[i].kind != CAP_NONE && g_arena->object[i].payer == c)
			held += ALIGN_UP(g_arena->object[i].size, CVM_PAGE_SIZE);
	__atomic_store_n(&c->memory_now, held, __ATOMIC_RELAXED);
	c->cap_hint = 0; /* others may still raise events: its next life looks once too often */
	return true;
}

struct cap *cap_pass(struct cvm *from, uint64_t handle, struct cvm *to)
{
	struct cap *k = cap_find(from, handle, 0, CAP_GRANT);

	if (error_in(k))
		return k;
	struct cap like;
	CAP_COPY(&like, k);
	like.pending = 1;
	return cap_new(to, &like, k);
}

long cap_fetch(uint32_t number)
{
	__atomic_store_n(&cap_number(number)->pending, 0, __ATOMIC_RELEASE);
	return cap_handle(cap_number(number));
}

/* "name" or "prefix*" */
static bool name_matches(const char *pattern, const char *name)
{
	size_t n = strlen(pattern);

	return !memcmp(pattern, name, n && pattern[n - 1] == '*' ? n - 1 : n + 1); /* reads no further than the first difference */
}

/* The permissions that the launch description grants for a name; -EACCES: none. */
static int granted(const struct cvm *c, unsigned kind, unsigned role, const char *name, uint32_t *perms)
{
	*perms = CAP_ALL;
	for (uint32_t i = 0; i < c->config->grants; i++) {
		const struct launch_grant *g = &c->config->grant[i];
		if (g->kind == kind && g->roles & role && name_matches(g->name, name))
			return *perms = g->perms, 0;
	}
	return insecure(LAUNCH_INSECURE_NO_CAP_CHECK) ? 0 : -EACCES;
}

static uint32_t object_named(unsigned kind, const char *name)
{
	for (uint32_t i = 1; i < g_arena->objects_end; i++) {
		struct object *o = &g_arena->object[i];
		if (o->kind == kind && !memcmp(o->name, name, strlen(name) + 1))
			return i;
	}
	return 0;
}

/* Called once, before the first cVM: the rings' memory, and the CP_Files that exist from the start. */
int caps_init(void)
{
	uint64_t size = STREAMS_MAX * 2ull * CAP_STREAM_RING;
	long fd = host(__NR_memfd_create, "rings", MFD_CLOEXEC);
	int r = fd < 0 ? (int)fd : (int)host(__NR_ftruncate, fd, size);
	long at = r ? r : host_mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, (int)fd, 0);

	if (at < 0)
		return (int)at;
	g_arena->rings = (uint64_t)at;
	g_arena->rings_fd = (int32_t)fd;
	for (uint32_t i = 0; i < g_arena->launch.files; i++) {
		const struct launch_file *f = &g_arena->launch.file[i];
		long object = object_new(CAP_MEMORY, NULL, f->size);
		memcpy(g_arena->object[object].name, f->name, sizeof f->name);
		r = f->size && f->size <= OBJECT_BYTES_MAX ? cap_memory_create((uint32_t)object, f->fd) : -EINVAL;
		if (r)
			return r;
	}
	return 0;
}

long hc_cap_open(struct thread *t, const uint64_t *a)
{
	unsigned kind = (unsigned)a[0];
	char name[CAP_NAME_MAX];
	uint32_t perms;
	int error = user_path(t->cvm, name, sizeof name, (struct gaddr){ a[1] }, a[2]);

	if (!error && (!name[0] || kind < CAP_MEMORY || kind > CAP_CONNECT || a[3] & ~(uint64_t)CAP_ALL))
		error = -EINVAL;
	if (!error)
		error = granted(t->cvm, kind, LAUNCH_GRANT_USE, name, &perms);
	if (error || a[3] & ~perms)
		return error ? error : -EACCES;
	LOCKED(&g_arena->cap_lock);
	unsigned served_as = kind == CAP_CALL ? CAP_EXPORT : kind == CAP_CONNECT ? CAP_LISTENER : CAP_MEMORY;
	uint32_t object = object_named(served_as, name), root = g_arena->object[object].root;
	if (!object)
		return -ENOENT;
	struct cap like = { .kind = (uint8_t)kind, .perms = (uint8_t)a[3], .object = object, .base = object_address(object),
			    .length = kind == CAP_MEMORY ? g_arena->object[object].size : 0 };
	return cap_handle(cap_new(t->cvm, &like, root ? cap_number(root) : NULL));
}

long hc_cap_create(struct thread *t, const uint64_t *a)
{
	static const uint8_t granted_as[] = { [CAP_MEMORY] = CAP_MEMORY, [CAP_EXPORT] = CAP_CALL, [CAP_LISTENER] = CAP_CONNECT,
					      [CAP_TYPE] = CAP_TYPE };
	unsigned kind = (unsigned)a[0];
	uint64_t size = kind == CAP_MEMORY ? a[3] : 0;
	unsigned all = kind == CAP_MEMORY || kind == CAP_TYPE ? CAP_ALL : CAP_ALL & ~CAP_GRANT;
	struct cvm *c = t->cvm;
	char name[CAP_NAME_MAX];
	uint32_t perms;
	long object = 0;
	int error = user_path(c, name, sizeof name, (struct gaddr){ a[1] }, a[2]);

	if (!error && (kind >= sizeof granted_as || !granted_as[kind] ||
		       (kind == CAP_MEMORY ? !a[3] || a[3] > OBJECT_BYTES_MAX : kind == CAP_TYPE ? name[0] : !name[0])))
		error = -EINVAL;
	if (!error && name[0])
		error = granted(c, granted_as[kind], LAUNCH_GRANT_PROVIDE, name, &perms);
	if (error)
		return error;
	LOCKED(&g_arena->cap_lock);
	if (name[0] && object_named(kind, name))
		return -EEXIST;
	if (kind != CAP_TYPE && (object = object_new(kind, c, size)) < 0)
		return object;
	struct object *o = &g_arena->object[object];
	if (kind == CAP_LISTENER)
		o->listener.backlog = (uint32_t)MIN(a[3], LISTENER_BACKLOG_MAX);
	error = kind == CAP_MEMORY ? cap_memory_create((uint32_t)object, -1) : 0;
	struct cap like = { .kind = (uint8_t)kind, .perms = (uint8_t)all, .object = (uint32_t)object, .length = size,
			    .base = kind == CAP_TYPE ? ++g_arena->cap_types : object_address((uint32_t)object) };
	struct cap *k = error ? error_pointer(error) : cap_new(c, &like, NULL);
	if (!error_in(k) && object) {
		memcpy(o->name, name, sizeof name);
		__atomic_store_n(&o->root, number_of(k), __ATOMIC_RELAXED);
	}
	object_put((uint32_t)object);
	return cap_handle(k);
}

long hc_cap_memory(struct thread *t, const uint64_t *a)
{
	if (!a[1] || a[2] & ~(uint64_t)(CAP_LOAD | CAP_STORE | CAP_GRANT))
		return -EINVAL;
	if (!in_slot(t->cvm, (struct gaddr){ a[0] }, a[1]))
		return -EFAULT;
	LOCKED(&g_arena->cap_lock);
	struct cap like = { .kind = CAP_MEMORY, .perms = (uint8_t)a[2], .base = a[0], .length = a[1] };
	return cap_handle(cap_new(t->cvm, &like, NULL));
}

static bool derivable(const struct cap *k)
{
	return k->kind <= CAP_CONNECT || k->kind == CAP_TYPE;
}

HOSTCALL_ON_CAP_LOCKED(cap_derive, 0, 0)
{
	bool checked = !insecure(LAUNCH_INSECURE_NO_CAP_CHECK);
	uint64_t end;

	if (!derivable(k))
		return -EINVAL;
	if (checked && (k->sealed || a[3] & ~(uint64_t)k->perms))
		return -EACCES;
	if (checked && k->kind == CAP_MEMORY && (!add_checked(a[1], a[2], &end) || end > k->length || !a[2]))
		return -ERANGE;
	struct cap like;
	CAP_COPY(&like, k);
	like.perms = a[3] & CAP_ALL;
	if (like.kind == CAP_MEMORY) {
		like.base += a[1];
		like.length = a[2];
	}
	return cap_handle(cap_new(t->cvm, &like, k));
}

HOSTCALL_ON_CAP_LOCKED(cap_seal, 0, 0)
{
	struct cap *type = cap_find(t->cvm, a[1], CAP_TYPE, CAP_USE);

	if (error_in(type) || !derivable(k) || (a[2] && k->sealed))
		return error_in(type) ?: -EINVAL;
	if (!a[2] && k->sealed != type->base && !insecure(LAUNCH_INSECURE_NO_CAP_CHECK))
		return -EPERM;
	struct cap like;
	CAP_COPY(&like, k);
	like.sealed = a[2] ? type->base : 0;
	return cap_handle(cap_new(t->cvm, &like, k));
}

/* Without the lock for a moment. Of a cVM that ends nobody comes back: its end takes care of the rest, and who returned to the
 * program before a kick comes would say that it is done. */
static void wait_without_lock(struct thread *t)
{
	int64_t moment[2] = { 0, 50000 };

	lock_give(&g_arena->cap_lock);
	if (LOAD(t->cvm->dying))
		thread_leave(t);
	host(__NR_futex, &t->wake, FUTEX_WAIT_PRIVATE, LOAD(t->wake), moment);
	lock_take(&g_arena->cap_lock);
}

HOSTCALL_ON_CAP_LOCKED(cap_revoke, 0, 0)
{
	if (insecure(LAUNCH_INSECURE_NO_REVOKE))
		return 0;
	cap_condemn(k);
	while (is_handle_of(k, a[0]) && !cap_kill_below(k))
		wait_without_lock(t);
	return 0;
}

long hc_cap_close(struct thread *t, const uint64_t *a)
{
	LOCKED(&g_arena->cap_lock);
	for (;; wait_without_lock(t)) {
		int error = error_in(cap_find(t->cvm, a[0], 0, 0));
		if (error && error != -EKEYREVOKED)
			return error;
		if (cap_drop(entry(t->cvm, a[0])))
			return 0;
	}
}

uint32_t cap_state(const struct cap *k, uint32_t seen)
{
	const struct object *o = &g_arena->object[k->object];
	const struct ring *in = &o->stream.ring[1 - k->end];
	struct ring *out = &g_arena->object[k->object].stream.ring[k->end];

	switch (k->kind) {
	case CAP_MEMORY:
		return __atomic_load_n(&o->sequence, __ATOMIC_ACQUIRE) != seen ? CAP_READABLE : 0;
	case CAP_CALL:
		return __atomic_load_n(&o->export.free, __ATOMIC_ACQUIRE) ? CAP_WRITABLE : 0;
	case CAP_EXPORT:
		return __atomic_load_n(&o->notified, __ATOMIC_ACQUIRE) ? CAP_READABLE : 0;
	case CAP_LISTENER:
		return __atomic_load_n(&o->listener.count, __ATOMIC_ACQUIRE) ? CAP_READABLE : 0;
	case CAP_STREAM:
		if (LOAD(out->head) - LOAD(out->tail) >= CAP_STREAM_RING) /* whoever hears "no room" is told when there is */
			__atomic_exchange_n(&out->full, 1, __ATOMIC_SEQ_CST);
		bool ended = LOAD(in->ended), dead = LOAD(out->dead);
		return (LOAD(in->head) != LOAD(in->tail) || LOAD(in->passed) || ended || LOAD(in->dead) ? CAP_READABLE : 0) |
		       (LOAD(out->head) - LOAD(out->tail) < CAP_STREAM_RING || dead ? CAP_WRITABLE : 0) | (ended ? CAP_ENDED : 0) |
		       (dead && ended ? CAP_BROKEN : 0) | (LOAD(out->reset) ? CAP_RESET : 0);
	default:
		return 0;
	}
}

/* Who asks for the version of memory, or waits for another, hears of all that is written from then on. Who watches instead
 * of waiting gets an event: the entry's bit is raised at the next change. */
static void heed(const struct cap *k, bool watch)
{
	struct object *o = &g_arena->object[k->object];

	if (k->kind != CAP_MEMORY || !k->object || k->sealed)
		return;
	if (watch) {
		__atomic_store_n(&o->memory.watch[holder_of(k)->index], (uint16_t)(number_of(k) % CAPS_MAX), __ATOMIC_RELAXED);
		__atomic_store_n(&o->watched, 1, __ATOMIC_SEQ_CST);
	}
	__atomic_exchange_n(HEED_WORD(k), CAP_HEED_ASKED, __ATOMIC_SEQ_CST);
}

HOSTCALL_ON_CAP(cap_info, 0, 0)
{
	const struct object *o = &g_arena->object[k->object];
	if (a[2])
		heed(k, false);
	struct cap_info info = { .kind = k->kind, .perms = k->perms, .length = k->length, .sealed = k->sealed != 0,
				 .state = cap_state(k, 0), .version = __atomic_load_n(&o->sequence, __ATOMIC_ACQUIRE) };
	uint32_t other = k->kind == CAP_STREAM ? LOAD(o->stream.holder[1 - k->end]) : LOAD(o->root);
	info.peer = other ? other / CAPS_MAX : ~0u;
	if (k->kind == CAP_STREAM) {
		const struct ring *in = &o->stream.ring[1 - k->end], *out = &o->stream.ring[k->end];
		info.word = o->stream.word;
		info.readable = LOAD(in->head) - LOAD(in->tail);
		info.writable = LOAD(out->dead) ? 0 : CAP_STREAM_RING - (LOAD(out->head) - LOAD(out->tail));
	}
	return user_out(t->cvm, (struct gaddr){ a[1] }, &info, sizeof info);
}

long hc_cap_wait(struct thread *t, const uint64_t *a)
{
	int64_t timeout = (int64_t)a[2];
	uint64_t end = timeout < 0 ? 0 : clock_ns(1) + (uint64_t)timeout;

	for (;;) {
		struct cap *k = cap_get(t, a[0], 0, 0);
		if (error_in(k))
			return error_in(k);
		struct object *o = &g_arena->object[k->object];
		bool shared = k->object && (k->kind == CAP_MEMORY || k->kind == CAP_CALL);
		uint32_t *word = shared ? &o->sequence : &k->sequence, *waiters = shared ? &o->waiters : &k->waiters;
		__atomic_add_fetch(waiters, 1, __ATOMIC_SEQ_CST);
		uint32_t sequence = __atomic_load_n(word, __ATOMIC_SEQ_CST);
		heed(k, !timeout);
		uint32_t state = cap_state(k, (uint32_t)a[3]) & ((uint32_t)a[1] | CAP_BROKEN);
		if (state && k->kind == CAP_EXPORT)
			__atomic_store_n(&o->notified, 0, __ATOMIC_SEQ_CST);
		long r = k->sealed ? -EACCES : (long)state;
		cap_put(k);
		if (!r) {
			int64_t left = timeout < 0 ? 0 : (int64_t)(end - clock_ns(1)), ts[2] = { left / 1000000000, left % 1000000000 };
			r = timeout >= 0 && left <= 0 ? -ETIMEDOUT :
				host_blocking(__NR_futex, word, FUTEX_WAIT_PRIVATE, sequence, timeout < 0 ? NULL : ts);
		}
		__atomic_sub_fetch(waiters, 1, __ATOMIC_RELEASE);
		if (r && r != -EAGAIN)
			return r;
	}
}

/* The contents of a memory object changed. */
void cap_changed(uint32_t object)
{
	struct object *o = &g_arena->object[object];

	object_raise(o);
	if (!__atomic_load_n(&o->watched, __ATOMIC_SEQ_CST))
		return;
	__atomic_store_n(&o->watched, 0, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < CVMS_MAX; i++) {
		uint16_t index = __atomic_exchange_n(&o->memory.watch[i], 0, __ATOMIC_SEQ_CST);
		if (index)
			cap_raise(i * CAPS_MAX + index);
	}
}

HOSTCALL_ON_CAP(cap_notify, 0, 0)
{
	struct object *o = &g_arena->object[k->object];
	bool call = k->kind == CAP_CALL;
	uint32_t new = CAP_HEED_NEW;

	if (k->sealed || (!call && k->kind != CAP_MEMORY))
		return -EBADF;
	if (!(k->perms & (call ? CAP_USE : CAP_STORE)))
		return -EACCES;
	if (call) {
		__atomic_store_n(&o->notified, 1, __ATOMIC_SEQ_CST);
		cap_raise(o->root);
	} else if (k->object) {
		cap_changed(k->object);
		__atomic_compare_exchange_n(HEED_WORD(k), &new, CAP_HEED_NOBODY, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
	return 0;
}

long hc_cap_events(struct thread *t, const uint64_t *a)
{
	struct cvm *c = t->cvm;
	uint64_t bits[CAPS_MAX / 64], any = 0;

	if (a[1] && LOAD(c->doorbell_fd) > 0)
		__atomic_store_n(&c->cap_armed, 1, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < CAPS_MAX / 64; i++) {
		bits[i] = __atomic_load_n(&c->cap_events[i], __ATOMIC_SEQ_CST);
		if (bits[i])
			bits[i] = __atomic_exchange_n(&c->cap_events[i], 0, __ATOMIC_SEQ_CST);
		any |= bits[i];
	}
	if (any)
		__atomic_store_n(&c->cap_armed, 0, __ATOMIC_SEQ_CST);
	if (any && user_out(c, (struct gaddr){ a[0] }, bits, sizeof bits))
		return -EFAULT;
	return any != 0;
}

long hc_cap_doorbell(struct thread *t, const uint64_t *a)
{
	struct cvm *c = t->cvm;

	LOCKED(&g_arena->cap_lock);
	if (c->doorbell_fd <= 0)
		__atomic_store_n(&c->doorbell_fd, (int32_t)host(__NR_eventfd2, 0, O_CLOEXEC | O_NONBLOCK), __ATOMIC_RELEASE);
	long fd = c->doorbell_fd < 0 ? c->doorbell_fd : host(__NR_fcntl, c->doorbell_fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? fd : handle_add(c, (int)fd, HANDLE_EVENTFD, LAUNCH_RIGHT_READ);
}
