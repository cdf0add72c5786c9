/*
 * Question: a server of another cVM's system calls reads and writes that one's memory. Does it reach more of it than was
 * given, namely its libOS and what lies behind its slot, or anything when the program has ended?
 * Expect: REFUSED: all but the program's memory, and that when it had ended
 * Control: --insecure-no-cap-check
 * Native: bounds and the end of a cVM are the monitor's checks
 * Companions: 1
 * Companion0-options: syscalls_to=attacker
 */
#include "served.h"

static uint8_t g_secret[16] = "0123456789abcde";

/* The served program: says where its secret is, and ends when it is told to. */
static void companion(void)
{
	FILE *f = fopen("/shared/address.new", "w");

	fprintf(f, "%lu\n", (unsigned long)g_secret);
	fclose(f);
	rename("/shared/address.new", "/shared/address");
	while (access("/shared/leave", F_OK) && access("/shared/stop", F_OK))
		usleep(1000);
	exit(0);
}

/* No byte, as at the end of a file, or an error. */
static void try(const char *what, long result)
{
	if (result > 0)
		breach("%s gave %ld", what, result);
}

static void attack(void)
{
	uint8_t bytes[2 * PAGE] = { 0 };
	uint64_t address = 0, offset, libos;
	FILE *f;
	long r;

	if (!served_begin())
		breach("it cannot serve: the attack could not begin");
	while (!(f = fopen("/shared/address", "r")))
		usleep(1000);
	if (fscanf(f, "%lu", &address) != 1)
		breach("no address");
	fclose(f);
	offset = address - g_served_base;
	r = CAP(cap_read, g_served_memory, bytes, sizeof g_secret, offset);
	if (r != sizeof g_secret || memcmp(bytes, g_secret, sizeof g_secret))
		breach("the program's memory gave %ld: the attack could not begin", r);
	if (CAP(cap_write, g_served_memory, bytes, sizeof g_secret, offset) != sizeof g_secret)
		breach("writing: the attack could not begin");

	/* the libOS, from its text on: offsets that wrap round */
	libos = (g_served_base & SLOT_MASK) - g_served_base;
	try("the libOS's text", CAP(cap_read, g_served_memory, bytes, PAGE, libos + SLOT_LIBOS_TEXT));
	try("the libOS's data", CAP(cap_read, g_served_memory, bytes, PAGE, libos + SLOT_LIBOS_DATA));
	try("writing the libOS's data", CAP(cap_write, g_served_memory, bytes, PAGE, libos + SLOT_LIBOS_DATA));
	try("the libOS's heap", CAP(cap_read, g_served_memory, bytes, PAGE, libos + SLOT_LIBOS_HEAP));
	try("the page before", CAP(cap_read, g_served_memory, bytes, PAGE, -(uint64_t)PAGE));
	try("across the beginning", CAP(cap_read, g_served_memory, bytes, 2 * PAGE, -(uint64_t)PAGE));
	try("the end", CAP(cap_read, g_served_memory, bytes, 1, g_served_size));
	if ((r = CAP(cap_read, g_served_memory, bytes, 2 * PAGE, g_served_size - PAGE)) > (long)PAGE)
		breach("across the end gave %ld", r);
	try("the next slot", CAP(cap_read, g_served_memory, bytes, PAGE, SLOT_SIZE - SLOT_LIBOS_END + SLOT_LIBOS_DATA));
	try("more by derivation", CAP(cap_derive, g_served_memory, 0, g_served_size + PAGE, CAP_LOAD));
	try("less in front by derivation", CAP(cap_derive, g_served_memory, -(uint64_t)PAGE, g_served_size, CAP_LOAD));
	try("mapping by derivation", CAP(cap_derive, g_served_memory, 0, PAGE, CAP_LOAD | CAP_MAP));

	f = fopen("/shared/leave", "w");
	fclose(f);
	while ((r = CAP(cap_read, g_served_memory, bytes, sizeof g_secret, offset)) >= 0)
		usleep(1000);
	if (r != -EKEYREVOKED)
		breach("reading after the end gave %ld", r);
	if ((r = CAP(cap_write, g_served_memory, bytes, sizeof g_secret, offset)) != -EKEYREVOKED)
		breach("writing after the end gave %ld", r);
	if ((r = CAP(cap_derive, g_served_memory, 0, PAGE, CAP_LOAD)) != -EKEYREVOKED)
		breach("deriving after the end gave %ld", r);
	refused("all but the program's memory, and that when it had ended");
}
