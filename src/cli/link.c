/*
 * The queue of messages to the monitor: see link.h. Called by pod.c, control.c and supervise.c.
 */
#include "cli/link.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/channel.h"

/* 0, or negative errno. */
static int send_entry(int fd, const struct link_entry *entry)
{
	bool has_payload = entry->type == CHANNEL_SIGNAL;
	int32_t signal = entry->signal;
	struct channel_message header = {
		.type = entry->type, .cvm = entry->cvm, .size = has_payload ? sizeof(signal) : 0};
	struct iovec parts[2] = {{&header, sizeof(header)}, {&signal, sizeof(signal)}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = has_payload ? 2 : 1};

	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

void link_flush(struct link *link)
{
	while (link->count && link->fd >= 0) {
		int ret = send_entry(link->fd, &link->queue[link->first]);

		if (ret == -EAGAIN || ret == -EINTR || ret == -ENOBUFS)
			return;
		/* Any other error: the monitor is gone, which is noticed when the channel is read. */
		link->first = (link->first + 1) % LINK_QUEUE;
		link->count--;
	}
}

bool link_send(struct link *link, uint32_t type, uint32_t cvm, int32_t signal)
{
	if (link->fd < 0 || link->count == LINK_QUEUE)
		return false;
	link->queue[(link->first + link->count++) % LINK_QUEUE] =
		(struct link_entry){.type = type, .cvm = cvm, .signal = signal};
	link_flush(link);
	return true;
}

short link_events(const struct link *link)
{
	return link->count ? POLLIN | POLLOUT : POLLIN;
}

void link_close(struct link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	link->count = 0;
}
