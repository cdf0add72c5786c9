/*
 * See detach_keys.h. Called by words.c and exec_client.c.
 */
#include "cli/detach_keys.h"

#include <string.h>
#include <strings.h>

/* The key that so many characters name; false: none. */
static bool parse_key(const char *name, size_t size, char *key)
{
	char last = name[size - 1];
	char upper = last >= 'a' && last <= 'z' ? (char)(last - 'a' + 'A') : last;

	if (size == 1)
		*key = last;
	else if (size == 6 && strncasecmp(name, "ctrl-", 5) == 0 && upper >= '@' && upper <= '_')
		*key = (char)(upper - '@');
	else
		return false;
	return size > 1 || (last > ' ' && last <= '~');
}

bool detach_keys_parse(const char *text, struct detach_keys *keys)
{
	struct detach_keys parsed = {.count = 0};
	bool more = *text;

	for (const char *at = text; more;) {
		size_t size = strcspn(at, ",");

		if (!size || parsed.count == DETACH_KEYS_MAX || !parse_key(at, size, &parsed.key[parsed.count++]))
			return false;
		more = at[size] == ',';
		at += size + more;
	}
	*keys = parsed;
	return true;
}

/* Another key than the next one came: passes on what no longer can be the sequence's begin. */
static size_t give_up(struct detach_keys *keys, char *out)
{
	size_t shorter = keys->held - 1, passed;

	while (memcmp(keys->key + keys->held - shorter, keys->key, shorter) != 0)
		shorter--;
	passed = keys->held - shorter;
	memcpy(out, keys->key, passed);
	keys->held = shorter;
	return passed;
}

size_t detach_keys_pass(struct detach_keys *keys, const char *typed, size_t size, char *out, bool *whole)
{
	size_t passed = 0;

	*whole = false;
	for (size_t i = 0; i < size && !*whole; i++) {
		while (keys->held && typed[i] != keys->key[keys->held])
			passed += give_up(keys, out + passed);
		if (keys->count && typed[i] == keys->key[keys->held])
			*whole = ++keys->held == keys->count;
		else
			out[passed++] = typed[i];
	}
	return passed;
}
