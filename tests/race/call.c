/* src/monitor/call.c without its instructions on registers: FS here is the C library's. */
#include "race.h"
#include "monitor/trap.h"

#define __asm__ if (0) __asm__
#include "../../src/monitor/call.c"
