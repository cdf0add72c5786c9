/*
 * The cVM's own name resolves, as natively and in containers: programs ask for the address of the machine they run on (Java,
 * Erlang, sudo), and the /etc/hosts of the host knows the host's name. What it lacks is added to the file as this cVM sees it,
 * in the overlay's memory; a file that the user mounted there, or a root directory without one, is left alone. Called once,
 * before any program runs.
 */
#include "core/kheap.h"
#include "fs/inode.h"

#define HOSTS "/etc/hosts"
#define HOSTS_MAX 0x10000u
#define HOST_LINE 100u /* a name has at most 64 bytes */

static size_t word_size(const char *s)
{
	size_t n = 0;

	while (s[n] && !strchr(" \t\n#", s[n]))
		n++;
	return n;
}

/* Is it one of the words behind an address? */
static bool has_name(const char *text, const char *name)
{
	size_t size = strlen(name), n;
	unsigned words = 0; /* of this line so far */

	while (*text) {
		n = word_size(text);
		if (n && words++ && n == size && !memcmp(text, name, n))
			return true;
		text += n;
		if (*text == '#')
			while (*text && *text != '\n')
				text++;
		if (!*text)
			break;
		if (*text++ == '\n')
			words = 0;
	}
	return false;
}

static int read_hosts(char *text)
{
	int error;
	struct file *f = vfs_open(HOSTS, O_RDONLY, 0, &error);
	ssize_t n;

	if (!f)
		return error;
	n = f->dentry && f->dentry->mount->type == BOOT_MOUNT_OVERLAY ? file_pread(f, text, HOSTS_MAX, 0) : -EXDEV;
	file_put(f);
	if (n < 0 || n == HOSTS_MAX)
		return n < 0 ? (int)n : -EFBIG;
	text[n] = 0;
	return (int)n;
}

void hosts_add(const char *name)
{
	char *text = kmalloc(HOSTS_MAX + HOST_LINE);
	int error, n = text ? read_hosts(text) : -ENOMEM;
	struct file *f = n >= 0 && !has_name(text, name) ? vfs_open(HOSTS, O_WRONLY | O_TRUNC, 0, &error) : NULL;
	off_t start = 0;

	if (f) {
		bool ends = !n || text[n - 1] == '\n';
		int more = format(text + n, HOST_LINE, "%s127.0.0.1\t%s\n", ends ? "" : "\n", name);
		struct iovec all = { text, (size_t)(n + more) };

		(void)!f->ops->write(f, &all, 1, &start);
		file_put(f);
	}
	kfree(text);
}
