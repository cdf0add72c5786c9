/*
 * Hostcalls that are one host system call. Each is a row: which handles it takes and with which rights, the system call,
 * and what each argument must be before the kernel sees it. The kernel then reads and writes the caller's memory itself.
 * A row without handles starts with the hostcall's first argument, one with them behind the handle's number.
 */
#include <linux/eventpoll.h>
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/futex.h>

#include "host/syscall.h"
#include "monitor/hostcalls.h"

enum role {
	NOTHING_MORE = 0,
	ROLE_FIXED,  /* not the caller's: x */
	ROLE_ANY,    /* a number that is the kernel's to judge */
	ROLE_FLAGS,  /* no bits but those of x, else -y */
	ROLE_FD_FLAGS, /* the same for a new descriptor: O_CLOEXEC is added */
	ROLE_ONE_OF, /* a number below 64 whose bit is set in x */
	ROLE_COUNT,  /* 1..x */
	ROLE_PLACE,  /* address of x bytes; with y, 0 too */
	ROLE_ARRAY,  /* address of as many times x bytes as the next argument says */
	ROLE_WORD,   /* address of a futex */
	ROLE_MS,     /* nanoseconds or -1, for the kernel milliseconds, rounded up */
};

struct arg {
	uint64_t role, x, y;
};

#define FIXED(value) { ROLE_FIXED, (uint64_t)(value), 0 }
#define ANY { ROLE_ANY, 0, 0 }
#define FLAGS(allowed, error) { ROLE_FLAGS, allowed, error }
#define FD_FLAGS(allowed) { ROLE_FD_FLAGS, allowed, EINVAL }
#define ONE_OF(bits) { ROLE_ONE_OF, bits, 0 }
#define COUNT(max) { ROLE_COUNT, max, 0 }
#define PLACE(size) { ROLE_PLACE, size, 0 }
#define PLACE_OR_0(size) { ROLE_PLACE, size, 1 }
#define BUFFER { ROLE_ARRAY, 1, 0 }
#define ARRAY_OF(size) { ROLE_ARRAY, size, 0 }
#define WORD { ROLE_WORD, 0, 0 }
#define MS { ROLE_MS, 0, 0 }

struct row {
	uint32_t makes;	 /* the result becomes a handle of this kind; 0: it does not */
	uint32_t kinds;	 /* of the handle that is argument 0; 0: takes none */
	uint32_t rights; /* of which the handle needs one; 0: none */
	int32_t refusal; /* without it */
	bool blocks;	 /* may sleep until a kick */
	int32_t number;	 /* of the host system call */
	struct arg arg[4];
};

/* A host system call in the making. */
struct progress {
	const uint64_t *next; /* argument of the hostcall */
	uint64_t v[5];
	unsigned count;
	int error;
};

/* These two inline, so that the compiler makes straight code of a constant row. */
static inline __attribute__((always_inline)) bool take(struct progress *p, const struct cvm *c, const struct arg *arg)
{
	if (arg->role == NOTHING_MORE)
		return true;
	uint64_t value = arg->role == ROLE_FIXED ? arg->x : *p->next++, size = arg->x;
	p->v[p->count++] = arg->role == ROLE_FD_FLAGS ? value | O_CLOEXEC : arg->role == ROLE_MS ? to_ms(value) : value;
	switch (arg->role) {
	case ROLE_FLAGS: case ROLE_FD_FLAGS:
		p->error = -(int)arg->y;
		return !(value & ~arg->x);
	case ROLE_ONE_OF:
		p->error = -EINVAL;
		return value < 64 && arg->x >> value & 1;
	case ROLE_COUNT:
		p->error = -EINVAL;
		return value && value <= arg->x;
	case ROLE_PLACE:
		p->error = -EFAULT;
		return (arg->y && !value) || in_slot(c, (struct gaddr){ value }, size);
	case ROLE_ARRAY:
		p->error = -EFAULT;
		return !__builtin_mul_overflow(arg->x, *p->next, &size) && in_slot(c, (struct gaddr){ value }, size);
	case ROLE_WORD:
		p->error = -EFAULT;
		return futex_word(c, value);
	default:
		return true;
	}
}

static inline __attribute__((always_inline)) long run(struct thread *t, const uint64_t *a, const struct row *row)
{
	struct progress p = { .next = row->kinds ? a + 1 : a, .count = row->kinds ? 1 : 0 };
	struct handle *h PINNED = NULL;
	uint64_t *v = p.v;

	if (!take(&p, t->cvm, &row->arg[0]) || !take(&p, t->cvm, &row->arg[1]) || !take(&p, t->cvm, &row->arg[2]) ||
	    !take(&p, t->cvm, &row->arg[3]))
		return p.error;
	if (row->kinds) {
		h = handle_get(t, a[0], row->kinds);
		if (error_in(h) || (row->rights && !(h->rights & row->rights)))
			return error_in(h) ?: -row->refusal;
		v[0] = (uint64_t)h->fd;
	}
	if (p.count > 4)
		return host5(row->number, (long)v[0], (long)v[1], (long)v[2], (long)v[3], (long)v[4]);
	if (row->blocks && t->lent == h)
		h = NULL; /* nothing to put back, so the call is the last thing done */
	if (row->blocks && !row->makes)
		return host_blocking(row->number, v[0], v[1], v[2], v[3]);
	long r = row->blocks ? host_blocking(row->number, v[0], v[1], v[2], v[3]) : host(row->number, v[0], v[1], v[2], v[3]);
	return r < 0 || !row->makes ? r : handle_add(t->cvm, (int)r, row->makes, LAUNCH_RIGHT_READ | LAUNCH_RIGHT_WRITE);
}

#define ROW(name, ...)                                                                                                \
	long hc_##name(struct thread *t, const uint64_t *a)                                                            \
	{                                                                                                              \
		static const struct row row = { __VA_ARGS__ };                                                         \
		return run(t, a, &row);                                                                                \
	}
#define PLAIN(name, number, ...) ROW(name, 0, 0, NO_RIGHT, number, { __VA_ARGS__ })
#define MAKES(name, kind, number, ...) ROW(name, kind, 0, NO_RIGHT, number, { __VA_ARGS__ })
#define ON(name, kinds, right, number, ...) ROW(name, 0, kinds, right, number, { __VA_ARGS__ })

#define NO_RIGHT 0, 0
#define READ LAUNCH_RIGHT_READ, EBADF
#define WRITE LAUNCH_RIGHT_WRITE, EBADF
#define NOT_READ_ONLY LAUNCH_RIGHT_WRITE, EROFS
#define CHANGE LAUNCH_RIGHT_WRITE | RIGHT_CHANGE, EROFS
#define BLOCKS(number) true, __NR_##number
#define PROMPT(number) false, __NR_##number

#define STORED (HANDLE_FILE | HANDLE_STDIO | HANDLE_MEMOBJ)
#define NAMED (HANDLE_FILE | HANDLE_DIR | HANDLE_PATH)
#define NOT_MEMOBJ (HANDLE_STREAM & ~HANDLE_MEMOBJ) /* these do not grow by being written, nor by O_APPEND, which pwrite obeys too */

/* hostcall           handle of kind               right      host system call       arguments behind the handle */
ON(file_read,         HANDLE_STREAM,               READ,      BLOCKS(read),          BUFFER, ANY)
ON(file_write,        NOT_MEMOBJ,                  WRITE,     BLOCKS(write),         BUFFER, ANY)
ON(file_pread,        STORED,                      READ,      BLOCKS(pread64),       BUFFER, ANY, ANY)
ON(file_seek,         STORED | HANDLE_DIR,         NO_RIGHT,  PROMPT(lseek),         ANY, ANY)
ON(file_getdents,     HANDLE_DIR,                  READ,      PROMPT(getdents64),    BUFFER, ANY)
ON(file_lock,         HANDLE_FILE | HANDLE_DIR,    NO_RIGHT,  BLOCKS(fcntl),         ONE_OF(7ull << F_OFD_GETLK), PLACE(32))
ON(file_flock,        HANDLE_FILE | HANDLE_DIR,    NO_RIGHT,  BLOCKS(flock),         ANY)
/* Standard streams are shared with the outside: O_NONBLOCK on them is the libOS's business. */
ON(file_setfl,        NOT_MEMOBJ & ~HANDLE_STDIO, NO_RIGHT, PROMPT(fcntl),        FIXED(F_SETFL), FLAGS(O_NONBLOCK | O_APPEND, EINVAL))
ON(file_statfs,       NAMED | HANDLE_MEMOBJ,       NO_RIGHT,  PROMPT(fstatfs),       PLACE(120))
/* With an empty path these also take O_PATH descriptors, links included. No set-user-id files for the host. */
ON(file_chmod,        NAMED,                       CHANGE,    PROMPT(fchmodat2),     FIXED(""), FLAGS(01777, EPERM), FIXED(AT_EMPTY_PATH))
ON(file_chown,        NAMED,                       CHANGE,    PROMPT(fchownat),      FIXED(""), ANY, ANY, FIXED(AT_EMPTY_PATH))
ON(file_utimes,       NAMED,                       CHANGE,    PROMPT(utimensat),     FIXED(""), PLACE_OR_0(32), FIXED(AT_EMPTY_PATH))
ON(sock_name,         HANDLE_SOCKET | HANDLE_STDIO, NO_RIGHT, PROMPT(getsockname),   PLACE(128), PLACE(4))
ON(sock_peer,         HANDLE_SOCKET | HANDLE_STDIO, NO_RIGHT, PROMPT(getpeername),   PLACE(128), PLACE(4))
ON(sock_shutdown,     HANDLE_SOCKET,               NO_RIGHT,  PROMPT(shutdown),      ANY)
ROW(sock_accept, HANDLE_SOCKET, HANDLE_SOCKET,     NO_RIGHT,  BLOCKS(accept4),       { PLACE_OR_0(128), PLACE_OR_0(4), FD_FLAGS(O_NONBLOCK) })
ON(epoll_wait,        HANDLE_EPOLL,                NO_RIGHT,  BLOCKS(epoll_wait),    ARRAY_OF(sizeof(struct epoll_event)), COUNT(4096), MS)
ON(timerfd_settime,   HANDLE_TIMERFD,              NO_RIGHT,  PROMPT(timerfd_settime), ANY, PLACE(32), PLACE_OR_0(32))
ON(timerfd_gettime,   HANDLE_TIMERFD,              NO_RIGHT,  PROMPT(timerfd_gettime), PLACE(32))
/*                    the new handle's kind */
MAKES(epoll_create,   HANDLE_EPOLL,                           PROMPT(epoll_create1), FIXED(O_CLOEXEC))
MAKES(eventfd_create, HANDLE_EVENTFD,                         PROMPT(eventfd2),      ANY, FD_FLAGS(1 /* EFD_SEMAPHORE */ | O_NONBLOCK))
MAKES(timerfd_create, HANDLE_TIMERFD,                         PROMPT(timerfd_create), ONE_OF(1 << 0 | 1 << 1 | 1 << 7), FD_FLAGS(O_NONBLOCK))
/*                    no handle */
PLAIN(random,                                                 PROMPT(getrandom),     BUFFER, ANY, FIXED(1 /* GRND_NONBLOCK */))
PLAIN(futex_wake,                                             PROMPT(futex),         WORD, FIXED(FUTEX_WAKE), ANY)
PLAIN(clock_read,                                             PROMPT(clock_gettime), ONE_OF(0x8f3 /* all but CPU clocks */), PLACE(16))
PLAIN(thread_yield,                                           PROMPT(sched_yield))

/* A memory object grows by truncate only, which counts it, so no allocating modes for it: punching holes is fine. */
long hc_file_allocate(struct thread *t, const uint64_t *a)
{
	bool punch = a[1] == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	unsigned kinds = punch ? HANDLE_FILE | HANDLE_MEMOBJ : HANDLE_FILE;

	return run(t, a, &(struct row){ 0, kinds, NOT_READ_ONLY, BLOCKS(fallocate), { ANY, ANY, ANY } });
}

long hc_file_sync(struct thread *t, const uint64_t *a)
{
	unsigned kinds = HANDLE_FILE | HANDLE_DIR | HANDLE_STDIO;

	return run(t, a, &(struct row){ 0, kinds, NO_RIGHT, true, a[1] ? __NR_fdatasync : __NR_fsync, { { 0 } } });
}
