/*
 * Boot information: what the command tells a cVM's libOS. The monitor copies it without looking. The libOS lives
 * inside the cVM, so nothing here can grant anything: directories and ports are granted by launch.h.
 *
 * One block of bytes: struct libos_boot, then everything it refers to by byte offset from its own start. Strings are
 * NUL-terminated; a "string list" is `count` strings one after the other.
 */
#ifndef ABI_BOOT_H
#define ABI_BOOT_H

#include <stdint.h>

#define BOOT_MAGIC 0x34544f4f424d5643ull /* "CVMBOOT4" */
#define BOOT_MOUNTS_MAX 48

enum boot_mount_type {
	BOOT_MOUNT_HOST = 1,	/* handle: a granted directory */
	BOOT_MOUNT_OVERLAY = 2, /* handle: a granted directory, read-only, under an in-memory copy-up layer */
	BOOT_MOUNT_TMPFS = 3,
	BOOT_MOUNT_PROC = 4,
	BOOT_MOUNT_DEV = 5,
	BOOT_MOUNT_HOST_FILE = 6, /* handle: a granted regular file, mounted on a file */
	BOOT_MOUNT_CAP = 7,	/* what `grant` names, as files */
	BOOT_MOUNT_PTS = 8,	/* pseudo-terminals */
};

struct boot_mount {
	uint32_t type;
	uint32_t handle;
	uint32_t read_only;
	uint32_t path; /* string offset: absolute guest path; mounts are listed parents first, "/" being the first */
};

/* What the libOS tells programs that use capabilities (libcvm): an entry of the auxiliary vector, with the version of the
 * interface, and a device. Reading that never waits: it gives 512 bytes, the bits of hostcall cap_events, or none; the
 * device is readable after the next event. */
#define BOOT_AT_CVM 0x43564dul
#define BOOT_CVM_VERSION 1ul
#define BOOT_EVENTS_DEVICE "/dev/cvm"

/*
 * With isolate_libos the program may make no hostcalls. Then another entry of the vector has the number of a system call
 * by which its libOS makes those of capabilities for it: (number of the hostcall, up to five arguments as it takes them).
 * What it gives is what they give, as if others' capabilities were not there, and -EPERM for other hostcalls.
 * Words are passed in memory, where nobody takes them for addresses:
 *	stream_connect (cap, const uint64_t *word)
 *	call_invoke, call_serve (cap, uint64_t words[CALL_WORDS]): as the answer or request they are in the same place
 * call_invoke, call_invoke_msg and call_serve leave nothing in vector and x87 registers.
 */
#define BOOT_AT_CVM_SYSCALL 0x43564eul
#define BOOT_SYSCALL_CAPABILITY 0x43564d

/*
 * In every cVM that system call takes, in place of a hostcall's number, this, and three addresses: (begin, end, exit). From then
 * on a SIGSEGV or SIGBUS of the program in [begin, end) is none, but goes on at exit, until execve. -ENOSPC: there are
 * BOOT_CAPABILITY_COPIES_MAX such ranges.
 */
#define BOOT_CAPABILITY_COPIES 0x1000
#define BOOT_CAPABILITY_COPIES_MAX 4u

/* The command's end of this handle is its log of the cVM. One write is one message: a BOOT_LOG_* byte, then text of one or
 * more lines, of which the command takes BOOT_LOG_MAX bytes. It limits the rate and escapes. The handle does not block. */
#define BOOT_HANDLE_LOG 3u
#define BOOT_LOG_TEXT 't'  /* --trace, warnings */
#define BOOT_LOG_CRASH 'c' /* crash reports */
#define BOOT_LOG_MAX 2048u

#define BOOT_FLAG_TRACE 1u	   /* print system calls */
#define BOOT_FLAG_LOG_UNKNOWN 2u   /* log each unknown system call once */
#define BOOT_FLAG_JOB 8u	   /* the command wants to know when the first process stops (EXEC_STOPPED) */
#define BOOT_FLAG_DETACHED 16u	   /* the command wants to know when the program has been loaded (EXEC_LOADED) */
#define BOOT_FLAG_INIT 32u	   /* orphans become the libOS's children instead of the first process's, and leave no zombies */
#define BOOT_FLAG_ISOLATED 4u	   /* the launch description says LAUNCH_CVM_ISOLATED */

struct libos_boot {
	uint64_t magic;
	uint32_t size; /* of the whole block */
	uint32_t flags; /* BOOT_FLAG_* */
	uint32_t argc, argv; /* count, string list offset; argv[0] as the program shall see it */
	uint32_t envc, envp; /* count, string list offset */
	uint32_t program;    /* string offset: guest path, or a bare name to be looked up in the guest's PATH */
	uint32_t cwd;	     /* string offset: guest path */
	uint32_t hostname;   /* string offset */
	uint32_t grants, grant; /* count, string list offset: "file/NAME", "stream/NAME", as the YAML grants their use */
	uint32_t served_by;  /* string offset: the cVM that serves this one's system calls (abi/served.h), 0: none; */
	uint32_t served_call; /* string offset: the capability for it, */
	uint32_t served_ms;  /* and how long it may take, to be there and for each call */
	uint32_t uid, gid;   /* what the program sees: 0/0 by default */
	uint32_t exec;	     /* handle of the channel for `intravisor exec` (abi/exec.h), 0: there is none */
	uint32_t ready;	     /* string offset: "tcp/PORT" or "unix/PATH", of which the command wants EXEC_LISTENS; 0: none */
	uint32_t mounts;
	struct boot_mount mount[BOOT_MOUNTS_MAX];
	uint64_t tmpfs_max; /* bytes that tmpfs and overlays may hold, at most the memory limit */
	uint64_t handles_max; /* as configured; the host may allow fewer */
};

#endif
