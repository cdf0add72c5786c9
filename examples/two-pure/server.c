/* Exports a function for other cVMs: the sum of a range of numbers. Ends when it is asked to. */
#include <cvm/bare.h>

static int g_export;

static void answer(void *context, struct cp_request *request)
{
	uint64_t sum = 0;

	(void)context;
	for (uint64_t i = request->word[0]; i <= request->word[1]; i++)
		sum += i;
	if (request->word[1] == 0)
		cp_close(g_export); /* this answer still reaches its caller */
	request->word[0] = sum;
}

int cvm_main(int argc, char **argv)
{
	(void)argc, (void)argv;
	g_export = cp_export("math/sum");
	if (g_export < 0) {
		cvm_print("server: cannot export math/sum: error %d\n", -g_export);
		return 1;
	}
	int why = cp_serve(g_export, answer, NULL); /* returns once the export is closed */
	return why == -128 /* EKEYREVOKED */ ? 0 : 1;
}
