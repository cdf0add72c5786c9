/*
 * What the machine is: names, memory, random bytes. Entry points of the system call table. uname says Linux with the
 * release of the oldest host kernel that the Intravisor runs on: programs switch features on by it, and what is missing
 * here answers ENOSYS as on an older kernel; "-cvm" tells whoever looks.
 */
#include "core/boot.h"
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "process/report.h"
#include "sys/syscalls.h"

#include <linux/random.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#define RELEASE "6.12.0-cvm"
#define VERSION "#1 SMP Intravisor"

static struct mutex g_names_lock;
static char g_domain[NAME_ROOM] = "(none)";
static char g_host[NAME_ROOM]; /* empty: as the command said */

void names_now(char host[NAME_ROOM], char domain[NAME_ROOM])
{
	mutex_lock(&g_names_lock);
	format(host, NAME_ROOM, "%s", g_host[0] ? g_host : boot_string(boot_info()->hostname));
	format(domain, NAME_ROOM, "%s", g_domain);
	mutex_unlock(&g_names_lock);
}

long sys_uname(struct regs *r)
{
	struct new_utsname u;

	memset(&u, 0, sizeof(u));
	format(u.sysname, sizeof(u.sysname), "Linux");
	names_now(u.nodename, u.domainname);
	format(u.release, sizeof(u.release), RELEASE);
	format(u.version, sizeof(u.version), VERSION);
	format(u.machine, sizeof(u.machine), "x86_64");
	return put_user(u, (struct new_utsname *)r->rdi);
}

static long set_name(struct regs *r, char *name)
{
	char copy[NAME_ROOM] = { 0 };

	if (current()->process->euid)
		return -EPERM;
	if (r->rsi >= NAME_ROOM)
		return -EINVAL;
	if (copy_from_user(copy, (void *)r->rdi, r->rsi))
		return -EFAULT;
	mutex_lock(&g_names_lock);
	memcpy(name, copy, sizeof(copy));
	mutex_unlock(&g_names_lock);
	return 0;
}

long sys_sethostname(struct regs *r)
{
	return set_name(r, g_host);
}

long sys_setdomainname(struct regs *r)
{
	return set_name(r, g_domain);
}

/* Memory is the cVM's limit and use, not the host's. */
long sys_sysinfo(struct regs *r)
{
	struct sysinfo s;
	uint32_t threads, running;
	struct hc_info info;

	if (hostcall(HC_cvm_info, &info))
		return -EFAULT;
	memset(&s, 0, sizeof(s));
	s.uptime = (long)(info.boottime_ns / NSEC_PER_SEC);
	s.totalram = MIN(info.memory_max, info.host_memory);
	s.freeram = s.totalram > info.memory_now ? s.totalram - info.memory_now : 0;
	process_census(&threads, &running);
	s.procs = (uint16_t)MIN(threads, (uint32_t)UINT16_MAX);
	s.mem_unit = 1;
	return put_user(s, (struct sysinfo *)r->rdi);
}

long sys_getrandom(struct regs *r)
{
	uint64_t size = MIN(r->rsi, (uint64_t)INT32_MAX), done = 0;

	if (r->rdx & ~(uint64_t)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if ((r->rdx & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	while (done < size) {
		long n = hostcall(HC_random, r->rdi + done, size - done);

		if (n == -EINTR && !work_pending())
			continue;
		if (n <= 0)
			return done ? (long)done : n == -EINTR ? -ERESTARTSYS : n;
		done += (uint64_t)n;
	}
	return (long)done;
}

/* The kernel's log: empty, and nobody else's. */
long sys_syslog(struct regs *r)
{
	switch ((int)r->rdi) {
	case 3:	 /* SYSLOG_ACTION_READ_ALL */
	case 9:	 /* SIZE_UNREAD */
	case 10: /* SIZE_BUFFER */
		return 0;
	default:
		return -EPERM;
	}
}
