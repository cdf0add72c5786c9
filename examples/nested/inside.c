/* What a program can do to its own libOS, which lies in the same 64 GiB of addresses. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cvm/file.h>

#define SLOT (1ull << 36)
#define LIBOS_CODE 0x100000 /* from the slot's start */
#define GATE "16"	    /* where the vCPU page, at GS, has the address of the monitor's gate */

static sigjmp_buf g_back;

static void on_fault(int signal)
{
	siglongjmp(g_back, signal);
}

/* The hostcall that does nothing, number 0, without libcvm. */
static long hostcall_null(void)
{
	register long number __asm__("r11") = 0;
	long ret;

	__asm__ volatile("sub $128, %%rsp\n\tcall *%%gs:" GATE "\n\tadd $128, %%rsp"
			 : "=a"(ret), "+r"(number)
			 :
			 : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "cc", "memory");
	return ret;
}

static const char *result(long r)
{
	return r < 0 ? strerror((int)-r) : "done";
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "?";
	const volatile char *libos = (const volatile char *)(((uintptr_t)on_fault & ~(SLOT - 1)) + LIBOS_CODE);
	char text[16] = "";
	int pipes[2];

	if (pipe(pipes))
		return 1;
	ssize_t sent = write(pipes[1], (const void *)libos, 8);
	printf("%s: asks its libOS for the libOS's code: %s\n", name, result(sent < 0 ? -errno : 0));
	printf("%s: makes a hostcall past its libOS: %s\n", name, result(hostcall_null()));
	ssize_t n = cp_file_pread(cp_file_open("board", CP_LOAD), text, sizeof text - 1, 0);
	printf("%s: reads the board with libcvm: %s\n", name, n < 0 ? strerror((int)-n) : text);
	n = read(open("/cap/file/board", O_RDONLY), text, sizeof text - 1);
	printf("%s: reads it as a file: %s\n", name, n < 0 ? strerror(errno) : text);

	/* this one needs protection keys: so it is not on the standard output, which is the same everywhere */
	signal(SIGSEGV, on_fault);
	if (sigsetjmp(g_back, 1) == 0)
		fprintf(stderr, "%s: its libOS's code begins with %02x\n", name, (unsigned char)libos[0]);
	else
		fprintf(stderr, "%s: loads its libOS's code: SIGSEGV\n", name);
	return 0;
}
