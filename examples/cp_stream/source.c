/* Sends bytes to another cVM: 256 MiB in large pieces, then a million small messages in batches. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cvm/stream.h>

#define CHECK(x) do { long r_ = (x); if (r_ < 0) { printf("source: %s: %s\n", #x, strerror((int)-r_)); return 1; } } while (0)
#define PIECE (64u << 10)
#define PIECES 4096u
#define MESSAGES 1000000u

int main(void)
{
	static unsigned char piece[PIECE], buffer[4096];
	struct cp_batch batch = { .buffer = buffer, .size = sizeof buffer };
	int stream;

	while ((stream = cp_connect("numbers", 42)) == -ENOENT) /* nobody listens yet */
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	CHECK(stream);
	for (unsigned i = 0; i < PIECES; i++) {
		memset(piece, (int)(i & 0xff), sizeof piece);
		CHECK(cp_stream_send(stream, piece, sizeof piece, 0));
	}
	batch.stream = stream;
	for (uint64_t i = 0; i < MESSAGES; i++)
		CHECK(cp_batch_send(&batch, &i, sizeof i));
	CHECK(cp_batch_flush(&batch));
	CHECK(cp_stream_shutdown(stream, 1 /* SHUT_WR */));
	CHECK(cp_stream_recv(stream, piece, 3, CP_ALL_BYTES)); /* the other direction is still open */
	printf("source: the other side says %.3s\n", (char *)piece);
	return 0;
}
