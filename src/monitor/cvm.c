/*
 * cVMs: made by the supervisor from the launch description, ended by themselves (cvm_end), taken apart by the
 * supervisor when their last thread is gone; then nothing of them is left but the exit message. Also the few hostcalls
 * about the cVM as a whole.
 */
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <asm/stat.h>

#include "host/syscall.h"
#include "monitor/caps.h"
#include "monitor/hostcalls.h"
#include "monitor/trap.h"

#define START_STACK_SIZE 0x4000ull

/* The libOS's, or a bare cVM's, text (shared, scanned once) and data, boot information, the first thread's stack. */
static int load_image(struct cvm *c, struct hc_thread *start)
{
	static struct code_image texts[LAUNCH_IMAGES_MAX];
	struct code_image *text = &texts[c->config->image];
	const struct launch_image *l = &g_arena->launch.image[c->config->image];
	uint64_t data = c->base + SLOT_LIBOS_DATA;
	uint64_t boot = ALIGN_UP(data + l->data_size + l->bss_size, CVM_PAGE_SIZE);
	uint64_t info = boot + sizeof(struct cvm_start);
	uint64_t stack = ALIGN_UP(info + c->config->boot_size, CVM_PAGE_SIZE) + START_STACK_SIZE;
	int r = 0;

	if (!text->text_size) {
		text->memfd = l->text;
		r = code_check_image(text);
	}
	if (!r && (text->text_size > SLOT_LIBOS_DATA - SLOT_LIBOS_TEXT || stack > c->base + SLOT_LIBOS_HEAP))
		r = -EINVAL;
	r = r ?: code_map(c, text, c->base + SLOT_LIBOS_TEXT) ?: memory_count(c, stack - data);
	if (r)
		return r;
	pages_change(c, c->counted, data, stack - data, PAGES_SET);
	if (host_mmap(data, stack - data, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != (long)data)
		return -ENOMEM;
	if (host(__NR_pread64, l->data, data, l->data_size, 0) != (long)l->data_size)
		return -EINVAL;
	memcpy((void *)info, (const char *)g_launch_bytes + c->config->boot_offset, c->config->boot_size);
	*(struct cvm_start *)boot = (struct cvm_start){
		.slot_base = c->base, .boot = info, .boot_size = c->config->boot_size,
		.memory_max = c->config->memory_max, .vdso = g_arena->vdso, .data_end = stack,
		.xsave_mask = g_arena->xsave_mask, .xsave_size = g_arena->launch.xsave_size,
		.threads_max = c->config->threads_max, .host_cpus = g_arena->launch.host_cpus,
	};
	start->entry = c->base + l->entry;
	start->stack = stack - 8;
	start->libos_thread = boot;
	return memory_assign(c, data, stack - data, PROT_READ | PROT_WRITE);
}

/* Each handle gets a descriptor of its own: two cVMs may be granted the same (standard streams are), and one that closes
 * its handle must not close, and so free for reuse, the other's. A file is only there to be opened, so no life's locks outlive it. */
static int grant_handles(struct cvm *c)
{
	static const uint16_t kinds[] = { [LAUNCH_HANDLE_STDIO] = HANDLE_STDIO, [LAUNCH_HANDLE_DIR] = HANDLE_DIR,
					  [LAUNCH_HANDLE_FILE] = HANDLE_PATH };

	for (uint32_t i = 0; i < c->config->handles; i++) {
		const struct launch_handle *h = &c->config->handle[i];
		long fd = host(__NR_fcntl, h->fd, F_DUPFD_CLOEXEC, 3);
		long number = fd < 0 ? fd : handle_add(c, (int)fd, kinds[h->kind], h->rights);
		if (number != (long)i)
			return number < 0 ? (int)number : -EINVAL;
	}
	return 0;
}

int cvm_create(uint32_t index)
{
	struct cvm *c = arena_cvm(index);
	struct hc_thread start = { 0 };

	c->config = &g_arena->launch.cvm[index];
	c->stats = (struct cvm_stats){ 0 };
	__atomic_store_n(&c->dying, 0, __ATOMIC_SEQ_CST); /* a caller that went with its last life may look: see invoke */
	c->events = c->exit_signaled = 0;
	c->exit_status = 125;
	c->start_ns = clock_ns(1);
	if (host(__NR_getrandom, c->cookie, sizeof c->cookie, 0) != sizeof c->cookie)
		return -EAGAIN;
	c->state = CVM_RUNNING; /* to be taken apart if it has no thread */
	int r = domain_create(c) ?: grant_handles(c) ?: load_image(c, &start);
	long id = r ?: thread_create(c, &start, true); /* with the start information in rdi; see thread_setup */
	return id < 0 ? (int)id : 0;
}

void cvm_stats_send(struct cvm *c)
{
	struct cvm_stats now = thread_stats(c);

	event_send(CHANNEL_STATS_NOW, c->index, &now, sizeof now);
}

void cvm_destroy(struct cvm *c)
{
	struct channel_exit exit = { .status = c->exit_status, .signaled = c->exit_signaled };

	while (!thread_alone(c)) /* for a moment: those in it have left or are on their way out */
		host(__NR_sched_yield);
	exit.stats = thread_stats(c);
	/* Its last threads were gone elsewhere when it ended: closing may take long, so one more does it on its way out. */
	if (LOAD(c->dying) && LOAD(c->handles) && thread_create(c, &(struct hc_thread){ 0 }, true) > 0)
		return;
	handle_close_all(c);
	if (!cap_close_all(c)) {
		__atomic_store_n(&g_arena->tick, 1, __ATOMIC_SEQ_CST);
		return;
	}
	memory_release_all(c);
	domain_destroy(c);
	memset(c->cookie, 0, sizeof c->cookie);
	c->state = CVM_DEAD;
	event_send(CHANNEL_EXIT, c->index, &exit, sizeof exit);
}

long hc_cvm_exit(struct thread *t, const uint64_t *a)
{
	__atomic_store_n(&t->cvm->stats.fast_syscalls, a[2], __ATOMIC_RELAXED);
	cvm_end(t->cvm, (int)(a[0] & (a[1] & 1 ? 0x7f : 0xff)), a[1] & 1);
	thread_leave(t);
}

long hc_cvm_events(struct thread *t, const uint64_t *a)
{
	return (long)__atomic_exchange_n(&t->cvm->events, 0, __ATOMIC_ACQ_REL);
}

long hc_cvm_info(struct thread *t, const uint64_t *a)
{
	struct hc_info info = {
		.memory_max = t->cvm->config->memory_max, .memory_now = LOAD(t->cvm->memory_now),
		.host_memory = g_arena->launch.host_memory, .boottime_ns = clock_ns(7),
		.host_cpus = g_arena->launch.host_cpus, .threads_now = LOAD(t->cvm->threads),
	};

	return user_out(t->cvm, (struct gaddr){ a[0] }, &info, sizeof info);
}
