/*
 * CP_Call: a call moves the caller's host thread into the callee, as in LRPC (Bershad et al., SOSP'89). A *context* is what a
 * thread is inside its cVM: stack, FS base, upcall frame, number. A thread of the callee that serves lends its context
 * and sleeps; the caller's thread runs with it and leaves its own behind in a call_frame. struct thread is both: the host
 * thread, and by `home`, `start`, `where` the context it was made with; `as` is the context it runs with now.
 *
 *	where: HERE    somebody executes in it (its own thread, or `executor`)
 *	       AWAY    its executor has called out of it
 *	       PARKED  lent, waiting for a call
 *	       RETURNED  back from a call and kept for its own thread: the export is closed, or the thread or its cVM ends
 *	       GONE    its cVM ended while it was AWAY: nobody will return into it
 *
 * A thread leaves a context HERE -> AWAY, and comes back AWAY -> HERE unless cvm_end turned AWAY into GONE: these two by
 * compare-and-swap, so exactly one of them happens. A return whose caller is gone goes on to the caller's caller, and a
 * thread with no caller left ends.
 */
#include <linux/futex.h>

#include "host/syscall.h"
#include "monitor/caps.h"
#include "monitor/hostcalls.h"
#include "monitor/trap.h"

#define WAKE_LOOK 1u   /* the export is closed, or the thread is to end */
#define WAKE_RESUME 2u /* go on with what the caller's thread executed until its deadline */

void call_clean(void);
_Noreturn void call_leave(void);
void call_leave_kicked(struct thread *t);

/* By whoever executes in it, or its owner: nobody else changes it now. */
static uint64_t where_set(struct thread *context, enum thread_where where)
{
	uint64_t now = LOAD(context->where) / THREAD_WHERES * THREAD_WHERES + where;

	__atomic_store_n(&context->where, now, __ATOMIC_RELEASE);
	return now;
}

/* From now on the thread is in `context`: its cVM, its identity, its rights behind the next gate. Then it
 * looks at `dying`, which cvm_end sets before it looks who is where: so the order of this store matters. */
static void become(struct thread *t, struct thread *context)
{
	__atomic_store_n(&t->as, context, __ATOMIC_RELEASE); /* context_kick looks */
	__atomic_store_n(&t->cvm, context->home, __ATOMIC_SEQ_CST);
	vcpu_show(t->vcpu, context);
}

static void clean_registers(void)
{
	if (!insecure(LAUNCH_INSECURE_NO_CLEAN))
		call_clean();
}

static uint64_t fs_base(void)
{
	uint64_t base;

	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static void set_fs_base(uint64_t base)
{
	__asm__ volatile("wrfsbase %0" : : "r"(base));
}

/* The hostcall ends with status and words instead of one result: the gate sees `by_words`. */
static long finish(struct thread *t, long status, const uint64_t *words)
{
	for (unsigned i = 0; i < CALL_WORDS; i++)
		t->words[i] = words ? words[i] : 0;
	t->words[CALL_WORDS] = (uint64_t)status;
	t->by_words = 1;
	return 0;
}

void supervisor_tick(void)
{
	uint64_t one = 1;

	if (!__atomic_exchange_n(&g_arena->tick, 1, __ATOMIC_SEQ_CST))
		host(__NR_write, g_arena->wake_fd, &one, sizeof one);
}

/* The earliest of the frames' deadlines, for the supervisor. */
static void deadline_update(struct thread *t)
{
	uint64_t earliest = 0;

	for (uint32_t i = 0; i < t->depth; i++)
		if (t->frames[i].deadline && (!earliest || t->frames[i].deadline < earliest))
			earliest = t->frames[i].deadline;
	/* A call in between does not begin the patience with one that has expired anew. */
	if (!earliest || (t->deadline && clock_ns(1) < earliest))
		__atomic_store_n(&t->expired, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&t->deadline, earliest, __ATOMIC_SEQ_CST);
	if (earliest)
		supervisor_tick();
}

/* Supervisor: kicks threads whose time is up, or their cVM's: a kick on the way into an upcall is not heard. True: to be called again. */
bool call_deadlines(void)
{
	uint64_t now = clock_ns(1);

	if (!__atomic_exchange_n(&g_arena->tick, 0, __ATOMIC_SEQ_CST))
		return false;
	LOCKED(&g_arena->thread_lock);
	for_each_thread(t) {
		uint64_t deadline = __atomic_load_n(&t->deadline, __ATOMIC_SEQ_CST);
		bool late = deadline && now >= deadline, ends = LOAD(LOAD(t->cvm)->dying);
		if (deadline || ends)
			__atomic_store_n(&g_arena->tick, 1, __ATOMIC_SEQ_CST);
		if (late || ends) {
			__atomic_or_fetch(&t->expired, late, __ATOMIC_RELAXED);
			thread_kick(t);
		}
	}
	return true;
}

/* An idle serving thread of the export: its bit, or -1. */
static int claim(struct object *o)
{
	uint64_t free = __atomic_load_n(&o->export.free, __ATOMIC_ACQUIRE);

	while (free)
		if (__atomic_compare_exchange_n(&o->export.free, &free, free & (free - 1), false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE))
			return __builtin_ctzll(free);
	return -1;
}

static void offer(struct object *o, unsigned bit)
{
	__atomic_or_fetch(&o->export.free, 1ull << bit, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&o->waiters, __ATOMIC_SEQ_CST))
		object_raise(o);
}

static void wake(struct thread *server, uint32_t why)
{
	__atomic_or_fetch(&server->wake, why, __ATOMIC_SEQ_CST);
	host(__NR_futex, &server->wake, FUTEX_WAKE_PRIVATE, 1);
}

/* Capabilities that were passed and not fetched: nobody uses them for longer than it takes to hear that. cap_lock held. */
static void drop_passed(struct thread *context)
{
	for (uint32_t i = 0; i < context->passed; i++)
		while (cap_number(context->pass[i])->kind != CAP_NONE && !cap_drop(cap_number(context->pass[i])))
			host(__NR_sched_yield);
	context->passed = 0;
}

static void forget_passed(struct thread *context)
{
	if (!context->passed)
		return;
	LOCKED(&g_arena->cap_lock);
	drop_passed(context);
}

/* Derives capabilities into the list of another cVM, that of `context`; all or none. */
static int pass_caps(struct cvm *from, const uint32_t *handles, uint32_t count, struct thread *context, uint64_t where)
{
	int error = 0;

	LOCKED(&g_arena->cap_lock);
	/* Once it is gone its list is emptied, under this lock, and it and the list may soon be another's. */
	if (LOAD(context->where) != where)
		return -EOWNERDEAD;
	if (context->passed + count > CAP_PASS_MAX)
		return -EMFILE;
	for (uint32_t i = 0; i < count && !error; i++) {
		struct cap *k = cap_pass(from, handles[i], context->home);
		error = error_in(k);
		if (!error)
			context->pass[context->passed++] = number_of(k);
	}
	if (error)
		drop_passed(context);
	return error;
}

/* Handles of what was passed to `context`, which is the reader's from now on. */
static uint32_t fetch_caps(struct thread *context, uint32_t *handles)
{
	uint32_t count = context->passed;

	for (uint32_t i = 0; i < count; i++)
		handles[i] = (uint32_t)cap_fetch(context->pass[i]);
	context->passed = 0;
	return count;
}

/* The answer to a call_message. */
static long answer(struct thread *t, const struct call_frame *f, long status, const uint64_t *words)
{
	struct call_message m = { 0 };

	for (unsigned i = 0; words && i < CALL_WORDS; i++)
		m.word[i] = words[i];
	if (status)
		forget_passed(f->who);
	m.caps = fetch_caps(f->who, m.cap);
	return user_out(t->cvm, (struct gaddr){ f->message }, &m, sizeof m) ? -EFAULT : status;
}

/* The thread is in `context` again: a kick, or the end, may have come while it was not. */
static void kick_again(struct thread *t, struct thread *context)
{
	if (unlikely(LOAD(context->home->dying) || LOAD(context->missed))) {
		__atomic_store_n(&context->missed, 0, __ATOMIC_RELAXED);
		t->kick = 1;
	}
}

/* Back in the caller: its registers, its modes, its answer. */
static long resume_caller(struct thread *t, const struct call_frame *f, long status, const uint64_t *words)
{
	t->user_sp = f->user_sp;
	set_fs_base(f->fs_base);
	clean_registers();
	if (!insecure(LAUNCH_INSECURE_NO_CLEAN))
		__asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(f->mxcsr), "m"(f->x87_control));
	if (unlikely(t->deadline))
		deadline_update(t);
	kick_again(t, f->who);
	if (unlikely(f->message))
		status = answer(t, f, status, words);
	return finish(t, status, words);
}

/* Leaves the context that the thread runs with, back to its owner, who waits in call_serve. */
static void give_back(struct thread *t, const struct call_frame *f)
{
	struct thread *server = t->as;
	struct object *o = &g_arena->object[f->object];
	bool kept = LOAD(o->closed) || LOAD(server->leaving) || LOAD(server->home->dying);

	forget_passed(server);
	__atomic_store_n(&server->executor, NULL, __ATOMIC_RELEASE);
	if (kept) /* before it goes: then its block may be another's */
		wake(server, WAKE_LOOK);
	where_set(server, kept ? THREAD_RETURNED : THREAD_PARKED);
	if (!kept)
		offer(o, f->bit);
}

/* Into the nearest caller that still exists. The contexts between were given up by their own threads. */
static long return_to_caller(struct thread *t, long status, const uint64_t *words)
{
	while (t->depth) {
		struct call_frame *f = &t->frames[--t->depth];
		/* Gone, its block may be another context's by now: `away` tells. Then it is not even looked at. */
		if (__atomic_compare_exchange_n(&f->who->where, &f->away, f->away - THREAD_AWAY, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
			become(t, f->who);
			return resume_caller(t, f, status, words);
		}
		status = -EOWNERDEAD;
		words = NULL;
	}
	thread_leave(t);
}

/* The current context's cVM ends, or its thread does: the call ends without an answer. */
_Noreturn void call_abort(struct thread *t)
{
	long status = !LOAD(t->cvm->dying) ? -ECANCELED : t->cvm->exit_signaled ? -EOWNERDEAD : -ESHUTDOWN;

	if (status == -ECANCELED)
		__atomic_store_n(&t->as->leaving, true, __ATOMIC_RELAXED);
	give_back(t, &t->frames[t->depth - 1]);
	return_to_caller(t, status, NULL);
	call_leave();
}

static long invoke(struct thread *t, uint64_t handle, const uint64_t *words, uint64_t message, struct call_message *m)
{
	struct cap *k = cap_get(t, handle, CAP_CALL, CAP_USE);
	int error = error_in(k), bit = -1;

	if (error)
		return finish(t, error, NULL);
	uint32_t object = k->object;
	struct object *o = &g_arena->object[object];
	if (t->depth == CALL_DEPTH_MAX)
		error = -ELOOP;
	else if ((bit = claim(o)) < 0)
		error = -EAGAIN;
	cap_put(k);
	if (bit < 0)
		return finish(t, error, NULL);
	struct thread *server = thread_block(o->export.server[bit]), *caller = t->as;
	struct cvm *from = t->cvm; /* caller->home, whose block may be another's once it is gone */
	if (m && m->caps)
		error = pass_caps(t->cvm, m->cap, m->caps, server, LOAD(server->where));
	if (error) {
		offer(o, (unsigned)bit);
		return finish(t, error, NULL);
	}
	struct call_frame *f = &t->frames[t->depth++];
	f->who = caller;
	f->user_sp = t->user_sp;
	f->fs_base = fs_base();
	f->message = message;
	f->deadline = m ? m->deadline_ns : 0;
	f->object = object;
	f->bit = (uint32_t)bit;
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(f->mxcsr), "=m"(f->x87_control));
	f->away = where_set(caller, THREAD_AWAY);
	__atomic_store_n(&server->executor, t, __ATOMIC_RELEASE);
	where_set(server, THREAD_HERE);
	become(t, server);
	/* cvm_end of either may have looked for us a moment too early. */
	if (unlikely(LOAD(from->dying) || LOAD(server->home->dying))) {
		long status = LOAD(server->home->exit_signaled) ? -EOWNERDEAD : -ESHUTDOWN;
		give_back(t, f);
		return return_to_caller(t, status, NULL);
	}
	if (f->deadline)
		deadline_update(t);
	t->user_sp = server->user_sp;
	set_fs_base(server->fs_base);
	clean_registers();
	return finish(t, server->passed, words);
}

long hc_call_invoke(struct thread *t, const uint64_t *a)
{
	return invoke(t, a[CALL_WORDS] >> 32, a, 0, NULL);
}

long hc_call_invoke_msg(struct thread *t, const uint64_t *a)
{
	struct call_message m;
	int error = user_in(t->cvm, &m, (struct gaddr){ a[1] }, sizeof m) ?: m.caps > CAP_PASS_MAX ? -EINVAL : 0;

	return error ? finish(t, error, NULL) : invoke(t, a[0], m.word, a[1], &m);
}

/* The thread's own context again: no caller may have it. False while one has. */
static bool take_back(struct thread *t, struct object *o, unsigned bit)
{
	uint64_t mask = 1ull << bit;

	if (!(__atomic_fetch_and(&o->export.free, ~mask, __ATOMIC_SEQ_CST) & mask) && WHERE_IS(t) != THREAD_RETURNED)
		return false;
	where_set(t, THREAD_HERE);
	return true;
}

static void stop_serving(uint32_t object, unsigned bit)
{
	LOCKED(&g_arena->cap_lock);
	__atomic_and_fetch(&g_arena->object[object].export.used, ~(1ull << bit), __ATOMIC_SEQ_CST);
	object_put(object);
}

/* Goes on as the context that the caller's thread was in when its deadline passed. */
static _Noreturn void resume_callee(struct thread *t)
{
	become(t, t->as);
	set_fs_base(t->fs_base);
	__asm__ volatile("call xrstor_gate" : : "D"(t->vectors), "a"((uint32_t)g_arena->xsave_mask), "d"(0) : "memory", "cc");
	deadline_update(t);
	trap_deliver(t);
}

/* The thread becomes one of those that serve an export: its bit there. */
static int start_serving(struct thread *t, uint64_t handle, uint32_t *object)
{
	LOCKED(&g_arena->cap_lock);
	struct cap *k = cap_find(t->cvm, handle, CAP_EXPORT, CAP_USE);
	if (error_in(k))
		return error_in(k);
	struct object *o = &g_arena->object[k->object];
	uint64_t used = o->export.used;
	if (!~used)
		return -EMFILE;
	int bit = __builtin_ctzll(~used);
	o->export.used |= 1ull << bit;
	o->export.server[bit] = t->id;
	o->refs++;
	*object = k->object;
	return bit;
}

static long park(struct thread *t, uint64_t handle)
{
	uint32_t object = 0;
	t->wake = 0;
	int bit = start_serving(t, handle, &object);

	if (bit < 0)
		return finish(t, bit, NULL);
	struct object *o = &g_arena->object[object];
	t->fs_base = fs_base();
	where_set(t, THREAD_PARKED);
	offer(o, (unsigned)bit);
	int64_t tick[2] = { 0, 2000000 };
	bool wanted = false;
	long status = 0;
	while (!status) {
		uint32_t why = __atomic_load_n(&t->wake, __ATOMIC_SEQ_CST);
		if (why & WAKE_RESUME) {
			stop_serving(object, (unsigned)bit);
			resume_callee(t);
		}
		bool closed = LOAD(o->closed);
		wanted = wanted || closed || LOAD(t->leaving) || LOAD(t->cvm->dying);
		if (wanted && take_back(t, o, (unsigned)bit)) {
			status = closed ? -EKEYREVOKED : -EINTR;
		} else if (wanted && WHERE_IS(t) == THREAD_GONE && !(LOAD(t->wake) & WAKE_RESUME)) {
			break; /* called out of, and its cVM has ended: who was there finds it gone */
		} else {
			/* Lent and wanted at once is rare; then looking again is good enough. */
			long r = host_blocking(__NR_futex, &t->wake, FUTEX_WAIT_PRIVATE, why, wanted ? tick : NULL);
			wanted = wanted || r == -EINTR || why != __atomic_load_n(&t->wake, __ATOMIC_SEQ_CST);
			t->kick = 0; /* until it is taken back: see `missed` */
		}
	}
	stop_serving(object, (unsigned)bit);
	if (t->leaving || LOAD(t->cvm->dying))
		thread_leave(t);
	kick_again(t, t);
	return finish(t, status, NULL);
}

long hc_call_serve(struct thread *t, const uint64_t *a)
{
	if (!t->depth)
		return park(t, a[CALL_WORDS] >> 32);
	struct call_frame *f = &t->frames[t->depth - 1];
	struct thread *server = t->as;
	server->user_sp = t->user_sp;
	server->fs_base = fs_base();
	give_back(t, f);
	return return_to_caller(t, 0, a);
}

long hc_call_caps(struct thread *t, const uint64_t *a)
{
	uint32_t handles[CAP_PASS_MAX] = { 0 };

	if (!t->depth || a[1] > CAP_PASS_MAX)
		return -EINVAL;
	if (!a[1]) {
		uint32_t count = fetch_caps(t->as, handles);
		return user_out(t->cvm, (struct gaddr){ a[0] }, handles, sizeof handles) ? -EFAULT : (long)count;
	}
	struct call_frame *f = &t->frames[t->depth - 1];
	if (!f->message || user_in(t->cvm, handles, (struct gaddr){ a[0] }, a[1] * sizeof handles[0]))
		return f->message ? -EFAULT : -EINVAL;
	return pass_caps(t->cvm, handles, (uint32_t)a[1], f->who, f->away);
}

/* A kick found the thread with a call whose time is up. If the callee's thread can take over what is executed here, the caller
 * returns with -ETIMEDOUT. t->trap describes where execution stands. */
void call_expired(struct thread *t)
{
	uint64_t now = clock_ns(1);
	uint32_t i = 0;

	while (i < t->depth && (!t->frames[i].deadline || t->frames[i].deadline > now))
		i++;
	if (i == t->depth || (t->as->upcall_active && LOAD(t->expired) < DEADLINE_GRACE))
		return;
	struct thread *executing = t->as;
	uint32_t n = i + 1; /* nothing returns to the callees whose cVMs have ended */
	lock_take(&g_arena->thread_lock); /* against cvm_end, behind which its block may be another's */
	while (n < t->depth && LOAD(t->frames[n].who->where) != t->frames[n].away)
		n++;
	struct thread *heir = n < t->depth ? t->frames[n].who : executing;
	heir->trap = t->trap;
	heir->trap_pop = t->trap_pop;
	heir->fs_base = fs_base();
	__asm__ volatile("xsave %0" : "=m"(heir->vectors) : "a"((uint32_t)g_arena->xsave_mask), "d"(0) : "memory");
	heir->depth = t->depth - n;
	memcpy(heir->frames, &t->frames[n], heir->depth * sizeof heir->frames[0]);
	__atomic_store_n(&heir->as, executing, __ATOMIC_RELEASE);
	__atomic_store_n(&executing->executor, heir, __ATOMIC_RELEASE);
	t->depth = i + 1;
	wake(heir, WAKE_RESUME);
	lock_give(&g_arena->thread_lock);
	return_to_caller(t, -ETIMEDOUT, NULL);
	call_leave();
}

/* A kick waits for a thread that leaves through call_leave: as trap_leave_kicked. */
void call_leave_kicked(struct thread *t)
{
	struct upcall_frame f = { .r12 = t->words[0], .r13 = t->words[1], .r8 = t->words[2], .r9 = t->words[3],
				  .r10 = t->words[4], .r11 = t->words[5], .rbx = t->words[CALL_WORDS],
				  .cs = USER_CS, .ss = USER_SS, .rflags = RFLAGS_CLEAN, .rsp = t->user_sp };

	t->by_words = 0; /* the next hostcall, from the upcall, ends as usual */
	trap_leave_kicked(t, &f);
}

/* cap_lock held: no new calls; those under way end as they end. */
void export_closed(struct object *o)
{
	__atomic_store_n(&o->closed, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < EXPORT_SERVERS_MAX; i++)
		if (o->export.used >> i & 1)
			wake(thread_block(o->export.server[i]), WAKE_LOOK);
}
