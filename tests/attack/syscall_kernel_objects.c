/*
 * Question: which system calls with a large surface in the kernel, or that give descriptors past the monitor's table of
 * handles, reach the host by an instruction of one's own (Jenny, USENIX Security 2022, section 3; K23's P1 to P5: calls that
 * an interposer does not see)?
 * Expect: REFUSED: each one is trapped
 * Control: --insecure-no-cookie
 * Native: the filter
 */
#include <sys/syscall.h>

#include "raw.h"

static void attack(void)
{
	static uint8_t zero[512] __attribute__((aligned(64)));
	const uint64_t z = (uint64_t)zero, path = (uint64_t) "/etc/hostname", cwd = (uint64_t)-100;
	const struct raw_row rows[] = {
		{ "getppid", SYS_getppid, { 0 } },
		{ "io_uring_setup", 425, { 4, z } },
		{ "io_uring_enter", 426, { 3, 1, 0, 0, 0, 0 } },
		{ "io_uring_register", 427, { 3, 0, z, 1 } },
		{ "bpf", SYS_bpf, { 0, z, 128 } },
		{ "perf_event_open", SYS_perf_event_open, { z, 0, (uint64_t)-1, (uint64_t)-1, 0 } },
		{ "keyctl", SYS_keyctl, { 0, (uint64_t)-3, 0 } },
		{ "add_key", SYS_add_key, { z, z, z, 0, 0 } },
		{ "open", SYS_open, { path, 0, 0 } },
		{ "openat", SYS_openat, { cwd, path, 0, 0 } },
		{ "openat2", 437, { cwd, path, z, 24 } },
		{ "open_by_handle_at", SYS_open_by_handle_at, { cwd, z, 0 } },
		{ "name_to_handle_at", SYS_name_to_handle_at, { cwd, path, z, z, 0 } },
		{ "creat", SYS_creat, { (uint64_t) "/tmp/attack", 0600 } },
		{ "unlink", SYS_unlink, { path } },
		{ "rename", SYS_rename, { path, path } },
		{ "mount", SYS_mount, { path, path, path, 0, 0 } },
		{ "umount2", SYS_umount2, { path, 0 } },
		{ "pivot_root", SYS_pivot_root, { path, path } },
		{ "open_tree", 428, { cwd, path, 0 } },
		{ "move_mount", 429, { cwd, path, cwd, path, 0 } },
		{ "fsopen", 430, { z, 0 } },
		{ "fspick", 433, { cwd, path, 0 } },
		{ "mount_setattr", 442, { cwd, path, 0, z, 32 } },
		{ "statmount", 457, { z, z, 0, 0 } },
		{ "swapon", SYS_swapon, { path, 0 } },
		{ "reboot", SYS_reboot, { 0, 0, 0, 0 } },
		{ "kexec_load", SYS_kexec_load, { 0, 0, 0, 0 } },
		{ "init_module", SYS_init_module, { z, 0, z } },
		{ "finit_module", SYS_finit_module, { 0, z, 0 } },
		{ "syslog", SYS_syslog, { 3, z, 0 } },
		{ "sethostname", SYS_sethostname, { z, 0 } },
		{ "settimeofday", SYS_settimeofday, { z, 0 } },
		{ "clock_settime", SYS_clock_settime, { 0, z } },
		{ "adjtimex", SYS_adjtimex, { z } },
		{ "acct", SYS_acct, { 0 } },
		{ "quotactl", SYS_quotactl, { 0, z, 0, z } },
		{ "pidfd_open", 434, { 1, 0 } },
		{ "pidfd_getfd", 438, { 3, 0, 0 } },
		{ "landlock_create_ruleset", 444, { z, 16, 0 } },
		{ "fanotify_init", SYS_fanotify_init, { 0, 0 } },
		{ "inotify_init1", SYS_inotify_init1, { 0 } },
		{ "signalfd4", SYS_signalfd4, { (uint64_t)-1, z, 8, 0 } },
		{ "mq_open", SYS_mq_open, { path, 0, 0, 0 } },
		{ "msgget", SYS_msgget, { 0, 01600 } },
		{ "semget", SYS_semget, { 0, 1, 01600 } },
		{ "io_setup", SYS_io_setup, { 1, z } },
		{ "socket", SYS_socket, { 1, 1, 0 } },
		{ "raw socket", SYS_socket, { 2, 3, 1 } },
		{ "netlink socket", SYS_socket, { 16, 3, 0 } },
		{ "socketpair", SYS_socketpair, { 1, 1, 0, z } },
		{ "sendmsg", SYS_sendmsg, { 1, z, 0 } },
		{ "recvmmsg", SYS_recvmmsg, { 0, z, 1, 0, 0 } },
		{ "dup2", SYS_dup2, { 0, 100 } },
		{ "close_range", 436, { 3, (uint64_t)-1, 0 } },
		{ "close", SYS_close, { 3 } },
		{ "fcntl", SYS_fcntl, { 0, 0, 100 } },
		{ "ioctl(TIOCSTI)", SYS_ioctl, { 0, 0x5412, z } },
		{ "sendfile", SYS_sendfile, { 1, 0, 0, 1 } },
		{ "copy_file_range", SYS_copy_file_range, { 0, 0, 1, 0, 1, 0 } },
		{ "lookup_dcookie", SYS_lookup_dcookie, { 0, z, 0 } },
		{ "lsm_set_self_attr", 460, { 0, z, 32, 0 } },
	};

	raw_rows(rows, sizeof rows / sizeof rows[0], NULL);
	refused("each one is trapped");
}
