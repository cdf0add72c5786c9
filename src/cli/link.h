/*
 * The command's end of the event channel: messages to the monitor wait here while the channel is full, so that nobody
 * blocks on a monitor that is blocked on us.
 */
#ifndef CLI_LINK_H
#define CLI_LINK_H

#include <stdbool.h>
#include <stdint.h>

#define LINK_QUEUE 256u

struct link_entry {
	uint32_t type, cvm; /* CHANNEL_* */
	int32_t signal;
};

struct link {
	int fd; /* -1 once closed */
	uint32_t first, count;
	struct link_entry queue[LINK_QUEUE];
};

/* `signal` is the payload of CHANNEL_SIGNAL. false: the queue is full or the channel closed; the message is dropped. */
bool link_send(struct link *link, uint32_t type, uint32_t cvm, int32_t signal);

/* Sends what waits, as far as there is room. */
void link_flush(struct link *link);

/* What to poll for. */
short link_events(const struct link *link);

void link_close(struct link *link);

#endif
