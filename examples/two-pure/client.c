/* Calls a function of another cVM. */
#include <cvm/bare.h>

#define ENOENT 2
#define CALLS 100000

/* The other cVM may not have come so far yet. */
static int open_call(const char *name)
{
	int call;

	while ((call = cp_call_open(name, CP_USE)) == -ENOENT)
		cvm_sleep_ns(1000000);
	return call;
}

int cvm_main(int argc, char **argv)
{
	uint64_t word[CP_CALL_WORDS] = { 1, 100 };
	int call = open_call("math/sum");

	(void)argc, (void)argv;
	if (call < 0) {
		cvm_print("client: cannot open math/sum: error %d\n", -call);
		return 1;
	}
	if (cp_call_ready(call, CP_FOREVER) || cp_call(call, word))
		return 1;
	cvm_print("1 + 2 + ... + 100 = %lu\n", word[0]);
	for (int i = 1; i <= CALLS; i++) {
		word[0] = 1;
		word[1] = 1;
		if (cp_call(call, word) || word[0] != 1)
			return 1;
	}
	cvm_print("%d more calls, each into another cVM and back\n", CALLS);
	word[0] = 1;
	word[1] = 0;
	return cp_call(call, word) ? 1 : 0;
}
