/*
 * The states of a pod's cVMs: see pod.h. Called by supervise.c and control.c. The monitor is believed about what ended, a
 * libOS about whether its own cVM listens.
 */
#include "cli/pod.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/clock.h"
#include "cli/message.h"
#include "cli/stats.h"

#define PROBE_MS 50
#define DELAY_MAX_MS 30000u
#define GOOD_RUN_MS 10000 /* a cVM that ran so long starts again after the first delay */

static bool has_condition(const struct config_cvm *cvm)
{
	return cvm->ready.listen || cvm->ready.file || cvm->ready.exit;
}

bool pod_needs_stay(const struct config *config)
{
	for (uint32_t i = 0; i < config->cvms; i++)
		if (config->cvm[i]->after.count || config->cvm[i]->restart != CONFIG_RESTART_NEVER)
			return true;
	return false;
}

static void set_running(struct pod *pod, uint32_t i)
{
	struct pod_cvm *c = &pod->cvm[i];

	c->state = POD_RUNNING;
	c->started_ms = clock_ms();
	c->due_ms = 0;
	c->stopped = c->again = false;
	c->stats = (struct cvm_stats){0};
	c->log_dropped = 0;
	if (!c->starts && has_condition(pod->config->cvm[i]))
		c->ready_deadline_ms = c->started_ms + pod->config->cvm[i]->ready.timeout_ms;
	c->starts++;
	if (!has_condition(pod->config->cvm[i]))
		c->ready = true;
}

void pod_init(struct pod *pod, const struct config *config, struct link *link)
{
	*pod = (struct pod){.config = config, .link = link};
	for (uint32_t i = 0; i < config->cvms; i++) {
		pod->cvm[i].delay_ms = config->cvm[i]->restart_delay_ms;
		if (!config->cvm[i]->after.count)
			set_running(pod, i);
	}
}

/* The monitor takes CHANNEL_START only for a cVM whose end it has announced; all of ours have. */
static bool start(struct pod *pod, uint32_t i)
{
	if (!link_send(pod->link, CHANNEL_START, i, 0))
		return false;
	set_running(pod, i);
	return true;
}

static void set_ended(struct pod_cvm *c)
{
	c->state = POD_ENDED;
	c->again = false;
	c->due_ms = 0;
	c->never_ready |= !c->ready;
}

static bool starts_again(const struct pod *pod, uint32_t i, int status)
{
	const struct config_cvm *config = pod->config->cvm[i];
	const struct pod_cvm *c = &pod->cvm[i];

	if (pod->ending || c->stopped || c->restarts >= config->restart_max ||
	    (config->ready.exit && status == (int)config->ready.status))
		return false;
	return config->restart == CONFIG_RESTART_ALWAYS || (config->restart == CONFIG_RESTART_ON_FAILURE && status);
}

void pod_ended(struct pod *pod, uint32_t i, const struct channel_exit *exit)
{
	struct pod_cvm *c = &pod->cvm[i];
	const struct config_cvm *config = pod->config->cvm[i];
	int status = stats_exit_status(exit);
	int64_t now = clock_ms();

	if (c->state != POD_RUNNING && c->state != POD_STOPPING)
		return;
	c->has_exit = true;
	c->exit = *exit;
	c->stats = exit->stats;
	if (config->ready.exit && status == (int)config->ready.status)
		c->ready = true;
	if (c->again && !pod->ending && start(pod, i))
		return;
	if (!starts_again(pod, i, status)) {
		set_ended(c);
		return;
	}
	if (now - c->started_ms >= GOOD_RUN_MS)
		c->delay_ms = config->restart_delay_ms;
	c->state = POD_RESTARTING;
	c->due_ms = now + c->delay_ms;
	message_warning("%s ended with status %d and starts again in %u ms", config->name, status, c->delay_ms);
	if (c->delay_ms < DELAY_MAX_MS)
		c->delay_ms = c->delay_ms * 2 < DELAY_MAX_MS ? c->delay_ms * 2 : DELAY_MAX_MS;
}

static bool being_probed(const struct pod *pod, uint32_t i)
{
	const struct config_ready *ready = &pod->config->cvm[i]->ready;
	const struct pod_cvm *c = &pod->cvm[i];

	return ready->file && !c->ready && !c->never_ready && c->state == POD_RUNNING;
}

static void check_ready(struct pod *pod, uint32_t i, int64_t now)
{
	const struct config_ready *ready = &pod->config->cvm[i]->ready;
	struct pod_cvm *c = &pod->cvm[i];

	if (being_probed(pod, i))
		c->ready = access(ready->file, F_OK) == 0;
	if (c->ready_deadline_ms && !c->ready && now >= c->ready_deadline_ms)
		c->never_ready = true;
	if (c->ready || c->never_ready)
		c->ready_deadline_ms = 0;
}

/* A bare cVM and one that another cVM serves have nobody who tells. */
bool pod_begun(const struct pod *pod)
{
	bool all_loaded = true;

	for (uint32_t i = 0; i < pod->config->cvms; i++) {
		const struct config_cvm *config = pod->config->cvm[i];
		bool loaded = config->after.count || config->bare || config->syscalls_to || pod->cvm[i].loaded;

		if (!loaded && !pod->cvm[i].has_exit)
			return false;
		all_loaded &= loaded;
	}
	return all_loaded || !pod_over(pod);
}

bool pod_listens(struct pod *pod, uint32_t i)
{
	struct pod_cvm *c = &pod->cvm[i];

	c->ready |= pod->config->cvm[i]->ready.listen && c->state == POD_RUNNING && !c->never_ready;
	return pod->config->cvm[i]->ready.listen;
}

static uint32_t index_of(const struct pod *pod, const char *name)
{
	uint32_t i = 0;

	while (strcmp(pod->config->cvm[i]->name, name) != 0)
		i++;
	return i;
}

/* true: something changed. */
static bool check_order(struct pod *pod, uint32_t i)
{
	const struct strlist *after = &pod->config->cvm[i]->after;
	struct pod_cvm *c = &pod->cvm[i];
	bool all = true;

	for (size_t j = 0; j < after->count; j++) {
		uint32_t k = index_of(pod, after->item[j]);

		all &= pod->cvm[k].ready;
		if (!pod->cvm[k].never_ready)
			continue;
		message_error("%s is not started: %s %s", pod->config->cvm[i]->name, after->item[j],
			      pod->cvm[k].state != POD_ENDED ? "was not ready in time"
			      : pod->cvm[k].starts	     ? "ended before it was ready"
							     : "was not started");
		c->has_exit = true;
		c->exit = (struct channel_exit){.status = EXIT_CANNOT_START};
		set_ended(c);
		return true;
	}
	return all && start(pod, i);
}

void pod_tick(struct pod *pod)
{
	int64_t now = clock_ms();
	bool changed = true;

	for (uint32_t i = 0; i < pod->config->cvms; i++) {
		struct pod_cvm *c = &pod->cvm[i];

		check_ready(pod, i, now);
		if (!c->due_ms || c->due_ms > now)
			continue;
		if (c->state == POD_STOPPING && link_send(pod->link, CHANNEL_KILL, i, 0))
			c->due_ms = 0;
		else if (c->state == POD_RESTARTING && start(pod, i))
			c->restarts++;
	}
	while (changed) {
		changed = false;
		for (uint32_t i = 0; i < pod->config->cvms; i++)
			if (pod->cvm[i].state == POD_WAITING)
				changed |= check_order(pod, i);
	}
}

int pod_timeout(const struct pod *pod)
{
	int64_t now = clock_ms();
	int timeout = -1;

	for (uint32_t i = 0; i < pod->config->cvms; i++) {
		const struct pod_cvm *c = &pod->cvm[i];

		if (c->due_ms)
			timeout = clock_sooner(timeout, now, c->due_ms > now ? c->due_ms : now + PROBE_MS);
		if (c->ready_deadline_ms)
			timeout = clock_sooner(timeout, now, c->ready_deadline_ms);
		if (being_probed(pod, i))
			timeout = clock_sooner(timeout, now, now + PROBE_MS);
	}
	return timeout;
}

bool pod_over(const struct pod *pod)
{
	for (uint32_t i = 0; i < pod->config->cvms; i++)
		if (pod->cvm[i].state != POD_ENDED)
			return false;
	return true;
}

void pod_end(struct pod *pod)
{
	pod->ending = true;
	for (uint32_t i = 0; i < pod->config->cvms; i++)
		if (pod->cvm[i].state == POD_WAITING || pod->cvm[i].state == POD_RESTARTING)
			set_ended(&pod->cvm[i]);
}

void pod_signal(struct pod *pod, int signal)
{
	bool ends = signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;

	if (ends)
		pod_end(pod);
	for (uint32_t i = 0; i < pod->config->cvms; i++) {
		/* A bare cVM has nobody to handle a signal. */
		if (ends && pod->config->cvm[i]->bare)
			link_send(pod->link, CHANNEL_KILL, i, 0);
		else if (pod->cvm[i].state == POD_RUNNING || pod->cvm[i].state == POD_STOPPING)
			link_send(pod->link, CHANNEL_SIGNAL, i, signal);
	}
}

const char *pod_kill(struct pod *pod, uint32_t i, int signal)
{
	enum pod_state state = pod->cvm[i].state;

	if (state != POD_RUNNING && state != POD_STOPPING)
		return "is not running";
	if (!link_send(pod->link, signal == SIGKILL ? CHANNEL_KILL : CHANNEL_SIGNAL, i, signal))
		return "cannot be reached: the monitor is busy (try again)";
	return NULL;
}

const char *pod_start(struct pod *pod, uint32_t i)
{
	enum pod_state state = pod->cvm[i].state;

	if (pod->ending)
		return "cannot start: the pod is ending";
	if (state == POD_RUNNING)
		return "is running already";
	if (state == POD_STOPPING)
		return "is being stopped (try again, or use restart)";
	return start(pod, i) ? NULL : "cannot be reached: the monitor is busy (try again)";
}

const char *pod_stop(struct pod *pod, uint32_t i, uint32_t timeout_ms)
{
	struct pod_cvm *c = &pod->cvm[i];
	bool at_once = timeout_ms == 0 || pod->config->cvm[i]->bare;

	c->again = false;
	if (c->state == POD_WAITING || c->state == POD_RESTARTING)
		set_ended(c);
	if (c->state == POD_ENDED)
		return NULL;
	if (!link_send(pod->link, at_once ? CHANNEL_KILL : CHANNEL_SIGNAL, i, SIGTERM))
		return "cannot be reached: the monitor is busy (try again)";
	c->state = POD_STOPPING;
	c->stopped = true;
	c->due_ms = at_once ? 0 : clock_ms() + timeout_ms;
	return NULL;
}

const char *pod_restart(struct pod *pod, uint32_t i, uint32_t timeout_ms)
{
	enum pod_state state = pod->cvm[i].state;

	if (state != POD_RUNNING && state != POD_STOPPING)
		return pod_start(pod, i);
	const char *problem = pod->ending ? "cannot start: the pod is ending" : pod_stop(pod, i, timeout_ms);
	pod->cvm[i].again = !problem;
	return problem;
}

int pod_status(const struct pod *pod)
{
	for (uint32_t i = 0; i < pod->config->cvms; i++) {
		int status = pod->cvm[i].has_exit ? stats_exit_status(&pod->cvm[i].exit) : 0;

		if (status)
			return status;
	}
	return 0;
}
