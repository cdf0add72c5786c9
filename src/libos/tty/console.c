/* The terminal of the command (tty/console.h). Called by fs/stdio.c, fs/dev.c and signal/send.c. */
#include "tty/console.h"
#include "abi/exec.h"
#include "core/boot.h"
#include "core/hostcall.h"
#include "fs/hostfile.h"
#include "fs/inode.h"
#include "process/process.h"
#include "signal/internal.h"
#include "tty/terminal.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <linux/major.h>

static long g_handle = -1; /* a duplicate of the first standard stream that is a terminal */

static void no_reference(struct terminal *t)
{
	(void)t;
}

static struct file *open_console(struct terminal *t, int flags, int *error)
{
	long h = g_handle < 0 ? -ENXIO : hostcall(HC_file_dup, g_handle);
	struct file *f;

	*error = (int)h;
	if (h < 0)
		return NULL;
	f = hostfile_wrap((int)h, &stream_ops, flags, NULL, error);
	if (!f)
		return NULL;
	f->kind |= HF_TERMINAL;
	terminal_opened(t, flags);
	return f;
}

static const struct terminal_ops g_ops = { no_reference, no_reference, open_console };
static struct terminal g_console = { .ops = &g_ops, .device = TTYAUX_MAJOR << 8 | 1 };

static void name_it(struct file *f)
{
	struct walk w;

	if (path_walk(&w, NULL, "/dev/console", 0))
		return;
	f->dentry = dentry_get(w.dentry);
	walk_done(&w);
}

void console_attach(struct file *f, long handle)
{
	f->flags = O_RDWR;
	f->kind |= HF_TERMINAL;
	name_it(f);
	if (g_handle >= 0) {
		handle_close(handle);
		return;
	}
	g_handle = handle;
	terminal_add(&g_console);
	terminal_give(&g_console, g_process);
}

struct file *console_open(struct mem_inode *inode, int flags, int *error)
{
	(void)inode;
	return open_console(&g_console, flags | O_NOCTTY, error);
}

int console_check_read(struct file *f)
{
	(void)f;
	return terminal_check(&g_console, SIGTTIN);
}

int console_check_write(struct file *f)
{
	struct termios modes;

	if (likely(terminal_foreground(&g_console)) || hostcall(HC_file_ioctl, hostfile_handle(f), TCGETS, &modes) || !(modes.c_lflag & TOSTOP))
		return 0;
	return terminal_check(&g_console, SIGTTOU);
}

long console_ioctl(struct file *f, unsigned long request, void *user)
{
	long ret = 0;

	if (terminal_knows(request))
		return terminal_ioctl(&g_console, f, true, request, user);
	if (request == TCSETS || request == TCSETSW || request == TCSETSF)
		ret = terminal_check(&g_console, SIGTTOU);
	return ret ? ret : 1;
}

void console_stopped(void)
{
	const struct exec_message m = { .type = EXEC_STOPPED };

	if (boot_info()->flags & BOOT_FLAG_JOB && boot_info()->exec)
		(void)hostcall(HC_file_write, boot_info()->exec, &m, sizeof(m));
}

/* A shell outside that lets the command go on means all of its job: the first process's group. */
bool console_signal(int sig)
{
	if (g_handle < 0 || !(SIGBIT(sig) & (SIGBIT(SIGINT) | SIGBIT(SIGQUIT) | SIGBIT(SIGTSTP) | SIGBIT(SIGWINCH) | SIGBIT(SIGCONT))))
		return false;
	if (sig == SIGCONT)
		process_signal_group(g_process->pgid, sig);
	else
		terminal_signal(&g_console, sig);
	return true;
}
