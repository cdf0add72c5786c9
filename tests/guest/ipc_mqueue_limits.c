/*
 * POSIX message queues of user 0: the limits that it may exceed and those that it may not, and that a cVM's memory bounds them.
 * Native: no
 * Options: --memory 64M
 */
#define _GNU_SOURCE
#include "process.h"
#include "say.h"

#include <mqueue.h>

#define QUEUES 300
#define SIZE 8192
#define EACH 98 /* messages that a user may have, of that size */
#define USERS 100

static mqd_t make(const char *name, long count, long size)
{
	struct mq_attr a = { .mq_maxmsg = count, .mq_msgsize = size };

	return mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK, 0600, &a);
}

static int tried(long count, long size)
{
	mqd_t q = make("/tried", count, size);

	if (q < 0)
		return errno;
	mq_close(q);
	mq_unlink("/tried");
	return 0;
}

static void attributes(void)
{
	/* 819200 bytes: 96 a message besides its text */
	CHECK(tried(11, 8193) == 0);
	CHECK(tried(1, 819200 - 96) == 0);
	CHECK(tried(1, 819200 - 95) == EMFILE);
	CHECK(tried(8445, 1) == 0);
	CHECK(tried(8446, 1) == EMFILE);
	CHECK(tried(65536, 1) == EMFILE);
	CHECK(tried(65537, 1) == EINVAL);
	CHECK(tried(1, 16 << 20) == EMFILE);
	CHECK(tried(1, (16 << 20) + 1) == EINVAL);
}

static void try_many(int room)
{
	char name[32];
	int made = 0, error = 0;

	for (; made < QUEUES; made++) {
		mqd_t q;

		snprintf(name, sizeof(name), "/many-%d", made);
		q = make(name, 1, 1);
		error = q < 0 ? errno : 0;
		if (error)
			break;
		mq_close(q); /* a name is enough */
	}
	CHECK(made == room && error == (made == QUEUES ? 0 : ENOSPC));
	while (made--) {
		snprintf(name, sizeof(name), "/many-%d", made);
		CHECK(mq_unlink(name) == 0);
	}
}

static void many(void)
{
	pid_t pid;
	int status;

	try_many(QUEUES);
	pid = fork();
	if (!pid) {
		CHECK(setgid(4321) == 0 && setuid(4321) == 0);
		try_many(256);
		fflush(stdout);
		_exit(g_failures != 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* All that user number i may have; the messages sent until there is no memory, and the reason in *error. */
static int fill(int i, mqd_t *q, int *error)
{
	static char text[SIZE];
	char name[32];
	int sent = 0;

	snprintf(name, sizeof(name), "/fill-%d", i);
	CHECK(setresuid((uid_t)i, (uid_t)-1, (uid_t)-1) == 0);
	*q = make(name, EACH, SIZE);
	*error = *q < 0 ? errno : 0;
	if (*error)
		return 0;
	CHECK(mq_unlink(name) == 0);
	while (sent < EACH && mq_send(*q, text, SIZE, 0) == 0)
		sent++;
	*error = sent < EACH ? errno : 0;
	return sent;
}

/* Texts count when they are sent, and not any more when they are received or the queue goes. */
static void memory(void)
{
	static char text[SIZE];
	int first = 0;

	for (int round = 0; round < 4; round++) {
		int sent = 0, error = 0, users = 0;
		mqd_t q[USERS];

		while (users < USERS && !error) {
			sent += fill(1 + users, &q[users], &error);
			users += q[users] >= 0;
		}
		CHECK(error == ENOMEM);
		CHECK(sent > (20 << 20) / SIZE && sent < (64 << 20) / SIZE);
		CHECK(!round || sent > first - first / 8);
		first = round ? first : sent;
		while (users--) {
			while (round % 2 && mq_receive(q[users], text, SIZE, NULL) == SIZE)
				sent--;
			CHECK(mq_close(q[users]) == 0);
		}
		CHECK(round % 2 == 0 || sent == 0);
	}
}

int main(void)
{
	attributes();
	many();
	memory();
	if (!g_failures)
		printf("ok\n");
	return g_failures != 0;
}
