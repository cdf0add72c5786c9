/* Serving system calls (cvm/syscalls.h; protocol: abi/served.h). What a served cVM says is checked like any caller's words. */
#include <asm/unistd_64.h>

#include "abi/served.h"
#include "abi/slot.h"
#include "cvm/call.h"
#include "cvm/file.h"
#include "cvm/syscalls.h"
#include "sdk/sdk.h"

_Static_assert(CVM_SYSCALLS_MAX == SERVED_CALLS && CVM_SYSCALL_FD == SERVED_FD && CVM_SYSCALL_POLL == SERVED_POLL, "numbers");

#define VERDICT(n) (INT64_MIN + (n)) /* no result of a system call */

struct range {
	uint64_t base, size;
	int cap;
};

struct cvm_syscalls {
	struct cvm_syscalls_options options;
	struct cp_server *server;
	int page, shown; /* the page's handle, and the one passed on */
	struct sdk_lock lock;
	unsigned ranges;
	struct range range[SERVED_RANGES];
};

/* What a call carries: the ranges of the life it belongs to, and a verdict's numbers. */
struct carried {
	struct range range[SERVED_RANGES];
	uint32_t first, second;
};
_Static_assert(sizeof(struct carried) <= sizeof(((struct cvm_syscall *)0)->private_), "room");

void cvm_syscall_set_add(struct cvm_syscall_set *set, unsigned number)
{
	if (number < SERVED_CALLS)
		set->bits[number / 64] |= 1ull << (number % 64);
}

#define IN(name) __NR_##name

static const uint16_t k_default[] = {
	/* files by name */
	IN(open), IN(openat), IN(openat2), IN(creat), IN(stat), IN(lstat), IN(newfstatat), IN(statx), IN(access), IN(faccessat),
	IN(faccessat2), IN(readlink), IN(readlinkat), IN(mkdir), IN(mkdirat), IN(rmdir), IN(unlink), IN(unlinkat), IN(rename),
	IN(renameat), IN(renameat2), IN(link), IN(linkat), IN(symlink), IN(symlinkat), IN(mknod), IN(mknodat), IN(chmod), IN(fchmodat),
	IN(chown), IN(lchown), IN(fchownat), IN(truncate), IN(utime), IN(utimes), IN(utimensat), IN(futimesat), IN(statfs), IN(chdir),
	IN(getcwd), IN(getxattr), IN(lgetxattr), IN(setxattr), IN(lsetxattr), IN(listxattr), IN(llistxattr), IN(removexattr),
	IN(lremovexattr),
	/* files, pipes and sockets by descriptor */
	IN(read), IN(readv), IN(pread64), IN(preadv), IN(preadv2), IN(write), IN(writev), IN(pwrite64), IN(pwritev), IN(pwritev2),
	IN(lseek), IN(fstat), IN(fstatfs), IN(getdents), IN(getdents64), IN(fsync), IN(fdatasync), IN(sync), IN(syncfs),
	IN(sync_file_range), IN(ftruncate), IN(fallocate), IN(fadvise64), IN(readahead), IN(fchmod), IN(fchown), IN(fchdir), IN(flock),
	IN(fcntl), IN(ioctl), IN(sendfile), IN(copy_file_range), IN(splice), IN(tee), IN(vmsplice), IN(fgetxattr), IN(fsetxattr),
	IN(flistxattr), IN(fremovexattr), IN(pipe), IN(pipe2),
	/* sockets */
	IN(socket), IN(socketpair), IN(bind), IN(listen), IN(accept), IN(accept4), IN(connect), IN(getsockname), IN(getpeername),
	IN(sendto), IN(recvfrom), IN(sendmsg), IN(recvmsg), IN(sendmmsg), IN(recvmmsg), IN(shutdown), IN(setsockopt), IN(getsockopt),
	/* identity */
	IN(getpid), IN(getppid), IN(getpgid), IN(getpgrp), IN(getsid), IN(setpgid), IN(setsid), IN(getuid), IN(geteuid), IN(getgid),
	IN(getegid), IN(getresuid), IN(getresgid), IN(getgroups), IN(setuid), IN(setgid), IN(setreuid), IN(setregid), IN(setresuid),
	IN(setresgid), IN(setgroups), IN(setfsuid), IN(setfsgid), IN(uname), IN(sethostname), IN(setdomainname),
};

void cvm_syscall_set_default(struct cvm_syscall_set *set)
{
	for (unsigned i = 0; i < sizeof k_default / sizeof k_default[0]; i++)
		cvm_syscall_set_add(set, k_default[i]);
}

int64_t cvm_syscall_local(struct cvm_syscall *call)
{
	(void)call;
	return VERDICT(SERVED_LOCAL);
}

static struct carried *carried(const struct cvm_syscall *call)
{
	return (struct carried *)(uintptr_t)call->private_;
}

int64_t cvm_syscall_again(struct cvm_syscall *call, int64_t timeout_ns)
{
	uint64_t us = timeout_ns < 0 ? SERVED_FOREVER : (uint64_t)timeout_ns / 1000;

	us = us < SERVED_FOREVER ? us : SERVED_FOREVER;
	carried(call)->first = (uint32_t)us;
	carried(call)->second = (uint32_t)(us >> 32);
	return VERDICT(SERVED_AGAIN_LATER);
}

int64_t cvm_syscall_pair(struct cvm_syscall *call, uint32_t first, uint32_t second, int close_on_exec)
{
	carried(call)->first = first;
	carried(call)->second = second;
	return VERDICT(SERVED_PAIR + (close_on_exec ? 256 : 0));
}

int64_t cvm_syscall_descriptor(struct cvm_syscall *call, uint32_t id, int close_on_exec)
{
	carried(call)->first = id;
	return VERDICT(SERVED_DESCRIPTOR + (close_on_exec ? 256 : 0));
}

static const struct range *find(const struct cvm_syscall *call, uint64_t address, size_t size)
{
	const struct range *r = carried(call)->range;

	for (unsigned i = 0; i < SERVED_RANGES; i++, r++)
		if (r->cap && address >= r->base && address - r->base <= r->size && size <= r->size - (address - r->base))
			return r;
	return NULL;
}

int cvm_syscall_read(const struct cvm_syscall *call, uint64_t address, void *buffer, size_t size)
{
	const struct range *r = find(call, address, size);

	return r && cp_file_pread(r->cap, buffer, size, address - r->base) == (ssize_t)size ? 0 : -EFAULT;
}

int cvm_syscall_write(const struct cvm_syscall *call, uint64_t address, const void *buffer, size_t size)
{
	const struct range *r = find(call, address, size);

	return r && cp_file_pwrite(r->cap, buffer, size, address - r->base) == (ssize_t)size ? 0 : -EFAULT;
}

/* Page by page: the next one may not be there. */
ssize_t cvm_syscall_string(const struct cvm_syscall *call, uint64_t address, char *buffer, size_t size)
{
	for (size_t done = 0; done < size;) {
		size_t piece = CVM_PAGE_SIZE - (address + done) % CVM_PAGE_SIZE;

		piece = piece < size - done ? piece : size - done;
		if (cvm_syscall_read(call, address + done, buffer + done, piece))
			return -EFAULT;
		for (; piece; piece--, done++)
			if (!buffer[done])
				return (ssize_t)done;
	}
	return -ENAMETOOLONG;
}

static void close_ranges(struct cvm_syscalls *s)
{
	for (; s->ranges; s->ranges--)
		cp_close(s->range[s->ranges - 1].cap);
}

/* A served program gives its memory; with the first range a life begins. */
static int64_t attach(struct cvm_syscalls *s, struct cp_request *q)
{
	if (q->caps != 1 || q->word[3] != SERVED_VERSION)
		return -EINVAL;
	sdk_lock_take(&s->lock);
	if (q->word[4])
		close_ranges(s);
	bool room = s->ranges < SERVED_RANGES;
	if (room) {
		s->range[s->ranges++] = (struct range){ q->word[1], q->word[2], q->cap[0] };
		q->caps = 0; /* kept */
	}
	sdk_lock_give(&s->lock);
	if (!room)
		return -ENOSPC;
	if (!q->word[4])
		return 0;
	(void)!cp_file_changed(s->page); /* cvm_syscalls_wait waits for this */
	if (s->options.begin)
		s->options.begin(s->options.context);
	return cp_answer_caps(&s->shown, 1);
}

static int64_t handle(struct cvm_syscalls *s, struct cp_request *q, struct cvm_syscall *call)
{
	call->number = q->word[0] & SERVED_NUMBER;
	call->again = (q->word[0] & SERVED_AGAIN) != 0;
	for (unsigned i = 0; i < 5; i++)
		call->arg[i] = q->word[1 + i];
	call->arg[5] = q->word[0] >> SERVED_ARG5;
	sdk_lock_take(&s->lock);
	for (unsigned i = 0; i < s->ranges; i++)
		carried(call)->range[i] = s->range[i];
	sdk_lock_give(&s->lock);
	if (call->number == SERVED_ATTACH)
		return attach(s, q);
	return call->number < SERVED_CALLS || call->number == SERVED_POLL ? s->options.handler(s->options.context, call) : -ENOSYS;
}

static void serve(void *context, struct cp_request *q)
{
	struct cvm_syscall call = { .number = 0 };
	int64_t result = handle(context, q, &call);
	uint64_t verdict = (uint64_t)result - (uint64_t)INT64_MIN;
	const struct carried *c = carried(&call);

	for (unsigned i = 0; i < q->caps; i++)
		cp_close(q->cap[i]);
	q->word[0] = SERVED_RESULT;
	q->word[1] = (uint64_t)result;
	if (verdict > 256 + SERVED_PAIR)
		return;
	q->word[0] = verdict & 255;
	q->word[1] = c->first;
	q->word[2] = q->word[0] == SERVED_PAIR ? c->second : verdict >> 8;
	q->word[3] = verdict >> 8;
	if (q->word[0] != SERVED_AGAIN_LATER)
		return;
	q->word[0] |= (c->first | (uint64_t)c->second << 32) << 16;
	for (unsigned i = 0; i < 5; i++)
		q->word[1 + i] = call.arg[i];
}

static int start(struct cvm_syscalls *s, const char *served)
{
	struct served_page page = { .version = SERVED_VERSION, .flags = s->options.only_own ? SERVED_ONLY_OWN : 0 };
	char name[CAP_NAME_MAX] = SERVED_PREFIX;
	size_t at = sizeof SERVED_PREFIX - 1;

	while (*served && at < sizeof name - 1)
		name[at++] = *served++;
	if (*served)
		return -EINVAL;
	__builtin_memcpy(page.set, s->options.set.bits, sizeof page.set);
	s->page = cp_file_create(NULL, sizeof page);
	if (s->page < 0)
		return s->page;
	ssize_t n = cp_file_pwrite(s->page, &page, sizeof page, 0);
	if (n < 0)
		return (int)n;
	s->shown = cp_derive(s->page, 0, sizeof page, CP_LOAD | CP_GRANT);
	return s->shown < 0 ? s->shown : cp_server_start(name, s->options.threads ? s->options.threads : 4, serve, s, &s->server);
}

static void forget(struct cvm_syscalls *s)
{
	close_ranges(s);
	if (s->shown > 0)
		cp_close(s->shown);
	if (s->page > 0)
		cp_close(s->page);
	platform_pages_free(s, sizeof *s);
}

int cvm_syscalls_start(const char *served, const struct cvm_syscalls_options *options, struct cvm_syscalls **server)
{
	if (!g_sdk_present)
		return -ENOSYS;
	if (!served || !*served || options->struct_size != sizeof *options || !options->handler)
		return -EINVAL;
	struct cvm_syscalls *s = platform_pages(sizeof *s);
	if (!s)
		return -ENOMEM;
	s->options = *options;
	int r = start(s, served);
	if (r)
		forget(s);
	else
		*server = s;
	return r;
}

void cvm_syscalls_wake(struct cvm_syscalls *server)
{
	(void)!cp_file_changed(server->page);
}

/* A program's memory is revoked when it ends. */
int cvm_syscalls_wait(struct cvm_syscalls *server)
{
	for (;;) {
		struct cp_info info = { .version = 0 };
		int r = cp_info(server->page, &info);

		sdk_lock_take(&server->lock);
		int memory = server->ranges ? server->range[0].cap : 0;
		sdk_lock_give(&server->lock);
		r = r ? r : cp_wait(memory ? memory : server->page, CP_READABLE, memory ? 0 : info.version, CP_FOREVER);
		if (r == -EINTR || (r < 0 && !memory))
			return r;
		if (r >= 0)
			continue;
		sdk_lock_take(&server->lock);
		if (server->ranges && server->range[0].cap == memory) /* no other has begun meanwhile */
			close_ranges(server);
		sdk_lock_give(&server->lock);
		return 0;
	}
}

void cvm_syscalls_stop(struct cvm_syscalls *server)
{
	cp_server_stop(server->server);
	forget(server);
}
