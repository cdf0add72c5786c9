#!/usr/bin/python3
"""
Question: an expired call is ended at once, but a callee in an upcall is given a moment. Can the callee stay in its upcall, and begin
that moment anew by calls of its own with deadlines, and so keep its caller as long as it likes?
Expect: the call ends with ETIMEDOUT; the callee, who never leaves its upcall, with it
Control: the callee that leaves its upcall at once answers
"""
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from attack_script import SCRATCH, check, pod, raw_program  # noqa: E402

PROGRAM = r"""
#define main unused_main
#include "cap.h"
#include "raw.h"
#undef main

static int g_turns;
#define TURN_NS 50000000ull /* half of the moment */

static uint32_t g_evil;

/* The upcall, which is never said to be done. */
static __attribute__((force_align_arg_pointer, noreturn)) void stay(struct upcall_frame *frame)
{
	uint64_t words[CALL_WORDS] = { 0 };

	for (int i = 0; i < g_turns; i++) {
		struct call_message m = { .deadline_ns = 1 };
		for (uint64_t end = now_ns() + TURN_NS; now_ns() < end;)
			;
		call_message(g_evil, &m);
	}
	(void)frame;
	for (;;)
		gate_words(HC_call_serve | (uint64_t)g_service << 32, words);
}

static void serves(void *unused)
{
	uint64_t words[CALL_WORDS] = { 0 };

	(void)unused;
	gate_words(HC_call_serve | (uint64_t)g_service << 32, words);
	__builtin_trap();
}

static void callee(void)
{
	struct raw_thread *t = raw_new(serves, NULL);

	g_evil = open_named(CAP_CALL, "evil", CAP_USE);
	g_service = create_named(CAP_EXPORT, "service", 0);
	t->start.upcall_entry = (uint64_t)stay;
	raw_start(t);
	while (access("/files/stop", F_OK))
		usleep(5000);
}

static void quick(uint64_t *words)
{
	(void)words;
}

static void caller(void)
{
	for (int i = 0; i < 4; i++)
		serve_beside(i ? g_evil : (g_evil = create_named(CAP_EXPORT, "evil", 0)), quick);
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE);
	struct call_message m = { .deadline_ns = now_ns() + 50000000 };
	long status;

	while ((status = call_message(service, &m)) == -EAGAIN) {
		usleep(1000);
		m.deadline_ns = now_ns() + 50000000;
	}
	printf("%s: %ld\n", status == -ETIMEDOUT ? "in time" : "answered", status);
	close(open("/files/stop", O_WRONLY | O_CREAT, 0600));
}

int main(int argc, char **argv)
{
	g_turns = atoi(argv[2]);
	if (!strcmp(argv[1], "callee"))
		callee();
	else
		caller();
	return 0;
}
static MAYBE void companion(void) { }
static MAYBE void attack(void) { }
"""


def said(program, turns):
    files = tempfile.mkdtemp(dir=SCRATCH)
    return pod(f"""cVMs:
  - {{name: caller, program: {program}, args: [caller, "{turns}"], provides: [{{call: evil}}], uses: [{{call: service}}], volumes: ["{files}:/files"]}}
  - {{name: callee, program: {program}, args: [callee, "{turns}"], provides: [{{call: service}}], uses: [{{call: evil}}], volumes: ["{files}:/files"]}}
""")


def main():
    program = raw_program("nested", PROGRAM)
    text = said(program, 0)
    check("answered: 0" in text, "the control gives no answer", text)
    for _ in range(3):
        text = said(program, 60)
        check("in time" in text, "the callee keeps its caller", text)
    print("REFUSED: in time, three times")


if __name__ == "__main__":
    main()
