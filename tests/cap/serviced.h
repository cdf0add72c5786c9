/* What serves.c and serviced.c agree on. */
#ifndef SERVICED_H
#define SERVICED_H

#define TEXT_SIZE 10000
#define TEXT_BYTE(i) ((char)((i) * 7 + (i) / 256))
#define PID 4242
#define LARGE (1l << 62)
#define MET 77
#define STARTS 30
#define FAR 0x7ffffff000ull /* an address of nobody's */

#endif
