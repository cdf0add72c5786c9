/*
 * printf-like formatting for messages and the text files of /proc (core/types.h names the conversions). No locale, no
 * floating point, no allocation. The format strings are the libOS's own; what they print may come from the program.
 */
#include "core/types.h"

struct output {
	char *buf;
	size_t size;
	size_t length; /* wanted; may exceed size */
};

struct spec {
	bool left, zero, alternate;
	int width, precision; /* precision -1: none */
	int length;	      /* number of 'l's; 'z' counts as one */
};

static void put(struct output *o, char c)
{
	if (o->length + 1 < o->size)
		o->buf[o->length] = c;
	o->length++;
}

static void put_padded(struct output *o, const struct spec *s, const char *text, int length)
{
	int pad = s->width > length ? s->width - length : 0;

	if (!s->left)
		for (; pad; pad--)
			put(o, ' ');
	for (int i = 0; i < length; i++)
		put(o, text[i]);
	for (; pad > 0; pad--)
		put(o, ' ');
}

/* Prefix ("-", "0x"), then zeroes up to the width or precision, then digits. */
static void put_number(struct output *o, const struct spec *s, uint64_t value, unsigned base, const char *prefix,
		       bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[88];
	char reversed[24];
	int n = 0, length = 0, zeroes;

	do {
		reversed[n++] = digits[value % base];
		value /= base;
	} while (value);
	for (; *prefix; prefix++)
		text[length++] = *prefix;
	zeroes = s->precision - n;
	if (s->precision < 0 && s->zero && !s->left)
		zeroes = s->width - n - length;
	for (zeroes = MIN(zeroes, 60); zeroes > 0; zeroes--)
		text[length++] = '0';
	while (n)
		text[length++] = reversed[--n];
	put_padded(o, s, text, length);
}

static const char *parse_spec(const char *fmt, struct spec *s, __builtin_va_list *args)
{
	*s = (struct spec){.precision = -1};
	for (;; fmt++) {
		if (*fmt == '-')
			s->left = true;
		else if (*fmt == '0')
			s->zero = true;
		else if (*fmt == '#')
			s->alternate = true;
		else if (*fmt != ' ' && *fmt != '+')
			break;
	}
	if (*fmt == '*') {
		s->width = __builtin_va_arg(*args, int);
		fmt++;
	}
	for (; *fmt >= '0' && *fmt <= '9'; fmt++)
		s->width = s->width * 10 + (*fmt - '0');
	if (*fmt == '.') {
		s->precision = 0;
		fmt++;
		if (*fmt == '*') {
			s->precision = __builtin_va_arg(*args, int);
			fmt++;
		}
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			s->precision = s->precision * 10 + (*fmt - '0');
	}
	for (; *fmt == 'l' || *fmt == 'z' || *fmt == 'h'; fmt++)
		if (*fmt != 'h')
			s->length++;
	return fmt;
}

static void put_signed(struct output *o, const struct spec *s, int64_t value)
{
	put_number(o, s, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, value < 0 ? "-" : "", false);
}

int vformat(char *buf, size_t size, const char *fmt, __builtin_va_list args_in)
{
	struct output o = {buf, size, 0};
	struct spec s;
	__builtin_va_list args;

	__builtin_va_copy(args, args_in);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		fmt = parse_spec(fmt + 1, &s, &args);
		if (!*fmt)
			break;
		if (*fmt == 's') {
			const char *text = __builtin_va_arg(args, const char *);
			if (!text)
				text = "(null)";
			size_t length = s.precision >= 0 ? strnlen(text, (size_t)s.precision) : strlen(text);
			put_padded(&o, &s, text, (int)length);
		} else if (*fmt == 'c') {
			char c = (char)__builtin_va_arg(args, int);
			put_padded(&o, &s, &c, 1);
		} else if (*fmt == 'd' || *fmt == 'i') {
			put_signed(&o, &s, s.length ? __builtin_va_arg(args, long) : __builtin_va_arg(args, int));
		} else if (*fmt == 'u' || *fmt == 'x' || *fmt == 'X' || *fmt == 'o') {
			uint64_t v = s.length ? __builtin_va_arg(args, unsigned long) : __builtin_va_arg(args, unsigned);
			unsigned base = *fmt == 'u' ? 10 : *fmt == 'o' ? 8 : 16;
			put_number(&o, &s, v, base, s.alternate && base == 16 && v ? "0x" : s.alternate && base == 8 ? "0" : "",
				   *fmt == 'X');
		} else if (*fmt == 'p') {
			put_number(&o, &s, (uint64_t)(uintptr_t)__builtin_va_arg(args, void *), 16, "0x", false);
		} else {
			put(&o, *fmt);
		}
	}
	__builtin_va_end(args);
	if (size)
		buf[MIN(o.length, size - 1)] = '\0';
	return (int)o.length;
}

int format(char *buf, size_t size, const char *fmt, ...)
{
	__builtin_va_list args;
	int n;

	__builtin_va_start(args, fmt);
	n = vformat(buf, size, fmt, args);
	__builtin_va_end(args);
	return n;
}
