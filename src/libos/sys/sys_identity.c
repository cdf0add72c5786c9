/*
 * User and group numbers, and capabilities: what the program is told, and its moves among its own numbers. The
 * monitor and the host grant nothing for them, the libOS its own objects (System V IPC, message queues); uid 0 here has no capability of
 * Linux, and says so. Entry points of
 * the system call table.
 */
#include "core/uaccess.h"
#include "sys/syscalls.h"

#include <linux/capability.h>

#define KEEP ((uint32_t)-1)

long sys_getuid(struct regs *r)
{
	(void)r;
	return current()->process->uid;
}

long sys_geteuid(struct regs *r)
{
	(void)r;
	return current()->process->euid;
}

long sys_getgid(struct regs *r)
{
	(void)r;
	return current()->process->gid;
}

long sys_getegid(struct regs *r)
{
	(void)r;
	return current()->process->egid;
}

static long put_three(struct regs *r, uint32_t a, uint32_t b, uint32_t c)
{
	if (put_user(a, (uint32_t *)r->rdi) || put_user(b, (uint32_t *)r->rsi))
		return -EFAULT;
	return put_user(c, (uint32_t *)r->rdx);
}

long sys_getresuid(struct regs *r)
{
	struct process *p = current()->process;

	return put_three(r, p->uid, p->euid, p->suid);
}

long sys_getresgid(struct regs *r)
{
	struct process *p = current()->process;

	return put_three(r, p->gid, p->egid, p->sgid);
}

/* Real, effective, saved and file system id; effective user 0 may take any (as with CAP_SETUID: programs that drop privileges). */
struct ids {
	uint32_t *real, *effective, *saved, *fs;
};

static struct ids user_ids(struct process *p)
{
	return (struct ids){ &p->uid, &p->euid, &p->suid, &p->fsuid };
}

static struct ids group_ids(struct process *p)
{
	return (struct ids){ &p->gid, &p->egid, &p->sgid, &p->fsgid };
}

static bool may_take(const struct process *p, const struct ids *i, uint32_t id)
{
	return id == KEEP || p->euid == 0 || id == *i->real || id == *i->effective || id == *i->saved;
}

static long set_three(struct process *p, struct ids i, uint32_t real, uint32_t effective, uint32_t saved)
{
	long err = 0;

	mutex_lock(&p->lock);
	if (!may_take(p, &i, real) || !may_take(p, &i, effective) || !may_take(p, &i, saved)) {
		err = -EPERM;
	} else {
		*i.real = real == KEEP ? *i.real : real;
		*i.saved = saved == KEEP ? *i.saved : saved;
		*i.effective = *i.fs = effective == KEEP ? *i.effective : effective;
	}
	mutex_unlock(&p->lock);
	return err;
}

static bool is_set(uint32_t id, uint32_t now)
{
	return id == KEEP || id == now;
}

/* setresuid(2): what changes nothing leaves the file system id alone, too. */
static long set_each(struct process *p, struct ids i, uint32_t real, uint32_t effective, uint32_t saved)
{
	if (is_set(real, *i.real) && is_set(saved, *i.saved) && is_set(effective, *i.effective) &&
	    is_set(effective, *i.fs))
		return 0;
	return set_three(p, i, real, effective, saved);
}

static long set_one(struct process *p, struct ids i, uint32_t id)
{
	if (id == KEEP)
		return -EINVAL;
	if (p->euid == 0)
		return set_three(p, i, id, id, id);
	return id == *i.real || id == *i.saved ? set_three(p, i, KEEP, id, KEEP) : -EPERM;
}

/* setreuid(2): the saved id follows when the real one is set, or the effective one to something new. It may not become the real one. */
static long set_two(struct process *p, struct ids i, uint32_t real, uint32_t effective)
{
	if (p->euid != 0 && real != KEEP && real != *i.real && real != *i.effective)
		return -EPERM;
	bool follow = real != KEEP || (effective != KEEP && effective != *i.real);
	uint32_t saved = effective == KEEP ? *i.effective : effective;

	return set_three(p, i, real, effective, follow ? saved : KEEP);
}

long sys_setuid(struct regs *r)
{
	return set_one(current()->process, user_ids(current()->process), (uint32_t)r->rdi);
}

long sys_setgid(struct regs *r)
{
	return set_one(current()->process, group_ids(current()->process), (uint32_t)r->rdi);
}

long sys_setreuid(struct regs *r)
{
	return set_two(current()->process, user_ids(current()->process), (uint32_t)r->rdi, (uint32_t)r->rsi);
}

long sys_setregid(struct regs *r)
{
	return set_two(current()->process, group_ids(current()->process), (uint32_t)r->rdi, (uint32_t)r->rsi);
}

long sys_setresuid(struct regs *r)
{
	return set_each(current()->process, user_ids(current()->process), (uint32_t)r->rdi, (uint32_t)r->rsi, (uint32_t)r->rdx);
}

long sys_setresgid(struct regs *r)
{
	return set_each(current()->process, group_ids(current()->process), (uint32_t)r->rdi, (uint32_t)r->rsi, (uint32_t)r->rdx);
}

/* Whose the files are that it makes. What it was, whether it may be changed or not. */
static long set_fs(struct process *p, struct ids i, uint32_t id)
{
	uint32_t was;

	mutex_lock(&p->lock);
	was = *i.fs;
	if (id != KEEP && may_take(p, &i, id))
		*i.fs = id;
	mutex_unlock(&p->lock);
	return was;
}

long sys_setfsuid(struct regs *r)
{
	return set_fs(current()->process, user_ids(current()->process), (uint32_t)r->rdi);
}

long sys_setfsgid(struct regs *r)
{
	return set_fs(current()->process, group_ids(current()->process), (uint32_t)r->rdi);
}

long sys_getgroups(struct regs *r)
{
	struct process *p = current()->process;
	struct process_groups groups;
	int room = (int)r->rdi;

	mutex_lock(&p->lock);
	groups = p->groups;
	mutex_unlock(&p->lock);
	if (room < 0 || (room && (uint32_t)room < groups.count))
		return -EINVAL;
	if (room && copy_to_user((void *)r->rsi, groups.group, groups.count * sizeof(uint32_t)))
		return -EFAULT;
	return groups.count;
}

static void by_number(uint32_t *group, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++)
		for (uint32_t j = i; j && group[j - 1] > group[j]; j--) {
			uint32_t swap = group[j];

			group[j] = group[j - 1];
			group[j - 1] = swap;
		}
}

long sys_setgroups(struct regs *r)
{
	struct process *p = current()->process;
	struct process_groups groups = { .count = (uint32_t)r->rdi };

	if (p->euid != 0)
		return -EPERM;
	if (groups.count > GROUPS_MAX)
		return groups.count > 65536 ? -EINVAL : -ENOMEM;
	if (copy_from_user(groups.group, (void *)r->rsi, groups.count * sizeof(uint32_t)))
		return -EFAULT;
	by_number(groups.group, groups.count); /* as Linux hands them out again */
	mutex_lock(&p->lock);
	p->groups = groups;
	mutex_unlock(&p->lock);
	return 0;
}

/* 0 in *pid is the calling thread or process. */
static long cap_header(struct regs *r, int *words, int *pid)
{
	struct __user_cap_header_struct h;

	if (get_user(h, (void *)r->rdi))
		return -EFAULT;
	switch (h.version) {
	case _LINUX_CAPABILITY_VERSION_1: *words = _LINUX_CAPABILITY_U32S_1; break;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3: *words = _LINUX_CAPABILITY_U32S_3; break;
	default:
		h.version = _LINUX_CAPABILITY_VERSION_3;
		return put_user(h, (struct __user_cap_header_struct *)r->rdi) ? -EFAULT : -EINVAL;
	}
	*pid = h.pid == current()->tid || h.pid == current()->process->pid ? 0 : h.pid;
	return h.pid < 0 ? -EINVAL : 0;
}

long sys_capget(struct regs *r)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int words = 0, pid = 0;
	long err = cap_header(r, &words, &pid);

	if (!r->rsi && (words || err == -EINVAL)) /* it asked for the version */
		return 0;
	if (err)
		return err;
	if (pid) {
		struct process *p = process_of_thread(pid);

		if (!p)
			return -ESRCH;
		process_put(p);
	}
	memset(data, 0, sizeof(data));
	return copy_to_user((void *)r->rsi, data, (size_t)words * sizeof(data[0]));
}

/* Only less than nothing can be asked for. */
long sys_capset(struct regs *r)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int words = 0, pid = 0;
	long err = cap_header(r, &words, &pid);

	if (err)
		return err;
	if (pid)
		return -EPERM;
	if (copy_from_user(data, (void *)r->rsi, (size_t)words * sizeof(data[0])))
		return -EFAULT;
	for (int i = 0; i < words; i++)
		if (data[i].effective || data[i].permitted || data[i].inheritable)
			return -EPERM;
	return 0;
}
