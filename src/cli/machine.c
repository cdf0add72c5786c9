/*
 * Requirements on CPU, kernel and user limits: see machine.h. Trusts what CPUID and the kernel say.
 */
#include "cli/machine.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/cache.h"
#include "cli/helpers.h"
#include "cli/user_limits.h"
#include "cli/memfile.h"

#define KERNEL_MAJOR 6
#define KERNEL_MINOR 12 /* writes signal frames on an alternate stack whatever PKRU says */
#define HWCAP2_FSGSBASE_BIT 2u
#define FILES_WANTED 4096u
#define MAPPINGS_WANTED 65530

#define NO_PKEYS_REMEDY                                                                                                   \
	"use an Intel server CPU from Skylake-SP on or an AMD CPU from Zen 3 on, in a VM with the CPU flag pku passed "    \
	"through; for development, `intravisor run --insecure-no-pkeys` runs cVMs without isolation"

static bool have_pkeys(void)
{
	long key = syscall(SYS_pkey_alloc, 0ul, 0ul);

	if (key < 0)
		return false;
	syscall(SYS_pkey_free, key);
	return true;
}

static bool have_fsgsbase(void)
{
	return getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT;
}

static bool kernel_new_enough(char *release, size_t size)
{
	struct utsname name;

	uname(&name);
	snprintf(release, size, "%s", name.release);
	char *end;
	unsigned long major = strtoul(name.release, &end, 10);
	unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	return major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR);
}

const char *machine_problem(bool without_pkeys, char *text, size_t size)
{
	char release[80];

	if (!without_pkeys && !have_pkeys()) {
		snprintf(text, size, "this machine has no protection keys (PKU), so cVMs cannot be isolated: %s",
			 NO_PKEYS_REMEDY);
		return text;
	}
	if (!have_fsgsbase()) {
		snprintf(text, size, "the kernel does not let programs use FSGSBASE (boot without nofsgsbase, on a CPU from "
				     "Ivy Bridge or Excavator on)");
		return text;
	}
	if (!kernel_new_enough(release, sizeof(release))) {
		snprintf(text, size, "Linux %s is too old: %d.%d or later is needed (install a newer kernel, on Debian 12 from "
				     "bookworm-backports)",
			 release, KERNEL_MAJOR, KERNEL_MINOR);
		return text;
	}
	return NULL;
}

struct report {
	bool failed;
	bool other; /* something else than protection keys failed */
};

__attribute__((format(printf, 4, 5))) static void line(struct report *r, const char *mark, const char *what,
						       const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("%-5s %-16s ", mark, what);
	vprintf(format, args);
	putchar('\n');
	va_end(args);
	if (strcmp(mark, "FAIL") == 0) {
		r->failed = true;
		r->other |= strcmp(what, "protection keys") != 0;
	}
}

static void check_cpu(struct report *r)
{
	unsigned a, b, c = 0, d;
	bool leaf = __get_cpuid_count(7, 0, &a, &b, &c, &d);
	bool cpu = leaf && (c & (1u << 3)), os = leaf && (c & (1u << 4));

	if (!cpu)
		line(r, "FAIL", "protection keys", "the CPU has none (PKU): %s", NO_PKEYS_REMEDY);
	else if (!os)
		line(r, "FAIL", "protection keys", "the kernel does not enable them: boot without nopku, with "
						   "CONFIG_X86_INTEL_MEMORY_PROTECTION_KEYS=y");
	else if (!have_pkeys())
		line(r, "FAIL", "protection keys", "pkey_alloc fails: %s (a seccomp filter or container may forbid it)",
		     strerror(errno));
	else
		line(r, "ok", "protection keys", "PKU in the CPU and enabled by the kernel");
	if (have_fsgsbase())
		line(r, "ok", "FSGSBASE", "usable by programs");
	else
		line(r, "FAIL", "FSGSBASE", "not usable: boot without nofsgsbase, on a CPU from Ivy Bridge or Excavator on");
}

static void check_kernel(struct report *r)
{
	char release[80];
	uint32_t action = SECCOMP_RET_TRAP;
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};

	if (kernel_new_enough(release, sizeof(release)))
		line(r, "ok", "kernel", "Linux %s", release);
	else
		line(r, "FAIL", "kernel", "Linux %s is too old: install %d.%d or later (on Debian 12 from bookworm-backports)",
		     release, KERNEL_MAJOR, KERNEL_MINOR);
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0u, &action) == 0)
		line(r, "ok", "seccomp", "filters can trap system calls");
	else
		line(r, "FAIL", "seccomp", "no filter that traps: %s (a kernel with CONFIG_SECCOMP_FILTER=y is needed)",
		     strerror(errno));
	long fd = syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how));
	if (fd >= 0) {
		close((int)fd);
		line(r, "ok", "openat2", "paths can be kept inside a directory");
	} else {
		line(r, "FAIL", "openat2", "%s (a seccomp filter or container may forbid it)", strerror(errno));
	}
	int file = memfile_create("intravisor-check");
	int ret = file < 0 ? file : memfile_seal(file);
	if (ret == 0)
		line(r, "ok", "memory files", "can be sealed");
	else
		line(r, "FAIL", "memory files", "cannot be created and sealed: %s", strerror(-ret));
	if (file >= 0)
		close(file);
}

static long read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	long value = -1;

	if (file && fscanf(file, "%ld", &value) != 1)
		value = -1;
	if (file)
		fclose(file);
	return value;
}

static void check_limits(struct report *r)
{
	struct rlimit files = {0};
	char problem[256];

	if (limits_problem(&(struct config){0}, problem, sizeof(problem)))
		line(r, "FAIL", "limits", "%s", problem);
	getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_max >= FILES_WANTED)
		line(r, "ok", "open files", "up to %llu", (unsigned long long)files.rlim_max);
	else
		line(r, "warn", "open files", "only %llu: cVMs share them; raise ulimit -Hn to %u or more",
		     (unsigned long long)files.rlim_max, FILES_WANTED);
	long mappings = read_number("/proc/sys/vm/max_map_count");
	if (mappings >= MAPPINGS_WANTED || mappings < 0)
		line(r, "ok", "mappings", "up to %ld", mappings);
	else
		line(r, "warn", "mappings", "only %ld: cVMs share them; sysctl vm.max_map_count=%d", mappings, MAPPINGS_WANTED);
	if (read_number("/proc/sys/vm/overcommit_memory") == 2)
		line(r, "warn", "overcommit", "vm.overcommit_memory is 2: large programs may lack memory; sysctl "
					      "vm.overcommit_memory=0");
	else
		line(r, "ok", "overcommit", "reserving addresses costs no memory");
}

static void check_files(struct report *r)
{
	struct helpers helpers = {0};
	struct cache cache;

	fflush(stdout);
	if (helpers_find(&helpers, 0) < 0) {
		line(r, "FAIL", "helpers", "intravisor-monitor is missing: build or install all of the Intravisor");
	} else {
		const char *missing = access(helpers.translate, X_OK) < 0 ? helpers.translate
				      : access(helpers.libos, R_OK) < 0	  ? helpers.libos
									  : NULL;
		if (missing)
			line(r, "FAIL", "helpers", "%s is missing: build or install all of the Intravisor", missing);
		else
			line(r, "ok", "helpers", "monitor, translator and libOS are there");
	}
	helpers_free(&helpers);
	cache_open(&cache);
	if (cache.directory >= 0 && faccessat(cache.directory, ".", W_OK, AT_EACCESS) == 0)
		line(r, "ok", "code cache", "%s", cache.path);
	else if (!cache.path)
		line(r, "warn", "code cache", "none: set HOME or XDG_CACHE_HOME so that programs start faster");
	else
		line(r, "warn", "code cache", "%s: %s: make it a directory that only you can write to", cache.path,
		     strerror(cache.directory >= 0 ? errno : cache.error));
	cache_close(&cache);
}

int machine_check(void)
{
	struct report r = {0};

	check_cpu(&r);
	check_kernel(&r);
	check_limits(&r);
	check_files(&r);
	printf("%s\n", r.other	  ? "This machine cannot run cVMs: see the lines marked FAIL."
		       : r.failed ? "This machine cannot isolate cVMs: see the line marked FAIL. All else that they need is there."
				  : "This machine can run cVMs.");
	return r.failed ? 1 : 0;
}
