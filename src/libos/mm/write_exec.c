/*
 * Memory that the program wants writable and executable at once (JITs, closures, executable stacks). The host never has it
 * so: a page is writable until an instruction is fetched from it; then it and the written pages around it are sealed as
 * code (copied, scanned: abi/hostcall.h mem_seal_code), and a write turns that page back. Called for faults of the program
 * and, because system calls cannot fault, when one of them gave EFAULT.
 *
 * Two threads may want opposite things of one page for ever. So that each gets somewhere, another thread's wish waits until
 * the last turn is TURN_NS old: the thread that faulted has run its instruction by then unless the host took it from the
 * processor, and then the next turn is its own again. An instruction that writes to the page it lies on can never run.
 */
#include "base/forbidden.h"
#include "core/hostcall.h"
#include "core/log.h"
#include "core/uaccess.h"
#include "mm/vma.h"
#include "thread/clock.h"
#include "thread/thread.h"

#define CHUNK 0x10000ull /* what becomes code at once */
#define TURN_NS 50000
#define EVERY_PAGE 1ull /* as the page that was turned: no page's address */
#define STUCK_MAX 1000

static int64_t now_ns(void)
{
	struct timespec ts = {0};

	return clock_read(CLOCK_MONOTONIC, &ts) ? 0 : timespec_to_ns(&ts);
}

/* Same instruction, fetched and refused in turns, and nothing in between: it needs both at once. */
static bool is_stuck(struct thread *t, const struct mm_fault *f)
{
	if (t->turn_rip != f->rip)
		t->turn_count = 0;
	else if (t->turn_fetch != f->fetch)
		t->turn_count++;
	t->turn_rip = f->rip;
	t->turn_fetch = f->fetch;
	if (t->turn_count < STUCK_MAX)
		return false;
	log_text("the instruction at %lx writes to the memory that it lies in: not possible here", f->rip);
	return true;
}

static bool is_writable(uint64_t page)
{
	uint32_t old;

	return cmpxchg_user((uint32_t *)page, 0, 0, &old) == 0;
}

/* Read only meanwhile: what another thread wrote between the copy and its taking the memory's place would be lost. Who is kept
 * from writing by that waits for the lock, also in a system call. What was refused may be inaccessible now. */
static long seal(struct mm *mm, uint64_t start, uint64_t end)
{
	long ret;

	__atomic_store_n(&mm->wx_sealed, true, __ATOMIC_RELAXED);
	ret = hostcall(HC_mem_protect, start, end - start, PROT_READ);
	if (ret >= 0)
		ret = hostcall(HC_mem_seal_code, start, end - start);
	if (ret < 0) {
		out_of_line_end(mm, start, end);
		hostcall(HC_mem_protect, start, end - start, PROT_READ | PROT_WRITE);
	}
	return ret;
}

/* Which forbidden sequence of the page it was, for whoever has to know; one may also begin or end on the pages beside it. */
static void report_refused(uint64_t page, long error)
{
	static uint8_t bytes[PAGE_SIZE + FORBIDDEN_LENGTH - 1]; /* mm->lock is held */
	uint64_t size = copy_from_user(bytes, (void *)page, sizeof(bytes)) ? PAGE_SIZE : sizeof(bytes);

	if (size == PAGE_SIZE && copy_from_user(bytes, (void *)page, PAGE_SIZE))
		size = 0;
	for (uint64_t at = 0; at + FORBIDDEN_LENGTH <= size; at++)
		if (forbidden_at(bytes, at)) {
			log_text("code at %lx was refused: it holds the bytes %x %x %x", page + at,
				 bytes[at], bytes[at + 1], bytes[at + 2]);
			return;
		}
	log_text("code at %lx was refused (error %ld)", page, -error);
}

static int make_executable(struct mm *mm, const struct vma *v, struct mm_fault *f)
{
	uint64_t page = ALIGN_DOWN(f->address, PAGE_SIZE), chunk = ALIGN_DOWN(page, CHUNK);
	uint64_t start = MAX(v->start, chunk), end = MIN(v->end, chunk + CHUNK);
	long ret = out_of_line_any(mm, start, end) ? -EPERM : seal(mm, start, end);

	/* Data in the same chunk may look forbidden. Then all of its other pages, for the failure made writable what was code, and
	 * the same instruction may need two of them. */
	if (ret < 0 && end - start > PAGE_SIZE)
		for (uint64_t at = start; at < end; at += PAGE_SIZE) {
			long sealed = out_of_line_any(mm, at, at + PAGE_SIZE) ? -EPERM : seal(mm, at, at + PAGE_SIZE);

			ret = at == page ? sealed : ret;
		}
	if (ret == -EPERM && hostcall(HC_mem_protect, page, PAGE_SIZE, PROT_READ) >= 0 && out_of_line_enter(mm, f))
		return 0;
	if (ret < 0) {
		hostcall(HC_mem_protect, page, PAGE_SIZE, PROT_READ | PROT_WRITE);
		out_of_line_end(mm, page, page + PAGE_SIZE);
		report_refused(page, ret);
	}
	return (int)ret;
}

/* Another thread had its wish a moment ago. */
static bool must_wait(const struct mm *mm, uint64_t page, int64_t now)
{
	return mm->wx_tid != current()->tid && (mm->wx_page == page || mm->wx_page == EVERY_PAGE) && now - mm->wx_time < TURN_NS;
}

static void note_turn(struct mm *mm, uint64_t page, int64_t now)
{
	mm->wx_tid = current()->tid;
	mm->wx_page = page;
	mm->wx_time = now;
}

/* Code that is not writable was sealed when it became so, all but what was refused. */
static bool is_sealed(const struct vma *v)
{
	return (v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)) == (PROT_READ | PROT_EXEC) && (!v->file || v->flags & VMA_DIRTY);
}

static int run_refused(struct mm *mm, struct mm_fault *f)
{
	if (out_of_line_enter(mm, f))
		return 0;
	report_refused(ALIGN_DOWN(f->address, PAGE_SIZE), -EPERM);
	return -EFAULT;
}

int write_exec_fault(struct mm *mm, const struct vma *v, struct mm_fault *f)
{
	uint64_t page = ALIGN_DOWN(f->address, PAGE_SIZE);
	const struct thread *t = current();
	bool again = f->fetch && t->turn_fetch && t->turn_rip == f->rip; /* then nobody did it, and what was translated is not any more */
	int64_t now = now_ns();
	int ret = 0;

	if (f->fetch && v->prot & PROT_EXEC && out_of_line_known(mm, f))
		return 0;
	if (f->fetch && is_sealed(v))
		return run_refused(mm, f);
	if (!is_wx(v->prot) || !(f->fetch || f->write) || is_stuck(current(), f))
		return -EFAULT;
	if (!again && is_writable(page) == f->write && !out_of_line_needs(mm, page))
		return 0; /* somebody did it meanwhile */
	if (must_wait(mm, page, now))
		return -EAGAIN;
	if (f->write) {
		out_of_line_end(mm, page, page + PAGE_SIZE);
		ret = (int)hostcall(HC_mem_protect, page, PAGE_SIZE, PROT_READ | PROT_WRITE);
	} else {
		ret = make_executable(mm, v, f);
	}
	note_turn(mm, page, now);
	return ret ? -EFAULT : 0;
}

/* Another thread may have made all writable since the caller's system call failed, or be about to. */
bool mm_make_writable(void)
{
	struct thread *t = current();
	struct mm *mm = mm_current();

	if (likely(!mm || (!__atomic_load_n(&mm->wx_sealed, __ATOMIC_ACQUIRE) && __atomic_load_n(&mm->wx_cleared, __ATOMIC_RELAXED) == t->wx_cleared)))
		return false;
	mutex_lock(&mm->lock);
	if (mm->wx_sealed) {
		__atomic_store_n(&mm->wx_cleared, mm->wx_cleared + 1, __ATOMIC_RELAXED);
		__atomic_store_n(&mm->wx_sealed, false, __ATOMIC_RELEASE);
		list_for_each(pos, &mm->list) {
			struct vma *v = list_entry(pos, struct vma, link);

			if (is_wx(v->prot)) {
				out_of_line_end(mm, v->start, v->end);
				hostcall(HC_mem_protect, v->start, v->end - v->start, PROT_READ | PROT_WRITE);
			}
		}
	}
	note_turn(mm, EVERY_PAGE, now_ns());
	t->wx_cleared = mm->wx_cleared;
	mutex_unlock(&mm->lock);
	return true;
}
