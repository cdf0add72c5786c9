/*
 * Question: closing a socket that lingers waits until its data is acknowledged. When a cVM ends, the supervisor closes its
 * handles: can one cVM make it wait for days, so that no other one is started, stopped or told of anything?
 * Expect: REFUSED: the cVM ends, and the others are served
 * Control: none: the option is not passed on
 * Options: bind=["127.0.0.1:FREE_PORT"] connect=["127.0.0.1:FREE_PORT"]
 * Native: options of sockets
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "attack.h"

static void attack(void)
{
	static struct sockaddr_in address = { .sin_family = AF_INET };
	static char data[65536];
	static int linger[2] = { 1, 1000000 };
	uint64_t listener = (uint64_t)hostcall(HC_sock_create, AF_INET, SOCK_STREAM, 0, 0, 0, 0);
	uint64_t sender = (uint64_t)hostcall(HC_sock_create, AF_INET, SOCK_STREAM, 0, 0, 0, 0);
	static int one = 1;

	FILE *f = fopen("/shared/port", "r");
	int port;
	if (!f || fscanf(f, "%d", &port) != 1)
		breach("no port");
	address.sin_port = htons((uint16_t)port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	hostcall(HC_sock_setopt, listener, SOL_SOCKET, SO_REUSEADDR, (uint64_t)&one, 4, 0);
	for (int i = 0; i < 2; i++) { /* on the listener too: accepted sockets inherit it */
		long result = hostcall(HC_sock_setopt, i ? listener : sender, SOL_SOCKET, SO_LINGER, (uint64_t)linger, sizeof linger, 0);
		if (result)
			breach("SO_LINGER: %ld", result);
	}
	if (hostcall(HC_sock_bind, listener, (uint64_t)&address, sizeof address, 0, 0, 0) || hostcall(HC_sock_listen, listener, 4, 0, 0, 0, 0) ||
	    hostcall(HC_sock_connect, sender, (uint64_t)&address, sizeof address, 0, 0, 0))
		breach("cannot connect to itself");
	long accepted = hostcall(HC_sock_accept, listener, 0, 0, 0, 0, 0);
	hostcall(HC_file_setfl, sender, O_NONBLOCK, 0, 0, 0, 0);
	long sent = 0, n;
	while ((n = hostcall(HC_file_write, sender, (uint64_t)data, sizeof data, 0, 0, 0)) > 0)
		sent += n;
	if (accepted < (long)sender || sent < 100000)
		breach("the buffers took only %ld bytes", sent);
	refused("the cVM ends, and the others are served");
}
