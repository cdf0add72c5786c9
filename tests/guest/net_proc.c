/*
 * /proc/net: a program finds its own sockets there, with state, addresses and the inode that fstat tells.
 * Build: gcc
 * Options: --net any
 * Args: {name}
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static unsigned long inode_of(int fd)
{
	struct stat st;

	fstat(fd, &st);
	return st.st_ino;
}

/* The line of a socket, by its inode: state and remote part, with known ports named. */
static void show(const char *what, const char *table, int fd, unsigned port, unsigned other)
{
	char path[64], line[512], local[64], remote[64];
	unsigned long inode;
	unsigned state, lines = 0;

	snprintf(path, sizeof path, "/proc/net/%s", table);
	FILE *f = fopen(path, "r");
	if (!f || !fgets(line, sizeof line, f)) {
		printf("%s: no %s\n", what, path);
		return;
	}
	while (fgets(line, sizeof line, f)) {
		char *colon;
		if (sscanf(line, " %*d: %63s %63s %x %*s %*s %*s %*d %*d %lu", local, remote, &state, &inode) != 4 || inode != inode_of(fd))
			continue;
		lines++;
		colon = strchr(local, ':');
		printf("%s: %.*s:%s ", what, (int)(colon - local), local, strtoul(colon + 1, NULL, 16) == port ? "port" : "?");
		colon = strchr(remote, ':');
		printf("%.*s:%s state %u\n", (int)(colon - remote), remote,
		       strtoul(colon + 1, NULL, 16) == other ? "other" : "?", state);
	}
	fclose(f);
	printf("%s: %u lines\n", what, lines);
}

static unsigned port_of(int fd, int peer)
{
	struct sockaddr_storage a;
	socklen_t size = sizeof a;

	if (peer ? getpeername(fd, (void *)&a, &size) : getsockname(fd, (void *)&a, &size))
		return 0;
	return ntohs(((struct sockaddr_in *)&a)->sin_port);
}

static void inet(int family)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr *a = family == AF_INET ? (void *)&a4 : (void *)&a6;
	socklen_t size = family == AF_INET ? sizeof a4 : sizeof a6;
	int l = socket(family, SOCK_STREAM, 0), c = socket(family, SOCK_STREAM, 0), u = socket(family, SOCK_DGRAM, 0), s, d;
	const char *tcp = family == AF_INET ? "tcp" : "tcp6", *udp = family == AF_INET ? "udp" : "udp6";

	if (bind(l, a, size) || listen(l, 5) || bind(u, a, size) || getsockname(l, a, &size) || connect(c, a, size)) {
		perror("sockets");
		return;
	}
	s = accept(l, NULL, NULL);
	d = dup(s);
	show("listening", tcp, l, port_of(l, 0), 0);
	show("connected", tcp, c, port_of(c, 0), port_of(l, 0));
	show("accepted", tcp, s, port_of(l, 0), port_of(c, 0));
	show("udp", udp, u, port_of(u, 0), 0);
	close(d), close(s), close(c), close(l), close(u);
}

static void unix_line(const char *what, int fd)
{
	char line[512], path[256];
	unsigned flags, type, state;
	unsigned long inode;
	FILE *f = fopen("/proc/net/unix", "r");

	while (f && fgets(line, sizeof line, f)) {
		path[0] = 0;
		if (sscanf(line, "%*x: %*x %*x %x %x %x %lu %255s", &flags, &type, &state, &inode, path) >= 4 && inode == inode_of(fd))
			printf("%s: flags %x type %u state %u [%s]\n", what, flags, type, state, path);
	}
	fclose(f);
}

int main(int argc, char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX }, b = { .sun_family = AF_UNIX };
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0), n = 0;
	char line[512];

	inet(AF_INET);
	inet(AF_INET6);
	snprintf(a.sun_path, sizeof a.sun_path, "/tmp/net-proc-%s", argc > 1 ? argv[1] : "");
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
				     (size_t)snprintf(b.sun_path + 1, sizeof b.sun_path - 1, "net-proc-%s", argc > 1 ? argv[1] : ""));
	if (bind(l, (void *)&a, sizeof a) || listen(l, 1) || connect(c, (void *)&a, sizeof a) || bind(d, (void *)&b, size))
		perror("unix");
	unix_line("listening", l);
	unix_line("connected", c);
	unix_line("datagram", d);
	unlink(a.sun_path);
	FILE *f = fopen("/proc/net/dev", "r");
	while (f && fgets(line, sizeof line, f))
		n += strstr(line, "lo:") != NULL;
	printf("loopback in dev: %d\n", n);
	return 0;
}
