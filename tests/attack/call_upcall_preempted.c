/*
 * Question: a callee in an upcall is given a moment behind its deadline, then it is ended. Can a caller, on whose host thread it
 * executes, have that thread wait for a processor for so long, with threads of its own that loop, and so end callees whose
 * upcalls take some microseconds?
 * Expect: REFUSED: the callee lives
 * Control: none: before, waiting for a processor counted, and the callee ended with "fault inside an upcall"
 * Native: the monitor counts
 * Companions: 1
 * Options: threads=200
 * Grants: capabilities
 */
#include "cap.h"
#include "raw.h"

#define SPINNERS 150 /* with slices of some milliseconds on two processors: longer than the moment */
#define LATE 40	     /* calls; before, the callee ended within the first few */
#define SECONDS 20
#define SERVERS 8
#define UPCALLS 40
#define UPCALL_NS 50000

static volatile int g_done;

/* What a libOS may do there. */
static __attribute__((force_align_arg_pointer)) void upcall(struct upcall_frame *frame)
{
	if (frame->trap == HC_TRAP_FAULT) {
		for (uint64_t end = now_ns() + UPCALL_NS; now_ns() < end;)
			;
		frame->rip += 2; /* ud2 */
	}
	raw_resume(frame);
}

static void serves(void *unused)
{
	uint64_t words[CALL_WORDS] = { 0 };

	(void)unused;
	for (;;)
		if (gate_words(HC_call_serve | (uint64_t)g_service << 32, words) >= 0)
			for (int i = 0; i < UPCALLS; i++)
				__asm__ volatile("ud2");
}

static void companion(void)
{
	uint32_t service = create_named(CAP_EXPORT, "service", 0);

	__atomic_store_n(&g_service, service, __ATOMIC_RELEASE);
	for (int i = 0; i < SERVERS; i++) {
		struct raw_thread *t = raw_new(serves, NULL);
		t->start.upcall_entry = (uint64_t)upcall;
		raw_start(t);
	}
	owner_until_stop();
}

static void *spin(void *unused)
{
	while (!g_done)
		;
	return unused;
}

static void attack(void)
{
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE);
	uint64_t end = now_ns() + SECONDS * 1000000000ull;
	long status = 0, late = 0;
	pthread_t thread;

	for (int i = 0; i < SPINNERS; i++)
		pthread_create(&thread, NULL, spin, NULL);
	while (late < LATE && now_ns() < end) {
		struct call_message m = { .deadline_ns = now_ns() + 2 * UPCALLS * UPCALL_NS };
		while ((status = call_message(service, &m)) == -EAGAIN)
			CAP(cap_wait, service, CAP_WRITABLE, -1);
		late += status == -ETIMEDOUT;
		if (status && status != -ETIMEDOUT)
			breach("the callee has ended after %ld late calls: %ld", late, status);
	}
	g_done = 1;
	status = call1(service, 0);
	if (status)
		breach("the callee has ended: %ld", status);
	refused("the callee lives");
}
