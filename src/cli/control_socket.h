/*
 * Where running pods listen: NAME.sock in $XDG_RUNTIME_DIR/intravisor, else /run/intravisor (root), else
 * ~/.local/state/intravisor. The directory is private (0700), the sockets too (0600).
 */
#ifndef CLI_CONTROL_SOCKET_H
#define CLI_CONTROL_SOCKET_H

#include <stdbool.h>
#include <sys/stat.h>

#include "abi/launch.h"
#include "config/list.h"

struct control_socket {
	int directory, listener; /* -1: there is none */
	char name[LAUNCH_NAME_MAX]; /* of the pod */
	struct stat identity;
};

/* The directory; *path, if not a null pointer, becomes a new string or a null pointer (no HOME). Negative errno. */
__attribute__((warn_unused_result)) int control_directory(bool make, char **path);

/* Takes the name, or with `exact` false NAME-2, NAME-3, ... when it is taken. A socket whose pod is gone is replaced.
 * 0, or negative errno: -EADDRINUSE a pod of this name runs. */
__attribute__((warn_unused_result)) int control_socket_listen(struct control_socket *socket, const char *name, bool exact);

/* `remove`: by the process that serves it. */
void control_socket_close(struct control_socket *socket, bool remove);

/* A connection, or negative errno: -ENOENT no such pod, -ECONNREFUSED it is gone (its socket is then removed). */
__attribute__((warn_unused_result)) int control_socket_connect(int directory, const char *name);

/* Names of pods that have a socket, sorted. */
void control_socket_names(int directory, struct strlist *names);

#endif
