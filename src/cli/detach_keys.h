/*
 * The keys by which whoever sits at the terminal of `intravisor exec -it` leaves its program.
 */
#ifndef CLI_DETACH_KEYS_H
#define CLI_DETACH_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#define DETACH_KEYS_MAX 16u
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"
#define DETACH_KEYS_INIT {.key = {'P' - '@', 'Q' - '@'}, .count = 2} /* the same */

struct detach_keys {
	char key[DETACH_KEYS_MAX]; /* one after the other */
	size_t count;		   /* 0: there are none */
	size_t held;		   /* so many of them were typed and not passed on yet */
};

/* "ctrl-p,ctrl-q" as docker has it: characters, and ctrl- before a letter or one of @ [ \ ] ^ _; "": none. False: it is wrong, and
 * *keys as it was. */
__attribute__((warn_unused_result)) bool detach_keys_parse(const char *text, struct detach_keys *keys);

/* What was typed goes to `out`, which has room for keys->held + size bytes, but for what may become the sequence; the size of that.
 * *whole: the sequence was typed, and what follows it is dropped. */
__attribute__((warn_unused_result)) size_t detach_keys_pass(struct detach_keys *keys, const char *typed, size_t size, char *out,
							     bool *whole);

#endif
