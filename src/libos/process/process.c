/*
 * What a process has, from its start to its end (process/process.h). The first one ends the cVM by one hostcall: the
 * monitor stops every thread and gives everything back. Another is taken apart by its last thread.
 */
#include "process/process.h"
#include "abi/boot.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/log.h"
#include "fs/vfs.h"
#include "ipc/sysv.h"
#include "mm/mm.h"
#include "process/turn.h"
#include "signal/internal.h"
#include "signal/timer.h"
#include "sys/trace.h"
#include "thread/clock.h"
#include "thread/entry.h"
#include "thread/thread.h"
#include "tty/terminal.h"

#include <linux/resource.h>

#define NUMBER_END 32768 /* as /proc/sys/kernel/pid_max says */

struct process *g_process;
const struct cvm_start *g_start;

static struct mutex g_numbers_lock;
static uint64_t g_numbers[NUMBER_END / 64]; /* bit per number in use; g_numbers_lock */
static int32_t g_last_number;
static uint32_t g_numbers_taken;

void thread_init(const struct cvm_start *start)
{
	g_start = start;
	signal_frame_init();
}

/* Numbers grow and wrap around. */
int32_t number_take(void)
{
	int32_t found = 0;

	mutex_lock(&g_numbers_lock);
	for (int tries = 0; !found && tries < NUMBER_END; tries++) {
		int32_t n = g_last_number = g_last_number >= NUMBER_END - 1 ? 1 : g_last_number + 1;

		if (!(g_numbers[n / 64] >> (n % 64) & 1)) {
			g_numbers[n / 64] |= 1ull << (n % 64);
			found = n;
			g_numbers_taken++;
		}
	}
	mutex_unlock(&g_numbers_lock);
	return found;
}

void number_give(int32_t number)
{
	mutex_lock(&g_numbers_lock);
	g_numbers[number / 64] &= ~(1ull << (number % 64));
	mutex_unlock(&g_numbers_lock);
}

void number_counts(uint32_t *taken, int32_t *last)
{
	mutex_lock(&g_numbers_lock);
	*taken = g_numbers_taken;
	*last = g_last_number;
	mutex_unlock(&g_numbers_lock);
}

static void limits_init(struct rlimit64 *l)
{
	for (int i = 0; i < RLIM_NLIMITS; i++)
		l[i] = (struct rlimit64){ RLIM64_INFINITY, RLIM64_INFINITY };
	l[RLIMIT_STACK].rlim_cur = 8ull << 20;
	l[RLIMIT_CORE].rlim_cur = 0;
	l[RLIMIT_NOFILE] = (struct rlimit64){ 1024, FD_LIMIT_MAX };
	l[RLIMIT_NPROC] = (struct rlimit64){ g_start->threads_max, g_start->threads_max };
	l[RLIMIT_SIGPENDING] = (struct rlimit64){ SIGNAL_QUEUE_MAX, SIGNAL_QUEUE_MAX };
	l[RLIMIT_MEMLOCK] = (struct rlimit64){ 8ull << 20, 8ull << 20 };
	l[RLIMIT_MSGQUEUE] = (struct rlimit64){ 819200, 819200 };
	l[RLIMIT_NICE] = l[RLIMIT_RTPRIO] = (struct rlimit64){ 0, 0 };
}

static struct process *process_alloc(void)
{
	struct process *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->rlimits = kzalloc(RLIM_NLIMITS * sizeof(*p->rlimits));
	if (!p->rlimits) {
		kfree(p);
		return NULL;
	}
	p->refs = 1;
	list_init(&p->threads);
	list_init(&p->link);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->sem_undos);
	waitq_init(&p->child_events);
	waitq_init(&p->ended);
	signal_process_init(p);
	p->start_ns = (uint64_t)clock_now(CLOCK_MONOTONIC);
	return p;
}

static void set_identity(struct process *p, uint32_t uid, uint32_t gid)
{
	limits_init(p->rlimits);
	p->uid = p->euid = p->suid = p->fsuid = uid;
	p->gid = p->egid = p->sgid = p->fsgid = gid;
	p->groups.count = 0;
	p->words = (struct process_words){ .dumpable = 1, .timer_slack = 50000, .timer_slack_default = 50000 };
}

struct process *process_create(struct libos_boot *boot)
{
	struct process *p = process_alloc();

	if (!p)
		return NULL;
	set_identity(p, boot->uid, boot->gid);
	p->boot = boot;
	p->boot_flags = boot->flags;
	trace_init(boot->flags);
	g_fast_limit = boot->flags & BOOT_FLAG_TRACE ? 0 : g_fast_limit;
	g_process = p;
	if (process_adopt(p, NULL))
		return NULL;
	p->pgid = p->sid = p->pid;
	return p;
}

struct process *process_copy(struct process *from, bool descriptors)
{
	struct process *p = process_alloc();

	if (!p)
		return NULL;
	memcpy(p->rlimits, from->rlimits, RLIM_NLIMITS * sizeof(*p->rlimits));
	mutex_lock(&from->signals.lock); /* another thread may just be changing one */
	memcpy(p->signals.action, from->signals.action, sizeof(p->signals.action));
	mutex_unlock(&from->signals.lock);
	memcpy(p->exe_path, from->exe_path, sizeof(p->exe_path));
	memcpy(p->comm, current()->comm, sizeof(p->comm));
	p->mm = from->mm;
	p->boot = from->boot;
	p->boot_flags = from->boot_flags;
	p->uid = from->uid, p->euid = from->euid, p->suid = from->suid, p->fsuid = from->fsuid;
	p->gid = from->gid, p->egid = from->egid, p->sgid = from->sgid, p->fsgid = from->fsgid;
	mutex_lock(&from->lock);
	p->groups = from->groups;
	mutex_unlock(&from->lock);
	p->words = from->words;
	p->words.timer_slack_default = p->words.timer_slack;
	p->words.death_signal = p->words.subreaper = 0;
	p->nice = __atomic_load_n(&from->nice, __ATOMIC_RELAXED);
	p->oom_score_adj = __atomic_load_n(&from->oom_score_adj, __ATOMIC_RELAXED);
	p->pgid = from->pgid;
	p->sid = from->sid;
	p->no_terminal = from->no_terminal;
	p->files = descriptors ? fdtable_copy(from->files) : fdtable_create();
	p->fs = fs_context_copy(from->fs);
	if (p->files && p->fs)
		return p;
	process_put(p);
	return NULL;
}

void process_renew(struct process *p, uint32_t uid, uint32_t gid)
{
	memset(p->signals.action, 0, sizeof(p->signals.action));
	p->fs->umask = UMASK_FIRST;
	p->nice = p->oom_score_adj = 0;
	set_identity(p, uid, gid);
}

struct process *process_get(struct process *p)
{
	__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

/* What others look at is taken away with the lock held. */
static void drop_belongings(struct process *p)
{
	struct fdtable *files;
	struct fs_context *fs;
	struct program *program;

	if (p->files)
		fdtable_close(p->files, false);
	mutex_lock(&p->lock);
	files = p->files;
	fs = p->fs;
	program = p->program;
	p->files = NULL;
	p->fs = NULL;
	p->program = NULL;
	mutex_unlock(&p->lock);
	fdtable_free(files);
	fs_context_free(fs);
	program_put(program);
}

void process_put(struct process *p)
{
	if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL))
		return;
	drop_belongings(p);
	signal_process_free(p);
	kfree((void *)(uintptr_t)p->why);
	kfree(p->itimers);
	kfree(p->rlimits);
	kfree(p);
}

bool process_in_group(struct process *p, uint32_t gid)
{
	bool in = p->egid == gid;

	mutex_lock(&p->lock);
	for (uint32_t i = 0; !in && i < p->groups.count; i++)
		in = p->groups.group[i] == gid;
	mutex_unlock(&p->lock);
	return in;
}

uint64_t process_limit(struct process *p, int resource)
{
	return __atomic_load_n(&p->rlimits[resource].rlim_cur, __ATOMIC_RELAXED);
}

static _Noreturn void cvm_exit(uint32_t status)
{
	uint64_t fast, slow;

	thread_syscall_counts(&fast, &slow);
	hostcall(HC_cvm_exit, status & 0xff, (status & 0x100) != 0, fast);
	panic("cvm_exit returned");
}

void process_exit(uint32_t status)
{
	struct process *p = current()->process;

	if (p == g_process) {
		__atomic_store_n(&p->exiting, 1, __ATOMIC_SEQ_CST);
		cvm_exit(status);
	}
	mutex_lock(&p->lock);
	if (!p->exiting) {
		__atomic_store_n(&p->exiting, 1, __ATOMIC_SEQ_CST);
		p->exit_status = status;
	}
	list_for_each(pos, &p->threads)
		thread_notify(list_entry(pos, struct thread, link), WORK_EXIT);
	mutex_unlock(&p->lock);
	signal_release_stopped(p);
	thread_exit(0);
}

void process_end(struct process *p)
{
	uint32_t status = p->exit_status;

	if (p == g_process)
		cvm_exit(status);
	timers_end(p, true);
	sem_exit(p);
	drop_belongings(p);
	terminal_leader_ended(p);
	turn_release(current());
	process_vfork_done(p);
	waitq_wake(&p->signals.waitq, 0); /* an epoll that somebody inherited: its signalfd tells of that one's signals from now on */
	process_became_zombie(p, status & 0x100 ? (int)(status & 0xff) : (int)(status & 0xff) << 8);
}
