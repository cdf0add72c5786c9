/*
 * What can be asked of a pseudo-terminal and set. Both ends have the slave's modes and size; `own` says that it is the slave's end.
 */
#include "core/uaccess.h"
#include "fs/inode.h"
#include "process/process.h"
#include "thread/thread.h"
#include "tty/tty.h"

#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/eventpoll.h>

#define MODES_SIZE offsetof(struct termios2, c_ispeed) /* of struct termios */
_Static_assert(MODES_SIZE != sizeof(struct termio), "set_modes tells them by their size");

static speed_t speed_of(tcflag_t flags, speed_t other)
{
	static const speed_t slow[] = { 0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400 };
	static const speed_t fast[] = { 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000,
					2500000, 3000000, 3500000, 4000000 };
	tcflag_t code = flags & CBAUD;

	if (code == BOTHER)
		return other;
	if (!(code & CBAUDEX))
		return slow[code];
	return (code & ~(tcflag_t)CBAUDEX) - 1 < ARRAY_SIZE(fast) ? fast[(code & ~(tcflag_t)CBAUDEX) - 1] : 38400;
}

static long get_modes(struct tty *t, void *user, size_t size)
{
	struct termios2 modes;

	mutex_lock(&t->lock);
	modes = t->modes;
	mutex_unlock(&t->lock);
	return copy_to_user(user, &modes, size);
}

/* System V's structure has the lower halves of the flags and fewer characters: it leaves the rest alone. */
static long get_termio(struct tty *t, struct termio *user)
{
	struct termio old;

	memset(&old, 0, sizeof(old));
	mutex_lock(&t->lock);
	old.c_iflag = (uint16_t)t->modes.c_iflag;
	old.c_oflag = (uint16_t)t->modes.c_oflag;
	old.c_cflag = (uint16_t)t->modes.c_cflag;
	old.c_lflag = (uint16_t)t->modes.c_lflag;
	old.c_line = t->modes.c_line;
	memcpy(old.c_cc, t->modes.c_cc, sizeof(old.c_cc));
	mutex_unlock(&t->lock);
	return put_user(old, user);
}

static long take_termio(struct termios2 *modes, const void *user)
{
	struct termio old;

	if (copy_from_user(&old, user, sizeof(old)))
		return -EFAULT;
	modes->c_iflag = (modes->c_iflag & ~0xffffu) | old.c_iflag;
	modes->c_oflag = (modes->c_oflag & ~0xffffu) | old.c_oflag;
	modes->c_cflag = (modes->c_cflag & ~0xffffu) | old.c_cflag;
	modes->c_lflag = (modes->c_lflag & ~0xffffu) | old.c_lflag;
	modes->c_line = old.c_line;
	memcpy(modes->c_cc, old.c_cc, sizeof(old.c_cc));
	return 0;
}

/* `size` says which structure the program has. */
static long set_modes(struct tty *t, const void *user, size_t size, bool flush)
{
	struct termios2 modes;
	long ret = terminal_check(&t->terminal, SIGTTOU);

	if (ret)
		return ret;
	tty_lock(t);
	modes = t->modes;
	ret = size == sizeof(struct termio) ? take_termio(&modes, user) : copy_from_user(&modes, user, size);
	if (!ret) {
		modes.c_ospeed = speed_of(modes.c_cflag, modes.c_ospeed);
		modes.c_ispeed = speed_of(modes.c_cflag >> IBSHIFT, modes.c_ispeed);
		if (!(modes.c_cflag >> IBSHIFT & CBAUD))
			modes.c_ispeed = modes.c_ospeed;
		if (flush)
			line_flush_input(t);
		line_set_modes(t, &modes);
	}
	tty_unlock(t);
	return ret;
}

static void set_window(struct tty *t, const struct winsize *w)
{
	tty_lock(t);
	if (memcmp(&t->window, w, sizeof(*w)) != 0)
		t->due.signals |= 1ull << (SIGWINCH - 1);
	t->window = *w;
	tty_unlock(t);
}

static long window(struct tty *t, bool set, struct winsize *user)
{
	struct winsize w;

	if (set) {
		if (get_user(w, user))
			return -EFAULT;
		set_window(t, &w);
		return 0;
	}
	mutex_lock(&t->lock);
	w = t->window;
	mutex_unlock(&t->lock);
	return put_user(w, user);
}

void pty_resize(struct file *master, uint16_t rows, uint16_t columns)
{
	struct winsize w = { .ws_row = rows, .ws_col = columns };

	set_window(master->data, &w);
}

static long flush(struct tty *t, bool own, unsigned long which)
{
	long ret = terminal_check(&t->terminal, SIGTTOU);

	if (ret || which > TCIOFLUSH)
		return ret ? ret : -EINVAL;
	tty_lock(t);
	if (own && which != TCOFLUSH) {
		line_flush_input(t);
		line_receive(t);
	}
	if (own && which != TCIFLUSH)
		line_flush_output(t);
	if (!own && which != TCOFLUSH)
		t->output.head = t->output.tail;
	if (!own && which != TCIFLUSH)
		t->input.head = t->input.tail;
	if (!own)
		line_output_drained(t);
	tty_unlock(t);
	return 0;
}

/* The key that stops or starts the other side's output is sent there. */
static void send_key(struct tty *t, bool own, uint8_t c)
{
	struct tty_ring *r = own ? &t->output : &t->input;

	if (!c || tty_used(r) == r->size || (own ? t->held : t->master_held))
		return;
	r->bytes[r->tail++ & (r->size - 1)] = c;
	if (own)
		line_passed(t);
	else
		line_receive(t);
}

static void hold_master(struct tty *t, bool on)
{
	t->master_held = on;
	if (!on)
		t->due.master |= EPOLLOUT | EPOLLWRNORM;
}

static long control_flow(struct tty *t, bool own, unsigned long what)
{
	long ret = terminal_check(&t->terminal, SIGTTOU);

	if (ret || what > TCION)
		return ret ? ret : -EINVAL;
	tty_lock(t);
	if (what == TCOOFF && own) {
		line_stop(t);
		t->held = true;
	} else if (what == TCOON && own && t->held) {
		t->held = false;
		line_start(t);
	} else if (what == TCOOFF || what == TCOON) {
		if (!own)
			hold_master(t, what == TCOOFF);
	} else {
		const cc_t *keys = own ? t->modes.c_cc : line_keys; /* nobody changes the master's */

		send_key(t, own, keys[what == TCIOFF ? VSTOP : VSTART]);
	}
	tty_unlock(t);
	return 0;
}

static int count(struct tty *t, bool own)
{
	int n;

	mutex_lock(&t->lock);
	n = (int)(own ? line_count(t) : tty_used(&t->output));
	mutex_unlock(&t->lock);
	return n;
}

static long open_peer(struct tty *t, unsigned flags)
{
	int err;
	struct file *f = pty_open_peer(t, (int)(flags & ~(unsigned)O_CLOEXEC), &err);

	if (!f)
		return err;
	f->flags &= ~(uint32_t)O_NOCTTY;
	return fd_install(f, 0, flags & O_CLOEXEC);
}

/* From here on: by the master. */

static long set_bool(struct tty *t, bool *what, const int *user)
{
	int on;

	if (get_user(on, user))
		return -EFAULT;
	tty_lock(t);
	*what = on != 0;
	t->news = 0;
	tty_unlock(t);
	return 0;
}

static long signal_slave(struct tty *t, unsigned long sig)
{
	if (sig != SIGINT && sig != SIGQUIT && sig != SIGTSTP)
		return -EINVAL;
	terminal_signal(&t->terminal, (int)sig);
	return 0;
}

static long master_only(struct tty *t, unsigned long request, void *user)
{
	switch (request) {
	case TIOCGPTN:
		return put_user(t->number, (uint32_t *)user);
	case TIOCSPTLCK:
		return set_bool(t, &t->locked, user);
	case TIOCGPTLCK:
		return put_user((int)t->locked, (int *)user);
	case TIOCPKT:
		return set_bool(t, &t->packets, user);
	case TIOCGPKT:
		return put_user((int)t->packets, (int *)user);
	case TIOCSIG:
		return signal_slave(t, (unsigned long)user);
	case TIOCGPTPEER:
		return open_peer(t, (unsigned)(uintptr_t)user);
	default:
		return -ENOTTY;
	}
}

long tty_ioctl(struct file *f, struct tty *t, bool own, unsigned long request, void *user)
{
	if (terminal_knows(request))
		return terminal_ioctl(&t->terminal, f, own, request, user);
	switch (request) {
	case TCGETS:
	case TCGETS2:
		return get_modes(t, user, request == TCGETS ? MODES_SIZE : sizeof(struct termios2));
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return set_modes(t, user, MODES_SIZE, request == TCSETSF);
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		return set_modes(t, user, sizeof(struct termios2), request == TCSETSF2);
	case TCGETA:
		return get_termio(t, user);
	case TCSETA:
	case TCSETAW:
	case TCSETAF:
		return set_modes(t, user, sizeof(struct termio), request == TCSETAF);
	case TIOCGWINSZ:
	case TIOCSWINSZ:
		return window(t, request == TIOCSWINSZ, user);
	case FIONREAD:
		return put_user(count(t, own), (int *)user);
	case TIOCOUTQ: /* what was written is the other side's at once */
	case TIOCGETD:
		return put_user(0, (int *)user);
	case TCFLSH:
		return flush(t, own, (unsigned long)user);
	case TCXONC:
		return control_flow(t, own, (unsigned long)user);
	case TCSBRK:
	case TCSBRKP:
	case TIOCSBRK:
	case TIOCCBRK:
		return terminal_check(&t->terminal, SIGTTOU);
	case TIOCEXCL:
	case TIOCNXCL:
		__atomic_store_n(own ? &t->exclusive : &t->master_exclusive, request == TIOCEXCL, __ATOMIC_RELAXED);
		return 0;
	case TIOCGSOFTCAR:
		return put_user((int)((t->modes.c_cflag & CLOCAL) != 0), (int *)user);
	case TIOCGEXCL:
		return put_user((int)(own ? t->exclusive : t->master_exclusive), (int *)user);
	case TIOCGDEV:
		return put_user(t->terminal.device, (uint32_t *)user);
	case TIOCSTI: /* as Linux without CONFIG_LEGACY_TIOCSTI */
		return -EIO;
	default:
		return own ? -ENOTTY : master_only(t, request, user);
	}
}
