/* One of the cVMs of the model test: does to its capabilities what the driver asks for. argv[1]: its number. */
#include <stdlib.h>

#include <cvm/call.h>
#include <cvm/file.h>
#include <cvm/stream.h>

#include "check.h"
#include "model.h"

static int g_me, g_export, g_call[AGENTS], g_stream[AGENTS];
static uint8_t g_memory[BYTES_MAX];

static void name_of(char *name, uint64_t number)
{
	if (number == NAMES)
		strcpy(name, "pod");
	else
		snprintf(name, 16, "m/%d", (int)number);
}

static long pass_by_call(int cap, int to)
{
	struct cp_message m = { .word = { MODEL_TAKE }, .cap = { cap }, .caps = 1, .timeout_ns = CP_FOREVER };
	long r = WHEN_SERVED(g_call[to], cp_call_message(g_call[to], &m));

	return r ? r : (long)m.word[0];
}

static long info_of(int cap)
{
	struct cp_info info;
	int r = cp_info(cap, &info);

	return r ? r : (long)(info.kind | info.perms << 8 | info.sealed << 16 | info.length << 20);
}

static long act(struct cp_request *q)
{
	uint64_t *w = q->word;
	uint8_t bytes[2 * BYTES_MAX];
	int cap = (int)w[1];
	char name[16];
	long r;

	switch (w[0]) {
	case MODEL_CREATE:
		name_of(name, w[3]);
		return cp_file_create(w[3] == NAMES ? NULL : name, w[2]);
	case MODEL_OPEN:
		name_of(name, w[3]);
		return cp_file_open(name, (unsigned)w[2]);
	case MODEL_MEMORY:
		return cp_memory(g_memory + w[2], w[3], (unsigned)w[4]);
	case MODEL_TYPE:
		return cp_type();
	case MODEL_DERIVE:
		return cp_derive(cap, w[2], w[3], (unsigned)w[4]);
	case MODEL_SEAL:
		return cp_seal(cap, (int)w[2]);
	case MODEL_UNSEAL:
		return cp_unseal(cap, (int)w[2]);
	case MODEL_REVOKE:
		return cp_revoke(cap);
	case MODEL_CLOSE:
		return cp_close(cap);
	case MODEL_READ:
		r = cp_file_pread(cap, bytes, w[3], w[2]);
		w[1] = r > 0 ? model_sum(bytes, (uint64_t)r) : 0;
		return r;
	case MODEL_WRITE:
		for (uint64_t i = 0; i < w[3]; i++)
			bytes[i] = model_byte(w[4], i);
		return cp_file_pwrite(cap, bytes, w[3], w[2]);
	case MODEL_INFO:
		return info_of(cap);
	case MODEL_CALL:
		return pass_by_call(cap, (int)w[2]);
	case MODEL_SEND:
		return cp_stream_send_cap(g_stream[w[2]], cap);
	case MODEL_RECEIVE:
		return cp_stream_recv_cap(g_stream[w[2]]);
	case MODEL_TAKE:
		return q->caps == 1 ? q->cap[0] : -EPROTO;
	case MODEL_FILL:
		for (uint64_t i = 0; i < BYTES_MAX; i++)
			g_memory[i] = model_byte((uint64_t)g_me, i);
		return 0;
	case MODEL_END:
		return cp_close(g_export);
	}
	return -EPROTO;
}

static void serve(void *context, struct cp_request *q)
{
	(void)context;
	q->word[0] = (uint64_t)act(q);
}

int main(int argc, char **argv)
{
	char name[16];
	int listener;

	g_me = argc > 1 ? atoi(argv[1]) : 0;
	snprintf(name, sizeof name, "agent/%d", g_me);
	TRUE((listener = cp_listen(name, AGENTS)) > 0);
	TRUE((g_export = cp_export(name)) > 0);
	for (int i = 0; i < AGENTS; i++) {
		snprintf(name, sizeof name, "agent/%d", i);
		if (i != g_me)
			TRUE((g_call[i] = WHEN_THERE(cp_call_open(name, CP_USE))) > 0);
		if (i < g_me)
			TRUE((g_stream[i] = WHEN_THERE(cp_connect(name, (uint64_t)g_me))) > 0);
	}
	for (int i = g_me + 1; i < AGENTS; i++) {
		struct cp_info info;
		int stream = cp_accept(listener, CP_FOREVER);
		IS(cp_info(stream, &info), 0);
		g_stream[info.word] = stream;
	}
	IS(cp_serve(g_export, serve, NULL), -EKEYREVOKED);
	return check_end(argv[1]);
}
