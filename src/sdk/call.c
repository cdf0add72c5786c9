/*
 * CP_Calls (cvm/call.h). The fast way is six words in registers; capabilities and deadlines go by struct call_message. A
 * serving thread leaves its context to callers inside sdk_gate_words and gets it back with each request.
 */
#include "cvm/call.h"
#include "sdk/sdk.h"

_Static_assert(CP_CALL_WORDS == CALL_WORDS && CP_CALL_CAPS == CAP_PASS_MAX, "shapes");

long sdk_words_without_gate(uint64_t nr_and_cap, uint64_t word[CALL_WORDS])
{
	uint32_t nr = (uint32_t)nr_and_cap;

	return nr == HC_call_invoke_msg ? gate(nr, word[0], word[1]) : gate(nr, nr_and_cap >> 32, word);
}

int cp_call_open(const char *name, unsigned perms)
{
	return (int)sdk_open(CAP_CALL, name, perms);
}

int cp_call(int call, uint64_t word[CP_CALL_WORDS])
{
	return (int)sdk_gate_words(HC_call_invoke | (uint64_t)(uint32_t)call << 32, word);
}

int cp_call_message(int call, struct cp_message *message)
{
	struct call_message m = { .caps = message->caps };
	uint64_t w[CALL_WORDS] = { (uint64_t)(uint32_t)call, (uint64_t)&m };

	if (message->caps > CP_CALL_CAPS)
		return -EINVAL;
	for (unsigned i = 0; i < CALL_WORDS; i++)
		m.word[i] = message->word[i];
	for (unsigned i = 0; i < m.caps; i++)
		m.cap[i] = (uint32_t)message->cap[i];
	if (message->timeout_ns >= 0)
		m.deadline_ns = platform_now() + (uint64_t)message->timeout_ns;
	long status = sdk_gate_words(HC_call_invoke_msg, w);
	if (status)
		return (int)status;
	for (unsigned i = 0; i < CALL_WORDS; i++)
		message->word[i] = m.word[i];
	message->caps = m.caps;
	for (unsigned i = 0; i < m.caps && i < CP_CALL_CAPS; i++)
		message->cap[i] = (int)m.cap[i];
	return 0;
}

int cp_call_ready(int call, int64_t timeout_ns)
{
	long r = sdk_wait(call, CAP_WRITABLE, 0, timeout_ns);

	return r < 0 ? (int)r : 0;
}

int cp_notify(int call)
{
	return (int)gate(HC_cap_notify, call);
}

int cp_export(const char *name)
{
	return (int)sdk_create(CAP_EXPORT, name, 0);
}

int cp_answer_caps(const int *cap, unsigned count)
{
	uint32_t handle[CAP_PASS_MAX];

	if (!count || count > CAP_PASS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++)
		handle[i] = (uint32_t)cap[i];
	return (int)gate(HC_call_caps, handle, count);
}

int cp_serve(int export_, cp_handler_fn *handler, void *context)
{
	struct cp_request request = { .caps = 0 };

	for (;;) {
		long n = sdk_gate_words(HC_call_serve | (uint64_t)(uint32_t)export_ << 32, request.word);

		if (n == -EINTR) /* a signal was handled; words count only for who has a caller */
			continue;
		if (n < 0)
			return (int)n;
		request.caps = 0;
		if (n) {
			uint32_t cap[CAP_PASS_MAX];
			long got = gate(HC_call_caps, cap, 0);
			for (; got > 0 && request.caps < got && request.caps < CAP_PASS_MAX; request.caps++)
				request.cap[request.caps] = (int)cap[request.caps];
		}
		handler(context, &request);
	}
}

struct cp_server {
	int export;
	unsigned threads;
	cp_handler_fn *handler;
	void *context;
	struct platform_thread thread[EXPORT_SERVERS_MAX];
};

static void server_thread(void *argument)
{
	struct cp_server *s = argument;

	cp_serve(s->export, s->handler, s->context);
}

int cp_server_start(const char *name, unsigned threads, cp_handler_fn *handler, void *context, struct cp_server **server)
{
	if (!threads || threads > EXPORT_SERVERS_MAX)
		return -EINVAL;
	int export = cp_export(name);
	if (export < 0)
		return export;
	struct cp_server *s = platform_pages(sizeof *s);
	if (!s) {
		cp_close(export);
		return -ENOMEM;
	}
	s->export = export;
	s->handler = handler;
	s->context = context;
	for (; s->threads < threads; s->threads++) {
		int r = platform_thread_start(&s->thread[s->threads], server_thread, s);
		if (r) {
			cp_server_stop(s);
			return r;
		}
	}
	*server = s;
	return 0;
}

int cp_server_export(const struct cp_server *server)
{
	return server->export;
}

void cp_server_stop(struct cp_server *server)
{
	cp_close(server->export);
	for (unsigned i = 0; i < server->threads; i++)
		platform_thread_join(&server->thread[i]);
	platform_pages_free(server, sizeof *server);
}
