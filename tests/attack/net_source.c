/*
 * Question: can a datagram come from an address that the cVM may not bind, so that who gets it takes it for somebody else's?
 * Expect: REFUSED: only what was granted to be bound
 * Control: --insecure-no-net-check
 * Options: bind=["127.0.0.1:FREE_PORT/udp"] connect=["127.0.0.1:FREE_PORT/udp"]
 * Native: the list of grants
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "attack.h"

static struct sockaddr_in g_here = { .sin_family = AF_INET };

static long send_from(long s, const void *source, uint32_t size)
{
	static struct { uint64_t base, size; } iov = { (uint64_t)"x", 1 };
	static struct hc_msg message;

	message = (struct hc_msg){ .name = (uint64_t)&g_here, .name_size = sizeof g_here, .iov = (uint64_t)&iov, .iov_count = 1,
				   .source = (uint64_t)source, .source_size = size };
	return hostcall(HC_sock_send, (uint64_t)s, (uint64_t)&message, MSG_DONTWAIT, 0, 0, 0);
}

/* What came, as the receiver sees it. */
static uint32_t came_from(long s)
{
	static struct sockaddr_in from;
	static char text[8];
	static struct { uint64_t base, size; } iov = { (uint64_t)text, sizeof text };
	static struct hc_msg message;

	message = (struct hc_msg){ .name = (uint64_t)&from, .name_size = sizeof from, .iov = (uint64_t)&iov, .iov_count = 1 };
	if (hostcall(HC_sock_recv, (uint64_t)s, (uint64_t)&message, MSG_DONTWAIT, 0, 0, 0) != 1)
		return 0;
	return ntohl(from.sin_addr.s_addr);
}

static void attack(void)
{
	static struct sockaddr_in source = { .sin_family = AF_INET };
	static struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	long mine = hostcall(HC_sock_create, AF_INET, SOCK_DGRAM, 0, 0, 0, 0);
	long other = hostcall(HC_sock_create, AF_INET, SOCK_DGRAM, 0, 0, 0, 0);
	long other6 = hostcall(HC_sock_create, AF_INET6, SOCK_DGRAM, 0, 0, 0, 0);
	FILE *f = fopen("/shared/port", "r");
	int port;

	if (!f || fscanf(f, "%d", &port) != 1)
		breach("no port");
	source.sin_port = g_here.sin_port = htons((uint16_t)port);
	g_here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (hostcall(HC_sock_bind, (uint64_t)mine, (uint64_t)&g_here, sizeof g_here, 0, 0, 0))
		breach("what was granted cannot be bound");
	/* the address beside, from the socket with the port of the grant */
	source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	if (send_from(mine, &source, sizeof source) != -EACCES || came_from(mine))
		breach("a datagram came from 127.0.0.2");
	/* the granted address, from a socket with another port, whatever port the caller names */
	source.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (send_from(other, &source, sizeof source) != -EACCES || came_from(mine))
		breach("a datagram came from a port that was not granted");
	inet_pton(AF_INET6, "::ffff:127.0.0.2", &six.sin6_addr);
	six.sin6_port = source.sin_port;
	if (send_from(mine, &six, sizeof six) != -EACCES || send_from(other6, &six, sizeof six) != -EACCES || came_from(mine))
		breach("a datagram came from 127.0.0.2 in IPv6's form");
	source.sin_addr.s_addr = INADDR_ANY;
	if (send_from(mine, &source, sizeof source) != -EACCES)
		breach("a datagram came from any address");
	source.sin_family = AF_UNSPEC;
	if (send_from(mine, &source, sizeof source) != -EACCES || send_from(mine, &source, 2) != -EACCES)
		breach("a datagram came from an address without a family");
	source.sin_family = AF_INET;
	if (send_from(mine, &source, 8) != -EINVAL || send_from(mine, &source, 1) != -EINVAL || send_from(mine, &source, ~0u) != -EINVAL)
		breach("an address of a wrong size was taken");
	if (send_from(mine, (void *)g_victim.pattern, sizeof source) != -EFAULT)
		breach("an address was read from the victim");
	source.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (send_from(mine, &source, sizeof source) != 1 || came_from(mine) != INADDR_LOOPBACK)
		breach("what was granted does not work");
	refused("only what was granted to be bound");
}
