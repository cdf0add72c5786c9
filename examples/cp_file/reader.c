/* Waits for changes of a shared file and prints them, first by copies, then through a mapping. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cvm/file.h>

#define CHECK(x) do { long r_ = (x); if (r_ < 0) { printf("reader: %s: %s\n", #x, strerror((int)-r_)); return 1; } } while (0)

int main(void)
{
	char text[64] = "";
	int board, seen;
	uint32_t version;
	void *mapped;

	CHECK(board = cp_file_open("board", CP_LOAD | CP_MAP));
	CHECK(cp_file_pread(board, text, sizeof text - 1, 3));
	printf("reader: %s\n", text);
	CHECK(version = (uint32_t)cp_file_version(board));
	CHECK(seen = cp_file_create("seen", 1));

	CHECK(cp_file_changed(seen)); /* from now on the writer may go on */
	CHECK(cp_file_wait(board, &version, CP_FOREVER));
	CHECK(cp_file_pread(board, text, sizeof text - 1, 3));
	printf("reader: %s\n", text);

	CHECK(cp_file_map(board, (size_t)cp_file_size(board), PROT_READ, 0, &mapped));
	CHECK(cp_file_changed(seen));
	while (strcmp((const char *)mapped + 3, "in two pieces")) /* each piece is a change of its own */
		CHECK(cp_file_wait(board, &version, CP_FOREVER));
	printf("reader: %s\n", (const char *)mapped + 3);
	printf("reader: storing without the right: %s\n", strerror((int)-cp_file_pwrite(board, "x", 1, 0)));
	fflush(stdout);
	CHECK(version = (uint32_t)cp_file_version(board));
	CHECK(cp_file_changed(seen));
	CHECK(cp_file_wait(board, &version, CP_FOREVER)); /* the writer's last: this cVM's file ends with it */
	return 0;
}
