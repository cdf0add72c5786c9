/*
 * `intravisor exec` for its caller: see exec_client.h. Called by pod_commands.c, waits only in poll. Bytes are passed on as they
 * are, as a program's own would be; sentences of the libOS are hostile and go through message_error. While the caller's standard
 * output takes nothing, nothing more is read from the pod; signals and input still go there.
 */
#include "cli/exec_client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "abi/exec.h"
#include "cli/message.h"

#define HEAD sizeof(struct exec_message)

struct exec_client {
	int fd, signal_fd;
	sigset_t signals;
	bool terminal;
	struct termios modes; /* of the caller's terminal, as they were */
	bool input; /* until its end */
	uint32_t input_room;
	struct detach_keys keys;
	bool leaves; /* the pod was told so: its hanging up is the answer */
	char in[HEAD + EXEC_DATA_MAX];
	size_t in_size;	 /* of one message at a time */
	size_t written;	 /* of its payload */
	bool ended;
	int status; /* for the caller */
};

static struct exec_message head_of(const struct exec_client *c)
{
	struct exec_message head;

	memcpy(&head, c->in, HEAD);
	return head;
}

/* All keys are the program's. In the background of the terminal this stops us, until we are in its foreground. */
static void make_raw(struct exec_client *c)
{
	struct termios raw = c->modes;

	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

/* As it was, but in the background, where it is somebody else's. At once: what was stopped would never drain. */
static void restore_terminal(const struct exec_client *c)
{
	pid_t foreground = c->terminal ? tcgetpgrp(STDIN_FILENO) : 0;

	if (c->terminal && (foreground < 0 || foreground == getpgrp()))
		tcsetattr(STDIN_FILENO, TCSANOW, &c->modes);
}

static struct exec_window window_size(void)
{
	struct winsize size = {0};

	ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
	return (struct exec_window){.rows = size.ws_row, .columns = size.ws_col};
}

static void fail(struct exec_client *c, const char *why)
{
	restore_terminal(c);
	message_error("exec: %s", why);
	c->ended = true;
	c->status = EXIT_CANNOT_START;
}

/* The pod always takes what it gave room for, so this waits for moments only. */
static void send_message(struct exec_client *c, uint32_t type, const void *payload, size_t size)
{
	struct exec_message head = {.type = type, .size = (uint32_t)size};
	char *whole = xcalloc(1, HEAD + size);
	size_t sent = 0;

	memcpy(whole, &head, HEAD);
	if (size)
		memcpy(whole + HEAD, payload, size);
	while (sent < HEAD + size) {
		ssize_t n = send(c->fd, whole + sent, HEAD + size - sent, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			break; /* what it said last may still be there to be read */
		sent += n > 0 ? (size_t)n : 0;
	}
	free(whole);
}

static size_t add_string(char *to, size_t at, const char *text)
{
	size_t size = strlen(text) + 1;

	if (at + size <= EXEC_START_MAX)
		memcpy(to + at, text, size);
	return at + size;
}

/* false after a message. */
static bool send_start(struct exec_client *c, const struct exec_program *program)
{
	struct exec_start start = {.envc = (uint32_t)program->env->count,
				   .flags = (program->input ? EXEC_START_INPUT : 0) | (program->terminal ? EXEC_START_TERMINAL : 0) |
					    (program->detached ? EXEC_START_DETACHED : 0) | (program->has_user ? EXEC_START_USER : 0),
				   .uid = program->uid, .gid = program->gid};
	char *payload = xcalloc(1, EXEC_START_MAX);
	size_t size = add_string(payload, sizeof(start), program->cwd ? program->cwd : "");

	for (char *const *word = program->argv; *word; word++, start.argc++)
		size = add_string(payload, size, *word);
	for (size_t i = 0; i < program->env->count; i++)
		size = add_string(payload, size, program->env->item[i]);
	if (program->terminal)
		start.window = window_size();
	memcpy(payload, &start, sizeof(start));
	if (size <= EXEC_START_MAX)
		send_message(c, EXEC_START, payload, size);
	else
		message_error("exec: arguments and variables are too long (at most %u KiB)", EXEC_START_MAX >> 10);
	free(payload);
	return size <= EXEC_START_MAX;
}

/* The caller's terminal is the caller's again, and so are signals, should the pod not answer. */
static void leave(struct exec_client *c)
{
	send_message(c, EXEC_DETACH, NULL, 0);
	restore_terminal(c);
	c->leaves = true;
	c->input = false;
	sigprocmask(SIG_UNBLOCK, &c->signals, NULL);
}

static void send_input(struct exec_client *c, const char *bytes, size_t size)
{
	send_message(c, EXEC_INPUT, bytes, size);
	c->input_room -= (uint32_t)(HEAD + size);
}

/* There is room for the end of input, or for a byte besides the keys that are held. */
static bool takes_input(const struct exec_client *c)
{
	return c->input && c->input_room > HEAD + c->keys.held;
}

static void pass_input(struct exec_client *c)
{
	char typed[EXEC_DATA_MAX], bytes[EXEC_DATA_MAX];
	size_t room = c->input_room - HEAD < sizeof(bytes) ? c->input_room - HEAD : sizeof(bytes);
	ssize_t size = read(STDIN_FILENO, typed, room - c->keys.held);
	bool whole;

	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (size < 0 && !c->terminal) /* a terminal that hangs up says that so */
		message_warning("exec: cannot read standard input: %s", strerror(errno));
	c->input = size > 0;
	if (!c->input) {
		send_input(c, NULL, 0);
		return;
	}
	size_t passed = detach_keys_pass(&c->keys, typed, (size_t)size, bytes, &whole);
	if (passed)
		send_input(c, bytes, passed);
	if (whole)
		leave(c);
}

static void pass_signal(struct exec_client *c)
{
	struct signalfd_siginfo info;

	if (read(c->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	int32_t number = (int32_t)info.ssi_signo;
	if (number == SIGTSTP) {
		restore_terminal(c);
		raise(SIGSTOP);
	} else if (number == SIGCONT || number == SIGWINCH) {
		struct exec_window window = window_size();

		if (number == SIGCONT)
			make_raw(c);
		send_message(c, EXEC_WINDOW, &window, sizeof(window));
	} else {
		send_message(c, EXEC_SIGNAL, &number, sizeof(number));
	}
}

static void note_end(struct exec_client *c, const struct exec_message *head)
{
	struct exec_ended ended;
	int size = (int)(head->size - sizeof(ended));

	restore_terminal(c);
	memcpy(&ended, c->in + HEAD, sizeof(ended));
	if (size)
		message_error("exec: %.*s", size, c->in + HEAD + sizeof(ended));
	c->ended = true;
	c->status = WIFEXITED(ended.status) ? WEXITSTATUS(ended.status) : 128 + WTERMSIG(ended.status);
}

/* A whole message is there. */
static void take_message(struct exec_client *c)
{
	struct exec_message head = head_of(c);
	uint32_t more;

	if (head.type == EXEC_OUTPUT || head.type == EXEC_ERRORS)
		return; /* written when there is room, see write_output */
	if (head.type == EXEC_ENDED && head.size >= sizeof(struct exec_ended)) {
		note_end(c, &head);
	} else if (head.type == EXEC_MORE && head.size == sizeof(more)) {
		memcpy(&more, c->in + HEAD, sizeof(more));
		c->input_room += more;
	} else {
		fail(c, "the pod is of another version");
	}
	c->in_size = 0;
}

static void read_pod(struct exec_client *c)
{
	size_t wanted = c->in_size < HEAD ? HEAD : HEAD + head_of(c).size;
	ssize_t size = recv(c->fd, c->in + c->in_size, wanted - c->in_size, MSG_DONTWAIT);

	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (size <= 0 && c->leaves) {
		message_error("exec: left the program, which goes on");
		c->ended = true;
		return;
	}
	if (size <= 0) {
		fail(c, "the pod ended");
		return;
	}
	c->in_size += (size_t)size;
	if (c->in_size >= HEAD && head_of(c).size > EXEC_DATA_MAX)
		fail(c, "the pod is of another version");
	else if (c->in_size >= HEAD && c->in_size == HEAD + head_of(c).size)
		take_message(c);
}

/* Where the bytes that wait go, or -1. */
static int output_of(const struct exec_client *c)
{
	if (c->in_size < HEAD || c->in_size < HEAD + head_of(c).size)
		return -1;
	return head_of(c).type == EXEC_ERRORS ? STDERR_FILENO : STDOUT_FILENO;
}

/* As much as a pipe takes without making us wait when poll says that it takes something. */
static void write_output(struct exec_client *c, int fd)
{
	size_t left = head_of(c).size - c->written;
	ssize_t size = write(fd, c->in + HEAD + c->written, left < PIPE_BUF ? left : PIPE_BUF);

	if (size < 0 && errno != EINTR && errno != EAGAIN) {
		fail(c, fd == STDOUT_FILENO ? "cannot write to standard output" : "cannot write to standard error");
		return;
	}
	c->written += size > 0 ? (size_t)size : 0;
	if (c->written == head_of(c).size)
		c->in_size = c->written = 0;
}

static void step(struct exec_client *c)
{
	int output = output_of(c);
	struct pollfd entries[] = {
		{.fd = c->signal_fd, .events = POLLIN},
		{.fd = output < 0 ? c->fd : -1, .events = POLLIN},
		{.fd = output, .events = POLLOUT},
		{.fd = takes_input(c) ? STDIN_FILENO : -1, .events = POLLIN},
	};

	if (poll(entries, sizeof(entries) / sizeof(entries[0]), -1) <= 0)
		return;
	if (entries[0].revents)
		pass_signal(c);
	if (entries[1].revents)
		read_pod(c);
	if (entries[2].revents)
		write_output(c, output);
	if (entries[3].revents && !c->ended)
		pass_input(c);
}

/* What ends programs and can be handled goes to the program, unless the caller ignores it. With a terminal also what is about that. */
static int watch_signals(struct exec_client *c)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT, SIGTSTP};
	size_t count = c->terminal ? sizeof(signals) / sizeof(signals[0]) : 4;
	struct sigaction action;

	sigemptyset(&c->signals);
	for (size_t i = 0; i < count; i++)
		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(&c->signals, signals[i]);
	sigprocmask(SIG_BLOCK, &c->signals, NULL);
	return signalfd(-1, &c->signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

int exec_client_run(int fd, const struct exec_program *program)
{
	struct exec_client c = {.fd = fd, .input = program->input, .input_room = EXEC_ROOM, .terminal = program->terminal};

	if (program->input && program->terminal)
		c.keys = program->detach_keys;

	if (c.terminal && tcgetattr(STDIN_FILENO, &c.modes)) {
		message_error("exec: cannot get the modes of the terminal: %s", strerror(errno));
		return EXIT_CANNOT_START;
	}
	c.signal_fd = watch_signals(&c);
	if (c.signal_fd < 0) {
		message_error("exec: cannot wait for signals: %s", strerror(errno));
		return EXIT_CANNOT_START;
	}
	if (!send_start(&c, program))
		return EXIT_CANNOT_START;
	if (c.terminal)
		make_raw(&c);
	while (!c.ended)
		step(&c);
	close(c.signal_fd);
	return c.status;
}
