/*
 * The cVM's own name resolves, as natively and in containers: programs ask for the address of the machine they run on (Java,
 * Erlang, sudo), and the /etc/hosts of the host knows the host's name. What it lacks is added to the file as this cVM sees it, in the
 * overlay's memory, when it is first opened; a file that the user mounted there, or a root directory without one, is left alone.
 */
#include "core/boot.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "fs/hostfile.h"
#include "fs/memfs.h"

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

bool hosts_is_at(const struct mount *m, const char *path)
{
	return !strcmp(path, "etc/hosts") && !strcmp(m->path, "/");
}

static long read_lower(struct mem_inode *inode, char *text)
{
	long h = overlay_open_lower(inode, O_RDONLY), n;

	if (h < 0)
		return h;
	do
		n = hostcall(HC_file_pread, h, text, HOSTS_MAX, 0);
	while (retry_file_call(&n));
	hostcall(HC_file_close, h);
	if (n < 0 || n == HOSTS_MAX)
		return n < 0 ? n : -EFBIG;
	text[n] = 0;
	return n;
}

/* Its contents in memory, and a line more. */
static void add_line(struct dentry *d, const char *name)
{
	struct mem_inode *inode = mem_inode(d->inode);
	char *text = kmalloc(HOSTS_MAX + HOST_LINE);
	long n = text ? read_lower(inode, text) : -ENOMEM;

	if (n >= 0 && !has_name(text, name) && !overlay_copy_up(d, true)) {
		bool ends = !n || text[n - 1] == '\n';
		int more = format(text + n, HOST_LINE, "%s127.0.0.1\t%s\n", ends ? "" : "\n", name);
		struct iovec all = { text, (size_t)(n + more) };

		mutex_lock(&inode->lock);
		(void)!mem_write(inode, &all, 1, 0);
		mutex_unlock(&inode->lock);
	}
	kfree(text);
}

void hosts_complete(struct dentry *d)
{
	static struct mutex lock;
	struct mem_inode *inode = mem_inode(d->inode);

	mutex_lock(&lock);
	if (inode->hosts && !inode->upper)
		add_line(d, boot_string(boot_info()->hostname));
	inode->hosts = false;
	mutex_unlock(&lock);
}
