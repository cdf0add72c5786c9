/*
 * The middle of the multi-tier example: an HTTP gateway that answers GET /item/N from Redis and, for what Redis does not know,
 * from the store, which it then tells Redis. One thread, one epoll, one connection to each tier with as many requests
 * under way as there are. Plain sockets: nothing here knows of cVMs.
 * usage: gateway PORT REDIS-PORT STORE-SOCKET
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFER 65536
#define WAITING 4096 /* requests under way at one tier */

struct peer {
	int fd;
	void (*readable)(struct peer *p);
	size_t in_size, out_size;
	char in[BUFFER], out[BUFFER];
};

struct request {
	struct peer *client; /* NULL: it has gone, or nobody waits for this answer */
	unsigned item;
};

struct tier {
	struct peer peer;
	struct request waiting[WAITING];
	unsigned first, count;
};

static struct tier g_redis, g_store;
static int g_epoll;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void flush(struct peer *p)
{
	size_t done = 0;

	while (done < p->out_size) {
		ssize_t n = write(p->fd, p->out + done, p->out_size - done);

		if (n < 0 && errno != EINTR)
			break; /* a client that has gone; tiers are noticed when they end */
		done += n > 0 ? (size_t)n : 0;
	}
	p->out_size = 0;
}

static void append(struct peer *p, const char *text, size_t size)
{
	if (p->out_size + size > BUFFER)
		flush(p);
	memcpy(p->out + p->out_size, text, size);
	p->out_size += size;
}

static void ask(struct tier *t, struct peer *client, unsigned item, const char *text, int size)
{
	if (t->count == WAITING) {
		fprintf(stderr, "gateway: too many requests\n");
		exit(1);
	}
	t->waiting[(t->first + t->count++) % WAITING] = (struct request){ client, item };
	append(&t->peer, text, (size_t)size);
}

static struct request answered(struct tier *t)
{
	struct request r = t->waiting[t->first];

	t->first = (t->first + 1) % WAITING;
	t->count--;
	return r;
}

static void reply(struct peer *client, unsigned item, const char *text, size_t size, const char *from)
{
	char body[1024], head[256];
	int n = snprintf(body, sizeof body, "{\"item\": %u, \"text\": \"%.*s\", \"from\": \"%s\"}\n", item, (int)size, text, from);
	int h = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", n);

	append(client, head, (size_t)h);
	append(client, body, (size_t)n);
	flush(client);
}

static void forget(struct tier *t, const struct peer *client)
{
	for (unsigned i = 0; i < t->count; i++)
		if (t->waiting[(t->first + i) % WAITING].client == client)
			t->waiting[(t->first + i) % WAITING].client = NULL;
}

/* More bytes into p->in; 0 if the other end has gone. */
static int fill(struct peer *p)
{
	ssize_t n = read(p->fd, p->in + p->in_size, BUFFER - p->in_size);

	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EAGAIN);
	p->in_size += (size_t)n;
	return 1;
}

static void consume(struct peer *p, size_t size)
{
	memmove(p->in, p->in + size, p->in_size - size);
	p->in_size -= size;
}

static void client_readable(struct peer *p)
{
	size_t used = 0;
	char *end;

	if (!fill(p)) {
		forget(&g_redis, p);
		forget(&g_store, p);
		close(p->fd);
		free(p);
		return;
	}
	while ((end = memmem(p->in + used, p->in_size - used, "\r\n\r\n", 4))) {
		char command[64];
		unsigned item = 0;

		sscanf(p->in + used, "GET /item/%u", &item);
		ask(&g_redis, p, item, command, snprintf(command, sizeof command, "GET item:%u\r\n", item));
		used = (size_t)(end + 4 - p->in);
	}
	consume(p, used);
}

/* "$5\r\nhello\r\n", "$-1\r\n" (nothing), "+OK\r\n" */
static void redis_readable(struct peer *p)
{
	size_t used = 0;
	char *line, *end;

	if (!fill(p)) {
		fprintf(stderr, "gateway: redis has gone\n");
		exit(1);
	}
	while (line = p->in + used, (end = memmem(line, p->in_size - used, "\r\n", 2))) {
		long size = line[0] == '$' ? atol(line + 1) : -2;
		char command[64];

		if (size >= 0 && (size_t)(end + 4 - p->in) + (size_t)size > p->in_size)
			break;
		struct request r = answered(&g_redis);
		if (r.client && size >= 0)
			reply(r.client, r.item, end + 2, (size_t)size, "redis");
		else if (r.client && size == -1)
			ask(&g_store, r.client, r.item, command, snprintf(command, sizeof command, "%u\n", r.item));
		used = (size_t)(end + 2 - p->in) + (size >= 0 ? (size_t)size + 2 : 0);
	}
	consume(p, used);
}

static void store_readable(struct peer *p)
{
	size_t used = 0;
	char *end;

	if (!fill(p)) {
		fprintf(stderr, "gateway: the store has gone\n");
		exit(1);
	}
	while ((end = memchr(p->in + used, '\n', p->in_size - used))) {
		struct request r = answered(&g_store);
		const char *text = p->in + used;
		size_t size = (size_t)(end - text);
		char command[1200];

		ask(&g_redis, NULL, 0, command, snprintf(command, sizeof command, "SET item:%u \"%.*s\"\r\n", r.item, (int)size, text));
		if (r.client)
			reply(r.client, r.item, text, size, "store");
		used = (size_t)(end + 1 - p->in);
	}
	consume(p, used);
}

static void watch(struct peer *p, int fd, void (*readable)(struct peer *))
{
	struct epoll_event e = { EPOLLIN, { .ptr = p } };

	p->fd = fd;
	p->readable = readable;
	if (epoll_ctl(g_epoll, EPOLL_CTL_ADD, fd, &e))
		fail("epoll_ctl");
}

static void listener_readable(struct peer *listener)
{
	int fd = accept(listener->fd, NULL, NULL);

	if (fd >= 0)
		watch(calloc(1, sizeof(struct peer)), fd, client_readable);
}

/* The tiers may start later. */
static int dial(const struct sockaddr *address, socklen_t size)
{
	for (;;) {
		int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (!connect(fd, address, size))
			return fd;
		close(fd);
		usleep(20000);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	static struct peer listener;
	int fd, one = 1;

	if (argc != 4)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	g_epoll = epoll_create1(EPOLL_CLOEXEC);
	in.sin_port = htons((uint16_t)atoi(argv[2]));
	watch(&g_redis.peer, dial((struct sockaddr *)&in, sizeof in), redis_readable);
	strncpy(un.sun_path, argv[3], sizeof un.sun_path - 1);
	watch(&g_store.peer, dial((struct sockaddr *)&un, sizeof un), store_readable);
	in.sin_port = htons((uint16_t)atoi(argv[1]));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&in, sizeof in) || listen(fd, 100))
		fail("listen");
	watch(&listener, fd, listener_readable);
	for (;;) {
		struct epoll_event e[64];
		int n = epoll_wait(g_epoll, e, 64, -1);

		for (int i = 0; i < n; i++) {
			struct peer *p = e[i].data.ptr;

			p->readable(p);
		}
		flush(&g_redis.peer);
		flush(&g_store.peer);
	}
}
