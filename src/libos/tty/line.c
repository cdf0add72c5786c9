/*
 * The line discipline of a pseudo-terminal: what n_tty of Linux does, byte for byte (tests/guest/tty_line.c compares). Called with
 * tty->lock held; touches program memory only through the iter of who reads or writes.
 */
#include "ipc/iter.h"
#include "tty/line_internal.h"
#include <asm/ioctls.h>
#include <asm/signal.h>

#define LINE_MASK (TTY_LINE_SIZE - 1)
#define DISABLED 0 /* _POSIX_VDISABLE: as a special character none, in a line the place of VEOF */
#define ECHO_BATCH 256u

static bool is(const struct tty *t, uint8_t c, int which)
{
	return c != DISABLED && c == t->modes.c_cc[which];
}

static bool is_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || c == '_' || is_upper(c) || is_lower(c);
}

const cc_t line_keys[NCCS] = { 3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0 };

void line_init(struct tty *t)
{
	t->modes = (struct termios2){ .c_iflag = ICRNL | IXON, .c_oflag = OPOST | ONLCR, .c_cflag = B38400 | CS8 | CREAD,
		.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN, .c_ispeed = 38400, .c_ospeed = 38400 };
	memcpy(t->modes.c_cc, line_keys, sizeof(line_keys));
	t->input = (struct tty_ring){ .bytes = t->bytes, .size = TTY_INPUT_SIZE };
	t->output = (struct tty_ring){ .bytes = t->bytes + TTY_INPUT_SIZE, .size = TTY_OUTPUT_SIZE };
	t->echo = (struct tty_ring){ .bytes = t->bytes + TTY_INPUT_SIZE + TTY_OUTPUT_SIZE, .size = TTY_ECHO_SIZE };
}

/* --- echo --- */

static void finish_erasing(struct tty *t)
{
	if (t->erasing)
		line_emit_processed(t, '/');
	t->erasing = false;
}

static void note_column(struct tty *t)
{
	if (t->head == t->complete)
		t->line_column = t->column;
}

static void echo_typed(struct tty *t, uint8_t c)
{
	finish_erasing(t);
	note_column(t);
	line_echo(t, c);
}

/* --- editing --- */

static uint8_t at(const struct tty *t, uint32_t place)
{
	return t->line[place & LINE_MASK];
}

static void append(struct tty *t, uint8_t c)
{
	t->line[t->head++ & LINE_MASK] = c;
}

static void mark_end(struct tty *t, uint32_t place, bool is_end)
{
	uint64_t *word = &t->ends[(place & LINE_MASK) / 64], bit = 1ull << (place % 64);

	*word = is_end ? *word | bit : *word & ~bit;
}

static bool is_end(const struct tty *t, uint32_t place)
{
	return t->ends[(place & LINE_MASK) / 64] >> (place % 64) & 1;
}

/* How far back a tab goes depends on what stands before it, since the tab before that or since where the line began. */
static void erase_tab(struct tty *t)
{
	uint32_t columns = 0, place = t->head, back;
	uint8_t c = 0;

	while (place != t->complete && c != '\t') {
		c = at(t, --place);
		if (c != '\t' && is_control(c))
			columns += has_local(t, ECHOCTL) ? 2 : 0;
		else if (c != '\t')
			columns += !continues(t, c);
	}
	if (c != '\t')
		columns += t->line_column;
	for (back = 8 - (columns & 7); back; back--) {
		line_emit(t, '\b');
		t->column -= t->column > 0;
	}
}

static void erase_column(struct tty *t)
{
	line_emit_processed(t, '\b');
	line_emit_processed(t, ' ');
	line_emit_processed(t, '\b');
}

/* `size` bytes of one character are no longer in the line, the first of them at its head. */
static void echo_erased(struct tty *t, uint32_t size, bool one)
{
	uint8_t c = at(t, t->head);

	if (has_local(t, ECHOPRT)) {
		if (!t->erasing)
			line_emit_processed(t, '\\');
		t->erasing = true;
		line_echo(t, c);
		for (uint32_t i = 1; i < size; i++)
			line_emit_processed(t, at(t, t->head + i));
	} else if (one && !has_local(t, ECHOE)) {
		line_echo(t, t->modes.c_cc[VERASE]);
	} else if (c == '\t') {
		erase_tab(t);
	} else {
		if (is_control(c) && has_local(t, ECHOCTL))
			erase_column(t);
		if (!is_control(c) || has_local(t, ECHOCTL))
			erase_column(t);
	}
}

static void erase(struct tty *t, bool word, bool all)
{
	bool in_word = false;

	if (t->head == t->complete)
		return;
	while (t->head != t->complete) {
		uint32_t place = t->head;
		uint8_t c;

		do
			c = at(t, --place);
		while (continues(t, c) && place != t->complete);
		if (continues(t, c))
			break;
		if (word && !is_word(c) && in_word)
			break;
		in_word |= is_word(c);
		uint32_t size = t->head - place;
		t->head = place;
		if (has_local(t, ECHO))
			echo_erased(t, size, !word && !all);
		if (!word && !all)
			break;
	}
	if (t->head == t->complete && has_local(t, ECHO))
		finish_erasing(t);
}

static void kill_line(struct tty *t)
{
	if (has_local(t, ECHO) && has_local(t, ECHOK) && has_local(t, ECHOKE) && has_local(t, ECHOE)) {
		erase(t, false, true);
		return;
	}
	if (t->head == t->complete)
		return;
	t->head = t->complete;
	if (!has_local(t, ECHO))
		return;
	finish_erasing(t);
	line_echo(t, t->modes.c_cc[VKILL]);
	if (has_local(t, ECHOK))
		line_emit_processed(t, '\n');
}

static void reprint(struct tty *t)
{
	finish_erasing(t);
	line_echo(t, t->modes.c_cc[VREPRINT]);
	line_emit_processed(t, '\n');
	for (uint32_t place = t->complete; place != t->head; place++)
		line_echo(t, at(t, place));
}

static void append_typed(struct tty *t, uint8_t c)
{
	if (c == 0377 && has_input(t, PARMRK))
		append(t, c);
	append(t, c);
	if (!has_local(t, ICANON))
		t->due.slave |= READABLE;
}

static void end_line(struct tty *t, uint8_t c)
{
	mark_end(t, t->head, true);
	append(t, c);
	t->complete = t->head;
	t->due.slave |= READABLE;
}

/* What edits or ends a line. False: nothing of that kind. */
static bool edit(struct tty *t, uint8_t c)
{
	bool extended = has_local(t, IEXTEN);

	if (is(t, c, VERASE) || (is(t, c, VWERASE) && (extended || is(t, c, VKILL)))) {
		erase(t, !is(t, c, VERASE), false);
	} else if (is(t, c, VKILL)) {
		kill_line(t);
	} else if (is(t, c, VLNEXT) && extended) {
		t->quoted = true;
		if (has_local(t, ECHO))
			finish_erasing(t);
		if (has_local(t, ECHO) && has_local(t, ECHOCTL)) {
			line_emit_processed(t, '^');
			line_emit_processed(t, '\b');
		}
	} else if (is(t, c, VREPRINT) && has_local(t, ECHO) && extended) {
		reprint(t);
	} else if (c == '\n') {
		if (has_local(t, ECHO | ECHONL))
			line_emit_processed(t, c);
		end_line(t, c);
	} else if (is(t, c, VEOF)) {
		end_line(t, DISABLED);
	} else if (is(t, c, VEOL) || (is(t, c, VEOL2) && extended)) {
		if (has_local(t, ECHO)) {
			note_column(t);
			line_echo(t, c);
		}
		if (c == 0377 && has_input(t, PARMRK))
			append(t, c);
		end_line(t, c);
	} else {
		return false;
	}
	return true;
}

/* --- what is typed --- */

static void signal_key(struct tty *t, uint8_t c, int sig)
{
	if (!has_local(t, NOFLSH)) {
		if (tty_used(&t->echo))
			t->column = t->shown_column;
		t->echo.head = t->echo.tail;
		line_flush_output(t);
		line_flush_input(t);
	}
	t->due.signals |= 1ull << (sig - 1);
	if (has_input(t, IXON))
		line_start(t);
	if (has_local(t, ECHO))
		line_echo(t, c);
	else
		line_process_echo(t);
}

static bool is_signal(struct tty *t, uint8_t c)
{
	static const struct {
		int key, sig;
	} keys[] = { { VINTR, SIGINT }, { VQUIT, SIGQUIT }, { VSUSP, SIGTSTP } };

	for (unsigned i = 0; has_local(t, ISIG) && i < ARRAY_SIZE(keys); i++) {
		if (!is(t, c, keys[i].key))
			continue;
		signal_key(t, c, keys[i].sig);
		return true;
	}
	return false;
}

static bool controls_flow(struct tty *t, uint8_t c)
{
	if (!has_input(t, IXON) || (!is(t, c, VSTART) && !is(t, c, VSTOP)))
		return false;
	if (is(t, c, VSTART)) {
		line_start(t);
		line_process_echo(t);
	} else {
		line_stop(t);
	}
	return true;
}

/* The byte as it is, but for what makes it another one. */
static void type_plain(struct tty *t, uint8_t c)
{
	if (has_local(t, ECHO))
		echo_typed(t, c);
	append_typed(t, c);
}

/* What was a return: its echo is none of a control character, not even where no line ends. */
static void type_newline(struct tty *t)
{
	if (has_local(t, ICANON) && edit(t, '\n'))
		return;
	if (has_local(t, ECHO)) {
		finish_erasing(t);
		line_emit_processed(t, '\n');
	}
	append_typed(t, '\n');
}

static void type(struct tty *t, uint8_t c)
{
	if (has_input(t, ISTRIP))
		c &= 0x7f;
	if (has_input(t, IUCLC) && has_local(t, IEXTEN) && is_upper(c))
		c = (uint8_t)(c - 'A' + 'a');
	if (t->quoted) {
		t->quoted = false;
		type_plain(t, c);
		return;
	}
	if (controls_flow(t, c) || is_signal(t, c))
		return;
	if (has_input(t, IXON) && has_input(t, IXANY) && t->stopped) {
		line_start(t);
		line_process_echo(t);
	}
	if (c == '\r' && has_input(t, IGNCR))
		return;
	if (c == '\r' && has_input(t, ICRNL)) {
		type_newline(t);
		return;
	}
	if (c == '\n' && has_input(t, INLCR))
		c = '\r';
	if (!has_local(t, ICANON) || !edit(t, c))
		type_plain(t, c);
}

/* Room for one byte more: true. A line that is too long loses its last byte to each new one, so that its end can be typed. */
static bool has_room(struct tty *t)
{
	int32_t room = (int32_t)(TTY_LINE_SIZE - (t->head - t->tail));

	if (has_input(t, PARMRK))
		room = (room + 2) / 3;
	if (room > 1)
		return true;
	if (!has_local(t, ICANON) || t->complete != t->tail)
		return false;
	t->head -= room < 1;
	return true;
}

/* What was typed at once is echoed at its end, for a signal's key takes back the echo of what it flushes. */
void line_receive(struct tty *t)
{
	if (!tty_used(&t->input))
		return;
	t->receiving = true;
	while (tty_used(&t->input) && has_room(t)) {
		if (!tty_used(&t->echo))
			t->shown_column = t->column;
		type(t, take(&t->input));
		if (tty_used(&t->echo) >= ECHO_BATCH)
			line_process_echo(t);
		t->due.master |= WRITABLE;
	}
	t->receiving = false;
	if (tty_used(&t->echo) && has_local(t, ECHO | ECHONL))
		line_process_echo(t);
}

void line_flush_input(struct tty *t)
{
	t->head = t->tail = t->complete = 0;
	memset(t->ends, 0, sizeof(t->ends));
	t->erasing = false;
	line_news(t, TIOCPKT_FLUSHREAD);
}

/* --- reading --- */

static bool is_whole(const struct tty *t)
{
	return has_local(t, ICANON);
}

bool line_readable(const struct tty *t, bool poll)
{
	uint32_t least = poll && !t->modes.c_cc[VTIME] && t->modes.c_cc[VMIN] ? t->modes.c_cc[VMIN] : 1;

	return is_whole(t) ? t->complete != t->tail : t->head - t->tail >= least;
}

uint32_t line_count(const struct tty *t)
{
	uint32_t n = 0;

	if (!is_whole(t))
		return t->head - t->tail;
	for (uint32_t place = t->tail; place != t->complete; place++)
		n += !(is_end(t, place) && at(t, place) == DISABLED);
	return n;
}

/* Pieces, because what is read lies in a ring. */
static size_t copy(struct tty *t, struct iter *it, uint32_t size)
{
	size_t done = 0;

	while (done < size) {
		uint32_t from = (t->tail + (uint32_t)done) & LINE_MASK;
		size_t n = MIN(size - done, (size_t)(TTY_LINE_SIZE - from)), got = iter_put(it, t->line + from, n);

		done += got;
		if (got < n)
			break;
	}
	return done;
}

static ssize_t read_line(struct tty *t, struct iter *it)
{
	uint32_t size = (uint32_t)MIN(it->left, (size_t)(t->complete - t->tail)), n = 0, bytes;
	bool end = false, eof;

	while (n < size && !(end = is_end(t, t->tail + n)))
		n++;
	eof = end && at(t, t->tail + n) == DISABLED;
	bytes = n + (end && !eof);
	if (copy(t, it, bytes) < bytes)
		return -EFAULT;
	t->tail += bytes;
	/* What ends the line behind a buffer that is full now is no line of its own. */
	if (!end && t->tail != t->complete && is_end(t, t->tail) && at(t, t->tail) == DISABLED)
		end = eof = true;
	t->tail += eof;
	if (end)
		mark_end(t, t->tail - 1, false);
	return (ssize_t)bytes;
}

ssize_t line_read(struct tty *t, struct iter *it)
{
	ssize_t n;

	if (is_whole(t)) {
		n = read_line(t, it);
	} else {
		n = (ssize_t)copy(t, it, (uint32_t)MIN(it->left, (size_t)(t->head - t->tail)));
		t->tail += (uint32_t)n;
		n = n || !it->left || t->head == t->tail ? n : -EFAULT;
		if ((int32_t)(t->complete - t->tail) < 0)
			t->complete = t->tail;
	}
	line_receive(t);
	return n;
}

/* --- modes --- */

/* Do ^S and ^Q stop and start the output? What a master in packet mode wants to know. */
static bool has_usual_flow(const struct tty *t)
{
	return has_input(t, IXON) && t->modes.c_cc[VSTOP] == 19 && t->modes.c_cc[VSTART] == 17;
}

void line_set_modes(struct tty *t, const struct termios2 *modes)
{
	struct termios2 old = t->modes;
	bool flow = has_usual_flow(t);

	t->modes = *modes;
	t->modes.c_cflag = (t->modes.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8 | CREAD;
	if ((old.c_lflag ^ modes->c_lflag) & ICANON) {
		memset(t->ends, 0, sizeof(t->ends));
		t->complete = t->tail;
		if (is_whole(t) && t->head != t->tail) {
			mark_end(t, t->head - 1, true);
			t->complete = t->head;
		}
		t->erasing = t->quoted = false;
	}
	if (!has_input(t, IXON) && (old.c_iflag & IXON)) {
		line_start(t);
		line_process_echo(t);
	}
	if (has_usual_flow(t) != flow) {
		t->news &= (uint8_t) ~(TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
		line_news(t, flow ? TIOCPKT_NOSTOP : TIOCPKT_DOSTOP);
	}
	line_receive(t);
	t->due.slave |= READABLE | WRITABLE;
	t->due.master |= READABLE | WRITABLE;
}
