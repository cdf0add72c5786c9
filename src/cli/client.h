/*
 * The client's side of the control socket: one request, one answer.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "config/list.h"

struct client {
	int directory; /* of the sockets */
	char *path;    /* the same; a null pointer: nobody knows */
	int fd;	       /* of the last request, while it is kept open, or -1 */
	char *rest;    /* what came behind the answer */
	size_t rest_size;
};

/* 0, or negative errno after a message; -ENOENT: no pod has ever run, which is said if one was named. */
__attribute__((warn_unused_result)) int client_open(struct client *client, const char *pod);
void client_close(struct client *client);

/* Takes over the request. The answer (a new reference), or a null pointer after a message. `timeout_s` 0: none. With
 * `keep` the connection stays open in client->fd. */
json_t *client_request(struct client *client, const char *pod, json_t *request, unsigned timeout_s, bool keep);

/* The same request to all pods, one after the other: an array of their answers. Pods that just ended are left out. */
json_t *client_request_all(struct client *client, const json_t *request, unsigned timeout_s);

#endif
