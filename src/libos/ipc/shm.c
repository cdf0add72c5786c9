/*
 * System V shared memory (ipc/sysv.h). A segment is a memory object of the monitor's, as large files in tmpfs are; attaching
 * it is a shared mapping. Who has attached it where is kept per program (struct attachment), because programs made of one
 * another by fork have one mapping for all (mm/family.h), and detach on their own. Called by sys/sys_sysv.c.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/file.h"
#include "fs/vfs.h"
#include "ipc/sysv.h"
#include "mm/mm.h"
#include "mm/vma.h"
#include "thread/thread.h"
#include <asm/shmbuf.h>
#include <linux/mman.h>
#include <linux/resource.h>
#include <linux/shm.h>

#define SHM_ALL (~0ull - (1ull << 24)) /* kernel.shmmax, in bytes, and kernel.shmall, in pages */
#define MODE_DEST 01000u		/* goes with the last that has attached it */
#define MODE_LOCKED 02000u

/* Outlives its segment while it is mapped. */
struct shm_memory {
	uint32_t refs; /* atomic: the segment, and files of mappings */
	int32_t id, key;
	int handle;
};

struct shm {
	struct sysv_object object;
	struct shm_memory *memory; /* owned reference */
	uint64_t size, pages;
	int64_t attached_at, detached_at; /* seconds */
	int32_t creator, last;		  /* pids */
	uint32_t count;
	struct list attachments; /* struct attachment by of_segment */
};

struct attachment {
	struct list of_segment, of_program;
	struct shm *shm;
	struct program *program; /* whose list it is in */
	uint64_t addr;
};

static void remove_segment(struct sysv_object *o);
static struct sysv_kind g_shm = { .max = SHMMNI, .last = -1, .remove = remove_segment };
static uint64_t g_pages; /* of all segments */

static struct shm *shm_of(struct sysv_object *o)
{
	return container_of(o, struct shm, object);
}

/* --- the file behind a mapping --- */

static void memory_put(struct shm_memory *m)
{
	if (__atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL))
		return;
	hostcall(HC_file_close, m->handle);
	kfree(m);
}

static int shm_map_handle(struct file *f, int prot, int flags, off_t *offset, size_t size)
{
	(void)prot, (void)flags, (void)offset, (void)size;
	return ((struct shm_memory *)f->data)->handle;
}

static int shm_stat(struct file *f, struct statx *st)
{
	const struct shm_memory *m = f->data;

	*st = (struct statx){ .stx_mask = STATX_BASIC_STATS, .stx_mode = S_IFREG | 0777, .stx_ino = (uint64_t)m->id, .stx_dev_minor = 1 };
	return 0;
}

static size_t shm_path(struct file *f, char *buf, size_t size)
{
	return (size_t)format(buf, size, "/SYSV%08x (deleted)", ((struct shm_memory *)f->data)->key);
}

static void shm_release(struct file *f)
{
	memory_put(f->data);
}

static const struct file_ops g_shm_ops = {
	.name = "shm",
	.map_handle = shm_map_handle,
	.stat = shm_stat,
	.path = shm_path,
	.release = shm_release,
};

static struct file *open_memory(struct shm_memory *m, bool writable)
{
	struct file *f = file_alloc(&g_shm_ops, writable ? O_RDWR : O_RDONLY, m);

	if (f)
		__atomic_fetch_add(&m->refs, 1, __ATOMIC_RELAXED);
	return f;
}

/* --- segments --- */

struct shm_request {
	uint64_t size;
	int32_t key;
	int flags;
};

static int suits(const struct sysv_object *o, const void *arg)
{
	return container_of(o, const struct shm, object)->size < ((const struct shm_request *)arg)->size;
}

static int make(void *arg, struct sysv_object **out)
{
	const struct shm_request *rq = arg;
	uint64_t pages = rq->size / PAGE_SIZE + (rq->size % PAGE_SIZE != 0);
	struct shm *s;
	long handle;

	if (rq->size < SHMMIN || rq->size > INT64_MAX) /* of a file, less than kernel.shmmax */
		return -EINVAL;
	if (rq->flags & SHM_HUGETLB || pages > SLOT_SIZE / PAGE_SIZE)
		return -ENOMEM;
	s = kzalloc(sizeof(*s));
	if (s)
		s->memory = kzalloc(sizeof(*s->memory));
	handle = s && s->memory ? hostcall(HC_memobj_create, pages * PAGE_SIZE) : -ENOMEM;
	if (handle < 0) {
		if (s)
			kfree(s->memory);
		kfree(s);
		return -ENOMEM;
	}
	*s->memory = (struct shm_memory){ .refs = 1, .key = rq->key, .handle = (int)handle };
	s->size = rq->size;
	s->pages = pages;
	s->creator = current()->process->pid;
	list_init(&s->attachments);
	g_pages += pages;
	*out = &s->object;
	return 0;
}

long shm_get(int32_t key, uint64_t size, int flags)
{
	struct shm_request rq = { .size = size, .key = key, .flags = flags };

	return sysv_get(&g_shm, key, flags, make, suits, &rq);
}

static void destroy(struct shm *s)
{
	sysv_forget(&g_shm, &s->object);
	g_pages -= s->pages;
	memory_put(s->memory);
	kfree(s);
}

static void remove_segment(struct sysv_object *o)
{
	struct shm *s = shm_of(o);

	if (!s->count) {
		destroy(s);
		return;
	}
	o->mode |= MODE_DEST;
	o->key = IPC_PRIVATE;
}

/* --- who has it --- */

static void attachment_enter(struct attachment *a, struct shm *s, struct program *p, uint64_t addr)
{
	*a = (struct attachment){ .shm = s, .program = p, .addr = addr };
	list_append(&s->attachments, &a->of_segment);
	list_append(&p->attached, &a->of_program);
	s->count++;
	s->attached_at = sysv_now();
	s->last = current()->process->pid;
}

static void attachment_drop(struct attachment *a)
{
	struct shm *s = a->shm;

	list_remove(&a->of_segment);
	list_remove(&a->of_program);
	kfree(a);
	s->detached_at = sysv_now();
	s->last = current()->process->pid;
	if (!--s->count && (s->object.mode & MODE_DEST))
		destroy(s);
}

/* What was unmapped without shmdt is attached no more. */
static void look_again(void)
{
	sysv_for_each(&g_shm, o) {
		struct shm *s = shm_of(o);

		list_for_each_safe(pos, next, &s->attachments) {
			struct attachment *a = list_entry(pos, struct attachment, of_segment);
			bool last = s->count == 1;

			if (!mm_shows_object(a->program, a->addr, s->pages * PAGE_SIZE, s->memory)) {
				attachment_drop(a);
				if (last)
					break;
			}
		}
	}
}

static void lock(void)
{
	mutex_lock(&g_shm.lock);
	look_again();
}

static uint64_t end_of(const struct attachment *a)
{
	return a->addr + a->shm->pages * PAGE_SIZE;
}

/* What a's program had where a is now (SHM_REMAP). */
static void drop_replaced(const struct attachment *a)
{
	list_for_each_safe(pos, next, &a->program->attached) {
		struct attachment *old = list_entry(pos, struct attachment, of_program);

		if (old != a && old->addr >= a->addr && end_of(old) <= end_of(a))
			attachment_drop(old);
	}
}

static long map(struct shm *s, uint64_t addr, int flags, struct attachment *a)
{
	int place = !addr ? 0 : flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	int prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) | (flags & SHM_EXEC ? PROT_EXEC : 0);
	struct file *f = open_memory(s->memory, !(flags & SHM_RDONLY));
	long ret;

	if (!f)
		return -ENOMEM;
	s->memory->id = s->object.id;
	ret = mm_map(addr, s->size, prot, MAP_SHARED | place, f, 0);
	file_put(f);
	if (ret >= 0) {
		attachment_enter(a, s, current()->process->program, (uint64_t)ret);
		drop_replaced(a);
	}
	return ret == -EEXIST ? -EINVAL : ret;
}

long shm_attach(int id, uint64_t addr, int flags)
{
	uint32_t rights = SYSV_READ | (flags & SHM_RDONLY ? 0 : SYSV_WRITE) | (flags & SHM_EXEC ? SYSV_EXECUTE : 0);
	struct attachment *a;
	struct sysv_object *o;
	int err = 0;
	long ret;

	if (flags & SHM_RND)
		addr = ALIGN_DOWN(addr, PAGE_SIZE);
	if (id < 0 || addr % PAGE_SIZE || (!addr && (flags & SHM_REMAP)))
		return -EINVAL;
	a = kzalloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	lock();
	o = sysv_find(&g_shm, id, rights, &err);
	ret = o ? map(shm_of(o), addr, flags, a) : err;
	mutex_unlock(&g_shm.lock);
	if (ret < 0)
		kfree(a);
	return ret;
}

long shm_detach(uint64_t addr)
{
	long ret = -EINVAL;

	if (addr % PAGE_SIZE)
		return ret;
	lock();
	list_for_each_safe(pos, next, &current()->process->program->attached) {
		struct attachment *a = list_entry(pos, struct attachment, of_program);

		if (a->addr != addr)
			continue;
		ret = mm_unmap_object(addr, a->shm->pages * PAGE_SIZE, a->shm->memory);
		attachment_drop(a);
		break;
	}
	mutex_unlock(&g_shm.lock);
	return ret;
}

/* Pages of the attached segment at `addr` were moved to `to`: it is attached where its beginning would be, as shmdt looks for it. What stayed
 * counts for itself, with `spare`. True if that was used. */
static bool moved(struct program *p, uint64_t addr, uint64_t to, struct attachment *spare)
{
	list_for_each(pos, &p->attached) {
		struct attachment *a = list_entry(pos, struct attachment, of_program);
		uint64_t size = a->shm->pages * PAGE_SIZE, place = to - (addr - a->addr);

		if (addr < a->addr || addr >= end_of(a) || !mm_shows_object(p, place, size, a->shm->memory))
			continue;
		a->shm->attached_at = a->shm->detached_at = sysv_now();
		a->shm->last = current()->process->pid;
		if (!mm_shows_object(p, a->addr, size, a->shm->memory)) {
			a->addr = place;
			return false;
		}
		attachment_enter(spare, a->shm, p, place);
		return true;
	}
	return false;
}

long shm_remap(uint64_t addr, uint64_t old_size, uint64_t new_size, int flags, uint64_t new_addr)
{
	struct program *p = current()->process->program;
	struct attachment *spare;
	long ret;

	if (likely(list_empty(&p->attached)))
		return mm_remap(addr, old_size, new_size, flags, new_addr);
	spare = kzalloc(sizeof(*spare));
	if (!spare)
		return -ENOMEM;
	lock();
	ret = mm_remap(addr, old_size, new_size, flags, new_addr);
	if (ret >= 0 && (uint64_t)ret != addr && moved(p, addr, (uint64_t)ret, spare))
		spare = NULL;
	mutex_unlock(&g_shm.lock);
	kfree(spare);
	return ret;
}

int shm_fork(struct program *from, struct program *to)
{
	int err = 0;

	if (list_empty(&from->attached))
		return 0;
	lock();
	list_for_each(pos, &from->attached) {
		struct attachment *a = list_entry(pos, struct attachment, of_program), *copy = kzalloc(sizeof(*copy));

		if (!copy) {
			err = -ENOMEM;
			break;
		}
		attachment_enter(copy, a->shm, to, a->addr);
	}
	mutex_unlock(&g_shm.lock);
	return err;
}

void shm_leave(struct program *p)
{
	if (list_empty(&p->attached))
		return;
	mutex_lock(&g_shm.lock);
	while (!list_empty(&p->attached))
		attachment_drop(list_entry(p->attached.next, struct attachment, of_program));
	mutex_unlock(&g_shm.lock);
}

/* --- control --- */

static uint64_t resident(const struct shm *s)
{
	struct statx st = { 0 };

	return hostcall(HC_file_stat, s->memory->handle, 0, 0, STATX_BLOCKS, &st) ? 0 : st.stx_blocks * 512;
}

static long info(void *user)
{
	struct shminfo64 i = { .shmmax = SHM_ALL, .shmmin = SHMMIN, .shmmni = SHMMNI, .shmseg = SHMMNI, .shmall = SHM_ALL };
	long last;

	mutex_lock(&g_shm.lock);
	last = sysv_last_index(&g_shm);
	mutex_unlock(&g_shm.lock);
	return copy_to_user(user, &i, sizeof(i)) ? -EFAULT : last;
}

static long usage(void *user)
{
	struct shm_info i = { 0 };
	long last;

	lock();
	sysv_for_each(&g_shm, o)
		i.shm_rss += resident(shm_of(o)) / PAGE_SIZE;
	i.used_ids = (int)g_shm.count;
	i.shm_tot = g_pages;
	last = sysv_last_index(&g_shm);
	mutex_unlock(&g_shm.lock);
	return copy_to_user(user, &i, sizeof(i)) ? -EFAULT : last;
}

static long status(int id, int cmd, void *user)
{
	struct shmid64_ds ds = { 0 };
	struct sysv_object *o;
	int err;

	lock();
	o = cmd == IPC_STAT ? sysv_find(&g_shm, id, SYSV_READ, &err) :
			      sysv_find_listed(&g_shm, id, cmd == SHM_STAT_ANY, &err);
	if (o) {
		const struct shm *s = shm_of(o);

		sysv_perm(o, &ds.shm_perm);
		ds.shm_segsz = s->size;
		ds.shm_atime = s->attached_at;
		ds.shm_dtime = s->detached_at;
		ds.shm_ctime = o->ctime;
		ds.shm_cpid = s->creator;
		ds.shm_lpid = s->last;
		ds.shm_nattch = s->count;
	}
	mutex_unlock(&g_shm.lock);
	return err < 0 ? err : copy_to_user(user, &ds, sizeof(ds)) ? -EFAULT : err;
}

static long set(int id, const void *user)
{
	struct shmid64_ds ds;
	struct sysv_object *o;
	int err;

	if (copy_from_user(&ds, user, sizeof(ds)))
		return -EFAULT;
	lock();
	o = sysv_find(&g_shm, id, 0, &err);
	if (o)
		err = sysv_set(o, &ds.shm_perm);
	mutex_unlock(&g_shm.lock);
	return err;
}

/* Nothing is locked, as by mlock(2) here; but who may ask for it, and that somebody did, is as on Linux. */
static long lock_memory(int id, bool locked)
{
	struct process *p = current()->process;
	struct sysv_object *o;
	int err;

	lock();
	o = sysv_find(&g_shm, id, 0, &err);
	if (o && (!sysv_is_owner(o) || (locked && p->euid && !process_limit(p, RLIMIT_MEMLOCK))))
		err = -EPERM;
	else if (o)
		o->mode = locked ? o->mode | MODE_LOCKED : o->mode & ~MODE_LOCKED;
	mutex_unlock(&g_shm.lock);
	return err;
}

long shm_control(int id, int cmd, void *user)
{
	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
		return info(user);
	case SHM_INFO:
		return usage(user);
	case IPC_STAT: case SHM_STAT: case SHM_STAT_ANY:
		return status(id, cmd, user);
	case IPC_SET:
		return set(id, user);
	case IPC_RMID:
		lock();
		mutex_unlock(&g_shm.lock);
		return sysv_remove(&g_shm, id);
	case SHM_LOCK: case SHM_UNLOCK:
		return lock_memory(id, cmd == SHM_LOCK);
	default:
		return -EINVAL;
	}
}

void proc_sysvipc_shm(struct text *t, const struct subject *s)
{
	(void)s;
	text_put(t, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime"
		    "                   rss                  swap\n");
	lock();
	sysv_for_each(&g_shm, o) {
		const struct shm *m = shm_of(o);

		text_put(t, "%10d %10d  %4o %21lu %5u %5u  %5lu %5u %5u %5u %5u ", o->key, o->id, o->mode, m->size, m->creator, m->last,
			 (unsigned long)m->count, o->uid, o->gid, o->cuid, o->cgid);
		text_put(t, "%10lu %10lu %10lu %21lu %21lu\n", m->attached_at, m->detached_at, o->ctime, resident(m), 0ul);
	}
	mutex_unlock(&g_shm.lock);
}
