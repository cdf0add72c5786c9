/*
 * Question: a callee runs on its caller's host thread. Does it get any of the caller's rights: its memory by hostcalls, its
 * files, its capabilities, its identity, or the host's system calls?
 * Expect: REFUSED: the callee's own rights only
 * Control: --insecure-no-slot-check
 * Native: hostcalls of a callee are the callee's
 * Companions: 1
 * Grants: capabilities
 */
#include "cap.h"

static char g_report[256];

static void companion(void)
{
	static volatile uint64_t secret = 0x5ec2e75ec2e75ec2;
	uint32_t evil = open_named(CAP_CALL, "evil", CAP_USE);
	int own_file = open("/proc/self/cmdline", O_RDONLY);

	own();
	owner_stops();
	for (;;) {
		uint64_t words[CALL_WORDS] = { (uint64_t)&secret, (uint64_t)own_file, g_shared, vcpu()->id };
		call(evil, words);
		usleep(1000);
	}
}

static volatile int g_done;

static void handler(uint64_t *words)
{
	uint64_t buffer[8] = { 0 };
	long file = must("memobj", CAP(memobj_create, PAGE)), result;

	if ((result = CAP(file_pwrite, file, words[0], 8, 0)) != -EFAULT)
		snprintf(g_report, sizeof g_report, "wrote the caller's memory to a file: %ld", result);
	else if ((result = CAP(file_pread, file, words[0], 8, 0)) != -EFAULT)
		snprintf(g_report, sizeof g_report, "read a file into the caller's memory: %ld", result);
	else if ((result = CAP(cap_read, words[2], buffer, 8, 0)) != -EBADF)
		snprintf(g_report, sizeof g_report, "the caller's capability gave %ld", result);
	else if ((result = CAP(thread_kick, words[3])) != -EINVAL)
		snprintf(g_report, sizeof g_report, "kicking the caller's thread gave %ld", result);
	else if (vcpu()->id == words[3])
		snprintf(g_report, sizeof g_report, "the callee is numbered as the caller");
	else if (own_syscall(39 /* getpid */, 0, 0, 0, 0, 0, 0) != getpid())
		snprintf(g_report, sizeof g_report, "a system call of our own went to the host");
	CAP(file_close, file);
	g_done++;
}

static void attack(void)
{
	serve_beside(create_named(CAP_EXPORT, "evil", 0), handler);
	while (g_done < 20 && !g_report[0])
		usleep(1000);
	if (g_report[0])
		breach("%s", g_report);
	refused("the callee's own rights only");
}
