/*
 * cVMs' logs: see lines.h. Called by supervise.c. The bytes are hostile and are printed through message_lines only.
 */
#include "cli/lines.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/boot.h"
#include "cli/clock.h"
#include "cli/message.h"

/* Of one cVM at a time, so that none can keep the others waiting. */
#define MESSAGES_MAX 64u

void lines_init(struct lines *lines, const int *sockets, bool unlimited, struct pod *pod, struct logs *logs)
{
	*lines = (struct lines){.pod = pod, .logs = logs, .unlimited = unlimited};
	for (uint32_t i = 0; i < pod->config->cvms; i++) {
		lines->of[i].socket = sockets[i];
		lines->of[i].tokens = pod->config->cvm[i]->log_rate;
		lines->of[i].time_ms = clock_ms();
	}
}

static void close_socket(struct lines *lines, uint32_t i)
{
	if (lines->of[i].socket >= 0)
		close(lines->of[i].socket);
	lines->of[i].socket = -1;
}

void lines_end(struct lines *lines)
{
	for (uint32_t i = 0; i < lines->pod->config->cvms; i++)
		close_socket(lines, i);
}

void lines_poll(const struct lines *lines, struct pollfd *entries)
{
	bool room = message_room();

	for (uint32_t i = 0; i < lines->pod->config->cvms; i++)
		entries[i] = (struct pollfd){.fd = room ? lines->of[i].socket : -1, .events = POLLIN};
	if (!room)
		message_poll(&entries[LAUNCH_CVMS_MAX]);
}

/* Token bucket: one second's worth of bytes. */
static bool admit(struct lines *lines, uint32_t i, size_t size)
{
	uint64_t rate = lines->pod->config->cvm[i]->log_rate;
	int64_t now = clock_ms(), elapsed = now - lines->of[i].time_ms;

	if (lines->unlimited)
		return true;
	uint64_t more = elapsed < 1000 ? rate * (uint64_t)elapsed / 1000 : rate;
	lines->of[i].tokens = lines->of[i].tokens + more < rate ? lines->of[i].tokens + more : rate;
	lines->of[i].time_ms = now;
	if (lines->of[i].tokens < size) {
		lines->pod->cvm[i].log_dropped += size;
		return false;
	}
	lines->of[i].tokens -= size;
	return true;
}

void lines_print(struct lines *lines, uint32_t i, bool crash, const char *text, size_t size)
{
	char prefix[LAUNCH_NAME_MAX + 32];

	snprintf(prefix, sizeof(prefix), crash ? "intravisor: %s: " : "[%s] ", lines->pod->config->cvm[i]->name);
	message_lines(prefix, text, size);
	logs_add(lines->logs, i, prefix, strlen(prefix));
	logs_add(lines->logs, i, text, size);
	logs_add(lines->logs, i, "\n", size && text[size - 1] == '\n' ? 0 : 1);
}

/* false: nothing is there. A message may be empty, so only the kernel's word tells the end: nobody writes, and no byte is left. */
static bool read_message(struct lines *lines, uint32_t i)
{
	struct pollfd gone = {.fd = lines->of[i].socket};
	char bytes[1 + BOOT_LOG_MAX];
	int left = 0;
	ssize_t size = gone.fd < 0 ? -1 : recv(gone.fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (size > 1 && admit(lines, i, (size_t)size - 1))
		lines_print(lines, i, bytes[0] == BOOT_LOG_CRASH, bytes + 1, (size_t)size - 1);
	if (size == 0 && poll(&gone, 1, 0) > 0 && ioctl(gone.fd, FIONREAD, &left) == 0 && left == 0)
		close_socket(lines, i);
	return size >= 0;
}

void lines_drain(struct lines *lines, uint32_t i, bool ended)
{
	/* Nobody writes for a cVM that has ended, and the kernel keeps only so many. */
	for (uint32_t n = 0; (ended || (n < MESSAGES_MAX && message_room())) && read_message(lines, i); n++)
		;
}

void lines_handle(struct lines *lines, const struct pollfd *entries)
{
	for (uint32_t i = 0; i < lines->pod->config->cvms; i++)
		if (entries[i].revents && message_room())
			lines_drain(lines, i, false);
}
