/*
 * Contents of /proc/PID and /proc/PID/task/TID: what the libOS knows of its process. Called by proc_file.c at open and
 * read.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/proc_file.h"
#include "mm/mm.h"
#include <linux/resource.h>

#define TICKS 100ll /* USER_HZ */
#define PATH_COLUMN 73

static void put_range(const struct mm_range *r, void *data)
{
	struct text *t = data;
	char line[128];
	int n = format(line, sizeof line, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", (unsigned long)r->start,
		       (unsigned long)r->end, r->prot & PROT_READ ? 'r' : '-', r->prot & PROT_WRITE ? 'w' : '-',
		       r->prot & PROT_EXEC ? 'x' : '-', r->shared ? 's' : 'p', (unsigned long)r->offset,
		       (unsigned)(r->device >> 32), (unsigned)(uint32_t)r->device, (unsigned long)r->inode);

	text_add(t, line, (size_t)n);
	if (r->name && *r->name) {
		for (; n < PATH_COLUMN; n++)
			text_add(t, " ", 1);
		text_add(t, r->name, strlen(r->name));
	}
	text_add(t, "\n", 1);
}

void proc_maps(struct text *t, int tid, int number)
{
	(void)tid, (void)number;
	mm_for_each(current()->process->program, put_range, t);
}

/* Resident sizes are not known per mapping: everything mapped counts. */
static void put_range_sizes(const struct mm_range *r, void *data)
{
	unsigned long kb = (r->end - r->start) / 1024;
	struct text *t = data;

	put_range(r, data);
	text_put(t, "Size:%19lu kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\nRss:%20lu kB\nPss:%20lu kB\n",
		 kb, r->prot ? kb : 0, r->prot ? kb : 0);
	text_put(t, "Shared_Clean:          0 kB\nShared_Dirty:          0 kB\nPrivate_Clean:         0 kB\n"
		    "Private_Dirty:%10lu kB\nReferenced:%13lu kB\nAnonymous:             0 kB\nSwap:                  0 kB\n",
		 r->prot & PROT_WRITE ? kb : 0, r->prot ? kb : 0);
}

void proc_smaps(struct text *t, int tid, int number)
{
	(void)tid, (void)number;
	mm_for_each(current()->process->program, put_range_sizes, t);
}

static uint64_t resident(void)
{
	struct hc_info info = { 0 };

	hostcall(HC_cvm_info, &info);
	return info.memory_now;
}

/* Calls `use` with the thread (or the process's first) and the process lock held. */
static void copy_comm(int tid, char comm[16])
{
	struct process *p = current()->process;
	struct thread *t;

	mutex_lock(&p->lock);
	t = thread_find(p, tid ? tid : p->pid);
	memcpy(comm, t ? t->comm : current()->comm, 16);
	mutex_unlock(&p->lock);
	comm[15] = 0;
}

void proc_comm(struct text *t, int tid, int number)
{
	char comm[16];

	(void)number;
	copy_comm(tid, comm);
	text_put(t, "%s\n", comm);
}

ssize_t proc_comm_write(const char *bytes, size_t size, int tid)
{
	struct process *p = current()->process;
	struct thread *t;
	size_t n = 0;

	mutex_lock(&p->lock);
	t = thread_find(p, tid ? tid : p->pid);
	if (t) {
		while (n < size && n < 15 && bytes[n] != '\n')
			n++;
		memcpy(t->comm, bytes, n);
		memset(t->comm + n, 0, 16 - n);
	}
	mutex_unlock(&p->lock);
	return t ? (ssize_t)size : -ESRCH;
}

static int64_t cpu_time(void)
{
	uint64_t ns = 0;

	hostcall(HC_thread_cputime, 1, &ns);
	return (int64_t)ns;
}

void proc_stat_self(struct text *t, int tid, int number)
{
	const struct process *p = current()->process;
	long ticks = cpu_time() / (NSEC_PER_SEC / TICKS);
	const struct mm_args *a = mm_args(current()->process->program);
	char comm[16];

	(void)number;
	copy_comm(tid, comm);
	text_put(t, "%d (%s) R %d %d %d 0 -1 4194304 0 0 0 0 %ld 0 0 0 20 0 %u 0 0 %lu %lu 18446744073709551615 ",
		 tid ? tid : p->pid, comm, p->ppid, p->pgid, p->sid, ticks, p->thread_count,
		 (unsigned long)mm_total_size(current()->process->program), (unsigned long)(resident() / PAGE_SIZE));
	text_put(t, "0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 %lu %lu %lu %lu 0\n", (unsigned long)a->arg_start,
		 (unsigned long)a->arg_end, (unsigned long)a->env_start, (unsigned long)a->env_end);
}

void proc_statm(struct text *t, int tid, int number)
{
	unsigned long total = mm_total_size(current()->process->program) / PAGE_SIZE, rss = resident() / PAGE_SIZE;

	(void)tid, (void)number;
	text_put(t, "%lu %lu 0 0 0 %lu 0\n", total, MIN(rss, total), total);
}

void proc_status(struct text *t, int tid, int number)
{
	const struct process *p = current()->process;
	unsigned long total = mm_total_size(current()->process->program) / 1024, rss = resident() / 1024;
	const struct thread *self = current();
	uint64_t ignored = 0, caught = 0;
	char comm[16];

	(void)number;
	copy_comm(tid, comm);
	for (int i = 0; i < SIGNAL_COUNT; i++) {
		uint64_t handler = p->signals.action[i].handler;

		ignored |= handler == 1 ? 1ull << i : 0;
		caught |= handler > 1 ? 1ull << i : 0;
	}
	text_put(t, "Name:\t%s\nUmask:\t%04o\nState:\tR (running)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
		 comm, process_umask(), p->pid, tid ? tid : p->pid, p->ppid);
	text_put(t, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%d\nGroups:\t\n", p->uid, p->euid, p->suid,
		 p->euid, p->gid, p->egid, p->sgid, p->egid, (fd_end() + 63) / 64 * 64);
	text_put(t, "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8lu kB\nVmPin:\t       0 kB\nVmHWM:\t%8lu kB\n"
		    "VmRSS:\t%8lu kB\nRssAnon:\t%8lu kB\nRssFile:\t       0 kB\nRssShmem:\t       0 kB\n",
		 total, total, mm_locked_size(current()->process->program) / 1024, rss, rss, rss);
	text_put(t, "VmData:\t%8lu kB\nVmStk:\t    8192 kB\nVmSwap:\t       0 kB\nThreads:\t%u\n", total,
		 p->thread_count);
	text_put(t, "SigQ:\t%u/%u\nSigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n",
		 p->signals.queued, SIGNAL_QUEUE_MAX, (unsigned long long)self->signals.pending.set,
		 (unsigned long long)p->signals.pending.set, (unsigned long long)self->signals.blocked,
		 (unsigned long long)ignored, (unsigned long long)caught);
	text_put(t, "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
		    "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
	text_put(t, "Cpus_allowed:\t%llx\nCpus_allowed_list:\t0-%u\nvoluntary_ctxt_switches:\t0\n"
		    "nonvoluntary_ctxt_switches:\t0\n",
		 (1ull << MIN(g_start->host_cpus, 63u)) - 1, MAX(g_start->host_cpus, 1u) - 1);
}

/* The program may have changed or unmapped its own stack: then what can be read. */
static void add_program_bytes(struct text *t, uint64_t start, uint64_t end)
{
	char part[512];

	while (start < end) {
		size_t n = MIN(sizeof part, end - start);

		if (copy_from_user(part, (void *)start, n))
			break;
		text_add(t, part, n);
		start += n;
	}
}

void proc_cmdline(struct text *t, int tid, int number)
{
	(void)tid, (void)number;
	add_program_bytes(t, mm_args(current()->process->program)->arg_start, mm_args(current()->process->program)->arg_end);
}

void proc_environ(struct text *t, int tid, int number)
{
	(void)tid, (void)number;
	add_program_bytes(t, mm_args(current()->process->program)->env_start, mm_args(current()->process->program)->env_end);
}

void proc_auxv(struct text *t, int tid, int number)
{
	(void)tid, (void)number;
	add_program_bytes(t, mm_args(current()->process->program)->auxv, mm_args(current()->process->program)->auxv + mm_args(current()->process->program)->auxv_size);
}

static void put_limit(struct text *t, const char *name, int resource, const char *unit)
{
	const struct rlimit64 *l = &current()->process->rlimits[resource];
	char soft[24], hard[24];

	format(soft, sizeof soft, l->rlim_cur == ~0ull ? "unlimited" : "%llu", (unsigned long long)l->rlim_cur);
	format(hard, sizeof hard, l->rlim_max == ~0ull ? "unlimited" : "%llu", (unsigned long long)l->rlim_max);
	text_put(t, "%-26s%-21s%-21s%-10s\n", name, soft, hard, unit);
}

void proc_limits(struct text *t, int tid, int number)
{
	static const struct {
		const char *name;
		int resource;
		const char *unit;
	} limits[] = {
		{ "Max cpu time", RLIMIT_CPU, "seconds" },
		{ "Max file size", RLIMIT_FSIZE, "bytes" },
		{ "Max data size", RLIMIT_DATA, "bytes" },
		{ "Max stack size", RLIMIT_STACK, "bytes" },
		{ "Max core file size", RLIMIT_CORE, "bytes" },
		{ "Max resident set", RLIMIT_RSS, "bytes" },
		{ "Max processes", RLIMIT_NPROC, "processes" },
		{ "Max open files", RLIMIT_NOFILE, "files" },
		{ "Max locked memory", RLIMIT_MEMLOCK, "bytes" },
		{ "Max address space", RLIMIT_AS, "bytes" },
		{ "Max file locks", RLIMIT_LOCKS, "locks" },
		{ "Max pending signals", RLIMIT_SIGPENDING, "signals" },
		{ "Max msgqueue size", RLIMIT_MSGQUEUE, "bytes" },
		{ "Max nice priority", RLIMIT_NICE, "" },
		{ "Max realtime priority", RLIMIT_RTPRIO, "" },
		{ "Max realtime timeout", RLIMIT_RTTIME, "us" },
	};

	(void)tid, (void)number;
	text_put(t, "%-26s%-21s%-21s%-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (unsigned i = 0; i < ARRAY_SIZE(limits); i++)
		put_limit(t, limits[i].name, limits[i].resource, limits[i].unit);
}

void proc_fdinfo(struct text *t, int tid, int number)
{
	struct file *f = fd_get(number);
	struct statx st;

	(void)tid;
	if (!f)
		return;
	if (file_stat(f, &st))
		st.stx_ino = 0;
	text_put(t, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%u\nino:\t%llu\n", (long long)file_position(f),
		 f->flags | (fd_get_cloexec(number) == 1 ? O_CLOEXEC : 0), f->dentry ? f->dentry->mount->id : 15,
		 (unsigned long long)st.stx_ino);
	file_put(f);
}

void proc_io(struct text *t, int tid, int number)
{
	(void)tid, (void)number;
	text_put(t, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
}
