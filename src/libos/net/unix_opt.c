/*
 * Options of Unix sockets. Sizes are kept and told back as Linux does (doubled, within limits); the ring that really
 * holds a stream's bytes is the next power of two.
 */
#include "core/uaccess.h"
#include "net/unix.h"


#define BUFFER_MIN 2048u
#define BUFFER_MAX 212992u

/* What is remembered of options that mean nothing here, as on Linux: their bit. */
static uint8_t flag_of(int name)
{
	switch (name) {
	case SO_REUSEADDR: return 1;
	case SO_KEEPALIVE: return 2;
	case SO_BROADCAST: return 4;
	case SO_OOBINLINE: return 8;
	case SO_DONTROUTE: return 16;
	case SO_TIMESTAMP_OLD: return 32;
	default: return 0;
	}
}

/* What it tells next is `next`. */
static int take_error(struct unix_sock *s, int next)
{
	int error;

	mutex_lock(&s->lock);
	error = s->error;
	s->error = next;
	mutex_unlock(&s->lock);
	return error;
}

int unix_error(struct file *f, int next)
{
	return take_error(unix_of(f), next);
}

static int get_int(struct unix_sock *s, int name, int *value)
{
	if (flag_of(name)) {
		*value = (s->flags & flag_of(name)) != 0;
		return 0;
	}
	switch (name) {
	case SO_ERROR:
		*value = take_error(s, 0);
		return 0;
	case SO_ACCEPTCONN:
		*value = s->state == UNIX_LISTENING;
		return 0;
	case SO_SNDBUF:
		*value = (int)s->send_buffer;
		return 0;
	case SO_RCVBUF:
		*value = (int)s->receive_buffer;
		return 0;
	case SO_PASSCRED:
		*value = s->passcred;
		return 0;
	case SO_RCVLOWAT:
		*value = s->receive_least;
		return 0;
	case SO_SNDLOWAT:
		*value = 1;
		return 0;
	case SO_PRIORITY:
		*value = s->priority;
		return 0;
	case SO_REUSEPORT:
		*value = 0;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

int unix_getopt(struct file *f, int level, int name, void *user, uint32_t *user_size)
{
	struct unix_sock *s = unix_of(f);
	int value, ret = socket_getopt_common(&s->socket, level, name, user, user_size);

	if (ret != -ENOPROTOOPT)
		return ret;
	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (name == SO_PEERCRED)
		return option_to_user(&s->peer_cred, sizeof(s->peer_cred), user, user_size);
	if (name == SO_LINGER)
		return option_to_user(&s->linger, sizeof(s->linger), user, user_size);
	if (name == SO_RCVTIMEO_OLD || name == SO_SNDTIMEO_OLD)
		return timeout_to_user(name == SO_RCVTIMEO_OLD ? s->receive_timeout : s->send_timeout, user, user_size);
	ret = get_int(s, name, &value);
	return ret ? ret : option_to_user(&value, sizeof(value), user, user_size);
}

static uint32_t buffer_size(int value)
{
	uint32_t size = value < 0 ? 0 : MIN((uint32_t)value, BUFFER_MAX);

	return MAX(size, BUFFER_MIN) * 2;
}

/* How much the peer may have unread is the sender's SO_SNDBUF. */
static void set_send_buffer(struct unix_sock *s, uint32_t size)
{
	struct unix_sock *peer = unix_peer_get(s);
	uint32_t limit = PAGE_SIZE;

	s->send_buffer = size;
	while (limit < size)
		limit *= 2;
	if (!peer)
		return;
	mutex_lock(&peer->lock);
	(void)!ring_set_limit(&peer->ring, limit); /* too full: the limit stays */
	mutex_unlock(&peer->lock);
	waitq_wake(&s->wait, EPOLLOUT | EPOLLWRNORM);
	unix_put(peer);
}

/* Closing never waits here; the time outlives switching it off. */
static int set_linger(struct unix_sock *s, const void *user, uint32_t size)
{
	int linger[2];

	if (size < sizeof(linger))
		return -EINVAL;
	if (copy_from_user(linger, user, sizeof(linger)))
		return -EFAULT;
	s->linger.on = linger[0] != 0;
	if (linger[0])
		s->linger.seconds = linger[1];
	return 0;
}

int unix_setopt(struct file *f, int level, int name, const void *user, uint32_t size)
{
	struct unix_sock *s = unix_of(f);
	int value;

	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (name == SO_RCVTIMEO_OLD)
		return timeout_from_user(&s->receive_timeout, user, size);
	if (name == SO_SNDTIMEO_OLD)
		return timeout_from_user(&s->send_timeout, user, size);
	if (size < sizeof(value))
		return -EINVAL;
	if (copy_from_user(&value, user, sizeof(value)))
		return -EFAULT;
	if (flag_of(name)) {
		s->flags = (uint8_t)(value ? s->flags | flag_of(name) : s->flags & ~flag_of(name));
		return 0;
	}
	switch (name) {
	case SO_PASSCRED:
		s->passcred = value != 0;
		return 0;
	case SO_SNDBUF:
		set_send_buffer(s, buffer_size(value));
		return 0;
	case SO_RCVBUF:
		s->receive_buffer = buffer_size(value);
		return 0;
	case SO_LINGER:
		return set_linger(s, user, size);
	case SO_PRIORITY:
		s->priority = value;
		return 0;
	case SO_RCVLOWAT:
		s->receive_least = value < 0 ? INT32_MAX : MAX(value, 1);
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}
