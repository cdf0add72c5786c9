/*
 * Question: while threads close and open handles all the time, so that numbers of handles and of the host's descriptors are
 * reused, can a running hostcall end up in a file that is not the one its handle named, or in another cVM's?
 * Expect: REFUSED: every byte read or written belonged to the handle's own file
 * Control: --insecure-no-handle-check
 * Native: users counted in handles
 */
#include "raw.h"

static uint64_t g_shared;
static volatile bool g_stop;
static volatile uint64_t g_handle[2];
static volatile uint32_t g_wrong;

/* Opens and closes the same two numbers, whose files hold only their own letter. */
static void churn(void *argument)
{
	const char *name = argument;

	while (!g_stop) {
		long file = hostcall(HC_file_open, g_shared, (uint64_t)name, 6, O_RDWR, 0, 0);
		if (file < 0)
			continue;
		g_handle[name[5] - '0'] = (uint64_t)file;
		hostcall(HC_file_close, (uint64_t)file, 0, 0, 0, 0, 0);
	}
}

static void reads(void *unused)
{
	char bytes[16];

	(void)unused;
	while (!g_stop)
		for (int i = 0; i < 2; i++) {
			long n = hostcall(HC_file_pread, g_handle[i], (uint64_t)bytes, sizeof bytes, 0, 0, 0);
			if (n == -EBADF || n == 0)
				continue;
			/* of either file: numbers of this cVM may mean the one or the other */
			if (n != sizeof bytes || (bytes[0] != '0' && bytes[0] != '1'))
				g_wrong++;
			for (long k = 1; k < n; k++)
				g_wrong += bytes[k] != bytes[0];
		}
}

static void attack(void)
{
	static char names[2][7] = { "churn0", "churn1" };
	struct raw_thread *threads[4];

	g_shared = granted_directory("symbols");
	for (int i = 0; i < 2; i++) {
		char path[16], bytes[16];
		snprintf(path, sizeof path, "/shared/churn%d", i);
		memset(bytes, '0' + i, sizeof bytes);
		int fd = open(path, O_RDWR | O_CREAT, 0644);
		if (write(fd, bytes, sizeof bytes) != sizeof bytes)
			breach("cannot write");
		close(fd);
		g_handle[i] = 1000;
	}
	for (int i = 0; i < 4; i++)
		raw_start(threads[i] = raw_new(i < 2 ? churn : reads, names[i & 1]));
	/* the victim opens, writes and closes its own files beside this */
	char bytes[16], mine[16];
	memset(mine, '1', sizeof mine);
	for (int i = 0; i < 40000; i++) {
		long n = hostcall(HC_file_pwrite, g_handle[1], (uint64_t)mine, 0, 0, 0, 0);
		if (n > 0 || (n < 0 && n != -EBADF))
			breach("writing nothing gave %ld", n);
		/* numbers that mean another cVM, if the table is not one's own */
		for (uint64_t k = 3; k < 12; k++)
			if (hostcall(HC_file_pread, 1ull << 32 | k, (uint64_t)bytes, sizeof bytes, 0, 0, 0) != -EBADF)
				breach("handle %lu of the other cVM works", k);
	}
	g_stop = true;
	for (int i = 0; i < 4; i++)
		raw_wait(threads[i]);
	if (g_wrong)
		breach("%u bytes of something else were read", g_wrong);
	refused("every byte read or written belonged to the handle's own file");
}
