/*
 * JSON of a pod's state: see control_json.h. Called by control.c. Numbers come from the monitor; some of them are what a
 * cVM's libOS says.
 */
#include "cli/control_json.h"

#include <unistd.h>

#include "cli/clock.h"
#include "cli/stats.h"

static json_t *number(uint64_t value)
{
	return json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX);
}

static json_t *json_stats(const struct pod_cvm *c)
{
	const struct cvm_stats *s = &c->stats;
	const struct {
		const char *name;
		uint64_t value;
	} fields[] = {
		{"wall_ns", s->wall_ns}, {"cpu_ns", s->cpu_ns}, {"memory_peak", s->memory_peak}, {"memory_now", s->memory_now},
		{"hostcalls", s->hostcalls}, {"fast_syscalls", s->fast_syscalls}, {"trapped_syscalls", s->trapped_syscalls},
		{"faults", s->faults}, {"threads_peak", s->threads_peak}, {"handles_peak", s->handles_peak},
		{"code_images", s->code_images}, {"code_bytes", s->code_bytes}, {"log_dropped", c->log_dropped},
	};
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		json_object_set_new(object, fields[i].name, number(fields[i].value));
	return object;
}

static json_t *json_cvm(const struct pod *pod, uint32_t i, bool stats)
{
	static const char *const states[] = {[POD_WAITING] = "waiting", [POD_RUNNING] = "running",
					     [POD_STOPPING] = "stopping", [POD_RESTARTING] = "restarting",
					     [POD_ENDED] = "ended"};
	const struct pod_cvm *c = &pod->cvm[i];
	bool runs = c->state == POD_RUNNING || c->state == POD_STOPPING;
	json_t *object = json_object();

	json_object_set_new(object, "name", json_string(pod->config->cvm[i]->name));
	json_object_set_new(object, "runtime", json_string(pod->config->cvm[i]->bare ? "bare" : "libos"));
	json_object_set_new(object, "state", json_string(states[c->state]));
	json_object_set_new(object, "ready", json_boolean(c->ready));
	json_object_set_new(object, "restarts", json_integer(c->restarts));
	json_object_set_new(object, "uptime_ms", runs ? json_integer(clock_ms() - c->started_ms) : json_null());
	/* Of its last end; a shell's number. */
	json_object_set_new(object, "status", c->has_exit ? json_integer(stats_exit_status(&c->exit)) : json_null());
	if (!stats)
		return object;
	json_t *numbers = json_stats(c);
	if (runs) /* the libOS counts them, and tells when it ends */
		json_object_set_new(numbers, "fast_syscalls", json_null());
	json_object_set_new(object, "stats", numbers);
	return object;
}

json_t *control_json_pod(const struct pod *pod, const char *name, bool stats)
{
	json_t *cvms = json_array();

	for (uint32_t i = 0; i < pod->config->cvms; i++)
		json_array_append_new(cvms, json_cvm(pod, i, stats));
	return json_pack("{s:b, s:s, s:i, s:o}", "ok", 1, "pod", name, "pid", (int)getpid(), "cvms", cvms);
}
