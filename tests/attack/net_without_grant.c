/*
 * Question: can a cVM bind or connect to addresses that it was not granted, or use other families?
 * Expect: REFUSED: no address is reachable
 * Control: --insecure-no-net-check
 * Native: the list of grants
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "attack.h"

static void attack(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(47113), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(47114), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	long tcp = hostcall(HC_sock_create, AF_INET, SOCK_STREAM, 0, 0, 0, 0);
	long udp = hostcall(HC_sock_create, AF_INET, SOCK_DGRAM, 0, 0, 0, 0);
	long tcp6 = hostcall(HC_sock_create, AF_INET6, SOCK_STREAM, 0, 0, 0, 0);

	if (tcp >= 0 && hostcall(HC_sock_bind, (uint64_t)tcp, (uint64_t)&any, sizeof any, 0, 0, 0) == 0)
		breach("bound a port without a grant");
	if (tcp >= 0) {
		long result = hostcall(HC_sock_connect, (uint64_t)tcp, (uint64_t)&any, sizeof any, 0, 0, 0);
		if (result == 0 || result == -ECONNREFUSED)
			breach("reached a port without a grant");
	}
	if (tcp6 >= 0 && hostcall(HC_sock_bind, (uint64_t)tcp6, (uint64_t)&six, sizeof six, 0, 0, 0) == 0)
		breach("bound an IPv6 port without a grant");
	if (udp >= 0) {
		struct iovec { uint64_t base, size; } iov = { (uint64_t)"x", 1 };
		struct hc_msg message = { .name = (uint64_t)&any, .name_size = sizeof any, .iov = (uint64_t)&iov, .iov_count = 1 };
		if (hostcall(HC_sock_send, (uint64_t)udp, (uint64_t)&message, 0, 0, 0, 0) >= 0)
			breach("sent a datagram without a grant");
	}
	if (tcp >= 0 && hostcall(HC_sock_listen, (uint64_t)tcp, 1, 0, 0, 0, 0) == 0)
		breach("listens on a port that the kernel chose, without a grant");
	const int families[] = { 1, 16, 17, 38, 40, 44, 31, 29 };
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
		for (int type = 1; type <= 3; type++)
			if (hostcall(HC_sock_create, (uint64_t)families[i], (uint64_t)type, 0, 0, 0, 0) >= 0)
				breach("made a socket of family %d", families[i]);
	if (hostcall(HC_sock_create, AF_INET, SOCK_RAW, IPPROTO_ICMP, 0, 0, 0) >= 0)
		breach("made a raw socket");
	refused("no address is reachable");
}
