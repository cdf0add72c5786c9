/*
 * Carrying system calls to the cVM that serves them (served/served.h): the choice of calls, the CP_Call itself, and what
 * happens when the server waits, ends or does not answer. Called by thread/syscall.c for every system call of a served
 * cVM, and by served/descriptor.c.
 *
 * A call to another cVM leaves no register alone, and a program's vector registers survive a system call; so they are kept
 * in the thread's XSAVE area meanwhile. The thread gets no upcall while it is in the server: a signal waits until the
 * call comes back. Servers therefore do not block but answer "again later", and this libOS waits, interruptibly.
 */
#include "served/served.h"
#include "abi/boot.h"
#include "abi/gate.h"
#include "abi/capability.h"
#include "abi/served.h"
#include "abi/slot.h"
#include "core/boot.h"
#include "core/hostcall.h"
#include "core/log.h"
#include "core/uaccess.h"
#include "mm/vma.h"
#include "net/loop.h"
#include "signal/signal.h"
#include "sys/syscalls.h"
#include "sys/trace.h"
#include "thread/clock.h"
#include "thread/entry.h"

#include <asm/ioctls.h>

#define XSAVE_LEGACY_SIZE 512
#define XSAVE_HEADER_SIZE 64
#define RETRY_NS 1000000 /* between looks for a server that is not there yet */

bool g_served;

static struct {
	struct mutex lock;  /* attaching and losing */
	uint64_t caps;	    /* atomic: the export's handle, the page's in the upper half; 0: there is no server now */
	uint32_t life;	    /* atomic: counts servers; a descriptor belongs to one */
	uint32_t flags;	    /* SERVED_*, atomic, as what follows */
	uint64_t set[SERVED_CALLS / 64];
	uint32_t memory[SERVED_RANGES]; /* capabilities on the program's memory, and where it is; unchanged once set */
	uint64_t base[SERVED_RANGES], size[SERVED_RANGES];
	uint32_t ranges;
	const struct libos_boot *boot;
	bool said_late;
} g;

struct request {
	uint32_t number;
	uint64_t arg[6];
	struct file *file[6]; /* descriptors of the server among the arguments: references */
	bool foreign, local;  /* there are such; there are others */
	bool again;
};

static bool bit(const uint64_t *set, uint64_t n)
{
	return __atomic_load_n(&set[n / 64], __ATOMIC_RELAXED) >> (n % 64) & 1;
}

static uint32_t vectors_in_use(void)
{
	uint32_t low, high;

	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
	return low | 2; /* SSE: MXCSR is always to be read from the area */
}

/* One CP_Call, with its deadline. The status; the answer replaces the words. */
static long call_once(uint32_t cap, struct call_message *m)
{
	struct thread *t = current();
	uint64_t word[CALL_WORDS] = { cap, (uint64_t)m };
	long status;

	memset((char *)t->xsave_area + XSAVE_LEGACY_SIZE, 0, XSAVE_HEADER_SIZE);
	(void)!vector_save(t->xsave_area, vectors_in_use() & g_start->xsave_mask); /* the libOS's own memory */
	status = gate_words(HC_call_invoke_msg, word);
	vector_load(t->xsave_area, g_start->xsave_mask);
	return status;
}

/*
 * The same, and waits for a thread that serves. 0; -ERESTARTSYS: a signal came before the call began (not if `whatever`);
 * -ETIMEDOUT; otherwise the server is gone.
 */
static long call_server(uint32_t cap, struct call_message *m, bool whatever)
{
	uint64_t end = (uint64_t)clock_now(CLOCK_MONOTONIC) + g.boot->served_ms * 1000000ull;
	struct call_message copy = *m;
	long status, left;

	copy.deadline_ns = end;
	for (;;) {
		*m = copy;
		status = call_once(cap, m);
		if (status != -EAGAIN)
			return status > 0 ? 0 : status;
		left = (long)end - clock_now(CLOCK_MONOTONIC);
		if (left <= 0)
			return -ETIMEDOUT;
		if (whatever)
			(void)hostcall(HC_cap_wait, cap, CAP_WRITABLE, MIN(left, (long)RETRY_NS), 0);
		else if (hostcall_blocking(HC_cap_wait, cap, CAP_WRITABLE, left, 0) == -EINTR && work_pending())
			return -ERESTARTSYS;
	}
}

static const char *why_gone(long status)
{
	switch (-status) {
	case EOWNERDEAD: return "it was killed or crashed";
	case ESHUTDOWN: return "it exited";
	case ECANCELED: return "its thread ended";
	default: return "it serves no more";
	}
}

/* The server that had `caps` is gone. What it holds of the program's memory ends now, if it did not end itself. */
static void lose(uint64_t caps, long status)
{
	mutex_lock(&g.lock);
	bool first = __atomic_load_n(&g.caps, __ATOMIC_RELAXED) == caps;
	if (first) {
		__atomic_store_n(&g.caps, 0, __ATOMIC_SEQ_CST);
		for (uint32_t i = 0; i < g.ranges; i++)
			(void)hostcall(HC_cap_revoke, g.memory[i]);
		(void)hostcall(HC_cap_close, (uint32_t)caps);
		(void)hostcall(HC_cap_close, caps >> 32);
		log_text("%s, which serves the system calls: %s; they give EIO until it serves again", boot_string(g.boot->served_by),
			 why_gone(status));
	}
	mutex_unlock(&g.lock);
	if (first)
		served_wake(); /* the page's own event may find it closed */
}

/* What the program gets for a call that the server did not answer. */
static long failed(uint64_t caps, long status, uint32_t number)
{
	if (status == -ERESTARTSYS)
		return status;
	if (status == -ELOOP) /* servers that are served themselves, too many in a row */
		return -EDEADLK;
	if (status != -ETIMEDOUT) {
		lose(caps, status);
		return -EIO;
	}
	if (!__atomic_exchange_n(&g.said_late, true, __ATOMIC_RELAXED))
		log_text("%s did not answer %s within %u ms: ETIMEDOUT (said once)", boot_string(g.boot->served_by),
			 number < SERVED_CALLS ? trace_syscall_name(number) : "a call", g.boot->served_ms);
	return -ETIMEDOUT;
}

/* ---- attaching ---- */

/* Gives the server one range of the program's memory; with the first comes its page. */
static long give_range(uint32_t cap, uint32_t i, uint32_t *page)
{
	struct call_message m = { .word = { SERVED_ATTACH, g.base[i], g.size[i], SERVED_VERSION, i == 0 },
				  .cap = { g.memory[i] }, .caps = 1 };
	long status = call_server(cap, &m, true);

	if (!status && (m.word[0] != SERVED_RESULT || m.word[1] || m.caps != (i == 0)))
		return -EPROTO;
	if (!status && page)
		*page = m.cap[0];
	return status;
}

static long read_page(uint32_t page)
{
	struct served_page p;

	if (hostcall(HC_cap_read, page, &p, sizeof(p), 0) != sizeof(p) || p.version != SERVED_VERSION)
		return -EPROTO;
	__atomic_store_n(&g.flags, p.flags, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < SERVED_CALLS / 64; i++)
		__atomic_store_n(&g.set[i], p.set[i], __ATOMIC_RELAXED);
	return 0;
}

/* g.lock held. 0; -ENOENT: nobody serves; other errors end the attempt. */
static long attach(void)
{
	const char *name = boot_string(g.boot->served_call);
	long cap = hostcall(HC_cap_open, CAP_CALL, name, strlen(name), CAP_USE), status = 0;
	uint32_t page = 0;

	if (cap < 0)
		return cap;
	for (uint32_t i = 0; i < g.ranges && !status; i++)
		status = give_range((uint32_t)cap, i, i ? NULL : &page);
	if (!status)
		status = read_page(page);
	if (status) {
		(void)hostcall(HC_cap_close, cap);
		if (page)
			(void)hostcall(HC_cap_close, page);
		return status;
	}
	__atomic_add_fetch(&g.life, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&g.caps, (uint64_t)cap | (uint64_t)page << 32, __ATOMIC_SEQ_CST);
	return 0;
}

/* The server's handles, or 0. One that has gone may be there again. */
static uint64_t server(void)
{
	uint64_t caps = __atomic_load_n(&g.caps, __ATOMIC_SEQ_CST);

	if (likely(caps))
		return caps;
	mutex_lock(&g.lock);
	if (!g.caps && !attach())
		log_text("%s serves the system calls again", boot_string(g.boot->served_by));
	caps = g.caps;
	mutex_unlock(&g.lock);
	return caps;
}

static long add_range(uint64_t base, uint64_t size)
{
	long cap = hostcall(HC_cap_memory, base, size, CAP_LOAD | CAP_STORE | CAP_GRANT);

	if (cap < 0)
		return cap;
	g.memory[g.ranges] = (uint32_t)cap;
	g.base[g.ranges] = base;
	g.size[g.ranges++] = size;
	return 0;
}

int served_init(const struct libos_boot *boot)
{
	int64_t end = clock_now(CLOCK_MONOTONIC) + boot->served_ms * 1000000ll;
	uint32_t nobody = 0;
	long status;

	if (!boot->served_by)
		return 0;
	g.boot = boot;
	status = add_range(g_start->slot_base + SLOT_LIBOS_END, SLOT_PROGRAM_END - SLOT_LIBOS_END);
	while (!status && (status = attach()) == -ENOENT && clock_now(CLOCK_MONOTONIC) < end) {
		(void)hostcall(HC_futex_wait, &nobody, 0, RETRY_NS);
		status = 0;
	}
	g_served = !status;
	__atomic_add_fetch(&g_loop_count, 1, __ATOMIC_SEQ_CST); /* loop_active: waits include the doorbell, for served_note */
	if (status == -ENOENT || status == -ETIMEDOUT)
		log_crash("%s is to serve the system calls, but does not within %u ms (it must call cvm_syscalls_start for this cVM's "
			  "name; syscalls_timeout gives it longer)", boot_string(boot->served_by), boot->served_ms);
	else if (status)
		log_crash("%s cannot serve the system calls (error %ld)", boot_string(boot->served_by), -status);
	return (int)status;
}

int served_low_window(void)
{
	long status = 0;

	if (!g_served || !mm_current()->low_window)
		return 0;
	mutex_lock(&g.lock);
	status = add_range(SLOT_LOW_BASE, SLOT_LOW_END - SLOT_LOW_BASE);
	if (!status && g.caps)
		status = give_range((uint32_t)g.caps, g.ranges - 1, NULL);
	mutex_unlock(&g.lock);
	if (status)
		log_crash("%s cannot serve the system calls of a program in the low window (error %ld)",
			  boot_string(g.boot->served_by), -status);
	return (int)status;
}

bool served_clocks(void)
{
	return g_served && (bit(g.set, __NR_clock_gettime) || bit(g.set, __NR_gettimeofday) || bit(g.set, __NR_time));
}

/* ---- one system call ---- */

static void pack(const struct request *q, struct call_message *m)
{
	uint64_t last = q->arg[5];

	/* An int keeps its value, an address that nobody has stays one. */
	if (last >> 48)
		last = 0xffff00000000 | (uint32_t)last;
	m->word[0] = q->number | (q->again ? SERVED_AGAIN : 0) | last << SERVED_ARG5;
	memcpy(&m->word[1], q->arg, 5 * sizeof(q->arg[0]));
	m->caps = 0;
}

static uint32_t page_version(uint64_t caps)
{
	struct cap_info info = { 0 };

	(void)hostcall(HC_cap_info, caps >> 32, &info);
	return info.version;
}

/* What a signal does to a call that waits: as signal(7) has it. */
static long interrupted(uint32_t number)
{
	return number == __NR_nanosleep || number == __NR_clock_nanosleep ? -ERESTARTNOHAND : -ERESTARTSYS;
}

/* Until the server says that something changed: 0, or the call is interrupted. */
static long wait_for_change(uint64_t caps, uint32_t seen, uint64_t us, uint32_t number)
{
	int64_t timeout = us == SERVED_FOREVER ? -1 : (int64_t)(us * 1000);

	if (hostcall_blocking(HC_cap_wait, caps >> 32, CAP_READABLE, timeout, seen) == -EINTR && work_pending())
		return interrupted(number);
	return 0;
}

/* Calls until the server answers with anything but "again later": 0, and the answer is in m; or what the program gets. */
static long call_until_answered(uint64_t caps, struct request *q, struct call_message *m)
{
	uint32_t seen = 0;

	for (bool watched = false;; watched = true) {
		long status;

		pack(q, m);
		status = call_server((uint32_t)caps, m, false);
		if (status)
			return failed(caps, status, q->number);
		if ((m->word[0] & 0xff) != SERVED_AGAIN_LATER)
			return 0;
		memcpy(q->arg, &m->word[1], 5 * sizeof(q->arg[0]));
		q->again = true;
		/* The first time only notes the version, and looks again: a change in between is not missed. */
		status = watched ? wait_for_change(caps, seen, m->word[0] >> 16, q->number) : work_pending() ? interrupted(q->number) : 0;
		if (status)
			return status;
		seen = page_version(caps);
	}
}

static long install(uint64_t id, uint32_t life, bool cloexec)
{
	if (id >= SERVED_FD)
		return -EIO;
	struct file *f = served_file((uint32_t)id, life);

	return f ? fd_install(f, 0, cloexec) : -ENOMEM;
}

static long install_pair(const struct request *q, const struct call_message *m, uint32_t life)
{
	bool socket = q->number == __NR_socketpair, pipe = q->number == __NR_pipe || q->number == __NR_pipe2;
	long fd[2] = { socket || pipe ? install(m->word[1], life, m->word[3]) : -EIO };

	if (fd[0] < 0)
		return fd[0];
	fd[1] = install(m->word[2], life, m->word[3]);
	int numbers[2] = { (int)fd[0], (int)fd[1] };
	if (fd[1] >= 0 && !copy_to_user((void *)q->arg[socket ? 3 : 0], numbers, sizeof(numbers)))
		return 0;
	(void)!fd_close((int)fd[0]);
	if (fd[1] >= 0)
		(void)!fd_close((int)fd[1]);
	return fd[1] < 0 ? fd[1] : -EFAULT;
}

/* A write to what nobody reads is a signal too. */
static long with_signal(const struct request *q, long result)
{
	uint64_t flags = q->number == __NR_sendmsg ? q->arg[2] : q->number == __NR_sendto || q->number == __NR_sendmmsg ? q->arg[3] : 0;

	if (result != -EPIPE || flags & MSG_NOSIGNAL)
		return result;
	switch (q->number) {
	case __NR_write:
	case __NR_writev:
	case __NR_pwrite64:
	case __NR_pwritev:
	case __NR_pwritev2:
	case __NR_sendto:
	case __NR_sendmsg:
	case __NR_sendmmsg:
	case __NR_sendfile:
	case __NR_splice:
		signal_send_self(SIGPIPE);
	}
	return result;
}

/* False: the libOS is to execute the call. */
static bool answer(const struct request *q, const struct call_message *m, uint32_t life, long *result)
{
	switch (m->word[0] & 0xff) {
	case SERVED_RESULT:
		*result = (long)m->word[1];
		if (is_restart_code(*result)) /* the libOS's own business */
			*result = -EINTR;
		*result = with_signal(q, *result);
		return true;
	case SERVED_LOCAL:
		*result = -EBADF; /* what is the server's only it can execute */
		return q->foreign;
	case SERVED_DESCRIPTOR:
		*result = install(m->word[1], life, m->word[2]);
		return true;
	case SERVED_PAIR:
		*result = install_pair(q, m, life);
		return true;
	default: /* no answer of the protocol */
		*result = -EIO;
		return true;
	}
}

/* Arguments as the server sees them: its own descriptors by its own numbers. */
static void translate(struct request *q, const struct regs *r)
{
	const char *letters = trace_syscall_args(q->number);

	for (int i = 0; i < 6; i++)
		q->arg[i] = (uint64_t)arg(r, i);
	for (int i = 0; i < 6 && letters && letters[i]; i++) {
		int fd = (int)q->arg[i];

		if (letters[i] != 'f')
			continue;
		struct file *f = fd < 0 ? NULL : fd_get(fd);
		if (f && served_is_file(f)) {
			q->file[i] = f;
			q->foreign = true;
			q->arg[i] = SERVED_FD + served_id(f);
			continue;
		}
		if (f)
			file_put(f);
		q->local = q->local || fd >= 0;
		q->arg[i] = (uint64_t)(int64_t)(fd < (int)SERVED_FD ? fd : -1);
	}
}

/* A number of the libOS's own, or a part of fcntl and ioctl that is about the descriptor and not what is behind it. */
static bool is_own(const struct regs *r)
{
	uint64_t nr = r->orig_rax;
	uint32_t what = (uint32_t)arg(r, 1);

	if (nr >= SERVED_CALLS || served_own_number(nr))
		return true;
	if (nr == __NR_fcntl)
		return what == F_DUPFD || what == F_DUPFD_CLOEXEC || what == F_GETFD || what == F_SETFD;
	return nr == __NR_ioctl && (what == FIOCLEX || what == FIONCLEX);
}

static bool lives(const struct request *q, uint32_t life)
{
	for (int i = 0; i < 6; i++)
		if (q->file[i] && served_life(q->file[i]) != life)
			return false;
	return true;
}

bool served_syscall(struct regs *r, long *result)
{
	struct request q = { .number = (uint32_t)r->orig_rax };
	struct call_message m;
	bool served = true;

	if (is_own(r))
		return false;
	translate(&q, r);
	if (!q.foreign && (!bit(g.set, q.number) || (q.local && __atomic_load_n(&g.flags, __ATOMIC_RELAXED) & SERVED_ONLY_OWN)))
		return false;
	uint64_t caps = server();
	uint32_t life = __atomic_load_n(&g.life, __ATOMIC_SEQ_CST);
	if (!caps || !lives(&q, life))
		*result = -EIO;
	else
		*result = call_until_answered(caps, &q, &m);
	if (!*result)
		served = answer(&q, &m, life, result);
	/* Another thread found the server gone, or going, and took the program's memory from it. */
	if (*result == -EFAULT && __atomic_load_n(&g.caps, __ATOMIC_SEQ_CST) != caps)
		*result = -EIO;
	for (int i = 0; i < 6; i++)
		if (q.file[i])
			file_put(q.file[i]);
	return served;
}

/* ---- for descriptor.c ---- */

long served_ask(const struct file *f, uint32_t number, uint64_t a, uint64_t b, uint64_t c)
{
	struct call_message m = { .word = { number, SERVED_FD + served_id(f), a, b, c } };
	uint64_t caps = __atomic_load_n(&g.caps, __ATOMIC_SEQ_CST);
	long status;

	if (!caps || __atomic_load_n(&g.life, __ATOMIC_SEQ_CST) != served_life(f))
		return -EIO;
	status = call_server((uint32_t)caps, &m, true);
	if (status)
		return failed(caps, status, number);
	return (m.word[0] & 0xff) == SERVED_RESULT ? (long)m.word[1] : -EIO;
}

void served_watch(void)
{
	uint64_t caps = __atomic_load_n(&g.caps, __ATOMIC_SEQ_CST);

	if (caps)
		(void)hostcall(HC_cap_wait, caps >> 32, CAP_READABLE, 0, page_version(caps));
}

bool served_is_page(uint32_t index)
{
	uint64_t caps = __atomic_load_n(&g.caps, __ATOMIC_SEQ_CST);

	return caps && (caps >> 32) % CAPS_MAX == index;
}
