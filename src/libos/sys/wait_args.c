/* Times and masks of system calls that wait: see sys/wait_args.h. */
#include "sys/wait_args.h"
#include "core/uaccess.h"
#include "process/turn.h"
#include "signal/signal.h"
#include "thread/clock.h"
#include "thread/thread.h"

static int timespec_from_user(const struct timespec *user, struct timespec *ts)
{
	if (copy_from_user(ts, user, sizeof(*ts)))
		return -EFAULT;
	return timespec_valid(ts) ? 0 : -EINVAL;
}

int wait_timeout(const struct timespec *user, int64_t *ns)
{
	struct timespec ts;
	int err;

	*ns = -1;
	if (!user)
		return 0;
	err = timespec_from_user(user, &ts);
	if (!err)
		*ns = MIN(timespec_to_ns(&ts), INT64_MAX / 2); /* so that the clock can be added */
	return err;
}

int wait_deadline(const struct timespec *user, int clock, bool absolute, int64_t *deadline)
{
	struct thread *t = current();
	struct timespec ts;
	int err = timespec_from_user(user, &ts);

	if (err)
		return err;
	*deadline = timespec_to_ns(&ts);
	if (t->restarting)
		*deadline = t->restart_deadline;
	else if (!absolute && __builtin_add_overflow(*deadline, clock_now(clock), deadline))
		*deadline = INT64_MAX;
	return 0;
}

int wait_mask(const void *user, size_t size)
{
	sigmask_t mask;

	if (!user)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (copy_from_user(&mask, user, sizeof(mask)))
		return -EFAULT;
	signal_set_temporary_mask(mask);
	return 0;
}

long poll_mask_end(long ret)
{
	return wait_mask_end(!ret && work_pending() && !turn_interrupted() ? -ERESTARTNOHAND : ret);
}

long wait_mask_end(long ret)
{
	if (ret != -EINTR && !(ret <= -ERESTART_FIRST && ret >= -ERESTART_LAST))
		signal_restore_mask();
	return ret;
}
