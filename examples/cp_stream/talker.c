/* The same program on both ends, each sending to and receiving from the other at once: "listen" or "connect". */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cvm/poll.h>
#include <cvm/stream.h>

#define CHECK(x) do { long r_ = (x); if (r_ < 0) { printf("%s: %s: %s\n", me, #x, strerror((int)-r_)); return 1; } } while (0)
#define TOTAL (64u << 20)

static unsigned char byte_at(uint64_t at, unsigned seed)
{
	return (unsigned char)(at * 7 + at / 251 + seed);
}

int main(int argc, char **argv)
{
	static unsigned char out[10007], in[10007];
	const char *me = argc > 1 ? argv[1] : "listen";
	unsigned seed = me[0], other = seed == 'l' ? 'c' : 'l';
	uint64_t sent = 0, received = 0, wrong = 0;
	struct cp_poll entry = { .events = 0 };

	if (seed == 'l') {
		int listener;
		CHECK(listener = cp_listen("talk", 1));
		CHECK(entry.cap = cp_accept(listener, CP_FOREVER));
	} else {
		while ((entry.cap = cp_connect("talk", 0)) == -ENOENT)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		CHECK(entry.cap);
	}
	while (sent < TOTAL || received < TOTAL) {
		entry.events = (received < TOTAL ? CP_READABLE : 0) | (sent < TOTAL ? CP_WRITABLE : 0);
		CHECK(cp_poll(&entry, 1, CP_FOREVER));
		if (entry.revents & entry.events & CP_WRITABLE) {
			size_t size = sizeof out < TOTAL - sent ? sizeof out : TOTAL - sent;
			for (size_t i = 0; i < size; i++)
				out[i] = byte_at(sent + i, seed);
			ssize_t n = cp_stream_send(entry.cap, out, size, CP_DONTWAIT);
			if (n != -EAGAIN)
				CHECK(n);
			sent += n > 0 ? (uint64_t)n : 0;
		}
		if (entry.revents & CP_READABLE) {
			ssize_t n = cp_stream_recv(entry.cap, in, sizeof in, CP_DONTWAIT);
			if (n == 0)
				break;
			CHECK(n);
			for (ssize_t i = 0; i < n; i++)
				wrong += in[i] != byte_at(received + (uint64_t)i, other);
			received += (uint64_t)n;
		}
	}
	printf("%s: sent %lu, received %lu, wrong %lu\n", me, (unsigned long)sent, (unsigned long)received, (unsigned long)wrong);
	return 0;
}
