/*
 * Question: translated code is found again by what fstat says of its file. Who changes a page of the file through a shared mapping
 * that it wrote to before changes none of that. Does another cVM, which maps the file later, execute what is no longer there?
 * Expect: REFUSED: it executes what the file has
 * Control: none: before, it executed what the file had
 * Native: the code cache
 * Companions: 1
 */
#define ATTACK_COMPANION
#include "attack.h"

#define FILE_NAME "/shared/code"
enum { FIRST = 1, SECOND = 2, SIZE = 2 * PAGE };

static int execute(void)
{
	int fd = open(FILE_NAME, O_RDONLY);
	int (*code)(void) = mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	close(fd);
	if (code == MAP_FAILED)
		return -1;
	int result = code();
	munmap(code, SIZE);
	return result;
}

static void put(uint8_t *at, uint8_t number)
{
	const uint8_t code[] = { 0xb8, number, 0, 0, 0, 0xc3 }; /* mov $number, %eax; ret */

	memcpy(at, code, sizeof code);
}

static void companion(void)
{
	uint8_t bytes[2] = { 0 };

	while (access("/shared/changed", F_OK))
		usleep(2000);
	int fd = open(FILE_NAME, O_RDONLY);
	if (pread(fd, bytes, 2, 0) != 2)
		bytes[1] = 0xff;
	char text[32];
	int size = snprintf(text, sizeof text, "%d %d\n", bytes[1], execute());
	fd = open("/shared/executed.new", O_WRONLY | O_CREAT, 0600);
	if (write(fd, text, (size_t)size) == size)
		rename("/shared/executed.new", "/shared/executed");
}

static void attack(void)
{
	int fd = open(FILE_NAME, O_RDWR | O_CREAT, 0700), is, ran;

	if (ftruncate(fd, SIZE))
		breach("no file: %s", strerror(errno));
	uint8_t *shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		breach("no mapping: %s", strerror(errno));
	put(shared, FIRST);
	if (execute() != FIRST)
		breach("its own code does not run");
	put(shared, SECOND);
	munmap(shared, SIZE);
	close(fd);
	close(open("/shared/changed", O_WRONLY | O_CREAT, 0600));
	FILE *f;
	while (!(f = fopen("/shared/executed", "r")))
		usleep(2000);
	if (fscanf(f, "%d %d", &is, &ran) != 2 || is != SECOND)
		breach("the attack needs to be rewritten: %d", is);
	if (ran != SECOND)
		breach("it executed %d, the file has %d", ran, is);
	refused("it executes what the file has");
}
