/*
 * The libOS's heap and memory map against a fake monitor: directed cases, then random operations compared page by page
 * with a simple model and with what the host's page tables say.
 */
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/capfs.h"
#include "fs/vfs.h"
#include "ipc/sysv.h"
#include "fs/memfs.h"
#include "mm/vma.h"
#include "process/turn.h"
#include "thread/clock.h"
#include "thread/thread.h"
#include "unit/fake_host.h"

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define MODEL_PAGES 256

static struct thread g_thread;
static struct process g_proc;
static uint32_t g_seed = 12345;

/* What mm/ wants of fs/; no file is mapped here. */
ssize_t file_pread(struct file *f, void *buf, size_t size, off_t offset)
{
	(void)f, (void)buf, (void)size, (void)offset;
	return -EINVAL;
}
int file_stat(struct file *f, struct statx *st)
{
	(void)f, (void)st;
	return -EINVAL;
}
bool g_served;

void capfs_released(uint64_t start, uint64_t end)
{
	(void)start, (void)end;
}

size_t file_path(struct file *f, char *buf, size_t size)
{
	(void)f;
	return (size_t)format(buf, size, "file");
}
void file_get(struct file *f)
{
	(void)f;
}
void file_put(struct file *f)
{
	(void)f;
}

/* What mm/write_exec.c wants: a page is writable or not, and time passes. */
int user_cmpxchg(uint32_t *user, uint32_t expected, uint32_t desired, uint32_t *old)
{
	bool w = false;

	(void)expected, (void)desired, (void)old;
	return fake_host_access((uint64_t)user, &w) && w ? 0 : -EFAULT;
}
int clock_read(int clock, struct timespec *ts)
{
	static int64_t now;

	(void)clock;
	now += 10000;
	*ts = (struct timespec){ 0, now };
	return 0;
}

uint64_t g_libos_start, g_libos_size;

int user_exchange(uint64_t a, uint64_t b, size_t size)
{
	(void)a, (void)b, (void)size;
	return 0;
}

long user_copy(void *dst, const void *src, uint64_t size)
{
	memcpy(dst, src, size);
	return 0;
}
/* Nobody forks here: tests/guest does. */
void turn_end(struct program *p)
{
	(void)p;
	__builtin_trap();
}

void shm_leave(struct program *p)
{
	(void)p;
}

bool memfile_write_sealed(const struct file *f)
{
	(void)f;
	return false;
}

uint64_t process_limit(struct process *p, int resource)
{
	(void)p, (void)resource;
	return ~0ull;
}

static unsigned rnd(unsigned n)
{
	g_seed ^= g_seed << 13;
	g_seed ^= g_seed >> 17;
	g_seed ^= g_seed << 5;
	return g_seed % n;
}

static int fault(long address, bool write, uint64_t rip)
{
	struct mm_fault f = { .address = (uint64_t)address, .rip = rip, .write = write, .fetch = !write };

	return mm_handle_fault(&f);
}

static void test_heap(void)
{
	static struct {
		unsigned char *p;
		size_t size;
		unsigned char fill;
	} slot[600];

	for (int i = 0; i < 60000; i++) {
		unsigned k = rnd(ARRAY_SIZE(slot));

		for (size_t j = 0; slot[k].p && j < slot[k].size; j += 61)
			CHECK(slot[k].p[j] == slot[k].fill);
		if (slot[k].p && rnd(3) == 0) {
			size_t size = 1 + rnd(5000);
			unsigned char *p = krealloc(slot[k].p, size);

			CHECK(p && p[0] == slot[k].fill);
			slot[k].p = p;
			slot[k].size = size;
		} else if (slot[k].p) {
			kfree(slot[k].p);
			slot[k].p = NULL;
			continue;
		} else {
			slot[k].size = 1 + rnd(rnd(20) == 0 ? 3000000 : rnd(4) == 0 ? 20000 : 600);
			slot[k].p = rnd(2) ? kzalloc(slot[k].size) : kmalloc(slot[k].size);
			CHECK(slot[k].p && (uint64_t)slot[k].p % 16 == 0);
		}
		slot[k].fill = (unsigned char)rnd(256);
		memset(slot[k].p, slot[k].fill, slot[k].size);
	}
	for (unsigned k = 0; k < ARRAY_SIZE(slot); k++)
		kfree(slot[k].p);
	unsigned char *zero = kpages_alloc(700);
	for (size_t i = 0; i < 700 * PAGE_SIZE; i += 509)
		CHECK(zero[i] == 0);
	kpages_free(zero, 700);
}

static void test_directed(void)
{
	struct mm *mm = g_proc.mm;
	long a = mm_map(0, 16 * PAGE_SIZE, PROT_NONE, ANON | MAP_NORESERVE, NULL, 0), b;
	bool w;

	CHECK(a > 0 && !fake_host_access((uint64_t)a, &w));
	CHECK(mm_protect((uint64_t)a, 4 * PAGE_SIZE, RW) == 0);
	CHECK(mm->count == 2 && fake_host_access((uint64_t)a, &w) && w);
	memset((void *)a, 7, 4 * PAGE_SIZE);
	CHECK(mm_protect((uint64_t)a, 2 * PAGE_SIZE, PROT_NONE) == 0 && !fake_host_access((uint64_t)a, &w));
	CHECK(mm_protect((uint64_t)a, 8 * PAGE_SIZE, RW) == 0 && *(char *)a == 7 && *(char *)(a + 5 * 4096) == 0);
	CHECK(mm->count == 2);
	CHECK(mm_protect((uint64_t)a, PAGE_SIZE, PROT_READ | PROT_EXEC) == 0 && fake_host_access((uint64_t)a, &w) && !w);
	CHECK(mm_protect((uint64_t)a, PAGE_SIZE, RW) == 0 && mm->count == 2);
	CHECK(mm_map((uint64_t)a, PAGE_SIZE, RW, ANON | MAP_FIXED_NOREPLACE, NULL, 0) == -EEXIST);
	CHECK(mm_map((uint64_t)a + 1, PAGE_SIZE, RW, ANON | MAP_FIXED, NULL, 0) == -EINVAL);
	CHECK(mm_map(4096, PAGE_SIZE, RW, ANON | MAP_FIXED, NULL, 0) == -ENOMEM);
	CHECK(mm_map(0, 0, RW, ANON, NULL, 0) == -EINVAL && mm_map(0, 4096, RW, MAP_ANONYMOUS, NULL, 0) == -EINVAL);
	b = mm_remap((uint64_t)a, 8 * PAGE_SIZE, 64 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
	CHECK(b > 0 && b != a && *(char *)b == 7 && fake_host_access((uint64_t)b + 63 * PAGE_SIZE, &w));
	CHECK(mm_remap((uint64_t)b, 64 * PAGE_SIZE, PAGE_SIZE, 0, 0) == b && !fake_host_access((uint64_t)b + PAGE_SIZE, &w));
	CHECK(mm_remap((uint64_t)b, PAGE_SIZE, 3 * PAGE_SIZE, 0, 0) == b);
	CHECK(mm_unmap((uint64_t)b, 3 * PAGE_SIZE) == 0 && mm_unmap((uint64_t)a, 16 * PAGE_SIZE) == 0);
	CHECK(mm->count == 0 && g_proc.program->total == 0);

	mm_brk_init();
	a = mm_brk(0);
	CHECK(mm_brk((uint64_t)a + 100) == a + 100 && *(char *)a == 0 && mm->count == 1);
	CHECK(mm_brk((uint64_t)a + 1000000) == a + 1000000 && mm->count == 1);
	CHECK(mm_brk(1) == a + 1000000 && mm_brk((uint64_t)a) == a && mm->count == 0);
	a = mm_map_stack();
	CHECK(a > 0 && mm->count == 1 && !fake_host_access((uint64_t)a - 5000, &w));
	CHECK(fault(a - 5000, true, 0) == 0 && fake_host_access((uint64_t)a - 5000, &w) && mm->count == 2);
	CHECK(fault(a - 65536 - 5000, true, 0) == 0 && fake_host_access((uint64_t)a - 65536 - 5000, &w) && mm->count == 2);
	mm_stack_reach((uint64_t)a - 400000);
	CHECK(fake_host_access((uint64_t)a - 400000, &w) && mm->count == 2);
	CHECK(fault(a - (long)MM_STACK_MAX, true, 0) == 0 && mm->count == 1);
	CHECK(fault(a - (long)MM_STACK_MAX - 5000, true, 0) == -EFAULT);
	CHECK(mm_unmap((uint64_t)a - MM_STACK_MAX, MM_STACK_MAX) == 0 && mm->count == 0);
	a = mm_place_image(0x300000, 0x200000);
	b = mm_place_image(0x300000, 0x200000);
	CHECK(a > 0 && a % 0x200000 == 0 && in_image_window(mm, (uint64_t)a, 0x300000) && b > 0 && (b >= a + 0x300000 || a >= b + 0x300000));
	CHECK(mm_unmap((uint64_t)a, 0x300000) == 0 && mm_unmap((uint64_t)b, 0x300000) == 0 && mm->count == 0);
}

/* Writable and executable memory: one of the two at a time, by faults. */
static void test_write_exec(void)
{
	const int rwx = RW | PROT_EXEC;
	struct mm *mm = g_proc.mm;
	long a = mm_map(0, 4 * PAGE_SIZE, rwx, ANON, NULL, 0);
	bool w;
	int turns = 0;

	CHECK(a > 0 && fake_host_access((uint64_t)a, &w) && w && !mm_make_writable());
	CHECK(fault(a, false, 1) == 0 && fake_host_access((uint64_t)a, &w) && !w);
	CHECK(fault(a + PAGE_SIZE, true, 2) == 0 && fake_host_access((uint64_t)a + PAGE_SIZE, &w) && w);
	CHECK(mm_protect((uint64_t)a, 4 * PAGE_SIZE, rwx) == 0 && fake_host_access((uint64_t)a, &w) && !w);
	CHECK(mm_make_writable() && fake_host_access((uint64_t)a, &w) && w && !mm_make_writable());
	CHECK(fault(a, false, 3) == 0 && mm_protect((uint64_t)a, 4 * PAGE_SIZE, PROT_READ | PROT_EXEC) == 0);
	CHECK(fault(a, true, 4) == -EFAULT && fault(a + 4 * (long)PAGE_SIZE, false, 5) == -EFAULT);
	CHECK(mm_protect((uint64_t)a, PAGE_SIZE, rwx) == 0 && fake_host_access((uint64_t)a, &w) && w);
	CHECK(mm_protect((uint64_t)a, 4 * PAGE_SIZE, rwx) == 0 && mm->count == 1);
	/* another thread's turn lasts a while, then comes ours */
	CHECK(fault(a, false, 6) == 0);
	g_thread.tid++;
	CHECK(fault(a, true, 7) == 0 && fake_host_access((uint64_t)a, &w) && w);
	/* one instruction that wants both */
	while (turns < 100000 && fault(a, turns % 2, 8) == 0)
		turns++;
	CHECK(turns > 100 && turns < 100000);
	a = mm_remap((uint64_t)a, 4 * PAGE_SIZE, 8 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
	CHECK(a > 0 && fake_host_access((uint64_t)a, &w) && w);
	CHECK(mm_map(0, PAGE_SIZE, rwx, MAP_SHARED | MAP_ANONYMOUS, NULL, 0) == -EACCES);
	CHECK(mm_unmap((uint64_t)a, 8 * PAGE_SIZE) == 0 && mm->count == 0);
}

struct model {
	bool mapped, backed;
	int prot;
	unsigned char value; /* first byte; only kept while readable and writable */
};
static struct model g_model[MODEL_PAGES];

static void model_compare(uint64_t base)
{
	struct mm *mm = g_proc.mm;
	struct vma *last = NULL;
	uint64_t total = 0;

	list_for_each(pos, &mm->list) {
		struct vma *v = list_entry(pos, struct vma, link);

		CHECK(v->start < v->end && (!last || last->end <= v->start));
		CHECK(v->gap == v->start - (last ? last->end : 0) && vma_find(mm, v->start) == v && vma_find(mm, v->end - 1) == v);
		CHECK(!last || last->end < v->start || last->prot != v->prot || last->flags != v->flags);
		total += v->end - v->start;
		last = v;
	}
	CHECK(total == g_proc.program->total);
	for (unsigned i = 0; i < MODEL_PAGES; i++) {
		uint64_t addr = base + i * PAGE_SIZE;
		struct vma *v = vma_find(mm, addr);
		bool mapped = v && v->start <= addr, writable = false;

		CHECK(mapped == g_model[i].mapped);
		if (!mapped)
			continue;
		CHECK((int)v->prot == g_model[i].prot);
		CHECK(fake_host_access(addr, &writable) == !!g_model[i].prot && writable == !!(g_model[i].prot & PROT_WRITE));
		if (g_model[i].prot)
			CHECK(*(unsigned char *)addr == g_model[i].value);
	}
}

static void model_step(uint64_t base)
{
	static const int prots[] = {PROT_NONE, PROT_READ, RW};
	unsigned first = rnd(MODEL_PAGES), count = 1 + rnd(rnd(4) ? 8 : 60), op = rnd(4);
	int prot = prots[rnd(3)];
	bool whole = true;

	count = MIN(count, MODEL_PAGES - first);
	for (unsigned i = first; i < first + count; i++)
		whole = whole && g_model[i].mapped;
	if (op == 0)
		CHECK(mm_map(base + first * PAGE_SIZE, count * PAGE_SIZE, prot, ANON | MAP_FIXED, NULL, 0) > 0);
	else if (op == 1)
		CHECK(mm_unmap(base + first * PAGE_SIZE, count * PAGE_SIZE) == 0);
	else if (op == 2)
		CHECK(mm_protect(base + first * PAGE_SIZE, count * PAGE_SIZE, prot) == (whole ? 0 : -ENOMEM));
	for (unsigned i = first; i < first + count; i++) {
		struct model *m = &g_model[i];

		if (op == 0)
			*m = (struct model){.mapped = true, .prot = prot};
		else if (op == 1)
			*m = (struct model){0};
		else if (op == 2 && whole)
			m->prot = prot;
		else if (op == 3 && m->mapped && m->prot == RW)
			*(unsigned char *)(base + i * PAGE_SIZE) = m->value = (unsigned char)rnd(256);
	}
}

static void test_random(void)
{
	uint64_t base = g_proc.mm->base + SLOT_PROGRAM_BASE + 0x100000000ull;

	for (int i = 0; i < 2000; i++) {
		model_step(base);
		if (i % 4 == 0)
			model_compare(base);
	}
	CHECK(mm_unmap(base, MODEL_PAGES * PAGE_SIZE) == 0 && g_proc.mm->count == 0);
}

static void test_many(void)
{
	static long at[20000];

	for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
		at[i] = mm_map(0, (1 + rnd(8)) * PAGE_SIZE, i % 2 ? RW : PROT_NONE, ANON, NULL, 0);
		CHECK(at[i] > 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
		CHECK(mm_unmap((uint64_t)at[i], PAGE_SIZE) == 0);
	CHECK(mm_unmap(g_proc.mm->base + SLOT_PROGRAM_BASE, SLOT_SIZE - SLOT_PROGRAM_BASE) == 0 && g_proc.mm->count == 0);
}

int main(void)
{
	uint64_t base = fake_host_init(&g_thread);

	kheap_init(base);
	g_thread.process = &g_proc;
	test_heap();
	g_proc.mm = mm_create(base);
	CHECK(g_proc.mm);
	g_proc.program = program_create(g_proc.mm);
	CHECK(g_proc.program);
	test_directed();
	test_write_exec();
	test_random();
	test_many();
	return 0;
}
