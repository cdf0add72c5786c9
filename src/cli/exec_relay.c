/*
 * The relay of `intravisor exec`: see exec_relay.h. Called by control.c and supervise.c. What a libOS sends is hostile: whatever is
 * not exactly as abi/exec.h has it cuts its channel off until the cVM's end. A client is this user or root; one that breaks the
 * rules is as one that went away. Nothing blocks, and nothing grows: what either may send is bounded by the room it was given.
 */
#include "cli/exec_relay.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/clock.h"
#include "cli/exec_session.h"
#include "cli/message.h"

#define START_TIMEOUT_MS 60000
#define END_TIMEOUT_MS 1000
/* Of one cVM at a time, so that none can keep the others waiting. */
#define MESSAGES_MAX 64u
#define FOR_EACH_SESSION(s, channel) \
	for (struct exec_session *s = (channel)->session; s < (channel)->session + EXEC_MAX; s++)

void exec_relay_init(struct exec_relay *relay, int (*ends)[2], struct pod *pod)
{
	*relay = (struct exec_relay){.pod = pod};
	for (uint32_t i = 0; i < LAUNCH_CVMS_MAX; i++) {
		struct exec_channel *c = &relay->channel[i];

		c->fd = ends[i][0];
		c->far_end = ends[i][1];
		FOR_EACH_SESSION(s, c)
			s->fd = -1;
	}
}

static struct exec_channel *channel_of(struct exec_relay *relay, const struct exec_session *s)
{
	return &relay->channel[s->cvm];
}

const char *exec_relay_accept(struct exec_relay *relay, int fd, uint32_t cvm)
{
	const struct config_cvm *config = relay->pod->config->cvm[cvm];
	struct exec_channel *c = &relay->channel[cvm];
	uint32_t id = 0;

	if (config->bare)
		return "has no libOS (runtime: bare), so no other program can be started in it";
	if (config->syscalls_to)
		return "has its system calls served by another cVM (syscalls_to), so no other program can be started in it";
	if (relay->pod->cvm[cvm].state != POD_RUNNING)
		return relay->pod->cvm[cvm].state == POD_STOPPING ? "is being stopped" : "is not running";
	if (c->fd < 0 || c->cut_off)
		return "has a libOS that broke the rules of exec: nothing is started in it until it starts again";
	while (id < EXEC_MAX && c->session[id].phase != EXEC_FREE)
		id++;
	if (id == EXEC_MAX || relay->clients == EXEC_CLIENTS_MAX)
		return "cannot start another program: too many were started with exec (try again)";
	struct exec_session *s = &c->session[id];
	session_open(relay, s, fd, cvm, id);
	return NULL;
}

/* One message for the libOS: 0, -EAGAIN, or another negative errno. */
static int send_message(struct exec_channel *c, uint32_t type, uint32_t id, const void *payload, size_t size)
{
	struct exec_message head = {.type = type, .id = id, .size = (uint32_t)size};
	struct iovec parts[2] = {{&head, EXEC_HEAD}, {(void *)(uintptr_t)payload, size}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	if (sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 0;
	return errno == EINTR || errno == ENOBUFS || errno == ENOMEM ? -EAGAIN : -errno;
}

/* Is it as abi/exec.h has it? */
static bool valid_start(const char *payload, size_t size)
{
	struct exec_start start;
	size_t strings = 0;

	if (size <= sizeof(start) || payload[size - 1])
		return false;
	memcpy(&start, payload, sizeof(start));
	for (size_t i = sizeof(start); i < size; i++)
		strings += !payload[i];
	if (start.flags & EXEC_START_DETACHED && start.flags & (EXEC_START_INPUT | EXEC_START_TERMINAL))
		return false;
	return start.argc && !(start.flags & ~EXEC_START_FLAGS) && start.uid <= INT32_MAX && start.gid <= INT32_MAX &&
	       strings == 1 + (uint64_t)start.argc + start.envc;
}

/* May the client send this now? Input takes of its room. */
static bool admit(struct exec_session *s, const struct exec_message *head, const char *payload)
{
	int32_t number;

	if (s->phase == EXEC_ASKED)
		return head->type == EXEC_START && valid_start(payload, head->size);
	if (head->type == EXEC_WINDOW)
		return s->terminal && head->size == sizeof(struct exec_window);
	if (head->type == EXEC_SIGNAL && head->size == sizeof(number)) {
		memcpy(&number, payload, sizeof(number));
		return number >= 1 && number <= 64;
	}
	return head->type == EXEC_INPUT && head->size <= EXEC_DATA_MAX && (s->fd < 0 || EXEC_HEAD + head->size <= s->input_room);
}

/* 0, -EAGAIN, or another negative errno after the client was told. The libOS is woken behind the message: if it has no room for its
 * service, it looks once. */
static int start_program(struct exec_relay *relay, struct exec_session *s, const char *payload, size_t size)
{
	struct exec_channel *c = channel_of(relay, s);
	int ret = send_message(c, EXEC_START, s->id, payload, size);

	if (ret) {
		if (ret != -EAGAIN)
			session_fail(relay, s, strerror(-ret));
		return ret;
	}
	struct exec_start start;
	memcpy(&start, payload, sizeof(start));
	s->terminal = start.flags & EXEC_START_TERMINAL;
	s->phase = EXEC_STARTING;
	s->deadline_ms = clock_ms() + START_TIMEOUT_MS;
	if (c->serves || link_send(relay->pod->link, CHANNEL_SIGNAL, s->cvm, EXEC_WAKE_SIGNAL))
		return 0;
	session_give_up(relay, s, "the monitor is busy (try again)");
	return -EBUSY;
}

/* Passes on the first message for the libOS, if it is complete. false: there is none, or it cannot go yet. */
static bool pass_message(struct exec_relay *relay, struct exec_session *s)
{
	struct exec_channel *c = channel_of(relay, s);
	struct exec_message head;
	int ret;

	if (s->phase == EXEC_OVER || s->in_size < EXEC_HEAD)
		return false;
	memcpy(&head, s->in, EXEC_HEAD);
	if (head.type == EXEC_DETACH && !head.size && session_is_known(s)) {
		session_detach(relay, s);
		return false;
	}
	if (c->full)
		return false;
	if (head.size <= EXEC_START_MAX && s->in_size < EXEC_HEAD + head.size)
		return false;
	if (head.size > EXEC_START_MAX || !admit(s, &head, s->in + EXEC_HEAD)) {
		session_client_gone(relay, s);
		return false;
	}
	if (s->phase == EXEC_ASKED)
		ret = start_program(relay, s, s->in + EXEC_HEAD, head.size);
	else
		ret = send_message(c, head.type, s->id, s->in + EXEC_HEAD, head.size);
	c->full |= ret == -EAGAIN;
	if (ret)
		return false;
	if (head.type == EXEC_INPUT && s->fd >= 0)
		s->input_room -= (uint32_t)EXEC_HEAD + head.size;
	s->in_size -= EXEC_HEAD + head.size;
	memmove(s->in, s->in + EXEC_HEAD + head.size, s->in_size);
	return true;
}

/* The libOS gets room for what no longer waits for the client. */
static void give_room(struct exec_channel *c, struct exec_session *s)
{
	size_t used = s->output_room + session_waiting(s);
	uint32_t more = used < EXEC_ROOM ? EXEC_ROOM - (uint32_t)used : 0;

	if (s->phase != EXEC_RUNS || more < EXEC_MORE_LEAST || c->full)
		return;
	int ret = send_message(c, EXEC_MORE, s->id, &more, sizeof(more));
	c->full = ret == -EAGAIN;
	if (ret == 0)
		s->output_room += more;
}

/* What waits for libOSes, as far as they take it. */
static void send_all(struct exec_relay *relay)
{
	for (uint32_t i = 0; i < relay->pod->config->cvms; i++) {
		struct exec_channel *c = &relay->channel[i];

		for (uint32_t n = 0; n < EXEC_MAX; n++) {
			struct exec_session *s = &c->session[(c->turn + n) % EXEC_MAX];

			give_room(c, s);
			while (s->phase != EXEC_FREE && pass_message(relay, s))
				;
		}
		c->turn = (c->turn + 1) % EXEC_MAX;
	}
}

static void read_client(struct exec_relay *relay, struct exec_session *s)
{
	ssize_t size = recv(s->fd, s->in + s->in_size, EXEC_MESSAGE_MAX - s->in_size, MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0)
		session_client_gone(relay, s);
	else if (s->phase != EXEC_OVER)
		s->in_size += (size_t)size;
}

static void write_client(struct exec_relay *relay, struct exec_session *s)
{
	ssize_t size = send(s->fd, s->out + s->out_sent, s->out_size - s->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size < 0) {
		session_client_gone(relay, s);
		return;
	}
	s->out_sent += (size_t)size;
	if (s->phase == EXEC_RUNS)
		session_tell_more(s);
	if (s->phase == EXEC_OVER && s->out_sent == s->out_size)
		session_free(relay, s);
}

/* A null pointer, or what is wrong with it. */
static const char *take_output(struct exec_session *s, const struct exec_message *head, const char *payload)
{
	uint32_t cost = (uint32_t)EXEC_HEAD + head->size;

	if (s->phase != EXEC_RUNS)
		return "output before the start";
	if (!head->size || head->size > EXEC_DATA_MAX || cost > s->output_room)
		return "output without room";
	if (s->terminal && head->type == EXEC_ERRORS)
		return "errors beside a terminal";
	s->output_room -= cost;
	session_tell(s, head->type, payload, head->size);
	return NULL;
}

static const char *take_more(struct exec_session *s, const struct exec_message *head, const char *payload)
{
	/* The end of input that a client leaves behind takes no room of it (client_gone). */
	uint32_t more, used = EXEC_ROOM - s->input_room - s->input_more + (s->fd < 0 && !s->detached ? EXEC_HEAD : 0);

	if (head->size != sizeof(more))
		return "a message of a wrong size";
	memcpy(&more, payload, sizeof(more));
	if (s->phase != EXEC_RUNS || !more || more > used)
		return "room that nobody used";
	s->input_more += more;
	if (s->fd >= 0)
		session_tell_more(s);
	return NULL;
}

static const char *take_end(struct exec_relay *relay, struct exec_session *s, const struct exec_message *head, const char *payload)
{
	struct exec_ended ended;

	if (head->size < sizeof(ended) || head->size > sizeof(ended) + EXEC_WHY_MAX)
		return "a message of a wrong size";
	memcpy(&ended, payload, sizeof(ended));
	if ((ended.status & ~0xffff) || (!WIFEXITED(ended.status) && (!WIFSIGNALED(ended.status) || WTERMSIG(ended.status) > 64)))
		return "a status that no program has";
	session_end(relay, s, ended.status, payload + sizeof(ended), head->size - sizeof(ended));
	return NULL;
}

static const char *take_message(struct exec_relay *relay, struct exec_channel *c, const struct exec_message *head, const char *payload,
				size_t size)
{
	struct exec_session *s = head->id < EXEC_MAX ? &c->session[head->id] : NULL;

	if (head->size != size)
		return "a message of a wrong size";
	if (head->type == EXEC_STOPPED && relay->pod->config->job && !size && !head->id) {
		relay->stopped = true;
		return NULL;
	}
	if (head->type == EXEC_LOADED && relay->pod->config->detached && !size && !head->id) {
		relay->pod->cvm[c - relay->channel].loaded = true;
		return NULL;
	}
	if (head->type == EXEC_LISTENS && pod_listens(relay->pod, (uint32_t)(c - relay->channel)) && !size && !head->id)
		return NULL;
	if (!s || !session_is_known(s))
		return "a message about no program";
	switch (head->type) {
	case EXEC_STARTED:
		if (s->phase != EXEC_STARTING || size)
			return "a second start";
		s->phase = EXEC_RUNS;
		c->serves = true;
		s->deadline_ms = s->fd < 0 && !s->detached ? s->deadline_ms : 0;
		return NULL;
	case EXEC_OUTPUT:
	case EXEC_ERRORS:
		return take_output(s, head, payload);
	case EXEC_MORE:
		return take_more(s, head, payload);
	case EXEC_ENDED:
		return take_end(relay, s, head, payload);
	default:
		return "a message of no known type";
	}
}

static void end_sessions(struct exec_relay *relay, uint32_t cvm, int32_t status, const char *why)
{
	FOR_EACH_SESSION(s, &relay->channel[cvm])
		if (s->phase != EXEC_FREE && s->phase != EXEC_OVER)
			session_end(relay, s, status, why, strlen(why));
}

static void cut_off(struct exec_relay *relay, uint32_t cvm, const char *why)
{
	message_error("%s: its libOS broke the rules of exec (%s): nothing more is started in it until it starts again",
		      relay->pod->config->cvm[cvm]->name, why);
	relay->channel[cvm].cut_off = true;
	end_sessions(relay, cvm, EXEC_STATUS_FAILED, "the cVM's libOS broke the rules of exec");
}

/* One message of the libOS. false: there is none. */
static bool read_message(struct exec_relay *relay, uint32_t cvm)
{
	struct exec_channel *c = &relay->channel[cvm];
	struct {
		struct exec_message head;
		char payload[EXEC_DATA_MAX + 1];
	} message;
	const char *why = "a message that is cut off";
	ssize_t size = c->fd < 0 || c->cut_off ? -1 : recv(c->fd, &message, EXEC_HEAD + EXEC_DATA_MAX + 1, MSG_DONTWAIT);

	if (size < 0)
		return false;
	if ((size_t)size >= EXEC_HEAD)
		why = take_message(relay, c, &message.head, message.payload, (size_t)size - EXEC_HEAD);
	if (why)
		cut_off(relay, cvm, why);
	return true;
}

static void read_channel(struct exec_relay *relay, uint32_t cvm)
{
	for (uint32_t n = 0; n < MESSAGES_MAX && read_message(relay, cvm); n++)
		;
}

void exec_relay_poll(struct exec_relay *relay, struct pollfd *entries)
{
	int used = LAUNCH_CVMS_MAX;

	for (uint32_t i = 0; i < LAUNCH_CVMS_MAX; i++) {
		struct exec_channel *c = &relay->channel[i];

		entries[i] = (struct pollfd){.fd = c->cut_off ? -1 : c->fd, .events = c->full ? POLLIN | POLLOUT : POLLIN};
		FOR_EACH_SESSION(s, c) {
			short events = (short)((session_waiting(s) ? POLLOUT : 0) | (s->in_size < EXEC_MESSAGE_MAX ? POLLIN : 0));

			s->entry = s->fd < 0 ? -1 : used++;
			if (s->entry >= 0)
				entries[s->entry] = (struct pollfd){.fd = s->fd, .events = events};
		}
	}
	while (used < (int)EXEC_POLL_MAX)
		entries[used++] = (struct pollfd){.fd = -1};
}

static void handle_client(struct exec_relay *relay, struct exec_session *s, short events)
{
	if (events & POLLIN)
		read_client(relay, s);
	else if (events & (POLLHUP | POLLERR))
		session_client_gone(relay, s);
	if (s->fd >= 0 && events & POLLOUT)
		write_client(relay, s);
}

void exec_relay_handle(struct exec_relay *relay, const struct pollfd *entries)
{
	for (uint32_t i = 0; i < LAUNCH_CVMS_MAX; i++) {
		struct exec_channel *c = &relay->channel[i];

		if (entries[i].revents & POLLOUT)
			c->full = false;
		if (entries[i].revents)
			read_channel(relay, i);
		FOR_EACH_SESSION(s, c)
			if (s->fd >= 0 && s->entry >= 0 && entries[s->entry].revents)
				handle_client(relay, s, entries[s->entry].revents);
	}
	send_all(relay);
}

static void tick_session(struct exec_relay *relay, struct exec_session *s)
{
	s->deadline_ms = 0;
	if (s->phase == EXEC_ASKED)
		session_fail(relay, s, "nothing to start was named in time");
	else if (s->fd >= 0)
		session_give_up(relay, s, "the cVM's libOS does not answer");
	else
		session_kill(s);
}

void exec_relay_tick(struct exec_relay *relay)
{
	int64_t now = clock_ms();
	bool any = false;

	for (uint32_t i = 0; i < relay->pod->config->cvms; i++)
		FOR_EACH_SESSION(s, &relay->channel[i])
			if (s->deadline_ms && s->deadline_ms <= now) {
				tick_session(relay, s);
				any = true;
			}
	if (any)
		send_all(relay);
}

int exec_relay_timeout(const struct exec_relay *relay)
{
	int64_t now = clock_ms();
	int timeout = -1;

	for (uint32_t i = 0; i < relay->pod->config->cvms; i++)
		for (uint32_t id = 0; id < EXEC_MAX; id++)
			if (relay->channel[i].session[id].deadline_ms)
				timeout = clock_sooner(timeout, now, relay->channel[i].session[id].deadline_ms);
	return timeout;
}

void exec_relay_ended(struct exec_relay *relay, uint32_t cvm)
{
	struct exec_channel *c = &relay->channel[cvm];
	char byte;

	while (read_message(relay, cvm))
		;
	end_sessions(relay, cvm, SIGKILL, "the cVM ended");
	/* What neither side has read belongs to this life. */
	while (c->fd >= 0 && recv(c->fd, &byte, 1, MSG_DONTWAIT) >= 0)
		;
	while (c->fd >= 0 && recv(c->far_end, &byte, 1, MSG_DONTWAIT) >= 0)
		;
	c->serves = c->full = c->cut_off = false;
}

static void close_channel(struct exec_relay *relay, struct exec_channel *c)
{
	FOR_EACH_SESSION(s, c)
		session_free(relay, s);
	if (c->fd >= 0)
		close(c->fd);
	if (c->far_end >= 0)
		close(c->far_end);
}

void exec_relay_end(struct exec_relay *relay)
{
	int64_t deadline = clock_ms() + END_TIMEOUT_MS;

	for (uint32_t i = 0; i < relay->pod->config->cvms; i++)
		exec_relay_ended(relay, i);
	while (relay->clients && clock_ms() < deadline) {
		struct pollfd entries[EXEC_POLL_MAX];

		exec_relay_poll(relay, entries);
		if (poll(entries, EXEC_POLL_MAX, (int)(deadline - clock_ms())) > 0)
			exec_relay_handle(relay, entries);
	}
	for (uint32_t i = 0; i < LAUNCH_CVMS_MAX; i++)
		close_channel(relay, &relay->channel[i]);
}
