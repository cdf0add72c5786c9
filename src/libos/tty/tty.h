/*
 * A pseudo-terminal: two ends and the line discipline between them, which is Linux's n_tty. What is written to the master is the
 * keyboard: bytes wait in `input` until the line discipline has room, which edits, echoes and makes signals of them, and puts what a
 * read of the slave shall see into `line`. What is written to the slave goes the other way, into `output`. All of it is of fixed size,
 * so a writer waits, or an echo is lost, where nobody reads.
 *
 * tty->lock covers everything but the wait queues and what tty/terminal.h has locks for. Wake-ups and signals that come of what is
 * done under it are noted in `due` and happen in tty_unlock, when it is free again: others' locks come first (epoll, the processes' tree).
 */
#ifndef LIBOS_TTY_H
#define LIBOS_TTY_H

#include "core/lock.h"
#include "fs/file.h"
#include "tty/terminal.h"
#include <asm/termbits.h>
#include <asm/termios.h>

#define TTY_LINE_SIZE 4096u /* a line in the making, and lines that nobody has read; as Linux */
#define TTY_INPUT_SIZE 16384u
#define TTY_OUTPUT_SIZE 32768u
#define TTY_ECHO_SIZE 4096u
#define TTY_MAX 256u

/* Bytes ever read and written; `size` is a power of two. */
struct tty_ring {
	uint8_t *bytes;
	uint32_t head, tail, size;
};

struct tty {
	struct terminal terminal; /* first */
	struct mutex lock;
	uint32_t refs; /* atomic: files, g_ttys */
	uint32_t number;
	struct termios2 modes;
	struct winsize window;
	bool locked;	  /* TIOCSPTLCK: the slave cannot be opened */
	bool exclusive;	  /* TIOCEXCL of the slave */
	bool master_exclusive; /* keeps nobody out */
	bool packets;	  /* TIOCPKT */
	uint8_t news;	  /* TIOCPKT_*: what the master has still to be told */
	uint32_t masters, slaves; /* struct files */
	bool was_open;	  /* a slave was, and none is: reading the master ends */
	struct dentry *node; /* /dev/pts/N; NULL once the master is closed */

	/* the line discipline: */
	struct tty_ring input, output;
	uint32_t shown;		/* of the output: what pty_peek gave, for pty_skip */
	struct tty_ring echo; /* what waits for room in the output, or for its start */
	uint8_t line[TTY_LINE_SIZE];
	uint64_t ends[TTY_LINE_SIZE / 64]; /* of lines: a bit for each byte of `line` */
	uint32_t head, tail, complete;	   /* of `line`: bytes ever written, read, and those of whole lines */
	uint32_t column, line_column;	   /* of the cursor, now and where this line began */
	uint32_t shown_column;		   /* without the echo that waits */
	bool receiving;	      /* echo waits for the end of what was typed at once */
	bool quoted;	      /* the last character was VLNEXT */
	bool erasing;	      /* ECHOPRT: between \ and / */
	bool stopped, held;   /* output: by VSTOP or TCOOFF; by the latter, which VSTART does not undo */
	bool master_held;     /* TCOOFF of the master: nothing can be typed */
	struct {
		uint32_t master, slave; /* EPOLL* bits to wake */
		uint64_t signals;	/* for the foreground group */
	} due;

	struct waitq master_wait, slave_wait;
	uint8_t bytes[TTY_INPUT_SIZE + TTY_OUTPUT_SIZE + TTY_ECHO_SIZE];
};

static inline uint32_t tty_used(const struct tty_ring *r)
{
	return r->tail - r->head;
}

void tty_lock(struct tty *t);
void tty_unlock(struct tty *t);

/* tty/line.c and tty/line_output.c: the line discipline; t->lock held. */
extern const cc_t line_keys[NCCS]; /* at first */
void line_init(struct tty *t);
/* As much of the input as there is room for becomes lines. */
void line_receive(struct tty *t);
/* Is there something to read? For poll only if it is VMIN bytes. */
bool line_readable(const struct tty *t, bool poll);
uint32_t line_count(const struct tty *t); /* FIONREAD */
/* Puts at most it->left bytes of what was typed where `it` is, of one line at most: bytes, or -EFAULT. */
struct iter;
ssize_t line_read(struct tty *t, struct iter *it);
bool line_writable(const struct tty *t);
/* Takes what it can of the slave's output: bytes, or -EFAULT. */
ssize_t line_write(struct tty *t, struct iter *it);
void line_flush_input(struct tty *t);
void line_flush_output(struct tty *t); /* all but what the master could have read long ago */
void line_set_modes(struct tty *t, const struct termios2 *modes);
void line_stop(struct tty *t);
void line_start(struct tty *t);
void line_passed(struct tty *t); /* a byte went past the line discipline into the output */
void line_output_drained(struct tty *t); /* the master has read: who waits for room is told */

/* tty/pty.c */
nodiscard struct tty *tty_get_by_number(uint32_t number); /* with a reference, or NULL */
void tty_put(struct tty *t);
/* /dev/ptmx is opened: a new pair. */
nodiscard struct file *pty_open_master(int flags, int *error);
nodiscard struct file *pty_open_slave(struct tty *t, int flags, int *error);
/* The same by who has the master open, and no name: the file has the slave's. */
nodiscard struct file *pty_open_peer(struct tty *t, int flags, int *error);
/* For the libOS itself (process/exec_service.c), from and to its own memory; `master` does not block. As pipe_peek and pipe_skip. */
nodiscard ssize_t pty_peek(struct file *master, void *buf, size_t size);
void pty_skip(struct file *master, size_t size);
/* A master with a slave that has a name, is this user's and the next session's. */
nodiscard int pty_create(struct file **master, struct file **slave, uint32_t uid);
void pty_resize(struct file *master, uint16_t rows, uint16_t columns);
struct terminal *pty_terminal(struct file *slave);

/* tty/ioctl.c: what both ends know. `own`: f is the slave. */
long tty_ioctl(struct file *f, struct tty *t, bool own, unsigned long request, void *user);

/* tty/devpts.c: names. */
nodiscard int devpts_add(struct tty *t);
void devpts_own(struct tty *t, uint32_t uid); /* else it is the calling process's */
void devpts_remove(struct tty *t);

#endif
