/*
 * Question: what the host's user may watch with epoll is counted for all cVMs together. Can one take all of it, with a few thousand
 * handles, so that no other cVM can watch anything any more?
 * Expect: REFUSED: others still watch
 * Control: none: before, epoll_ctl of others gave ENOSPC
 * Native: an epoll counts as several handles
 * Options: handles=6000
 * Companions: 1
 * Needs: time for some million watches
 */
#define ATTACK_COMPANION
#include "attack.h"

#include <sys/epoll.h>

#define EPOLLS 2900
#define FILES 2900

static long watch(uint64_t epoll, uint64_t file)
{
	return hostcall(HC_epoll_ctl, epoll, EPOLL_CTL_ADD, file, EPOLLIN, 0, 0);
}

static void companion(void)
{
	char text[32];

	while (access("/shared/taken", F_OK))
		usleep(5000);
	long epoll = hostcall(HC_epoll_create, 0, 0, 0, 0, 0, 0), file = hostcall(HC_eventfd_create, 0, 0, 0, 0, 0, 0);
	int size = snprintf(text, sizeof text, "%ld\n", epoll < 0 ? epoll : file < 0 ? file : watch((uint64_t)epoll, (uint64_t)file));
	int fd = open("/shared/watched.new", O_WRONLY | O_CREAT, 0600);
	if (write(fd, text, (size_t)size) == size)
		rename("/shared/watched.new", "/shared/watched");
}

static void attack(void)
{
	static uint64_t epoll[EPOLLS], file[FILES];
	long r = 0, watches = 0, epolls = 0, files = 0, others;

	for (; files < FILES && (r = hostcall(HC_eventfd_create, 0, 0, 0, 0, 0, 0)) >= 0; files++)
		file[files] = (uint64_t)r;
	for (; epolls < EPOLLS && (r = hostcall(HC_epoll_create, 0, 0, 0, 0, 0, 0)) >= 0; epolls++)
		epoll[epolls] = (uint64_t)r;
	for (long e = 0; e < epolls; e++)
		for (long i = 0; i < files; i++, watches++)
			if ((r = watch(epoll[e], file[i])) != 0) {
				e = epolls;
				break;
			}
	close(open("/shared/taken", O_WRONLY | O_CREAT, 0600));
	FILE *f;
	while (!(f = fopen("/shared/watched", "r")))
		usleep(5000);
	if (fscanf(f, "%ld", &others) != 1 || others)
		breach("with %ld watches of one cVM, ended by %ld, another one gets %ld", watches, r, others);
	refused("others still watch");
}
