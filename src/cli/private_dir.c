/*
 * Private directories: see private_dir.h. Called by cache.c and control_socket.c.
 */
#include "cli/private_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/list.h"

int private_dir_open(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022)) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

const char *private_dir_error(int error)
{
	return error == -EPERM ? "it belongs to another user, or others may write to it" : strerror(-error);
}

int private_dir_make(const char *path)
{
	char *copy = xstrdup(path);
	int ret = 0;

	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(copy, 0700); /* what fails here is told by the last one */
		*slash = '/';
	}
	free(copy);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		ret = -errno;
	return ret ? ret : private_dir_open(path);
}
