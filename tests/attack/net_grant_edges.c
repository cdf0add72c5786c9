/*
 * Question: do addresses near a grant slip through it: the ports beside it, other networks of the prefix, an IPv4 address
 * written as IPv6 or with another family, UDP for TCP, unspecified addresses, a socket that is disconnected and reused?
 * Expect: REFUSED: only what was granted
 * Control: --insecure-no-net-check
 * Options: bind=["127.0.0.1:47130-47132"] connect=["127.0.0.1:47130-47132"]
 * Native: the list of grants
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "attack.h"

static long try(int domain, int type, const char *text, unsigned port, int family, bool bind)
{
	static union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address;
	long s = hostcall(HC_sock_create, (uint64_t)domain, (uint64_t)type, 0, 0, 0, 0);

	memset(&address, 0, sizeof address);
	if (domain == AF_INET6 && family != AF_INET) {
		inet_pton(AF_INET6, text, &address.in6.sin6_addr);
		address.in6.sin6_port = htons((uint16_t)port);
	} else {
		inet_pton(AF_INET, text, &address.in.sin_addr);
		address.in.sin_port = htons((uint16_t)port);
	}
	address.in.sin_family = (sa_family_t)family;
	long result = hostcall(bind ? HC_sock_bind : HC_sock_connect, (uint64_t)s, (uint64_t)&address, domain == AF_INET6 && family != AF_INET ? 28 : 16, 0, 0, 0);
	hostcall(HC_file_close, (uint64_t)s, 0, 0, 0, 0, 0);
	return result;
}

static void attack(void)
{
	static const struct {
		const char *what;
		int domain, type;
		const char *address;
		unsigned port;
		int family;
	} rows[] = {
		{ "the port below", AF_INET, SOCK_STREAM, "127.0.0.1", 47129, AF_INET },
		{ "the port above", AF_INET, SOCK_STREAM, "127.0.0.1", 47133, AF_INET },
		{ "port 0", AF_INET, SOCK_STREAM, "127.0.0.1", 0, AF_INET },
		{ "port 65535", AF_INET, SOCK_STREAM, "127.0.0.1", 65535, AF_INET },
		{ "the address beside", AF_INET, SOCK_STREAM, "127.0.0.2", 47130, AF_INET },
		{ "any address", AF_INET, SOCK_STREAM, "0.0.0.0", 47130, AF_INET },
		{ "broadcast", AF_INET, SOCK_DGRAM, "255.255.255.255", 47130, AF_INET },
		{ "multicast", AF_INET, SOCK_DGRAM, "224.0.0.1", 47130, AF_INET },
		{ "UDP", AF_INET, SOCK_DGRAM, "127.0.0.1", 47130, AF_INET },
		{ "IPv6 loopback", AF_INET6, SOCK_STREAM, "::1", 47130, AF_INET6 },
		{ "any IPv6 address", AF_INET6, SOCK_STREAM, "::", 47130, AF_INET6 },
		{ "another address, mapped", AF_INET6, SOCK_STREAM, "::ffff:127.0.0.2", 47130, AF_INET6 },
		{ "any address, mapped", AF_INET6, SOCK_STREAM, "::ffff:0.0.0.0", 47130, AF_INET6 },
		{ "another port, mapped", AF_INET6, SOCK_STREAM, "::ffff:127.0.0.1", 47133, AF_INET6 },
		{ "the address in IPv4-compatible form", AF_INET6, SOCK_STREAM, "::127.0.0.1", 47130, AF_INET6 },
		{ "the address translated (NAT64)", AF_INET6, SOCK_STREAM, "64:ff9b::127.0.0.1", 47130, AF_INET6 },
		{ "another port in IPv4 on IPv6", AF_INET6, SOCK_DGRAM, "127.0.0.1", 47133, AF_INET },
		{ "a Unix address", AF_INET, SOCK_STREAM, "127.0.0.1", 47130, AF_UNIX },
		{ "netlink's family", AF_INET, SOCK_STREAM, "127.0.0.1", 47130, 16 },
	};

	for (int bind = 1; bind >= 0; bind--)
		for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
			long result = try(rows[i].domain, rows[i].type, rows[i].address, rows[i].port, rows[i].family, bind);
			/* port 0 of a connect, and families a socket does not know, the kernel refuses itself */
			if (result >= 0 || result == -ECONNREFUSED || result == -EADDRINUSE || result == -EADDRNOTAVAIL || result == -ENETUNREACH || result == -EHOSTUNREACH)
				breach("%s %s: %ld", bind ? "bind to" : "connect to", rows[i].what, result);
		}
	/* unspecified families: bind takes them for IPv4's, connect for an end of the connection */
	if (try(AF_INET, SOCK_STREAM, "0.0.0.0", 47133, AF_UNSPEC, true) != -EACCES)
		breach("bound an address without a family");
	static struct { uint64_t base, size; } iov = { (uint64_t) "x", 1 };
	static struct sockaddr_in name = { .sin_family = AF_UNSPEC };
	static struct hc_msg message;
	long udp[2] = { hostcall(HC_sock_create, AF_INET, SOCK_DGRAM, 0, 0, 0, 0) };
	udp[1] = hostcall(HC_file_dup, (uint64_t)udp[0], 0, 0, 0, 0, 0);
	for (int i = 0; i < 8; i++) { /* the socket or a duplicate, without a family or with it, a port of no grant or of TCP's */
		name.sin_family = i & 2 ? AF_INET : AF_UNSPEC;
		name.sin_port = htons(i & 4 ? 47133 : 47131);
		name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		message = (struct hc_msg){ .name = (uint64_t)&name, .name_size = sizeof name, .iov = (uint64_t)&iov, .iov_count = 1 };
		if (hostcall(HC_sock_send, (uint64_t)udp[i & 1], (uint64_t)&message, 0, 0, 0, 0) != -EACCES)
			breach("sent a datagram: %d", i);
	}
	/* connected where it may, then elsewhere */
	if (try(AF_INET, SOCK_STREAM, "127.0.0.1", 47131, AF_INET, false) != -ECONNREFUSED || try(AF_INET6, SOCK_STREAM, "::ffff:127.0.0.1", 47131, AF_INET6, false) != -ECONNREFUSED)
		breach("what was granted does not work");
	/* a socket whose connection failed shows the port it had, but has none: to listen on it takes one that nobody granted */
	static struct sockaddr_in peer = { .sin_family = AF_INET };
	long s = hostcall(HC_sock_create, AF_INET, SOCK_STREAM, 0, 0, 0, 0);
	peer.sin_port = htons(47131);
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (hostcall(HC_sock_connect, (uint64_t)s, (uint64_t)&peer, sizeof peer, 0, 0, 0) != -ECONNREFUSED)
		breach("a granted port does not refuse");
	if (hostcall(HC_sock_listen, (uint64_t)s, 1, 0, 0, 0, 0) != -EACCES)
		breach("listens on a port of the kernel's choice after a connection that failed");
	if (hostcall(HC_sock_bind, (uint64_t)s, (uint64_t)&peer, sizeof peer, 0, 0, 0) || hostcall(HC_sock_listen, (uint64_t)s, 1, 0, 0, 0, 0))
		breach("does not listen where it may");
	refused("only what was granted");
}
