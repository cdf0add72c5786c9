/*
 * Question: does the isolated libOS read or write itself for its program (the confused deputy), by a pointer in a structure that it
 * copies, also if another thread changes it meanwhile, by mappings, or for an ending thread's robust mutexes? (Registers:
 * isolated_calls.c.)
 * Expect: REFUSED: no system call took an address of the libOS
 * Control: isolate_libos=false
 * Options: isolate_libos=true
 * Native: the libOS's checks of what the program names
 */
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "attack.h"
#include "isolated.h"

static uint64_t g_at; /* a page of the libOS */

static void wants(int error, const char *what, long result)
{
	if (result != -1 || errno != error)
		breach("%s gave %ld, errno %d", what, result, result == -1 ? errno : 0);
	errno = 0;
}
#define REFUSES(error, number, ...) wants(error, #number, syscall(number, ##__VA_ARGS__))

static void in_structures(const int *pipes, const int *sockets, int file)
{
	char buffer[64] = "bytes";
	struct iovec here = { buffer, 8 }, there = { (void *)g_at, 8 };
	struct iovec both[2] = { here, there };

	for (int i = 0; i < 3; i++) {
		struct iovec *iov = i ? &there : both;
		int n = i ? 1 : 2;
		REFUSES(EFAULT, SYS_writev, pipes[1], iov, n);
		REFUSES(EFAULT, SYS_readv, pipes[0], iov, n);
		REFUSES(EFAULT, SYS_pwritev, file, iov, n, 0L, 0L);
		REFUSES(EFAULT, SYS_preadv2, file, iov, n, 0L, 0L, 0L);
		REFUSES(EFAULT, SYS_vmsplice, pipes[1], iov, n, 0);
	}
	send(sockets[0], "packet", 6, 0);
	struct msghdr all[] = {
		{ .msg_iov = &there, .msg_iovlen = 1 },
		{ .msg_iov = (void *)g_at, .msg_iovlen = 1 },
		{ .msg_iov = &here, .msg_iovlen = 1, .msg_name = (void *)g_at, .msg_namelen = 16 },
		{ .msg_iov = &here, .msg_iovlen = 1, .msg_control = (void *)g_at, .msg_controllen = 64 },
	};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		struct mmsghdr many = { .msg_hdr = all[i] };
		REFUSES(EFAULT, SYS_recvmsg, sockets[1], &all[i], MSG_DONTWAIT);
		REFUSES(EFAULT, SYS_sendmsg, sockets[0], &all[i], MSG_DONTWAIT);
		REFUSES(EFAULT, SYS_recvmmsg, sockets[1], &many, 1, MSG_DONTWAIT, NULL);
		REFUSES(EFAULT, SYS_sendmmsg, sockets[0], &many, 1, MSG_DONTWAIT);
	}
	/* where one header says that the next one lies far away: only from below, in the low window, would that be the libOS */
	struct cmsghdr far = { .cmsg_len = 1ul << 30, .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	struct msghdr jumps = { .msg_control = &far, .msg_controllen = 1ul << 40 };
	for (int domain = 0; domain < 2; domain++)
		REFUSES(ENOBUFS, SYS_sendmsg, domain ? socket(AF_INET, SOCK_DGRAM, 0) : sockets[0], &jumps, MSG_DONTWAIT);
	struct {
		uint64_t mask, size;
	} sigset = { g_at, 8 };
	struct timespec zero = { 0, 0 };
	REFUSES(EFAULT, SYS_pselect6, 0, NULL, NULL, NULL, &zero, &sigset);
	struct sigevent cookie = { .sigev_notify = SIGEV_THREAD, .sigev_value.sival_ptr = (void *)g_at };
	REFUSES(EFAULT, SYS_mq_notify, -1, &cookie);
	/* the program started would print what it got */
	char *words[] = { "echo", (char *)g_at, NULL }, *none[] = { NULL };
	for (int i = 0; i < 2; i++) {
		REFUSES(EFAULT, SYS_execve, "/bin/echo", i ? none : words, i ? words : none);
		REFUSES(EFAULT, SYS_execveat, AT_FDCWD, "/bin/echo", i ? none : words, i ? words : none, 0);
	}
	static char stack[65536];
	for (int i = 0; i < 2; i++) {
		struct clone_args c = { .flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
						 (i ? CLONE_CHILD_CLEARTID : CLONE_PARENT_SETTID),
					.stack = (uint64_t)stack, .stack_size = sizeof stack };
		*(i ? &c.child_tid : &c.parent_tid) = g_at;
		REFUSES(EFAULT, SYS_clone3, &c, sizeof c);
		/* a process, by fork and with the program's memory */
		c = (struct clone_args){ .flags = i ? CLONE_VM | CLONE_VFORK | CLONE_PIDFD : CLONE_CHILD_SETTID };
		*(i ? &c.pidfd : &c.child_tid) = g_at;
		REFUSES(EFAULT, SYS_clone3, &c, sizeof c);
	}
}

/* Another thread changes an iovec between a buffer and the libOS: each call sees the one or the other. */
static struct iovec g_changing;
static char g_buffer[8] = "own text";
static volatile bool g_stop;

static void *change(void *unused)
{
	for (uint64_t at = g_at; !g_stop; at ^= g_at ^ (uint64_t)g_buffer)
		*(void *volatile *)&g_changing.iov_base = (void *)at;
	return unused;
}

static void changing(const int *pipes, const int *sockets)
{
	struct msghdr message = { .msg_iov = &g_changing, .msg_iovlen = 1 };
	pthread_t thread;
	char text[8];

	g_changing = (struct iovec){ g_buffer, 8 };
	pthread_create(&thread, NULL, change, NULL);
	for (int way = 0; way < 4; way++)
		for (int taken = 0, refusals = 0; taken < 500 || refusals < 500;) {
			long left = 8;

			/* what is read is what was written, so the buffer keeps its text */
			if ((way == 1 && write(pipes[1], g_buffer, 8) != 8) || (way == 3 && send(sockets[0], g_buffer, 8, 0) != 8))
				breach("nothing to read");
			long n = way == 0 ? writev(pipes[1], &g_changing, 1) : way == 1 ? readv(pipes[0], &g_changing, 1) :
				 way == 2 ? sendmsg(sockets[0], &message, 0) : recvmsg(sockets[1], &message, 0);
			if (n != 8 && (n != -1 || errno != EFAULT))
				breach("a changing vector, way %d, gave %ld, errno %d", way, n, errno);
			taken += n == 8;
			refusals += n == -1;
			memcpy(text, g_buffer, 8);
			if (way == 0 ? n == 8 : way == 1 && n == -1)
				left = read(pipes[0], text, 8);
			else if (way == 2 ? n == 8 : way == 3 && n == -1)
				left = recv(sockets[1], text, 8, MSG_DONTWAIT);
			if (left != 8)
				breach("a changing vector, way %d: %ld bytes were left", way, left);
			if (memcmp(text, "own text", 8) != 0)
				breach("a changing vector, way %d, moved something else", way);
		}
	g_stop = true;
	pthread_join(thread, NULL);
}

static void mappings(void)
{
	uint64_t page = g_at & ~(PAGE - 1);
	void *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REFUSES(EFAULT, SYS_mmap, page, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	REFUSES(EFAULT, SYS_munmap, page, PAGE);
	REFUSES(EFAULT, SYS_mprotect, page, PAGE, PROT_READ | PROT_WRITE);
	REFUSES(EFAULT, SYS_madvise, page, PAGE, MADV_DONTNEED);
	REFUSES(EFAULT, SYS_mremap, page, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
	REFUSES(EFAULT, SYS_mremap, own, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page);
	REFUSES(EFAULT, SYS_msync, page, PAGE, MS_SYNC);
	REFUSES(EFAULT, SYS_mlock, page, PAGE);
	/* from below the slot, across what lies there, up to the program */
	for (uint64_t start = slot() - PAGE; start <= slot(); start += PAGE)
		if (!syscall(SYS_munmap, start, SLOT_LIBOS_END + 2 * PAGE) ||
		    syscall(SYS_mmap, start, SLOT_LIBOS_END + PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != -1 ||
		    !syscall(SYS_mprotect, start, SLOT_LIBOS_END + PAGE, PROT_NONE) ||
		    !syscall(SYS_madvise, start, SLOT_LIBOS_END + PAGE, MADV_DONTNEED))
			breach("mappings from below the slot");
	char word[8];
	if (read(open("/dev/zero", O_RDONLY), (void *)(slot() - 4), 8) != -1 || errno != EFAULT)
		breach("a buffer that begins below the slot");
	int memory = open("/proc/self/mem", O_RDWR);
	if (memory >= 0 && (pread(memory, word, 8, (off_t)g_at) > 0 || pwrite(memory, word, 8, (off_t)g_at) > 0))
		breach("/proc/self/mem");
	struct iovec mine = { word, 8 }, there = { (void *)g_at, 8 };
	if (syscall(SYS_process_vm_readv, getpid(), &mine, 1, &there, 1, 0) > 0)
		breach("process_vm_readv");
}

/* An ending thread whose robust list names its own number in the libOS: that would become FUTEX_OWNER_DIED. */
static void *robust(void *argument)
{
	static struct robust_list_head head;
	static uint32_t *word;
	static int32_t tid;

	tid = (int32_t)syscall(SYS_gettid);
	word = argument;
	head = (struct robust_list_head){ .list = { &head.list }, .futex_offset = 0, .list_op_pending = (struct robust_list *)word };
	syscall(SYS_set_robust_list, &head, sizeof head);
	return NULL;
}

static void attack(void)
{
	int pipes[2], sockets[2];
	pthread_t thread;

	g_at = libos_thread() & ~(PAGE - 1);
	int file = memfd_create("file", 0);
	if (pipe2(pipes, O_NONBLOCK) || socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets) || file < 0)
		breach("no pipes");
	changing(pipes, sockets);
	in_structures(pipes, sockets, file);
	mappings();
	/* where struct thread has its number does not matter: every word of it */
	for (uint64_t word = libos_thread(); word < libos_thread() + 512; word += 4) {
		pthread_create(&thread, NULL, robust, (void *)word);
		pthread_join(thread, NULL);
		if (gettid() != getpid())
			breach("the thread's number in the libOS changed");
	}
	refused("no system call took an address of the libOS");
}
