/*
 * Question: can a second thread change what a hostcall's argument points to between the check and the use (double fetch): an
 * array of buffers, a message, a socket address, the address that a datagram comes from, room for control data, a path, the size of
 * an option?
 * Expect: REFUSED: what was checked is what was used
 * Control: --insecure-no-slot-check
 * Options: bind=["127.0.0.1:47122/udp"] connect=["127.0.0.1:47122/udp"]
 * Native: structures are copied once
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "raw.h"

static struct iovec g_iov[4];
static struct hc_msg g_message;
static struct sockaddr_in g_address;
static char g_path[32];
static uint32_t g_size;
static uint8_t g_bytes[64] __attribute__((aligned(64)));
static volatile bool g_stop;

/* Flips everything between good and evil. */
static void flips(void *unused)
{
	static const char good[] = "symbols", evil[] = "../outside/secret";

	(void)unused;
	for (unsigned i = 0; !g_stop; i++) {
		bool bad = i & 1;
		for (int k = 0; k < 4; k++) {
			g_iov[k].iov_base = bad ? (void *)(g_victim.pattern + 64) : g_bytes;
			g_iov[k].iov_len = bad ? ~0ull : 8;
		}
		g_message.iov = bad ? g_victim.pattern : (uint64_t)g_iov;
		g_message.name = bad ? g_victim.pattern + 128 : (uint64_t)&g_address;
		g_message.iov_count = bad ? 1 << 20 : 1;
		g_message.source = bad ? g_victim.pattern + 128 : (uint64_t)&g_address;
		g_message.control = bad ? g_victim.pattern + 64 : (uint64_t)g_bytes;
		g_message.source_size = g_message.name_size = bad ? 1 << 20 : sizeof g_address;
		g_message.control_size = bad ? 1 << 20 : sizeof g_bytes;
		g_address.sin_port = bad ? htons(22) : htons(47122);
		for (int k = 0; k < 17; k++)
			g_path[k] = bad ? evil[k] : k < 7 ? good[k] : 0;
		g_size = bad ? 0x7fffffff : 4;
	}
}

static void expect_one_of(const char *what, long result, const long *allowed, int count)
{
	for (int i = 0; i < count; i++)
		if (result == allowed[i] || (allowed[i] == 1 && result >= 0 && result <= 64))
			return;
	breach("%s gave %ld", what, result);
}

static void attack(void)
{
	uint64_t shared = granted_directory("symbols");
	uint64_t udp = (uint64_t)hostcall(HC_sock_create, AF_INET, SOCK_DGRAM, 0, 0, 0, 0);
	const uint64_t before[2] = { 0x5ec2e75ec2e70000u + 8, 0x5ec2e75ec2e70000u + 16 };
	uint64_t self = (uint64_t)hostcall(HC_sock_create, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0, 0, 0, 0);
	bool keys = vcpu()->pkru != 0;

	g_address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	g_address.sin_port = htons(47122);
	static int one = 1;
	if (hostcall(HC_sock_setopt, self, SOL_SOCKET, SO_TIMESTAMP, (uint64_t)&one, sizeof one, 0) || hostcall(HC_sock_bind, self, (uint64_t)&g_address, sizeof g_address, 0, 0, 0) ||
	    hostcall(HC_sock_connect, self, (uint64_t)&g_address, sizeof g_address, 0, 0, 0) ||
	    hostcall(HC_file_write, self, (uint64_t)g_bytes, 32, 0, 0, 0) != 32)
		breach("a socket that is connected to itself does not work");
	struct raw_thread *t = raw_new(flips, NULL);
	raw_start(t);
	for (int i = 0; i < 20000; i++) {
		static const long io[] = { 1, -EFAULT, -EAGAIN, -EINVAL };
		hostcall(HC_file_write, self, (uint64_t)g_bytes, 32, 0, 0, 0);
		expect_one_of("file_readv", hostcall(HC_file_readv, self, (uint64_t)g_iov, 4, (uint64_t)-1, 0, 0), io, 4);
		expect_one_of("file_writev", hostcall(HC_file_writev, self, (uint64_t)g_iov, 4, (uint64_t)-1, 0, 0), io, 4);
		static const long send[] = { 1, -EFAULT, -EINVAL, -EACCES, -ECONNREFUSED, -EAGAIN, -EAFNOSUPPORT };
		expect_one_of("sock_send", hostcall(HC_sock_send, udp, (uint64_t)&g_message, MSG_DONTWAIT, 0, 0, 0), send, 7);
		expect_one_of("sock_recv", hostcall(HC_sock_recv, udp, (uint64_t)&g_message, MSG_DONTWAIT, 0, 0, 0), send, 7);
		expect_one_of("sock_send from", hostcall(HC_sock_send, self, (uint64_t)&g_message, MSG_DONTWAIT, 0, 0, 0), send, 7);
		expect_one_of("sock_recv with control data", hostcall(HC_sock_recv, self, (uint64_t)&g_message, MSG_DONTWAIT, 0, 0, 0), send, 7);
		static const long connect[] = { 0, -EACCES, -EFAULT, -EINVAL };
		expect_one_of("sock_connect", hostcall(HC_sock_connect, udp, (uint64_t)&g_address, sizeof g_address, 0, 0, 0), connect, 4);
		static struct sockaddr_in peer;
		static uint32_t peer_size;
		peer_size = sizeof peer;
		if (!hostcall(HC_sock_peer, udp, (uint64_t)&peer, (uint64_t)&peer_size, 0, 0, 0) && peer.sin_port && ntohs(peer.sin_port) != 47122)
			breach("connected to port %d", ntohs(peer.sin_port));
		static const long option[] = { 0, -EINVAL, -EFAULT };
		expect_one_of("sock_getopt", hostcall(HC_sock_getopt, udp, SOL_SOCKET, SO_RCVBUF, (uint64_t)g_bytes, (uint64_t)&g_size, 0), option, 3);
		long file = hostcall(HC_file_open, shared, (uint64_t)g_path, i & 1 ? 7 : 17, O_RDONLY, 0, 0);
		char text[8] = "";
		if (file >= 0 && hostcall(HC_file_read, (uint64_t)file, (uint64_t)text, 6, 0, 0, 0) > 0 && !memcmp(text, "secret", 6))
			breach("opened the file outside");
		if (file >= 0)
			hostcall(HC_file_close, (uint64_t)file, 0, 0, 0, 0, 0);
	}
	g_stop = true;
	raw_wait(t);
	/* without keys the attacker can look for itself; the victim does in any case */
	if (!keys && (((uint64_t *)g_victim.pattern)[8] != before[0] || ((uint64_t *)g_victim.pattern)[16] != before[1]))
		breach("the victim's bytes changed");
	refused("what was checked is what was used");
}
