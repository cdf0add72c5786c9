/*
 * A thread that the libOS does not know, for attacks that must see what the monitor does: its traps come here, not to the
 * libOS, which would serve a trapped system call as Linux does. No libc in it: it has no thread pointer of its own.
 */
#ifndef TESTS_ATTACK_RAW_H
#define TESTS_ATTACK_RAW_H

#include "attack.h"

#define RAW_STACK 65536

struct raw_thread {
	struct hc_thread start;
	struct upcall_frame frame __attribute__((aligned(64)));
	struct upcall_frame last; /* copy of the trap that ended the latest raw_try */
	void (*body)(void *);
	void *argument;
	void *resume[5]; /* __builtin_setjmp's */
	volatile bool armed, trapped, stray;
	volatile uint32_t kicks;
	void (*on_kick)(struct raw_thread *); /* sees `frame` */
	volatile uint32_t done;
	uint8_t stack[RAW_STACK] __attribute__((aligned(4096))), upcall_stack[RAW_STACK] __attribute__((aligned(4096)));
};

static MAYBE void raw_exit(struct raw_thread *t)
{
	__atomic_store_n(&t->done, 1, __ATOMIC_RELEASE);
	for (;;)
		hostcall(HC_thread_exit, 0, 0, 0, 0, 0, 0);
}

static MAYBE void raw_main(struct raw_thread *t)
{
	t->body(t->argument);
	raw_exit(t);
}

/* Back to where a kick interrupted. The way goes over the interrupted stack, as the next upcall takes the upcall stack. */
static MAYBE __attribute__((noreturn)) void raw_resume(const struct upcall_frame *frame)
{
	struct upcall_frame *copy = (struct upcall_frame *)((frame->rsp - 128 - sizeof *frame) & ~63ull);

	*copy = *frame;
	__asm__ volatile("mov %0, %%rsp\n\tmov %1, %%r11d\n\tcall *%%gs:16\n\tpop %%r15\n\tpop %%r14\n\tpop %%r13\n\tpop %%r12\n\t"
			 "pop %%rbp\n\tpop %%rbx\n\tpop %%r11\n\tpop %%r10\n\tpop %%r9\n\tpop %%r8\n\tpop %%rax\n\tpop %%rcx\n\tpop %%rdx\n\t"
			 "pop %%rsi\n\tpop %%rdi\n\tiretq" ::"r"(copy), "i"(HC_thread_upcall_done)
			 : "memory");
	__builtin_unreachable();
}

/* rdi is the frame, which tells the thread. */
static MAYBE __attribute__((force_align_arg_pointer)) void raw_upcall(struct upcall_frame *frame)
{
	struct raw_thread *t = (struct raw_thread *)((uint8_t *)frame - offsetof(struct raw_thread, frame));

	if (frame->trap == HC_TRAP_KICK) {
		t->kicks++;
		if (t->on_kick)
			t->on_kick(t);
		raw_resume(frame);
	}
	t->last = *frame;
	if (!t->armed) {
		t->stray = true;
		raw_exit(t);
	}
	t->trapped = true;
	t->armed = false;
	__builtin_longjmp(t->resume, 1);
}

/* In a raw thread: runs function(argument); true if it ended in a trap, which is then in t->last. */
static NOINLINE bool raw_try(struct raw_thread *t, void (*function)(void *), void *argument)
{
	t->trapped = false;
	t->armed = true;
	if (__builtin_setjmp(t->resume) == 0)
		function(argument);
	else
		hostcall(HC_thread_upcall_done, 0, 0, 0, 0, 0, 0);
	t->armed = false;
	return t->trapped;
}

static MAYBE struct raw_thread *raw_new(void (*body)(void *), void *argument)
{
	struct raw_thread *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	memset(t, 0, sizeof *t);
	t->body = body;
	t->argument = argument;
	t->start = (struct hc_thread){
		.entry = (uint64_t)raw_main, .stack = (uint64_t)t->stack + RAW_STACK - 8, .libos_thread = (uint64_t)t,
		.upcall_entry = (uint64_t)raw_upcall, .upcall_stack = (uint64_t)t->upcall_stack + RAW_STACK - 8,
		.upcall_frame = (uint64_t)&t->frame, .syscall_entry = vcpu()->syscall_entry,
	};
	return t;
}

/* The vCPU id. */
static MAYBE long raw_start(struct raw_thread *t)
{
	long id = hostcall(HC_thread_create, (uint64_t)&t->start, 0, 0, 0, 0, 0);

	if (id < 0)
		breach("thread_create: %ld", id);
	return id;
}

static MAYBE void raw_wait(struct raw_thread *t)
{
	while (!__atomic_load_n(&t->done, __ATOMIC_ACQUIRE))
		usleep(1000);
	if (t->stray)
		breach("a raw thread ended by trap %u, signal %d at %#lx", t->last.trap, t->last.signal, t->last.rip);
}

static MAYBE void raw_run(struct raw_thread *t)
{
	raw_start(t);
	raw_wait(t);
}

/* One system call by an instruction of our own. */
struct raw_call {
	long number;
	uint64_t a[6];
	long result;
	void *instruction; /* what to call; it must return */
};

static NOINLINE void raw_call(void *argument)
{
	struct raw_call *c = argument;
	register uint64_t r10 __asm__("r10") = c->a[3], r8 __asm__("r8") = c->a[4], r9 __asm__("r9") = c->a[5];
	long result = c->number;

	__asm__ volatile("sub $128, %%rsp\n\tcall *%[code]\n\tadd $128, %%rsp"
			 : "+a"(result), "+r"(r10), "+r"(r8), "+r"(r9)
			 : [code] "b"(c->instruction), "D"(c->a[0]), "S"(c->a[1]), "d"(c->a[2])
			 : "rcx", "r11", "memory", "cc");
	c->result = result;
}

/* Rows of system calls that must all trap. The first one of a table must be harmless on the host, and true there:
 * with the control it shows that the host was reached. */
struct raw_row {
	const char *name;
	long number;
	uint64_t a[6];
};

struct raw_table {
	struct raw_thread *thread;
	const struct raw_row *row;
	size_t rows, failed; /* index of the row that reached the host */
	long result;
	void *instruction;
};

static MAYBE void raw_table_body(void *argument)
{
	struct raw_table *table = argument;

	for (table->failed = 0; table->failed < table->rows; table->failed++) {
		const struct raw_row *row = &table->row[table->failed];
		struct raw_call call = { .number = row->number, .instruction = table->instruction };
		for (int i = 0; i < 6; i++)
			call.a[i] = row->a[i];
		bool refused = raw_try(table->thread, raw_call, &call) && table->thread->last.trap == HC_TRAP_SYSCALL;
		/* Linux never asks filters about uretprobe and uprobe; where there is no probe it answers SIGILL and -ENXIO. */
		refused |= row->number == 335 && table->thread->trapped && table->thread->last.signal == SIGILL;
		refused |= row->number == 336 && !table->thread->trapped && call.result == -ENXIO;
		if (!refused) {
			table->result = call.result;
			return;
		}
	}
}

/* Tries the rows with the code at `instruction`, a `syscall; ret` of our own if NULL; breach() names the first that does
 * not trap. */
static MAYBE void raw_rows(const struct raw_row *row, size_t rows, void *instruction)
{
	static const uint8_t code[] = { 0x0f, 0x05, 0xc3 };
	struct raw_table table = { .row = row, .rows = rows, .instruction = instruction ? instruction : make_code(code, sizeof code) };

	if (!table.instruction)
		breach("own code: %s", strerror(errno));
	table.thread = raw_new(raw_table_body, &table);
	raw_run(table.thread);
	if (table.failed < rows)
		breach("%s (%ld) reached the host: %ld", row[table.failed].name, row[table.failed].number, table.result);
}

#endif
