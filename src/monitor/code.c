/*
 * The code cache: executable memory of files comes from what nobody can change and was scanned since: sealed memfds, or files of the
 * cache on disk under a lease. Images of file segments are made by the translator at the command's side (channel.c), found again
 * by what fstat says of their source, and shared by all cVMs. A JIT's pages are copied to private memory that nobody can write to.
 */
#include <linux/mman.h>
#include <linux/magic.h>
#include <asm/signal.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/fcntl.h>

#include "base/forbidden.h"
#include "host/syscall.h"
#include "monitor/hostcalls.h"

#define SEALS_ALL (0x1 | 0x2 | 0x4 | 0x8) /* SEAL, SHRINK, GROW, WRITE */
#define EDGE FORBIDDEN_CONTEXT
#define SEAL_MAX (OBJECT_BYTES_MAX / 16) /* the copies of all cVMs lie in the window of object 0, which is none */

/* A read lease: not to be had while anybody has the file open for writing; who then opens or truncates it waits until the lease is
 * given up, which it never is, for the kernel kills us first. Not on file systems that others may write behind the kernel's
 * back. The descriptor becomes one of our own: what was sent shares its lease and its signal with the sender. */
static int lease(int *fd)
{
	struct statfs fs;
	int sent = *fd;

	*fd = (int)reopen(sent, O_RDONLY | O_NONBLOCK);
	host(__NR_close, sent);
	if (*fd < 0 || host(__NR_fstatfs, *fd, &fs) || host(__NR_fcntl, *fd, F_SETSIG, SIGKILL) ||
	    (fs.f_type != EXT4_SUPER_MAGIC && fs.f_type != XFS_SUPER_MAGIC && fs.f_type != BTRFS_SUPER_MAGIC))
		return -EINVAL;
	return (int)host(__NR_fcntl, *fd, F_SETLEASE, F_RDLCK); /* and the signal is for this process */
}

/* From here on the contents stay what they are. */
static int freeze(int *fd)
{
	return host(__NR_fcntl, *fd, F_ADD_SEALS, SEALS_ALL) ? lease(fd) : 0;
}

/* The piece of an image's text that starts at `at` (below its size): PROT_READ if it is data, else with PROT_EXEC. */
static int text_piece(const struct code_image *image, uint64_t at, uint64_t *end)
{
	int prot = PROT_READ | PROT_EXEC;

	*end = image->text_size;
	for (const struct code_image_data *d = image->data; d < image->data + CODE_IMAGE_DATA_MAX && d->count; d++) {
		uint64_t first = d->first * CVM_PAGE_SIZE, behind = first + d->count * CVM_PAGE_SIZE;
		if (first <= at && at < behind)
			prot = PROT_READ;
		if (behind > at)
			*end = MIN(*end, first > at ? first : behind);
	}
	return prot;
}

/* Freezes a code image that somebody untrusted wrote in out->memfd and checks its header. Fills in the sizes. */
int code_check_image(struct code_image *out)
{
	struct code_image_header header;
	struct stat st;

	if (freeze(&out->memfd) || host(__NR_fstat, out->memfd, &st) ||
	    host(__NR_pread64, out->memfd, &header, sizeof header, 0) != sizeof header || header.magic != CODE_IMAGE_MAGIC ||
	    header.version != CODE_IMAGE_VERSION || !header.text_size || (header.text_size | header.stub_size) & (CVM_PAGE_SIZE - 1) ||
	    header.text_size > CODE_SIZE_MAX || header.stub_size > header.text_size ||
	    (uint64_t)st.st_size < CODE_IMAGE_HEADER_SIZE + header.text_size + header.stub_size)
		return -EINVAL;
	out->text_size = header.text_size;
	out->stub_size = header.stub_size;
	memcpy(out->data, header.data, sizeof out->data);
	out->scanned = false;
	return 0;
}

static bool executes(const struct cvm *c, uint64_t addr)
{
	return page_of(c, addr) < CVM_PAGES && pages_change(c, c->exec, addr, CVM_PAGE_SIZE, PAGES_COUNT);
}

/* Could a forbidden sequence lie across one edge of new code? Exec neighbours are readable and do not change. */
static int check_edge(const struct cvm *c, uint64_t edge)
{
	uint8_t bytes[2 * EDGE];

	if (insecure(LAUNCH_INSECURE_NO_SCAN) || !executes(c, edge - CVM_PAGE_SIZE) || !executes(c, edge))
		return 0;
	if (user_in(c, bytes, (struct gaddr){ edge - EDGE }, sizeof bytes))
		return -EFAULT;
	return scan_bytes(bytes, sizeof bytes) >= 0 ? -EPERM : 0;
}

/* What lies readable at `addr` gets its protection: with PROT_EXEC after a scan, unless that was done, and one of the edges.
 * mem_lock held: until then nothing but the monitor reaches it, and nothing ever writes to it. */
static int make_code(struct cvm *c, uint64_t addr, uint64_t size, int prot, bool scanned)
{
	int r = 0;

	if (prot & PROT_EXEC && !scanned && !insecure(LAUNCH_INSECURE_NO_SCAN) && scan_bytes((const uint8_t *)addr, size) >= 0)
		r = -EPERM;
	else
		pages_change(c, c->exec, addr, size, prot & PROT_EXEC ? PAGES_SET : PAGES_CLEAR);
	r = r ?: check_edge(c, addr) ?: check_edge(c, addr + size) ?: memory_assign(c, addr, size, prot);
	if (r) {
		pages_change(c, c->exec, addr, size, PAGES_CLEAR);
		memory_assign(c, addr, size, PROT_NONE);
	}
	return r;
}

static int map_sealed(struct cvm *c, int memfd, uint64_t offset, uint64_t addr, uint64_t size, int prot, bool scanned)
{
	memory_replace(c, addr, size);
	int r = (int)MIN(host_mmap(addr, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, memfd, offset), 0);
	return r ?: (memory_uncount_pages(c, addr, size), make_code(c, addr, size, prot, scanned));
}

/* An image is scanned where it is mapped first; two cVMs that do so at once both scan it. */
int code_map(struct cvm *c, struct code_image *image, uint64_t addr)
{
	uint64_t stubs = addr + SLOT_STUB_DELTA;
	bool scanned = __atomic_load_n(&image->scanned, __ATOMIC_ACQUIRE);
	int r = 0;

	c->mappings += 2 * CODE_IMAGE_DATA_MAX; /* besides those of memory_check: each piece is one */
	for (uint64_t at = 0, end; !r && at < image->text_size; at = end) {
		int prot = text_piece(image, at, &end);
		r = map_sealed(c, image->memfd, CODE_IMAGE_HEADER_SIZE + at, addr + at, end - at, prot, scanned);
	}
	if (!r && image->stub_size)
		r = map_sealed(c, image->memfd, CODE_IMAGE_HEADER_SIZE + image->text_size, stubs, image->stub_size,
			       PROT_READ | PROT_EXEC, scanned);
	if (!r) {
		__atomic_store_n(&image->scanned, true, __ATOMIC_RELEASE);
		c->stats.code_images++;
		c->stats.code_bytes += image->text_size + image->stub_size;
	}
	return r;
}

static int image_key(int fd, uint64_t offset, uint64_t length, uint32_t stubs, struct code_image *key)
{
	struct stat st;
	long r = host(__NR_fstat, fd, &st);

	if (r)
		return (int)r;
	*key = (struct code_image){
		.dev = st.st_dev, .ino = st.st_ino, .size = (uint64_t)st.st_size,
		.mtime_ns = st.st_mtime * 1000000000ull + st.st_mtime_nsec,
		.ctime_ns = st.st_ctime * 1000000000ull + st.st_ctime_nsec,
		.offset = offset, .length = length, .stubs = stubs, .memfd = -1,
	};
	return 0;
}

static struct code_image *image_known(const struct code_image *key)
{
	LOCKED(&g_arena->code_table_lock);
	for (uint32_t i = 0; i < g_arena->code_images; i++)
		if (!memcmp(&g_arena->code[i], key, offsetof(struct code_image, text_size)))
			return &g_arena->code[i];
	return NULL;
}

/* Images outlive the cVM they were made for: it has a share of the table, and of memory as much as it may have else. */
static int image_add(struct cvm *c, const struct code_image *image, struct code_image **added)
{
	uint64_t bytes = image->text_size + image->stub_size;

	LOCKED(&g_arena->code_table_lock);
	bool left = c->images < CODE_IMAGES_MAX / CVMS_MAX && bytes <= c->config->memory_max - c->image_bytes;
	if (g_arena->code_images == CODE_IMAGES_MAX || (!left && !insecure(LAUNCH_INSECURE_NO_LIMITS)))
		return -ENOMEM;
	c->images++;
	c->image_bytes += bytes;
	*added = &g_arena->code[g_arena->code_images++];
	**added = *image;
	return 0;
}

/* The image for a key from the table, or made now. Entries are never removed, so the result stays valid. */
static int image_find(struct cvm *c, int fd, const struct code_image *key, struct code_image **found)
{
	struct channel_code_request request = { .offset = key->offset, .size = key->length, .stubs = (uint32_t)key->stubs };
	struct code_image image = *key;

	*found = image_known(key);
	if (*found)
		return 0;
	int r = code_request(c, fd, &request, &image.memfd);
	image.ctime_ns = r == CHANNEL_CODE_ONCE ? ~0ull : image.ctime_ns; /* no file's: it is not found again */
	if (r >= 0 && !(r = code_check_image(&image))) /* stubs only where hc_mem_map_code looked at their place */
		r = image.text_size == image.length && (image.stubs || !image.stub_size) ? image_add(c, &image, found) : -EINVAL;
	if (r && image.memfd >= 0)
		host(__NR_close, image.memfd);
	return r;
}

static bool stubs_fit(const struct cvm *c, uint64_t addr, uint64_t size)
{
	uint64_t at = addr - c->base, window = SLOT_STUB_DELTA;

	if (addr < SLOT_LOW_END)
		return addr + size <= window;
	return at >= SLOT_IMAGE_BASE && at + size <= SLOT_IMAGE_END && (at - SLOT_IMAGE_BASE) / window % 2 == 0 &&
	       (at - SLOT_IMAGE_BASE) / window == (at + size - 1 - SLOT_IMAGE_BASE) / window;
}

long hc_mem_map_code(struct thread *t, const uint64_t *a)
{
	struct cvm *c = t->cvm;
	struct code_image key, *image = NULL;
	uint32_t stubs = a[4] & HC_CODE_STUBS;
	int error = (a[3] & (CVM_PAGE_SIZE - 1)) || a[4] & ~(uint64_t)HC_CODE_STUBS ? -EINVAL : memory_check(c, a[0], a[1], false);

	if (!error && stubs && !stubs_fit(c, a[0], a[1]))
		error = -EINVAL;
	struct handle *h PINNED = error ? error_pointer(error) : handle_get(t, a[2], HANDLE_FILE | HANDLE_MEMOBJ);
	if (error_in(h))
		return error_in(h);
	int r = h->rights & LAUNCH_RIGHT_READ ? image_key(h->fd, a[3], a[1], stubs, &key) : -EACCES;
	if (r || (r = image_find(c, h->fd, &key, &image)))
		return r;
	LOCKED(&c->mem_lock);
	r = code_map(c, image, a[0]);
	return r ? r : (long)image->stub_size;
}

/* Copies `size` bytes of the cVM to where no alias reaches them and nobody writes. Private memory, of which each page is free when
 * it goes; a file would stay whole, uncounted, for the last one. The place is the cVM's own: the kernel would choose the hole that
 * mem_move of another cVM leaves in its slot for a moment. */
static int snapshot(const struct cvm *c, uint64_t copy, uint64_t addr, uint64_t size)
{
	uint32_t flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
	int r = (int)MIN(host_mmap(copy, size, PROT_READ | PROT_WRITE, flags, -1, 0), 0);

	return r ?: user_in(c, (void *)copy, (struct gaddr){ addr }, size) ?: (int)host(__NR_mprotect, copy, size, PROT_READ);
}

HOSTCALL_ON_PAGES(mem_seal_code, false)
{
	uint64_t copy = object_address(0) + c->index * SEAL_MAX;

	if (a[1] > SEAL_MAX)
		return -EINVAL;
	/* Counted pages only: the copy takes their place in the accounts. */
	if (pages_change(c, c->counted, a[0], a[1], PAGES_COUNT) != a[1] / CVM_PAGE_SIZE && !insecure(LAUNCH_INSECURE_NO_SLOT_CHECK))
		return -EACCES;
	long moved = snapshot(c, copy, a[0], a[1]);
	if (!moved) {
		memory_replace(c, a[0], a[1]);
		moved = host5(__NR_mremap, (long)copy, (long)a[1], (long)a[1], 1 | 2 | 4 /* MAYMOVE, FIXED, DONTUNMAP */, (long)a[0]);
		if (moved == (long)a[0])
			moved = make_code(c, a[0], a[1], PROT_READ | PROT_EXEC, false);
		else
			memory_unmap(c, a[0], a[1]);
	}
	memory_reserve(copy, a[1]); /* no hole, into which the kernel could map something */
	return moved;
}
