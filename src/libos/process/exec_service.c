/*
 * The service behind `intravisor exec` (process/exec_service.h): one hidden thread, started by the first request, which moves bytes
 * between the channel (abi/exec.h) and pipes, or a pseudo-terminal, that are the programs' standard streams. It waits in one poll for all of them, never
 * blocks on a program or on the command, and keeps for each no more than the room it gave. Trusts the command.
 *
 * Nothing is queued for the command: what is to be said of a program follows from its state, and output stays in its pipe, until the
 * channel takes it.
 */
#include "abi/exec.h"
#include "core/boot.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/log.h"
#include "fs/poll_set.h"
#include "fs/vfs.h"
#include "ipc/eventfd.h"
#include "ipc/pipe.h"
#include "ipc/ring.h"
#include "process/exec_service.h"
#include "process/process.h"
#include "signal/internal.h"
#include "sys/trace.h"
#include "tty/tty.h"

#define HEAD sizeof(struct exec_message)
/* A program has ended, but descendants of it have its output open: so long they may still write. */
#define DESCENDANTS_NS 2000000000ll
#define STREAMS 2 /* output, errors */

struct exec {
	bool used, told; /* EXEC_STARTED was sent */
	int32_t pid;
	uint32_t ended; /* atomic: the last three members are valid */
	struct file *input; /* write end, or NULL */
	struct ring pending; /* input that the pipe has no room for */
	bool input_ends;
	uint32_t passed_on; /* of input, not told yet */
	struct file *output[STREAMS]; /* read ends, or NULL */
	bool terminal; /* input and output are the master of its terminal, two references */
	uint32_t room;	    /* for output */
	uint32_t left;	    /* bytes of output that still count behind the deadline */
	int64_t deadline;   /* 0: it runs */
	int status;
	char why[EXEC_WHY_MAX];
};

static struct mutex g_start_lock;
static bool g_started;	      /* g_start_lock */
static struct exec g_exec[EXEC_MAX]; /* these belong to the service's thread */
static char *g_message;		     /* EXEC_MESSAGE_MAX bytes */
static struct file *g_channel, *g_bell; /* the bell: a program has ended */
static bool g_full;			/* the channel takes nothing now */
static bool g_untold;			/* atomic: EXEC_LISTENS is to be sent when the channel takes something */

static int channel_handle(struct file *f)
{
	(void)f;
	return (int)boot_info()->exec;
}

static const struct file_ops g_channel_ops = { .name = "exec", .host_handle = channel_handle };

/* g_message has the payload behind its head. False: not now. */
static bool send(const struct exec *e, uint32_t type, size_t size)
{
	struct exec_message head = { .type = type, .id = (uint32_t)(e - g_exec), .size = (uint32_t)size };
	long ret;

	memcpy(g_message, &head, HEAD);
	do
		ret = hostcall(HC_file_write, boot_info()->exec, g_message, HEAD + size);
	while (ret == -EINTR);
	g_full = ret < 0;
	return !g_full;
}

static void close_file(struct file **f)
{
	if (*f)
		file_put(*f);
	*f = NULL;
}

static void close_input(struct exec *e)
{
	close_file(&e->input);
	ring_free_data(&e->pending);
}

/* process_run's: on any thread. */
static void program_ended(void *arg, int status, const char *why)
{
	static const uint64_t one = 1;
	struct iovec iov = { (void *)&one, sizeof(one) };
	struct exec *e = arg;

	e->status = status;
	format(e->why, sizeof(e->why), "%s", why ? why : "");
	__atomic_store_n(&e->ended, 1, __ATOMIC_RELEASE);
	(void)g_bell->ops->write(g_bell, &iov, 1, NULL);
}

static bool same_variable(const char *a, const char *b)
{
	while (*a && *a == *b && *a != '=')
		a++, b++;
	return *a == *b && (*a == '=' || !*a);
}

/* `list` has room for all of them. */
static void add_variable(const char **list, const char *variable)
{
	while (*list && !same_variable(*list, variable))
		list++;
	*list = variable;
}

static const char *next_string(const char **at)
{
	const char *s = *at;

	*at += strlen(s) + 1;
	return s;
}

/* As the command sets it if nobody else does (config/config.c). */
static const char *home_of(uint32_t uid)
{
	return uid ? "HOME=/" : "HOME=/root";
}

/* Fills in the request from the payload, which the command has checked; *words is the caller's to free. 0 or -ENOMEM. */
static int read_request(const struct exec_start *start, struct process_request *rq, const char ***words)
{
	const struct libos_boot *boot = boot_info();
	const char *at = (const char *)(start + 1), *own = boot_string(boot->envp);
	const char **argv = kzalloc((start->argc + 1ull + boot->envc + start->envc + 1ull) * sizeof(*argv));
	const char **envp = argv + start->argc + 1;

	rq->uid = start->flags & EXEC_START_USER ? start->uid : boot->uid;
	rq->gid = start->flags & EXEC_START_USER ? start->gid : boot->gid;
	*words = argv;
	if (!argv)
		return -ENOMEM;
	rq->cwd = next_string(&at);
	if (!*rq->cwd)
		rq->cwd = boot_string(boot->cwd);
	for (uint32_t i = 0; i < start->argc; i++)
		argv[i] = next_string(&at);
	for (uint32_t i = 0; i < boot->envc; i++) {
		const char *variable = next_string(&own);

		add_variable(envp, strcmp(variable, home_of(boot->uid)) ? variable : home_of(rq->uid));
	}
	for (uint32_t i = 0; i < start->envc; i++)
		add_variable(envp, next_string(&at));
	rq->argv = argv;
	rq->envp = envp;
	return 0;
}

/* A pipe whose end `mine` is ours and does not block. */
static int make_stream(struct file **program, struct file **own, int mine)
{
	struct file *end[2];
	int err = pipe_create(end, 0);

	if (err)
		return err;
	end[mine]->flags |= O_NONBLOCK;
	*own = end[mine];
	*program = end[!mine];
	return 0;
}

static int make_pipes(struct exec *e, struct process_request *rq)
{
	int err = make_stream(&rq->files[0], &e->input, 1);

	for (int i = 0; !err && i < STREAMS; i++)
		err = make_stream(&rq->files[1 + i], &e->output[i], 0);
	return err;
}

/* One file is all three streams, and another one both of our sides. */
static int make_terminal(struct exec *e, struct process_request *rq, struct exec_window window)
{
	int err = pty_create(&e->output[0], &rq->files[0], rq->uid);

	if (err)
		return err;
	pty_resize(e->output[0], window.rows, window.columns);
	e->input = e->output[0];
	file_get(e->input);
	for (int i = 1; i < 3; i++) {
		rq->files[i] = rq->files[0];
		file_get(rq->files[i]);
	}
	rq->terminal = pty_terminal(rq->files[0]);
	return 0;
}

/* For who prints to nobody. */
static int make_null(struct process_request *rq)
{
	int err;

	rq->until_begun = true;
	rq->files[0] = vfs_open("/dev/null", O_RDWR, 0, &err);
	for (int i = 1; rq->files[0] && i < 3; i++) {
		rq->files[i] = rq->files[0];
		file_get(rq->files[i]);
	}
	return rq->files[0] ? 0 : err;
}

static int make_files(struct exec *e, struct process_request *rq, const struct exec_start *start)
{
	if (start->flags & EXEC_START_DETACHED)
		return make_null(rq);
	return e->terminal ? make_terminal(e, rq, start->window) : make_pipes(e, rq);
}

static int run_program(struct exec *e, const struct exec_start *start)
{
	struct process_request rq = { 0 };
	const char **words = NULL;
	long ret = read_request(start, &rq, &words);

	e->terminal = start->flags & EXEC_START_TERMINAL;
	if (!ret)
		ret = make_files(e, &rq, start);
	if (!(start->flags & EXEC_START_INPUT) && !e->terminal)
		close_file(&e->input);
	if (!ret)
		ret = process_run(&rq, program_ended, e);
	for (int i = 0; i < 3; i++)
		close_file(&rq.files[i]);
	kfree(words);
	e->pid = (int32_t)ret;
	return ret < 0 ? (int)ret : 0;
}

static void start_program(struct exec *e, size_t size)
{
	int err;

	if (e->used || size < sizeof(struct exec_start))
		return;
	*e = (struct exec){ .used = true, .room = EXEC_ROOM, .left = UINT32_MAX, .pending.limit = EXEC_ROOM };
	err = run_program(e, (const struct exec_start *)(const void *)(g_message + HEAD));
	if (!err)
		return;
	close_input(e);
	for (int i = 0; i < STREAMS; i++)
		close_file(&e->output[i]);
	e->status = EXEC_STATUS_FAILED;
	e->told = true;
	format(e->why, sizeof(e->why), "the cVM has no room for another program: %s", errno_text(-err));
	e->ended = 1;
}

/* Input into the pipe, as far as it fits. */
static void pump_input(struct exec *e)
{
	struct iovec iov = { g_message, EXEC_DATA_MAX };
	bool fault;

	if (e->terminal && e->input_ends) { /* whoever sat there has gone, whatever was typed */
		close_file(&e->output[0]);
		close_input(e);
	}
	while (e->input && ring_used(&e->pending)) {
		struct iter it = iter_init(&iov, 1);
		struct iovec piece = { g_message, ring_peek(&e->pending, 0, &it, it.left, &fault) };
		ssize_t n = e->input->ops->write(e->input, &piece, 1, NULL);

		if (n == -EAGAIN)
			return;
		if (n < 0) { /* nobody reads it, and no more of it is wanted; or there is no memory */
			close_input(e);
			return;
		}
		e->pending.head += (uint64_t)n;
		e->passed_on += (uint32_t)n;
	}
	if (e->input_ends)
		close_input(e);
}

static void take_input(struct exec *e, size_t size)
{
	struct iovec iov = { g_message + HEAD, size };
	struct iter it = iter_init(&iov, 1);
	bool fault;

	if (!e->input)
		return;
	e->input_ends |= !size;
	e->passed_on += HEAD;
	if (size && ring_write(&e->pending, &it, size, &fault) < size) {
		log_text("exec: no memory for a program's input");
		close_input(e);
		return;
	}
	pump_input(e);
}

static void resize(struct exec *e)
{
	struct exec_window window;

	memcpy(&window, g_message + HEAD, sizeof(window));
	pty_resize(e->output[0], window.rows, window.columns);
}

static void take_message(size_t size)
{
	struct exec_message head;
	struct exec *e;
	int32_t word = 0;

	memcpy(&head, g_message, HEAD);
	if (size < HEAD || head.size != size - HEAD || head.id >= EXEC_MAX)
		return;
	e = &g_exec[head.id];
	if (head.type == EXEC_START) {
		start_program(e, head.size);
		return;
	}
	if (!e->used) /* it has ended meanwhile */
		return;
	if (head.size == sizeof(word))
		memcpy(&word, g_message + HEAD, sizeof(word));
	if (head.type == EXEC_INPUT)
		take_input(e, head.size);
	else if (head.type == EXEC_MORE)
		e->room += (uint32_t)word;
	else if (head.type == EXEC_WINDOW && e->terminal && e->output[0] && head.size == sizeof(struct exec_window))
		resize(e);
	else if (head.type == EXEC_SIGNAL && !__atomic_load_n(&e->ended, __ATOMIC_ACQUIRE))
		(void)process_signal(e->pid, word);
}

static void read_channel(void)
{
	long n;

	while ((n = hostcall(HC_file_read, boot_info()->exec, g_message, EXEC_MESSAGE_MAX)) > 0)
		take_message((size_t)n);
}

static ssize_t peek_output(struct exec *e, int i, size_t most)
{
	return e->terminal ? pty_peek(e->output[i], g_message + HEAD, most) : pipe_peek(e->output[i], g_message + HEAD, most, true);
}

static bool send_fact(uint32_t type)
{
	const struct exec_message m = { .type = type };
	long ret;

	do
		ret = hostcall(HC_file_write, boot_info()->exec, &m, sizeof(m));
	while (ret == -EINTR);
	return ret >= 0;
}

static void tell_listens(void)
{
	if (!g_full && __atomic_exchange_n(&g_untold, false, __ATOMIC_SEQ_CST) && !send_fact(EXEC_LISTENS)) {
		__atomic_store_n(&g_untold, true, __ATOMIC_SEQ_CST);
		g_full = true;
	}
}

/* False: no more of it is to be had now. */
static bool pump_output(struct exec *e, int i)
{
	uint32_t most = e->room > HEAD ? MIN(e->room - (uint32_t)HEAD, EXEC_DATA_MAX) : 0;
	ssize_t n;

	if (!e->output[i] || !most || g_full)
		return false;
	n = e->left ? peek_output(e, i, MIN(most, e->left)) : 0;
	if (n == -EAGAIN && (!e->deadline || clock_now(CLOCK_MONOTONIC) < e->deadline))
		return false;
	if (n <= 0) {
		close_file(&e->output[i]);
		return false;
	}
	if (!send(e, i ? EXEC_ERRORS : EXEC_OUTPUT, (size_t)n))
		return false;
	if (e->terminal)
		pty_skip(e->output[i], (size_t)n);
	else
		pipe_skip(e->output[i], (size_t)n);
	e->room -= (uint32_t)HEAD + (uint32_t)n;
	if (e->left != UINT32_MAX)
		e->left -= (uint32_t)n;
	return true;
}

static void tell_end(struct exec *e)
{
	struct exec_ended ended = { e->status };
	size_t size = strlen(e->why);

	memcpy(g_message + HEAD, &ended, sizeof(ended));
	memcpy(g_message + HEAD + sizeof(ended), e->why, size);
	if (!send(e, EXEC_ENDED, sizeof(ended) + size))
		return;
	close_input(e);
	e->used = false;
}

/* The program has ended: what its descendants write counts for a while, and then what is in a pipe now. */
static void note_end(struct exec *e)
{
	int64_t now = clock_now(CLOCK_MONOTONIC);

	if (!e->deadline)
		e->deadline = now + DESCENDANTS_NS;
	else if (now >= e->deadline && e->left == UINT32_MAX)
		e->left = STREAMS * PIPE_SIZE_MAX;
}

static void serve(struct exec *e)
{
	bool ended = __atomic_load_n(&e->ended, __ATOMIC_ACQUIRE);

	if (!e->told && !(e->told = send(e, EXEC_STARTED, 0)))
		return;
	if (ended)
		note_end(e);
	pump_input(e);
	if (e->passed_on >= EXEC_MORE_LEAST && !g_full) {
		memcpy(g_message + HEAD, &e->passed_on, sizeof(e->passed_on));
		if (send(e, EXEC_MORE, sizeof(e->passed_on)))
			e->passed_on = 0;
	}
	for (int i = 0; i < STREAMS; i++)
		while (pump_output(e, i))
			;
	if (ended && !e->output[0] && !e->output[1] && !g_full)
		tell_end(e);
}

static void watch(struct poll_entry *set, unsigned *count, struct file *f, uint32_t events)
{
	set[(*count)++] = (struct poll_entry){ .file = f, .events = events };
}

/* Until there is something to do. */
static void wait(void)
{
	static struct poll_entry set[2 + (1 + STREAMS) * EXEC_MAX];
	uint64_t rings;
	struct iovec iov = { &rings, sizeof(rings) };
	int64_t timeout = -1;
	unsigned count = 0;

	watch(set, &count, g_channel, g_full ? EPOLLIN | EPOLLOUT : EPOLLIN);
	watch(set, &count, g_bell, EPOLLIN);
	for (struct exec *e = g_exec; e < g_exec + EXEC_MAX; e++) {
		if (!e->used)
			continue;
		if (e->input && ring_used(&e->pending))
			watch(set, &count, e->input, EPOLLOUT);
		for (int i = 0; i < STREAMS; i++)
			if (e->output[i] && e->room > HEAD && !g_full)
				watch(set, &count, e->output[i], EPOLLIN);
		if (e->deadline && e->left == UINT32_MAX && (e->output[0] || e->output[1])) {
			int64_t left = MAX(e->deadline - clock_now(CLOCK_MONOTONIC), (int64_t)0);

			timeout = timeout < 0 || left < timeout ? left : timeout;
		}
	}
	if (poll_set_wait(set, count, timeout) > 0 && (set[0].revents & EPOLLOUT))
		g_full = false;
	(void)g_bell->ops->read(g_bell, &iov, 1, NULL);
}

static void service_main(void *arg)
{
	(void)arg;
	for (;;) {
		/* Outside signals that this thread was told of are for others; see signal/timer.c. */
		__atomic_fetch_and(&current()->work, 0, __ATOMIC_SEQ_CST);
		signal_send_noted();
		read_channel();
		tell_listens();
		for (struct exec *e = g_exec; e < g_exec + EXEC_MAX; e++)
			if (e->used)
				serve(e);
		wait();
	}
}

/* There is no service: all who ask are told. A message for a buffer that is too small is cut off. */
static void refuse(int err)
{
	struct {
		struct exec_message head;
		struct exec_ended ended;
		char why[EXEC_WHY_MAX];
	} m;

	while (hostcall(HC_file_read, boot_info()->exec, &m.head, HEAD) == (long)HEAD) {
		if (m.head.type != EXEC_START)
			continue;
		m.ended.status = EXEC_STATUS_FAILED;
		m.head.type = EXEC_ENDED;
		m.head.size = sizeof(m.ended) + (uint32_t)format(m.why, sizeof(m.why), "the cVM has no room for exec: %s", errno_text(-err));
		(void)hostcall(HC_file_write, boot_info()->exec, &m, HEAD + m.head.size);
	}
}

static int start_service(void)
{
	int err = 0;

	if (!g_message)
		g_message = kmalloc(EXEC_MESSAGE_MAX);
	if (!g_bell)
		g_bell = eventfd_create(0, O_NONBLOCK, &err);
	if (!g_channel)
		g_channel = file_alloc(&g_channel_ops, O_RDWR, NULL);
	if (!g_message || !g_bell || !g_channel)
		return -ENOMEM;
	return thread_start_hidden(g_process, service_main, NULL, &err) ? 0 : err;
}

void exec_service_wake(void)
{
	int err = 0;

	if (!boot_info()->exec)
		return;
	mutex_lock(&g_start_lock);
	if (!g_started) {
		err = start_service();
		g_started = !err;
	}
	if (err)
		refuse(err);
	mutex_unlock(&g_start_lock);
}

/* Nobody but the service fills the channel: if it is full, the service is there, and sends this too. */
void exec_service_listens(const char *name)
{
	static const uint64_t one = 1;
	struct iovec iov = { (void *)&one, sizeof(one) };

	if (!boot_info()->exec || !boot_info()->ready || strcmp(name, boot_string(boot_info()->ready)) || send_fact(EXEC_LISTENS))
		return;
	__atomic_store_n(&g_untold, true, __ATOMIC_SEQ_CST);
	mutex_lock(&g_start_lock);
	if (g_started)
		(void)g_bell->ops->write(g_bell, &iov, 1, NULL);
	mutex_unlock(&g_start_lock);
}

/* Nothing was sent before: there is room. */
void exec_service_loaded(void)
{
	if (boot_info()->exec && (boot_info()->flags & BOOT_FLAG_DETACHED))
		(void)send_fact(EXEC_LOADED);
}
