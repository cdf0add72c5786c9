/* Writes to a shared file in steps, byte by byte and in pieces; the reader waits for each. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cvm/file.h>

#define CHECK(x) do { long r_ = (x); if (r_ < 0) { printf("writer: %s: %s\n", #x, strerror((int)-r_)); return 1; } } while (0)

int main(void)
{
	struct iovec parts[] = { { "in two ", 7 }, { "pieces", 7 } };
	int board, acknowledged, again;
	uint32_t seen;

	CHECK(board = cp_file_open("board", CP_LOAD | CP_STORE));
	while ((acknowledged = cp_file_open("seen", CP_LOAD)) == -ENOENT) /* the reader makes it */
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	CHECK(acknowledged);
	seen = 0;
	CHECK(cp_file_wait(acknowledged, &seen, CP_FOREVER));
	CHECK(cp_file_pwrite(board, "from the writer", 16, 3));
	CHECK(cp_file_wait(acknowledged, &seen, CP_FOREVER));
	CHECK(cp_file_writev(board, parts, 2, 3));
	CHECK(cp_file_wait(acknowledged, &seen, CP_FOREVER));

	/* One byte behind the end of what was narrowed cannot be written. */
	CHECK(again = cp_file_open_range("board", CP_STORE, 1000, 7));
	printf("writer: 10 bytes into 7: %zd written\n", cp_file_pwrite(again, "0123456789", 10, 0));
	printf("writer: at byte 7 of 7: %s\n", strerror((int)-cp_file_pwrite(again, "x", 1, 7)));
	fflush(stdout);
	return 0;
}
