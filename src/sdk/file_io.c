/*
 * Copies in the background (cvm/file.h): one thread of libcvm's own, started by the first, takes them in order. It
 * stays for the rest of the program's life. A child of fork starts with none, and has nothing to do with what its parent submitted.
 */
#include "cvm/file.h"
#include "sdk/sdk.h"

static struct {
	struct sdk_lock lock;
	struct platform_thread thread;
	bool started, forks; /* forks: after_fork is called */
	struct cp_file_io *first, **last;
	uint32_t sequence; /* futex: something was submitted */
} g_io = { .last = &g_io.first };

static struct cp_file_io *next_io(void)
{
	for (;;) {
		uint32_t sequence = __atomic_load_n(&g_io.sequence, __ATOMIC_ACQUIRE);

		sdk_lock_take(&g_io.lock);
		struct cp_file_io *io = g_io.first;
		if (io) {
			g_io.first = io->next;
			if (!g_io.first)
				g_io.last = &g_io.first;
		}
		sdk_lock_give(&g_io.lock);
		if (io)
			return io;
		platform_futex_wait(&g_io.sequence, sequence);
	}
}

static void work(void *argument)
{
	(void)argument;
	for (;;) {
		struct cp_file_io *io = next_io();

		io->result = io->write ? cp_file_pwrite(io->file, io->buffer, io->size, io->offset)
				       : cp_file_pread(io->file, io->buffer, io->size, io->offset);
		/* From here on it is the submitter's; the address may still be woken. */
		__atomic_store_n(&io->done, 1, __ATOMIC_RELEASE);
		platform_futex_wake(&io->done, 1 << 30);
		sdk_io_done();
	}
}

static void after_fork(void)
{
	g_io.lock.word = 0;
	g_io.started = false;
	g_io.first = NULL;
	g_io.last = &g_io.first;
}

/* With the lock. */
static int start(void)
{
	int r = g_io.forks ? 0 : platform_after_fork(after_fork);

	g_io.forks = !r;
	r = r ? r : platform_thread_start(&g_io.thread, work, NULL);
	g_io.started = !r;
	return r;
}

int cp_file_submit(struct cp_file_io *io)
{
	int r = g_sdk_present ? 0 : -ENOSYS;

	io->done = 0;
	io->next = NULL;
	sdk_lock_take(&g_io.lock);
	if (!r && !g_io.started)
		r = start();
	if (!r) {
		*g_io.last = io;
		g_io.last = &io->next;
		__atomic_add_fetch(&g_io.sequence, 1, __ATOMIC_RELEASE);
	}
	sdk_lock_give(&g_io.lock);
	if (!r)
		platform_futex_wake(&g_io.sequence, 1);
	return r;
}

int cp_file_done(const struct cp_file_io *io)
{
	return (int)__atomic_load_n(&io->done, __ATOMIC_ACQUIRE);
}

ssize_t cp_file_finish(struct cp_file_io *io)
{
	while (!cp_file_done(io))
		platform_futex_wait(&io->done, 0);
	return io->result;
}
