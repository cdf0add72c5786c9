/*
 * What programs ask about the network's interfaces before they serve: netdevice(7) on sockets of several families, and netlink
 * as dnsmasq (addresses of one family, a socket that belongs to groups) and bind9 do. Only the loopback is said to be the same.
 * Build: gcc musl
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "say.h"

static void questions(const char *family, int fd)
{
	struct ifreq r = { .ifr_name = "lo" };
	struct ifconf all = { 0 };
	char list[64 * sizeof r], text[32];
	int found = 0;

	printf("%s\n", family);
	T(ioctl(fd, SIOCGIFINDEX, &r));
	printf("index %d\n", r.ifr_ifindex);
	memset(r.ifr_name, 'x', sizeof r.ifr_name);
	r.ifr_ifindex = 1;
	T(ioctl(fd, SIOCGIFNAME, &r));
	printf("name %s\n", r.ifr_name);
	T(ioctl(fd, SIOCGIFFLAGS, &r));
	printf("flags %#x\n", r.ifr_flags);
	T(ioctl(fd, SIOCGIFMTU, &r));
	printf("MTU %d\n", r.ifr_mtu);
	T(ioctl(fd, SIOCGIFHWADDR, &r));
	printf("hardware %d\n", r.ifr_hwaddr.sa_family);
	if (!strcmp(family, "inet")) {
		T(ioctl(fd, SIOCGIFADDR, &r));
		printf("address %s\n", inet_ntop(AF_INET, &((struct sockaddr_in *)&r.ifr_addr)->sin_addr, text, sizeof text));
		T(ioctl(fd, SIOCGIFNETMASK, &r));
		printf("mask %s\n", inet_ntop(AF_INET, &((struct sockaddr_in *)&r.ifr_netmask)->sin_addr, text, sizeof text));
	}
	T(ioctl(fd, SIOCGIFCONF, &all));
	printf("size of the list %d\n", all.ifc_len >= (int)sizeof r && all.ifc_len % (int)sizeof r == 0);
	all.ifc_len = sizeof list;
	all.ifc_buf = list;
	T(ioctl(fd, SIOCGIFCONF, &all));
	for (int i = 0; i < all.ifc_len / (int)sizeof r; i++)
		found += !strcmp(all.ifc_req[i].ifr_name, "lo");
	printf("in the list %d\n", found);
	all.ifc_len = 1;
	T(ioctl(fd, SIOCGIFCONF, &all));
	printf("no room %d\n", all.ifc_len);
	strcpy(r.ifr_name, "none0");
	T(ioctl(fd, SIOCGIFFLAGS, &r));
	r.ifr_ifindex = 0;
	T(ioctl(fd, SIOCGIFNAME, &r));
	T(ioctl(fd, SIOCGIFFLAGS, NULL));
	close(fd);
}

/* The address 127.0.0.1 in an answer to who asks for one family, or as Go for all, and for nothing before. */
static void addresses(int family)
{
	struct {
		struct nlmsghdr head;
		struct rtgenmsg body;
	} request = { { sizeof request, RTM_GETADDR, NLM_F_ROOT | NLM_F_MATCH | NLM_F_REQUEST | NLM_F_ACK, 7, 0 }, { (unsigned char)family } };
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR };
	socklen_t size = sizeof address;
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), loopbacks = 0;
	static char answer[65536];

	if (family == AF_UNSPEC)
		request.head.nlmsg_len = NLMSG_LENGTH(sizeof request.body); /* glibc counts what fills up, too */
	T(bind(fd, (struct sockaddr *)&address, sizeof address));
	T(getsockname(fd, (struct sockaddr *)&address, &size));
	printf("groups %#x, a port %d\n", address.nl_groups, address.nl_pid != 0);
	T(send(fd, &request, request.head.nlmsg_len, 0));
	for (;;) {
		int left = (int)recv(fd, answer, sizeof answer, 0);
		struct nlmsghdr *h = (struct nlmsghdr *)answer;

		for (; left > 0 && NLMSG_OK(h, (unsigned)left); h = NLMSG_NEXT(h, left)) {
			struct ifaddrmsg *m = NLMSG_DATA(h);

			if (h->nlmsg_type == RTM_NEWADDR)
				loopbacks += m->ifa_index == 1 && m->ifa_family == (family == AF_UNSPEC ? AF_INET : family);
			else
				left = 0;
		}
		if (left <= 0)
			break;
	}
	printf("family %d: %d\n", family, loopbacks > 0);
	close(fd);
}

int main(void)
{
	struct ifaddrs *all, *a;
	int n = 0;

	questions("inet", socket(AF_INET, SOCK_DGRAM, 0));
	questions("inet6", socket(AF_INET6, SOCK_STREAM, 0));
	questions("unix", socket(AF_UNIX, SOCK_DGRAM, 0));
	printf("if_nametoindex %u\n", if_nametoindex("lo"));
	addresses(AF_INET);
	addresses(AF_UNSPEC);
#ifdef __GLIBC__ /* musl's connects a socket instead, which needs a grant */
	struct addrinfo hints = { .ai_flags = AI_ADDRCONFIG, .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
	printf("getaddrinfo %d\n", getaddrinfo("127.0.0.1", "80", &hints, &found));
#endif
	if (getifaddrs(&all))
		return 1;
	for (a = all; a; a = a->ifa_next)
		n += !strcmp(a->ifa_name, "lo") && a->ifa_addr && a->ifa_addr->sa_family == AF_INET;
	printf("getifaddrs %d\n", n);
	return 0;
}
