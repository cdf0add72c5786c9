/*
 * Extended attributes: on files, directories, links and unnamed files; replaced, listed, removed, kept by rename and link;
 * every error.
 */
#define _GNU_SOURCE
#include "say.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static void result(const char *what, long ret)
{
	if (ret < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, ret);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names, sorted: Linux's file systems have each their own order. */
static void list(const char *what, const char *path)
{
	char buf[1024], *names[32];
	ssize_t size = llistxattr(path, buf, sizeof buf);
	size_t count = 0;

	if (size < 0) {
		result(what, size);
		return;
	}
	for (char *p = buf; p < buf + size; p += strlen(p) + 1)
		if (strncmp(p, "security.", 9)) /* the host may label files */
			names[count++] = p;
	qsort(names, count, sizeof *names, by_text);
	printf("%s:", what);
	for (size_t i = 0; i < count; i++)
		printf(" %s", names[i]);
	printf("\n");
}

static void value(const char *what, const char *path, const char *name)
{
	char buf[256];
	ssize_t size = lgetxattr(path, name, buf, sizeof buf);

	if (size < 0)
		result(what, size);
	else
		printf("%s: %zd bytes, %.*s\n", what, size, (int)size, buf);
}

static void errors(void)
{
	static char big[XATTR_SIZE_MAX + 1];
	char name[400] = "user.";
	char buf[16];

	memset(name + 5, 'n', sizeof name - 6);
	result("name too long", setxattr("f", name, "v", 1, 0));
	name[255] = 0;
	result("longest name", setxattr("f", name, "v", 1, 0));
	result("without it", removexattr("f", name));
	result("empty name", setxattr("f", "", "v", 1, 0));
	result("namespace only", setxattr("f", "user.", "v", 1, 0));
	result("namespace only, get", getxattr("f", "user.", buf, sizeof buf));
	result("no namespace", setxattr("f", "plain", "v", 1, 0));
	result("no namespace, get", getxattr("f", "plain", buf, sizeof buf));
	result("unknown flag", setxattr("f", "user.a", "v", 1, 4));
	result("value too big", setxattr("f", "user.a", big, sizeof big, 0));
	result("bad value", setxattr("f", "user.a", (void *)1, 1, 0));
	result("bad name", setxattr("f", (void *)1, "v", 1, 0));
	result("bad path", setxattr((void *)1, "user.a", "v", 1, 0));
	result("no file", setxattr("none", "user.a", "v", 1, 0));
	result("no descriptor", fsetxattr(99, "user.a", "v", 1, 0));
	result("bad buffer", getxattr("f", "user.a", (void *)1, 16));
	result("bad list", listxattr("f", (void *)1, 1000));
	result("small buffer", getxattr("f", "user.a", buf, 1));
	result("small list", listxattr("f", buf, 3));
	result("size", getxattr("f", "user.a", NULL, 0));
	result("none of this name", getxattr("f", "user.zz", buf, sizeof buf));
	result("remove none", removexattr("f", "user.zz"));
}

static void kinds(void)
{
	int fd = open("f", O_RDONLY), path = open("f", O_PATH), pipes[2], memory = memfd_create("m", 0);

	result("read-only descriptor", fsetxattr(fd, "user.fd", "1", 1, 0));
	result("by it", fgetxattr(fd, "user.fd", NULL, 0));
	result("O_PATH", fsetxattr(path, "user.fd", "1", 1, 0));
	result("pipe", pipe(pipes) ? -1 : fsetxattr(pipes[0], "user.fd", "1", 1, 0));
	result("memfd", fsetxattr(memory, "user.m", "1234", 4, 0));
	result("memfd again", fgetxattr(memory, "user.m", NULL, 0));
	result("directory", mkdir("d", 0755) ? -1 : setxattr("d", "user.d", "1", 1, 0));
	list("of the directory", "d");
	result("symlink", symlink("f", "l") ? -1 : lsetxattr("l", "user.l", "1", 1, 0));
	value("of the symlink", "l", "user.l");
	result("through it", getxattr("l", "user.fd", NULL, 0));
	result("fifo", mkfifo("p", 0600) ? -1 : setxattr("p", "user.p", "1", 1, 0));
	value("of the fifo", "p", "user.p");
	if (geteuid()) /* what only user 0 may; the same lines */
		printf("trusted symlink: 0\nof the symlink: 1 bytes, t\ntrusted: trusted.t\n");
	else {
		result("trusted symlink", lsetxattr("l", "trusted.t", "t", 1, 0));
		value("of the symlink", "l", "trusted.t");
		list("trusted", "l");
	}
	close(fd);
	close(path);
	close(memory);
}

static void events(void)
{
	char buf[512];
	int in = inotify_init1(IN_NONBLOCK), wd = inotify_add_watch(in, "f", IN_ATTRIB);
	struct inotify_event *e = (void *)buf;

	result("watch", wd > 0 ? 0 : -1);
	result("failed set", setxattr("f", "user.fd", "2", 1, XATTR_CREATE));
	result("nothing seen", read(in, buf, sizeof buf));
	result("set", setxattr("f", "user.fd", "2", 1, XATTR_REPLACE));
	result("seen", read(in, buf, sizeof buf) > 0 && e->mask == IN_ATTRIB ? 1 : 0);
	close(in);
}

int main(void)
{
	char dir[] = "/tmp/fs_xattr.XXXXXX";
	struct stat before, after;

	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	close(open("f", O_CREAT | O_RDWR, 0644));
	list("none", "f");
	result("set", setxattr("f", "user.b", "one", 3, 0));
	result("create", setxattr("f", "user.a", "two", 3, XATTR_CREATE));
	result("create again", setxattr("f", "user.a", "three", 5, XATTR_CREATE));
	result("replace none", setxattr("f", "user.c", "three", 5, XATTR_REPLACE));
	result("replace", setxattr("f", "user.a", "longer", 6, XATTR_REPLACE));
	result("empty", setxattr("f", "user.empty", NULL, 0, 0));
	list("names", "f");
	value("a", "f", "user.a");
	value("b", "f", "user.b");
	value("empty", "f", "user.empty");
	result("rename", rename("f", "g"));
	result("link", link("g", "f"));
	list("linked", "f");
	result("remove by one", removexattr("f", "user.b"));
	list("other", "g");
	stat("g", &before);
	usleep(20000);
	result("set", setxattr("g", "user.time", "1", 1, 0));
	stat("g", &after);
	printf("times: ctime %s, mtime %s\n", after.st_ctim.tv_nsec != before.st_ctim.tv_nsec ? "new" : "old",
	       after.st_mtim.tv_nsec != before.st_mtim.tv_nsec ? "new" : "old");
	errors();
	kinds();
	events();
	for (const char *const *name = (const char *const[]){ "f", "g", "l", "p", NULL }; *name; name++)
		unlink(*name);
	rmdir("d");
	return chdir("/") || rmdir(dir);
}
