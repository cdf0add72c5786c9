/*
 * Question: are --trace and --stats a channel for escape sequences, forged lines or rows, through paths, data, arguments of
 * system calls, thread names and the counters that a cVM reports of itself?
 * Expect: REFUSED: the trace quotes, the table has its rows
 * Control: none: quoting has no option
 * Command: --stats
 * Options: trace=true
 * Never: [\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd\u202e]|^\S*forged|^attacker .* [1-9]\d{20}
 * Native: message.c and stats.c
 */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "attack.h"

static void attack(void)
{
	static const char *const names[] = { "/shared/\033[31mred", "/shared/a\nforged: line", "/shared/\rforged", "/shared/\x9b" "31m", "/shared/\xe2\x80\xae",
					     "/shared/\xff\xfe", "/shared/\"), forged(\"", "/shared/\n[victim] forged" };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char data[64];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		int fd = open(names[i], O_RDWR | O_CREAT, 0600);
		if (fd >= 0 && (write(fd, names[i], strlen(names[i])) < 0 || pread(fd, data, sizeof data, 0) < 0))
			breach("the file does not work");
		close(fd);
		symlink(names[i], "/shared/trace-link");
		readlink("/shared/trace-link", data, sizeof data);
		unlink("/shared/trace-link");
		unlink(names[i]);
		prctl(PR_SET_NAME, names[i] + 8);
		chdir(names[i]);
		strncpy(address.sun_path, names[i], sizeof address.sun_path - 1);
		int s = socket(AF_UNIX, SOCK_STREAM, 0);
		connect(s, (struct sockaddr *)&address, sizeof address);
		close(s);
	}
	printf("REFUSED: the trace quotes, the table has its rows\n");
	fflush(stdout);
	/* fast system calls are what the libOS says */
	hostcall(HC_cvm_exit, 0, 0, ~0ull, 0, 0, 0);
}
