/*
 * Options of Unix sockets. Sizes are kept and told back as Linux does (doubled, within limits); the ring that really
 * holds a stream's bytes is the next power of two.
 */
#include "core/uaccess.h"
#include "net/unix.h"


#define BUFFER_MIN 2048u
#define BUFFER_MAX 212992u

static int get_int(struct unix_sock *s, int name, int *value)
{
	switch (name) {
	case SO_ERROR:
		mutex_lock(&s->lock);
		*value = s->error;
		s->error = 0;
		mutex_unlock(&s->lock);
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
	case SO_SNDLOWAT:
		*value = 1;
		return 0;
	case SO_REUSEADDR:
	case SO_KEEPALIVE:
	case SO_BROADCAST:
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
	static const int linger[2];

	if (ret != -ENOPROTOOPT)
		return ret;
	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (name == SO_PEERCRED)
		return option_to_user(&s->peer_cred, sizeof(s->peer_cred), user, user_size);
	if (name == SO_LINGER)
		return option_to_user(linger, sizeof(linger), user, user_size);
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
	case SO_REUSEADDR:
	case SO_KEEPALIVE:
	case SO_BROADCAST:
	case SO_LINGER:
	case SO_PRIORITY:
	case SO_RCVLOWAT:
	case SO_DONTROUTE:
	case SO_TIMESTAMP_OLD:
		return 0; /* mean nothing here, as on Linux */
	default:
		return -ENOPROTOOPT;
	}
}
