/*
 * The monitor's side of the channels to the command: events out, translation requests out and their replies in.
 * Replies are bytes of unknown origin; the memfd in one is sealed and scanned by code.c.
 */
#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "host/syscall.h"
#include "monitor/trap.h"

/* struct cmsghdr with a descriptor behind it. */
struct control_fd {
	size_t size;
	int32_t level, type, fd, pad;
};
#define CONTROL_FD(number) { .size = CMSG_LEN(sizeof(int32_t)), .level = SOL_SOCKET, .type = SCM_RIGHTS, .fd = (number) }

/* Sends one datagram, with a descriptor unless fd is -1. */
static long channel_send(int channel, const struct channel_message *m, const void *payload, int fd)
{
	struct iovec iov[2] = { { (void *)m, sizeof *m }, { (void *)payload, m->size } };
	struct control_fd control = CONTROL_FD(fd);
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = &control,
			      .msg_controllen = fd < 0 ? 0 : sizeof control };
	long r;

	do
		r = host(__NR_sendmsg, channel, &msg, MSG_NOSIGNAL | (fd < 0 ? 0 : MSG_DONTWAIT)); /* a request is given up */
	while (r == -EINTR);
	return r < 0 ? r : 0;
}

void event_send(uint32_t type, uint32_t cvm, const void *payload, uint32_t size)
{
	struct channel_message m = { .type = type, .cvm = cvm, .size = size };

	channel_send(g_arena->launch.event_channel, &m, payload, -1);
}

void event_report(uint32_t type, uint32_t cvm, const char *what, struct channel_report *numbers)
{
	memcpy(numbers->what, what, MIN(strlen(what), sizeof numbers->what));
	event_send(type, cvm, numbers, sizeof *numbers);
}

_Noreturn void host_quit(int status)
{
	for (;;)
		host(__NR_exit_group, status);
}

_Noreturn void host_die(uint32_t cvm, const char *what, struct channel_report *numbers)
{
	const struct iovec text[] = { { "intravisor: ", 12 }, { (void *)what, strlen(what) }, { "\n", 1 } };

	bool heard = g_arena && g_arena->launch.event_channel > 0;

	if (heard)
		event_report(CHANNEL_FATAL, cvm, what, numbers);
	else
		host(__NR_writev, 2, text, ARRAY_SIZE(text));
	host_quit(heard ? 124 : 125);
}

/* Translating takes long: who is to end, or to go back to a caller, does not wait for it. Kicks come again and again then. */
static bool given_up(const struct cvm *c)
{
	return LOAD(c->dying) || LOAD(current_thread()->expired);
}

/* Waits for the reply, not one to a request that a thread or a life before gave up. */
static int receive_reply(struct cvm *c, uint32_t request, int *memfd)
{
	struct {
		struct channel_message m;
		int32_t status;
		char reason[CHANNEL_PAYLOAD_MAX];
	} reply;
	struct iovec iov = { &reply, sizeof reply };
	struct control_fd control;
	struct msghdr msg;
	long r;

	do {
		host(__NR_close, *memfd); /* none, or another request's */
		control = (struct control_fd){ 0 };
		msg = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
		r = host(__NR_recvmsg, c->config->code_channel, &msg, MSG_CMSG_CLOEXEC);
		*memfd = memcmp(&control, &(struct control_fd)CONTROL_FD(0), offsetof(struct control_fd, fd)) ? -1 : control.fd;
	} while (r == -EINTR ? !given_up(c) : r > 0 && reply.m.request != request);
	if (r < (long)(sizeof reply.m + sizeof reply.status) || reply.m.type != CHANNEL_CODE_REPLY)
		return r < 0 ? (int)r : -EPROTO;
	return reply.status > -4096 && (reply.status < 0 || *memfd >= 0) ? reply.status : -EPROTO;
}

int code_request(struct cvm *c, int fd, const struct channel_code_request *request, int *memfd)
{
	struct channel_message m = { .type = CHANNEL_CODE_REQUEST, .cvm = c->index, .size = sizeof *request };

	*memfd = -1;
	for (const int64_t moment[2] = { 0, 1000000 }; !lock_try(&c->code_lock);
	     host(__NR_futex, &c->code_lock.word, FUTEX_WAIT_PRIVATE, 1, moment))
		if (given_up(c))
			return -EINTR;
	m.request = ++c->code_requests;
	int r = (int)channel_send(c->config->code_channel, &m, request, fd) ?: receive_reply(c, m.request, memfd);
	lock_give(&c->code_lock);
	return r;
}
