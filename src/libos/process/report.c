/*
 * Processes as others see them (process/report.h). A process that is taken apart loses its program, files and directories
 * under its lock (process.c), so what is found under the lock is whole. Called by fs/proc*.c and sys/sys_info.c.
 */
#include "process/report.h"
#include "fs/vfs.h"
#include "mm/mm.h"
#include "thread/thread.h"

/* A thread sleeps (S) while it is in a hostcall that may wait, which hostcall_blocking6 marks: also one that does not wait
 * after all is seen so for that moment. All others run: whoever waits for a lock of the libOS gets it soon. p->lock held. */
static char state_of(const struct process *p, const struct thread *t)
{
	char asleep = t ? (char)__atomic_load_n(&t->asleep, __ATOMIC_RELAXED) : 0;

	if (process_is_zombie(p))
		return 'Z';
	if (!t) /* the first one has ended, or has still to start */
		return p->thread_count ? 'Z' : 'R';
	if (__atomic_load_n(&p->signals.stopped, __ATOMIC_RELAXED))
		return 'T';
	return asleep ? asleep : 'R';
}

static void report_signals(struct process *p, struct process_report *r)
{
	mutex_lock(&p->signals.lock);
	r->signals_queued = p->signals.queued;
	r->shared_pending = p->signals.pending.set;
	for (int i = 0; i < SIGNAL_COUNT; i++) {
		uint64_t handler = p->signals.action[i].handler;

		r->ignored |= handler == (uint64_t)SIG_IGN ? 1ull << i : 0;
		r->caught |= handler > (uint64_t)SIG_IGN ? 1ull << i : 0;
	}
	mutex_unlock(&p->signals.lock);
}

int process_report(struct process *p, int32_t tid, struct process_report *r)
{
	struct thread *t;

	memset(r, 0, sizeof(*r));
	mutex_lock(&p->lock);
	t = thread_find(p, tid ? tid : p->pid);
	if (!t && tid && tid != p->pid) {
		mutex_unlock(&p->lock);
		return -ESRCH;
	}
	r->pid = p->pid;
	r->tid = tid ? tid : p->pid;
	r->ppid = __atomic_load_n(&p->ppid, __ATOMIC_RELAXED);
	r->pgid = __atomic_load_n(&p->pgid, __ATOMIC_RELAXED);
	r->sid = __atomic_load_n(&p->sid, __ATOMIC_RELAXED);
	r->state = state_of(p, t);
	memcpy(r->comm, t ? t->comm : p->comm, sizeof(r->comm));
	r->comm[sizeof(r->comm) - 1] = 0;
	r->uid = p->uid, r->euid = p->euid, r->suid = p->suid, r->fsuid = p->fsuid;
	r->gid = p->gid, r->egid = p->egid, r->sgid = p->sgid, r->fsgid = p->fsgid;
	r->groups = p->groups;
	r->threads = MAX(p->thread_count, 1u);
	r->nice = __atomic_load_n(&p->nice, __ATOMIC_RELAXED);
	r->exit_signal = r->tid == p->pid ? p->exit_signal : -1;
	if (r->state == 'T')
		r->exit_status = p->stop_told ? p->stop_signal : 0;
	else if (p->state == PROCESS_ZOMBIE)
		r->exit_status = (int32_t)p->exit_status;
	r->start_ns = p->start_ns;
	r->cpu_ns = p->cpu_ns;
	r->children_cpu_ns = p->children_cpu_ns;
	r->pending = t ? t->signals.pending.set : 0;
	r->blocked = t ? t->signals.blocked : 0;
	r->has_files = p->files != NULL;
	r->umask = p->fs ? p->fs->umask : 0;
	report_signals(p, r);
	mutex_unlock(&p->lock);
	return 0;
}

bool process_is_zombie(const struct process *p)
{
	return __atomic_load_n(&p->state, __ATOMIC_ACQUIRE) != PROCESS_RUNS;
}

bool process_has_thread(struct process *p, int32_t tid)
{
	return process_next_thread(p, tid) == tid;
}

int32_t process_next_thread(struct process *p, int32_t from)
{
	int32_t best = from <= p->pid ? p->pid : -1;

	mutex_lock(&p->lock);
	list_for_each(l, &p->threads) {
		const struct thread *t = list_entry(l, struct thread, link);

		if (t->tid >= MAX(from, 1) && (best < 0 || t->tid < best))
			best = t->tid;
	}
	mutex_unlock(&p->lock);
	return best;
}

void process_set_comm(struct process *p, int32_t tid, const char comm[16])
{
	struct thread *t;

	mutex_lock(&p->lock);
	t = thread_find(p, tid ? tid : p->pid);
	memcpy(t ? t->comm : p->comm, comm, sizeof(p->comm));
	mutex_unlock(&p->lock);
}

struct program *process_program(struct process *p)
{
	struct program *program;

	mutex_lock(&p->lock);
	program = p->program ? program_watch(p->program) : NULL;
	mutex_unlock(&p->lock);
	return program;
}

struct dentry *process_directory(struct process *p, bool root)
{
	struct dentry *d = NULL;

	mutex_lock(&p->lock);
	if (p->fs) {
		mutex_lock(&p->fs->lock);
		d = dentry_get(root ? p->fs->root : p->fs->cwd);
		mutex_unlock(&p->fs->lock);
	}
	mutex_unlock(&p->lock);
	return d;
}

ssize_t process_exe(struct process *p, char *path, size_t size)
{
	ssize_t n = -ENOENT;

	mutex_lock(&p->lock);
	if (p->program)
		n = format(path, size, "%s", p->exe_path);
	mutex_unlock(&p->lock);
	return n;
}

static void count(struct process *p, void *data)
{
	uint32_t *sum = data;

	mutex_lock(&p->lock);
	sum[0] += MAX(p->thread_count, 1u);
	list_for_each(l, &p->threads)
		sum[1] += state_of(p, list_entry(l, struct thread, link)) == 'R';
	mutex_unlock(&p->lock);
}

void process_census(uint32_t *threads, uint32_t *running)
{
	uint32_t sum[2] = { 0, 0 };

	process_tree_lock();
	process_for_each(count, sum);
	process_tree_unlock();
	*threads = sum[0];
	*running = sum[1];
}
