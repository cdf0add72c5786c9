/*
 * Question: can a callee keep a caller beyond its deadline by having code translated, which takes seconds, or by waiting until
 * another of its threads has had that done?
 * Expect: REFUSED: the wait is given up
 * Control: none: before, the wait was not given up and code was mapped
 * Native: waits for the translator
 * Companions: 1
 * Companion0-options: memory=512M
 * Grants: capabilities
 */
#include "cap.h"

#define SIZE (48ull << 20) /* takes the translator a while */

static uint64_t g_files[2];
static volatile long g_result[2] = { 1, 1 };
static char g_here;

/* Many system calls, at which translators work. */
static void make_file(int i)
{
	static const uint8_t one[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05 };
	char path[] = "/shared/slow0";
	uint8_t *bytes = malloc(SIZE);

	path[12] = (char)('0' + i);
	for (uint64_t at = 0; at + sizeof one <= SIZE; at += sizeof one)
		memcpy(bytes + at, one, sizeof one);
	int fd = open(path, O_RDWR | O_CREAT, 0755);
	if (write(fd, bytes, SIZE) != (ssize_t)SIZE)
		breach("cannot write %s: %s", path, strerror(errno));
	close(fd);
	free(bytes);
	g_files[i] = (uint64_t)hostcall(HC_file_open, granted_directory("symbols"), (uint64_t)path + 8, 5, O_RDONLY, 0, 0);
}

static void map(int i)
{
	uint64_t at = ((uint64_t)&g_here & SLOT_MASK) + (40ull << 30) + (uint64_t)i * SIZE;

	g_result[i] = hostcall(HC_mem_map_code, at, SIZE, g_files[i], 0, 0, 0);
}

static void *map_beside(void *unused)
{
	map(1);
	return unused;
}

static void handler(uint64_t *words)
{
	pthread_t thread;

	switch (words[0]) {
	case 1: /* alone */
		map(0);
		break;
	case 2: /* behind another */
		g_result[0] = 1;
		pthread_create(&thread, NULL, map_beside, NULL);
		usleep(100000);
		map(0);
		break;
	default:
		words[0] = (uint64_t)g_result[0];
	}
}

static void companion(void)
{
	make_file(0);
	make_file(1);
	g_service = create_named(CAP_EXPORT, "service", 0);
	for (int i = 0; i < 6; i++)
		serve_beside(g_service, handler);
	owner_until_stop();
}

static void attack(void)
{
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE);

	for (uint64_t how = 1; how <= 2; how++) {
		struct call_message m = { .word = { how }, .deadline_ns = now_ns() + 50000000 + (how - 1) * 100000000 };
		long status, result;
		while ((status = call_message(service, &m)) == -EAGAIN)
			usleep(1000);
		while ((result = call1(service, 3)) == 1)
			usleep(10000);
		if ((status && status != -ETIMEDOUT) || result != -EINTR)
			breach("way %lu gave %ld; mapping code gave %ld", how, status, result);
	}
	refused("the wait is given up");
}
