/*
 * --trace (sys/trace.h). How arguments print comes from the letters in the system call table; strings and buffers are
 * read from program memory with care, after the call, so that what it wrote can be shown.
 */
#include "sys/trace.h"
#include "abi/boot.h"
#include "core/log.h"
#include "core/uaccess.h"
#include "sys/syscalls.h"

#include <asm/fcntl.h>
#include <linux/fcntl.h>
#include <linux/time.h>

#define LINE_SIZE 900
#define STRING_SHOWN 64
#define BUFFER_SHOWN 32

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

/* As much of a buffer as the call has used: its result if that is a count. */
static void put_buffer(struct line *l, const void *user, long size, long ret)
{
	char bytes[BUFFER_SHOWN];
	size_t n;

	if (ret < size)
		size = ret;
	n = size > BUFFER_SHOWN ? BUFFER_SHOWN : (size_t)MAX(size, 0);
	if (!user)
		put(l, "NULL");
	else if (ret < 0 || copy_from_user(bytes, user, n))
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

static void put_argument(struct line *l, char kind, const struct regs *r, int i, long ret)
{
	long value = arg(r, i);

	switch (kind) {
	case 'd': put(l, "%d", (int)value); break;
	case 'u': put(l, "%lu", (unsigned long)value); break;
	case 'f':
		if ((int)value == AT_FDCWD)
			put(l, "AT_FDCWD");
		else
			put(l, "%d", (int)value);
		break;
	case 's': put_string(l, (void *)value); break;
	case 'b': put_buffer(l, (void *)value, arg(r, i + 1), ret); break;
	case 'm': put_protection(l, (uint32_t)value); break;
	case 'o': put_open_flags(l, (uint32_t)value); break;
	case 't': put_time(l, (void *)value); break;
	default:
		if (value == 0 && (kind == 'p' || kind == 'a'))
			put(l, "NULL");
		else
			put(l, value ? "0x%lx" : "%lu", (unsigned long)value);
		break;
	}
}

static void put_call(struct line *l, const struct regs *r, long ret)
{
	uint64_t nr = r->orig_rax;
	const char *kinds = nr < ARRAY_SIZE(g_args) ? g_args[nr] : NULL;
	const char *sep = "";

	put(l, "[%d] ", current()->tid);
	if (kinds)
		put(l, "%s(", trace_syscall_name(nr));
	else
		put(l, "%s<%lu>(", trace_syscall_name(nr), nr);
	for (int i = 0; i < 6 && (!kinds || kinds[i]); i++) {
		if (kinds && kinds[i] == '-')
			break;
		put(l, "%s", sep);
		put_argument(l, kinds ? kinds[i] : 'x', r, i, ret);
		sep = ", ";
	}
	put(l, ")");
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

void trace_enter(const struct regs *r)
{
	struct line l = { .used = 0 };

	if (!(current()->process->boot_flags & BOOT_FLAG_TRACE) ||
	    (r->orig_rax != __NR_exit && r->orig_rax != __NR_exit_group && r->orig_rax != __NR_rt_sigreturn))
		return;
	put_call(&l, r, -1);
	put(&l, " = ?");
	log_text("%s", l.text);
}

void trace_exit(const struct regs *r, long ret)
{
	struct line l = { .used = 0 };

	if ((long)r->orig_rax < 0) /* rt_sigreturn: the registers are another context's now */
		return;
	put_call(&l, r, ret);
	put_result(&l, ret);
	log_text("%s", l.text);
}
