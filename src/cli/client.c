/*
 * Requests to running pods: see client.h. Called by pod_commands.c. A pod's answer is not trusted to be JSON, small or in
 * time; what it says is checked by type where it is used.
 */
#include "cli/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/control_socket.h"
#include "cli/message.h"
#include "cli/private_dir.h"

#define ANSWER_MAX (1u << 20)

static void no_pod(const struct client *client, const char *pod)
{
	message_error("no pod is called %.100s in %.200s (intravisor ps lists those that run: one that has ended is gone)", pod,
		      client->path ? client->path : "$XDG_RUNTIME_DIR, which is not set");
}

int client_open(struct client *client, const char *pod)
{
	*client = (struct client){.fd = -1};
	client->directory = control_directory(false, &client->path);
	if (client->directory == -ENOENT && pod)
		no_pod(client, pod);
	else if (client->directory < 0 && client->directory != -ENOENT)
		message_error("cannot open the directory of control sockets %s: %s (set XDG_RUNTIME_DIR to a directory of your own)", client->path,
			      private_dir_error(client->directory));
	return client->directory < 0 ? client->directory : 0;
}

void client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	if (client->directory >= 0)
		close(client->directory);
	free(client->rest);
	free(client->path);
	*client = (struct client){.fd = -1, .directory = -1};
}

/* The answer's line in *line (without the newline), what follows in client->rest. 0 or negative errno. */
static int exchange(struct client *client, const char *text, char **line)
{
	size_t used = 0, capacity = 65536;
	char *bytes = xcalloc(1, capacity), *newline = NULL;
	int ret = 0;

	/* A pod that refuses us answers without reading: the answer counts, not whether this could be sent. */
	(void)!send(client->fd, text, strlen(text), MSG_NOSIGNAL);
	while (!newline) {
		if (used == capacity) {
			capacity *= 2;
			bytes = xrealloc(bytes, capacity);
		}
		ssize_t size = recv(client->fd, bytes + used, capacity - used, 0);
		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0 || used > ANSWER_MAX) {
			ret = size < 0 ? (errno == EAGAIN ? -ETIMEDOUT : -errno) : -EPROTO;
			free(bytes);
			return ret;
		}
		newline = memchr(bytes + used, '\n', (size_t)size);
		used += (size_t)size;
	}
	size_t line_size = (size_t)(newline - bytes);
	free(client->rest);
	client->rest_size = used - line_size - 1;
	client->rest = xcalloc(1, client->rest_size);
	memcpy(client->rest, newline + 1, client->rest_size);
	*newline = '\0';
	*line = bytes;
	return 0;
}

/* 0 with a new reference in *answer, or negative errno. Takes over the request. */
static int ask(struct client *client, const char *pod, json_t *request, unsigned timeout_s, json_t **answer)
{
	char *text = json_dumps(request, JSON_COMPACT), *line = NULL;
	struct timeval timeout = {.tv_sec = timeout_s};

	json_decref(request);
	if (client->fd >= 0)
		close(client->fd);
	client->fd = control_socket_connect(client->directory, pod);
	int ret = client->fd < 0 ? client->fd : 0;
	if (ret == 0) {
		char *whole = xasprintf("%s\n", text);

		setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
		ret = exchange(client, whole, &line);
		free(whole);
	}
	free(text);
	if (ret == 0) {
		*answer = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(*answer)) {
			json_decref(*answer);
			ret = -EPROTO;
		}
	}
	free(line);
	return ret;
}

static void hang_up(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

static void tell(const struct client *client, const char *pod, int error)
{
	if (error == -ENOENT || error == -ECONNREFUSED)
		no_pod(client, pod);
	else if (error == -ETIMEDOUT || error == -EAGAIN)
		message_error("the pod %.100s does not answer", pod);
	else if (error == -ECONNRESET || error == -EPIPE)
		message_error("the pod %.100s ended", pod);
	else if (error == -EPROTO)
		message_error("the pod %.100s ended, or is of another version", pod);
	else
		message_error("cannot reach the pod %.100s: %s", pod, strerror(-error));
}

json_t *client_request(struct client *client, const char *pod, json_t *request, unsigned timeout_s, bool keep)
{
	json_t *answer = NULL;
	int ret = ask(client, pod, request, timeout_s, &answer);

	if (ret) {
		tell(client, pod, ret);
	} else if (!json_is_true(json_object_get(answer, "ok"))) {
		const char *error = json_string_value(json_object_get(answer, "error"));

		message_error("%.100s: %.500s", pod, error ? error : "the pod refused");
		json_decref(answer);
		answer = NULL;
	}
	if (!keep || !answer)
		hang_up(client);
	return answer;
}

json_t *client_request_all(struct client *client, const json_t *request, unsigned timeout_s)
{
	struct strlist names = {0};
	json_t *answers = json_array();

	control_socket_names(client->directory, &names);
	for (size_t i = 0; i < names.count; i++) {
		json_t *answer = NULL;
		int ret = ask(client, names.item[i], json_deep_copy(request), timeout_s, &answer);

		if (ret == 0)
			json_array_append_new(answers, answer);
		else if (ret != -ENOENT && ret != -ECONNREFUSED && ret != -ECONNRESET && ret != -EPROTO)
			tell(client, names.item[i], ret);
		hang_up(client);
	}
	strlist_free(&names);
	return answers;
}
