/*
 * One program that `intravisor exec` started: see exec_session.h. Both buffers have a fixed size; what either side may send is bounded
 * by the room that it was given (abi/exec.h), so neither runs over.
 */
#include "cli/exec_session.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/clock.h"
#include "config/list.h"

#define ASK_TIMEOUT_MS 5000
/* What waits for a client: output, and besides it the answer to its request, EXEC_STARTED, EXEC_MORE (see session_tell_more), EXEC_ENDED. */
#define BESIDES 512u
#define OUT_MAX (EXEC_ROOM + 2 * BESIDES)
_Static_assert(BESIDES >= 3 * sizeof(struct exec_message) + sizeof(struct exec_ended) + EXEC_WHY_MAX + 32, "the others fit");

static void put_bytes(char *to, size_t *size, const void *bytes, size_t count)
{
	if (count)
		memcpy(to + *size, bytes, count);
	*size += count;
}

static void put_message(char *to, size_t *size, uint32_t type, const void *payload, size_t count)
{
	struct exec_message head = {.type = type, .size = (uint32_t)count};

	put_bytes(to, size, &head, EXEC_HEAD);
	put_bytes(to, size, payload, count);
}

bool session_is_known(const struct exec_session *s)
{
	return s->phase == EXEC_STARTING || s->phase == EXEC_RUNS;
}

void session_open(struct exec_relay *relay, struct exec_session *s, int fd, uint32_t cvm, uint32_t id)
{
	static const char accepted[] = "{\"ok\":true}\n";

	*s = (struct exec_session){.phase = EXEC_ASKED, .fd = fd, .entry = -1, .cvm = cvm, .id = id,
				   .deadline_ms = clock_ms() + ASK_TIMEOUT_MS, .in = xcalloc(1, EXEC_MESSAGE_MAX),
				   .out = xcalloc(1, OUT_MAX), .input_room = EXEC_ROOM, .output_room = EXEC_ROOM};
	relay->clients++;
	put_bytes(s->out, &s->out_size, accepted, sizeof(accepted) - 1);
}

static void close_client(struct exec_relay *relay, struct exec_session *s)
{
	if (s->fd < 0)
		return;
	close(s->fd);
	s->fd = -1;
	relay->clients--;
}

void session_free(struct exec_relay *relay, struct exec_session *s)
{
	close_client(relay, s);
	free(s->in);
	free(s->out);
	*s = (struct exec_session){.fd = -1};
}

size_t session_waiting(const struct exec_session *s)
{
	return s->out_size - s->out_sent;
}

void session_tell(struct exec_session *s, uint32_t type, const void *payload, size_t count)
{
	if (s->fd < 0)
		return;
	memmove(s->out, s->out + s->out_sent, session_waiting(s));
	s->out_size = session_waiting(s);
	s->out_sent = 0;
	if (s->out_size + EXEC_HEAD + count > OUT_MAX)
		return; /* the rooms do not let it happen; were one counted wrong, it would not be a write behind the end */
	put_message(s->out, &s->out_size, type, payload, count);
}

static void tell_end(struct exec_session *s, int32_t status, const char *why, size_t why_size)
{
	char payload[sizeof(struct exec_ended) + EXEC_WHY_MAX];
	size_t size = 0;

	put_bytes(payload, &size, &(struct exec_ended){.status = status}, sizeof(struct exec_ended));
	put_bytes(payload, &size, why, why_size < EXEC_WHY_MAX ? why_size : EXEC_WHY_MAX);
	session_tell(s, EXEC_ENDED, payload, size);
}

void session_end(struct exec_relay *relay, struct exec_session *s, int32_t status, const char *why, size_t why_size)
{
	if (s->fd < 0) {
		session_free(relay, s);
		return;
	}
	s->phase = EXEC_OVER;
	s->deadline_ms = 0;
	s->in_size = 0;
	tell_end(s, status, why, why_size);
}

void session_fail(struct exec_relay *relay, struct exec_session *s, const char *why)
{
	session_end(relay, s, EXEC_STATUS_FAILED, why, strlen(why));
}

void session_client_gone(struct exec_relay *relay, struct exec_session *s)
{
	int32_t hangup = SIGHUP;

	if (!session_is_known(s)) {
		session_free(relay, s);
		return;
	}
	close_client(relay, s);
	s->in_size = s->out_size = s->out_sent = 0;
	put_message(s->in, &s->in_size, EXEC_INPUT, NULL, 0);
	put_message(s->in, &s->in_size, EXEC_SIGNAL, &hangup, sizeof(hangup));
	s->deadline_ms = clock_ms() + relay->pod->config->cvm[s->cvm]->stop_timeout_ms;
}

void session_detach(struct exec_relay *relay, struct exec_session *s)
{
	close_client(relay, s);
	s->in_size = s->out_size = s->out_sent = 0;
	s->detached = true;
}

void session_give_up(struct exec_relay *relay, struct exec_session *s, const char *why)
{
	tell_end(s, EXEC_STATUS_FAILED, why, strlen(why));
	(void)!send(s->fd, s->out + s->out_sent, session_waiting(s), MSG_NOSIGNAL | MSG_DONTWAIT);
	session_client_gone(relay, s);
}

void session_tell_more(struct exec_session *s)
{
	if (s->input_more < EXEC_MORE_LEAST || s->output_room + session_waiting(s) > EXEC_ROOM + BESIDES / 2)
		return;
	session_tell(s, EXEC_MORE, &s->input_more, sizeof(s->input_more));
	s->input_room += s->input_more;
	s->input_more = 0;
}

void session_kill(struct exec_session *s)
{
	int32_t number = SIGKILL;

	put_message(s->in, &s->in_size, EXEC_SIGNAL, &number, sizeof(number));
}
