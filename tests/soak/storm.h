/*
 * What the programs of the fault storm share: messages that say what they must contain, and who counts what.
 *
 * A message is a header and bytes that follow from (who, sequence) alone, so whoever gets one knows every byte of it; the answer is
 * the same bytes inverted. A difference is a line "WRONG ..." and a count: errors are allowed in a storm, wrong bytes never are.
 */
#ifndef STORM_H
#define STORM_H

#include <stdbool.h>
#include <stdint.h>

#define BACKENDS 2
#define PAYLOAD_MAX (192u << 10)	    /* more than a stream's ring */
#define BOARD_PART (512u << 10)		    /* of the pod's file, for each who */
#define MAGIC 0x53544f524d212121ull
#define FLAG_CAP 1u			    /* a capability came before this message */

struct message {
	uint64_t magic, who, sequence;
	uint32_t size, flags;
	uint64_t sum; /* of the header's other fields and of the bytes */
};

/* What a call does: word[0]; word[1] who, word[2] sequence, word[3] a random number, word[4] depth. */
enum call { CALL_ECHO, CALL_CAP, CALL_READ, CALL_FAULT, CALL_EXIT, CALL_THREAD_EXIT, CALL_LOOP };

enum channel { CH_CALL, CH_CAP, CH_STREAM, CH_FILE, CH_TCP, CH_UNIX, CH_REVOKE, CH_EVIL, CHANNELS };

struct count {
	uint64_t ok, errors, wrong;
};

extern const char *g_me;
extern int g_corrupt; /* the control: one byte of so many messages is another */

uint64_t random_word(uint64_t *state);
uint64_t mix(uint64_t x);
void fill(void *bytes, uint64_t size, uint64_t seed, uint64_t offset); /* offset: in words */
bool is_filled(const void *bytes, uint64_t size, uint64_t seed, uint64_t offset, uint64_t inverted);
void invert(void *bytes, uint64_t size);
void corrupt(void *bytes, uint64_t size); /* now and then, when it is the control's turn */
void wrong(const char *what, uint64_t who, uint64_t sequence);

/* Both ends of a connection: a CP_Stream or a socket. All bytes, or false. */
struct end {
	int number;
	bool stream;
	const void *ring; /* of a stream whose bytes are used where they lie, or NULL */
};
bool end_send(const struct end *e, const void *bytes, uint64_t size);
bool end_receive(const struct end *e, void *bytes, uint64_t size);
void end_close(struct end *e);

static inline uint64_t message_seed(const struct message *m)
{
	return mix(m->who ^ mix(m->sequence));
}

uint64_t message_sum(const struct message *m);
bool message_send(const struct end *e, const struct message *m, const void *payload);
/* 1: whole and right; 0: the connection ended; -1: wrong. `want`: what must come, inverted; NULL: a request. */
int message_receive(const struct end *e, struct message *m, void *payload, const struct message *want);

int backend(int number, int port);
int client(uint64_t seed, int who, const char *where, const char *ports, uint32_t channels);

#endif
