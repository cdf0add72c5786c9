/*
 * Serving the control socket: see control.h. Called by supervise.c. Requests are bytes of unknown origin until the peer's
 * user is known, and hostile afterwards: nothing blocks, nothing grows, every phase but following a log has a deadline.
 */
#include "cli/control.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/clock.h"
#include "cli/control_json.h"

#define READ_TIMEOUT_MS 5000
#define SEND_TIMEOUT_MS 10000
#define STATS_TIMEOUT_MS 5000
#define KILL_TIMEOUT_MS 10000 /* from SIGKILL to the end */
#define ACCEPT_PAUSE_MS 100
#define END_TIMEOUT_MS 1000
#define STOP_TIMEOUT_MAX 86400000

void control_init(struct control *control, struct control_socket *s, struct pod *pod, struct logs *logs, struct exec_relay *exec)
{
	*control = (struct control){.socket = s, .pod = pod, .logs = logs, .exec = exec};
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->client[i].fd = -1;
}

static void drop(struct control_client *client)
{
	close(client->fd);
	free(client->out);
	*client = (struct control_client){.fd = -1};
}

/* Takes over the object. */
static void reply(struct control_client *client, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	if (!text) { /* out of memory */
		drop(client);
		return;
	}
	client->out_size = strlen(text) + 1;
	client->out = xasprintf("%s\n", text);
	client->out_sent = 0;
	client->phase = CONTROL_SENDING;
	client->deadline_ms = clock_ms() + SEND_TIMEOUT_MS;
	free(text);
}

static void reply_ok(struct control_client *client)
{
	reply(client, json_pack("{s:b}", "ok", 1));
}

/* What is wrong, behind the name of what it is about, if there is one. */
static void reply_error(struct control_client *client, const char *problem, const char *name)
{
	char text[256];

	snprintf(text, sizeof(text), "%s%s%s", name ? name : "", name ? " " : "", problem);
	reply(client, json_pack("{s:b, s:s}", "ok", 0, "error", text));
}

static void reply_pod(const struct control *control, struct control_client *client, bool stats)
{
	reply(client, control_json_pod(control->pod, control->socket->name, stats));
}

static bool done(const struct control *control, const struct control_client *client, uint32_t i)
{
	const struct pod_cvm *c = &control->pod->cvm[i];

	return c->state == POD_ENDED || c->starts != client->starts[i];
}

static void wait_for_cvm(struct control *control, struct control_client *client, uint32_t i, uint32_t timeout_ms)
{
	client->phase = CONTROL_WAIT_CVM;
	client->waiting = 1u << i;
	client->starts[i] = control->pod->cvm[i].starts;
	client->deadline_ms = clock_ms() + timeout_ms + KILL_TIMEOUT_MS;
}

struct request {
	const char *command;
	int cvm; /* -1: none was named */
	bool follow;
	const json_t *tail; /* a null pointer: all that is kept */
	const json_t *timeout; /* a null pointer: the cVM's own */
	int signal;
};

static uint32_t stop_timeout(const struct control *control, const struct request *r, uint32_t cvm)
{
	return r->timeout ? (uint32_t)json_integer_value(r->timeout) : control->pod->config->cvm[cvm]->stop_timeout_ms;
}

/* ---- of a pod, or of the cVM that is named ---- */

static void serve_status(struct control *control, struct control_client *client, const struct request *r)
{
	(void)r;
	reply_pod(control, client, false);
}

static void serve_stats(struct control *control, struct control_client *client, const struct request *r)
{
	(void)r;
	for (uint32_t i = 0; i < control->pod->config->cvms; i++) {
		enum pod_state state = control->pod->cvm[i].state;

		if ((state == POD_RUNNING || state == POD_STOPPING) && link_send(control->pod->link, CHANNEL_STATS, i, 0))
			client->waiting |= 1u << i;
	}
	client->phase = CONTROL_WAIT_STATS;
	client->deadline_ms = clock_ms() + STATS_TIMEOUT_MS;
}

static void serve_signal(struct control *control, struct control_client *client, const struct request *r)
{
	const struct config *config = control->pod->config;
	const char *problem = "no cVM is running";
	bool any = false;

	for (uint32_t i = 0; i < config->cvms; i++) {
		if (r->cvm >= 0 && i != (uint32_t)r->cvm)
			continue;
		problem = pod_kill(control->pod, i, r->signal);
		any |= !problem;
	}
	if (any)
		reply_ok(client);
	else
		reply_error(client, problem, r->cvm >= 0 ? config->cvm[r->cvm]->name : "the pod");
}

static void stop_pod(struct control *control, struct control_client *client, const struct request *r)
{
	uint32_t longest = 0;

	pod_end(control->pod);
	for (uint32_t i = 0; i < control->pod->config->cvms; i++) {
		uint32_t ms = stop_timeout(control, r, i);
		const char *problem = pod_stop(control->pod, i, ms);

		longest = ms > longest ? ms : longest;
		if (problem) {
			reply_error(client, problem, control->pod->config->cvm[i]->name);
			return;
		}
	}
	client->phase = CONTROL_WAIT_POD;
	client->deadline_ms = clock_ms() + longest + 2 * KILL_TIMEOUT_MS;
}

/* ---- of one cVM ---- */

/* Ends it, by pod_stop or pod_restart; the answer comes when it has ended. */
static void end_cvm(struct control *control, struct control_client *client, const struct request *r,
		    const char *(*end)(struct pod *pod, uint32_t i, uint32_t timeout_ms))
{
	uint32_t i = (uint32_t)r->cvm, ms = stop_timeout(control, r, i);

	wait_for_cvm(control, client, i, ms);
	const char *problem = end(control->pod, i, ms);
	if (problem)
		reply_error(client, problem, control->pod->config->cvm[i]->name);
}

static void serve_stop(struct control *control, struct control_client *client, const struct request *r)
{
	if (r->cvm < 0)
		stop_pod(control, client, r);
	else
		end_cvm(control, client, r, pod_stop);
}

static void serve_restart(struct control *control, struct control_client *client, const struct request *r)
{
	end_cvm(control, client, r, pod_restart);
}

static void serve_start(struct control *control, struct control_client *client, const struct request *r)
{
	const char *problem = pod_start(control->pod, (uint32_t)r->cvm);

	if (problem)
		reply_error(client, problem, control->pod->config->cvm[r->cvm]->name);
	else
		reply_ok(client);
}

static void serve_logs(struct control *control, struct control_client *client, const struct request *r)
{
	uint32_t i = (uint32_t)r->cvm;

	logs_drain(control->logs, i);
	if (!control->logs->ring[i].bytes) {
		reply_error(client, "output is not captured (write logs: capture into the YAML file, or use run --detach)",
			    "the pod's");
		return;
	}
	client->log_cvm = i;
	client->log_follow = r->follow;
	client->log_at = r->tail ? logs_lines_start(control->logs, i, (uint64_t)json_integer_value(r->tail)) : logs_start(control->logs, i);
	client->log_until = r->follow ? UINT64_MAX : control->logs->ring[i].end;
	reply_ok(client);
}

static void serve_exec(struct control *control, struct control_client *client, const struct request *r)
{
	const char *problem = exec_relay_accept(control->exec, client->fd, (uint32_t)r->cvm);

	if (problem)
		reply_error(client, problem, control->pod->config->cvm[r->cvm]->name);
	else
		*client = (struct control_client){.fd = -1};
}

static const struct {
	const char *command;
	bool one_cvm; /* has to be named */
	void (*serve)(struct control *control, struct control_client *client, const struct request *r);
} g_requests[] = {
	{"status", false, serve_status}, {"stats", false, serve_stats}, {"signal", false, serve_signal}, {"stop", false, serve_stop},
	{"start", true, serve_start}, {"restart", true, serve_restart}, {"logs", true, serve_logs}, {"exec", true, serve_exec},
};

/* A null pointer, or what is wrong. */
static const char *read_request(const struct control *control, const json_t *object, struct request *request)
{
	const char *cvm = json_string_value(json_object_get(object, "cvm"));
	const json_t *signal = json_object_get(object, "signal");

	request->command = json_string_value(json_object_get(object, "command"));
	request->follow = json_is_true(json_object_get(object, "follow"));
	request->tail = json_object_get(object, "tail");
	request->timeout = json_object_get(object, "timeout_ms");
	request->cvm = -1;
	if (!request->command)
		return "the request names no command";
	if (request->timeout && (!json_is_integer(request->timeout) || json_integer_value(request->timeout) < 0 ||
				 json_integer_value(request->timeout) > STOP_TIMEOUT_MAX))
		return "timeout_ms is not a time of at most a day";
	if (request->tail && (!json_is_integer(request->tail) || json_integer_value(request->tail) < 0))
		return "tail is not a number of lines";
	if (signal && (!json_is_integer(signal) || json_integer_value(signal) < 1 || json_integer_value(signal) > 64))
		return "signal is not a number from 1 to 64";
	if (signal && json_integer_value(signal) == EXEC_WAKE_SIGNAL)
		return "signal 32 cannot be sent: it is kept for exec";
	request->signal = signal ? (int)json_integer_value(signal) : SIGTERM;
	if (!json_object_get(object, "cvm"))
		return NULL;
	for (uint32_t i = 0; cvm && i < control->pod->config->cvms; i++)
		if (strcmp(control->pod->config->cvm[i]->name, cvm) == 0)
			request->cvm = (int)i;
	return request->cvm < 0 ? "the pod has no cVM of this name" : NULL;
}

static void serve(struct control *control, struct control_client *client, const json_t *object)
{
	struct request r;
	const char *problem = read_request(control, object, &r);

	for (size_t i = 0; !problem && i < sizeof(g_requests) / sizeof(g_requests[0]); i++) {
		if (strcmp(g_requests[i].command, r.command) != 0)
			continue;
		if (g_requests[i].one_cvm && r.cvm < 0)
			reply_error(client, "the request names no cVM", NULL);
		else
			g_requests[i].serve(control, client, &r);
		return;
	}
	reply_error(client, problem ? problem : "unknown command (status, stats, signal, start, stop, restart, logs or exec)", NULL);
}

static void read_client(struct control *control, struct control_client *client)
{
	ssize_t size = recv(client->fd, client->in + client->in_size, sizeof(client->in) - client->in_size, MSG_DONTWAIT);
	json_error_t error;

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0) {
		drop(client);
		return;
	}
	client->in_size += (size_t)size;
	const char *newline = memchr(client->in, '\n', client->in_size);
	if (!newline && client->in_size < sizeof(client->in))
		return;
	if (!newline) {
		reply_error(client, "the request is too long", NULL);
		return;
	}
	json_t *object = json_loadb(client->in, (size_t)(newline - client->in), JSON_REJECT_DUPLICATES, &error);
	if (json_is_object(object))
		serve(control, client, object);
	else
		reply_error(client, "the request is not a JSON object", NULL);
	json_decref(object);
}

/* The ring has moved on: says so, and goes on with what is there. */
static void skip_lost(const struct control *control, struct control_client *client)
{
	uint64_t start = logs_start(control->logs, client->log_cvm);

	if (client->log_at >= start)
		return;
	free(client->out);
	client->out = xasprintf("\n[%llu bytes of output were dropped]\n", (unsigned long long)(start - client->log_at));
	client->out_size = strlen(client->out);
	client->out_sent = 0;
	client->log_at = start;
}

static bool follows(const struct control *control, const struct control_client *client)
{
	return client->log_follow && control->pod->cvm[client->log_cvm].state != POD_ENDED;
}

static size_t log_left(const struct control *control, const struct control_client *client, struct iovec pieces[2])
{
	if (!client->log_until)
		return 0;
	logs_pieces(control->logs, client->log_cvm, client->log_at, client->log_until, pieces);
	return pieces[0].iov_len + pieces[1].iov_len;
}

static void send_client(struct control *control, struct control_client *client)
{
	struct iovec pieces[3] = {{0}};

	if (client->out_sent == client->out_size && client->log_until)
		skip_lost(control, client);
	size_t out = client->out_size - client->out_sent;
	pieces[0] = (struct iovec){client->out + client->out_sent, out};
	size_t left = log_left(control, client, pieces + 1);
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 3};
	ssize_t sent = out + left ? sendmsg(client->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent < 0) {
		drop(client);
		return;
	}
	size_t of_out = (size_t)sent < out ? (size_t)sent : out;
	client->out_sent += of_out;
	client->log_at += (size_t)sent - of_out;
	client->deadline_ms = clock_ms() + SEND_TIMEOUT_MS;
	if ((size_t)sent < out + left)
		return;
	if (!follows(control, client))
		drop(client);
	else
		client->deadline_ms = 0; /* until there is more */
}

/* A free place. One that went away makes room, and one that has not said yet what it wants; the oldest of these has the
 * earliest deadline. */
static struct control_client *free_client(struct control *control)
{
	struct control_client *oldest = NULL;

	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->client[i];
		struct pollfd gone = {.fd = client->fd};

		if (client->phase > CONTROL_READING && poll(&gone, 1, 0) > 0)
			drop(client);
		if (client->phase == CONTROL_FREE)
			return client;
		if (client->phase == CONTROL_READING && (!oldest || client->deadline_ms < oldest->deadline_ms))
			oldest = client;
	}
	if (oldest)
		drop(oldest);
	return oldest;
}

static void accept_client(struct control *control, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct control_client *client = free_client(control);

	if (!client) {
		static const char busy[] = "{\"ok\": false, \"error\": \"the pod has too many clients (try again)\"}\n";

		(void)!send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(fd);
		return;
	}
	*client = (struct control_client){
		.phase = CONTROL_READING, .fd = fd, .deadline_ms = clock_ms() + READ_TIMEOUT_MS};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		drop(client);
	else if (peer.uid != geteuid() && peer.uid != 0)
		reply_error(client, "only the user who started the pod, and root, may control it", NULL);
}

static void accept_clients(struct control *control)
{
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		int fd = accept4(control->socket->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			accept_client(control, fd);
		else if (errno == EAGAIN || errno == EINTR)
			return;
		else if (errno != ECONNABORTED) { /* no descriptors, no memory: not in a busy loop */
			control->accept_again_ms = clock_ms() + ACCEPT_PAUSE_MS;
			return;
		}
	}
}

void control_poll(const struct control *control, struct pollfd *entries)
{
	entries[0] = (struct pollfd){.fd = control->accept_again_ms ? -1 : control->socket->listener, .events = POLLIN};
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		const struct control_client *client = &control->client[i];
		struct iovec pieces[2];
		short events = 0; /* a peer that has gone is noticed all the same */

		if (client->phase == CONTROL_READING)
			events = POLLIN;
		else if (client->phase == CONTROL_SENDING &&
			 (client->out_sent < client->out_size || log_left(control, client, pieces) || !follows(control, client)))
			events = POLLOUT;
		entries[1 + i] = (struct pollfd){.fd = client->fd, .events = events};
	}
}

void control_handle(struct control *control, const struct pollfd *entries)
{
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->client[i];
		short events = entries[1 + i].revents;

		if (!events || client->phase == CONTROL_FREE)
			continue;
		if (client->phase == CONTROL_READING)
			read_client(control, client);
		else if (events & (POLLHUP | POLLERR))
			drop(client);
		else if (client->phase == CONTROL_SENDING)
			send_client(control, client);
	}
	if (entries[0].revents)
		accept_clients(control);
}

void control_stats(struct control *control, uint32_t i)
{
	for (uint32_t k = 0; k < CONTROL_CLIENTS_MAX; k++)
		if (control->client[k].phase == CONTROL_WAIT_STATS)
			control->client[k].waiting &= ~(1u << i);
}

static void tick_client(struct control *control, struct control_client *client, int64_t now)
{
	bool late = client->deadline_ms && client->deadline_ms <= now;

	if (client->phase == CONTROL_WAIT_STATS) {
		if (!client->waiting || late)
			reply_pod(control, client, true);
	} else if (client->phase == CONTROL_WAIT_CVM) {
		for (uint32_t i = 0; i < control->pod->config->cvms; i++)
			if (client->waiting & 1u << i && done(control, client, i))
				client->waiting &= ~(1u << i);
		if (!client->waiting)
			reply_ok(client);
		else if (late)
			reply_error(client, "the cVM has not ended yet", NULL);
	} else if (client->phase == CONTROL_WAIT_POD) {
		if (late)
			reply_error(client, "the pod has not ended yet", NULL);
	} else if (late) {
		drop(client);
	} else if (client->phase == CONTROL_SENDING && client->log_until && !client->deadline_ms) {
		struct iovec pieces[2];

		/* From now on it has to take what there is. */
		if (log_left(control, client, pieces))
			client->deadline_ms = now + SEND_TIMEOUT_MS;
	}
}

void control_tick(struct control *control)
{
	int64_t now = clock_ms();

	if (control->accept_again_ms && control->accept_again_ms <= now)
		control->accept_again_ms = 0;
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		tick_client(control, &control->client[i], now);
}

int control_timeout(const struct control *control)
{
	int64_t now = clock_ms();
	int timeout = -1;

	if (control->accept_again_ms)
		timeout = clock_sooner(timeout, now, control->accept_again_ms);
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->client[i].deadline_ms)
			timeout = clock_sooner(timeout, now, control->client[i].deadline_ms);
	return timeout;
}

void control_end(struct control *control)
{
	int64_t deadline = clock_ms() + END_TIMEOUT_MS;
	bool left = true;

	control_socket_close(control->socket, true);
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->client[i];

		if (client->phase == CONTROL_WAIT_STATS)
			reply_pod(control, client, true);
		else if (client->phase == CONTROL_WAIT_CVM || client->phase == CONTROL_WAIT_POD)
			reply_ok(client);
		else if (client->phase == CONTROL_READING)
			drop(client);
	}
	while (left && clock_ms() < deadline) {
		struct pollfd entries[CONTROL_POLL_MAX];

		left = false;
		control_poll(control, entries);
		for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
			left |= control->client[i].phase != CONTROL_FREE;
		if (left && poll(entries, CONTROL_POLL_MAX, (int)(deadline - clock_ms())) > 0)
			control_handle(control, entries);
	}
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->client[i].phase != CONTROL_FREE)
			drop(&control->client[i]);
}
