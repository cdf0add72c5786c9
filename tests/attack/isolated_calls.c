/*
 * Question: does an isolated libOS take an address of its own for its program's, in any register of any system call, in any mode of
 * it? And does it leave alone what is only a number, or what a C library left in a register that the call does not look at?
 * Expect: REFUSED: every address of the libOS was refused, and nothing else
 * Control: isolate_libos=false
 * Options: isolate_libos=true
 * Native: the libOS's checks of what the program names
 */
#include <linux/futex.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "attack.h"
#include "isolated.h"
#include "syscall_shapes.h"

#define PATTERN 0xa5
#define CALLS 470 /* and those behind shapes, which nobody has */

static uint64_t g_at;	  /* a page of the libOS that nothing uses */
static uint64_t g_number; /* in that page: what registers hold that are no addresses */
static bool g_seen;	  /* the page can be looked at: without protection keys */
static uint8_t *g_code;

/* What is called: `syscall; ret`, and what makes processes: the child ends at once. Neither is rewritten. */
enum { CALL_ONLY = 0, CALL_FORKS = 16, CALL_ROOM = 32 };
static const uint8_t k_code[CALL_ROOM] = {
	[CALL_ONLY] = 0x0f, 0x05, 0xc3,
	[CALL_FORKS] = 0x0f, 0x05, 0x85, 0xc0, 0x75, 0x09, /* syscall; test; jnz over */ 0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05, 0xc3,
};

static void fill(void *page)
{
	memset(page, PATTERN, PAGE);
}

/* Where the machine hides the page, the refusals must do. */
static void untouched(const char *what, long number)
{
	for (size_t i = 0; g_seen && i < PAGE; i++)
		if (((volatile uint8_t *)g_at)[i] != PATTERN)
			breach("%s %ld changed the libOS's byte %zu", what, number, i);
}

static NOINLINE long call_at(unsigned place, long number, const uint64_t a[6])
{
	register uint64_t r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
	long result = number;

	__asm__ volatile("sub $128, %%rsp\n\tcall *%[code]\n\tadd $128, %%rsp"
			 : "+a"(result)
			 : [code] "b"(g_code + place), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory", "cc");
	return result;
}

/* By an instruction that traps, and by one that was rewritten. */
static long call(bool rewritten, long number, const uint64_t a[6])
{
	if (!rewritten)
		return call_at(CALL_ONLY, number, a);
	long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	return result == -1 ? -errno : result;
}
#define CALL6_(number, a, b, c, d, e, f, ...) \
	call(false, SYS_##number, (uint64_t[]){ (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), (uint64_t)(f) })
/* DO(write, fd, p, n): what is not said is the number. */
#define DO(number, ...) CALL6_(number, ##__VA_ARGS__, g_number, g_number, g_number, g_number, g_number, g_number)

static void expect(const char *what, long mode, long expected, long result)
{
	if (result != expected)
		breach("%s, mode %#lx, gave %ld instead of %ld", what, mode, result, expected);
	untouched(what, mode);
}

static void works(const char *what, long mode, long result)
{
	if (result < 0)
		breach("%s, mode %#lx, was refused: %ld", what, mode, result);
	untouched(what, mode);
}

/* What this libOS may not have, but must not look at. */
static void nothing(const char *what, long mode, long result, long lacking)
{
	if (result != -EFAULT && result != lacking)
		breach("%s, mode %#lx, gave %ld", what, mode, result);
	untouched(what, mode);
}

/* --- every call: each argument that is an address --- */

static void addresses(long number, const struct shape *s)
{
	for (int way = 0; way < 2; way++) {
		uint64_t a[6];
		long result;

		for (int i = 0; s->exists && s->arguments[i]; i++) {
			if (s->arguments[i] != 'p')
				continue;
			memset(a, 0, sizeof a);
			a[i] = g_at;
			result = call(way, number, a);
			if (result != -EFAULT)
				breach("system call %ld, argument %d gave %ld", number, i, result);
		}
		for (int i = 0; !s->exists && i < 6; i++)
			a[i] = g_number;
		if (!s->exists && (result = call(way, number, a)) != -ENOSYS)
			breach("system call %ld, which should not exist, gave %ld", number, result);
	}
	untouched("system call", number);
}

/* --- every call: numbers, and registers that are no arguments --- */

struct told {
	uint8_t begun;
	long result;
};

static _Noreturn void crash_in_sigreturn(void)
{
	static uint8_t stack[2 * PAGE] __attribute__((aligned(4096))); /* a frame of zeroes: rip 0 */

	__asm__ volatile("mov %0, %%rsp\n\tmov %2, %%rdi\n\tmov %2, %%rsi\n\tmov %2, %%rdx\n\tmov %2, %%r10\n\tmov %2, %%r8\n\tmov %2, %%r9\n\tjmp *%1"
			 : : "r"(stack + PAGE), "b"(g_code + CALL_ONLY), "c"(g_number), "a"((long)SYS_rt_sigreturn) : "memory");
	__builtin_unreachable();
}

static _Noreturn void child(int out, long number, const struct shape *s)
{
	struct told told = { .begun = 1 };
	uint64_t a[6];

	signal(SIGSEGV, SIG_DFL);
	for (int i = 0; i < 6; i++)
		a[i] = i < (int)strlen(s->arguments) && s->arguments[i] != '.' ? 0 : g_number;
	if (write(out, &told.begun, 1) != 1)
		_exit(99);
	if (s->ending == CRASHES)
		crash_in_sigreturn();
	told.result = call_at(s->ending == FORKS ? CALL_FORKS : CALL_ONLY, number, a);
	if (s->ending == FORKS && told.result > 0)
		waitpid((pid_t)told.result, NULL, 0);
	if (write(out, &told.result, sizeof told.result) != sizeof told.result)
		_exit(99);
	_exit(0);
}

static void sleeps(pid_t pid, long number)
{
	char path[64], text[256];
	const char *state;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	for (int i = 0; i < 100000; i++) {
		int fd = open(path, O_RDONLY);
		long n = read(fd, text, sizeof text - 1);

		close(fd);
		text[n < 0 ? 0 : n] = 0;
		state = strrchr(text, ')');
		if (state && state[2] == 'S')
			return;
		usleep(200);
	}
	breach("system call %ld does not wait: %s", number, text);
}

static void numbers(long number, const struct shape *s)
{
	int out[2], status;
	struct told told = { 0 };
	pid_t pid;

	if (!s->exists || s->ending == APART)
		return;
	if (pipe(out) || (pid = fork()) < 0)
		breach("no child");
	if (!pid)
		child(out[1], number, s);
	close(out[1]);
	if (read(out[0], &told.begun, 1) != 1)
		breach("system call %ld: its process did not begin", number);
	if (s->ending == WAITS) {
		sleeps(pid, number);
		kill(pid, SIGKILL);
	}
	struct pollfd end = { .fd = out[0], .events = POLLIN };
	if (poll(&end, 1, 60000) != 1)
		breach("system call %ld of numbers waits", number);
	bool returned = read(out[0], &told.result, sizeof told.result) == sizeof told.result;
	if (waitpid(pid, &status, 0) != pid)
		breach("no end of the child");
	close(out[0]);
	if (returned != (s->ending == RETURNS || s->ending == FORKS))
		breach("system call %ld of numbers: returned %d, status %#x", number, returned, status);
	if (s->ending == WAITS || s->ending == CRASHES) {
		if (!WIFSIGNALED(status) || WTERMSIG(status) != (s->ending == WAITS ? SIGKILL : SIGSEGV))
			breach("system call %ld: status %#x", number, status);
	} else if (status != (s->ending == ENDS ? (int)(g_number & 0xff) << 8 : 0)) {
		breach("system call %ld: status %#x", number, status);
	}
	if (s->ending == FORKS ? told.result <= 0 : returned && !strchr(s->arguments, 'p') && told.result == -EFAULT)
		breach("system call %ld refused a number or an unused register: %ld", number, told.result);
	untouched("system call", number);
}

/* --- what is an address in some modes --- */

static void futexes(void)
{
	static uint32_t words[2] __attribute__((aligned(64))) = { 7, 7 };

	for (int flag = 0; flag <= FUTEX_PRIVATE_FLAG; flag += FUTEX_PRIVATE_FLAG) {
		for (int op = 0; op < 16; op++)
			nothing("futex word", op | flag, DO(futex, g_at, op | flag, 1, 0, words + 1, 0), -EFAULT);
		expect("futex wait until", flag, -EFAULT, DO(futex, words, FUTEX_WAIT | flag, 7, g_at, 0, 0));
		expect("futex wait until", flag, -EFAULT, DO(futex, words, FUTEX_WAIT_BITSET | flag, 7, g_at, 0, 1));
		for (int op = FUTEX_REQUEUE; op <= FUTEX_WAKE_OP; op++)
			expect("futex second word", op | flag, -EFAULT, DO(futex, words, op | flag, 1, 1, g_at, 7));
		for (int op = FUTEX_LOCK_PI; op < 16; op++)
			if (op != FUTEX_WAIT_BITSET && op != FUTEX_WAKE_BITSET)
				nothing("futex", op | flag, DO(futex, words, op | flag, 1, g_at, g_at, 7), -ENOSYS);
		/* as glibc makes them: with what was in the registers */
		expect("futex wake", flag, 0, DO(futex, words, FUTEX_WAKE | flag, 1));
		expect("futex wake bitset", flag, 0, DO(futex, words, FUTEX_WAKE_BITSET | flag, 1));
		expect("futex wait", flag, -EAGAIN, DO(futex, words, FUTEX_WAIT | flag, 8, 0));
		expect("futex requeue", flag, 0, DO(futex, words, FUTEX_REQUEUE | flag, 1, 1, words + 1));
	}
}

static void descriptors(void)
{
	int sockets[2], pipes[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) || pipe(pipes))
		breach("no sockets");
	int all[] = { memfd_create("file", MFD_ALLOW_SEALING), sockets[0], pipes[0], pipes[1], 0, socket(AF_INET, SOCK_STREAM, 0), open("/", O_RDONLY),
		      open("/dev/ptmx", O_RDWR | O_NOCTTY) };
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		for (long request = 0x5400; request < 0x8a00; request += request == 0x54ff ? 0x8900 - 0x54ff : 1)
			expect("ioctl", request, request == FIOCLEX || request == FIONCLEX ? 0 : -EFAULT, DO(ioctl, all[i], request, g_at));
		for (int command = 0; command < 1040; command += command == 50 ? 1024 - 50 : 1) {
			bool locks = (command >= F_GETLK && command <= F_SETLKW) || (command >= F_OFD_GETLK && command <= F_OFD_SETLKW);
			bool owners = command == F_SETOWN_EX || command == F_GETOWN_EX;
			long result = DO(fcntl, all[i], command, g_at);

			if ((result == -EFAULT) != (locks || owners))
				breach("fcntl, command %d, gave %ld", command, result);
			untouched("fcntl", command);
		}
	}
	struct ifconf interfaces = { .ifc_len = 64, .ifc_buf = (char *)g_at };
	expect("list of interfaces", 0, -EFAULT, DO(ioctl, all[5], SIOCGIFCONF, &interfaces));
}

static void of_the_process(void)
{
	static const int taken[] = { PR_GET_PDEATHSIG, PR_SET_NAME, PR_GET_NAME, PR_GET_CHILD_SUBREAPER };
	static const int elsewhere[] = { PR_GET_UNALIGN, PR_GET_FPEMU, PR_GET_FPEXC, PR_GET_TSC, PR_GET_ENDIAN, 40 /* PR_GET_TID_ADDRESS */ };
	pid_t pid = fork();
	int status;

	for (int option = 0; !pid && option < 128; option++) {
		bool address = false, lacking = false;
		long result = DO(prctl, option, g_at, 0, 0, 0);

		for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
			address |= taken[i] == option;
		for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
			lacking |= elsewhere[i] == option;
		if (lacking ? result != -EFAULT && result != -EINVAL : (result == -EFAULT) != address)
			breach("prctl, option %d, gave %ld", option, result);
		untouched("prctl", option);
	}
	if (!pid)
		_exit(0);
	if (waitpid(pid, &status, 0) != pid || status)
		breach("prctl: status %#x", status);
	for (int code = 0x1001; code <= 0x1004; code++)
		expect("arch_prctl", code, -EFAULT, DO(arch_prctl, code, g_at));
}

static void clones(void)
{
	const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	static const struct {
		uint64_t flag;
		int argument;
	} uses[] = { { CLONE_PARENT_SETTID, 2 }, { CLONE_PIDFD, 2 }, { CLONE_CHILD_SETTID, 3 }, { CLONE_CHILD_CLEARTID, 3 }, { CLONE_SETTLS, 4 }, { 0, 1 } };
	static uint64_t stack[1024];

	for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
		for (int kind = 0; kind < 3; kind++) {
			uint64_t a[6] = { uses[i].flag | (kind == 0 ? thread : kind == 1 ? (uint64_t)(CLONE_VM | CLONE_VFORK | SIGCHLD) : (uint64_t)SIGCHLD),
					  kind == 0 ? (uint64_t)(stack + 1000) : 0 };
			a[uses[i].argument] = g_at;
			expect("clone", (long)a[0], -EFAULT, call_at(CALL_FORKS, SYS_clone, a));
		}
	/* the flags ask for nothing */
	for (int vfork = 0; vfork < 2; vfork++) {
		uint64_t a[6] = { (vfork ? (uint64_t)(CLONE_VM | CLONE_VFORK) : 0) | SIGCHLD, 0, g_at, g_at, g_at, g_at };
		long pid = call_at(CALL_FORKS, SYS_clone, a);

		works("clone", (long)a[0], pid);
		if (waitpid((pid_t)pid, NULL, 0) != pid)
			breach("clone made no child");
	}
}

static void semaphores(void)
{
	long id = semget(IPC_PRIVATE, 2, 0600);

	works("semget", 0, id);
	for (int command = 1; command < 32; command++) {
		bool number = command == GETPID || command == GETVAL || command == GETNCNT || command == GETZCNT || command == SETVAL;
		long result = DO(semctl, id, 0, command, g_at);

		if ((result == -EFAULT) == number && result != -EINVAL)
			breach("semctl, command %d, gave %ld", command, result);
		untouched("semctl", command);
	}
	works("semctl", IPC_RMID, DO(semctl, id, 0, IPC_RMID));
}

static void leftovers(void)
{
	char *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), word[8];
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = g_at };
	long fd = DO(openat, AT_FDCWD, "/dev/zero", O_RDONLY), epoll = epoll_create1(0);
	int pipes[2];

	works("openat", 0, fd);
	expect("read", 0, sizeof word, DO(read, fd, word, sizeof word));
	expect("lseek", 0, -EINVAL, DO(lseek, memfd_create("file", 0), g_at, 99));
	works("getcpu", 0, DO(getcpu, word, word + 4));
	works("mremap", 0, DO(mremap, two, 2 * PAGE, PAGE, 0));
	expect("mremap", MREMAP_FIXED, -EFAULT, DO(mremap, two, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, g_at));
	/* what the libOS only hands back */
	if (pipe(pipes) || write(pipes[1], "x", 1) != 1)
		breach("no pipe");
	works("epoll_ctl", 0, DO(epoll_ctl, epoll, EPOLL_CTL_ADD, pipes[0], &event));
	event.data.u64 = 0;
	expect("epoll_wait", 0, 1, DO(epoll_wait, epoll, &event, 1, 0));
	if (event.data.u64 != g_at)
		breach("epoll changed what it was given");
}

static void attack(void)
{
	g_at = (libos_symbol("g_program_caps") + PAGE) & ~(PAGE - 1); /* capabilities of the program, which has none */
	g_number = g_at + 0x18;
	g_code = make_code(k_code, sizeof k_code);
	g_seen = !guarded(fill, (void *)g_at).signal;
	if (!g_code)
		breach("own code: %s", strerror(errno));
	for (long number = 0; number < CALLS; number++)
		if (number != 335 && number != 336) /* uretprobe, uprobe: the host's kernel makes SIGILL of them */
			addresses(number, &k_shapes[number]);
	for (int i = 0; i < 6; i++) {
		uint64_t a[6] = { HC_cap_info };

		a[i] = g_at;
		expect("capability", i, -EFAULT, call(true, BOOT_SYSCALL_CAPABILITY, a));
	}
	for (long number = 0; number < CALLS; number++)
		numbers(number, &k_shapes[number]);
	futexes();
	descriptors();
	of_the_process();
	clones();
	semaphores();
	leftovers();
	refused("every address of the libOS was refused, and nothing else");
}
