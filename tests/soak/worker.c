/*
 * A cVM of the soak test: each life does a bit of everything that the monitor keeps accounts of (threads, descriptors,
 * memory, mappings, code), writes a byte to /shared/NAME, waits with a file NAME.held while /shared/hold exists, and ends in a
 * way of its own: well, by a signal, by a fault, with threads in hostcalls, with everything left open.
 *
 * usage: worker NAME
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY (8u << 20)
#define THREADS 4

static void *wait_in_read(void *argument)
{
	char byte;

	return (void *)read(*(int *)argument, &byte, 1);
}

static void *wait_in_epoll(void *argument)
{
	struct epoll_event event;

	return (void *)(long)epoll_wait(*(int *)argument, &event, 1, -1);
}

static void *spin(void *argument)
{
	for (;;)
		*(volatile int *)argument += 1;
}

static void use_descriptors(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int pair[2], ep = epoll_create1(0);

	for (int i = 0; i < 20; i++) {
		struct epoll_event event = { .events = EPOLLIN };
		if (pipe(pair) || epoll_ctl(ep, EPOLL_CTL_ADD, pair[0], &event))
			exit(3);
		int s = socket(AF_INET, SOCK_STREAM, 0);
		bind(s, (struct sockaddr *)&address, sizeof address);
		listen(s, 1);
		int file = open("/etc/passwd", O_RDONLY), memory = memfd_create("m", 0);
		if (file < 0 || memory < 0 || ftruncate(memory, 1 << 20) || eventfd(0, 0) < 0)
			exit(3);
		if (mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0) == MAP_FAILED ||
		    mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED)
			exit(3);
	}
}

static void use_memory(void)
{
	char *at = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		exit(3);
	memset(at, 1, MEMORY);
	for (size_t i = 0; i < MEMORY; i += 16384)
		mprotect(at + i, 4096, PROT_READ);
	munmap(at + MEMORY / 2, MEMORY / 4);
	/* code of its own */
	memset(at + 4096, 0x90, 4096);
	at[8191] = (char)0xc3;
	if (mprotect(at + 4096, 4096, PROT_READ | PROT_EXEC) == 0)
		((void (*)(void))(at + 4096))();
	dlopen("libz.so.1", RTLD_NOW);
}

static void *short_life(void *argument)
{
	return argument;
}

static void *leave(void *argument)
{
	usleep(1000);
	exit(5);
	return argument;
}

int main(int argc, char **argv)
{
	static int channel[2], ep, counter;
	char name[80];
	struct stat st;
	pthread_t thread;

	snprintf(name, sizeof name, "/shared/%s", argc > 1 ? argv[1] : "worker");
	use_memory();
	use_descriptors();
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, short_life, NULL) || pthread_join(thread, NULL))
			exit(3);
	int file = open(name, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (file < 0 || write(file, "x", 1) != 1 || fstat(file, &st))
		exit(3);
	strcat(name, ".held");
	while (stat("/shared/hold", &st) == 0) {
		close(open(name, O_WRONLY | O_CREAT, 0644));
		usleep(20000);
	}
	unlink(name);
	if (fstat(file, &st) || pipe(channel))
		exit(3);
	ep = epoll_create1(0);
	switch (st.st_size % 6) {
	case 0:
		return 0;
	case 1:
		raise(SIGTERM);
		break;
	case 2:
		*(volatile int *)8 = 1;
		break;
	case 3:
		pthread_create(&thread, NULL, wait_in_read, &channel[0]);
		pthread_create(&thread, NULL, wait_in_epoll, &ep);
		usleep(1000);
		_exit(7);
	case 4:
		pthread_create(&thread, NULL, spin, &counter);
		usleep(1000);
		abort();
	default:
		pthread_create(&thread, NULL, wait_in_read, &channel[0]);
		pthread_create(&thread, NULL, leave, NULL);
		pthread_exit(NULL); /* the others go on */
	}
	return 1;
}
