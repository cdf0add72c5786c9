/*
 * Parsers of single values: see value.h. Called by the setters in fields.c. The texts come from the command line or a
 * configuration file of the user who starts the Intravisor: not hostile, but often wrong.
 */
#include "config/value.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits only: no sign, no space, no other base. Returns the first character behind them, or a null pointer. */
static const char *parse_digits(const char *text, uint64_t *number)
{
	uint64_t value = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return NULL;
	if (p == text)
		return NULL;
	*number = value;
	return p;
}

static void size_text(uint64_t size, char *text, size_t text_size)
{
	static const char units[] = "\0KMGT";
	unsigned unit = 0;

	while (size && size % 1024 == 0 && unit < 4) {
		size /= 1024;
		unit++;
	}
	snprintf(text, text_size, "%llu%.1s", (unsigned long long)size, units + unit);
}

int value_size(const char *text, uint64_t min, uint64_t max, uint64_t *size, struct config_error *error)
{
	static const char units[] = "KMGT";
	uint64_t value;
	unsigned shift = 0;
	const char *p = parse_digits(text, &value);

	if (p && *p) {
		char upper = (char)(*p & ~0x20);
		const char *unit = upper ? strchr(units, upper) : NULL;

		shift = unit ? (unsigned)(unit - units + 1) * 10 : 0;
		p = unit ? p + 1 : NULL;
		if (p && (strcmp(p, "iB") == 0 || strcmp(p, "B") == 0))
			p = "";
	}
	if (!p || *p || value > (UINT64_MAX >> shift))
		return config_fail(error, "\"%.100s\" is not a size (use 64M, 2G)", text);
	value <<= shift;
	if (value < min || value > max) {
		char low[32], high[32];

		size_text(min, low, sizeof(low));
		size_text(max, high, sizeof(high));
		return config_fail(error, "%.100s is out of range (use %s to %s)", text, low, high);
	}
	*size = value;
	return 0;
}

int value_number(const char *text, uint32_t min, uint32_t max, uint32_t *number, struct config_error *error)
{
	uint64_t value;
	const char *p = parse_digits(text, &value);

	if (!p || *p)
		return config_fail(error, "\"%.100s\" is not a number (use %u to %u)", text, min, max);
	if (value < min || value > max)
		return config_fail(error, "%.100s is out of range (use %u to %u)", text, min, max);
	*number = (uint32_t)value;
	return 0;
}

int value_duration(const char *text, uint32_t *milliseconds, struct config_error *error)
{
	static const struct {
		const char *name;
		uint32_t milliseconds;
	} units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	const uint64_t max = 24 * 3600000;
	uint64_t value;
	const char *p = parse_digits(text, &value);

	for (size_t i = 0; p && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(p, units[i].name) != 0)
			continue;
		if (value > max / units[i].milliseconds)
			return config_fail(error, "%.100s is too long (at most 24h)", text);
		*milliseconds = (uint32_t)(value * units[i].milliseconds);
		return 0;
	}
	return config_fail(error, "\"%.100s\" is not a time (use 500ms, 10s, 2m)", text);
}

int value_name(const char *text, struct config_error *error)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t size = strlen(text);

	if (size == 0 || size >= LAUNCH_NAME_MAX || strspn(text, allowed) != size)
		return config_fail(error, "\"%.100s\" is not a name (use 1 to %d of A-Z a-z 0-9 _ . -)", text,
				   LAUNCH_NAME_MAX - 1);
	return 0;
}

int value_bool(const char *text, bool *value, struct config_error *error)
{
	if (strcmp(text, "true") == 0)
		*value = true;
	else if (strcmp(text, "false") == 0)
		*value = false;
	else
		return config_fail(error, "\"%.100s\" is neither true nor false", text);
	return 0;
}

int value_guest_path(const char *text, char **path, struct config_error *error)
{
	if (text[0] != '/')
		return config_fail(error, "\"%.200s\" is not an absolute path inside the cVM (start it with /)", text);
	if (strlen(text) >= PATH_MAX)
		return config_fail(error, "the path is too long (at most %d bytes)", PATH_MAX - 1);
	char *result = xcalloc(strlen(text) + 2, 1);
	size_t used = 0;

	for (const char *p = text; *p;) {
		size_t skip = strspn(p, "/"), size = strcspn(p + skip, "/");
		const char *name = p + skip;

		p = name + size;
		if (size == 0)
			break;
		if ((size == 1 && name[0] == '.') || (size == 2 && name[0] == '.' && name[1] == '.')) {
			free(result);
			return config_fail(error, "\"%.200s\" contains \"%.*s\" (write the path out)", text, (int)size, name);
		}
		result[used++] = '/';
		memcpy(result + used, name, size);
		used += size;
	}
	if (used == 0)
		result[used++] = '/';
	*path = result;
	return 0;
}

/* Edit distance, at most `limit`; words are short (keys and options). */
static unsigned distance(const char *a, const char *b)
{
	size_t rows = strlen(a), columns = strlen(b);
	unsigned row[64];

	if (rows > 63 || columns > 62)
		return UINT_MAX;
	for (size_t j = 0; j <= columns; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= rows; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= columns; j++) {
			unsigned cost = diagonal + ((a[i - 1] | 0x20) != (b[j - 1] | 0x20));

			diagonal = row[j];
			if (row[j] + 1 < cost)
				cost = row[j] + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			row[j] = cost;
		}
	}
	return row[columns];
}

const char *value_nearest(const char *word, const char *const *words)
{
	const char *best = NULL;
	unsigned best_distance = 1 + (unsigned)strlen(word) / 3;

	for (; *words; words++) {
		unsigned d = distance(word, *words);

		if (d <= best_distance && (!best || d < best_distance)) {
			best = *words;
			best_distance = d;
		}
	}
	return best;
}
