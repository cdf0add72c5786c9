/*
 * System calls of System V IPC: arguments only; ipc/sysv.h does the work.
 */
#include "core/uaccess.h"
#include "ipc/sysv.h"
#include "sys/syscalls.h"
#include "thread/clock.h"

long sys_shmget(struct regs *r)
{
	return shm_get((int32_t)arg(r, 0), (uint64_t)arg(r, 1), (int)arg(r, 2));
}

long sys_shmat(struct regs *r)
{
	return shm_attach((int)arg(r, 0), (uint64_t)arg(r, 1), (int)arg(r, 2));
}

long sys_shmdt(struct regs *r)
{
	return shm_detach((uint64_t)arg(r, 0));
}

long sys_shmctl(struct regs *r)
{
	return shm_control((int)arg(r, 0), (int)arg(r, 1), (void *)arg(r, 2));
}

long sys_semget(struct regs *r)
{
	return sem_get((int32_t)arg(r, 0), (int)arg(r, 1), (int)arg(r, 2));
}

long sys_semop(struct regs *r)
{
	return sem_operate((int)arg(r, 0), (const void *)arg(r, 1), (unsigned)arg(r, 2), SEM_FOREVER);
}

long sys_semtimedop(struct regs *r)
{
	struct timespec timeout;

	if (!arg(r, 3))
		return sys_semop(r);
	if (copy_from_user(&timeout, (const void *)arg(r, 3), sizeof(timeout)))
		return -EFAULT;
	return sem_operate((int)arg(r, 0), (const void *)arg(r, 1), (unsigned)arg(r, 2),
			   timespec_valid(&timeout) ? timespec_to_ns(&timeout) : SEM_BAD_TIME);
}

long sys_semctl(struct regs *r)
{
	return sem_control((int)arg(r, 0), (int)arg(r, 1), (int)arg(r, 2), (unsigned long)arg(r, 3));
}

long sys_msgget(struct regs *r)
{
	return msg_get((int32_t)arg(r, 0), (int)arg(r, 1));
}

long sys_msgsnd(struct regs *r)
{
	return msg_send((int)arg(r, 0), (const void *)arg(r, 1), (uint64_t)arg(r, 2), (int)arg(r, 3));
}

long sys_msgrcv(struct regs *r)
{
	return msg_receive((int)arg(r, 0), (void *)arg(r, 1), (uint64_t)arg(r, 2), arg(r, 3), (int)arg(r, 4));
}

long sys_msgctl(struct regs *r)
{
	return msg_control((int)arg(r, 0), (int)arg(r, 1), (void *)arg(r, 2));
}
