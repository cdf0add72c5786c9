/*
 * Descriptor tables. fd_get is on every read and write, so it takes no lock: descriptors live in chunks that never move
 * or go away, a struct file's memory stays a struct file for ever, and a reference taken on a file that left the slot
 * meanwhile is given back. Everything that changes the table holds its lock. Called by system calls with numbers from
 * the program.
 */
#include "core/kheap.h"
#include "fs/vfs.h"
#include <linux/resource.h>

#define CHUNK FD_CHUNK

struct fdtable *fdtable_create(void)
{
	return kzalloc(sizeof(struct fdtable));
}

static inline struct fdtable *table(void)
{
	return current()->process->files;
}

static inline struct file **slot_of(struct fdtable *t, int fd)
{
	struct file **chunk;

	if ((unsigned)fd < CHUNK)
		return &t->first[fd];
	if ((unsigned)fd >= FD_LIMIT_MAX)
		return NULL;
	chunk = __atomic_load_n(&t->chunk[fd / CHUNK], __ATOMIC_ACQUIRE);
	return chunk ? &chunk[fd % CHUNK] : NULL;
}

struct file *fd_get(int fd)
{
	struct file **slot = slot_of(table(), fd), *f;
	uint32_t refs;

	if (unlikely(!slot))
		return NULL;
	for (;;) {
		f = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
		if (!f)
			return NULL;
		refs = __atomic_load_n(&f->refs, __ATOMIC_RELAXED);
		while (refs && !__atomic_compare_exchange_n(&f->refs, &refs, refs + 1, false, __ATOMIC_ACQUIRE,
							    __ATOMIC_RELAXED))
			;
		if (unlikely(!refs))
			continue;
		if (likely(__atomic_load_n(slot, __ATOMIC_ACQUIRE) == f))
			return f;
		file_put(f);
	}
}

struct file *fd_get_open(int fd)
{
	struct file *f = fd_get(fd);

	if (f && (f->flags & O_PATH)) {
		file_put(f);
		f = NULL;
	}
	return f;
}

struct file *fd_borrow_slow(int fd, bool *held)
{
	struct file **slot;

	*held = !process_is_single();
	if (*held)
		return fd_get(fd);
	slot = slot_of(table(), fd);
	return slot ? *slot : NULL;
}

static bool bit_test(const uint64_t *map, int fd)
{
	return map[fd / 64] >> (fd % 64) & 1;
}

static void bit_put(uint64_t *map, int fd, bool value)
{
	uint64_t bit = 1ull << (fd % 64);

	map[fd / 64] = value ? map[fd / 64] | bit : map[fd / 64] & ~bit;
}

static int find_free(struct fdtable *t, int min)
{
	int fd = MAX(min, t->lowest), limit = (int)fd_limit();

	while (fd < limit) {
		uint64_t used = t->used[fd / 64] >> (fd % 64);

		if (~used) {
			int skip = __builtin_ctzll(~used);

			if (skip < 64 - fd % 64)
				return fd + skip < limit ? fd + skip : -EMFILE;
		}
		fd = (fd / 64 + 1) * 64;
	}
	return -EMFILE;
}

static int make_chunk(struct fdtable *t, int fd)
{
	struct file **chunk;

	if (fd < CHUNK || t->chunk[fd / CHUNK])
		return 0;
	chunk = kzalloc(CHUNK * sizeof *chunk);
	if (!chunk)
		return -ENOMEM;
	__atomic_store_n(&t->chunk[fd / CHUNK], chunk, __ATOMIC_RELEASE);
	return 0;
}

/* Lock held; the chunk exists. Returns what was there. */
static struct file *put_slot(struct fdtable *t, int fd, struct file *f, bool cloexec)
{
	struct file *old = __atomic_exchange_n(slot_of(t, fd), f, __ATOMIC_ACQ_REL);

	bit_put(t->used, fd, f != NULL);
	bit_put(t->cloexec, fd, cloexec);
	if (f) {
		if (fd >= t->end)
			t->end = fd + 1;
	} else {
		if (fd < t->lowest)
			t->lowest = fd;
		while (t->end > 0 && !bit_test(t->used, t->end - 1))
			t->end--;
	}
	return old;
}

static void closed(struct file *f)
{
	if (f->ops->on_close)
		f->ops->on_close(f);
	file_put(f);
}

struct fdtable *fdtable_copy(struct fdtable *from)
{
	struct fdtable *to = fdtable_create();
	int err = 0;

	if (!to)
		return NULL;
	mutex_lock(&from->lock);
	for (int fd = 0; fd < from->end && !err; fd++) {
		struct file *f = bit_test(from->used, fd) ? *slot_of(from, fd) : NULL;

		if (f)
			err = make_chunk(to, fd);
		if (f && !err) {
			file_get(f);
			put_slot(to, fd, f, bit_test(from->cloexec, fd));
		}
	}
	to->lowest = from->lowest;
	mutex_unlock(&from->lock);
	if (!err)
		return to;
	fdtable_close(to, false);
	fdtable_free(to);
	return NULL;
}

void fdtable_close(struct fdtable *t, bool cloexec)
{
	for (int fd = 0; fd < t->end; fd++) {
		struct file *f = NULL;

		mutex_lock(&t->lock);
		if (bit_test(t->used, fd) && (!cloexec || bit_test(t->cloexec, fd)))
			f = put_slot(t, fd, NULL, false);
		mutex_unlock(&t->lock);
		if (f)
			closed(f);
	}
}

void fdtable_free(struct fdtable *t)
{
	for (int i = 1; t && i < FD_LIMIT_MAX / CHUNK; i++)
		kfree(t->chunk[i]);
	kfree(t);
}

void fdtable_set(struct fdtable *t, int fd, struct file *f)
{
	file_get(f);
	mutex_lock(&t->lock);
	put_slot(t, fd, f, false);
	mutex_unlock(&t->lock);
}

int fd_install(struct file *f, int min, bool cloexec)
{
	struct fdtable *t = table();
	int fd, err;

	mutex_lock(&t->lock);
	fd = find_free(t, min);
	err = fd < 0 ? fd : make_chunk(t, fd);
	if (!err) {
		put_slot(t, fd, f, cloexec);
		if (min <= t->lowest)
			t->lowest = fd + 1;
	}
	mutex_unlock(&t->lock);
	if (err)
		file_put(f);
	return err ? err : fd;
}

int fd_close(int fd)
{
	struct fdtable *t = table();
	struct file *f = NULL;

	mutex_lock(&t->lock);
	if (slot_of(t, fd))
		f = put_slot(t, fd, NULL, false);
	mutex_unlock(&t->lock);
	if (!f)
		return -EBADF;
	closed(f);
	return 0;
}

int fd_replace(struct file *f, int fd, bool cloexec)
{
	struct fdtable *t = table();
	struct file *old = NULL;
	int err = -EBADF;

	mutex_lock(&t->lock);
	if (fd >= 0 && fd < (int)fd_limit())
		err = make_chunk(t, fd);
	if (!err)
		old = put_slot(t, fd, f, cloexec);
	mutex_unlock(&t->lock);
	if (err)
		file_put(f);
	if (old)
		closed(old);
	return err ? err : fd;
}

int fd_get_cloexec(int fd)
{
	struct fdtable *t = table();
	int ret = -EBADF;

	if ((unsigned)fd >= FD_LIMIT_MAX)
		return ret;
	mutex_lock(&t->lock);
	if (bit_test(t->used, fd))
		ret = bit_test(t->cloexec, fd);
	mutex_unlock(&t->lock);
	return ret;
}

int fd_set_cloexec(int fd, bool cloexec)
{
	struct fdtable *t = table();
	int ret = -EBADF;

	if ((unsigned)fd >= FD_LIMIT_MAX)
		return ret;
	mutex_lock(&t->lock);
	if (bit_test(t->used, fd)) {
		bit_put(t->cloexec, fd, cloexec);
		ret = 0;
	}
	mutex_unlock(&t->lock);
	return ret;
}

int fd_end(void)
{
	return __atomic_load_n(&table()->end, __ATOMIC_RELAXED);
}

/* p's table with its lock, and p's, held; NULL with neither. */
static struct fdtable *lock_table(struct process *p)
{
	mutex_lock(&p->lock);
	if (p->files) {
		mutex_lock(&p->files->lock);
		return p->files;
	}
	mutex_unlock(&p->lock);
	return NULL;
}

static void unlock_table(struct process *p, struct fdtable *t)
{
	mutex_unlock(&t->lock);
	mutex_unlock(&p->lock);
}

struct file *fdtable_get_of(struct process *p, int fd, bool *cloexec)
{
	struct fdtable *t = (unsigned)fd < FD_LIMIT_MAX ? lock_table(p) : NULL;
	struct file *f = NULL;

	if (!t)
		return NULL;
	if (bit_test(t->used, fd)) {
		f = *slot_of(t, fd);
		file_get(f);
		*cloexec = bit_test(t->cloexec, fd);
	}
	unlock_table(p, t);
	return f;
}

int fdtable_next_of(struct process *p, int from)
{
	struct fdtable *t = lock_table(p);
	int found = -1;

	if (!t)
		return -1;
	for (int fd = MAX(from, 0); fd < t->end && found < 0; fd++)
		if (bit_test(t->used, fd))
			found = fd;
	unlock_table(p, t);
	return found;
}

int fdtable_end_of(struct process *p)
{
	struct fdtable *t = lock_table(p);
	int end = t ? t->end : 0;

	if (t)
		unlock_table(p, t);
	return end;
}

uint32_t fd_limit(void)
{
	return (uint32_t)MIN(process_limit(current()->process, RLIMIT_NOFILE), (uint64_t)FD_LIMIT_MAX);
}
