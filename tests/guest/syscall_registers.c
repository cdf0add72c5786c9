/*
 * What a system call may change: rax, rcx and r11, nothing else: not the other registers, not vector registers, not the
 * red zone, not the flags that survive. Fast calls, blocking ones, failing ones and unknown ones.
 * Build: gcc musl-static
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define IN_ASSEMBLY __attribute__((visibility("hidden"), used, aligned(64)))
uint64_t g_in[16] IN_ASSEMBLY, g_out[16] IN_ASSEMBLY;
uint8_t g_vector_in[64] IN_ASSEMBLY, g_vector_out[64] IN_ASSEMBLY;

/* Order: rbx rdx rsi rdi rbp r8 r9 r10 r12 r13 r14 r15, then rax; the red zone's word at 12, the flags at 13. */
static long call(long number, long a0, long a1, long a2, long a3)
{
	long result;

	g_in[1] = (uint64_t)a2, g_in[2] = (uint64_t)a1, g_in[3] = (uint64_t)a0, g_in[7] = (uint64_t)a3;
	__asm__ volatile("push %%rbp\n\tpush %%rbx\n\tsub $256, %%rsp\n\tmovdqa g_vector_in(%%rip), %%xmm3\n\tmovdqa g_vector_in(%%rip), %%xmm15\n\t"
			 "lea g_in(%%rip), %%r11\n\tmov (%%r11), %%rbx\n\tmov 8(%%r11), %%rdx\n\tmov 16(%%r11), %%rsi\n\tmov 24(%%r11), %%rdi\n\t"
			 "mov 32(%%r11), %%rbp\n\tmov 40(%%r11), %%r8\n\tmov 48(%%r11), %%r9\n\tmov 56(%%r11), %%r10\n\tmov 64(%%r11), %%r12\n\t"
			 "mov 72(%%r11), %%r13\n\tmov 80(%%r11), %%r14\n\tmov 88(%%r11), %%r15\n\tmovq $0x1234567, -8(%%rsp)\n\tmovq $0x7654321, -128(%%rsp)\n\t"
			 "syscall\n\t"
			 "lea g_out(%%rip), %%r11\n\tmov %%rbx, (%%r11)\n\tmov %%rdx, 8(%%r11)\n\tmov %%rsi, 16(%%r11)\n\tmov %%rdi, 24(%%r11)\n\t"
			 "mov %%rbp, 32(%%r11)\n\tmov %%r8, 40(%%r11)\n\tmov %%r9, 48(%%r11)\n\tmov %%r10, 56(%%r11)\n\tmov %%r12, 64(%%r11)\n\t"
			 "mov %%r13, 72(%%r11)\n\tmov %%r14, 80(%%r11)\n\tmov %%r15, 88(%%r11)\n\tmov -8(%%rsp), %%rcx\n\tmov %%rcx, 96(%%r11)\n\t"
			 "mov -128(%%rsp), %%rcx\n\tmov %%rcx, 104(%%r11)\n\tpxor %%xmm3, %%xmm15\n\tmovdqa %%xmm3, g_vector_out(%%rip)\n\t"
			 "movdqa %%xmm15, 16+g_vector_out(%%rip)\n\tadd $256, %%rsp\n\tpop %%rbx\n\tpop %%rbp"
			 : "=a"(result)
			 : "0"(number)
			 : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm3", "xmm15", "memory", "cc");
	return result;
}

static void check(const char *name, long result, int show)
{
	static const char *const names[] = { "rbx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r12", "r13", "r14", "r15" };
	static const uint8_t zero[16];

	printf("%s:", name);
	if (show)
		printf(" %ld", result);
	for (int i = 0; i < 12; i++)
		if (g_in[i] != g_out[i])
			printf(" %s %#lx became %#lx", names[i], g_in[i], g_out[i]);
	if (g_out[12] != 0x1234567 || g_out[13] != 0x7654321)
		printf(" red zone changed");
	if (memcmp(g_vector_in, g_vector_out, 16) || memcmp(zero, g_vector_out + 16, 16))
		printf(" vector registers changed");
	printf(" .\n");
}

/* A register that only AVX-512 has, where the libOS and the monitor copy. */
static void check_upper(const char *name, long number, long fd, void *buffer, long size)
{
	uint8_t before[64], after[64] = { 0 };

	memset(before, 0x5a, sizeof before);
	if (!__builtin_cpu_supports("avx512vl"))
		memcpy(after, before, sizeof after);
	else
		__asm__ volatile("vmovdqu64 %[before], %%zmm16\n\tsyscall\n\tvmovdqu64 %%zmm16, %[after]"
				 : [after] "=m"(after), "+a"(number)
				 : [before] "m"(before), "D"(fd), "S"(buffer), "d"(size)
				 : "rcx", "r11", "memory", "cc");
	printf("%s:%s .\n", name, memcmp(before, after, sizeof after) ? " zmm16 changed" : "");
}

int main(void)
{
	struct timespec t = { 0, 20000000 };
	char buffer[8], bytes[500] = { 0 };
	int ends[2];

	for (int i = 0; i < 16; i++) {
		g_in[i] = 0x1111111111111111u * (unsigned)(i + 1);
		g_vector_in[i] = (uint8_t)(i * 7 + 3);
	}
	check("getpid", call(SYS_getpid, 1, 2, 3, 4), 0);
	check("clock_gettime", call(SYS_clock_gettime, 1, (long)&t, 3, 4), 1);
	t = (struct timespec){ 0, 20000000 };
	check("nanosleep", call(SYS_nanosleep, (long)&t, 0, 3, 4), 1);
	check("close of nothing", call(SYS_close, -1, 2, 3, 4), 1);
	check("read of nothing", call(SYS_read, -1, (long)buffer, 8, 4), 1);
	check("unknown", call(9999, 1, 2, 3, 4), 1);
	check("mmap nothing", call(SYS_mmap, 0, 0, 3, 4), 1);
	check("getpid again", call(SYS_getpid, 1, 2, 3, 4), 0);
	if (pipe(ends))
		return 1;
	check_upper("write", SYS_write, ends[1], bytes, sizeof bytes);
	check_upper("read", SYS_read, ends[0], bytes, sizeof bytes);
	check_upper("getcwd", SYS_getcwd, (long)bytes, (void *)sizeof bytes, 0);
	check_upper("uname", SYS_uname, (long)bytes, NULL, 0);
	check_upper("write from nowhere", SYS_write, ends[1], (void *)16, 500);
	return 0;
}
