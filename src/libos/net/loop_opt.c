/*
 * Options of connections to other cVMs. What only steers packets is accepted and told back; what has a meaning here
 * (timeouts, SO_ERROR, SO_ACCEPTCONN) works. Names and values as Linux tells them for TCP and Unix sockets.
 */
#include "core/hostcall.h"
#include "core/uaccess.h"
#include "net/loop.h"

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/tcp.h>

#define SOL_IP 0
#define SOL_TCP 6
#define SOL_IPV6 41
#define BUFFER_MAX 212992
#define TCP_STATE_ESTABLISHED 1
#define TCP_STATE_SYN_SENT 2
#define TCP_STATE_CLOSE_WAIT 8
#define TCP_STATE_LISTEN 10

static const struct known {
	int level, name, initial;
} g_known[] = {
	{ SOL_SOCKET, SO_REUSEADDR, 0 },    { SOL_SOCKET, SO_REUSEPORT, 0 },	{ SOL_SOCKET, SO_KEEPALIVE, 0 },
	{ SOL_SOCKET, SO_SNDBUF, 212992 },  { SOL_SOCKET, SO_RCVBUF, 212992 },	{ SOL_SOCKET, SO_OOBINLINE, 0 },
	{ SOL_SOCKET, SO_PRIORITY, 0 },	    { SOL_SOCKET, SO_BROADCAST, 0 },	{ SOL_SOCKET, SO_DONTROUTE, 0 },
	{ SOL_SOCKET, SO_RCVLOWAT, 1 },	    { SOL_SOCKET, SO_SNDLOWAT, 1 },	{ SOL_SOCKET, SO_TIMESTAMP_OLD, 0 },
	{ SOL_SOCKET, SO_PASSCRED, 0 },	    { SOL_SOCKET, SO_BUSY_POLL, 0 },	{ SOL_SOCKET, SO_MARK, 0 },
	{ SOL_SOCKET, SO_INCOMING_CPU, 0 }, { SOL_SOCKET, SO_ZEROCOPY, 0 },
	{ SOL_TCP, TCP_NODELAY, 0 },	    { SOL_TCP, TCP_CORK, 0 },		{ SOL_TCP, TCP_KEEPIDLE, 7200 },
	{ SOL_TCP, TCP_KEEPINTVL, 75 },	    { SOL_TCP, TCP_KEEPCNT, 9 },	{ SOL_TCP, TCP_MAXSEG, 65483 },
	{ SOL_TCP, TCP_USER_TIMEOUT, 0 },   { SOL_TCP, TCP_QUICKACK, 1 },	{ SOL_TCP, TCP_DEFER_ACCEPT, 0 },
	{ SOL_TCP, TCP_SYNCNT, 6 },	    { SOL_TCP, TCP_LINGER2, 60 },	{ SOL_TCP, TCP_WINDOW_CLAMP, 0 },
	{ SOL_TCP, TCP_NOTSENT_LOWAT, 0 },  { SOL_TCP, TCP_FASTOPEN, 0 },	{ SOL_TCP, TCP_FASTOPEN_CONNECT, 0 },
	{ SOL_IP, IP_TOS, 0 },		    { SOL_IP, IP_TTL, 64 },		{ SOL_IP, IP_MTU_DISCOVER, 1 },
	{ SOL_IP, IP_RECVERR, 0 },	    { SOL_IPV6, IPV6_V6ONLY, 0 },	{ SOL_IPV6, IPV6_TCLASS, 0 },
	{ SOL_IPV6, IPV6_UNICAST_HOPS, 64 },
};

static const struct known *known(const struct loop *l, int level, int name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(g_known); i++)
		if (g_known[i].level == level && g_known[i].name == name && (level == SOL_SOCKET || l->socket.domain != AF_UNIX))
			return &g_known[i];
	return NULL;
}

static int take_error(struct loop *l)
{
	int error;

	mutex_lock(&l->lock);
	error = l->error;
	l->error = 0;
	mutex_unlock(&l->lock);
	if (!error && l->kind == LOOP_STREAM && (loop_refresh(l) & (CAP_RESET | CAP_BROKEN)) == (CAP_RESET | CAP_BROKEN) &&
	    !__atomic_exchange_n(&l->reset_told, true, __ATOMIC_SEQ_CST))
		error = ECONNRESET;
	return error;
}

static int tcp_info(struct loop *l, void *user, uint32_t *user_size)
{
	struct tcp_info info = { .tcpi_snd_mss = 65483, .tcpi_rcv_mss = 65483, .tcpi_pmtu = 65535, .tcpi_rtt = 1 };

	info.tcpi_state = l->kind == LOOP_LISTENER	      ? TCP_STATE_LISTEN :
			  l->kind != LOOP_STREAM	      ? TCP_STATE_SYN_SENT :
			  loop_refresh(l) & CAP_ENDED ? TCP_STATE_CLOSE_WAIT :
							TCP_STATE_ESTABLISHED;
	return option_to_user(&info, sizeof(info), user, user_size);
}

static int stored(struct loop *l, int level, int name, int *value)
{
	int found = -ENOENT;

	mutex_lock(&l->lock);
	for (unsigned i = 0; i < l->options; i++)
		if (l->option[i].level == level && l->option[i].name == name) {
			*value = l->option[i].value;
			found = 0;
		}
	mutex_unlock(&l->lock);
	return found;
}

int loop_getopt(struct file *f, int level, int name, void *user, uint32_t *user_size)
{
	static const struct ucred nobody = { 0, 65534, 65534 }; /* as for users of another namespace */
	struct loop *l = loop_of(f);
	int value, ret = socket_getopt_common(&l->socket, level, name, user, user_size), linger[2] = { 0 };

	if (ret != -ENOPROTOOPT)
		return ret;
	if (level == SOL_SOCKET) {
		if (name == SO_PEERCRED)
			return option_to_user(&nobody, sizeof(nobody), user, user_size);
		if (name == SO_RCVTIMEO_OLD || name == SO_SNDTIMEO_OLD)
			return timeout_to_user(name == SO_RCVTIMEO_OLD ? l->receive_timeout : l->send_timeout, user, user_size);
		if (name == SO_ERROR || name == SO_ACCEPTCONN) {
			value = name == SO_ERROR ? take_error(l) : l->kind == LOOP_LISTENER;
			return option_to_user(&value, sizeof(value), user, user_size);
		}
		if (name == SO_LINGER) {
			if (!stored(l, level, name, &value))
				linger[0] = 1, linger[1] = value;
			return option_to_user(linger, sizeof(linger), user, user_size);
		}
	}
	if (l->socket.domain == AF_UNIX && level != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (level == SOL_TCP && name == TCP_INFO)
		return tcp_info(l, user, user_size);
	if (level == SOL_TCP && name == TCP_CONGESTION)
		return option_to_user("cubic\0\0\0\0\0\0\0\0\0\0", 16, user, user_size);
	if (stored(l, level, name, &value)) {
		const struct known *k = known(l, level, name);

		/* Set on the host's socket before it became one of ours. */
		if (l->host >= 0 && l->socket.domain != AF_UNIX)
			return (int)hostcall(HC_sock_getopt, l->host, level, name, user, user_size);
		if (!k)
			return -ENOPROTOOPT;
		value = k->initial;
	}
	return option_to_user(&value, sizeof(value), user, user_size);
}

static int store(struct loop *l, int level, int name, int value)
{
	unsigned i;

	mutex_lock(&l->lock);
	for (i = 0; i < l->options && (l->option[i].level != level || l->option[i].name != name); i++)
		;
	if (i < LOOP_OPTIONS_MAX)
		l->option[i] = (struct loop_option){ level, name, value };
	l->options = MAX(l->options, MIN(i + 1, LOOP_OPTIONS_MAX)); /* too many: accepted, not told back */
	mutex_unlock(&l->lock);
	return 0;
}

int loop_setopt(struct file *f, int level, int name, const void *user, uint32_t size)
{
	struct loop *l = loop_of(f);
	int value, linger[2];

	if (l->socket.domain == AF_UNIX && level != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (level == SOL_SOCKET && name == SO_RCVTIMEO_OLD)
		return timeout_from_user(&l->receive_timeout, user, size);
	if (level == SOL_SOCKET && name == SO_SNDTIMEO_OLD)
		return timeout_from_user(&l->send_timeout, user, size);
	if (level == SOL_SOCKET && name == SO_LINGER) {
		if (size < sizeof(linger))
			return -EINVAL;
		if (copy_from_user(linger, user, sizeof(linger)))
			return -EFAULT;
		return linger[0] ? store(l, level, name, linger[1]) : 0;
	}
	if (level == SOL_TCP && name == TCP_CONGESTION)
		return 0;
	if (!known(l, level, name))
		return -ENOPROTOOPT;
	if (size < sizeof(value))
		return -EINVAL;
	if (copy_from_user(&value, user, sizeof(value)))
		return -EFAULT;
	if (level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_RCVBUF))
		value = MAX(MIN(value, BUFFER_MAX), name == SO_SNDBUF ? 2304 : 1152) * 2;
	else if (level == SOL_SOCKET && name != SO_RCVLOWAT && name != SO_PRIORITY && name != SO_MARK && name != SO_BUSY_POLL)
		value = value != 0;
	else if (level == SOL_TCP && (name == TCP_NODELAY || name == TCP_CORK))
		value = value != 0;
	return store(l, level, name, value);
}
