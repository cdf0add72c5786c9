/*
 * Opening places on the host: see host_path.h. Called by launch_build.c, run.c and cache.c. What lies below granted directories
 * is hostile and may change meanwhile.
 */
#include "cli/host_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config/list.h"

bool host_path_below(const char *inner, const char *outer)
{
	size_t size = strcmp(outer, "/") ? strlen(outer) : 0;

	return strncmp(inner, outer, size) == 0 && (inner[size] == '/' || !inner[size]);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Does `rest` lead from `real`, which is or lies below `outer`, to what is open, without leaving `outer`? */
static bool found_inside(const char *outer, const char *real, const char *rest, int opened)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	char *whole = xasprintf("./%s/%s", real + (strcmp(outer, "/") ? strlen(outer) : 0), rest);
	int directory = open(outer, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = directory < 0 ? -1 : (int)syscall(SYS_openat2, directory, whole, &how, sizeof(how));
	bool same = fd >= 0 && same_file(fd, opened);

	if (fd >= 0)
		close(fd);
	if (directory >= 0)
		close(directory);
	free(whole);
	return same;
}

/* The path is followed up to where it comes into one of `places`; from there on it must stay. The number of one that it leaves, or
 * their count. */
static size_t place_left(const struct host_places *places, const char *path, int opened)
{
	size_t count = places->real.count, left = count;
	bool *entered = xcalloc(count, sizeof(*entered));
	char *copy = xstrdup(path);

	for (char *end = strchr(copy + 1, '/'); end && left == count; end = strchr(end + 1, '/')) {
		*end = '\0';
		char *real = realpath(copy, NULL);
		const char *rest = path + (end - copy) + strspn(path + (end - copy), "/");
		bool into = real && *rest && strncmp(rest, "../", 3) != 0 && strcmp(rest, "..") != 0;

		for (size_t i = 0; into && i < count && left == count; i++) {
			if (entered[i] || !host_path_below(real, places->real.item[i]))
				continue;
			entered[i] = true;
			if (!found_inside(places->real.item[i], real, rest, opened))
				left = i;
		}
		free(real);
		*end = '/';
	}
	free(copy);
	free(entered);
	return left;
}

static char *absolute(const char *path)
{
	char *here = *path == '/' ? NULL : getcwd(NULL, 0);
	char *whole = here ? xasprintf("%s/%s", here, path) : xstrdup(path);

	free(here);
	return whole;
}

void host_places_init(struct host_places *places, const struct config *config)
{
	*places = (struct host_places){0};
	for (uint32_t i = 0; i < config->cvms; i++) {
		for (uint32_t v = 0; v < config->cvm[i]->volumes; v++) {
			const struct config_volume *volume = &config->cvm[i]->volume[v];
			char *real = volume->read_only ? NULL : realpath(volume->host, NULL);

			if (real && !strlist_has(&places->real, real)) {
				strlist_add(&places->real, real);
				strlist_add(&places->named, volume->host);
			}
			free(real);
		}
	}
}

void host_places_free(struct host_places *places)
{
	strlist_free(&places->real);
	strlist_free(&places->named);
}

/* Whoever may write to a directory on the way decides where it leads. */
const char *host_path_through(const struct host_places *places, const char *path)
{
	if (!places->real.count)
		return NULL;
	char *whole = absolute(path), *copy = xstrdup(whole);
	const char *through = NULL;

	for (char *end = copy; *end && !through;) {
		end += 1 + strcspn(end + 1, "/");
		const char *rest = whole + (end - copy), separator = *end;

		*end = '\0';
		rest += strspn(rest, "/");
		char *real = strncmp(rest, "../", 3) == 0 ? NULL : realpath(copy, NULL);
		for (size_t i = 0; real && i < places->real.count && !through; i++)
			if (host_path_below(real, places->real.item[i]))
				through = places->named.item[i];
		free(real);
		*end = separator;
	}
	free(copy);
	free(whole);
	return through;
}

int host_path_open(const struct host_places *writable, const char *path, int flags, const char **left)
{
	int fd = open(path, flags | O_CLOEXEC);

	*left = NULL;
	if (fd < 0)
		return -errno;
	if (!writable->real.count)
		return fd;
	char *whole = absolute(path);
	size_t i = place_left(writable, whole, fd);

	free(whole);
	if (i == writable->real.count)
		return fd;
	close(fd);
	*left = writable->named.item[i];
	return -EXDEV;
}
