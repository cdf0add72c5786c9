/*
 * What the two halves of the line discipline share: tty/line.c (what is typed) and tty/line_output.c (what is shown). tty->lock held.
 */
#ifndef LIBOS_TTY_LINE_INTERNAL_H
#define LIBOS_TTY_LINE_INTERNAL_H

#include "tty/tty.h"
#include <linux/eventpoll.h>

#define READABLE ((uint32_t)(EPOLLIN | EPOLLRDNORM))
#define WRITABLE ((uint32_t)(EPOLLOUT | EPOLLWRNORM))

static inline bool has_input(const struct tty *t, tcflag_t flag)
{
	return t->modes.c_iflag & flag;
}

static inline bool has_output(const struct tty *t, tcflag_t flag)
{
	return t->modes.c_oflag & flag;
}

static inline bool has_local(const struct tty *t, tcflag_t flag)
{
	return t->modes.c_lflag & flag;
}

static inline bool is_control(uint8_t c)
{
	return c < 32 || c == 127;
}

/* Letters are Latin-1's, as in all of the kernel. */
static inline bool is_upper(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7);
}

static inline bool is_lower(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 0xdf && c != 0xf7);
}

static inline bool continues(const struct tty *t, uint8_t c)
{
	return has_input(t, IUTF8) && (c & 0xc0) == 0x80;
}

static inline void put(struct tty_ring *r, uint8_t c)
{
	r->bytes[r->tail++ & (r->size - 1)] = c;
}

static inline uint8_t take(struct tty_ring *r)
{
	return r->bytes[r->head++ & (r->size - 1)];
}

/* What a master in packet mode is told: TIOCPKT_*. */
void line_news(struct tty *t, unsigned what);
/* To the master, or behind the echo that waits; as it is, or as OPOST makes it. */
void line_emit(struct tty *t, uint8_t c);
void line_emit_processed(struct tty *t, uint8_t c);
/* A typed character, as ECHO shows it. */
void line_echo(struct tty *t, uint8_t c);
void line_process_echo(struct tty *t);

#endif
