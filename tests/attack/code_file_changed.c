/*
 * Question: can code be changed after its scan by writing the file that it came from?
 * Expect: REFUSED: mapped code keeps the bytes that were scanned
 * Control: none: only sealed copies can be mapped, with every option
 */
#include "attack.h"

static void attack(void)
{
	static const uint8_t wrpkru[] = { 0x31, 0xc0, 0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, 0xef, 0xc3 };
	uint8_t bytes[2 * PAGE];

	memset(bytes, 0xc3, sizeof bytes);
	int fd = open("/shared/code", O_RDWR | O_CREAT | O_TRUNC, 0755);
	if (write(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes)
		breach("cannot write the file: %s", strerror(errno));
	uint8_t *data = mmap(NULL, sizeof bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *code = mmap(NULL, sizeof bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (code == MAP_FAILED)
		breach("harmless code from a file cannot be mapped: %s", strerror(errno));
	if (pwrite(fd, wrpkru, sizeof wrpkru, 16) != sizeof wrpkru)
		breach("pwrite: %s", strerror(errno));
	if (data != MAP_FAILED) {
		memcpy(data + 64, wrpkru, sizeof wrpkru);
		msync(data, sizeof bytes, MS_SYNC);
	}
	for (size_t i = 0; i < sizeof bytes; i++)
		if (code[i] != 0xc3)
			breach("byte %zu of executable memory changed", i);
	void *again = mmap(NULL, sizeof bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (again != MAP_FAILED && memmem(again, sizeof bytes, wrpkru + 6, 3))
		breach("the changed file was mapped with WRPKRU in it");
	void *shared = mmap(NULL, sizeof bytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, fd, 0);
	if (shared != MAP_FAILED && memmem(shared, sizeof bytes, wrpkru + 6, 3) && !guarded((void (*)(void *))shared, NULL).signal)
		breach("a shared mapping of the file executes");
	refused("mapped code keeps the bytes that were scanned");
}
