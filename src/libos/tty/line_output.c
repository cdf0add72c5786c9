/*
 * The line discipline's way to the master: what programs write and what typed keys show, with its columns, and the echo that waits
 * for its turn (tty/line_internal.h). Called by tty/line.c, tty/pty.c and tty/ioctl.c with tty->lock held.
 */
#include "ipc/iter.h"
#include "tty/line_internal.h"
#include <asm/ioctls.h>

#define OUTPUT_LIMIT (TTY_OUTPUT_SIZE - TTY_ECHO_SIZE) /* of what is written; echo may have the rest */
#define OUTPUT_SEEN TTY_LINE_SIZE /* so much the master's side has taken out of reach of a flush */
#define TAB 8u /* columns: the most that one byte may become */

void line_news(struct tty *t, unsigned what)
{
	if (!t->packets)
		return;
	t->news |= (uint8_t)what;
	t->due.master |= EPOLLPRI | READABLE;
}

static uint32_t output_room(const struct tty *t)
{
	return t->stopped || tty_used(&t->output) >= OUTPUT_LIMIT ? 0 : OUTPUT_LIMIT - tty_used(&t->output);
}

void line_emit(struct tty *t, uint8_t c)
{
	if (!t->receiving && !t->stopped && !tty_used(&t->echo) && tty_used(&t->output) < t->output.size) {
		put(&t->output, c);
		t->due.master |= READABLE;
	} else if (tty_used(&t->echo) < t->echo.size) {
		put(&t->echo, c);
	}
}

void line_output_drained(struct tty *t)
{
	if (output_room(t))
		t->due.slave |= WRITABLE;
}

/* As in Linux this waits for the next key or output: that there is room does not do. */
void line_process_echo(struct tty *t)
{
	while (!t->stopped && tty_used(&t->echo) && tty_used(&t->output) < t->output.size) {
		put(&t->output, take(&t->echo));
		t->due.master |= READABLE;
	}
	line_output_drained(t);
}

static void emit_tab(struct tty *t)
{
	uint32_t spaces = 8 - (t->column & 7);

	t->column += spaces;
	if ((t->modes.c_oflag & TABDLY) != XTABS) {
		line_emit(t, '\t');
		return;
	}
	while (spaces--)
		line_emit(t, ' ');
}

/* What OPOST makes of it, with the column that this leads to. */
void line_emit_processed(struct tty *t, uint8_t c)
{
	if (!has_output(t, OPOST)) {
		line_emit(t, c);
		return;
	}
	switch (c) {
	case '\n':
		if (has_output(t, ONLRET | ONLCR))
			t->column = 0;
		if (has_output(t, ONLCR))
			line_emit(t, '\r');
		t->line_column = t->column;
		break;
	case '\r':
		if (has_output(t, ONOCR) && t->column == 0)
			return;
		if (has_output(t, OCRNL))
			c = '\n';
		if (c == '\r' || has_output(t, ONLRET))
			t->line_column = t->column = 0;
		break;
	case '\t':
		emit_tab(t);
		return;
	case '\b':
		t->column -= t->column > 0;
		break;
	default:
		if (is_control(c))
			break;
		if (has_output(t, OLCUC) && is_lower(c))
			c = (uint8_t)(c - 'a' + 'A');
		t->column += !continues(t, c);
	}
	line_emit(t, c);
}

bool line_writable(const struct tty *t)
{
	return output_room(t) >= TAB;
}

ssize_t line_write(struct tty *t, struct iter *it)
{
	ssize_t done = 0;
	uint8_t c;

	line_process_echo(t);
	while (it->left && output_room(t) >= TAB) {
		if (iter_take(it, &c, 1) != 1)
			return done ? done : -EFAULT;
		line_emit_processed(t, c);
		done++;
	}
	return done;
}

void line_stop(struct tty *t)
{
	if (t->stopped)
		return;
	t->stopped = true;
	t->news &= (uint8_t)~TIOCPKT_START;
	line_news(t, TIOCPKT_STOP);
}

void line_start(struct tty *t)
{
	if (!t->stopped || t->held)
		return;
	t->stopped = false;
	t->news &= (uint8_t)~TIOCPKT_STOP;
	line_news(t, TIOCPKT_START);
	t->due.slave |= WRITABLE;
}

/* Linux starts the output for that byte, and stops it again. */
void line_passed(struct tty *t)
{
	t->due.master |= READABLE;
	if (t->stopped) {
		t->news &= (uint8_t)~TIOCPKT_START;
		line_news(t, TIOCPKT_STOP);
	}
}

void line_echo(struct tty *t, uint8_t c)
{
	if (c == 0377) { /* Linux's mark among the echo: not looked at */
		line_emit(t, c);
		t->column++;
		return;
	}
	if (!has_local(t, ECHOCTL) || !is_control(c) || c == '\t') {
		line_emit_processed(t, c);
		return;
	}
	line_emit(t, '^');
	line_emit(t, c ^ 0100);
	t->column += 2;
}

void line_flush_output(struct tty *t)
{
	uint32_t seen = MAX(OUTPUT_SEEN, t->shown);

	if (tty_used(&t->output) > seen)
		t->output.tail = t->output.head + seen;
	line_process_echo(t);
	line_news(t, TIOCPKT_FLUSHWRITE);
}
