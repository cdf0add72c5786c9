/* A program whose system calls serves.c serves: argv[1] is what is to happen. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "abi/boot.h"
#include "abi/capability.h"
#include "abi/hostcall.h"
#include "check.h"
#include "serviced.h"

#define FAILS(expression, error) do { errno = 0; IS(expression, -1); IS(errno, error); } while (0)

static uint8_t g_here; /* the server looks at it when the program has ended */
static volatile sig_atomic_t g_signals;

static long pid(void)
{
	return syscall(SYS_getpid, &g_here);
}

static void results(void)
{
	long r, kept, in = 0x1122334455667788;

	IS(pid(), PID);
	IS(syscall(SYS_getpgid, 0), LARGE);
	FAILS(syscall(SYS_getppid), EXDEV);
	__asm__ volatile("movq %2, %%xmm7; syscall; movq %%xmm7, %1"
			 : "=a"(r), "=&r"(kept) : "r"(in), "a"((long)SYS_getpid) : "rcx", "r11", "xmm7", "memory");
	IS(r, PID);
	IS(kept, in);
	FAILS(syscall(SYS_uname, FAR), EFAULT);
}

static void files(void)
{
	static char bytes[TEXT_SIZE];
	struct stat st;
	int fd = open("/s/text", O_RDONLY), other, pair[2];

	TRUE(fd > 2 && fd < 20);
	FAILS(open("/s/none", O_RDONLY), ENOENT);
	FAILS(open((char *)FAR, O_RDONLY), EFAULT);
	IS(read(fd, bytes, 100), 100);
	for (int i = 0; i < 100; i++)
		IS(bytes[i], TEXT_BYTE(i));
	FAILS(read(fd, (void *)FAR, 100), EFAULT);
	IS(fstat(fd, &st), 0);
	IS(st.st_size, TEXT_SIZE);
	IS(lseek(fd, LARGE, SEEK_SET), LARGE);
	other = dup(fd);
	IS(read(other, bytes, 1), 1);
	IS(bytes[0], TEXT_BYTE(100));
	IS(pread(other, bytes, TEXT_SIZE, 9990), 10);
	IS(bytes[9], TEXT_BYTE(9999));
	char *map = mmap(NULL, TEXT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	TRUE(map != MAP_FAILED);
	for (int i = 0; map != MAP_FAILED && i < TEXT_SIZE; i++)
		if (map[i] != TEXT_BYTE(i))
			IS(i, -1);
	IS(close(fd), 0);
	FAILS(close(fd), EBADF);
	IS(syscall(SYS_getuid), 0);
	IS(pread(other, bytes, 1, 0), 1);
	IS(close(other), 0);
	if (map != MAP_FAILED) {
		IS(map[9999], TEXT_BYTE(9999));
		munmap(map, TEXT_SIZE);
	}
	IS(syscall(SYS_getuid), 1);
	IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	IS(write(pair[0], "x", 1), 200);
	IS(write(pair[1], "x", 1), 300);
	close(pair[0]), close(pair[1]);
	IS(syscall(SYS_getuid), 3);
	fd = open("/etc/passwd", O_RDONLY); /* handed back to the libOS, then as any other */
	TRUE(read(fd, bytes, 10) > 0);
	close(fd);
}

static void *writes(void *fd)
{
	while (g_signals < 3)
		pause_ms(1);
	IS(write(*(int *)fd, "g", 1), 1);
	return NULL;
}

static void count(int signal)
{
	(void)signal;
	g_signals++;
}

static void waits(void)
{
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, off = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = count };
	int fd = open("/s/gate", O_RDWR);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	pthread_t thread;
	char byte;

	IS(poll(&p, 1, 0), 0);
	g_signals = 3;
	pthread_create(&thread, NULL, writes, &fd);
	IS(poll(&p, 1, -1), 1);
	IS(p.revents, POLLIN);
	pthread_join(thread, NULL);
	IS(read(fd, &byte, 1), 1);
	IS(byte, 'g');
	IS(poll(&p, 1, 0), 0);

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	FAILS(read(fd, &byte, 1), EINTR);
	setitimer(ITIMER_REAL, &off, NULL);
	action.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	g_signals = 0;
	pthread_create(&thread, NULL, writes, &fd);
	setitimer(ITIMER_REAL, &often, NULL);
	IS(read(fd, &byte, 1), 1);
	TRUE(g_signals >= 3);
	setitimer(ITIMER_REAL, &off, NULL);
	pthread_join(thread, NULL);
	close(fd);
}

static void *meets(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++)
		IS(syscall(SYS_geteuid), MET);
	return NULL;
}

static void threads(void)
{
	pthread_t thread[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, meets, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

/* The server dies, comes again (YAML: once), and dies. */
static void lost(void)
{
	char byte;
	int fd = open("/s/text", O_RDONLY);
	long r;

	IS(read(fd, &byte, 1), 1);
	FAILS(open("/s/die", O_RDONLY), EIO);
	while ((r = pid()) < 0 && errno == EIO)
		pause_ms(1);
	IS(r, PID);
	FAILS(read(fd, &byte, 1), EIO); /* of a server that is no more */
	IS(close(fd), 0);
	fd = open("/s/text", O_RDONLY);
	IS(read(fd, &byte, 1), 1);
	FAILS(open("/s/die", O_RDONLY), EIO);
	FAILS(pid(), EIO);
	FAILS(read(fd, &byte, 1), EIO);
	check_end("program");
	for (;;) /* to be ended */
		pause();
}

/* libcvm's system call, which there is with isolate_libos, would pass the server by. */
static void past_the_server(void)
{
	for (long hostcall = 0; hostcall < HC_COUNT; hostcall++) {
		long r = syscall(BOOT_SYSCALL_CAPABILITY, hostcall, CAP_MEMORY, "", 0L, 64L, 0L);
		TRUE(r == -1 && (errno == EPERM || errno == ENOSYS));
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "all";

	if (!strcmp(what, "lost"))
		lost();
	if (!strcmp(what, "stuck")) {
		FAILS(open("/s/never", O_RDONLY), ETIMEDOUT);
		IS(pid(), PID);
	} else {
		results();
		files();
		waits();
		threads();
		past_the_server();
	}
	return check_end("program");
}
