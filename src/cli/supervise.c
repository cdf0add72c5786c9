/*
 * Event loop beside the monitor: see supervise.h. Called by run.c, single-threaded, waits only in poll.
 * The monitor is believed about which cVM ended and how; texts that it relays come from cVMs and are printed through
 * message_lines only. The monitor asks to be killed with its parent (PR_SET_PDEATHSIG), so nothing outlives us.
 */
#include "cli/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "abi/channel.h"
#include "cli/code_service.h"
#include "cli/message.h"
#include "cli/process.h"
#include "cli/stats.h"

#define MONITOR_END_TIMEOUT_MS 10000 /* from the last cVM's end to the monitor's */

struct supervisor {
	const struct config *config;
	const struct run_options *options;
	struct code_service code;
	int event_channel, signal_fd; /* event_channel is -1 once closed */
	pid_t monitor;		      /* 0 once it has been waited for */
	int monitor_status;	      /* wait status */
	bool ready, fatal, timed_out;
	uint32_t ended_count;
	int64_t end_deadline_ms; /* 0: none yet */
	bool ended[LAUNCH_CVMS_MAX];
	struct channel_exit exits[LAUNCH_CVMS_MAX];
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void send_signal(struct supervisor *s, int32_t signal)
{
	struct channel_message header = {.type = CHANNEL_SIGNAL, .cvm = UINT32_MAX, .size = sizeof(signal)};
	struct iovec parts[2] = {{&header, sizeof(header)}, {&signal, sizeof(signal)}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	/* A full queue means that earlier signals were not taken yet: like a pending signal, this one is merged. */
	if (s->event_channel >= 0 && sendmsg(s->event_channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
	    s->options->verbose)
		message_warning("signal %d was not passed on: %s", signal, strerror(errno));
}

static void monitor_ended(struct supervisor *s, int status)
{
	s->monitor = 0;
	s->monitor_status = status;
}

static void reap_children(struct supervisor *s)
{
	int status;

	for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
		if (pid == s->monitor)
			monitor_ended(s, status);
		else
			code_service_reaped(&s->code, pid, status);
	}
}

static void handle_signals(struct supervisor *s)
{
	struct signalfd_siginfo info[8];
	ssize_t size = read(s->signal_fd, info, sizeof(info));

	for (size_t i = 0; size > 0 && i < (size_t)size / sizeof(info[0]); i++) {
		if (info[i].ssi_signo == SIGCHLD)
			reap_children(s);
		else
			send_signal(s, (int32_t)info[i].ssi_signo);
	}
}

static void handle_exit(struct supervisor *s, uint32_t cvm, const char *payload, size_t size)
{
	if (cvm >= s->config->cvms || size != sizeof(struct channel_exit) || s->ended[cvm])
		return;
	memcpy(&s->exits[cvm], payload, sizeof(struct channel_exit));
	s->ended[cvm] = true;
	if (++s->ended_count == s->config->cvms)
		s->end_deadline_ms = now_ms() + MONITOR_END_TIMEOUT_MS;
}

static void handle_text(struct supervisor *s, const struct channel_message *header, const char *text, size_t size)
{
	const char *name = header->cvm < s->config->cvms ? s->config->cvm[header->cvm]->name : "monitor";
	char prefix[LAUNCH_NAME_MAX + 32];

	if (header->type == CHANNEL_FATAL) {
		snprintf(prefix, sizeof(prefix), "intravisor: ");
		s->fatal = true;
	} else if (header->type == CHANNEL_CRASH) {
		snprintf(prefix, sizeof(prefix), "intravisor: %s: ", name);
	} else {
		snprintf(prefix, sizeof(prefix), "[%s] ", name);
	}
	message_lines(prefix, text, size);
}

/* Reads everything that is there; closes the channel at its end. */
static void handle_events(struct supervisor *s)
{
	union {
		struct channel_message header;
		char bytes[sizeof(struct channel_message) + CHANNEL_PAYLOAD_MAX];
	} message;

	while (s->event_channel >= 0) {
		ssize_t size = recv(s->event_channel, &message, sizeof(message), MSG_DONTWAIT);

		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (size <= 0) {
			close(s->event_channel);
			s->event_channel = -1;
			return;
		}
		if ((size_t)size < sizeof(message.header))
			continue;
		const char *payload = message.bytes + sizeof(message.header);
		size_t payload_size = (size_t)size - sizeof(message.header);

		if (message.header.type == CHANNEL_READY)
			s->ready = true;
		else if (message.header.type == CHANNEL_EXIT)
			handle_exit(s, message.header.cvm, payload, payload_size);
		else if (message.header.type >= CHANNEL_LOG && message.header.type <= CHANNEL_FATAL)
			handle_text(s, &message.header, payload, payload_size);
	}
}

/* The nearest deadline for poll; a monitor that does not end by itself is ended. */
static int next_timeout(struct supervisor *s)
{
	int timeout = code_service_timeout(&s->code);

	if (!s->end_deadline_ms || !s->monitor || s->timed_out)
		return timeout;
	int64_t left = s->end_deadline_ms - now_ms();
	if (left <= 0) {
		message_error("the monitor did not end after its last cVM had; it was killed");
		s->timed_out = true;
		kill(s->monitor, SIGKILL);
		return timeout;
	}
	return timeout < 0 || left < timeout ? (int)left : timeout;
}

static void loop(struct supervisor *s)
{
	while (s->monitor) {
		struct pollfd entries[2 + LAUNCH_CVMS_MAX];

		entries[0] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
		entries[1] = (struct pollfd){.fd = s->event_channel, .events = POLLIN};
		code_service_poll(&s->code, entries + 2);
		int count = poll(entries, 2 + s->code.channels, next_timeout(s));
		if (count <= 0)
			continue;
		code_service_handle(&s->code, entries + 2);
		if (entries[1].revents)
			handle_events(s);
		if (entries[0].revents)
			handle_signals(s);
	}
	handle_events(s);
}

/* The first status that is not 0, in the order of the configuration. */
static int programs_status(const struct supervisor *s)
{
	for (uint32_t i = 0; i < s->config->cvms; i++) {
		int status = stats_exit_status(&s->exits[i]);

		if (status)
			return status;
	}
	return 0;
}

static int final_status(const struct supervisor *s)
{
	char how[64];
	bool clean = WIFEXITED(s->monitor_status) && (WEXITSTATUS(s->monitor_status) == 0 || s->ended_count == s->config->cvms);

	if (WIFSIGNALED(s->monitor_status))
		snprintf(how, sizeof(how), "killed by signal %d", WTERMSIG(s->monitor_status));
	else
		snprintf(how, sizeof(how), "status %d", WEXITSTATUS(s->monitor_status));
	if (s->ended_count == s->config->cvms && !s->fatal) {
		if (!clean && !s->timed_out)
			message_error("the monitor failed after its last cVM had ended (%s)", how);
		return programs_status(s);
	}
	if (!s->fatal)
		message_error("the monitor ended unexpectedly (%s)%s", how,
			      s->ready ? "" : " before it had started (intravisor check says what is missing)");
	return EXIT_CANNOT_START;
}

static int start(struct supervisor *s, const struct helpers *helpers, struct launch_plan *plan, const sigset_t *blocked)
{
	char number[16];
	char *arguments[] = {(char[]){"intravisor-monitor"}, number, NULL};

	snprintf(number, sizeof(number), "%d", plan->launch_fd);
	pid_t pid = process_start(helpers->monitor, arguments, plan->inherit, plan->inherited, -1, blocked);
	launch_close_inherited(plan);
	if (pid < 0) {
		message_error("cannot start the monitor %s: %s", helpers->monitor, strerror((int)-pid));
		return (int)pid;
	}
	s->monitor = pid;
	return 0;
}

int supervise(const struct helpers *helpers, struct launch_plan *plan, const struct config *config,
	      const struct run_options *options)
{
	struct supervisor s = {.config = config, .options = options, .event_channel = plan->event_channel};
	sigset_t forwarded, waited;

	/* An inherited "ignore" would make the kernel reap children without telling us. */
	signal(SIGCHLD, SIG_DFL);
	process_forwarded_signals(&forwarded);
	waited = forwarded;
	sigaddset(&waited, SIGCHLD);
	sigprocmask(SIG_BLOCK, &waited, NULL);
	signal(SIGPIPE, SIG_IGN);
	s.signal_fd = signalfd(-1, &waited, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s.signal_fd < 0) {
		message_error("cannot wait for signals: %s", strerror(errno));
		launch_close(plan);
		return EXIT_CANNOT_START;
	}
	if (start(&s, helpers, plan, &forwarded)) {
		launch_close(plan);
		close(s.signal_fd);
		return EXIT_CANNOT_START;
	}
	code_service_init(&s.code, helpers->translate, plan->code_channel, config->cvms, &forwarded, options->verbose);
	loop(&s);
	if (options->verbose)
		message_note("code segments: %llu from the cache, %llu translated, %llu failed",
				(unsigned long long)s.code.loaded, (unsigned long long)s.code.translated,
				(unsigned long long)s.code.failed);
	if (options->stats)
		stats_print(config, s.ended, s.exits);
	int status = final_status(&s);
	code_service_end(&s.code);
	if (s.event_channel >= 0)
		close(s.event_channel);
	close(s.signal_fd);
	return status;
}
