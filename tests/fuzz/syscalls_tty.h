/*
 * Random calls on pseudo-terminals of syscalls_guest.c, which includes this. Linux's line discipline works behind its callers' backs: a
 * read or poll that finds nothing waits for it. So nothing is typed while something can be read, and behind every call all that
 * the master sees is read.
 */
#ifndef TESTS_FUZZ_SYSCALLS_TTY_H
#define TESTS_FUZZ_SYSCALLS_TTY_H

#include <asm/ioctls.h>
#include <asm/termbits.h>

#define TTY_PAIRS 2u

static struct tty_pair {
	int master, slave; /* 0: closed */
} g_tty[TTY_PAIRS];
static sigset_t g_tty_signals;

static void tty_prepare(void)
{
	static const int signals[] = { SIGINT, SIGQUIT, SIGTSTP, SIGHUP, SIGCONT, SIGWINCH, SIGTTIN, SIGTTOU };

	sigemptyset(&g_tty_signals);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		sigaddset(&g_tty_signals, signals[i]);
	sigprocmask(SIG_BLOCK, &g_tty_signals, NULL);
}

static void show_bytes(const char *what, const uint8_t *bytes, size_t size)
{
	say(" %s ", what);
	for (size_t i = 0; i < size && i < 400; i++)
		say(bytes[i] > ' ' && bytes[i] < 127 && bytes[i] != '\\' ? "%c" : "\\%03o", bytes[i]);
	if (size > 400)
		say(" #%x of %zu", hash(bytes, size), size);
}

static bool tty_has(int n)
{
	struct pollfd p = { n, POLLIN, 0 };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLIN);
}

/* The line discipline has done all: who finds nothing to read waits for it to begin, who sets modes until it is not at work. */
static void tty_settle(int slave)
{
	struct termios modes;

	for (int i = 0; i < 4; i++)
		if (tty_has(slave) && ioctl(slave, TCGETS, &modes) == 0)
			ioctl(slave, TCSETS, &modes);
}

/* All that the call did: what the master sees, signals. */
static void tty_outcome(struct tty_pair *t)
{
	static uint8_t seen[32768], part[4096];
	struct timespec zero = { 0, 0 };
	size_t size = 0;
	int packets = 0;
	ssize_t n;

	if (t->slave)
		tty_settle(t->slave);
	if (t->master) {
		ioctl(t->master, TIOCGPKT, &packets);
		while ((n = read(t->master, part, sizeof part)) > 0 && size + (size_t)n < sizeof seen) {
			if (packets && part[0])
				say(" packet %x", part[0]);
			memcpy(seen + size, part + !!packets, (size_t)n - !!packets);
			size += (size_t)n - !!packets;
		}
		if (size)
			show_bytes("screen", seen, size);
		if (n < 0 && errno != EAGAIN)
			say(" screen E%d", errno);
	}
	for (int sig; (sig = sigtimedwait(&g_tty_signals, NULL, &zero)) > 0;)
		say(" [%d]", sig);
}

static void tty_open(struct tty_pair *t)
{
	int off = 0;

	if (!t->master) {
		say("open ptmx");
		t->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
		result(t->master < 0 ? -1 : 0);
		t->master = t->master < 0 ? 0 : t->master;
		if (!rarely(5))
			result(ioctl(t->master, TIOCSPTLCK, &off));
		return;
	}
	int n = ioctl(t->master, TIOCGPTPEER, O_RDWR | O_NONBLOCK | (rarely(4) ? 0 : O_NOCTTY));
	say("open peer");
	result(n < 0 ? -1 : 0);
	if (n < 0)
		ioctl(t->master, TIOCSPTLCK, &off);
	else if (t->slave)
		close(n);
	else
		t->slave = n;
}

static void tty_modes(struct tty_pair *t)
{
	static const tcflag_t input[] = { IGNBRK, BRKINT, IGNPAR, PARMRK, INPCK, ISTRIP, INLCR, IGNCR, ICRNL, IUCLC, IXON, IXANY, IXOFF, IMAXBEL, IUTF8 };
	static const tcflag_t output[] = { OPOST, OLCUC, ONLCR, OCRNL, ONOCR, ONLRET, XTABS, OFILL };
	static const tcflag_t local[] = { ISIG, ICANON, ECHO, ECHOE, ECHOK, ECHONL, NOFLSH, TOSTOP, ECHOCTL, ECHOPRT, ECHOKE, FLUSHO, PENDIN, IEXTEN };
	int n = rarely(4) && t->master ? t->master : t->slave;
	unsigned long set = (unsigned long)ONE_OF(TCSETS, TCSETS, TCSETS, TCSETSW, TCSETSF);
	struct pollfd room = { t->slave, POLLOUT, 0 };
	struct termios modes;

	if (!t->slave || ioctl(n, TCGETS, &modes) || poll(&room, 1, 0) != 1) /* stopped: Linux does not yet know how what waits will look */
		return;
	for (unsigned i = 1 + below(3); i; i--)
		switch (below(6)) {
		case 0:
		case 1: modes.c_lflag ^= local[below(sizeof local / sizeof local[0])]; break;
		case 2: modes.c_iflag ^= input[below(sizeof input / sizeof input[0])]; break;
		case 3: modes.c_oflag ^= output[below(sizeof output / sizeof output[0])]; break;
		case 4: modes.c_cc[below(17)] = (cc_t)ONE_OF(0, 1, 3, 4, 5, 'a', 'b', 127, '\t', ' ', 255); break;
		default: /* the usual ones again */
			modes.c_lflag = (modes.c_lflag & TOSTOP) | (tcflag_t)ONE_OF(0, ISIG, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
			modes.c_iflag = ICRNL | IXON;
			modes.c_oflag = OPOST | ONLCR;
			memcpy(modes.c_cc, "\003\034\177\025\004\000\001\000\021\023\032\000\022\017\027\026", 17);
		}
	say("modes %s %lx i%o o%o l%o cc ", n == t->master ? "master" : "slave", set & 0xf, modes.c_iflag, modes.c_oflag, modes.c_lflag);
	show_bytes("", modes.c_cc, 17);
	result(ioctl(n, set, &modes));
	ioctl(n, TCGETS, &modes);
	say(" now %o %o %o", modes.c_iflag, modes.c_oflag, modes.c_lflag);
}

static size_t tty_text(uint8_t *bytes)
{
	static const char keys[] = "aabbcc  \t\t\n\n\r\r\003\004\004\005\007\b\021\023\022\025\026\026\027\027\032\034\177\177\177\177_AZ\303\244\377";
	size_t size = 1 + below(24);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)keys[below(sizeof keys)]; /* its NUL too */
	return size;
}

static void tty_type(struct tty_pair *t)
{
	uint8_t bytes[24];
	size_t size = tty_text(bytes);

	struct termios modes;

	if (!t->master || !t->slave || tty_has(t->slave) || ioctl(t->master, TCGETS, &modes))
		return;
	if (memchr(bytes, modes.c_cc[VSTART], size) || (modes.c_iflag & IXANY)) /* whether a signal's key takes back what these let out is luck */
		modes.c_lflag |= NOFLSH, ioctl(t->master, TCSETS, &modes);
	say("type");
	show_bytes("", bytes, size);
	result(write(t->master, bytes, size));
}

static void tty_print(struct tty_pair *t)
{
	uint8_t bytes[24];
	size_t size = tty_text(bytes);

	if (!t->slave)
		return;
	say("print");
	show_bytes("", bytes, size);
	result(write(t->slave, bytes, size));
}

static void tty_read(struct tty_pair *t)
{
	uint8_t bytes[64];
	size_t most = (size_t)ONE_OF(64, 64, 64, 1, 2, 5, 0);

	if (!t->slave)
		return;
	say("read %zu", most);
	ssize_t n = result(read(t->slave, bytes, most));
	if (n > 0)
		show_bytes("", bytes, (size_t)n);
}

static void tty_ask(struct tty_pair *t)
{
	static const struct {
		const char *name;
		unsigned long request;
	} asks[] = { { "FIONREAD", FIONREAD }, { "TIOCOUTQ", TIOCOUTQ }, { "TIOCGPKT", TIOCGPKT }, { "TIOCGPTLCK", TIOCGPTLCK }, { "TIOCGEXCL", TIOCGEXCL },
		     { "TIOCGETD", TIOCGETD }, { "TIOCGSOFTCAR", TIOCGSOFTCAR }, { "TIOCMGET", TIOCMGET }, { "nothing", 0x54fe } };
	int n = t->slave && rarely(2) ? t->slave : t->master, value = -1, on = (int)below(2);
	struct pollfd p = { n, POLLIN | POLLOUT | POLLPRI, 0 };
	const char *end = n == t->slave ? "slave" : "master";
	unsigned which = below(sizeof asks / sizeof asks[0]);

	if (!n)
		return;
	switch (below(12)) {
	case 0:
	case 1:
		if (asks[which].request == FIONREAD && n == t->master) /* what is on its way to it is not waited for */
			return;
		say("%s %s", asks[which].name, end);
		if (result(ioctl(n, asks[which].request, rarely(30) ? (void *)g_guard : &value)) == 0)
			say(" %d", value);
		break;
	case 2: {
		int what = (int)ONE_OF(TCIFLUSH, TCOFLUSH, TCIOFLUSH, 3);
		say("TCFLSH %s %d", end, what);
		result(ioctl(n, TCFLSH, what));
		break;
	}
	case 3: {
		int what = (int)ONE_OF(TCOOFF, TCOON, TCOON, TCIOFF, TCION, 4);
		if (!t->slave || tty_has(t->slave)) /* types */
			return;
		say("TCXONC %s %d", end, what);
		result(ioctl(n, TCXONC, what));
		break;
	}
	case 4:
		say("TIOCPKT %s %d", end, on);
		result(ioctl(n, TIOCPKT, &on));
		break;
	case 5: {
		struct winsize w = { (unsigned short)below(3), 80, 0, 0 };
		say("TIOCSWINSZ %s %u", end, w.ws_row);
		result(ioctl(n, TIOCSWINSZ, &w));
		w.ws_row = 99;
		result(ioctl(n == t->slave && t->master ? t->master : n, TIOCGWINSZ, &w));
		say(" %u", w.ws_row);
		break;
	}
	case 6: {
		int what = (int)ONE_OF(SIGINT, SIGQUIT, SIGTSTP, SIGTERM, 0);
		if (!t->slave || tty_has(t->slave))
			return;
		say("TIOCSIG %s %d", end, what);
		result(ioctl(n, TIOCSIG, what));
		break;
	}
	case 7: {
		pid_t group = -1;
		unsigned long what = (unsigned long)ONE_OF(TIOCGPGRP, TIOCGSID, TIOCSPGRP);
		if (what == TIOCSPGRP)
			group = (pid_t)ONE_OF(getpgrp(), getpgrp(), 0x7fffffff, -1);
		say("%s %s %s", what == TIOCGPGRP ? "TIOCGPGRP" : what == TIOCGSID ? "TIOCGSID" : "TIOCSPGRP", end, group == getpgrp() ? "mine" : group < 0 ? "-" : "none");
		if (result(ioctl(n, what, &group)) == 0)
			say(" %s", group == getpgrp() ? "mine" : group ? "other" : "0");
		break;
	}
	case 8: {
		unsigned long what = (unsigned long)ONE_OF(TIOCSCTTY, TIOCSCTTY, TIOCNOTTY);
		say("%s %s", what == TIOCSCTTY ? "TIOCSCTTY" : "TIOCNOTTY", end);
		result(ioctl(n, what, 0));
		break;
	}
	case 9: {
		unsigned long what = (unsigned long)ONE_OF(TCSBRK, TIOCEXCL, TIOCNXCL);
		say("%s %s", what == TCSBRK ? "TCSBRK" : what == TIOCEXCL ? "TIOCEXCL" : "TIOCNXCL", end);
		result(ioctl(n, what, 1));
		break;
	}
	case 10: {
		struct termios2 modes;
		say("TCGETS2 %s", end);
		if (result(ioctl(n, TCGETS2, &modes)) == 0)
			say(" %o %o %o %o %u %u", modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag, modes.c_ispeed, modes.c_ospeed);
		break;
	}
	default:
		say("poll %s", end);
		result(poll(&p, 1, 0));
		say(" %x", (unsigned)p.revents);
	}
}

static void tty_close(struct tty_pair *t)
{
	int *n = rarely(2) ? &t->slave : &t->master;

	if (!*n || !rarely(3))
		return;
	say("close %s", n == &t->slave ? "slave" : "master");
	result(close(*n));
	*n = 0;
	if (!t->master && t->slave && rarely(2)) {
		close(t->slave);
		t->slave = 0;
	}
}

static void do_tty(void)
{
	struct tty_pair *t = &g_tty[below(TTY_PAIRS)];

	say("%td ", t - g_tty);
	if ((!t->master || !t->slave) && rarely(3))
		tty_open(t);
	else switch (below(16)) {
	case 0:
	case 1:
	case 2: tty_modes(t); break;
	case 3:
	case 4:
	case 5: tty_ask(t); break;
	case 6:
	case 7: tty_print(t); break;
	case 8: tty_close(t); break;
	case 9:
	case 10:
	case 11: tty_read(t); break;
	default: tty_type(t);
	}
	tty_outcome(t);
}

#endif
