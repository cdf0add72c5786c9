/*
 * Rings of captured output: see logs.h. Called by supervise.c, read by control.c. The bytes are hostile and are only
 * moved.
 */
#include "cli/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/list.h"

/* From one cVM at a time, so that none can keep the others waiting. */
#define READS_MAX 8

void logs_init(struct logs *logs, const int *pipes, uint32_t count)
{
	*logs = (struct logs){.count = count};
	for (uint32_t i = 0; i < count; i++) {
		logs->ring[i].pipe = pipes[i];
		if (pipes[i] < 0)
			continue;
		fcntl(pipes[i], F_SETFL, O_RDONLY | O_NONBLOCK);
		logs->ring[i].bytes = xcalloc(1, LOGS_SIZE);
	}
}

static void close_pipe(struct log_ring *ring)
{
	if (ring->pipe >= 0)
		close(ring->pipe);
	ring->pipe = -1;
}

void logs_end(struct logs *logs)
{
	for (uint32_t i = 0; i < logs->count; i++) {
		close_pipe(&logs->ring[i]);
		free(logs->ring[i].bytes);
		logs->ring[i].bytes = NULL;
	}
}

void logs_poll(const struct logs *logs, struct pollfd *entries)
{
	for (uint32_t i = 0; i < logs->count; i++)
		entries[i] = (struct pollfd){.fd = logs->ring[i].pipe, .events = POLLIN};
}

void logs_drain(struct logs *logs, uint32_t i)
{
	struct log_ring *ring = &logs->ring[i];
	char bytes[65536];

	for (int reads = 0; reads < READS_MAX && ring->pipe >= 0; reads++) {
		ssize_t size = read(ring->pipe, bytes, sizeof(bytes));

		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (size <= 0)
			close_pipe(ring);
		else
			logs_add(logs, i, bytes, (size_t)size);
	}
}

void logs_handle(struct logs *logs, const struct pollfd *entries)
{
	for (uint32_t i = 0; i < logs->count; i++)
		if (entries[i].revents)
			logs_drain(logs, i);
}

void logs_add(struct logs *logs, uint32_t i, const char *text, size_t size)
{
	struct log_ring *ring = &logs->ring[i];

	while (ring->bytes && size) {
		size_t at = ring->end % LOGS_SIZE;
		size_t part = size < LOGS_SIZE - at ? size : LOGS_SIZE - at;

		memcpy(ring->bytes + at, text, part);
		ring->end += part;
		text += part;
		size -= part;
	}
}

uint64_t logs_start(const struct logs *logs, uint32_t i)
{
	uint64_t end = logs->ring[i].end;

	return end > LOGS_SIZE ? end - LOGS_SIZE : 0;
}

uint64_t logs_lines_start(const struct logs *logs, uint32_t i, uint64_t count)
{
	const struct log_ring *ring = &logs->ring[i];
	uint64_t start = logs_start(logs, i), at = ring->end;

	/* The newline that ends the last line begins none. */
	while (count && at > start)
		count -= --at > start && ring->bytes[(at - 1) % LOGS_SIZE] == '\n';
	return at;
}

void logs_pieces(const struct logs *logs, uint32_t i, uint64_t at, uint64_t until, struct iovec pieces[2])
{
	const struct log_ring *ring = &logs->ring[i];
	uint64_t start = logs_start(logs, i);

	at = at > start ? at : start;
	until = until < ring->end ? until : ring->end;
	size_t size = at < until ? (size_t)(until - at) : 0, from = at % LOGS_SIZE;
	size_t first = size < LOGS_SIZE - from ? size : LOGS_SIZE - from;

	pieces[0] = (struct iovec){ring->bytes + from, first};
	pieces[1] = (struct iovec){ring->bytes, size - first};
}
