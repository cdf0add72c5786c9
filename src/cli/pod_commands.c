/*
 * ps, stats, logs, kill, stop, start, restart, exec: the commands that talk to running pods. Called by main.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/launch.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/exec_client.h"
#include "cli/message.h"
#include "cli/stats.h"
#include "cli/words.h"
#include "config/value.h"

#define ANSWER_S 10u

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	struct config_error ignored = {0};

	return text && value_name(text, &ignored) == 0 ? text : "?";
}

static long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void duration_text(const json_t *ms, char text[32])
{
	long long seconds = json_integer_value(ms) / 1000;

	if (!json_is_integer(ms))
		snprintf(text, 32, "-");
	else if (seconds < 3600)
		snprintf(text, 32, "%lldm%02llds", seconds / 60, seconds % 60);
	else
		snprintf(text, 32, "%lldh%02lldm", seconds / 3600, seconds / 60 % 60);
}

static void print_state(const char *pod, const json_t *cvm)
{
	const json_t *status = json_object_get(cvm, "status");
	char uptime[32], last[32] = "-";

	duration_text(json_object_get(cvm, "uptime_ms"), uptime);
	if (json_is_integer(status))
		snprintf(last, sizeof(last), "%lld", (long long)json_integer_value(status));
	printf("%-16s %-16s %-10s %-5s %8lld %9s %6s\n", pod, text_of(cvm, "name"), text_of(cvm, "state"),
	       json_is_true(json_object_get(cvm, "ready")) ? "yes" : "no", number_of(cvm, "restarts"), uptime, last);
}

static void print_usage(const char *pod, const json_t *cvm)
{
	const json_t *s = json_object_get(cvm, "stats");
	const json_t *calls = json_object_get(s, "fast_syscalls");
	char now[16], peak[16], fast[32] = "-";

	if (json_is_integer(calls))
		snprintf(fast, sizeof(fast), "%lld", (long long)json_integer_value(calls));
	stats_format_bytes((uint64_t)number_of(s, "memory_now"), now);
	stats_format_bytes((uint64_t)number_of(s, "memory_peak"), peak);
	printf("%-16s %-16s %-10s %9.3f %9s %9s %11lld %11s %8lld %7lld %7lld %7lld\n", pod, text_of(cvm, "name"),
	       text_of(cvm, "state"), (double)number_of(s, "cpu_ns") / 1e9, now, peak, number_of(s, "hostcalls"),
	       fast, number_of(s, "trapped_syscalls"), number_of(s, "faults"),
	       number_of(s, "threads_peak"), number_of(s, "handles_peak"));
}

static void print_pods(const json_t *pods, bool stats)
{
	size_t i, k;
	json_t *pod, *cvm;

	if (stats)
		printf("%-16s %-16s %-10s %9s %9s %9s %11s %11s %8s %7s %7s %7s\n", "POD", "CVM", "STATE", "CPU_S", "MEM", "MEM_PEAK",
		       "HOSTCALLS", "FAST_CALLS", "TRAPPED", "FAULTS", "THREADS", "HANDLES");
	else
		printf("%-16s %-16s %-10s %-5s %8s %9s %6s\n", "POD", "CVM", "STATE", "READY", "RESTARTS", "UPTIME", "STATUS");
	json_array_foreach(pods, i, pod)
		json_array_foreach(json_object_get(pod, "cvms"), k, cvm)
			(stats ? print_usage : print_state)(text_of(pod, "pod"), cvm);
}

/* Without the protocol's "ok". */
static void print_json(json_t *pods, size_t flags)
{
	size_t i;
	json_t *pod;

	json_array_foreach(pods, i, pod)
		json_object_del(pod, "ok");
	json_dumpf(pods, stdout, flags);
	putchar('\n');
}

/* An array of the answers of one pod or of all. A null pointer after a message. */
static json_t *ask_pods(struct client *client, const struct words *w, const char *command)
{
	json_t *request = json_pack("{s:s}", "command", command);

	if (!w->pod) {
		json_t *answers = client_request_all(client, request, ANSWER_S);

		json_decref(request);
		return answers;
	}
	json_t *answer = client_request(client, w->pod, request, ANSWER_S, false);
	return answer ? json_pack("[o]", answer) : NULL;
}

static int show(struct words *w, char **arguments, bool stats)
{
	struct client client;
	int status = words_parse(w, arguments);

	if (!status && w->cvm)
		status = words_error(w, "not a pod:", w->cvm);
	if (status) {
		words_free(w);
		return status;
	}
	do {
		int ret = client_open(&client, w->pod);
		json_t *pods = ret == 0 ? ask_pods(&client, w, stats ? "stats" : "status") : ret == -ENOENT && !w->pod ? json_array() : NULL;

		status = pods ? 0 : 1;
		if (pods && w->watch && !w->json && isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		if (pods && w->json)
			print_json(pods, w->watch ? JSON_COMPACT : JSON_INDENT(2));
		else if (pods)
			print_pods(pods, stats);
		json_decref(pods);
		client_close(&client);
	} while (status == 0 && w->watch && fflush(stdout) == 0 && sleep(1) == 0);
	words_free(w);
	return status;
}

int command_ps(char **arguments)
{
	struct words w = {.command = "ps", .allowed = "j"};

	return show(&w, arguments, false);
}

int command_stats(char **arguments)
{
	struct words w = {.command = "stats", .allowed = "jw"};

	return show(&w, arguments, true);
}

static int several_cvms(const struct words *w, const json_t *cvms)
{
	char *list = xstrdup("");
	size_t i;
	json_t *cvm;

	json_array_foreach(cvms, i, cvm) {
		char *longer = xasprintf("%s%s%s/%s", list, i ? ", " : "", w->pod, text_of(cvm, "name"));

		free(list);
		list = longer;
	}
	message_error("%s: the pod has several cVMs, name one: %.500s", w->command, list);
	free(list);
	return EXIT_USAGE;
}

/* A pod of one cVM needs no name for it. */
static int find_only_cvm(struct client *client, struct words *w)
{
	json_t *answer = client_request(client, w->pod, json_pack("{s:s}", "command", "status"), ANSWER_S, false);
	const json_t *cvms = json_object_get(answer, "cvms");
	int status = answer ? 0 : 1;

	if (answer && json_array_size(cvms) == 1)
		w->cvm = xstrdup(text_of(json_array_get(cvms, 0), "name"));
	else if (answer)
		status = several_cvms(w, cvms);
	json_decref(answer);
	return status;
}

/* 0, or the exit status after a message. */
static int connect_pod(struct words *w, bool one_cvm, struct client *client)
{
	if (client_open(client, w->pod))
		return 1;
	return one_cvm && !w->cvm ? find_only_cvm(client, w) : 0;
}

/* Words, target and connection of a command about one pod or cVM. 0, or the exit status after a message. */
static int prepare(struct words *w, char **arguments, bool one_cvm, struct client *client)
{
	int status = words_parse(w, arguments);

	*client = (struct client){.fd = -1, .directory = -1};
	if (status == 0 && !w->pod)
		status = words_error(w, "no pod is named", NULL);
	return status ? status : connect_pod(w, one_cvm, client);
}

static void finish(struct words *w, struct client *client)
{
	client_close(client);
	words_free(w);
}

/* One request about the target, answered when it is done. */
static int order(struct client *client, const struct words *w, json_t *request, unsigned timeout_s)
{
	if (w->cvm)
		json_object_set_new(request, "cvm", json_string(w->cvm));
	json_t *answer = client_request(client, w->pod, request, timeout_s, false);
	int status = answer ? 0 : 1;

	json_decref(answer);
	return status;
}

int command_kill(char **arguments)
{
	struct words w = {.command = "kill", .allowed = "s", .signal = SIGTERM};
	struct client client;
	int status = prepare(&w, arguments, false, &client);

	if (status == 0)
		status = order(&client, &w, json_pack("{s:s, s:i}", "command", "signal", "signal", w.signal), ANSWER_S);
	finish(&w, &client);
	return status;
}

static int order_with_timeout(struct words *w, char **arguments, bool one_cvm)
{
	struct client client;
	int status = prepare(w, arguments, one_cvm, &client);

	if (status == 0) {
		json_t *request = json_pack("{s:s}", "command", w->command);

		if (w->has_timeout)
			json_object_set_new(request, "timeout_ms", json_integer(w->timeout_ms));
		/* The pod itself knows how long it may take. */
		status = order(&client, w, request, 0);
	}
	finish(w, &client);
	return status;
}

int command_stop(char **arguments)
{
	struct words w = {.command = "stop", .allowed = "t"};

	return order_with_timeout(&w, arguments, false);
}

int command_restart(char **arguments)
{
	struct words w = {.command = "restart", .allowed = "t"};

	return order_with_timeout(&w, arguments, true);
}

int command_start(char **arguments)
{
	struct words w = {.command = "start", .allowed = ""};

	return order_with_timeout(&w, arguments, true);
}

/* On a terminal the program's control characters are shown instead of obeyed. */
static int copy_logs(struct client *client)
{
	bool terminal = isatty(STDOUT_FILENO);
	char bytes[65536];
	const char *p = client->rest;
	ssize_t size = (ssize_t)client->rest_size;

	do {
		if (size > 0 && terminal)
			message_text(STDOUT_FILENO, p, (size_t)size);
		else if (size > 0 && (fwrite(p, 1, (size_t)size, stdout) != (size_t)size || fflush(stdout) != 0))
			return 1;
		size = read(client->fd, bytes, sizeof(bytes));
		p = bytes;
	} while (size > 0 || (size < 0 && errno == EINTR));
	return 0;
}

int command_logs(char **arguments)
{
	struct words w = {.command = "logs", .allowed = "fn", .tail = WORDS_ALL};
	struct client client;
	int status = prepare(&w, arguments, true, &client);

	if (status == 0) {
		json_t *request = json_pack("{s:s, s:s, s:b}", "command", "logs", "cvm", w.cvm, "follow", w.follow);

		if (w.tail != WORDS_ALL)
			json_object_set_new(request, "tail", json_integer(w.tail));
		json_t *answer = client_request(&client, w.pod, request, 0, true);

		status = answer ? copy_logs(&client) : 1;
		json_decref(answer);
	}
	finish(&w, &client);
	return status;
}

/* The connection for it, and what runs over that. */
static int exec_program(struct client *client, const struct words *w)
{
	const struct config_cvm *p = w->program;
	const struct exec_program program = {.argv = w->program_words, .env = &p->env, .has_user = p->has_user, .uid = p->uid, .gid = p->gid,
					     .cwd = p->cwd, .detached = w->detached, .input = w->interactive, .terminal = w->terminal,
					     .detach_keys = w->detach_keys};
	json_t *answer = client_request(client, w->pod, json_pack("{s:s, s:s}", "command", "exec", "cvm", w->cvm), ANSWER_S, true);
	int status = answer ? exec_client_run(client->fd, &program) : EXIT_CANNOT_START;

	json_decref(answer);
	return status;
}

int command_exec(char **arguments)
{
	struct config program = {0};
	struct words w = {.command = "exec", .allowed = "iTbDeEud", .program = config_add_cvm(&program, ""),
			  .detach_keys = DETACH_KEYS_INIT};
	struct client client = {.fd = -1, .directory = -1};
	int status = words_parse(&w, arguments);

	if (status == 0 && !w.pod)
		status = words_error(&w, "no pod is named", NULL);
	if (status == 0 && (!w.program_words || !*w.program_words))
		status = words_error(&w, "no program is named", NULL);
	if (status == 0 && w.detached && (w.interactive || w.terminal))
		status = words_error(&w, "-d starts a program without input and terminal, so it cannot be combined with -i and -t", NULL);
	if (status == 0 && w.has_detach_keys && !(w.interactive && w.terminal))
		status = words_error(&w, "--detach-keys is for -i with -t", NULL);
	if (status == 0 && w.terminal && !isatty(STDIN_FILENO)) {
		message_error("exec: standard input is not a terminal, so the program cannot have one: leave out -t");
		status = EXIT_CANNOT_START;
	}
	if (status == 0)
		status = connect_pod(&w, true, &client);
	config_join_env(w.program);
	if (status == 0)
		status = exec_program(&client, &w);
	else if (status == 1)
		status = EXIT_CANNOT_START; /* 1 is for programs */
	finish(&w, &client);
	config_free(&program);
	return status;
}
