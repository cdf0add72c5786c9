/*
 * Random operations on capabilities in three cVMs (agent.c), each compared with a model: a tree of capabilities with bounds,
 * permissions and seals, and the bytes they lead to. argv: first seed, number of seeds, operations for each. A difference
 * prints the seed and the operations that led to it.
 */
#include <stdbool.h>
#include <stdlib.h>

#include <cvm/call.h>
#include <cvm/cap.h>

#include "check.h"
#include "model.h"

#define CAPS_MAX 1200 /* of one seed, closed ones included */
#define OBJECTS_MAX 64
#define QUEUE_MAX 4
#define OPS_MAX 1000

enum state { LIVE, REVOKED, CLOSED };

struct cap {
	enum state state;
	int agent, kind, object; /* type: its number */
	long handle;		 /* 0: on its way */
	unsigned perms;
	uint64_t base, length;
	int sealed, parent; /* type; index or -1 */
};

struct object {
	int root; /* the maker's capability, or -1: the pod's */
	int name; /* NAMES: none */
	uint64_t size;
	uint8_t bytes[BYTES_MAX];
};

static struct cap g_cap[CAPS_MAX];
static struct object g_object[OBJECTS_MAX];
static int g_caps, g_objects, g_types, g_names[NAMES + 1];
static int g_queue[AGENTS][AGENTS][QUEUE_MAX], g_queued[AGENTS][AGENTS];
static int g_call[AGENTS];
static uint64_t g_random, g_seed;
static char g_log[OPS_MAX][120];
static int g_logged;

static uint64_t random_below(uint64_t n)
{
	g_random = g_random * 6364136223846793005u + 1442695040888963407u;
	return (g_random >> 33) % n;
}

/* Ends the agents too, which would serve for ever, and the pod with them. */
static _Noreturn void give_up(void)
{
	for (int i = 0; i < AGENTS; i++)
		(void)WHEN_SERVED(g_call[i], cp_call(g_call[i], (uint64_t[CP_CALL_WORDS]){ MODEL_END }));
	exit(1);
}

/* What the agent answers; *sum as well. */
static long ask(int agent, enum model_op op, const uint64_t *a, uint64_t *sum)
{
	uint64_t w[CP_CALL_WORDS] = { op, a[0], a[1], a[2], a[3] };
	int r = WHEN_SERVED(g_call[agent], cp_call(g_call[agent], w));

	if (g_logged < OPS_MAX)
		snprintf(g_log[g_logged++], sizeof g_log[0], "agent %d op %d (%#lx %lu %lu %lu): %ld", agent, (int)op, a[0], a[1], a[2],
			 a[3], r ? r : (long)w[0]);
	if (r) {
		printf("seed %lu: the call of agent %d fails: %d\n", g_seed, agent, r);
		give_up();
	}
	if (sum)
		*sum = w[1];
	return (long)w[0];
}

static void must(long got, long wanted)
{
	if (got == wanted)
		return;
	printf("seed %lu: %ld, but the model says %ld\n", g_seed, got, wanted);
	for (int i = 0; i < g_logged; i++)
		printf("  %s\n", g_log[i]);
	give_up();
}

static int add(struct cap c)
{
	g_cap[g_caps] = c;
	return g_caps++;
}

/* A handle that the agent gave must be new there. */
static void handle_given(int cap, long handle)
{
	if (handle <= 0)
		must(handle, 1);
	for (int i = 0; i < g_caps; i++)
		if (i != cap && g_cap[i].agent == g_cap[cap].agent && g_cap[i].state != CLOSED && g_cap[i].handle == handle)
			must(handle, -1);
	g_cap[cap].handle = handle;
}

static void revoke_below(int top)
{
	for (int i = 0; i < g_caps; i++)
		if (g_cap[i].state == LIVE && g_cap[i].parent == top) {
			revoke_below(i);
			g_cap[i].state = REVOKED;
		}
}

/* It ends: its children go to its parent, or with it if it is the maker's. */
static void model_close(int i)
{
	struct cap *c = &g_cap[i];
	bool pods = c->kind == CP_KIND_MEMORY && c->object >= 0 && g_object[c->object].root < 0;

	if (c->state == LIVE && c->parent < 0 && !pods) {
		revoke_below(i);
		if (c->kind == CP_KIND_MEMORY && c->object >= AGENTS)
			g_names[g_object[c->object].name] = -1;
	}
	for (int k = 0; k < g_caps; k++)
		if (g_cap[k].parent == i)
			g_cap[k].parent = c->parent;
	c->state = CLOSED;
	c->parent = -1;
}

/* 0, or what every operation with this handle says. */
static long usable(int i)
{
	return g_cap[i].state == CLOSED ? -EBADF : g_cap[i].state == REVOKED ? -EKEYREVOKED : 0;
}

static int any_cap(void)
{
	for (int tries = 0; tries < 50 && g_caps; tries++) {
		int i = (int)random_below((uint64_t)g_caps);
		if (g_cap[i].handle && (g_cap[i].state == LIVE || tries > 45 || !random_below(12)))
			return i;
	}
	return -1;
}

static uint64_t some_size(uint64_t near)
{
	uint64_t n = random_below(8);

	return n < 5 ? random_below(near + 1) : n == 5 ? near : n == 6 ? near + 1 : random_below(BYTES_MAX);
}

static void make(void)
{
	int agent = (int)random_below(AGENTS), which = (int)random_below(5);
	uint64_t a[4] = { 0 };
	struct cap c = { .agent = agent, .kind = CP_KIND_MEMORY, .parent = -1 };

	if (which < 2 && g_objects < OBJECTS_MAX) {
		a[1] = 1 + random_below(BYTES_MAX);
		a[2] = random_below(NAMES + 1);
		long r = ask(agent, MODEL_CREATE, a, NULL);
		if (a[2] < NAMES && g_names[a[2]] >= 0) {
			must(r, -EEXIST);
			return;
		}
		struct object *o = &g_object[g_objects];
		*o = (struct object){ .root = g_caps, .name = (int)a[2], .size = a[1] };
		g_names[a[2]] = a[2] < NAMES ? g_objects : -1;
		c.object = g_objects++;
		c.perms = CP_ALL;
		c.length = a[1];
		handle_given(add(c), r);
	} else if (which == 2) {
		a[2] = random_below(NAMES + 1);
		a[1] = random_below(10) ? (CP_LOAD | CP_STORE | CP_MAP | CP_GRANT) & ~(random_below(3) ? 0 : random_below(32)) : random_below(32);
		long r = ask(agent, MODEL_OPEN, a, NULL);
		int object = a[2] == NAMES ? AGENTS : g_names[a[2]];
		if (a[1] & CP_USE || object < 0) {
			must(r, a[1] & CP_USE ? -EACCES : -ENOENT);
			return;
		}
		c.object = object;
		c.perms = (unsigned)a[1];
		c.length = g_object[object].size;
		c.parent = g_object[object].root;
		handle_given(add(c), r);
	} else if (which == 3) {
		a[1] = random_below(BYTES_MAX);
		a[2] = random_below(BYTES_MAX - a[1] + 1);
		a[3] = random_below(8) ? CP_LOAD | CP_STORE | CP_GRANT : random_below(32);
		long r = ask(agent, MODEL_MEMORY, a, NULL);
		if (!a[2] || a[3] & (CP_USE | CP_MAP)) {
			must(r, -EINVAL);
			return;
		}
		c.object = agent;
		c.perms = (unsigned)a[3];
		c.base = a[1];
		c.length = a[2];
		handle_given(add(c), r);
	} else {
		long r = ask(agent, MODEL_TYPE, a, NULL);
		c.kind = CP_KIND_TYPE;
		c.object = ++g_types;
		c.perms = CP_ALL;
		handle_given(add(c), r);
	}
}

static void derive(int i)
{
	struct cap *c = &g_cap[i], d = *c;
	uint64_t a[4] = { (uint64_t)c->handle, some_size(c->length), some_size(c->length), random_below(4) ? c->perms & random_below(32) : random_below(32) };
	long r = ask(c->agent, MODEL_DERIVE, a, NULL), error = usable(i);

	if (!error && (c->sealed || a[3] & ~c->perms))
		error = -EACCES;
	if (!error && c->kind == CP_KIND_MEMORY && (!a[2] || a[1] > c->length || a[2] > c->length - a[1]))
		error = -ERANGE;
	if (error) {
		must(r, error);
		return;
	}
	d.perms = (unsigned)a[3];
	d.parent = i;
	if (c->kind == CP_KIND_MEMORY) {
		d.base += a[1];
		d.length = a[2];
	}
	handle_given(add(d), r);
}

static void seal(int i, bool unseal)
{
	int t = -1;
	struct cap *c = &g_cap[i], d = *c;

	for (int tries = 0; tries < 60 && (t < 0 || (g_cap[t].kind != CP_KIND_TYPE && tries < 55) || g_cap[t].agent != c->agent); tries++)
		t = any_cap();
	if (t < 0 || g_cap[t].agent != c->agent)
		return;
	uint64_t a[4] = { (uint64_t)c->handle, (uint64_t)g_cap[t].handle };
	long r = ask(c->agent, unseal ? MODEL_UNSEAL : MODEL_SEAL, a, NULL), error = usable(i);
	if (!error)
		error = usable(t);
	if (!error && g_cap[t].kind != CP_KIND_TYPE)
		error = -EBADF;
	if (!error && (g_cap[t].sealed || !(g_cap[t].perms & CP_USE)))
		error = -EACCES;
	if (!error && !unseal && c->sealed)
		error = -EINVAL;
	if (!error && unseal && c->sealed != g_cap[t].object)
		error = -EPERM;
	if (error) {
		must(r, error);
		return;
	}
	d.sealed = unseal ? 0 : g_cap[t].object;
	d.parent = i;
	handle_given(add(d), r);
}

static void move_bytes(int i, bool store)
{
	struct cap *c = &g_cap[i];
	uint64_t a[4] = { (uint64_t)c->handle, some_size(c->length), random_below(64), random_below(1000) }, sum;
	long r = ask(c->agent, store ? MODEL_WRITE : MODEL_READ, a, &sum), wanted = usable(i);

	if (!wanted && c->kind != CP_KIND_MEMORY)
		wanted = -EBADF;
	if (!wanted && (c->sealed || !(c->perms & (store ? CP_STORE : CP_LOAD))))
		wanted = -EACCES;
	if (!wanted && a[1] >= c->length)
		wanted = store && a[2] ? -ENOSPC : 0;
	else if (!wanted)
		wanted = (long)(a[2] < c->length - a[1] ? a[2] : c->length - a[1]);
	must(r, wanted);
	if (wanted <= 0)
		return;
	uint8_t *bytes = g_object[c->object].bytes + c->base + a[1];
	for (long n = 0; store && n < wanted; n++)
		bytes[n] = model_byte(a[3], (uint64_t)n);
	if (!store)
		must((long)sum, (long)model_sum(bytes, (uint64_t)wanted));
}

static void pass(int i, bool stream)
{
	struct cap *c = &g_cap[i], d = *c;
	int to = (c->agent + 1 + (int)random_below(AGENTS - 1)) % AGENTS, *queued = &g_queued[c->agent][to];
	uint64_t a[4] = { (uint64_t)c->handle, (uint64_t)to };
	long r = ask(c->agent, stream ? MODEL_SEND : MODEL_CALL, a, NULL), error = stream && *queued == QUEUE_MAX ? -EAGAIN : usable(i);

	if (!error && !(c->perms & CP_GRANT))
		error = -EACCES;
	if (error) {
		must(r, error);
		return;
	}
	d.parent = i;
	d.agent = to;
	d.handle = 0;
	int passed = add(d);
	if (stream) {
		must(r, 0);
		g_queue[c->agent][to][(*queued)++] = passed;
	} else {
		handle_given(passed, r);
	}
}

static void receive(int from, int to)
{
	uint64_t a[4] = { 0, (uint64_t)from };
	int *queued = &g_queued[from][to], *queue = g_queue[from][to];
	long r = ask(to, MODEL_RECEIVE, a, NULL);

	if (!*queued) {
		must(r, -EAGAIN);
		return;
	}
	handle_given(queue[0], r);
	memmove(queue, queue + 1, (size_t)--*queued * sizeof queue[0]);
}

static void information(int i)
{
	struct cap *c = &g_cap[i];
	uint64_t a[4] = { (uint64_t)c->handle };
	long r = ask(c->agent, MODEL_INFO, a, NULL), wanted = usable(i);

	if (!wanted)
		wanted = (long)((uint64_t)c->kind | (uint64_t)c->perms << 8 | (uint64_t)!!c->sealed << 16 |
				(c->kind == CP_KIND_MEMORY ? c->length << 20 : 0));
	must(r, wanted);
}

static void close_one(int i)
{
	uint64_t a[4] = { (uint64_t)g_cap[i].handle };
	long r = ask(g_cap[i].agent, MODEL_CLOSE, a, NULL);

	must(r, g_cap[i].state == CLOSED ? -EBADF : 0);
	if (g_cap[i].state != CLOSED)
		model_close(i);
}

static void step(void)
{
	int which = (int)random_below(100), i = any_cap();
	int from = (int)random_below(AGENTS);

	if (i < 0 || which < 15) {
		make();
	} else if (which < 32) {
		derive(i);
	} else if (which < 46) {
		move_bytes(i, false);
	} else if (which < 60) {
		move_bytes(i, true);
	} else if (which < 72) {
		pass(i, which & 1);
	} else if (which < 78) {
		receive(from, (from + 1 + (int)random_below(AGENTS - 1)) % AGENTS);
	} else if (which < 86) {
		seal(i, which & 1);
	} else if (which < 90) {
		information(i);
	} else if (which < 93) {
		uint64_t a[4] = { (uint64_t)g_cap[i].handle };
		must(ask(g_cap[i].agent, MODEL_REVOKE, a, NULL), usable(i));
		if (g_cap[i].state == LIVE)
			revoke_below(i);
	} else {
		close_one(i);
	}
}

static void run(uint64_t seed, int ops)
{
	uint64_t nothing[4] = { 0 };

	g_seed = seed;
	g_random = seed * 0x9e3779b97f4a7c15u + 1;
	g_caps = g_logged = 0;
	g_objects = AGENTS + 1;
	for (int i = 0; i <= NAMES; i++)
		g_names[i] = -1;
	for (int i = 0; i < AGENTS; i++) {
		must(ask(i, MODEL_FILL, nothing, NULL), 0);
		g_object[i] = (struct object){ .root = 0, .name = NAMES, .size = BYTES_MAX };
		for (uint64_t k = 0; k < BYTES_MAX; k++)
			g_object[i].bytes[k] = model_byte((uint64_t)i, k);
	}
	/* The pod's file is as the last seed left it: g_object[AGENTS] stays. */
	for (int i = 0; i < ops && g_caps < CAPS_MAX - 2; i++)
		step();
	for (int from = 0; from < AGENTS; from++)
		for (int to = 0; to < AGENTS; to++)
			while (from != to && g_queued[from][to])
				receive(from, to);
	for (int i = 0; i < g_caps; i++) /* every one is what the model says, at the end as well */
		information(i);
	while (g_caps) {
		int i = (int)random_below((uint64_t)g_caps);
		while (g_cap[i].state == CLOSED && i < g_caps)
			i++;
		if (i < g_caps)
			close_one(i);
		while (g_caps && g_cap[g_caps - 1].state == CLOSED)
			g_caps--;
	}
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1, count = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	int ops = argc > 3 ? atoi(argv[3]) : 300;
	uint64_t nothing[4] = { 0 };
	char name[16];

	g_object[AGENTS] = (struct object){ .root = -1, .name = NAMES, .size = 100 };
	for (int i = 0; i < AGENTS; i++) {
		snprintf(name, sizeof name, "agent/%d", i);
		TRUE((g_call[i] = WHEN_THERE(cp_call_open(name, CP_USE))) > 0);
		cp_call_ready(g_call[i], CP_FOREVER);
	}
	for (uint64_t seed = first; seed < first + count; seed++)
		run(seed, ops);
	printf("%lu seeds\n", count);
	for (int i = 0; i < AGENTS; i++)
		must(ask(i, MODEL_END, nothing, NULL), 0);
	return check_end("model");
}
