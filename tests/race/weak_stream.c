/* The control: src/monitor/stream.c whose stores release nothing. */
#include "race.h"

#undef __ATOMIC_RELEASE
#define __ATOMIC_RELEASE __ATOMIC_RELAXED
#include "../../src/monitor/stream.c"
