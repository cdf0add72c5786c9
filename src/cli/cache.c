/*
 * The code cache on disk: see cache.h. Called by code_service.c and cache_command.c. Trusts neither names nor contents
 * in the directory; it trusts the directory itself only when nobody else can write to it.
 */
#include "cli/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "abi/code_image.h"
#include "cli/host_path.h"
#include "cli/memfile.h"
#include "cli/private_dir.h"
#include "config/list.h"

#define CACHE_MAGIC 0x3143434d56435643ull /* "CVCVMCC1" */
#define CACHE_IMAGE_MAX (1ull << 31)
/* A file changed less than this before it was read may change again without a new time stamp. */
#define CACHE_SETTLE_NS 20000000ll
#define CACHE_TOUCH_SECONDS 86400 /* a used entry is checked, and its time renewed, once a day */

_Static_assert(sizeof(struct cache_key) == 80, "no padding in the key");

/* The last bytes of an entry's file; before it lies the code image. */
struct cache_trailer {
	uint64_t magic;
	uint64_t image_size;
	uint64_t image_sum;
	struct cache_key key;
	uint64_t sum; /* of everything above */
};

/* Four independent lanes of multiply and rotate: as fast as memory, and finds damage. Not against forgery. */
static uint64_t checksum(const void *bytes, size_t size, uint64_t seed)
{
	static const uint64_t factor = 0x9fb21c651e98df25ull;
	uint64_t lane[4] = {seed, seed ^ factor, ~seed, seed + factor};
	const char *p = bytes;

	for (; size >= 32; p += 32, size -= 32) {
		uint64_t word[4];

		memcpy(word, p, 32);
		for (int i = 0; i < 4; i++) {
			lane[i] = (lane[i] ^ word[i]) * factor;
			lane[i] ^= lane[i] >> 29;
		}
	}
	uint64_t sum = size;
	for (; size; p++, size--)
		sum = (sum ^ (unsigned char)*p) * factor;
	for (int i = 0; i < 4; i++) {
		sum = (sum ^ lane[i]) * factor;
		sum ^= sum >> 32;
	}
	return sum;
}

static void hashed_name(const void *bytes, size_t size, const char *ending, char name[CACHE_NAME_SIZE])
{
	snprintf(name, CACHE_NAME_SIZE, "%016llx%016llx.%.4s", (unsigned long long)checksum(bytes, size, 1),
		 (unsigned long long)checksum(bytes, size, 2), ending);
}

void cache_entry_name(const struct cache_key *key, char name[CACHE_NAME_SIZE])
{
	hashed_name(key, sizeof(*key), "code", name);
}

void cache_list_name(const char *programs, char name[CACHE_NAME_SIZE])
{
	hashed_name(programs, strlen(programs), "uses", name);
}

static uint64_t trailer_sum(const struct cache_trailer *trailer)
{
	return checksum(trailer, offsetof(struct cache_trailer, sum), 3);
}

static char *cache_path(void)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (base && base[0] == '/')
		return xasprintf("%s/intravisor", base);
	return home && home[0] == '/' ? xasprintf("%s/.cache/intravisor", home) : NULL;
}

bool cache_reached_from(const char *path)
{
	char *volume = realpath(path, NULL), *wanted = cache_path(), *cache = NULL;
	bool exists = true, reached = false;

	/* what does not exist yet will be made below what does */
	while (volume && wanted && !(cache = realpath(wanted, NULL)) && strrchr(wanted, '/') > wanted) {
		*strrchr(wanted, '/') = '\0';
		exists = false;
	}
	if (volume && cache)
		reached = host_path_below(cache, volume) || (exists && host_path_below(volume, cache));
	free(volume);
	free(wanted);
	free(cache);
	return reached;
}

void cache_open(struct cache *cache)
{
	*cache = (struct cache){.directory = -1, .error = ENOENT, .path = cache_path()};
	if (!cache->path)
		return;
	int fd = private_dir_open(cache->path);
	if (fd == -ENOENT)
		fd = private_dir_make(cache->path);
	cache->directory = fd < 0 ? -1 : fd;
	cache->error = fd < 0 ? -fd : 0;
}

void cache_close(struct cache *cache)
{
	if (cache->directory >= 0)
		close(cache->directory);
	free(cache->path);
	*cache = (struct cache){.directory = -1};
}

static int64_t nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000ll + t.tv_nsec;
}

bool cache_key_make(const struct stat *file, uint64_t offset, uint64_t size, bool stubs, const struct stat *translator,
		    struct cache_key *key)
{
	struct timespec now;

	*key = (struct cache_key){
		.device = file->st_dev,
		.inode = file->st_ino,
		.file_size = (uint64_t)file->st_size,
		.mtime_ns = nanoseconds(file->st_mtim),
		.ctime_ns = nanoseconds(file->st_ctim),
		.offset = offset,
		.size = size,
		.translator_mtime_ns = nanoseconds(translator->st_mtim),
		.translator_size = (uint64_t)translator->st_size,
		.stubs = stubs,
		.version = CODE_IMAGE_VERSION,
	};
	clock_gettime(CLOCK_REALTIME, &now);
	return nanoseconds(now) - key->ctime_ns > CACHE_SETTLE_NS && nanoseconds(now) - key->mtime_ns > CACHE_SETTLE_NS;
}

static bool image_consistent(const struct code_image_header *header, uint64_t size)
{
	return header->magic == CODE_IMAGE_MAGIC && header->version == CODE_IMAGE_VERSION &&
	       header->text_size <= CACHE_IMAGE_MAX && header->stub_size <= CACHE_IMAGE_MAX &&
	       CODE_IMAGE_HEADER_SIZE + header->text_size + header->stub_size == size;
}

/* The entry's two ends are what cache_store wrote. */
static bool entry_fits(int fd, const struct stat *st, struct cache_trailer *trailer)
{
	struct code_image_header header;
	off_t size = st->st_size - (off_t)sizeof(*trailer);

	return S_ISREG(st->st_mode) && size >= (off_t)CODE_IMAGE_HEADER_SIZE && size <= (off_t)(2 * CACHE_IMAGE_MAX) &&
	       pread(fd, trailer, sizeof(*trailer), size) == sizeof(*trailer) && trailer->magic == CACHE_MAGIC &&
	       trailer->sum == trailer_sum(trailer) && trailer->image_size == (uint64_t)size &&
	       pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
	       image_consistent(&header, trailer->image_size);
}

static bool image_undamaged(int image, const struct cache_trailer *trailer)
{
	void *bytes = mmap(NULL, trailer->image_size, PROT_READ, MAP_PRIVATE, image, 0);

	if (bytes == MAP_FAILED)
		return false;
	uint64_t sum = checksum(bytes, trailer->image_size, 4);
	munmap(bytes, trailer->image_size);
	return sum == trailer->image_sum;
}

/* May the monitor map the file itself, under a lease? It decides again; here it is about file systems and mount options that
 * would make it refuse. */
static bool leasable(int entry)
{
	struct statfs fs;

	if (fstatfs(entry, &fs) < 0 || (fs.f_flags & ST_NOEXEC) ||
	    (fs.f_type != EXT4_SUPER_MAGIC && fs.f_type != XFS_SUPER_MAGIC && fs.f_type != BTRFS_SUPER_MAGIC))
		return false;
	return fcntl(entry, F_SETLEASE, F_RDLCK) == 0 && fcntl(entry, F_SETLEASE, F_UNLCK) == 0;
}

/* The entry's file itself, or copied to a memory file of at most `copy_max` bytes; looks closely if the entry was not `used_lately`. */
static int load_image(int entry, const struct cache_trailer *trailer, bool used_lately, uint64_t copy_max)
{
	if (!used_lately && !image_undamaged(entry, trailer))
		return -ENOENT;
	if (leasable(entry))
		return fcntl(entry, F_DUPFD_CLOEXEC, 0);
	int fd = trailer->image_size > copy_max ? -EFBIG : memfile_create("intravisor-code");

	if (fd < 0)
		return fd;
	int ret = memfile_copy(fd, entry, 0, trailer->image_size);
	if (ret == 0)
		ret = memfile_seal(fd);
	if (ret == 0)
		return fd;
	close(fd);
	return ret;
}

/* For any key if `wanted` is a null pointer. */
static int load(const struct cache *cache, const char *name, const struct cache_key *wanted, uint64_t copy_max, struct cache_key *found)
{
	struct cache_trailer trailer;
	struct stat st;
	int ret = -ENOENT;

	int fd = openat(cache->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -ENOENT;
	if (fstat(fd, &st) == 0 && entry_fits(fd, &st, &trailer) &&
	    (!wanted || memcmp(&trailer.key, wanted, sizeof(*wanted)) == 0)) {
		bool used_lately = time(NULL) - st.st_mtim.tv_sec <= CACHE_TOUCH_SECONDS;

		ret = load_image(fd, &trailer, used_lately, copy_max);
		if (ret >= 0 && !used_lately)
			futimens(fd, NULL);
		*found = trailer.key;
	}
	close(fd);
	return ret;
}

int cache_load(const struct cache *cache, const struct cache_key *key)
{
	struct cache_key found;
	char name[CACHE_NAME_SIZE];

	if (cache->directory < 0)
		return -ENOENT;
	cache_entry_name(key, name);
	return load(cache, name, key, UINT64_MAX, &found);
}

int cache_load_named(const struct cache *cache, const char *name, uint64_t copy_max, struct cache_key *key)
{
	return load(cache, name, NULL, copy_max, key);
}

void cache_list_write(const struct cache *cache, const char *name, const char *text, size_t size)
{
	char temporary[64];

	snprintf(temporary, sizeof(temporary), "tmp.%ld.uses", (long)getpid());
	int fd = openat(cache->directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	int ret = memfile_write(fd, text, size);
	if (close(fd) < 0 || ret || renameat(cache->directory, temporary, cache->directory, name) < 0)
		unlinkat(cache->directory, temporary, 0);
}

/* In a child of its own: the disk may take its time, and the command has others to serve. Its number, or negative errno. */
static pid_t give_name(const struct cache *cache, int fd, const char *temporary, const char *name)
{
	int directory = cache->directory;
	unsigned low = (unsigned)(fd < directory ? fd : directory), high = (unsigned)(fd < directory ? directory : fd);
	pid_t pid = fork();

	if (pid)
		return pid < 0 ? -errno : pid;
	/* Whatever else is open, somebody may wait for its end. */
	if (low)
		close_range(0, low - 1, 0);
	if (low + 1 < high)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0u, 0);
	/* Nobody may have it open for writing once it can be found: the monitor would get no lease. */
	bool kept = fdatasync(fd) == 0 && close(fd) == 0 && renameat(directory, temporary, directory, name) == 0;
	if (!kept)
		unlinkat(directory, temporary, 0);
	_exit(!kept);
}

static int store_as(struct cache *cache, const char *temporary, const char *name, const void *image, uint64_t size,
		    const struct cache_trailer *trailer)
{
	pid_t *child = cache->child;

	while (child < cache->child + CACHE_CHILDREN_MAX && *child)
		child++;
	if (child == cache->child + CACHE_CHILDREN_MAX)
		return -EBUSY;
	int fd = openat(cache->directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int ret = memfile_write(fd, image, size);
	if (ret == 0)
		ret = memfile_write(fd, trailer, sizeof(*trailer));
	pid_t pid = ret ? ret : give_name(cache, fd, temporary, name);
	close(fd);
	if (pid < 0)
		unlinkat(cache->directory, temporary, 0);
	else
		*child = pid;
	return pid < 0 ? (int)pid : 0;
}

void cache_reaped(struct cache *cache, pid_t pid)
{
	for (unsigned i = 0; i < CACHE_CHILDREN_MAX; i++)
		if (cache->child[i] == pid)
			cache->child[i] = 0;
}

bool cache_busy(const struct cache *cache)
{
	bool busy = false;

	for (unsigned i = 0; i < CACHE_CHILDREN_MAX; i++)
		busy |= cache->child[i] != 0;
	return busy;
}

bool cache_wait(struct cache *cache)
{
	bool any = cache_busy(cache);

	for (unsigned i = 0; i < CACHE_CHILDREN_MAX; i++) {
		while (cache->child[i] && waitpid(cache->child[i], NULL, 0) < 0 && errno == EINTR)
			;
		cache->child[i] = 0;
	}
	return any;
}

int cache_store(struct cache *cache, const struct cache_key *key, int image_fd)
{
	static unsigned counter;
	char name[CACHE_NAME_SIZE], temporary[64];
	struct code_image_header header;
	struct stat st;

	if (cache->directory < 0)
		return -ENOENT;
	if (fstat(image_fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < CODE_IMAGE_HEADER_SIZE || (uint64_t)st.st_size > 2 * CACHE_IMAGE_MAX)
		return -EINVAL;
	/* Private: a shared mapping of a file open for writing would forbid sealing it. */
	void *image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, image_fd, 0);
	if (image == MAP_FAILED)
		return -errno;
	memcpy(&header, image, sizeof(header));
	struct cache_trailer trailer = {
		.magic = CACHE_MAGIC,
		.image_size = (uint64_t)st.st_size,
		.image_sum = checksum(image, (size_t)st.st_size, 4),
		.key = *key,
	};
	trailer.sum = trailer_sum(&trailer);
	cache_entry_name(key, name);
	snprintf(temporary, sizeof(temporary), "tmp.%ld.%u", (long)getpid(), counter++);
	int ret = image_consistent(&header, trailer.image_size)
			  ? store_as(cache, temporary, name, image, trailer.image_size, &trailer)
			  : -EINVAL;
	munmap(image, (size_t)st.st_size);
	if (ret == 0)
		cache->stored = true;
	return ret;
}
