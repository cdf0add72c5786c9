/*
 * System V shared memory, semaphores and message queues among the threads of one program.
 * Build: gcc
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#define T(call)                                                                             \
	do {                                                                                \
		errno = 0;                                                                  \
		long ret_ = (long)(call);                                                   \
		printf("%s -> %ld %s\n", #call, ret_, ret_ < 0 ? strerror(errno) : "");     \
	} while (0)
#define OK(call)                                                                            \
	do {                                                                                \
		errno = 0;                                                                  \
		printf("%s -> %s\n", #call, (long)(call) < 0 ? strerror(errno) : "ok");     \
	} while (0)

static key_t g_key;

static void memory(void)
{
	struct shmid_ds ds;
	int id = shmget(g_key, 10000, IPC_CREAT | IPC_EXCL | 0640), other;
	char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, 0), *c = shmat(id, NULL, SHM_RDONLY);

	OK(shmget(g_key, 10000, IPC_CREAT | IPC_EXCL | 0600));
	OK(shmget(g_key, 20000, 0600));
	OK(shmget(g_key + 1, 100, 0600));
	OK(shmget(IPC_PRIVATE, 0, 0600));
	printf("same segment: %d\n", shmget(g_key, 0, 0) == id);
	strcpy(a, "shared");
	printf("seen through the others: %s %s, different places: %d\n", b, c, a != b && b != c);
	T(shmctl(id, IPC_STAT, &ds));
	printf("size %zu attached %lu mode %o mine %d\n", ds.shm_segsz, (unsigned long)ds.shm_nattch, ds.shm_perm.mode & 0777,
	       ds.shm_cpid == getpid() && ds.shm_perm.uid == geteuid());
	ds.shm_perm.mode = 0600;
	T(shmctl(id, IPC_SET, &ds));
	T(shmdt(b));
	T(shmdt(b));
	T(shmctl(id, IPC_RMID, NULL));
	T(shmctl(id, IPC_STAT, &ds));
	printf("attached %lu mode %o, still there: %s\n", (unsigned long)ds.shm_nattch, ds.shm_perm.mode, a);
	OK(shmget(g_key, 0, 0));
	other = shmget(g_key, 4096, IPC_CREAT | 0600);
	printf("a new one: %d\n", other >= 0 && other != id);
	T(shmctl(other, IPC_RMID, NULL));
	T(shmdt(a));
	T(shmdt(c));
	T(shmctl(id, IPC_STAT, &ds));
	OK(shmat(id, NULL, 0));
}

static int g_sem;

static void *adder(void *arg)
{
	struct sembuf take = { 0, -1, SEM_UNDO }, give = { 1, 1, 0 };

	for (int i = 0; i < 500; i++)
		if (semop(g_sem, &take, 1) || semop(g_sem, &give, 1))
			return "failed";
	return arg;
}

static void *sleeper(void *arg)
{
	struct sembuf op = { 3, -1, 0 };

	semop(g_sem, &op, 1);
	return (void *)(intptr_t)errno;
}

static void semaphores(void)
{
	struct sembuf add = { 0, 4, 0 }, many[2] = { { 0, -5, IPC_NOWAIT }, { 1, -1, IPC_NOWAIT } }, zero = { 2, 0, 0 };
	struct timespec soon = { 0, 20000000 };
	unsigned short values[4] = { 9, 8, 7, 6 };
	struct semid_ds ds;
	pthread_t t[4];
	void *result;

	g_sem = semget(g_key, 4, IPC_CREAT | 0600);
	OK(semget(g_key, 5, 0600));
	OK(semget(g_key, 0, IPC_CREAT | IPC_EXCL));
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, adder, NULL);
	for (int i = 0; i < 500; i++)
		if (semop(g_sem, &add, 1))
			perror("semop");
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &result);
		if (result)
			puts(result);
	}
	T(semctl(g_sem, 0, GETVAL));
	T(semctl(g_sem, 1, GETVAL));
	T(semctl(g_sem, 1, GETPID) == getpid());
	T(semop(g_sem, many, 2));
	T(semctl(g_sem, 0, SETVAL, 6));
	T(semctl(g_sem, 1, SETVAL, 0));
	T(semop(g_sem, many, 2));
	T(semctl(g_sem, 0, GETVAL));
	T(semop(g_sem, &zero, 1));
	T(semctl(g_sem, 2, SETVAL, 1));
	T(semtimedop(g_sem, &zero, 1, &soon));
	T(semctl(g_sem, 0, SETVAL, 40000));
	T(semctl(g_sem, 4, GETVAL));
	T(semctl(g_sem, 0, SETALL, values));
	memset(values, 0, sizeof values);
	T(semctl(g_sem, 0, GETALL, values));
	printf("%d %d %d %d\n", values[0], values[1], values[2], values[3]);
	T(semctl(g_sem, 0, IPC_STAT, &ds));
	printf("%lu semaphores, used %d\n", (unsigned long)ds.sem_nsems, ds.sem_otime > 0);
	T(semctl(g_sem, 3, SETVAL, 0));
	pthread_create(&t[0], NULL, sleeper, NULL);
	while (semctl(g_sem, 3, GETNCNT) != 1)
		usleep(1000);
	T(semctl(g_sem, 0, IPC_RMID));
	pthread_join(t[0], &result);
	printf("sleeper: %s\n", strerror((int)(intptr_t)result));
	T(semop(g_sem, &add, 1));
}

struct message {
	long type;
	char text[100];
};
static int g_queue;

static void *late_sender(void *arg)
{
	struct message m = { 5, "late" };

	usleep(30000);
	return msgsnd(g_queue, &m, 5, 0) ? "failed" : arg;
}

static void receive(long type, int flags, size_t room)
{
	struct message m = { 0 };
	ssize_t n;

	errno = 0;
	n = msgrcv(g_queue, &m, room, type, flags);
	printf("receive type %ld flags %x room %zu: %zd %s [%.*s] of type %ld\n", type, flags, room, n, n < 0 ? strerror(errno) : "",
	       n > 0 ? (int)n : 0, m.text, m.type);
}

static void messages(void)
{
	struct message m = { 3, "three" };
	struct msqid_ds ds;
	pthread_t t;
	int sent = 0;

	g_queue = msgget(g_key, IPC_CREAT | 0600);
	T(msgsnd(g_queue, &m, 5, 0));
	m = (struct message){ 1, "one" };
	T(msgsnd(g_queue, &m, 3, 0));
	m = (struct message){ 2, "two" };
	T(msgsnd(g_queue, &m, 3, 0));
	m.type = 0;
	T(msgsnd(g_queue, &m, 3, 0));
	T(msgctl(g_queue, IPC_STAT, &ds));
	printf("%lu messages, %lu bytes of at most %lu\n", (unsigned long)ds.msg_qnum, (unsigned long)ds.__msg_cbytes,
	       (unsigned long)ds.msg_qbytes);
	receive(2, 0, 2);
	receive(2, MSG_NOERROR, 2);
	receive(3, MSG_EXCEPT, 100);
	receive(-9, 0, 100);
	receive(0, IPC_NOWAIT, 100);
	pthread_create(&t, NULL, late_sender, NULL);
	receive(5, 0, 100);
	pthread_join(t, NULL);
	m.type = 1;
	while (!msgsnd(g_queue, &m, sizeof m.text, IPC_NOWAIT))
		sent++;
	printf("full after %d: %s\n", sent, strerror(errno));
	T(msgctl(g_queue, IPC_RMID, NULL));
	receive(0, 0, 100);
	OK(msgget(g_key, 0));
}

int main(void)
{
	g_key = 0x40000000 | (getpid() << 4);
	memory();
	semaphores();
	messages();
	return 0;
}
