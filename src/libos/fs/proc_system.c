/*
 * Contents of /proc outside of processes: the cVM as a small machine. Memory is the cVM's limit, the processor's name
 * and features are what CPUID tells any program anyway. Called by proc_file.c at open and read.
 */
#include "core/hostcall.h"
#include "fs/proc_file.h"
#include "process/report.h"
#include <cpuid.h>
#include <linux/time.h>

#define RELEASE "6.12.0-cvm" /* as uname(2) says: sys/sys_info.c */

void proc_meminfo(struct text *t, const struct subject *s)
{
	struct hc_info info = { 0 };
	unsigned long total, free;

	(void)s;
	hostcall(HC_cvm_info, &info);
	total = info.memory_max / 1024;
	free = (info.memory_max - MIN(info.memory_now, info.memory_max)) / 1024;
	text_put(t, "MemTotal:       %8lu kB\nMemFree:        %8lu kB\nMemAvailable:   %8lu kB\nBuffers:               0 kB\n"
		    "Cached:                0 kB\nSwapCached:            0 kB\nActive:         %8lu kB\nInactive:              0 kB\n",
		 total, free, free, total - free);
	text_put(t, "SwapTotal:             0 kB\nSwapFree:              0 kB\nDirty:                 0 kB\n"
		    "AnonPages:      %8lu kB\nMapped:                0 kB\nShmem:                 0 kB\n"
		    "CommitLimit:    %8lu kB\nCommitted_AS:   %8lu kB\nHugePages_Total:       0\n"
		    "HugePages_Free:        0\nHugepagesize:       2048 kB\n",
		 total - free, total, total - free);
}

struct flag {
	uint32_t leaf, reg, bit; /* reg: 0 eax, 1 ebx, 2 ecx, 3 edx; leaf 7 has subleaf 0 */
	const char *name;
};

static const struct flag g_flags[] = {
	{ 1, 3, 0, "fpu" }, { 1, 3, 3, "pse" }, { 1, 3, 4, "tsc" }, { 1, 3, 5, "msr" }, { 1, 3, 6, "pae" },
	{ 1, 3, 8, "cx8" }, { 1, 3, 15, "cmov" }, { 1, 3, 19, "clflush" }, { 1, 3, 23, "mmx" }, { 1, 3, 24, "fxsr" },
	{ 1, 3, 25, "sse" }, { 1, 3, 26, "sse2" }, { 1, 3, 28, "ht" }, { 0x80000001, 3, 11, "syscall" },
	{ 0x80000001, 3, 20, "nx" }, { 0x80000001, 3, 27, "rdtscp" }, { 0x80000001, 3, 29, "lm" },
	{ 0x80000007, 3, 8, "constant_tsc" }, { 1, 2, 0, "pni" }, { 1, 2, 1, "pclmulqdq" }, { 1, 2, 9, "ssse3" },
	{ 1, 2, 12, "fma" }, { 1, 2, 13, "cx16" }, { 1, 2, 19, "sse4_1" }, { 1, 2, 20, "sse4_2" },
	{ 1, 2, 22, "movbe" }, { 1, 2, 23, "popcnt" }, { 1, 2, 25, "aes" }, { 1, 2, 26, "xsave" }, { 1, 2, 28, "avx" },
	{ 1, 2, 29, "f16c" }, { 1, 2, 30, "rdrand" }, { 1, 2, 31, "hypervisor" }, { 0x80000001, 2, 0, "lahf_lm" },
	{ 0x80000001, 2, 5, "abm" }, { 7, 1, 3, "bmi1" }, { 7, 1, 5, "avx2" }, { 7, 1, 8, "bmi2" },
	{ 7, 1, 9, "erms" }, { 7, 1, 16, "avx512f" }, { 7, 1, 17, "avx512dq" }, { 7, 1, 18, "rdseed" },
	{ 7, 1, 19, "adx" }, { 7, 1, 29, "sha_ni" }, { 7, 1, 30, "avx512bw" }, { 7, 1, 31, "avx512vl" },
};

static void put_flags(struct text *t)
{
	text_put(t, "flags\t\t:");
	for (unsigned i = 0; i < ARRAY_SIZE(g_flags); i++) {
		unsigned r[4] = { 0 };

		if (__get_cpuid_count(g_flags[i].leaf, 0, &r[0], &r[1], &r[2], &r[3]) &&
		    (r[g_flags[i].reg] >> g_flags[i].bit & 1))
			text_put(t, " %s", g_flags[i].name);
	}
	text_put(t, "\n");
}

static void cpu_names(char vendor[13], char model[49])
{
	unsigned r[12] = { 0 }, max;

	__cpuid(0, max, r[0], r[2], r[1]); /* ebx, edx, ecx spell the vendor */
	memcpy(vendor, r, 12);
	vendor[12] = 0;
	memset(r, 0, sizeof r);
	for (unsigned i = 0; i < 3; i++)
		__get_cpuid(0x80000002u + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]);
	memcpy(model, r, 48);
	model[48] = 0;
}

void proc_cpuinfo(struct text *t, const struct subject *s)
{
	unsigned a = 0, b, c, d, family, cpus = MAX(g_start->host_cpus, 1u);
	char vendor[13], model[49];

	(void)s;
	cpu_names(vendor, model);
	__get_cpuid(1, &a, &b, &c, &d);
	family = (a >> 8 & 15) + ((a >> 8 & 15) == 15 ? a >> 20 & 255 : 0);
	for (unsigned i = 0; i < cpus; i++) {
		text_put(t, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n", i,
			 vendor, family, (a >> 4 & 15) | (a >> 12 & 0xf0), model, a & 15);
		text_put(t, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\nfpu\t\t: yes\n"
			    "fpu_exception\t: yes\ncpuid level\t: 13\nwp\t\t: yes\n",
			 cpus, i, cpus, i);
		put_flags(t);
		text_put(t, "clflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: 46 bits physical, 48 bits virtual\n\n");
	}
}

static int64_t uptime_ns(void)
{
	return clock_now(CLOCK_MONOTONIC) - (int64_t)g_process->start_ns;
}

void proc_stat(struct text *t, const struct subject *s)
{
	unsigned cpus = MAX(g_start->host_cpus, 1u);
	int64_t up = uptime_ns() / 10000000;
	uint32_t threads, running, taken;
	uint64_t ns = 0;
	int32_t last;
	long busy, idle;

	(void)s;
	hostcall(HC_thread_cputime, 1, &ns);
	busy = (long)(ns / 10000000);
	idle = MAX((long)up * (long)cpus - busy, 0l);
	text_put(t, "cpu  %ld 0 0 %ld 0 0 0 0 0 0\n", busy, idle);
	for (unsigned i = 0; i < cpus; i++)
		text_put(t, "cpu%u %ld 0 0 %ld 0 0 0 0 0 0\n", i, busy / cpus, idle / cpus);
	process_census(&threads, &running);
	number_counts(&taken, &last);
	text_put(t, "intr 0\nctxt 0\nbtime %lld\nprocesses %u\nprocs_running %u\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		 (long long)((clock_now(CLOCK_REALTIME) - uptime_ns()) / NSEC_PER_SEC), taken, running);
}

void proc_uptime(struct text *t, const struct subject *s)
{
	int64_t up = uptime_ns() / 10000000;

	(void)s;
	text_put(t, "%lld.%02lld %lld.%02lld\n", (long long)(up / 100), (long long)(up % 100), (long long)(up / 100),
		 (long long)(up % 100));
}

void proc_loadavg(struct text *t, const struct subject *s)
{
	uint32_t threads, running, taken;
	int32_t last;

	(void)s;
	process_census(&threads, &running);
	number_counts(&taken, &last);
	text_put(t, "0.00 0.00 0.00 %u/%u %d\n", running, threads, last);
}

void proc_version(struct text *t, const struct subject *s)
{
	(void)s;
	text_put(t, "Linux version " RELEASE " #1 SMP Intravisor\n");
}

void proc_filesystems(struct text *t, const struct subject *s)
{
	(void)s;
	text_put(t, "nodev\tproc\nnodev\ttmpfs\nnodev\tdevtmpfs\nnodev\tdevpts\nnodev\toverlay\nnodev\thostfs\n");
}

void proc_vmstat(struct text *t, const struct subject *s)
{
	struct hc_info info = { 0 };

	(void)s;
	hostcall(HC_cvm_info, &info);
	text_put(t, "nr_free_pages %lu\npgfault 0\npgmajfault 0\npswpin 0\npswpout 0\n",
		 (unsigned long)((info.memory_max - MIN(info.memory_now, info.memory_max)) / PAGE_SIZE));
}

static const char *type_name(const struct mount *m)
{
	switch (m->type) {
	case BOOT_MOUNT_OVERLAY:
		return "overlay";
	case BOOT_MOUNT_TMPFS:
		return "tmpfs";
	case BOOT_MOUNT_PROC:
		return "proc";
	case BOOT_MOUNT_DEV:
		return "devtmpfs";
	case BOOT_MOUNT_PTS:
		return "devpts";
	case BOOT_MOUNT_CAP:
		return "cap";
	default:
		return "hostfs";
	}
}

void proc_mounts(struct text *t, const struct subject *s)
{
	if (process_is_zombie(s->process))
		t->error = -EINVAL;
	for (unsigned i = 0; i < g_mount_count; i++)
		text_put(t, "%s %s %s %s,relatime 0 0\n", type_name(g_mounts[i]), g_mounts[i]->path, type_name(g_mounts[i]),
			 g_mounts[i]->read_only ? "ro" : "rw");
}

void proc_mountinfo(struct text *t, const struct subject *s)
{
	if (process_is_zombie(s->process))
		t->error = -EINVAL;
	for (unsigned i = 0; i < g_mount_count; i++) {
		const struct mount *m = g_mounts[i];
		unsigned parent = m->point ? m->point->mount->id + 1 : 0;

		text_put(t, "%u %u 0:%u / %s %s,relatime - %s %s %s\n", m->id + 1, parent, 32 + m->id, m->path,
			 m->read_only ? "ro" : "rw", type_name(m), type_name(m), m->read_only ? "ro" : "rw");
	}
}

/* ---- /proc/sys and /proc/PID/net ---- */

#define CONSTANT(function, string)                                           \
	static void function(struct text *t, const struct subject *s)            \
	{                                                                    \
		(void)s;                                     \
		text_put(t, string);                                         \
	}

CONSTANT(sys_osrelease, RELEASE "\n")
CONSTANT(sys_ostype, "Linux\n")
CONSTANT(sys_version, "#1 SMP Intravisor\n")
CONSTANT(sys_pid_max, "32768\n")
CONSTANT(sys_threads_max, "4096\n")
CONSTANT(sys_cap_last_cap, "40\n")
CONSTANT(sys_overcommit, "0\n")
CONSTANT(sys_max_map_count, "65530\n")
CONSTANT(sys_mmap_min_addr, "65536\n")
CONSTANT(sys_somaxconn, "4096\n")
CONSTANT(sys_port_range, "32768\t60999\n")
CONSTANT(sys_file_max, "65536\n")
CONSTANT(sys_pipe_max, "1048576\n")
CONSTANT(sys_zero, "0\n")
CONSTANT(sys_shm_max, "18446744073692774399\n") /* as ipc/ has them */
CONSTANT(sys_shmmni, "4096\n")
CONSTANT(sys_sem, "32000\t1024000000\t500\t32000\n")
CONSTANT(sys_msgmax, "8192\n")
CONSTANT(sys_msgmnb, "16384\n")
CONSTANT(sys_msgmni, "32000\n")
CONSTANT(sys_mq_queues, "256\n")
CONSTANT(sys_mq_messages, "10\n")
CONSTANT(sys_mq_size, "8192\n")

static void sys_hostname(struct text *t, const struct subject *s)
{
	char host[NAME_ROOM], domain[NAME_ROOM];

	(void)s;
	names_now(host, domain);
	text_put(t, "%s\n", host);
}

static void sys_domainname(struct text *t, const struct subject *s)
{
	char host[NAME_ROOM], domain[NAME_ROOM];

	(void)s;
	names_now(host, domain);
	text_put(t, "%s\n", domain);
}

static void put_uuid(struct text *t, uint8_t b[16])
{
	b[6] = (uint8_t)((b[6] & 15) | 0x40);
	b[8] = (uint8_t)((b[8] & 63) | 0x80);
	for (int i = 0; i < 16; i++)
		text_put(t, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
	text_put(t, "\n");
}

static void sys_uuid(struct text *t, const struct subject *s)
{
	uint8_t b[16] = { 0 };

	(void)s;
	hostcall(HC_random, b, sizeof b);
	put_uuid(t, b);
}

/* The cVM boots once: one random number for its life. */
static void sys_boot_id(struct text *t, const struct subject *s)
{
	static uint8_t id[16];
	static struct mutex lock;
	uint8_t b[16];

	(void)s;
	mutex_lock(&lock);
	if (!id[0] && !id[1] && !id[2])
		hostcall(HC_random, id, sizeof id);
	memcpy(b, id, sizeof b);
	mutex_unlock(&lock);
	put_uuid(t, b);
}

#define FILE_NODE(n, f) { .name = n, .mode = S_IFREG | 0444, .fill = f }
#define DIR_NODE(n, c) { .name = n, .mode = S_IFDIR | 0555, .children = c }

static const struct proc_node random_nodes[] = { FILE_NODE("uuid", sys_uuid), FILE_NODE("boot_id", sys_boot_id), { 0 } };
static const struct proc_node kernel_nodes[] = {
	FILE_NODE("osrelease", sys_osrelease), FILE_NODE("ostype", sys_ostype), FILE_NODE("hostname", sys_hostname),
	FILE_NODE("domainname", sys_domainname),
	FILE_NODE("version", sys_version), FILE_NODE("pid_max", sys_pid_max),
	FILE_NODE("threads-max", sys_threads_max), FILE_NODE("cap_last_cap", sys_cap_last_cap),
	FILE_NODE("randomize_va_space", sys_zero), DIR_NODE("random", random_nodes),
	FILE_NODE("shmmax", sys_shm_max), FILE_NODE("shmall", sys_shm_max), FILE_NODE("shmmni", sys_shmmni),
	FILE_NODE("shm_rmid_forced", sys_zero), FILE_NODE("sem", sys_sem), FILE_NODE("msgmax", sys_msgmax),
	FILE_NODE("msgmnb", sys_msgmnb), FILE_NODE("msgmni", sys_msgmni),
	{ 0 },
};
static const struct proc_node vm_nodes[] = {
	FILE_NODE("overcommit_memory", sys_overcommit), FILE_NODE("max_map_count", sys_max_map_count),
	FILE_NODE("mmap_min_addr", sys_mmap_min_addr), FILE_NODE("swappiness", sys_zero), { 0 },
};
static const struct proc_node core_nodes[] = { FILE_NODE("somaxconn", sys_somaxconn), { 0 } };
static const struct proc_node ipv4_nodes[] = { FILE_NODE("ip_local_port_range", sys_port_range), { 0 } };
static const struct proc_node sys_net_nodes[] = { DIR_NODE("core", core_nodes), DIR_NODE("ipv4", ipv4_nodes), { 0 } };
static const struct proc_node mqueue_nodes[] = {
	FILE_NODE("queues_max", sys_mq_queues), FILE_NODE("msg_max", sys_mq_messages), FILE_NODE("msg_default", sys_mq_messages),
	FILE_NODE("msgsize_max", sys_mq_size), FILE_NODE("msgsize_default", sys_mq_size), { 0 },
};
static const struct proc_node sys_fs_nodes[] = {
	FILE_NODE("file-max", sys_file_max), FILE_NODE("nr_open", sys_file_max), FILE_NODE("pipe-max-size", sys_pipe_max),
	DIR_NODE("mqueue", mqueue_nodes), { 0 },
};
const struct proc_node proc_sys_nodes[] = {
	DIR_NODE("kernel", kernel_nodes), DIR_NODE("vm", vm_nodes), DIR_NODE("net", sys_net_nodes),
	DIR_NODE("fs", sys_fs_nodes), { 0 },
};
