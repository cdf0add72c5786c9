/*
 * Contents of /proc/PID and /proc/PID/task/TID: what the libOS knows of its processes. Called by proc_file.c, without locks,
 * with a reference of the process, which may end at any time: process/report.h says what it still has. A zombie has no
 * program, so what is told of one is empty.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/proc_file.h"
#include "mm/mm.h"
#include "process/report.h"
#include "tty/terminal.h"
#include <linux/resource.h>
#include <linux/time.h>

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

static void put_ranges(struct text *t, const struct subject *s, void (*put)(const struct mm_range *r, void *data))
{
	struct program *program = process_program(s->process);

	if (!program)
		return;
	mm_for_each(program, put, t);
	program_unwatch(program);
}

void proc_maps(struct text *t, const struct subject *s)
{
	put_ranges(t, s, put_range);
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

void proc_smaps(struct text *t, const struct subject *s)
{
	put_ranges(t, s, put_range_sizes);
}

void proc_comm(struct text *t, const struct subject *s)
{
	struct process_report r;

	t->error = process_report(s->process, s->tid, &r);
	if (!t->error)
		text_put(t, "%s\n", r.comm);
}

ssize_t proc_comm_write(const char *bytes, size_t size, const struct subject *s)
{
	char comm[16] = { 0 };
	size_t n = 0;

	if (s->process != current()->process)
		return -EINVAL;
	while (n < size && n < sizeof comm - 1 && bytes[n] != '\n')
		n++;
	memcpy(comm, bytes, n);
	process_set_comm(s->process, s->tid, comm);
	return (ssize_t)size;
}

/*
 * What the host shall end first when memory runs out, by oom_score_adj and by oom_adj, its older scale: remembered and inherited,
 * for a cVM is one process of the host's. Nobody has the right to go below 0.
 */
enum { OOM_SCORE_MAX = 1000, OOM_ADJ_MAX = 15, OOM_ADJ_NEVER = -17 };

/* As kstrtoint(3) of the kernel has it, of the first 12 bytes: decimal, octal or hexadecimal, blanks around. */
static bool parse_score(const char *bytes, size_t size, int *score)
{
	const char *p = bytes, *end = bytes + MIN(size, 12u);
	unsigned base = 10;
	bool minus;
	long n = 0;

	while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r')))
		p++;
	while (end > p && (end[-1] == ' ' || (end[-1] >= '\t' && end[-1] <= '\r')))
		end--;
	minus = p < end && *p == '-';
	p += p < end && (*p == '-' || *p == '+');
	if (end - p > 1 && *p == '0') {
		base = end - p > 2 && (p[1] | 0x20) == 'x' ? 16 : 8;
		p += base == 16 ? 2 : 1;
	}
	if (p == end)
		return false;
	for (; p < end; p++) {
		unsigned digit = *p >= '0' && *p <= '9' ? (unsigned)(*p - '0') : ((unsigned)*p | 0x20) - 'a' + 10;

		if (digit >= base)
			return false;
		n = n * base + digit;
	}
	*score = (int)(minus ? -n : n);
	return n <= INT32_MAX;
}

static ssize_t set_score(const struct subject *s, int score, int least, size_t size)
{
	if (score < least)
		return -EACCES;
	__atomic_store_n(&s->process->oom_score_adj, score, __ATOMIC_RELAXED);
	return (ssize_t)size;
}

void proc_oom_score_adj(struct text *t, const struct subject *s)
{
	text_put(t, "%d\n", __atomic_load_n(&s->process->oom_score_adj, __ATOMIC_RELAXED));
}

ssize_t proc_oom_score_adj_write(const char *bytes, size_t size, const struct subject *s)
{
	int score;

	if (!parse_score(bytes, size, &score) || score < -OOM_SCORE_MAX || score > OOM_SCORE_MAX)
		return -EINVAL;
	return set_score(s, score, 0, size);
}

void proc_oom_adj(struct text *t, const struct subject *s)
{
	int score = __atomic_load_n(&s->process->oom_score_adj, __ATOMIC_RELAXED);

	text_put(t, "%d\n", score == OOM_SCORE_MAX ? OOM_ADJ_MAX : MIN(score * -OOM_ADJ_NEVER / OOM_SCORE_MAX, OOM_ADJ_MAX));
}

ssize_t proc_oom_adj_write(const char *bytes, size_t size, const struct subject *s)
{
	int adj, now = __atomic_load_n(&s->process->oom_score_adj, __ATOMIC_RELAXED);

	if (!parse_score(bytes, size, &adj) || adj < OOM_ADJ_NEVER || adj > OOM_ADJ_MAX)
		return -EINVAL;
	/* Here one who may not lower it may not go back, either. */
	return set_score(s, adj == OOM_ADJ_MAX ? OOM_SCORE_MAX : adj * OOM_SCORE_MAX / -OOM_ADJ_NEVER, now, size);
}

/* Only a thread itself can ask for its time. So the first process has all of the cVM's, as its clocks say; another one that
 * of its threads that have ended, and if it is the caller's that of the caller. */
static uint64_t cpu_time(const struct process *p, const struct process_report *r)
{
	bool first = p == g_process;
	uint64_t ns = 0;

	if (first || p == current()->process)
		hostcall(HC_thread_cputime, first, &ns);
	return first ? ns : ns + r->cpu_ns;
}

/* Of the program's memory; 0 in a zombie. */
struct sizes {
	uint64_t total, resident, locked;
	struct mm_args args;
};

/* What is resident is known of the cVM only. */
static struct sizes sizes_of(struct process *p)
{
	struct program *program = process_program(p);
	struct hc_info info = { 0 };
	struct sizes z = { 0 };

	if (!program)
		return z;
	hostcall(HC_cvm_info, &info);
	z.total = mm_total_size(program);
	z.resident = MIN(info.memory_now, z.total);
	z.locked = mm_locked_size(program);
	z.args = *mm_args(program);
	program_unwatch(program);
	return z;
}

void proc_stat_self(struct text *t, const struct subject *s)
{
	const uint64_t tick = NSEC_PER_SEC / TICKS;
	struct sizes z = sizes_of(s->process);
	struct process_report r;
	int32_t foreground;
	uint32_t terminal;

	t->error = process_report(s->process, s->tid, &r);
	if (t->error)
		return;
	terminal_of(s->process, &terminal, &foreground);
	text_put(t, "%d (%s) %c %d %d %d %u %d 4194304 0 0 0 0 %lu 0 %lu 0 %d %d %u 0 %lu %lu %lu 18446744073709551615 ", r.tid, r.comm,
		 r.state, r.ppid, r.pgid, r.sid, terminal, foreground, (unsigned long)(cpu_time(s->process, &r) / tick),
		 (unsigned long)(r.children_cpu_ns / tick), 20 + r.nice, r.nice, r.threads,
		 (unsigned long)((r.start_ns - g_process->start_ns) / tick), (unsigned long)z.total,
		 (unsigned long)(z.resident / PAGE_SIZE));
	text_put(t, "0 0 0 0 0 0 0 0 0 0 0 0 %d 0 0 0 0 0 0 0 0 0 %lu %lu %lu %lu %d\n", r.exit_signal, (unsigned long)z.args.arg_start,
		 (unsigned long)z.args.arg_end, (unsigned long)z.args.env_start, (unsigned long)z.args.env_end, r.exit_status);
}

void proc_statm(struct text *t, const struct subject *s)
{
	struct sizes z = sizes_of(s->process);
	unsigned long total = z.total / PAGE_SIZE;

	text_put(t, "%lu %lu 0 0 0 %lu 0\n", total, (unsigned long)(z.resident / PAGE_SIZE), total);
}

static const char *state_text(char state)
{
	switch (state) {
	case 'R': return "running";
	case 'S': return "sleeping";
	case 'D': return "disk sleep";
	case 'T': return "stopped";
	default: return "zombie";
	}
}

static void put_memory(struct text *t, const struct sizes *z)
{
	unsigned long total = z->total / 1024, rss = z->resident / 1024;

	text_put(t, "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8lu kB\nVmPin:\t       0 kB\nVmHWM:\t%8lu kB\n"
		    "VmRSS:\t%8lu kB\nRssAnon:\t%8lu kB\nRssFile:\t       0 kB\nRssShmem:\t       0 kB\n",
		 total, total, (unsigned long)(z->locked / 1024), rss, rss, rss);
	text_put(t, "VmData:\t%8lu kB\nVmStk:\t    8192 kB\nVmSwap:\t       0 kB\n", total);
}

static void put_signals(struct text *t, const struct process_report *r)
{
	text_put(t, "SigQ:\t%u/%u\nSigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n",
		 r->signals_queued, SIGNAL_QUEUE_MAX, (unsigned long long)r->pending, (unsigned long long)r->shared_pending,
		 (unsigned long long)r->blocked, (unsigned long long)r->ignored, (unsigned long long)r->caught);
}

void proc_status(struct text *t, const struct subject *s)
{
	struct sizes z = sizes_of(s->process);
	struct process_report r;

	t->error = process_report(s->process, s->tid, &r);
	if (t->error)
		return;
	text_put(t, "Name:\t%s\n", r.comm);
	if (r.has_files)
		text_put(t, "Umask:\t%04o\n", r.umask);
	text_put(t, "State:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", r.state, state_text(r.state), r.pid,
		 r.tid, r.ppid);
	text_put(t, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%d\nGroups:\t", r.uid, r.euid, r.suid, r.fsuid, r.gid,
		 r.egid, r.sgid, r.fsgid, (fdtable_end_of(s->process) + 63) / 64 * 64);
	for (uint32_t i = 0; i < r.groups.count; i++)
		text_put(t, "%u ", r.groups.group[i]);
	text_put(t, "\n");
	if (z.total)
		put_memory(t, &z);
	text_put(t, "Threads:\t%u\n", r.threads);
	put_signals(t, &r);
	text_put(t, "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
		    "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
	text_put(t, "Cpus_allowed:\t%llx\nCpus_allowed_list:\t0-%u\nvoluntary_ctxt_switches:\t0\n"
		    "nonvoluntary_ctxt_switches:\t0\n",
		 (1ull << MIN(g_start->host_cpus, 63u)) - 1, MAX(g_start->host_cpus, 1u) - 1);
}

/* The program may have changed or unmapped its own stack: then what can be read. */
static void add_program_bytes(struct text *t, struct program *program, uint64_t start, uint64_t end)
{
	char part[512];

	while (start < end) {
		size_t n = MIN(sizeof part, end - start);

		if (!mm_read(program, part, start, n))
			break;
		text_add(t, part, n);
		start += n;
	}
}

/* Where the arguments at [start, end) end. Who wrote something longer over them goes on in the environment, which lies behind
 * (setproctitle): to its NUL, but no more than a page. */
static uint64_t end_of_title(struct program *program, uint64_t start, uint64_t end)
{
	char part[64] = { 0 };
	size_t n = 0;

	if (start >= end || !mm_read(program, part, end - 1, 1) || !part[0])
		return end;
	for (end = start; end < start + PAGE_SIZE && mm_read(program, part, end, sizeof part); end += n)
		if ((n = strnlen(part, sizeof part)) < sizeof part)
			return end + n + 1;
	return end;
}

/* The words of mm_args tell a place in the program's memory. */
static void put_program_bytes(struct text *t, const struct subject *s, size_t start_word, size_t end_word, bool end_is_size)
{
	struct program *program = process_program(s->process);
	uint64_t start, end;

	if (!program)
		return;
	start = *(uint64_t *)((char *)mm_args(program) + start_word);
	end = *(uint64_t *)((char *)mm_args(program) + end_word);
	if (end_word == offsetof(struct mm_args, arg_end))
		end = end_of_title(program, start, end);
	add_program_bytes(t, program, start, end_is_size ? start + end : end);
	program_unwatch(program);
}

void proc_cmdline(struct text *t, const struct subject *s)
{
	put_program_bytes(t, s, offsetof(struct mm_args, arg_start), offsetof(struct mm_args, arg_end), false);
}

void proc_environ(struct text *t, const struct subject *s)
{
	put_program_bytes(t, s, offsetof(struct mm_args, env_start), offsetof(struct mm_args, env_end), false);
}

void proc_auxv(struct text *t, const struct subject *s)
{
	put_program_bytes(t, s, offsetof(struct mm_args, auxv), offsetof(struct mm_args, auxv_size), true);
}

static void put_limit(struct text *t, struct process *p, const char *name, int resource, const char *unit)
{
	char soft[24], hard[24];
	struct rlimit64 copy, *l = &copy;

	mutex_lock(&p->lock);
	copy = p->rlimits[resource];
	mutex_unlock(&p->lock);
	format(soft, sizeof soft, l->rlim_cur == ~0ull ? "unlimited" : "%llu", (unsigned long long)l->rlim_cur);
	format(hard, sizeof hard, l->rlim_max == ~0ull ? "unlimited" : "%llu", (unsigned long long)l->rlim_max);
	text_put(t, "%-26s%-21s%-21s%-10s\n", name, soft, hard, unit);
}

void proc_limits(struct text *t, const struct subject *s)
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

	text_put(t, "%-26s%-21s%-21s%-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (unsigned i = 0; i < ARRAY_SIZE(limits); i++)
		put_limit(t, s->process, limits[i].name, limits[i].resource, limits[i].unit);
}

void proc_fdinfo(struct text *t, const struct subject *s)
{
	bool cloexec;
	struct file *f = fdtable_get_of(s->process, s->fd, &cloexec);
	struct statx st;

	if (!f) {
		t->error = -ENOENT;
		return;
	}
	if (file_stat(f, &st))
		st.stx_ino = 0;
	text_put(t, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%u\nino:\t%llu\n", (long long)file_position(f),
		 f->flags | (cloexec ? O_CLOEXEC : 0), f->dentry ? f->dentry->mount->id : 15, (unsigned long long)st.stx_ino);
	file_put(f);
}

void proc_io(struct text *t, const struct subject *s)
{
	(void)s;
	text_put(t, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
}
