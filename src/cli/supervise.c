/*
 * Event loop beside the monitor: see supervise.h. Called by run.c, single-threaded, waits only in poll.
 * The monitor is believed about which cVM ended and how; texts of cVMs are printed through message_lines only (lines.c).
 * The monitor asks to be killed with its parent (PR_SET_PDEATHSIG), so nothing outlives us.
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/channel.h"
#include "cli/clock.h"
#include "cli/code_service.h"
#include "cli/control.h"
#include "cli/detach.h"
#include "cli/exec_relay.h"
#include "cli/user_limits.h"
#include "cli/lines.h"
#include "cli/logs.h"
#include "cli/message.h"
#include "cli/pod.h"
#include "cli/process.h"
#include "cli/stats.h"
#include "cli/terminal.h"
#include "config/list.h"

#define MONITOR_END_TIMEOUT_MS 10000 /* from the last cVM's end to the monitor's */
#define DETACH_TIMEOUT_MS 10000	     /* as long may programs be loaded before the command goes to the background all the same */
#define MONITOR_SAID_WHY 125	     /* its status when it could not start and has said so on standard error; else it sends an event */

struct supervisor {
	const struct config *config;
	const struct run_options *options;
	struct code_service code;
	struct link link;
	struct pod pod;
	struct logs logs;
	struct lines lines;
	struct control control;
	struct exec_relay exec;
	int signal_fd;
	pid_t monitor;		      /* 0 once it has been waited for */
	int monitor_status;	      /* wait status */
	bool ready, fatal, timed_out;
	int64_t end_deadline_ms; /* 0: none yet */
	int64_t detach_deadline_ms; /* whoever started us waits until the programs have begun, or until then; 0: not, or not yet */
};

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

/* The program has been stopped: whoever started the command gets the terminal, as if the command were that program. In a group that nobody
 * could let go on SIGTSTP stops nobody, and all goes on. */
static void stop(struct supervisor *s)
{
	sigset_t set, pending;

	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	if (s->monitor)
		kill(s->monitor, SIGSTOP);
	signal(SIGTSTP, SIG_DFL);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGTSTP, SIG_IGN);
	if (s->monitor)
		kill(s->monitor, SIGCONT);
	sigpending(&pending);
	if (!sigismember(&pending, SIGCONT)) /* else that is passed on */
		pod_signal(&s->pod, SIGCONT);
	s->exec.stopped = false;
}

static void handle_signals(struct supervisor *s)
{
	struct signalfd_siginfo info[8];
	ssize_t size = read(s->signal_fd, info, sizeof(info));

	for (size_t i = 0; size > 0 && i < (size_t)size / sizeof(info[0]); i++) {
		if (info[i].ssi_signo == SIGCHLD)
			reap_children(s);
		else if (info[i].ssi_signo == SIGTSTP && s->pod.cvm[0].state != POD_RUNNING)
			stop(s);
		else
			pod_signal(&s->pod, (int)info[i].ssi_signo);
	}
}

static void handle_ready(struct supervisor *s)
{
	s->ready = true;
	if (s->options->detached)
		s->detach_deadline_ms = clock_ms() + DETACH_TIMEOUT_MS;
}

static void handle_exit(struct supervisor *s, uint32_t cvm, const char *payload, size_t size)
{
	struct channel_exit exit;

	if (cvm >= s->config->cvms || size != sizeof(exit))
		return;
	memcpy(&exit, payload, sizeof(exit));
	logs_drain(&s->logs, cvm);
	lines_drain(&s->lines, cvm, true);
	exec_relay_ended(&s->exec, cvm);
	pod_ended(&s->pod, cvm, &exit);
	control_stats(&s->control, cvm);
}

static void handle_stats(struct supervisor *s, uint32_t cvm, const char *payload, size_t size)
{
	if (cvm >= s->config->cvms || size != sizeof(struct cvm_stats))
		return;
	memcpy(&s->pod.cvm[cvm].stats, payload, size);
	control_stats(&s->control, cvm);
}

/* Words and numbers of the monitor become a crash report's text. */
static void handle_report(struct supervisor *s, const struct channel_message *header, const char *payload, size_t size)
{
	struct channel_report report;
	char *text;

	if (size != sizeof(report))
		return;
	memcpy(&report, payload, sizeof(report));
	int length = (int)strnlen(report.what, sizeof(report.what));
	if (report.signal)
		text = xasprintf("%.*s: signal %d at 0x%llx, address 0x%llx", length, report.what, report.signal,
				 (unsigned long long)report.rip, (unsigned long long)report.address);
	else if (report.error)
		text = xasprintf("%.*s: %s%s", length, report.what, strerror(-report.error), limits_remedy(-report.error));
	else
		text = xasprintf("%.*s", length, report.what);
	if (header->cvm < s->config->cvms) {
		lines_drain(&s->lines, header->cvm, false); /* it said that before */
		lines_print(&s->lines, header->cvm, true, text, strlen(text));
	} else {
		message_lines("intravisor: ", text, strlen(text));
	}
	s->fatal |= header->type == CHANNEL_FATAL;
	free(text);
}

/* Reads everything that is there; closes the channel at its end. */
static void handle_events(struct supervisor *s)
{
	union {
		struct channel_message header;
		char bytes[sizeof(struct channel_message) + CHANNEL_PAYLOAD_MAX];
	} message;

	while (s->link.fd >= 0) {
		ssize_t size = recv(s->link.fd, &message, sizeof(message), MSG_DONTWAIT);

		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (size <= 0) {
			link_close(&s->link);
			return;
		}
		if ((size_t)size < sizeof(message.header))
			continue;
		const char *payload = message.bytes + sizeof(message.header);
		size_t payload_size = (size_t)size - sizeof(message.header);

		if (message.header.type == CHANNEL_READY)
			handle_ready(s);
		else if (message.header.type == CHANNEL_STATS_NOW)
			handle_stats(s, message.header.cvm, payload, payload_size);
		else if (message.header.type == CHANNEL_EXIT)
			handle_exit(s, message.header.cvm, payload, payload_size);
		else if (message.header.type == CHANNEL_REPORT || message.header.type == CHANNEL_FATAL)
			handle_report(s, &message.header, payload, payload_size);
	}
}

/* What time and the last messages have made due. The monitor ends by itself, or, when it stays, by the channel's end. */
static void tick(struct supervisor *s)
{
	pod_tick(&s->pod);
	control_tick(&s->control);
	exec_relay_tick(&s->exec);
	if (s->detach_deadline_ms && (pod_begun(&s->pod) || clock_ms() >= s->detach_deadline_ms)) {
		detach_ready(s->options->detached);
		s->detach_deadline_ms = 0;
	}
	if (!s->end_deadline_ms && pod_over(&s->pod)) {
		s->end_deadline_ms = clock_ms() + MONITOR_END_TIMEOUT_MS;
		if (s->config->stay)
			link_close(&s->link);
	}
	if (s->end_deadline_ms && s->monitor && !s->timed_out && clock_ms() >= s->end_deadline_ms) {
		message_error("the monitor did not end after its last cVM had; it was killed");
		s->timed_out = true;
		kill(s->monitor, SIGKILL);
	}
}

static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int next_timeout(struct supervisor *s)
{
	int timeout = sooner(code_service_timeout(&s->code), sooner(pod_timeout(&s->pod), sooner(control_timeout(&s->control), exec_relay_timeout(&s->exec))));

	if (s->detach_deadline_ms)
		timeout = clock_sooner(timeout, clock_ms(), s->detach_deadline_ms);
	if (s->end_deadline_ms && !s->timed_out)
		timeout = clock_sooner(timeout, clock_ms(), s->end_deadline_ms);
	return timeout;
}

#define POLL_CODE 2
#define POLL_LOGS (POLL_CODE + LAUNCH_CVMS_MAX)
#define POLL_LINES (POLL_LOGS + LAUNCH_CVMS_MAX)
#define POLL_CONTROL (POLL_LINES + LINES_POLL_MAX)
#define POLL_EXEC (POLL_CONTROL + CONTROL_POLL_MAX)
#define POLL_COUNT (POLL_EXEC + EXEC_POLL_MAX)
_Static_assert(POLL_COUNT <= LIMITS_FILES, "poll refuses more entries than there may be open files");

/* Without events neither a signal nor the monitor's end would be seen. */
static void cannot_wait(struct supervisor *s, int error)
{
	message_error("cannot wait for events: %s%s; the run was ended", strerror(error), limits_remedy(error));
	s->fatal = true;
	kill(s->monitor, SIGKILL);
	while (waitpid(s->monitor, &s->monitor_status, 0) < 0 && errno == EINTR)
		;
	s->monitor = 0;
}

static void loop(struct supervisor *s)
{
	while (s->monitor) {
		struct pollfd entries[POLL_COUNT];

		memset(entries, -1, sizeof(entries)); /* not every cVM exists: no descriptor */
		tick(s);
		entries[0] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
		entries[1] = (struct pollfd){.fd = s->link.fd, .events = link_events(&s->link)};
		code_service_poll(&s->code, entries + POLL_CODE);
		logs_poll(&s->logs, entries + POLL_LOGS);
		lines_poll(&s->lines, entries + POLL_LINES);
		control_poll(&s->control, entries + POLL_CONTROL);
		exec_relay_poll(&s->exec, entries + POLL_EXEC);
		int count = poll(entries, POLL_COUNT, next_timeout(s));
		if (count < 0 && errno != EINTR) {
			cannot_wait(s, errno);
			break;
		}
		if (count == 0)
			code_service_idle(&s->code);
		if (count <= 0)
			continue;
		code_service_handle(&s->code, entries + POLL_CODE);
		logs_handle(&s->logs, entries + POLL_LOGS);
		lines_handle(&s->lines, entries + POLL_LINES);
		if (entries[1].revents & POLLOUT)
			link_flush(&s->link);
		if (entries[1].revents & ~POLLOUT)
			handle_events(s);
		exec_relay_handle(&s->exec, entries + POLL_EXEC);
		control_handle(&s->control, entries + POLL_CONTROL);
		if (entries[0].revents)
			handle_signals(s);
		if (s->exec.stopped)
			stop(s);
	}
	handle_events(s);
	for (uint32_t i = 0; i < s->config->cvms; i++) {
		logs_drain(&s->logs, i);
		lines_drain(&s->lines, i, true);
	}
}

static int final_status(const struct supervisor *s)
{
	char how[64];
	bool over = pod_over(&s->pod);
	bool clean = WIFEXITED(s->monitor_status) && (WEXITSTATUS(s->monitor_status) == 0 || over);

	if (WIFSIGNALED(s->monitor_status))
		snprintf(how, sizeof(how), "killed by signal %d", WTERMSIG(s->monitor_status));
	else
		snprintf(how, sizeof(how), "status %d", WEXITSTATUS(s->monitor_status));
	if (over && !s->fatal) {
		if (!clean && !s->timed_out)
			message_error("the monitor failed after its last cVM had ended (%s)", how);
		return pod_status(&s->pod);
	}
	bool said = s->fatal || (WIFEXITED(s->monitor_status) && WEXITSTATUS(s->monitor_status) == MONITOR_SAID_WHY);
	bool killed = WIFSIGNALED(s->monitor_status) && WTERMSIG(s->monitor_status) == SIGKILL;
	if (!said)
		message_error("the monitor ended unexpectedly (%s)%s", how,
			      killed ? ": somebody killed it, or opened a file of the code cache for writing, or the kernel wanted memory (see dmesg) or CPU "
				"time (ulimit -t)"
			      : s->ready ? "" : " before it had started (intravisor check says what is missing)");
	return EXIT_CANNOT_START;
}

static int start(struct supervisor *s, const struct helpers *helpers, struct launch_plan *plan, const sigset_t *blocked)
{
	char description[32];
	char *arguments[] = {(char[]){"intravisor-monitor"}, description, NULL};

	snprintf(description, sizeof(description), "/proc/self/fd/%d", plan->launch_fd);
	mode_t mask = umask(0); /* each cVM has its own; the monitor's would be applied on top */
	pid_t pid = process_start(helpers->monitor, arguments, plan->inherit, plan->inherited, -1, blocked);
	umask(mask);
	launch_close_inherited(plan);
	if (pid < 0) {
		message_error("cannot start the monitor %s: %s%s", helpers->monitor, strerror((int)-pid), limits_remedy((int)-pid));
		return (int)pid;
	}
	s->monitor = pid;
	return 0;
}

/* What runs, and from which root directories. */
static char *list_programs(const struct config *config)
{
	char *list = xstrdup("");

	for (uint32_t i = 0; i < config->cvms; i++) {
		char *longer = xasprintf("%s%s\n%s\n", list, config->cvm[i]->root, config->cvm[i]->program);

		free(list);
		list = longer;
	}
	return list;
}

static void print_stats(const struct supervisor *s)
{
	bool ended[LAUNCH_CVMS_MAX];
	struct channel_exit exits[LAUNCH_CVMS_MAX];
	uint64_t log_dropped[LAUNCH_CVMS_MAX];

	for (uint32_t i = 0; i < s->config->cvms; i++) {
		ended[i] = s->pod.cvm[i].has_exit && s->pod.cvm[i].state == POD_ENDED;
		exits[i] = s->pod.cvm[i].exit;
		log_dropped[i] = s->pod.cvm[i].log_dropped;
	}
	stats_print(s->config, ended, exits, log_dropped);
}

/* From now on signals are read from signal_fd. `forwarded` are those that the cVMs get, which the monitor blocks, too. */
static int take_signals(struct supervisor *s, sigset_t *forwarded)
{
	sigset_t waited;

	/* An inherited "ignore" would make the kernel reap children without telling us. */
	signal(SIGCHLD, SIG_DFL);
	process_forwarded_signals(forwarded);
	waited = *forwarded;
	sigaddset(&waited, SIGCHLD);
	if (s->config->job) { /* ^Z is for the group in the program's foreground; the monitor inherits that it ignores it */
		sigaddset(&waited, SIGTSTP);
		signal(SIGTSTP, SIG_IGN);
	}
	sigprocmask(SIG_BLOCK, &waited, NULL);
	signal(SIGPIPE, SIG_IGN);
	message_hurry();
	/* In the background of a terminal one cVM that reads it, or sets it, would stop them all: it gets an error instead. */
	if (s->config->cvms > 1) {
		signal(SIGTTIN, SIG_IGN);
		signal(SIGTTOU, SIG_IGN);
	}
	s->signal_fd = signalfd(-1, &waited, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd >= 0)
		return 0;
	message_error("cannot wait for signals: %s%s", strerror(errno), limits_remedy(errno));
	return -1;
}

static void start_code_service(struct supervisor *s, const struct helpers *helpers, const struct launch_plan *plan, const sigset_t *blocked)
{
	char *programs = list_programs(s->config);

	code_service_init(&s->code, helpers->translate, plan->code_channel, s->config->cvms, programs, blocked, s->options->verbose);
	free(programs);
	s->code.unlimited = s->options->insecure & LAUNCH_INSECURE_NO_LIMITS;
	for (uint32_t i = 0; i < s->config->cvms; i++)
		s->code.share[i] = (struct code_share){
			.memory = s->code.unlimited ? CONFIG_MEMORY_MAX : s->config->cvm[i]->memory, .nice = plan->nice[i]};
}

static void print_summary(const struct supervisor *s)
{
	if (s->options->verbose)
		message_note("code segments: %llu from the cache, %llu translated, %llu failed", (unsigned long long)s->code.loaded,
			     (unsigned long long)s->code.translated, (unsigned long long)s->code.failed);
	if (s->options->stats)
		print_stats(s);
}

int supervise(const struct helpers *helpers, struct launch_plan *plan, const struct config *config,
	      const struct run_options *options, struct control_socket *socket)
{
	struct supervisor s = {.config = config, .options = options, .link = {.fd = plan->event_channel}};
	sigset_t forwarded;
	struct terminal terminal;

	if (take_signals(&s, &forwarded)) {
		launch_close(plan);
		return EXIT_CANNOT_START;
	}
	terminal_note(&terminal);
	if (start(&s, helpers, plan, &forwarded)) {
		launch_close(plan);
		close(s.signal_fd);
		return EXIT_CANNOT_START;
	}
	start_code_service(&s, helpers, plan, &forwarded);
	pod_init(&s.pod, config, &s.link);
	logs_init(&s.logs, plan->output, config->cvms);
	lines_init(&s.lines, plan->log, options->insecure & LAUNCH_INSECURE_NO_LIMITS, &s.pod, &s.logs);
	exec_relay_init(&s.exec, plan->exec, &s.pod);
	control_init(&s.control, socket, &s.pod, &s.logs, &s.exec);
	loop(&s);
	terminal_restore(&terminal);
	print_summary(&s);
	int status = final_status(&s);
	exec_relay_end(&s.exec);
	control_end(&s.control);
	logs_end(&s.logs);
	lines_end(&s.lines);
	code_service_end(&s.code);
	link_close(&s.link);
	close(s.signal_fd);
	return status;
}
