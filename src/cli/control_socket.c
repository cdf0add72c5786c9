/*
 * Control sockets as files: see control_socket.h. Called by run.c and the client's commands. A lock makes looking for a
 * dead socket and replacing it one step.
 */
#include "cli/control_socket.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/private_dir.h"

#define SUFFIX ".sock"
#define LOCK ".lock"
#define SAME_NAME_MAX 99
#define CONNECT_TIMEOUT_S 3

int control_directory(bool make, char **path)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR"), *home = getenv("HOME");
	char *own = NULL;

	if (runtime && runtime[0] == '/')
		own = xasprintf("%s/intravisor", runtime);
	else if (geteuid() == 0)
		own = xstrdup("/run/intravisor");
	else if (home && home[0] == '/')
		own = xasprintf("%s/.local/state/intravisor", home);
	int fd = own ? (make ? private_dir_make(own) : private_dir_open(own)) : -ENOENT;
	if (path)
		*path = own;
	else
		free(own);
	return fd;
}

/* Through the directory's descriptor: a long path would not fit, and nobody can exchange the directory meanwhile. */
static void make_address(int directory, const char *name, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s" SUFFIX, directory, name);
}

static int try_connect(int directory, const char *name)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* A pod that does not accept any more must not hold us up for ever. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = CONNECT_TIMEOUT_S}, sizeof(struct timeval));
	make_address(directory, name, &address);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int error = errno;
	close(fd);
	return -error;
}

/* Nothing else of that name: who is root with another user's XDG_RUNTIME_DIR is led to where that user likes. */
static void remove_socket(int directory, const char *name)
{
	char *file = xasprintf("%s" SUFFIX, name);
	struct stat st;

	if (fstatat(directory, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode))
		unlinkat(directory, file, 0);
	free(file);
}

/* A FIFO's: cVMs that see this directory below their root could hold a lock on it, or on a file in it, for ever, but they
 * open no FIFO. A descriptor to be closed, or negative errno. */
static int take_lock(int directory)
{
	struct stat st;
	int ret = mkfifoat(directory, LOCK, 0600) < 0 && errno != EEXIST ? -errno : 0;
	int fd = ret ? ret : openat(directory, LOCK, O_RDWR | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return ret ? ret : -errno;
	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		ret = -EINVAL;
	else if (flock(fd, LOCK_EX) < 0)
		ret = -errno;
	if (ret)
		close(fd);
	return ret ? ret : fd;
}

/* Nobody listens any more: removes it, unless a new pod has taken the name meanwhile. */
static void remove_dead(int directory, const char *name)
{
	int lock = take_lock(directory);

	if (lock < 0)
		return;
	int fd = try_connect(directory, name);
	if (fd == -ECONNREFUSED)
		remove_socket(directory, name);
	if (fd >= 0)
		close(fd);
	close(lock);
}

int control_socket_connect(int directory, const char *name)
{
	int fd = try_connect(directory, name);

	if (fd == -ECONNREFUSED)
		remove_dead(directory, name);
	return fd;
}

static int bind_and_listen(struct control_socket *s)
{
	struct sockaddr_un address;
	char *file = xasprintf("%s" SUFFIX, s->name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask = umask(0177);
	int ret = 0;

	make_address(s->directory, s->name, &address);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0 ||
	    fstatat(s->directory, file, &s->identity, AT_SYMLINK_NOFOLLOW) < 0)
		ret = -errno;
	umask(mask);
	if (ret && fd >= 0)
		close(fd);
	s->listener = ret ? -1 : fd;
	free(file);
	return ret;
}

/* The lock is held. */
static int claim(struct control_socket *s)
{
	int fd = try_connect(s->directory, s->name);

	if (fd >= 0) {
		close(fd);
		return -EADDRINUSE;
	}
	if (fd != -ENOENT && fd != -ECONNREFUSED)
		return -EADDRINUSE; /* for example -EAGAIN: somebody is there, but busy */
	if (fd == -ECONNREFUSED)
		remove_socket(s->directory, s->name);
	return bind_and_listen(s);
}

int control_socket_listen(struct control_socket *s, const char *name, bool exact)
{
	*s = (struct control_socket){.directory = control_directory(true, NULL), .listener = -1};
	if (s->directory < 0)
		return s->directory;
	int lock = take_lock(s->directory), ret = lock < 0 ? lock : -EADDRINUSE;
	for (int i = 1; ret == -EADDRINUSE && i <= (exact ? 1 : SAME_NAME_MAX); i++) {
		snprintf(s->name, sizeof(s->name), i == 1 ? "%.63s" : "%.59s-%d", name, i);
		ret = claim(s);
	}
	if (lock >= 0)
		close(lock);
	if (ret)
		control_socket_close(s, false);
	return ret;
}

void control_socket_close(struct control_socket *s, bool remove)
{
	struct stat now;
	char *file = xasprintf("%s" SUFFIX, s->name);

	if (remove && s->listener >= 0 && fstatat(s->directory, file, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	    now.st_dev == s->identity.st_dev && now.st_ino == s->identity.st_ino)
		unlinkat(s->directory, file, 0);
	free(file);
	if (s->listener >= 0)
		close(s->listener);
	if (s->directory >= 0)
		close(s->directory);
	s->listener = s->directory = -1;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void control_socket_names(int directory, struct strlist *names)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (!stream)
		return;
	for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
		size_t size = strlen(entry->d_name), end = strlen(SUFFIX);

		if (size <= end || size - end >= LAUNCH_NAME_MAX || strcmp(entry->d_name + size - end, SUFFIX) != 0)
			continue;
		char *name = xstrndup(entry->d_name, size - end);
		strlist_add(names, name);
		free(name);
	}
	closedir(stream);
	if (names->count)
		qsort(names->item, names->count, sizeof(*names->item), compare_names);
}
