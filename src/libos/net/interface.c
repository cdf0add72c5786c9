/*
 * The interface questions of netdevice(7), on any socket: there is a loopback interface and nothing else, as net/netlink.c says too.
 * Nothing reaches the host.
 */
#include "core/uaccess.h"
#include "net/socket.h"
#include "thread/isolated.h"

#include <linux/in.h>
#include <linux/sockios.h>

#define LOOPBACK_MTU 65536
#define LOOPBACK_FLAGS 0x49 /* IFF_UP|IFF_LOOPBACK|IFF_RUNNING */
#define LOOPBACK_ADDRESS 0x0100007f /* 127.0.0.1, in network order */
#define LOOPBACK_MASK 0xff
#define ARPHRD_LOOPBACK 772

struct interface_request { /* struct ifreq, which <linux/if.h> declares for who has a C library only */
	char name[16];
	union {
		uint8_t hardware[24];
		int16_t flags;
		int32_t number;
		struct sockaddr_in address;
	};
};

static int list(void *user)
{
	struct { /* struct ifconf */
		int32_t size;
		uint64_t requests;
	} all;
	struct interface_request r = { .name = "lo", .address = { .sin_family = AF_INET, .sin_addr.s_addr = LOOPBACK_ADDRESS } };

	if (copy_from_user(&all, user, sizeof(all)))
		return -EFAULT;
	if (all.requests && all.size < (int32_t)sizeof(r))
		all.size = 0;
	else if (all.requests && (!address_in_program(all.requests) || copy_to_user((void *)all.requests, &r, sizeof(r))))
		return -EFAULT;
	else
		all.size = sizeof(r);
	return copy_to_user(user, &all, sizeof(all));
}

long interface_ioctl(unsigned long request, void *user)
{
	struct interface_request r;

	if (request == SIOCGIFCONF)
		return list(user);
	if (copy_from_user(&r, user, sizeof(r)))
		return -EFAULT;
	r.name[sizeof(r.name) - 1] = '\0';
	if (request == SIOCGIFNAME ? r.number != LOOPBACK_INDEX : strcmp(r.name, "lo") != 0)
		return -ENODEV;
	if (request != SIOCGIFNAME)
		memset(r.hardware, 0, sizeof(r.hardware));
	switch (request) {
	case SIOCGIFNAME:
		memcpy(r.name, "lo", 3);
		break;
	case SIOCGIFINDEX:
		r.number = LOOPBACK_INDEX;
		break;
	case SIOCGIFMTU:
		r.number = LOOPBACK_MTU;
		break;
	case SIOCGIFFLAGS:
		r.flags = LOOPBACK_FLAGS;
		break;
	case SIOCGIFHWADDR:
		r.flags = ARPHRD_LOOPBACK;
		break;
	case SIOCGIFADDR:
	case SIOCGIFNETMASK:
		r.address.sin_family = AF_INET;
		r.address.sin_addr.s_addr = request == SIOCGIFADDR ? LOOPBACK_ADDRESS : LOOPBACK_MASK;
		break;
	default:
		return -ENOTTY;
	}
	return copy_to_user(user, &r, sizeof(r));
}
