/*
 * Names of Unix sockets: abstract ones are bytes, path names are inodes in a file system in memory (fs/vfs.h), so that
 * renames and links behave. One list for the cVM; sockets with names are few.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/vfs.h"
#include "net/unix.h"

static struct mutex g_names_lock;
static struct list g_names = LIST_INIT(g_names);

struct unix_name *unix_name_get(struct unix_name *n)
{
	if (n)
		__atomic_add_fetch(&n->refs, 1, __ATOMIC_RELAXED);
	return n;
}

void unix_name_put(struct unix_name *n)
{
	if (!n || __atomic_sub_fetch(&n->refs, 1, __ATOMIC_ACQ_REL))
		return;
	inode_put(n->inode);
	kfree(n);
}

static struct unix_name *name_alloc(const struct sockaddr_any *addr, int type)
{
	struct unix_name *n = kzalloc(sizeof(*n));

	if (!n)
		return NULL;
	list_init(&n->link);
	n->refs = 1;
	n->type = type;
	n->size = addr->size;
	memcpy(n->bytes, &addr->storage, MIN((size_t)addr->size, sizeof(n->addr)));
	return n;
}

static bool is_path(const struct sockaddr_any *addr)
{
	return ((const struct sockaddr_un *)&addr->storage)->sun_path[0] != 0;
}

/* g_names_lock held. */
static struct unix_name *find(const struct sockaddr_any *addr, int type, const struct inode *inode)
{
	list_for_each(at, &g_names) {
		struct unix_name *n = list_entry(at, struct unix_name, link);

		if (inode ? n->inode == inode :
			    !n->inode && n->type == type && n->size == addr->size &&
				    !memcmp(n->bytes, &addr->storage, n->size))
			return n;
	}
	return NULL;
}

/* Linux's autobind: five hexadecimal digits behind the zero byte. g_names_lock held. */
static void invent(struct unix_name *n)
{
	static uint32_t g_next;
	struct sockaddr_any probe;

	do {
		memset(&probe, 0, sizeof(probe));
		probe.family = AF_UNIX;
		probe.size = UNIX_PATH_OFFSET + 6;
		(void)format(((struct sockaddr_un *)&probe.storage)->sun_path + 1, 6, "%05x", g_next++ & 0xfffff);
	} while (find(&probe, n->type, NULL));
	n->size = probe.size;
	memcpy(n->bytes, &probe.storage, probe.size);
}

/* Makes the node in the file system and the address with its terminating zero. A socket that has a name already gets no
 * other, but a path that is taken is the error that Linux finds first. */
static int bind_path(struct unix_name *n, bool has_name)
{
	const char *path = (const char *)n->bytes + UNIX_PATH_OFFSET;
	int err;

	n->bytes[n->size] = 0; /* bytes has one more than the longest address */
	n->size = UNIX_PATH_OFFSET + (uint32_t)strlen(path) + 1;
	if (has_name) {
		struct inode *taken = vfs_socket_lookup(path, &err);

		inode_put(taken);
		return taken || err == -ECONNREFUSED ? -EADDRINUSE : -EINVAL;
	}
	n->inode = vfs_socket_bind(path, 0777 & ~(int)current()->process->fs->umask, &err);
	return n->inode ? 0 : err == -EEXIST ? -EADDRINUSE : err;
}

int unix_name_bind(struct unix_sock *s, const struct sockaddr_any *addr)
{
	struct unix_name *n;
	int err = 0;

	if (addr->family != AF_UNIX || addr->size < UNIX_PATH_OFFSET || addr->size > sizeof(struct sockaddr_un))
		return -EINVAL;
	n = name_alloc(addr, s->socket.type);
	if (!n)
		return -ENOMEM;
	if (addr->size > UNIX_PATH_OFFSET && is_path(addr))
		err = bind_path(n, __atomic_load_n(&s->name, __ATOMIC_RELAXED) != NULL);
	mutex_lock(&g_names_lock);
	mutex_lock(&s->lock);
	bool has_one = s->name != NULL, any = addr->size == UNIX_PATH_OFFSET; /* who asks for any name may have one already */
	if (!err && has_one && !any)
		err = -EINVAL;
	else if (!err && !has_one && any)
		invent(n);
	else if (!err && !n->inode && !any && find(addr, s->socket.type, NULL))
		err = -EADDRINUSE;
	if (!err && !has_one) {
		n->owner = s;
		s->name = n;
		list_append(&g_names, &n->link);
	}
	mutex_unlock(&s->lock);
	mutex_unlock(&g_names_lock);
	if (err || has_one)
		unix_name_put(n);
	return err;
}

int unix_name_for_credentials(struct unix_sock *s)
{
	const struct sockaddr_any any = { .family = AF_UNIX, .size = UNIX_PATH_OFFSET };

	return s->passcred && !__atomic_load_n(&s->name, __ATOMIC_RELAXED) ? unix_name_bind(s, &any) : 0;
}

struct unix_sock *unix_name_lookup(const struct sockaddr_any *addr, int type, int *error)
{
	struct inode *inode = NULL;
	struct unix_sock *s = NULL;
	struct unix_name *n;

	*error = -EINVAL;
	if (addr->family != AF_UNIX || addr->size <= UNIX_PATH_OFFSET || addr->size > sizeof(struct sockaddr_un))
		return NULL;
	if (is_path(addr)) {
		char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
		uint32_t size = addr->size - UNIX_PATH_OFFSET;

		memcpy(path, (const char *)&addr->storage + UNIX_PATH_OFFSET, size);
		path[size] = 0;
		inode = vfs_socket_lookup(path, error);
		if (!inode)
			return NULL;
	}
	mutex_lock(&g_names_lock);
	n = find(addr, type, inode);
	if (n && n->owner) {
		s = n->owner;
		unix_get(s);
	}
	mutex_unlock(&g_names_lock);
	inode_put(inode);
	*error = -ECONNREFUSED;
	if (s && s->socket.type != type) {
		unix_put(s);
		s = NULL;
		*error = -EPROTOTYPE;
	}
	return s;
}

void unix_name_unbind(struct unix_sock *s)
{
	struct unix_name *n = s->name;

	if (!n)
		return;
	mutex_lock(&g_names_lock);
	if (n->owner == s) {
		n->owner = NULL;
		list_remove(&n->link);
	}
	mutex_unlock(&g_names_lock);
}

void unix_name_address(const struct unix_name *n, struct sockaddr_any *addr)
{
	addr->family = AF_UNIX;
	addr->size = n ? n->size : UNIX_PATH_OFFSET;
	if (n)
		memcpy(&addr->storage, n->bytes, MIN((size_t)n->size, sizeof(n->bytes)));
}

int unix_name_to_msg(const struct unix_name *n, struct socket_msg *msg)
{
	uint32_t room = msg->name_size;

	if (!msg->name)
		return 0;
	msg->name_size = n ? n->size : 0;
	return n ? copy_to_user(msg->name, n->bytes, MIN(room, n->size)) : 0;
}
