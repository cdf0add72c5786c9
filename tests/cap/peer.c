/* The other cVM of the tests: does to capabilities what api asks for. */
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include <cvm/call.h>
#include <cvm/file.h>

#include "check.h"
#include "peer.h"

static int g_export, g_kept, g_type, g_secret, g_call, g_filled[64];
static unsigned g_fills;
static uint64_t g_released;

static void give(struct cp_request *q)
{
	int sealed = cp_seal(g_secret, g_type), type = cp_derive(g_type, 0, 0, CP_USE | CP_GRANT);
	int caps[2] = { sealed, type };

	q->word[0] = (uint64_t)(long)cp_answer_caps(caps, 2);
}

static void read_memory(uint64_t *w, int cap)
{
	uint64_t text[4] = { 0 };

	w[0] = (uint64_t)cp_file_pread(cap, text, w[1] < 32 ? w[1] : 32, w[2]);
	memcpy(w + 1, text, sizeof text);
}

static uint64_t whose(int cap)
{
	struct cp_info info = { 0 };

	IS(cp_info(cap, &info), 0);
	return info.peer;
}

static bool unseals(int cap)
{
	int r = cp_unseal(cap, g_type);

	if (r > 0)
		cp_close(r);
	return r > 0;
}

static void call_back(uint64_t *w)
{
	uint64_t word[CP_CALL_WORDS] = { w[1] };
	int back = cp_call_open("api/back", CP_USE);

	w[0] = (uint64_t)(long)(back < 0 ? back : WHEN_SERVED(back, cp_call(back, word)));
	w[1] = word[0];
	cp_close(back);
}

static void stay(uint64_t turn, bool spin)
{
	volatile double d = 1;

	while (__atomic_load_n(&g_released, __ATOMIC_RELAXED) < turn)
		if (spin)
			d = d * 1.0001;
		else
			pause_ms(1);
}

static void deeper(struct cp_request *q)
{
	uint64_t word[CP_CALL_WORDS] = { PEER_DEEPER, q->word[1] + 1 };
	int r = WHEN_SERVED(g_call, cp_call(g_call, word));

	if (!r)
		memcpy(q->word, word, sizeof word);
	else
		q->word[0] = (uint64_t)(long)r;
}

static void serve(void *context, struct cp_request *q)
{
	uint64_t *w = q->word;
	int cap = q->caps ? q->cap[0] : g_kept;

	(void)context;
	switch (w[0]) {
	case PEER_ADD:
		for (uint64_t i = 0; i < CP_CALL_WORDS; i++)
			w[i] += i;
		break;
	case PEER_READ:
	case PEER_READ_KEPT:
		read_memory(w, cap);
		break;
	case PEER_WRITE:
		w[0] = (uint64_t)cp_file_pwrite(cap, w + 3, w[1], w[2]);
		break;
	case PEER_KEEP:
		g_kept = cap;
		q->caps = 0;
		break;
	case PEER_WHOSE:
		w[0] = whose(cap);
		break;
	case PEER_GIVE:
		give(q);
		break;
	case PEER_UNSEAL:
		w[0] = unseals(cap);
		break;
	case PEER_SLEEP:
	case PEER_SPIN:
		stay(w[1], w[0] == PEER_SPIN);
		break;
	case PEER_RELEASE:
		__atomic_store_n(&g_released, w[1], __ATOMIC_RELAXED);
		break;
	case PEER_THREAD_EXIT:
		pthread_exit(NULL);
	case PEER_BACK:
		call_back(w);
		break;
	case PEER_DEEPER:
		deeper(q);
		break;
	case PEER_FILL:
		for (unsigned i = 0; i < q->caps && g_fills < 64; i++)
			g_filled[g_fills++] = q->cap[i];
		q->caps = 0;
		break;
	case PEER_EMPTY:
		while (g_fills)
			cp_close(g_filled[--g_fills]);
		break;
	case PEER_CLOSE:
		cp_close(g_export);
		break;
	}
	for (unsigned i = 0; i < q->caps; i++)
		cp_close(q->cap[i]);
}

static void *server(void *argument)
{
	(void)argument;
	IS(cp_serve(g_export, serve, NULL), -EKEYREVOKED);
	return NULL;
}

int main(void)
{
	pthread_t thread[PEER_THREADS];

	TRUE((g_type = cp_type()) > 0);
	TRUE((g_secret = cp_file_create(NULL, 1)) > 0);
	TRUE((g_export = cp_export("peer/do")) > 0);
	TRUE((g_call = WHEN_THERE(cp_call_open("peer/do", CP_USE))) > 0);
	for (int i = 0; i < PEER_THREADS; i++)
		IS(pthread_create(&thread[i], NULL, server, NULL), 0);
	for (int i = 0; i < PEER_THREADS; i++)
		pthread_join(thread[i], NULL);
	return check_end("peer");
}
