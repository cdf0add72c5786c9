/*
 * The fault storm's program (tests/soak/storm.py): messages and connections, see storm.h.
 *
 * usage: storm backend NUMBER PORT
 *        storm client SEED WHO WHERE PORT,PORT CHANNELS     WHERE: folder of counts; CHANNELS: bits
 * CORRUPT=N in the environment: one message of N is corrupted.
 */
#include "storm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cvm/stream.h>

const char *g_me;
int g_corrupt;

uint64_t mix(uint64_t x) /* splitmix64 */
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t random_word(uint64_t *state)
{
	return mix(++*state);
}

void fill(void *bytes, uint64_t size, uint64_t seed, uint64_t offset)
{
	for (uint64_t at = 0; at < size; at += 8) {
		uint64_t word = mix(seed + offset + at / 8);
		memcpy((char *)bytes + at, &word, size - at < 8 ? size - at : 8);
	}
}

bool is_filled(const void *bytes, uint64_t size, uint64_t seed, uint64_t offset, uint64_t inverted)
{
	for (uint64_t at = 0; at < size; at += 8) {
		uint64_t word = mix(seed + offset + at / 8) ^ inverted;
		if (memcmp((const char *)bytes + at, &word, size - at < 8 ? size - at : 8))
			return false;
	}
	return true;
}

void invert(void *bytes, uint64_t size)
{
	for (uint64_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] ^= 0xff;
}

void corrupt(void *bytes, uint64_t size)
{
	static int turn;

	if (g_corrupt && size && __atomic_add_fetch(&turn, 1, __ATOMIC_RELAXED) % g_corrupt == 0)
		((uint8_t *)bytes)[size / 2] ^= 1;
}

void wrong(const char *what, uint64_t who, uint64_t sequence)
{
	dprintf(1, "WRONG %s: %s, from %ld, number %ld\n", g_me, what, (long)who, (long)sequence);
}

bool end_send(const struct end *e, const void *bytes, uint64_t size)
{
	for (uint64_t done = 0; done < size;) {
		ssize_t n = e->stream ? cp_stream_send(e->number, (const char *)bytes + done, size - done, 0) :
					send(e->number, (const char *)bytes + done, size - done, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		done += (uint64_t)n;
	}
	return true;
}

/* At least one byte from the mapped ring. */
static ssize_t from_ring(const struct end *e, void *bytes, uint64_t size)
{
	const void *at;
	ssize_t n = cp_stream_window(e->number, e->ring, &at, 0);

	if (n <= 0)
		return n;
	size = (uint64_t)n < size ? (uint64_t)n : size;
	memcpy(bytes, at, size);
	return cp_stream_release(e->number, size) ? -1 : (ssize_t)size;
}

bool end_receive(const struct end *e, void *bytes, uint64_t size)
{
	for (uint64_t done = 0; done < size;) {
		ssize_t n = e->ring ? from_ring(e, (char *)bytes + done, size - done) :
			    e->stream ? cp_stream_recv(e->number, (char *)bytes + done, size - done, 0) :
					recv(e->number, (char *)bytes + done, size - done, 0);
		if (n <= 0)
			return false;
		done += (uint64_t)n;
	}
	return true;
}

void end_close(struct end *e)
{
	if (e->stream)
		cp_close(e->number);
	else
		close(e->number);
	if (e->ring)
		(void)cp_stream_unmap(e->ring);
}

uint64_t message_sum(const struct message *m)
{
	return mix(m->magic ^ mix(m->who ^ mix(m->sequence ^ mix(m->size ^ (uint64_t)m->flags << 32))));
}

bool message_send(const struct end *e, const struct message *m, const void *payload)
{
	return end_send(e, m, sizeof *m) && end_send(e, payload, m->size);
}

int message_receive(const struct end *e, struct message *m, void *payload, const struct message *want)
{
	if (!end_receive(e, m, sizeof *m))
		return 0;
	if (m->magic != MAGIC || m->sum != message_sum(m) || m->size > PAYLOAD_MAX || (want && memcmp(want, m, sizeof *m))) {
		wrong("header", m->who, m->sequence);
		return -1;
	}
	if (!end_receive(e, payload, m->size))
		return 0;
	if (is_filled(payload, m->size, message_seed(m), 0, want ? ~0ull : 0))
		return 1;
	wrong(want ? "answer" : "request", m->who, m->sequence);
	return -1;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	g_corrupt = getenv("CORRUPT") ? atoi(getenv("CORRUPT")) : 0;
	g_me = argc > 2 ? argv[1] : "";
	if (argc == 4 && !strcmp(g_me, "backend"))
		return backend(atoi(argv[2]), atoi(argv[3]));
	if (argc == 7 && !strcmp(g_me, "client"))
		return client(strtoull(argv[2], NULL, 0), atoi(argv[3]), argv[4], argv[5], (uint32_t)strtoul(argv[6], NULL, 0));
	return 2;
}
