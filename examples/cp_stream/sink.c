/* Accepts one connection and uses the bytes where they arrived, without copying them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cvm/stream.h>

#define CHECK(x) do { long r_ = (x); if (r_ < 0) { printf("sink: %s: %s\n", #x, strerror((int)-r_)); return 1; } } while (0)
#define PIECE (64u << 10)
#define PIECES 4096u

/* Byte `at` of the stream; each piece is filled with its number, then come 64-bit numbers. */
static unsigned char expected(uint64_t at)
{
	if (at < (uint64_t)PIECE * PIECES)
		return (unsigned char)(at / PIECE);
	at -= (uint64_t)PIECE * PIECES;
	return (unsigned char)(at / 8 >> at % 8 * 8);
}

int main(void)
{
	uint64_t total = 0, wrong = 0;
	const void *ring, *bytes;
	struct cp_info info;
	int listener, stream;
	ssize_t n;

	CHECK(listener = cp_listen("numbers", 1));
	CHECK(stream = cp_accept(listener, CP_FOREVER));
	CHECK(cp_info(stream, &info));
	CHECK(cp_stream_map(stream, &ring));
	while ((n = cp_stream_window(stream, ring, &bytes, 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			wrong += ((const unsigned char *)bytes)[i] != expected(total + (uint64_t)i);
		total += (uint64_t)n;
		CHECK(cp_stream_release(stream, (size_t)n));
	}
	CHECK(n);
	printf("sink: connection %lu: %lu bytes, %lu wrong\n", (unsigned long)info.word, (unsigned long)total, (unsigned long)wrong);
	fflush(stdout);
	CHECK(cp_stream_send(stream, "bye", 3, 0));
	return 0;
}
