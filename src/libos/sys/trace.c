/*
 * --trace (sys/trace.h). g_lock keeps lines of several threads in order: whoever prints says first which calls of others are
 * unfinished, and a call cannot end while its arguments are being printed. How arguments print comes from the letters in the system call table; strings and buffers are
 * read from program memory with care, after the call, so that what it wrote can be shown.
 */
#include "sys/trace.h"
#include "abi/boot.h"
#include "core/hostcall.h"
#include "core/log.h"
#include "core/uaccess.h"
#include "fs/file.h"
#include "net/socket.h"
#include "sys/syscalls.h"
#include "thread/isolated.h"

#include <asm/fcntl.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/time.h>

#define LINE_SIZE 900
#define STRING_SHOWN 64
#define BUFFER_SHOWN 32

bool g_tracing;
static struct mutex g_lock;
static struct list g_calls; /* struct thread in a system call, by trace_link */

struct line {
	char text[LINE_SIZE];
	size_t used;
};

#define SYS_ARGS(name, args) [__NR_##name] = args,
static const char *const g_args[512] = { SYSCALL_TABLE(SYS_ARGS) };
#undef SYS_ARGS

static void put(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct line *l, const char *fmt, ...)
{
	__builtin_va_list args;
	size_t room = sizeof(l->text) - l->used;
	int n;

	__builtin_va_start(args, fmt);
	n = vformat(l->text + l->used, room, fmt, args);
	__builtin_va_end(args);
	l->used += MIN((size_t)n, room - 1);
}

static void put_quoted(struct line *l, const char *bytes, size_t size, bool more)
{
	put(l, "\"");
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c == '\n')
			put(l, "\\n");
		else if (c == '\t')
			put(l, "\\t");
		else if (c == '\r')
			put(l, "\\r");
		else if (c == '"' || c == '\\')
			put(l, "\\%c", c);
		else if (c >= ' ' && c < 127)
			put(l, "%c", c);
		else
			put(l, "\\%o", c);
	}
	put(l, more ? "\"..." : "\"");
}

static void put_string(struct line *l, const void *user)
{
	char text[STRING_SHOWN + 1];
	ssize_t n = user ? copy_string_from_user(text, user, sizeof(text)) : -EFAULT;

	if (!user)
		put(l, "NULL");
	else if (n == -ENAMETOOLONG)
		put_quoted(l, text, STRING_SHOWN, true);
	else if (n < 0)
		put(l, "%p", user);
	else
		put_quoted(l, text, (size_t)n, false);
}

static void put_buffer(struct line *l, const void *user, long size)
{
	char bytes[BUFFER_SHOWN];
	size_t n = size > BUFFER_SHOWN ? BUFFER_SHOWN : (size_t)MAX(size, 0);
	if (!user)
		put(l, "NULL");
	else if (size < 0 || copy_from_user(bytes, user, n))
		put(l, "%p", user);
	else
		put_quoted(l, bytes, n, size > BUFFER_SHOWN);
}

struct flag_name {
	uint32_t bits;
	const char *name;
};

static void put_flags(struct line *l, uint32_t value, const struct flag_name *names, size_t count, const char *sep)
{
	for (size_t i = 0; i < count; i++) {
		if ((value & names[i].bits) != names[i].bits)
			continue;
		put(l, "%s%s", sep, names[i].name);
		sep = "|";
		value &= ~names[i].bits;
	}
	if (value)
		put(l, "%s0x%x", sep, value);
}

static void put_open_flags(struct line *l, uint32_t flags)
{
	static const struct flag_name names[] = {
		{ O_CREAT, "O_CREAT" },	      { O_EXCL, "O_EXCL" },	    { O_NOCTTY, "O_NOCTTY" },
		{ O_TRUNC, "O_TRUNC" },	      { O_APPEND, "O_APPEND" },	    { O_NONBLOCK, "O_NONBLOCK" },
		{ __O_TMPFILE | O_DIRECTORY, "O_TMPFILE" }, { O_DIRECTORY, "O_DIRECTORY" }, { O_NOFOLLOW, "O_NOFOLLOW" },
		{ O_CLOEXEC, "O_CLOEXEC" },   { O_PATH, "O_PATH" },	    { O_SYNC, "O_SYNC" },
		{ O_DSYNC, "O_DSYNC" },	      { O_LARGEFILE, "O_LARGEFILE" }, { O_NOATIME, "O_NOATIME" },
		{ O_DIRECT, "O_DIRECT" },
	};
	static const char *const access[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE" };

	put(l, "%s", access[flags & O_ACCMODE]);
	put_flags(l, flags & ~(uint32_t)O_ACCMODE, names, ARRAY_SIZE(names), "|");
}

static void put_protection(struct line *l, uint32_t prot)
{
	static const struct flag_name names[] = { { 1, "PROT_READ" }, { 2, "PROT_WRITE" }, { 4, "PROT_EXEC" } };

	if (!prot)
		put(l, "PROT_NONE");
	else
		put_flags(l, prot, names, ARRAY_SIZE(names), "");
}

static void put_time(struct line *l, const void *user)
{
	struct timespec ts;

	if (!user)
		put(l, "NULL");
	else if (get_user(ts, user))
		put(l, "%p", user);
	else
		put(l, "{%ld, %ld}", (long)ts.tv_sec, (long)ts.tv_nsec);
}

static void put_hostcall(struct line *l, uint64_t number)
{
	static const char *const names[] = {
#define X(name, arguments) #name,
		HOSTCALL_TABLE(X)
#undef X
	};

	if (number < ARRAY_SIZE(names))
		put(l, "%s", names[number]);
	else
		put(l, "%lu", number);
}

static void put_argument(struct line *l, char kind, const struct regs *r, int i, long ret)
{
	long value = arg(r, i);

	if (!address_in_program((uint64_t)value))
		kind = 'x';
	switch (kind | 0x20) { /* as a small letter */
	case 'd': put(l, "%d", (int)value); break;
	case 'u': put(l, "%lu", (unsigned long)value); break;
	case 'f':
		if ((int)value == AT_FDCWD)
			put(l, "AT_FDCWD");
		else
			put(l, "%d", (int)value);
		break;
	case 's': put_string(l, (void *)value); break;
	case 'b': put_buffer(l, (void *)value, arg(r, i + 1)); break;
	case 'r': put_buffer(l, (void *)value, MIN(ret, arg(r, i + 1))); break;
	case 'h': put_hostcall(l, (uint64_t)value); break;
	case 'm': put_protection(l, (uint32_t)value); break;
	case 'o': put_open_flags(l, (uint32_t)value); break;
	case 't': put_time(l, (void *)value); break;
	default:
		if (value == 0 && ((kind | 0x20) == 'p' || kind == 'a'))
			put(l, "NULL");
		else
			put(l, value ? "0x%lx" : "%lu", (unsigned long)value);
		break;
	}
}

const char *trace_syscall_args(uint64_t nr)
{
	switch (nr) {
#define SYS_CASE(name, args) case __NR_##name: return args;
		SYSCALLS_PRIVATE(SYS_CASE)
#undef SYS_CASE
	default: return nr < ARRAY_SIZE(g_args) ? g_args[nr] : NULL;
	}
}

static const char *kinds_of(const struct regs *r)
{
	return trace_syscall_args(r->orig_rax);
}

/* Arguments of a call that has not ended: those before the first that only its result fills. */
static int count_known(const struct regs *r)
{
	const char *kinds = kinds_of(r);
	int n = 0;

	while (n < 6 && (!kinds || (kinds[n] && kinds[n] != 'r')))
		n++;
	return n;
}

static int count_all(const struct regs *r)
{
	const char *kinds = kinds_of(r);
	int n = 0;

	while (n < 6 && (!kinds || (kinds[n] && kinds[n] != '-')))
		n++;
	return n;
}

/* Arguments from..to-1, as far as the call has them. */
static void put_arguments(struct line *l, const struct regs *r, int from, int to, long ret)
{
	const char *kinds = kinds_of(r);

	for (int i = from; i < to && (!kinds || (kinds[i] && kinds[i] != '-')); i++) {
		put(l, "%s", i > from ? ", " : "");
		put_argument(l, kinds ? kinds[i] : 'x', r, i, ret);
	}
}

static void put_name(struct line *l, const struct thread *t, const struct regs *r)
{
	put(l, "[%d] %s", t->tid, trace_syscall_name(r->orig_rax));
	if (!kinds_of(r))
		put(l, "<%lu>", r->orig_rax);
	put(l, "(");
}

static void put_result(struct line *l, long ret)
{
	if (ret <= -ERESTARTSYS && ret >= -516)
		put(l, " = ? (interrupted by a signal)");
	else if (ret < 0 && ret >= -4095 && errno_name((int)-ret))
		put(l, " = -1 %s (%s)", errno_name((int)-ret), errno_text((int)-ret));
	else if (ret > 0xffffffff)
		put(l, " = 0x%lx", (unsigned long)ret);
	else
		put(l, " = %ld", ret);
}

static void announce(struct thread *t)
{
	struct line l = { .used = 0 };
	int known;

	if (t->trace_announced)
		return;
	known = count_known(t->trace_call);
	t->trace_announced = true;
	put_name(&l, t, t->trace_call);
	put_arguments(&l, t->trace_call, 0, known, -1);
	log_text("%s%s<unfinished ...>", l.text, known == count_all(t->trace_call) ? " " : known ? ", " : "");
}

/* g_lock held. */
static void announce_others(void)
{
	list_for_each(pos, &g_calls)
		announce(list_entry(pos, struct thread, trace_link));
}

void trace_enter(const struct regs *r)
{
	struct thread *t = current();
	struct line l = { .used = 0 };

	if (!g_tracing)
		return;
	mutex_lock(&g_lock);
	if (r->orig_rax == __NR_exit || r->orig_rax == __NR_exit_group || r->orig_rax == __NR_rt_sigreturn) {
		announce_others();
		put_name(&l, t, r);
		put_arguments(&l, r, 0, 6, -1);
		log_text("%s) = ?", l.text);
	} else {
		t->trace_call = r;
		t->trace_announced = false;
		list_append(&g_calls, &t->trace_link);
	}
	mutex_unlock(&g_lock);
}

static void forget_call(struct thread *t)
{
	if (!t->trace_call)
		return;
	list_remove(&t->trace_link);
	t->trace_call = NULL;
}

void trace_exit(const struct regs *r, long ret)
{
	struct thread *t = current();
	struct line l = { .used = 0 };
	int from = 0;

	mutex_lock(&g_lock);
	forget_call(t);
	if ((long)r->orig_rax >= 0) { /* else rt_sigreturn: the registers are another context's now */
		announce_others();
		if (t->trace_announced) {
			from = count_known(r);
			put(&l, "[%d] <... %s resumed>", t->tid, trace_syscall_name(r->orig_rax));
		} else {
			put_name(&l, t, r);
		}
		put_arguments(&l, r, from, 6, ret);
		put(&l, ")");
		put_result(&l, ret);
		log_text("%s", l.text);
	}
	t->trace_announced = false;
	mutex_unlock(&g_lock);
}

void trace_thread_gone(struct thread *t)
{
	if (!g_tracing)
		return;
	mutex_lock(&g_lock);
	forget_call(t);
	mutex_unlock(&g_lock);
}

void trace_init(uint32_t boot_flags)
{
	list_init(&g_calls);
	g_tracing = boot_flags & BOOT_FLAG_TRACE;
}

/* Would reading from the host's object have to wait, and may it? */
static bool read_waits(const struct thread *t, long nr, long handle, long flags)
{
	struct pollfd p = { .fd = (int)handle, .events = POLLIN };
	struct file *f = fd_get((int)arg(t->trace_call, 0));
	bool may = f && !(f->flags & O_NONBLOCK) && !(nr == HC_sock_recv && flags & MSG_DONTWAIT);

	if (f)
		file_put(f);
	return may && hostcall(HC_poll, &p, 1, 0) == 0;
}

long hostcall_traced6(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
{
	struct thread *t = current();
	bool waits = false;
	long ret = 0;

	if (!t->trace_call || t->trace_announced)
		return hostcall_blocking6(nr, a0, a1, a2, a3, a4, a5);
	switch (nr) {
	case HC_futex_wait: waits = a2; break;
	case HC_poll: ret = a2 ? hostcall(HC_poll, a0, a1, 0) : 0; waits = a2; break;
	case HC_epoll_wait: ret = a3 ? hostcall(HC_epoll_wait, a0, a1, a2, 0) : 0; waits = a3; break;
	case HC_file_read: case HC_file_readv: case HC_sock_recv: case HC_sock_accept:
		waits = read_waits(t, nr, a0, a2);
		break;
	default: break;
	}
	if (ret)
		return ret;
	if (waits) {
		mutex_lock(&g_lock);
		announce(t);
		mutex_unlock(&g_lock);
	}
	return hostcall_blocking6(nr, a0, a1, a2, a3, a4, a5);
}
