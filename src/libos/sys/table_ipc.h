/* System calls of the ipc family; see sys/syscalls.h for the format. */
#ifndef LIBOS_TABLE_IPC_H
#define LIBOS_TABLE_IPC_H

#define SYSCALLS_IPC(SYS)          \
	/* sys_sysv.c */           \
	SYS(shmget, "xux")         \
	SYS(shmat, "dpx")          \
	SYS(shmdt, "p")            \
	SYS(shmctl, "ddp")         \
	SYS(semget, "xdx")         \
	SYS(semop, "dpu")          \
	SYS(semtimedop, "dput")    \
	SYS(semctl, "dddP")        \
	SYS(msgget, "xx")          \
	SYS(msgsnd, "dpux")        \
	SYS(msgrcv, "dpudx")       \
	SYS(msgctl, "ddp")         \
	/* sys_mqueue.c */         \
	SYS(mq_open, "soxp")       \
	SYS(mq_unlink, "s")        \
	SYS(mq_timedsend, "fbuut") \
	SYS(mq_timedreceive, "frupt") \
	SYS(mq_notify, "fp")       \
	SYS(mq_getsetattr, "fpp")

#endif
