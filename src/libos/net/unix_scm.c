/*
 * Ancillary data of Unix sockets: open files (SCM_RIGHTS) and credentials. Control buffers are program memory: copied
 * once, then checked. Files in flight hold references; a socket sent into itself is not collected (CAVEATS).
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "net/unix.h"

#define CMSG_ALIGN(n) ALIGN_UP((size_t)(n), sizeof(size_t))

void scm_free(struct unix_scm *scm)
{
	for (unsigned i = 0; i < scm->count; i++)
		file_put(scm->files[i]);
	kfree(scm->files);
	memset(scm, 0, sizeof(*scm));
}

void unix_msg_free(struct unix_msg *m)
{
	scm_free(&m->scm);
	unix_name_put(m->from);
	if (m->sender)
		unix_put(m->sender);
	kfree(m);
}

int scm_dup(struct unix_scm *out, const struct unix_scm *scm)
{
	*out = *scm;
	if (!scm->count)
		return 0;
	out->files = kmalloc(scm->count * sizeof(*out->files));
	if (!out->files) {
		memset(out, 0, sizeof(*out));
		return -ENOMEM;
	}
	for (unsigned i = 0; i < scm->count; i++) {
		out->files[i] = scm->files[i];
		file_get(out->files[i]);
	}
	return 0;
}

static int take_rights(struct unix_scm *scm, const int *fds, size_t count)
{
	struct file **files;

	if (scm->count + count > SCM_MAX_FD)
		return -EINVAL;
	files = krealloc(scm->files, (scm->count + count) * sizeof(*files));
	if (!files)
		return -ENOMEM;
	scm->files = files;
	for (size_t i = 0; i < count; i++) {
		struct file *f = fd_get(fds[i]);

		if (!f)
			return -EBADF;
		scm->files[scm->count++] = f;
	}
	return 0;
}

static int take_cred(struct unix_scm *scm, const struct ucred *cred)
{
	const struct process *p = current()->process;
	bool root = p->euid == 0;

	if (!root && (cred->pid != p->pid || (cred->uid != p->uid && cred->uid != p->euid && cred->uid != p->suid) ||
		      (cred->gid != p->gid && cred->gid != p->egid && cred->gid != p->sgid)))
		return -EPERM;
	if (cred->pid != p->pid) {
		struct process *named = process_find(cred->pid);

		process_put(named);
		if (!named)
			return -ESRCH;
	}
	scm->cred = *cred;
	scm->has_cred = true;
	return 0;
}

void scm_own_cred(struct unix_scm *scm)
{
	const struct process *p = current()->process;

	scm->cred = (struct ucred){ p->pid, p->uid, p->gid };
	scm->has_cred = true;
}

static int parse(struct unix_scm *scm, const char *control, size_t size)
{
	size_t at = 0;
	int err = 0;

	while (!err && at + sizeof(struct cmsghdr) <= size) {
		const struct cmsghdr *c = (const struct cmsghdr *)(control + at);
		size_t payload = c->cmsg_len - sizeof(*c);

		if (c->cmsg_len < sizeof(*c) || c->cmsg_len > size - at)
			return -EINVAL;
		at += CMSG_ALIGN(c->cmsg_len);
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_RIGHTS)
			err = take_rights(scm, (const int *)(c + 1), payload / sizeof(int));
		else if (c->cmsg_type == SCM_CREDENTIALS && payload == sizeof(struct ucred))
			err = take_cred(scm, (const struct ucred *)(c + 1));
		else
			err = -EINVAL;
	}
	return err;
}

int scm_from_user(struct unix_scm *scm, const struct socket_msg *msg)
{
	char *control;
	int err;

	memset(scm, 0, sizeof(*scm));
	if (!msg->control || msg->control_size < sizeof(struct cmsghdr))
		return 0;
	if (msg->control_size > SOCKET_CONTROL_MAX)
		return -ENOBUFS;
	control = kmalloc(msg->control_size);
	if (!control)
		return -ENOMEM;
	err = copy_from_user(control, msg->control, msg->control_size);
	if (!err)
		err = parse(scm, control, msg->control_size);
	kfree(control);
	if (err)
		scm_free(scm);
	return err;
}

/* One control message at `used`; how much of the room it took. */
static size_t put_control(struct socket_msg *msg, size_t used, int type, const void *data, size_t size)
{
	struct cmsghdr c = { .cmsg_len = sizeof(c) + size, .cmsg_level = SOL_SOCKET, .cmsg_type = type };
	char *at = (char *)msg->control + used;
	size_t room = msg->control_size - used;

	if (room < sizeof(c)) {
		msg->flags |= MSG_CTRUNC;
		return 0;
	}
	if (c.cmsg_len > room) {
		msg->flags |= MSG_CTRUNC;
		c.cmsg_len = room;
	}
	if (copy_to_user(at, &c, sizeof(c)) || copy_to_user(at + sizeof(c), data, c.cmsg_len - sizeof(c)))
		return 0;
	return MIN(CMSG_ALIGN(c.cmsg_len), room);
}

static size_t put_rights(struct unix_scm *scm, struct socket_msg *msg, size_t used, bool cloexec)
{
	size_t room = msg->control_size - used;
	unsigned fits = room >= sizeof(struct cmsghdr) ? (unsigned)((room - sizeof(struct cmsghdr)) / sizeof(int)) : 0;
	int fds[SCM_MAX_FD];
	unsigned n = 0;

	while (n < scm->count && n < fits) {
		int fd;

		file_get(scm->files[n]);
		fd = fd_install(scm->files[n], 0, cloexec);
		if (fd < 0)
			break;
		fds[n++] = fd;
	}
	if (n < scm->count)
		msg->flags |= MSG_CTRUNC;
	return n ? put_control(msg, used, SCM_RIGHTS, fds, n * sizeof(int)) : 0;
}

void scm_to_user(struct unix_scm *scm, struct socket_msg *msg, bool cloexec)
{
	size_t used = 0;

	if (!msg->control) {
		if (scm->count || scm->has_cred)
			msg->flags |= MSG_CTRUNC;
		msg->control_size = 0;
	} else {
		if (scm->has_cred)
			used += put_control(msg, used, SCM_CREDENTIALS, &scm->cred, sizeof(scm->cred));
		if (scm->count)
			used += put_rights(scm, msg, used, cloexec);
		msg->control_size = used;
	}
	scm_free(scm);
}
