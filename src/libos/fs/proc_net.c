/*
 * /proc/net: the sockets that this cVM has open, found through its processes' descriptors, in the columns of Linux. Queues,
 * timers and counters are zero: the host keeps them, and shows a cVM nothing of its other sockets or interfaces. Filled
 * through the node table at the end.
 */
#include "fs/proc.h"
#include "core/kheap.h"
#include "fs/vfs.h"
#include "net/socket.h"

#include <linux/in.h>
#include <linux/in6.h>

#define SOL_SOCKET_ 1
#define SO_ACCEPTCONN_ 30
enum { TCP_STATE_ESTABLISHED = 1, TCP_STATE_CLOSE = 7, TCP_STATE_LISTEN = 10 };
enum { UNIX_STATE_UNCONNECTED = 1, UNIX_STATE_CONNECTED = 3 };
#define UNIX_FLAG_LISTENING 0x10000u

struct open_socket {
	struct file *file;
	struct socket *socket;
	struct sockaddr_any local, peer;
	bool connected, listening;
	uint64_t inode;
};

static void ask(struct open_socket *s)
{
	struct statx st = { 0 };
	uint32_t size = sizeof(uint32_t), listening = 0;

	s->listening = s->socket->ops->getopt &&
		       !s->socket->ops->getopt(s->file, SOL_SOCKET_, SO_ACCEPTCONN_, &listening, &size) && listening;
	if (s->socket->ops->name(s->file, false, &s->local))
		s->local.size = 0;
	s->connected = s->socket->ops->name(s->file, true, &s->peer) == 0;
	s->inode = file_stat(s->file, &st) ? 0 : st.stx_ino;
}

/* Adds f to the files seen, with its reference, unless it is there. */
static void see(struct text *seen, struct file *f)
{
	struct file **files = (struct file **)(void *)seen->bytes;
	bool found = false;

	for (size_t i = 0; i < seen->size / sizeof f && !found; i++)
		found = files[i] == f;
	if (!found && !seen->error)
		text_add(seen, &f, sizeof f);
	if (found || seen->error)
		file_put(f);
}

/* Every socket that a process has open, once, with a reference each. */
static void find_sockets(struct text *seen, struct process *p)
{
	for (int fd = fdtable_next_of(p, 0); fd >= 0; fd = fdtable_next_of(p, fd + 1)) {
		bool cloexec;
		struct file *f = fdtable_get_of(p, fd, &cloexec);

		if (f && socket_of(f))
			see(seen, f);
		else if (f)
			file_put(f);
	}
}

/* Calls `put` for each open socket of a domain and type (0: any), with its number from 0. */
static void each_socket(struct text *t, int domain, int type, void (*put)(struct text *, const struct open_socket *, unsigned))
{
	struct text seen = { 0 };
	struct file **files;
	unsigned n = 0;

	for (int32_t pid = process_next(1); pid > 0; pid = process_next(pid + 1)) {
		struct process *p = process_find(pid);

		if (p)
			find_sockets(&seen, p);
		process_put(p);
	}
	files = (struct file **)(void *)seen.bytes;
	for (size_t i = 0; i < seen.size / sizeof *files; i++) {
		struct open_socket s = { .file = files[i], .socket = socket_of(files[i]) };

		if (s.socket->domain == domain && (!type || s.socket->type == type)) {
			ask(&s);
			put(t, &s, n++);
		}
		file_put(s.file);
	}
	t->error = t->error ? t->error : seen.error;
	kfree(seen.bytes);
}

/* Words as they lie in memory, and the port. */
static void put_address(struct text *t, const struct sockaddr_any *a, int domain)
{
	const struct sockaddr_in6 *six = (const void *)&a->storage;
	const struct sockaddr_in *four = (const void *)&a->storage;
	uint16_t port = 0;

	for (int i = 0; i < (domain == AF_INET6 ? 4 : 1); i++) {
		uint32_t word = 0;

		if (a->size && a->family == domain)
			memcpy(&word, domain == AF_INET6 ? six->sin6_addr.s6_addr + 4 * i : (const void *)&four->sin_addr, 4);
		text_put(t, "%08X", word);
	}
	if (a->size && a->family == domain)
		port = domain == AF_INET6 ? six->sin6_port : four->sin_port;
	text_put(t, ":%04X ", (unsigned)(uint16_t)(port << 8 | port >> 8));
}

static void put_inet(struct text *t, const struct open_socket *s, unsigned n)
{
	static const struct sockaddr_any none;
	bool stream = s->socket->type == SOCK_STREAM;
	int state = s->listening ? TCP_STATE_LISTEN : s->connected ? TCP_STATE_ESTABLISHED : TCP_STATE_CLOSE;

	if (stream && state == TCP_STATE_CLOSE) /* Linux lists no sockets without a name */
		return;
	text_put(t, stream ? "%4u: " : "%5u: ", n);
	put_address(t, &s->local, s->socket->domain);
	put_address(t, s->connected ? &s->peer : &none, s->socket->domain);
	text_put(t, "%02X 00000000:00000000 00:00000000 00000000 %5u        0 %lu 2 0000000000000000", (unsigned)state,
		 current()->process->euid, s->inode);
	text_put(t, stream ? " 100 0 0 10 0\n" : " 0\n");
}

static void put_unix(struct text *t, const struct open_socket *s, unsigned n)
{
	const char *path = (const char *)&s->local.storage + sizeof(uint16_t);
	size_t size = s->local.size > sizeof(uint16_t) ? s->local.size - sizeof(uint16_t) : 0;

	(void)n;
	text_put(t, "0000000000000000: %08X 00000000 %08X %04X %02X %5lu", s->connected ? 3u : 2u,
		 s->listening ? UNIX_FLAG_LISTENING : 0u, (unsigned)s->socket->type,
		 s->connected ? (unsigned)UNIX_STATE_CONNECTED : (unsigned)UNIX_STATE_UNCONNECTED, s->inode);
	if (size && path[0])
		size = strnlen(path, size);
	if (size)
		text_put(t, " ");
	for (size_t i = 0; i < size; i++)
		text_add(t, path[i] ? &path[i] : "@", 1);
	text_put(t, "\n");
}

static void inet_table(struct text *t, int domain, int type)
{
	text_put(t, type == SOCK_STREAM ? "  sl  " : "   sl  ");
	text_put(t, domain == AF_INET ?
			    "local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode" :
			    "local_address                         remote_address                        st tx_queue rx_queue tr "
			    "tm->when retrnsmt   uid  timeout inode");
	text_put(t, type == SOCK_STREAM ? "\n" : " ref pointer drops\n");
	each_socket(t, domain, type, put_inet);
}

static void net_tcp(struct text *t, const struct subject *s)
{
	(void)s;
	inet_table(t, AF_INET, SOCK_STREAM);
}

static void net_tcp6(struct text *t, const struct subject *s)
{
	(void)s;
	inet_table(t, AF_INET6, SOCK_STREAM);
}

static void net_udp(struct text *t, const struct subject *s)
{
	(void)s;
	inet_table(t, AF_INET, SOCK_DGRAM);
}

static void net_udp6(struct text *t, const struct subject *s)
{
	(void)s;
	inet_table(t, AF_INET6, SOCK_DGRAM);
}

static void net_unix(struct text *t, const struct subject *s)
{
	(void)s;
	text_put(t, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	each_socket(t, AF_UNIX, 0, put_unix);
}

/* The loopback, as getifaddrs says too. */
static void net_dev(struct text *t, const struct subject *s)
{
	(void)s;
	text_put(t, "Inter-|   Receive                                                |  Transmit\n"
		    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier "
		    "compressed\n"
		    "    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0"
		    "          0\n");
}

#define NODE(file, f) { .name = file, .mode = S_IFREG | 0444, .fill = f }
const struct proc_node proc_net_nodes[] = {
	NODE("tcp", net_tcp), NODE("tcp6", net_tcp6), NODE("udp", net_udp), NODE("udp6", net_udp6),
	NODE("unix", net_unix), NODE("dev", net_dev), { 0 },
};
