/*
 * The start of a cVM's libOS. libos_start runs on the host thread that the monitor enters with: it relocates this very
 * program, makes the heap and the first process, and becomes its first thread, which makes the file system and loads the
 * program. Trusts the monitor and the boot information (they can only harm this cVM). Exit statuses are those of
 * container tools: 125 could not start, 126 cannot be executed, 127 not found.
 */
#include "base/copy.h"
#include "core/boot.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/log.h"
#include "fs/vfs.h"
#include "loader/exec.h"
#include "mm/mm.h"
#include "process/exec_service.h"
#include "served/served.h"
#include "signal/internal.h"
#include "sys/trace.h"
#include "thread/clock.h"
#include "thread/entry.h"
#include "thread/isolated.h"
#include "thread/thread.h"

#include <elf.h>

#define STATUS_START 125

_Noreturn void libos_start(struct cvm_start *start);

/* libos.ld; hidden: found without the table of addresses that is not relocated yet */
extern const Elf64_Rela g_rela_start[] __attribute__((visibility("hidden")));
extern const Elf64_Rela g_rela_end[] __attribute__((visibility("hidden")));
extern const uint64_t g_relr_start[] __attribute__((visibility("hidden")));
extern const uint64_t g_relr_end[] __attribute__((visibility("hidden")));

/* Only addresses of the libOS's own image can be in the tables: it links nothing else. The second one is packed (gABI,
 * SHT_RELR): an even entry is the place of one, an odd one says with its bits which of the next 63 words are more. */
static bool relocate(uint64_t base)
{
	for (const Elf64_Rela *r = g_rela_start; r < g_rela_end; r++) {
		if (ELF64_R_TYPE(r->r_info) != R_X86_64_RELATIVE)
			return false;
		*(uint64_t *)(base + r->r_offset) = base + (uint64_t)r->r_addend;
	}
	uint64_t *next = NULL;
	for (const uint64_t *r = g_relr_start; r < g_relr_end; r++) {
		if (!(*r & 1)) {
			next = (uint64_t *)(base + *r);
			*next++ += base;
			continue;
		}
		for (uint64_t bits = *r >> 1, i = 0; bits; bits >>= 1, i++)
			if (bits & 1)
				next[i] += base;
		next += 63;
	}
	return true;
}

static _Noreturn void quit(int status)
{
	for (;;)
		hostcall(HC_cvm_exit, status, 0);
}

/* A string list of the boot information as a NULL-terminated array, or NULL. */
static const char **string_list(uint32_t offset, uint32_t count)
{
	const char **list = kmalloc((count + 1ull) * sizeof(*list));
	const char *s = boot_string(offset);

	if (!list)
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		list[i] = s;
		s += strlen(s) + 1;
	}
	list[count] = NULL;
	return list;
}

static void load_program(struct exec_start *at)
{
	const struct libos_boot *boot = boot_info();
	const char **argv = string_list(boot->argv, boot->argc);
	const char **envp = string_list(boot->envp, boot->envc);
	char *why = kmalloc(PATH_SIZE);
	int status;

	if (!argv || !envp || !why) {
		log_crash("the cVM's memory limit is too small for its libOS");
		quit(STATUS_START);
	}
	status = exec_first(boot_string(boot->program), argv, envp, at, why, PATH_SIZE);
	if (status) {
		log_crash("%s", why);
		quit(status);
	}
	kfree(argv);
	kfree(envp);
	kfree(why);
}

static void first_thread(void *arg)
{
	struct process *p = current()->process;
	const char *cwd = boot_string(boot_info()->cwd);
	struct exec_start at;
	int ret;

	(void)arg;
	lock_order_begin();
	clock_init(g_start->vdso);
	p->mm = mm_create(g_start->slot_base);
	p->program = p->mm ? program_create(p->mm) : NULL;
	if (!p->program) {
		log_crash("the cVM's memory limit is too small for its libOS");
		quit(STATUS_START);
	}
	if (vfs_init(boot_info()) || stdio_init()) {
		log_crash("the cVM's file system could not be set up");
		quit(STATUS_START);
	}
	if (*cwd && (ret = vfs_enter(cwd))) {
		log_crash("working directory %s: %s", cwd, errno_text(-ret));
		quit(STATUS_START);
	}
	if (served_init(boot_info()))
		quit(STATUS_START);
	if (g_served)
		g_fast_limit = 0; /* every call is looked at in syscall_dispatch */
	load_program(&at);
	if (served_low_window())
		quit(STATUS_START);
	signal_note_outside(current()); /* a signal that came before this thread could have upcalls has interrupted nobody */
	exec_service_loaded();
	thread_enter_program(at.rip, at.rsp);
}

void libos_start(struct cvm_start *start)
{
	struct process *p;
	int error = -ENOMEM;

	if (!relocate(start->slot_base))
		quit(STATUS_START);
	copy_init();
	kheap_init(start->slot_base);
	thread_init(start);
	if (boot_info()->magic != BOOT_MAGIC) {
		log_crash("the boot information is of another version: command and libOS do not belong together");
		quit(STATUS_START);
	}
	if (boot_info()->flags & BOOT_FLAG_ISOLATED)
		isolated_init(start->slot_base);
	p = process_create((struct libos_boot *)start->boot);
	if (p)
		error = thread_become_first(p, first_thread, NULL);
	log_crash("the cVM's first thread could not be started (error %d)", -error);
	quit(STATUS_START);
}
