/*
 * AF_NETLINK, NETLINK_ROUTE: only what getaddrinfo(3), getifaddrs(3) and if_nameindex(3) ask: dumps of links and
 * addresses, which say that there is a loopback interface and nothing else. Nothing reaches the host. Everything else
 * answers -EOPNOTSUPP in a netlink error message.
 * It also carries the notes of mq_notify(3), as on Linux: its thread waits for them at such a socket.
 * Who asks for addresses of all families, in a request of glibc's size, without having asked for links is getaddrinfo with AI_ADDRCONFIG.
 * It would take "loopback only" for "no network", though granted connections may lead out: it is refused, and then believes in both families.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "ipc/block.h"
#include "ipc/iter.h"
#include "net/socket.h"

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#define ANSWERS_MAX 2048u
#define REQUEST_MAX 4096u
#define GETADDRINFO_SIZE 4u /* struct rtgenmsg and three bytes to the end of its structure; others send one byte, or struct ifaddrmsg */
#define ARPHRD_LOOPBACK 772
#define LINK_FLAGS 0x10049u /* IFF_UP|IFF_LOOPBACK|IFF_RUNNING|IFF_LOWER_UP */

struct netlink_sock {
	struct socket socket; /* first */
	struct mutex lock;
	uint32_t port, groups;
	bool asked_links;
	uint32_t size;	       /* bytes in answers */
	uint32_t first;	       /* bytes up to the end of the first datagram */
	uint8_t answers[ANSWERS_MAX]; /* the dump, then NLMSG_DONE: two datagrams */
	struct list notes;	      /* struct netlink_note, oldest first; behind the answers */
	uint64_t inode;
	struct waitq wait;
};

static struct nlmsghdr *begin(struct netlink_sock *s, const struct nlmsghdr *request, int type, uint32_t body)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(s->answers + s->size);

	if (s->size + NLMSG_SPACE(body) + 256 > ANSWERS_MAX)
		return NULL;
	memset(h, 0, NLMSG_SPACE(body));
	h->nlmsg_len = NLMSG_LENGTH(body);
	h->nlmsg_type = (uint16_t)type;
	h->nlmsg_flags = NLM_F_MULTI;
	h->nlmsg_seq = request->nlmsg_seq;
	h->nlmsg_pid = s->port;
	return h;
}

static void attribute(struct nlmsghdr *h, int type, const void *data, uint32_t size)
{
	struct rtattr *a = (struct rtattr *)((char *)h + NLMSG_ALIGN(h->nlmsg_len));

	a->rta_type = (uint16_t)type;
	a->rta_len = (uint16_t)RTA_LENGTH(size);
	memset(RTA_DATA(a), 0, RTA_ALIGN(size));
	memcpy(RTA_DATA(a), data, size);
	h->nlmsg_len = NLMSG_ALIGN(h->nlmsg_len) + RTA_ALIGN(a->rta_len);
}

static void end(struct netlink_sock *s, const struct nlmsghdr *h)
{
	s->size += NLMSG_ALIGN(h->nlmsg_len);
}

static void answer_link(struct netlink_sock *s, const struct nlmsghdr *request)
{
	static const uint8_t zero[8];
	static const uint32_t mtu = 65536;
	struct nlmsghdr *h = begin(s, request, RTM_NEWLINK, sizeof(struct ifinfomsg));
	struct ifinfomsg *m = h ? NLMSG_DATA(h) : NULL;

	if (!m)
		return;
	m->ifi_type = ARPHRD_LOOPBACK;
	m->ifi_index = LOOPBACK_INDEX;
	m->ifi_flags = LINK_FLAGS;
	attribute(h, IFLA_IFNAME, "lo", 3);
	attribute(h, IFLA_MTU, &mtu, sizeof(mtu));
	attribute(h, IFLA_ADDRESS, zero, 6);
	attribute(h, IFLA_BROADCAST, zero, 6);
	end(s, h);
}

static void answer_address(struct netlink_sock *s, const struct nlmsghdr *request, uint8_t family)
{
	static const uint8_t ipv4[4] = { 127, 0, 0, 1 };
	static const uint8_t ipv6[16] = { [15] = 1 };
	bool six = family == AF_INET6;
	struct nlmsghdr *h = begin(s, request, RTM_NEWADDR, sizeof(struct ifaddrmsg));
	struct ifaddrmsg *m = h ? NLMSG_DATA(h) : NULL;

	if (!m)
		return;
	m->ifa_family = family;
	m->ifa_prefixlen = six ? 128 : 8;
	m->ifa_flags = IFA_F_PERMANENT;
	m->ifa_scope = RT_SCOPE_HOST;
	m->ifa_index = LOOPBACK_INDEX;
	attribute(h, IFA_ADDRESS, six ? ipv6 : ipv4, six ? 16 : 4);
	if (!six) {
		attribute(h, IFA_LOCAL, ipv4, 4);
		attribute(h, IFA_LABEL, "lo", 3);
	}
	end(s, h);
}

static void answer_error(struct netlink_sock *s, const struct nlmsghdr *request, int error)
{
	struct nlmsghdr *h = begin(s, request, NLMSG_ERROR, sizeof(struct nlmsgerr));
	struct nlmsgerr *e = h ? NLMSG_DATA(h) : NULL;

	if (!e)
		return;
	h->nlmsg_flags = 0;
	e->error = error;
	e->msg = *request;
	end(s, h);
}

static void answer(struct netlink_sock *s, const struct nlmsghdr *request, const uint8_t *body, uint32_t body_size)
{
	uint8_t family = body_size ? body[0] : AF_UNSPEC;
	struct nlmsghdr *h;

	s->size = 0;
	if (request->nlmsg_type == RTM_GETLINK) {
		s->asked_links = true;
		answer_link(s, request);
	} else if (request->nlmsg_type == RTM_GETADDR) {
		if (family != AF_INET6)
			answer_address(s, request, AF_INET);
		if (family != AF_INET)
			answer_address(s, request, AF_INET6);
	} else if (!(request->nlmsg_flags & NLM_F_DUMP)) {
		answer_error(s, request, -EOPNOTSUPP);
		s->first = s->size;
		return;
	}
	s->first = s->size;
	h = begin(s, request, NLMSG_DONE, sizeof(int));
	if (h)
		end(s, h);
	if (!s->first)
		s->first = s->size;
}

static ssize_t netlink_send(struct file *f, struct socket_msg *msg, uint32_t flags)
{
	struct netlink_sock *s = f->data;
	struct iter it = iter_init(msg->iov, msg->count);
	uint32_t total = (uint32_t)MIN(it.left, (size_t)REQUEST_MAX), left = total;
	uint8_t *buf = kmalloc(REQUEST_MAX);
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
	ssize_t ret = total;

	(void)flags;
	if (!buf)
		return -ENOMEM;
	if (iter_take(&it, buf, total) < total) {
		kfree(buf);
		return -EFAULT;
	}
	mutex_lock(&s->lock);
	if (NLMSG_OK(h, left)) {
		const uint8_t *body = NLMSG_DATA(h);
		uint32_t size = h->nlmsg_len - (uint32_t)NLMSG_HDRLEN;

		if (h->nlmsg_type == RTM_GETADDR && !s->asked_links && size == GETADDRINFO_SIZE && body[0] == AF_UNSPEC)
			ret = -EPERM;
		else
			answer(s, h, body, size);
	}
	mutex_unlock(&s->lock);
	waitq_wake(&s->wait, EPOLLIN | EPOLLRDNORM);
	kfree(buf);
	return ret;
}

static void address(uint32_t port, uint32_t groups, struct sockaddr_any *addr)
{
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = groups };

	memset(addr, 0, sizeof(*addr));
	memcpy(&addr->storage, &nl, sizeof(nl));
	addr->size = sizeof(nl);
}

struct netlink_recv {
	struct netlink_sock *s;
	struct iter it;
	struct socket_msg *msg;
	uint32_t flags;
};

static ssize_t put_datagram(struct netlink_recv *io, const uint8_t *data, size_t size)
{
	size_t n = MIN(io->it.left, size);

	if (n < size)
		io->msg->flags |= MSG_TRUNC;
	if (iter_put(&io->it, data, n) < n)
		return -EFAULT;
	return (ssize_t)(io->flags & MSG_TRUNC ? size : n);
}

static void drop_note(struct netlink_note *note)
{
	list_remove(&note->link);
	kfree(note);
}

static ssize_t try_recv(void *ctx)
{
	struct netlink_recv *io = ctx;
	struct netlink_sock *s = io->s;
	bool peek = io->flags & MSG_PEEK;
	ssize_t ret = -EAGAIN;

	mutex_lock(&s->lock);
	if (s->first) {
		ret = put_datagram(io, s->answers, s->first);
		if (!peek) {
			memmove(s->answers, s->answers + s->first, s->size - s->first);
			s->size -= s->first;
			s->first = s->size;
		}
	} else if (!list_empty(&s->notes)) {
		struct netlink_note *note = list_entry(s->notes.next, struct netlink_note, link);

		ret = put_datagram(io, note->data, sizeof(note->data));
		if (!peek)
			drop_note(note);
	}
	mutex_unlock(&s->lock);
	return ret;
}

static ssize_t netlink_recv(struct file *f, struct socket_msg *msg, uint32_t flags)
{
	struct netlink_recv io = { .s = f->data, .it = iter_init(msg->iov, msg->count), .msg = msg, .flags = flags };
	ssize_t ret;

	msg->flags = 0;
	msg->control_size = 0;
	ret = try_recv(&io);
	if (ret == -EAGAIN && !(flags & MSG_DONTWAIT) && !(f->flags & O_NONBLOCK))
		ret = block_until(&io.s->wait, BLOCK_READ, -1, try_recv, &io);
	if (ret >= 0 && msg->name) {
		struct sockaddr_any addr;
		uint32_t room = msg->name_size;

		address(0, 0, &addr);
		msg->name_size = addr.size;
		if (copy_to_user(msg->name, &addr.storage, MIN(room, addr.size)))
			return -EFAULT;
	}
	return ret;
}

static ssize_t netlink_read(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct socket_msg msg = { .iov = iov, .count = count };

	(void)pos;
	return netlink_recv(f, &msg, 0);
}

static ssize_t netlink_write(struct file *f, const struct iovec *iov, unsigned count, off_t *pos)
{
	struct socket_msg msg = { .iov = iov, .count = count };

	(void)pos;
	return netlink_send(f, &msg, 0);
}

static int netlink_bind(struct file *f, const struct sockaddr_any *addr)
{
	struct netlink_sock *s = f->data;
	const struct sockaddr_nl *nl = (const struct sockaddr_nl *)&addr->storage;

	if (addr->size < sizeof(*nl) || nl->nl_family != AF_NETLINK)
		return -EINVAL;
	s->groups = nl->nl_groups; /* whose announcements never come, as nothing changes */
	if (nl->nl_pid)
		s->port = nl->nl_pid;
	return 0;
}

static int netlink_connect(struct file *f, const struct sockaddr_any *addr)
{
	(void)f;
	return addr->family == AF_NETLINK ? 0 : -EINVAL;
}

static int netlink_name(struct file *f, bool peer, struct sockaddr_any *addr)
{
	const struct netlink_sock *s = f->data;

	address(peer ? 0 : s->port, peer ? 0 : s->groups, addr);
	return 0;
}

static int netlink_getopt(struct file *f, int level, int name, void *user, uint32_t *user_size)
{
	return socket_getopt_common(f->data, level, name, user, user_size);
}

static int netlink_setopt(struct file *f, int level, int name, const void *user, uint32_t size)
{
	(void)f, (void)name, (void)user, (void)size;
	return level == SOL_SOCKET || level == 270 /* SOL_NETLINK */ ? 0 : -ENOPROTOOPT;
}

static uint32_t netlink_poll(struct file *f)
{
	struct netlink_sock *s = f->data;
	bool some;

	mutex_lock(&s->lock);
	some = s->first || !list_empty(&s->notes);
	mutex_unlock(&s->lock);
	return (some ? EPOLLIN | EPOLLRDNORM : 0u) | EPOLLOUT | EPOLLWRNORM;
}

static struct waitq *netlink_waitq(struct file *f)
{
	return &((struct netlink_sock *)f->data)->wait;
}

static int netlink_stat(struct file *f, struct statx *st)
{
	return numbered_stat(st, S_IFSOCK | 0777, ((struct netlink_sock *)f->data)->inode);
}

static void netlink_release(struct file *f)
{
	struct netlink_sock *s = f->data;

	while (!list_empty(&s->notes))
		drop_note(list_entry(s->notes.next, struct netlink_note, link));
	kfree(s);
}

const struct file_ops g_netlink_file_ops = {
	.name = "socket",
	.read = netlink_read,
	.write = netlink_write,
	.poll = netlink_poll,
	.waitq = netlink_waitq,
	.stat = netlink_stat,
	.release = netlink_release,
};

static const struct socket_ops g_netlink_socket_ops = {
	.bind = netlink_bind,
	.connect = netlink_connect,
	.name = netlink_name,
	.send = netlink_send,
	.recv = netlink_recv,
	.getopt = netlink_getopt,
	.setopt = netlink_setopt,
};

struct file *netlink_socket(int type, int protocol, uint32_t flags, int *error)
{
	static uint32_t g_ports = 1u << 20;
	struct netlink_sock *s;
	struct file *f;

	*error = type != SOCK_RAW && type != SOCK_DGRAM ? -ESOCKTNOSUPPORT : protocol != NETLINK_ROUTE ? -EPROTONOSUPPORT : 0;
	if (*error)
		return NULL;
	*error = -ENOMEM;
	s = kzalloc(sizeof(*s));
	if (!s)
		return NULL;
	s->socket = (struct socket){ .ops = &g_netlink_socket_ops, .domain = AF_NETLINK, .type = (uint16_t)type };
	s->port = __atomic_fetch_add(&g_ports, 1, __ATOMIC_RELAXED);
	s->inode = anon_inode();
	list_init(&s->notes);
	waitq_init(&s->wait);
	f = file_alloc(&g_netlink_file_ops, O_RDWR | (flags & O_NONBLOCK), s);
	if (!f)
		kfree(s);
	return f;
}

int netlink_check(struct file *f)
{
	if (f->ops == &g_netlink_file_ops)
		return 0;
	return socket_of(f) ? -EINVAL : -ENOTSOCK;
}

void netlink_deliver(struct file *f, struct netlink_note *note)
{
	struct netlink_sock *s = f->data;

	mutex_lock(&s->lock);
	list_append(&s->notes, &note->link);
	mutex_unlock(&s->lock);
	waitq_wake(&s->wait, EPOLLIN | EPOLLRDNORM);
}
