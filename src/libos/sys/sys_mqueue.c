/*
 * System calls of POSIX message queues: arguments only; ipc/mqueue.h does the work.
 */
#include "core/uaccess.h"
#include "ipc/mqueue.h"
#include "sys/syscalls.h"
#include "sys/wait_args.h"

#include <linux/mqueue.h>
#include <linux/time.h>

long sys_mq_open(struct regs *r)
{
	struct mq_attr attr;

	if (arg(r, 3) && copy_from_user(&attr, (const void *)arg(r, 3), sizeof(attr)))
		return -EFAULT;
	return mqueue_open((const char *)arg(r, 0), (uint32_t)arg(r, 1), (uint32_t)arg(r, 2), arg(r, 3) ? &attr : NULL);
}

long sys_mq_unlink(struct regs *r)
{
	return mqueue_unlink((const char *)arg(r, 0));
}

static int deadline_of(const struct regs *r, int64_t *deadline)
{
	*deadline = -1;
	return arg(r, 4) ? wait_deadline((const struct timespec *)arg(r, 4), CLOCK_REALTIME, true, deadline) : 0;
}

long sys_mq_timedsend(struct regs *r)
{
	int64_t deadline;
	int err = deadline_of(r, &deadline);

	return err ? err : mqueue_send((int)arg(r, 0), (const void *)arg(r, 1), (uint64_t)arg(r, 2), (uint32_t)arg(r, 3), deadline);
}

long sys_mq_timedreceive(struct regs *r)
{
	int64_t deadline;
	int err = deadline_of(r, &deadline);

	return err ? err : mqueue_receive((int)arg(r, 0), (void *)arg(r, 1), (uint64_t)arg(r, 2), (uint32_t *)arg(r, 3), deadline);
}

long sys_mq_notify(struct regs *r)
{
	return mqueue_notify((int)arg(r, 0), (const void *)arg(r, 1));
}

long sys_mq_getsetattr(struct regs *r)
{
	struct mq_attr set, old;
	long ret;

	if (arg(r, 1) && copy_from_user(&set, (const void *)arg(r, 1), sizeof(set)))
		return -EFAULT;
	ret = mqueue_attributes((int)arg(r, 0), arg(r, 1) ? &set : NULL, &old);
	return ret || !arg(r, 2) ? ret : copy_to_user((void *)arg(r, 2), &old, sizeof(old));
}
