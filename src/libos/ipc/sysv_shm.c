/*
 * System V shared memory: memory files (fs/memfs.h) with a key, mapped shared. A segment that was removed goes with its last
 * attachment; unmapping it by munmap is not counted as detaching. Entry points of the system calls.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/memfs.h"
#include "ipc/sysv.h"
#include "mm/mm.h"
#include "sys/syscalls.h"

#include <linux/shm.h>

#define SHMLBA PAGE_SIZE
#define SHM_DEST 01000 /* as ipcs shows it */

struct segment {
	struct sysv base; /* first */
	uint64_t size;
	struct file *file; /* owned reference */
	int64_t attached, detached, changed;
	uint32_t attachments;
	int creator, last;
};

struct attachment {
	struct list link;
	uint64_t addr, size;
	int id;
};

static struct sysv_kind g_segments = SYSV_KIND(g_segments);
static struct list g_attachments = LIST_INIT(g_attachments); /* g_segments.lock */

static struct segment *segment_find(int id)
{
	return (struct segment *)sysv_find(&g_segments, id);
}

static struct segment *segment_new(uint64_t size, int *error)
{
	struct segment *s = kzalloc(sizeof(*s));

	*error = -ENOMEM;
	if (!s)
		return NULL;
	s->file = memfd_new("SYSV", 0, error);
	if (s->file) {
		*error = s->file->ops->truncate(s->file, (off_t)ALIGN_UP(size, PAGE_SIZE));
		if (!*error) {
			s->size = size;
			s->changed = sysv_now();
			s->creator = current()->process->pid;
			return s;
		}
		file_put(s->file);
	}
	kfree(s);
	return NULL;
}

long sys_shmget(struct regs *r)
{
	int key = (int)arg(r, 0), flags = (int)arg(r, 2), error;
	uint64_t size = (uint64_t)arg(r, 1);
	struct segment *s;
	long ret;

	if (flags & SHM_HUGETLB)
		return -ENOMEM;
	mutex_lock(&g_segments.lock);
	s = (struct segment *)sysv_get(&g_segments, key, flags, &error);
	ret = !s ? error : size > s->size ? -EINVAL : s->base.id;
	if (!s && !error) {
		ret = -EINVAL;
		s = size && size <= SLOT_SIZE ? segment_new(size, &error) : NULL;
		if (s) {
			sysv_add(&g_segments, &s->base, key, flags);
			ret = s->base.id;
		} else if (error) {
			ret = error;
		}
	}
	mutex_unlock(&g_segments.lock);
	return ret;
}

static void drop_if_unused(struct segment *s)
{
	if (s->attachments || !(s->base.perm.mode & SHM_DEST))
		return;
	sysv_remove(&g_segments, &s->base);
	file_put(s->file);
	kfree(s);
}

long sys_shmat(struct regs *r)
{
	uint64_t addr = (uint64_t)arg(r, 1);
	int flags = (int)arg(r, 2), map = MAP_SHARED;
	struct attachment *a = kmalloc(sizeof(*a));
	struct segment *s;
	long ret = -EINVAL;

	if (!a)
		return -ENOMEM;
	if (flags & SHM_RND)
		addr &= ~(SHMLBA - 1);
	if (addr)
		map |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	mutex_lock(&g_segments.lock);
	s = segment_find((int)arg(r, 0));
	if (s && !(addr & (PAGE_SIZE - 1)) && (addr || !(flags & SHM_REMAP))) {
		ret = mm_map(addr, s->size, flags & SHM_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE, map, s->file, 0);
		if (ret == -EEXIST)
			ret = -EINVAL;
	}
	if (s && ret > 0) {
		*a = (struct attachment){ .addr = (uint64_t)ret, .size = ALIGN_UP(s->size, PAGE_SIZE), .id = s->base.id };
		list_append(&g_attachments, &a->link);
		s->attachments++;
		s->attached = sysv_now();
		s->last = current()->process->pid;
	} else {
		kfree(a);
	}
	mutex_unlock(&g_segments.lock);
	return ret;
}

long sys_shmdt(struct regs *r)
{
	struct attachment *found = NULL;
	struct segment *s;
	long ret = -EINVAL;

	mutex_lock(&g_segments.lock);
	list_for_each(at, &g_attachments) {
		struct attachment *a = list_entry(at, struct attachment, link);

		if (a->addr == (uint64_t)arg(r, 0))
			found = a;
	}
	if (found) {
		ret = mm_unmap(found->addr, found->size);
		s = segment_find(found->id);
		if (s) {
			s->attachments--;
			s->detached = sysv_now();
			s->last = current()->process->pid;
			drop_if_unused(s);
		}
		list_remove(&found->link);
		kfree(found);
	}
	mutex_unlock(&g_segments.lock);
	return ret;
}

static long control(struct segment *s, int command, struct shmid64_ds *user)
{
	struct shmid64_ds ds = { .shm_perm = s->base.perm, .shm_segsz = s->size, .shm_atime = s->attached, .shm_dtime = s->detached,
				 .shm_ctime = s->changed, .shm_cpid = s->creator, .shm_lpid = s->last, .shm_nattch = s->attachments };

	switch (command) {
	case IPC_STAT:
		return put_user(ds, user);
	case IPC_SET:
		if (get_user(ds, user))
			return -EFAULT;
		sysv_set_perm(&s->base, &ds.shm_perm);
		s->changed = sysv_now();
		return 0;
	case IPC_RMID:
		s->base.perm.mode |= SHM_DEST;
		s->base.perm.key = IPC_PRIVATE; /* nobody finds it any more */
		drop_if_unused(s);
		return 0;
	case SHM_LOCK:
	case SHM_UNLOCK:
		return 0;
	default:
		return -EINVAL;
	}
}

long sys_shmctl(struct regs *r)
{
	struct segment *s;
	long ret = -EINVAL;

	mutex_lock(&g_segments.lock);
	s = segment_find((int)arg(r, 0));
	if (s)
		ret = control(s, (int)arg(r, 1), (struct shmid64_ds *)arg(r, 2));
	mutex_unlock(&g_segments.lock);
	return ret;
}
