/*
 * What the control socket says about a pod, as JSON.
 */
#ifndef CLI_CONTROL_JSON_H
#define CLI_CONTROL_JSON_H

#include <jansson.h>

#include "cli/pod.h"

/* {"ok": true, "pod": NAME, "pid": N, "cvms": [...]}, each with its "stats" if wanted. A new reference. */
json_t *control_json_pod(const struct pod *pod, const char *name, bool stats);

#endif
