/*
 * The monitor's start and its supervisor loop. The only argument is the path of the launch description
 * (abi/launch.h), which is checked here as bytes of unknown origin; then the process prepares itself,
 * creates the cVMs and serves the event channel until the last of them is gone.
 */
#include <linux/mman.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>

#include "host/syscall.h"
#include "monitor/hostcalls.h"
#include "monitor/trap.h"

const void *g_launch_bytes;
static struct thread g_boot_thread;
static struct vcpu_page g_boot_vcpu;

_Noreturn void monitor_main(const uint64_t *stack);

/* Start-up failed. */
static _Noreturn void fail(const char *what, long error)
{
	host_die(UINT32_MAX, what, &(struct channel_report){ .error = (int32_t)error });
}

static long must(long result, const char *otherwise)
{
	if (result < 0)
		fail(otherwise, result);
	return result;
}

static bool cvm_config_valid(const struct launch *l, const struct launch_cvm *c)
{
	uint64_t end;
	bool valid = memchr(c->name, 0, sizeof c->name) && c->threads_max && c->handles_max && c->handles <= LAUNCH_HANDLES_MAX &&
		     c->net_rules <= LAUNCH_NET_RULES_MAX && c->grants <= LAUNCH_GRANTS_MAX && c->image < l->images && c->nice >= -20 &&
		     c->nice <= 19 && add_checked(c->boot_offset, c->boot_size, &end) && end <= l->size && c->boot_size <= (1u << 24);

	for (uint32_t i = 0; valid && i < c->handles; i++)
		valid = c->handle[i].kind >= LAUNCH_HANDLE_STDIO && c->handle[i].kind <= LAUNCH_HANDLE_FILE && c->handle[i].fd >= 0 &&
			!(c->handle[i].rights & ~(LAUNCH_RIGHT_READ | LAUNCH_RIGHT_WRITE));
	for (uint32_t i = 0; valid && i < c->net_rules; i++)
		valid = c->net_rule[i].prefix <= (c->net_rule[i].family == 2 /* AF_INET */ ? 32 : 128);
	for (uint32_t i = 0; valid && i < c->grants; i++)
		valid = memchr(c->grant[i].name, 0, CAP_NAME_MAX);
	return valid;
}

static void read_launch(const char *path)
{
	long fd = must(host(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC),
		       "usage: intravisor-monitor LAUNCH_FILE (started by `intravisor run`)");
	struct stat st;

	if (host(__NR_fstat, fd, &st) || st.st_size < (long)offsetof(struct launch, cvm) || st.st_size > 1 << 28)
		fail("the launch description is cut off", 0);
	g_launch_bytes = (const void *)must(host_mmap(0, (uint64_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0),
					    "cannot map the launch description");
	const struct launch *l = &g_arena->launch, *from = g_launch_bytes;
	memcpy(&g_arena->launch, from, offsetof(struct launch, cvm));
	bool valid = l->magic == LAUNCH_MAGIC && l->version == LAUNCH_VERSION && l->size == (uint64_t)st.st_size && l->cvms &&
		     l->cvms <= CVMS_MAX && !(l->insecure & ~LAUNCH_INSECURE_ALL) && l->images && l->images <= LAUNCH_IMAGES_MAX &&
		     l->files <= LAUNCH_FILES_MAX && offsetof(struct launch, cvm) + l->cvms * sizeof l->cvm[0] <= l->size;
	for (uint32_t i = 0; valid && i < l->images; i++)
		valid = l->image[i].data_size < (1u << 28) && l->image[i].bss_size < (1u << 28);
	for (uint32_t i = 0; valid && i < l->files; i++)
		valid = memchr(l->file[i].name, 0, CAP_NAME_MAX) && l->file[i].fd >= 0;
	if (valid)
		memcpy(g_arena->launch.cvm, from->cvm, l->cvms * sizeof l->cvm[0]);
	for (uint32_t i = 0; valid && i < l->cvms; i++)
		valid = cvm_config_valid(l, &l->cvm[i]);
	if (!valid) {
		g_arena->launch.event_channel = 0;
		fail("the launch description is damaged or of another version", 0);
	}
	g_arena->insecure = l->insecure;
}

static void check_executable(uint64_t start, uint64_t end)
{
	for (uint64_t at = start; at < end;) {
		int64_t found = scan_bytes((const uint8_t *)at, end - at);
		if (found < 0)
			return;
		at += (uint64_t)found;
		if (!domain_owns_instruction(at))
			fail("the process contains a forbidden instruction outside the gates: this kernel's vDSO or this build "
			     "cannot be used", 0);
		at++;
	}
}

/* Every mapping of the process: executable ones are scanned; the vDSO and its data become public. */
static void survey_mappings(void)
{
	char name[HC_PATH_MAX];
	long fd = must(host(__NR_openat, AT_FDCWD, "/proc/self/maps", O_CLOEXEC, 0), "cannot open /proc/self/maps: mount /proc");
	struct procmap_query q = { .size = sizeof q, .query_flags = PROCMAP_COVERING_OR_NEXT };
	long r;

	for (;; q.query_addr = q.vma_end) {
		q.vma_name_addr = (uint64_t)name;
		q.vma_name_size = sizeof name;
		q.build_id_size = 0;
		name[0] = 0;
		r = host(__NR_ioctl, fd, PROCMAP_QUERY, &q);
		if (r)
			break;
		if (q.vma_flags & PROCMAP_EXECUTABLE)
			check_executable(q.vma_start, q.vma_end);
		bool data = !memcmp(name, "[vvar", 5), code = !memcmp(name, "[vdso]", 7);
		if (code)
			g_arena->vdso = q.vma_start;
		if (data || code)
			must(domain_publish(q.vma_start, q.vma_end - q.vma_start, data ? PROT_READ : PROT_READ | PROT_EXEC),
			     "cannot give the vDSO its key");
	}
	if (r != -ENOENT)
		fail("PROCMAP_QUERY failed: this kernel is older than 6.12", r);
	g_arena->maps_fd = (int32_t)fd;
}

static void prepare_process(void)
{
	host(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL);
	host(__NR_prctl, PR_SET_DUMPABLE, 0);
	must(host(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1), "prctl(PR_SET_NO_NEW_PRIVS)");
	g_arena->pid = (int32_t)host(__NR_getpid);
	g_arena->wake_fd = (int32_t)must(host(__NR_eventfd2, 0, O_CLOEXEC), "cannot make an eventfd: raise the open files limit");
	g_arena->proc_fd = (int32_t)must(host(__NR_openat, AT_FDCWD, "/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC, 0),
					 "cannot open /proc/self/fd: mount /proc");
	const char *why = domain_init(g_arena->insecure);
	if (why)
		fail(why, 0);
	survey_mappings();
	must(domain_publish((uint64_t)vcpu_page(0), (uint64_t)THREADS_MAX * VCPU_PAGE_SIZE, PROT_READ | PROT_WRITE),
	     "cannot give the vCPU pages their key");
	must(trap_install(), "cannot install signal handlers");
}

/* The supervisor gets a block and a vCPU page like any thread, so that gates.S and trap.c know only one kind. */
static void supervisor_thread(void)
{
	struct thread *t = thread_block(0);

	t->state = THREAD_IN_MONITOR;
	t->use = THREAD_USED;
	g_arena->blocks_used = 1;
	t->vcpu = vcpu_page(0);
	t->as = t;
	t->stack = (uint64_t)t + THREAD_STACK_TOP;
	t->vcpu->monitor_thread = (uint64_t)t;
	gs_load(0, t->vcpu);
	must(trap_altstack(t), "sigaltstack");
}

/* Outside signals become bits that the libOS fetches when a thread of the cVM is kicked. */
static void deliver_signal(struct cvm *c, int32_t signal)
{
	if (signal < 1 || signal > 64 || c->state != CVM_RUNNING)
		return;
	__atomic_or_fetch(&c->events, 1ull << (signal - 1), __ATOMIC_ACQ_REL);
	LOCKED(&g_arena->thread_lock);
	for_each_thread(t)
		if (t->home == c && t->start.upcall_entry && WHERE_IS(t) != THREAD_GONE) /* of its last life */
			return context_kick(t);
}

/* A restart that fails leaves the others alone. */
static void start_cvm(uint32_t index, bool restart)
{
	struct channel_report why = { .error = cvm_create(index) };

	if (!why.error)
		return;
	if (!restart)
		host_die(index, "cannot be created", &why);
	event_report(CHANNEL_REPORT, index, "cannot be created", &why);
}

/* One message of the command; false when it is gone. */
static bool serve_command(void)
{
	struct {
		struct channel_message m;
		int32_t signal;
		char rest[CHANNEL_PAYLOAD_MAX];
	} in;
	long r = host(__NR_read, g_arena->launch.event_channel, &in, sizeof in);

	if (r < (long)sizeof in.m)
		return r > 0 || r == -EINTR;
	for (uint32_t i = 0; i < g_arena->launch.cvms; i++) {
		struct cvm *c = &g_arena->cvm[i];
		bool running = c->state == CVM_RUNNING;
		if (in.m.cvm != UINT32_MAX && in.m.cvm != i)
			continue;
		if (in.m.type == CHANNEL_SIGNAL && r >= (long)(sizeof in.m + sizeof in.signal))
			deliver_signal(c, in.signal);
		else if (in.m.type == CHANNEL_KILL && running)
			cvm_end(c, SIGKILL, true);
		else if (in.m.type == CHANNEL_STATS && running)
			cvm_stats_send(c);
		else if (in.m.type == CHANNEL_START && !running)
			start_cvm(i, true);
	}
	return true;
}

/* Takes apart what has lost its last thread; the number of cVMs still alive, or not apart yet. */
static uint32_t reap(void)
{
	uint32_t alive = 0;

	for (uint32_t i = 0; i < g_arena->launch.cvms; i++) {
		struct cvm *c = &g_arena->cvm[i];
		if (c->state == CVM_RUNNING && !LOAD(c->threads))
			cvm_destroy(c);
		alive += c->state == CVM_RUNNING;
	}
	return alive;
}

#define TICK_MS 2

static void supervise(void)
{
	while (reap() || (g_arena->launch.flags & LAUNCH_STAY && g_arena->launch.event_channel >= 0)) {
		struct pollfd fds[2] = { { .fd = g_arena->wake_fd, .events = POLLIN },
					 { .fd = g_arena->launch.event_channel, .events = POLLIN } };
		uint64_t count;
		host(__NR_poll, fds, 2, call_deadlines() ? TICK_MS : -1);
		if (fds[0].revents)
			host(__NR_read, g_arena->wake_fd, &count, sizeof count);
		if (!fds[1].revents || serve_command())
			continue;
		g_arena->launch.event_channel = -1; /* the command is gone, so all end */
		for (uint32_t i = 0; i < g_arena->launch.cvms; i++)
			if (g_arena->cvm[i].state == CVM_RUNNING)
				cvm_end(&g_arena->cvm[i], SIGKILL, true);
	}
}

_Noreturn void monitor_main(const uint64_t *stack)
{
	copy_init();
	/* A first vCPU in the monitor's own data, so that host() works before the arena exists. */
	g_boot_vcpu.monitor_thread = (uint64_t)&g_boot_thread;
	g_boot_thread.vcpu = &g_boot_vcpu;
	gs_load(0, &g_boot_vcpu);
	must(arena_create(), "cannot reserve address space: is RLIMIT_AS set, or vm.overcommit_memory = 2?");
	read_launch(stack[0] == 2 ? (const char *)stack[2] : "");
	prepare_process();
	supervisor_thread();
	must(caps_init(), "cannot make the CP_Files of the description");
	for (uint32_t i = 0; i < g_arena->launch.cvms; i++)
		if (!(g_arena->launch.cvm[i].flags & LAUNCH_CVM_DEFERRED))
			start_cvm(i, false);
	event_send(CHANNEL_READY, 0, NULL, 0);
	supervise();
	host_quit(0);
}
