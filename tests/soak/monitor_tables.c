/*
 * Looks at the tables of a running monitor from outside, and checks that they fit together: every counter is what it counts, every
 * reference is somebody's, the derivation tree is one, nothing is pinned, locked or waited for. To be run as root, while no cVM does
 * anything. Prints one line of JSON with what there is; a line "WRONG ..." for each contradiction, and then status 1.
 *
 * usage: monitor_tables PID ADDRESS-OF-g_arena
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "monitor/caps.h"

static int g_mem, g_wrong;
static struct arena *g_a; /* a copy; its cap and object are copies too */
struct arena *g_arena;

#define CHECK(condition, ...) ((condition) ? (void)0 : (g_wrong++, printf("WRONG " __VA_ARGS__), (void)putchar('\n')))

static char g_json[8192];
#define json(...) ((void)snprintf(g_json + strlen(g_json), sizeof g_json - strlen(g_json), __VA_ARGS__))

static void *copy_of(uint64_t address, size_t size)
{
	char *bytes = malloc(size);

	for (size_t done = 0; bytes && done < size;) {
		ssize_t n = pread(g_mem, bytes + done, size - done, (off_t)(address + done));
		if (n <= 0) {
			perror("reading the monitor's memory");
			exit(2);
		}
		done += (size_t)n;
	}
	return bytes;
}

static bool is_free_lock(const struct lock *l)
{
	return !l->word;
}

static void check_caps(const struct cvm *c, uint32_t *references)
{
	uint32_t held = 0;

	for (uint32_t i = 1; i < CAPS_MAX; i++) {
		uint32_t number = c->index * CAPS_MAX + i;
		const struct cap *k = &g_a->cap[number];
		CHECK(k->waiters < THREADS_MAX && (k->kind != CAP_NONE || !k->waiters), "entry %u of cVM %u, kind %u, has %d waiters", i, c->index, k->kind,
		      (int)k->waiters);
		if (k->kind == CAP_NONE)
			continue;
		held++;
		CHECK(!(k->pins & ~CAP_DEAD), "entry %u of cVM %u is pinned %u times", i, c->index, k->pins & ~CAP_DEAD);
		CHECK(!k->pending || k->kind == CAP_REVOKED, "entry %u of cVM %u was passed and never fetched", i, c->index);
		CHECK(!!(k->pins & CAP_DEAD) == (k->kind == CAP_REVOKED), "entry %u of cVM %u: kind %u, pins %#x", i, c->index, k->kind, k->pins);
		references[k->object]++;
		if (k->object)
			CHECK(g_a->object[k->object].kind != CAP_NONE, "entry %u of cVM %u leads to a free object", i, c->index);
		const struct cap *parent = &g_a->cap[k->parent], *next = &g_a->cap[k->next], *child = &g_a->cap[k->child];
		CHECK(!k->parent || (parent->kind != CAP_NONE && parent->kind != CAP_REVOKED), "entry %u of cVM %u: dead parent", i, c->index);
		CHECK(!k->next || (next->previous == number && next->parent == k->parent && next->kind != CAP_NONE), "entry %u of cVM %u: next", i, c->index);
		CHECK(!k->child || (child->parent == number && !child->previous && child->kind != CAP_NONE), "entry %u of cVM %u: child", i, c->index);
	}
	CHECK(held == c->caps, "cVM %u holds %u capabilities, counts %u", c->index, held, c->caps);
}

static void check_objects(uint32_t *by_kind, uint32_t *references)
{
	uint32_t paid[CVMS_MAX][2] = { { 0 } };
	const struct cvm *cvms = (const struct cvm *)((const char *)g_arena + offsetof(struct arena, cvm));

	for (uint32_t i = 1; i < OBJECTS_MAX + STREAMS_MAX; i++) {
		const struct object *o = &g_a->object[i];
		CHECK(o->waiters < THREADS_MAX && (o->kind != CAP_NONE || !o->waiters), "object %u, kind %u, has %d waiters", i, o->kind, (int)o->waiters);
		if (o->kind == CAP_NONE)
			continue;
		by_kind[o->kind]++;
		if (o->kind == CAP_EXPORT)
			references[i] += (uint32_t)__builtin_popcountll(o->export.used);
		if (o->kind == CAP_LISTENER)
			for (uint32_t n = 0; n < o->listener.count; n++)
				references[o->listener.queue[n]]++;
		if (o->payer)
			paid[o->payer - cvms][o->kind == CAP_STREAM]++;
	}
	for (uint32_t i = 1; i < OBJECTS_MAX + STREAMS_MAX; i++) {
		const struct object *o = &g_a->object[i];
		bool pods = o->kind == CAP_MEMORY && !o->root; /* the launch description's: one reference for ever */
		CHECK(o->kind == CAP_NONE || o->refs == references[i] + pods, "object %u (kind %u) has %u references, counts %u", i, o->kind,
		      references[i] + pods, o->refs);
	}
	for (uint32_t i = 0; i < g_a->launch.cvms; i++)
		CHECK(paid[i][0] == g_a->cvm[i].objects && paid[i][1] == g_a->cvm[i].streams, "cVM %u pays for %u objects and %u streams, counts %u, %u", i,
		      paid[i][0], paid[i][1], g_a->cvm[i].objects, g_a->cvm[i].streams);
}

static uint32_t check_handles(const struct cvm *c)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < HANDLES_MAX; i++)
		if (c->handle[i].refs)
			used += c->handle[i].kind == HANDLE_EPOLL ? LAUNCH_EPOLL_HANDLES : 1;
	CHECK(used == c->handles, "cVM %u has handles for %u, counts %u", c->index, used, c->handles);
	return used;
}

int main(int argc, char **argv)
{
	static uint32_t references[OBJECTS_MAX + STREAMS_MAX];
	uint32_t objects[CAP_REVOKED + 1] = { 0 };
	char path[64];

	if (argc != 3)
		return 2;
	snprintf(path, sizeof path, "/proc/%s/mem", argv[1]);
	g_mem = open(path, O_RDONLY);
	g_arena = *(struct arena **)copy_of(strtoull(argv[2], NULL, 16), sizeof g_arena);
	g_a = copy_of((uint64_t)g_arena, sizeof *g_a);
	g_a->cap = copy_of((uint64_t)g_a->cap, sizeof(struct cap) * CVMS_MAX * CAPS_MAX);
	g_a->object = copy_of((uint64_t)g_a->object, sizeof(struct object) * (OBJECTS_MAX + STREAMS_MAX));
	CHECK(is_free_lock(&g_a->cap_lock) && is_free_lock(&g_a->thread_lock) && is_free_lock(&g_a->code_table_lock),
	      "a lock of all is held");
	for (uint32_t i = 0; i < g_a->launch.cvms; i++) {
		const struct cvm *c = &g_a->cvm[i];
		check_caps(c, references);
		json("\"%s\": {\"caps\": %u, \"handles\": %u, \"threads\": %u, \"memory\": %lu}, ", g_a->launch.cvm[i].name, c->caps, check_handles(c),
		     c->threads, c->memory_now);
		CHECK(is_free_lock(&c->mem_lock) && is_free_lock(&c->handle_lock) && is_free_lock(&c->code_lock), "a lock of cVM %u is held", i);
		if (c->state != CVM_RUNNING)
			CHECK(!c->memory_now && !c->handles && !c->caps && !c->threads, "cVM %u has ended and holds something", i);
	}
	check_objects(objects, references);
	printf("{\"cvms\": {%s\"\": {}}, \"files\": %u, \"exports\": %u, \"listeners\": %u, \"streams\": %u}\n", g_json, objects[CAP_MEMORY],
	       objects[CAP_EXPORT], objects[CAP_LISTENER], objects[CAP_STREAM]);
	return g_wrong != 0;
}
