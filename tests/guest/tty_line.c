/*
 * The line discipline of a pseudo-terminal: what is typed at the master, what the slave reads of it, and what the master sees of that
 * and of what the slave prints, in many modes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "say.h"

#define END "<===>"
#define COOKED (ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN)

static int g_master, g_slave;

static void show(const char *what, const char *bytes, ssize_t size)
{
	printf("  %s %zd: ", what, size);
	for (ssize_t i = 0; i < size; i++)
		printf(bytes[i] >= ' ' && bytes[i] < 127 && bytes[i] != '\\' ? "%c" : "\\%03o", (unsigned char)bytes[i]);
	printf("%s\n", size < 0 ? strerror(errno) : "");
}

static void show_read(int fd, size_t most)
{
	char bytes[8192];

	show("read", bytes, read(fd, bytes, most));
}

/* What the master sees: the slave's mark comes behind the echo of all that the slave has read. */
static void show_screen(void)
{
	static char seen[65536];
	size_t size = 0, end = strlen(END);

	if (write(g_slave, END, end) != (ssize_t)end)
		printf("  no mark: %s\n", strerror(errno));
	while (size < end || memcmp(seen + size - end, END, end) != 0) {
		ssize_t n = read(g_master, seen + size, sizeof(seen) - size);

		if (n <= 0) {
			printf("  screen: %s\n", strerror(errno));
			return;
		}
		size += (size_t)n;
	}
	show("screen", seen, (ssize_t)(size - end));
}

static void type(const char *bytes, size_t size)
{
	ssize_t n = write(g_master, bytes, size);

	if (n != (ssize_t)size)
		printf("  typed %zd of %zu\n", n, size);
}

static void set(tcflag_t input, tcflag_t output, tcflag_t local)
{
	struct termios t;

	tcgetattr(g_slave, &t);
	t.c_iflag = input;
	t.c_oflag = output;
	t.c_lflag = local;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	if (tcsetattr(g_slave, TCSANOW, &t))
		printf("  tcsetattr: %s\n", strerror(errno));
}

static void key(int which, cc_t c)
{
	struct termios t;

	tcgetattr(g_slave, &t);
	t.c_cc[which] = c;
	tcsetattr(g_slave, TCSANOW, &t);
}

struct lines {
	const char *name;
	tcflag_t input, output, local;
	const char *typed;
	int reads; /* lines */
};

#define OUT (OPOST | ONLCR)

static const struct lines g_lines[] = {
	{ "a line", ICRNL, OUT, COOKED, "hello\r", 1 },
	{ "two lines", ICRNL, OUT, COOKED, "one\rtwo\n", 2 },
	{ "no ICRNL", 0, OUT, COOKED, "a\rb\n", 1 },
	{ "INLCR", INLCR, OUT, COOKED, "a\nb\r\004", 1 },
	{ "IGNCR", IGNCR | ICRNL, OUT, COOKED, "a\rb\n", 1 },
	{ "ISTRIP", ISTRIP, OUT, COOKED, "\341b\343\n", 1 },
	{ "IUCLC", IUCLC, OUT, COOKED, "ABcd\n", 1 },
	{ "PARMRK", PARMRK, OUT, COOKED, "a\377b\n", 1 },
	{ "no echo", ICRNL, OUT, COOKED & ~(tcflag_t)ECHO, "secret\r", 1 },
	{ "ECHONL", ICRNL, OUT, (COOKED & ~(tcflag_t)ECHO) | ECHONL, "secret\r", 1 },
	{ "no OPOST", ICRNL, 0, COOKED, "x\r", 1 },
	{ "erase", ICRNL, OUT, COOKED, "abc\177\177X\r", 1 },
	{ "erase too much", ICRNL, OUT, COOKED, "a\177\177\177b\r", 1 },
	{ "erase control", ICRNL, OUT, COOKED, "a\001\177b\r", 1 },
	{ "erase tab", ICRNL, OUT, COOKED, "ab\tc\177\177d\r", 1 },
	{ "erase tabs", ICRNL, OUT, COOKED, "\001b\t\tc\177\177\177d\r", 1 },
	{ "erase without ECHOE", ICRNL, OUT, COOKED & ~(tcflag_t)ECHOE, "abc\177d\r", 1 },
	{ "erase with ECHOPRT", ICRNL, OUT, COOKED | ECHOPRT, "abcd\177\177e\r", 1 },
	{ "no ECHOCTL", ICRNL, OUT, COOKED & ~(tcflag_t)ECHOCTL, "a\001\177b\r", 1 },
	{ "erase UTF-8", ICRNL | IUTF8, OUT, COOKED, "a\303\244\342\202\254\177b\r", 1 },
	{ "erase bytes of UTF-8", ICRNL, OUT, COOKED, "a\303\244\177b\r", 1 },
	{ "word", ICRNL, OUT, COOKED, "one two_2  \027x\r", 1 },
	{ "words", ICRNL, OUT, COOKED, "one/two;\027\027x\r", 1 },
	{ "no IEXTEN", ICRNL, OUT, COOKED & ~(tcflag_t)IEXTEN, "one two\027\026x\r", 1 },
	{ "kill", ICRNL, OUT, COOKED, "one two\025three\r", 1 },
	{ "kill without ECHOKE", ICRNL, OUT, COOKED & ~(tcflag_t)ECHOKE, "one two\025three\r", 1 },
	{ "kill without ECHOK", ICRNL, OUT, COOKED & ~(tcflag_t)(ECHOK | ECHOKE), "one two\025three\r", 1 },
	{ "quoted", ICRNL, OUT, COOKED, "a\026\003\026\177\026\004b\r", 1 },
	{ "quoted return", ICRNL, OUT, COOKED, "a\026\rb\r", 1 },
	{ "reprint", ICRNL, OUT, COOKED, "abc\022d\r", 1 },
	{ "end of file", ICRNL, OUT, COOKED, "\004", 1 },
	{ "end within", ICRNL, OUT, COOKED, "abc\004def\004\004", 3 },
	{ "null", ICRNL, OUT, COOKED, "a", 0 },
	{ "interrupt", ICRNL, OUT, COOKED, "abc\003de\r", 1 },
	{ "interrupt without flush", ICRNL, OUT, COOKED | NOFLSH, "abc\003de\r", 1 },
	{ "interrupt while erasing", ICRNL, OUT, COOKED | ECHOPRT | NOFLSH, "ab\177\003c\r", 1 },
	{ "word of nothing while erasing", ICRNL, OUT, COOKED | ECHOPRT, "a\r\177\027b\r", 2 },
	{ "quoted line end", ICRNL, OUT, COOKED, "a\026\nb\r", 1 },
	{ "quoted interrupt", ICRNL, OUT, COOKED, "a\026\003b\003\026\003\r", 1 },
	{ "OLCUC beyond ASCII", ICRNL, OUT | OLCUC, COOKED, "\344\367\377\337\r", 1 },
	{ "IUCLC beyond ASCII", ICRNL | IUCLC, OUT, COOKED, "\304\327\336\r", 1 },
	{ "ONLRET", ICRNL, OPOST | ONLRET, COOKED, "ab\rc\r", 2 },
	{ "OCRNL", 0, OPOST | OCRNL, COOKED, "ab\rc\n", 1 },
	{ "ONOCR", 0, OPOST | ONOCR, COOKED, "\rab\rc\n", 1 },
	{ "OLCUC", ICRNL, OUT | OLCUC, COOKED, "ab\r", 1 },
	{ "XTABS", ICRNL, OUT | XTABS, COOKED, "a\tb\tc\177\177\r", 1 },
};

static void lines(void)
{
	for (size_t i = 0; i < sizeof(g_lines) / sizeof(g_lines[0]); i++) {
		const struct lines *l = &g_lines[i];

		printf("%s\n", l->name);
		set(l->input, l->output, l->local);
		type(l->typed, strlen(l->typed));
		for (int n = 0; n < l->reads; n++)
			show_read(g_slave, 4096);
		if (!l->reads) { /* what is half a line now is the beginning of the next */
			type("\n", 1);
			show_read(g_slave, 4096);
		}
		show_screen();
	}
}

static void parts(void)
{
	printf("a line in parts\n");
	set(ICRNL, OUT, COOKED);
	type("abcdef\rgh\r", 10);
	show_read(g_slave, 4);
	show_read(g_slave, 2);
	show_read(g_slave, 4096);
	show_read(g_slave, 4096);
	show_screen();
	printf("an end behind a full buffer\n");
	type("abcd\004ef\r", 8);
	show_read(g_slave, 4);
	show_read(g_slave, 4096);
	show_screen();
	printf("other keys\n");
	key(VEOL, ';');
	key(VERASE, '#');
	type("ab#c;d\r", 7);
	show_read(g_slave, 4096);
	show_read(g_slave, 4096);
	show_screen();
	key(VEOL, 0);
	key(VERASE, 127);
}

static void long_line(void)
{
	static char bytes[6000];

	printf("a line that is too long\n");
	set(ICRNL, OUT, COOKED & ~(tcflag_t)ECHO);
	memset(bytes, 'x', sizeof(bytes));
	bytes[sizeof(bytes) - 2] = 'y';
	bytes[sizeof(bytes) - 1] = '\n';
	type(bytes, sizeof(bytes));
	ssize_t n = read(g_slave, bytes, sizeof(bytes));
	printf("  %zd, ends %c %d\n", n, bytes[n - 2], bytes[n - 1]);
}

static void raw(void)
{
	struct pollfd p = { .fd = g_slave, .events = POLLIN };
	int n = 0;

	printf("raw\n");
	set(0, 0, 0);
	type("a\r\003\n\377", 5);
	key(VMIN, 5);
	show_read(g_slave, 100);
	key(VMIN, 3);
	type("abcd", 4);
	show_read(g_slave, 2);
	show_read(g_slave, 2);
	show_screen();
	printf("what is there\n");
	key(VMIN, 0);
	show_read(g_slave, 10);
	key(VTIME, 1);
	show_read(g_slave, 10);
	type("z", 1);
	show_read(g_slave, 10);
	key(VMIN, 2);
	key(VTIME, 1);
	type("q", 1);
	show_read(g_slave, 10);
	printf("poll waits for VMIN\n");
	key(VTIME, 0);
	key(VMIN, 3);
	type("12", 2);
	printf("  %d\n", poll(&p, 1, 50));
	type("3", 1);
	n = poll(&p, 1, -1);
	printf("  %d %x\n", (int)n, p.revents);
	show_read(g_slave, 10);
	printf("raw becomes cooked and back\n");
	set(0, 0, 0);
	type("half", 4);
	poll(&p, 1, -1);
	for (n = 0; ioctl(g_slave, FIONREAD, &n) == 0 && n < 4;)
		usleep(1000);
	set(ICRNL, OUT, COOKED);
	show_read(g_slave, 100);
	show_screen();
}

static void flush_and_count(void)
{
	struct pollfd p = { .fd = g_slave, .events = POLLIN };
	int n = -1;

	printf("counts\n");
	set(ICRNL, OUT, COOKED);
	type("abc\rde\004\rxx", 10);
	while (ioctl(g_slave, FIONREAD, &n) == 0 && n < 7)
		usleep(1000);
	printf("  %d\n", n);
	T(ioctl(g_slave, TIOCOUTQ, &n));
	printf("  %d\n", n);
	T(tcflush(g_slave, TCIFLUSH));
	printf("  %d\n", poll(&p, 1, 0));
	T(tcflush(g_slave, 17));
	T(tcsendbreak(g_slave, 0));
	T(tcdrain(g_slave));
	show_screen();
	printf("TCSAFLUSH forgets what was typed\n");
	type("gone\r", 5);
	poll(&p, 1, -1);
	struct termios t;
	tcgetattr(g_slave, &t);
	T(tcsetattr(g_slave, TCSAFLUSH, &t));
	type("here\r", 5);
	show_read(g_slave, 100);
	show_screen();
}

static void flow(void)
{
	struct pollfd p = { .fd = g_slave, .events = POLLOUT };

	printf("flow control by key\n");
	set(ICRNL | IXON, OUT, COOKED);
	type("\023", 1);
	while (poll(&p, 1, 0) == 1)
		usleep(1000);
	fcntl(g_slave, F_SETFL, O_RDWR | O_NONBLOCK);
	T(write(g_slave, "x", 1));
	type("\021", 1);
	printf("  %d\n", poll(&p, 1, -1));
	fcntl(g_slave, F_SETFL, O_RDWR);
	show_screen();
	printf("flow control by request\n");
	T(tcflow(g_slave, TCOOFF));
	printf("  %d\n", poll(&p, 1, 0));
	type("\021ab\r", 4);
	show_read(g_slave, 100);
	printf("  %d\n", poll(&p, 1, 0));
	T(tcflow(g_slave, TCOON));
	show_screen();
	T(tcflow(g_slave, 9));
	T(tcflow(g_slave, TCIOFF));
	T(tcflow(g_slave, TCION));
	show_screen();
}

static void packets(void)
{
	struct pollfd p = { .fd = g_master, .events = POLLIN | POLLPRI };
	int on = 1, n;

	printf("packets\n");
	set(ICRNL | IXON, OUT, COOKED);
	T(ioctl(g_master, TIOCPKT, &on));
	T(ioctl(g_master, TIOCGPKT, &on));
	T(write(g_slave, "hello\n", 6));
	poll(&p, 1, -1);
	show_read(g_master, 100);
	T(tcflow(g_slave, TCOOFF));
	n = poll(&p, 1, -1);
	printf("  %d %x\n", (int)n, p.revents & POLLPRI);
	show_read(g_master, 100);
	T(tcflow(g_slave, TCOON));
	show_read(g_master, 100);
	key(VSTOP, 1);
	show_read(g_master, 100);
	key(VSTOP, 19);
	show_read(g_master, 100);
	T(tcflush(g_slave, TCIFLUSH));
	show_read(g_master, 100);
	on = 0;
	T(ioctl(g_master, TIOCPKT, &on));
	T(write(g_slave, "plain\n", 6));
	poll(&p, 1, -1);
	show_read(g_master, 100);
}

static void modes(void)
{
	struct termios t, u;
	struct winsize w = { 24, 80, 1, 2 };

	printf("modes\n");
	T(tcgetattr(g_slave, &t));
	printf("  %x %x %x %x", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
	for (int i = 0; i < 17; i++)
		printf(" %d", t.c_cc[i]);
	printf(" %u %u\n", cfgetispeed(&t), cfgetospeed(&t));
	cfsetspeed(&t, B9600);
	t.c_cflag = (t.c_cflag & ~(tcflag_t)CSIZE) | CS7 | PARENB;
	T(tcsetattr(g_master, TCSADRAIN, &t));
	T(tcgetattr(g_slave, &u));
	printf("  %x %u\n", u.c_cflag, cfgetospeed(&u));
	T(ioctl(g_slave, TIOCGWINSZ, &w));
	printf("  %d %d %d %d\n", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
	w = (struct winsize){ 24, 80, 1, 2 };
	T(ioctl(g_master, TIOCSWINSZ, &w));
	memset(&w, 0, sizeof(w));
	T(ioctl(g_slave, TIOCGWINSZ, &w));
	printf("  %d %d %d %d\n", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
	T(ioctl(g_slave, TIOCGWINSZ, (void *)8));
	T(ioctl(g_slave, TCSETS, (void *)8));
	T(ioctl(g_slave, TIOCGPTN, &w));
	T(ioctl(g_slave, 0x5499, &w));
	T(ioctl(g_master, 0x5499, &w));
	T(lseek(g_slave, 0, SEEK_SET));
	T(pread(g_slave, &w, 1, 0));
	volatile uintptr_t nowhere = 8;
	T(write(g_slave, (void *)nowhere, 5));
	printf("isatty %d %d\n", isatty(g_master), isatty(g_slave));
}

static void keys(void)
{
	int what = 0;

	printf("line ends without lines\n");
	set(ICRNL, OUT, ECHO | ECHOCTL);
	type("a\nb\rc", 5);
	show_read(g_slave, 5);
	show_screen();
	printf("one key to erase words and lines\n");
	set(ICRNL, OUT, COOKED & ~(tcflag_t)IEXTEN);
	key(VKILL, '#');
	key(VWERASE, '#');
	type("one two#x\r", 10);
	show_read(g_slave, 64);
	show_screen();
	key(VKILL, 21);
	key(VWERASE, 23);
	printf("an end that was none\n");
	set(ICRNL, OUT, 0);
	type("ab\0", 3);
	for (struct pollfd p = { .fd = g_slave, .events = POLLIN }; what < 3; poll(&p, 1, 10))
		ioctl(g_slave, FIONREAD, &what);
	set(ICRNL, OUT, COOKED);
	show_read(g_slave, 64);
	show_screen();
}

static void show_value(int what)
{
	printf("  %d%s%s\n", what, what < 0 ? " " : "", what < 0 ? strerror(errno) : "");
}

/* What belongs to one end, and outlives the other. */
static void two_ends(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK), on = 1, slave, value = -1;
	struct pollfd p = { .fd = master, .events = POLLIN | POLLOUT };
	char bytes[64];

	printf("two ends\n");
	ioctl(master, TIOCPKT, &on);
	show_value(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
	printf("  %zd %s\n", read(master, bytes, sizeof(bytes)), strerror(errno)); /* refused: nobody was there */
	show_value(unlockpt(master));
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	ioctl(slave, TIOCEXCL);
	show_value(ioctl(master, TIOCGEXCL, &value) ? -1 : value);
	show_value(ioctl(slave, TIOCGEXCL, &value) ? -1 : value);
	show_value(ioctl(slave, TIOCGSOFTCAR, &value) ? -1 : value);
	show_value(ioctl(master, TCXONC, TCOOFF));
	printf("  %zd %s\n", write(master, "x", 1), strerror(errno));
	show_value(poll(&p, 1, 0));
	show_value(ioctl(master, TCXONC, TCOON));
	show_value(poll(&p, 1, 0));
	value = -1;
	show_value(ioctl(slave, TIOCSPGRP, &value));
	close(slave);
	show_value(ioctl(master, TIOCGPKT, &value) ? -1 : value);
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	show_value(ioctl(slave, TIOCGEXCL, &value) ? -1 : value);
	close(slave);
	close(master);
}

/* System V's terminal modes: the lower halves of the flags, eight characters. */
static void old_modes(void)
{
	struct termio old;
	struct termios t;

	printf("System V's modes\n");
	T(ioctl(g_slave, TCGETA, &old));
	printf("  %x %x %x %x %d %d\n", old.c_iflag, old.c_oflag, old.c_cflag, old.c_lflag, old.c_cc[VINTR], old.c_cc[VEOF]);
	tcgetattr(g_slave, &t);
	t.c_iflag |= IUTF8;
	t.c_lflag |= IEXTEN;
	t.c_cc[VWERASE] = 'w';
	tcsetattr(g_slave, TCSANOW, &t);
	old.c_lflag &= (unsigned short)~(ECHO | ICANON);
	old.c_iflag &= (unsigned short)~IUTF8;
	old.c_cc[VINTR] = 'i';
	T(ioctl(g_slave, TCSETA, &old));
	T(ioctl(g_slave, TCSETAW, &old));
	T(ioctl(g_master, TCSETAF, &old));
	T(ioctl(g_slave, TCSETA, NULL));
	T(ioctl(g_slave, TCGETA, NULL));
	tcgetattr(g_master, &t);
	printf("  %x %x %x %x %d %d\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag, t.c_cc[VINTR], t.c_cc[VWERASE]);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	g_master = posix_openpt(O_RDWR | O_NOCTTY);
	if (g_master < 0 || grantpt(g_master) || unlockpt(g_master)) {
		printf("no pseudo-terminal: %s\n", strerror(errno));
		return 1;
	}
	g_slave = open(ptsname(g_master), O_RDWR | O_NOCTTY);
	modes();
	lines();
	parts();
	long_line();
	raw();
	flush_and_count();
	flow();
	packets();
	keys();
	two_ends();
	old_modes();
	return 0;
}
