/* Roles of gone.yaml. All threads of the caller call the server, which never answers; the caller ends, and its next life makes
 * as many threads as it may. The third then makes all of its own. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <cvm/call.h>

#include "check.h"

#define EXPORTS 15
#define SERVERS 60 /* of each */
#define THREADS 1000
#define THREADS_OF_THIRD 47

static unsigned g_inside;

static void hang(void *unused, struct cp_request *request)
{
	(void)unused, (void)request;
	__atomic_add_fetch(&g_inside, 1, __ATOMIC_RELAXED);
	for (;;)
		pause();
}

static void *sleep_on(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

static void *call(void *name)
{
	uint64_t word[CP_CALL_WORDS] = { 0 };
	int call = WHEN_THERE(cp_call_open(name, CP_USE));

	WHEN_SERVED(call, cp_call(call, word));
	return NULL;
}

static unsigned start(unsigned count, void *(*function)(void *), void *argument)
{
	pthread_attr_t small;
	unsigned made = 0;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 32768);
	for (pthread_t thread; made < count && !pthread_create(&thread, &small, function, argument); made++)
		;
	return made;
}

static void say(const char *path)
{
	close(open(path, O_CREAT | O_WRONLY, 0644));
}

static void wait_for(const char *path)
{
	while (access(path, F_OK))
		pause_ms(10);
}

static void *serve(void *export_)
{
	cp_serve((int)(long)export_, hang, NULL);
	return NULL;
}

static void serve_all(void)
{
	for (int i = 0; i < EXPORTS; i++) {
		char name[16];
		snprintf(name, sizeof name, "hang%d", i);
		IS(start(SERVERS, serve, (void *)(long)cp_export(name)), SERVERS);
	}
	while (__atomic_load_n(&g_inside, __ATOMIC_RELAXED) < EXPORTS * SERVERS)
		pause_ms(10);
	say("/shared/full");
}

static void be_called_out_of(void)
{
	static char names[EXPORTS][16];

	if (access("/shared/full", F_OK)) {
		for (int i = 0; i < EXPORTS; i++) {
			snprintf(names[i], sizeof names[i], "hang%d", i);
			IS(start(SERVERS, call, names[i]), SERVERS);
		}
		wait_for("/shared/full");
		exit(1);
	}
	IS(start(THREADS - 1, sleep_on, NULL), THREADS - 1);
	say("/shared/made");
}

int main(int argc, char **argv)
{
	const char *role = argc > 1 ? argv[1] : "";

	if (!strcmp(role, "serve")) {
		serve_all();
	} else if (!strcmp(role, "call")) {
		be_called_out_of();
	} else {
		wait_for("/shared/made");
		IS(start(THREADS_OF_THIRD - 1, sleep_on, NULL), THREADS_OF_THIRD - 1);
	}
	check_end(role);
	sleep_on(NULL);
}
