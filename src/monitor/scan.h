/* The scanner for forbidden byte sequences. */
#ifndef MONITOR_SCAN_H
#define MONITOR_SCAN_H

#include <stdint.h>

/* Offset of the first forbidden sequence that starts in bytes[0..size), or -1. Prefixes in front of `bytes` are not seen:
 * who joins two ranges scans across their edge, FORBIDDEN_CONTEXT bytes to each side. */
int64_t scan_bytes(const uint8_t *bytes, uint64_t size);

#endif
