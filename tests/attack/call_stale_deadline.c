/*
 * Question: a callee calls on and its cVM ends meanwhile. Is its caller's thread watched for ever for a deadline that went with it, or
 * the last callee for that of the caller, and kicked without end, which ends a cVM in its next upcall?
 * Expect: REFUSED: a deadline of who is gone is nobody's; the caller's own ends its call
 * Control: none: before, the caller was ended by signal 16, "fault inside an upcall"
 * Native: calls are unwound by the monitor
 * Companions: 2
 * Grants: capabilities
 */
#include "cap.h"

#include <sys/syscall.h>

#define DEADLINE_NS 300000000ull
#define WORK_NS 2000000000ull /* behind it: the supervisor looks every 2 ms, and is patient 50 times */

static char g_name[] = "service0", g_inside[] = "/shared/inside0";
static uint32_t g_evil;
static volatile bool g_worked;

/* Calls on, service0 with a deadline, and its program ends while it does. */
static void handler(uint64_t *words)
{
	struct call_message m = { .word = { words[0] }, .deadline_ns = words[0] ? 0 : now_ns() + DEADLINE_NS };

	words[0] = (uint64_t)call_message(g_evil, &m);
}

static void companion(void)
{
	long export;

	while ((export = CAP(cap_create, CAP_EXPORT, g_name, 8, 0)) == -EEXIST)
		g_name[7]++, g_inside[14]++;
	g_evil = open_named(CAP_CALL, "evil", CAP_USE);
	serve_beside((uint32_t)export, handler);
	while (access(g_inside, F_OK))
		usleep(1000);
	_exit(0);
}

/* System calls of one's own making are upcalls. */
static void work(uint64_t end)
{
	while (now_ns() < end)
		for (int i = 0; i < 1000; i++)
			own_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0);
}

/* The last callee: waits until the one between is gone. */
static void innermost(uint64_t *words)
{
	g_inside[14] = g_name[7] = (char)('0' + words[0]);
	close(open(g_inside, O_WRONLY | O_CREAT, 0666));
	while (CAP(cap_open, CAP_CALL, g_name, 8, CAP_USE) != -ENOENT)
		usleep(1000);
	if (words[0])
		work(now_ns() + DEADLINE_NS + WORK_NS);
	g_worked = words[0];
}

static void attack(void)
{
	uint32_t evil = create_named(CAP_EXPORT, "evil", 0);

	serve_beside(evil, innermost);
	serve_beside(evil, innermost);
	uint32_t first = open_named(CAP_CALL, "service0", CAP_USE), second = open_named(CAP_CALL, "service1", CAP_USE);
	uint64_t end = now_ns() + DEADLINE_NS + WORK_NS;
	long result = call1(first, 0);
	if (result != -ESHUTDOWN && result != -EOWNERDEAD)
		breach("the call through the cVM that ended gave %ld", result);
	work(end);
	struct call_message m = { .word = { 1 }, .deadline_ns = now_ns() + DEADLINE_NS };
	while ((result = call_message(second, &m)) == -EAGAIN)
		usleep(1000);
	if (result != -ETIMEDOUT || g_worked)
		breach("the call with a deadline gave %ld, %s", result, g_worked ? "late" : "in time");
	while (!g_worked)
		usleep(10000);
	refused("a deadline of who is gone is nobody's; the caller's own ends its call");
}
