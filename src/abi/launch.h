/*
 * The flat launch description: everything the monitor is told, checked by the command beforehand and again, as bytes
 * of unknown origin, by the monitor. No text is parsed: names are only for messages. Descriptors are inherited.
 * Lives in a sealed memfd whose path (/proc/self/fd/N) is the monitor's only argument.
 */
#ifndef ABI_LAUNCH_H
#define ABI_LAUNCH_H

#include <stdint.h>

#include "abi/capability.h"

#define LAUNCH_MAGIC 0x3148434e554c5643ull /* "CVLUNCH1" */
#define LAUNCH_VERSION 4u
#define LAUNCH_CVMS_MAX 13
#define LAUNCH_THREADS_MAX 2047u /* of all cVMs together */
#define LAUNCH_HANDLES_MAX 64
/* An epoll counts as so many handles: what all cVMs together may watch is limited by the host, and is the product of epolls and files. */
#define LAUNCH_EPOLL_HANDLES 8
#define LAUNCH_NET_RULES_MAX 64
#define LAUNCH_NAME_MAX 64
#define LAUNCH_GRANTS_MAX 64
#define LAUNCH_FILES_MAX 64
#define LAUNCH_IMAGES_MAX 14

/* What a handle may be used for; the monitor refuses the rest with EBADF/EACCES. */
enum launch_handle_kind {
	LAUNCH_HANDLE_NONE = 0,
	LAUNCH_HANDLE_STDIO = 1, /* read/write/poll/fstat/tty ioctls on an inherited descriptor */
	LAUNCH_HANDLE_DIR = 2,	 /* a granted directory: the root of relative paths */
	LAUNCH_HANDLE_FILE = 3,	 /* a granted regular file, to be opened by hostcall */
};
#define LAUNCH_RIGHT_READ 1u
#define LAUNCH_RIGHT_WRITE 2u

struct launch_handle {
	uint32_t kind;	 /* enum launch_handle_kind */
	uint32_t rights; /* LAUNCH_RIGHT_* */
	int32_t fd;	 /* inherited descriptor */
	uint32_t reserved;
};

enum launch_net_action { LAUNCH_NET_BIND = 1, LAUNCH_NET_CONNECT = 2 };

struct launch_net_rule {
	uint16_t action;   /* enum launch_net_action */
	uint16_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t port_first, port_last; /* host byte order, inclusive; 0..0 in a BIND rule grants ephemeral ports */
	uint16_t family;   /* AF_INET or AF_INET6 */
	uint16_t prefix;   /* bits of `address` that must match; 0 matches any address of the family */
	uint32_t reserved;
	uint8_t address[16]; /* network byte order */
};

/* What a cVM may open (use) or make (provide) by name. A name that ends in '*' stands for every name that starts so. */
#define LAUNCH_GRANT_USE 1u
#define LAUNCH_GRANT_PROVIDE 2u
struct launch_grant {
	uint16_t kind;	/* enum cap_kind: CAP_MEMORY, CAP_CALL or CAP_CONNECT, for both roles */
	uint16_t roles; /* LAUNCH_GRANT_* */
	uint32_t perms; /* CAP_*: the most that cap_open gives */
	char name[CAP_NAME_MAX];
};

/* A CP_File that exists from the start: a memfd the command filled, with the page of CAP_HEED. */
struct launch_file {
	char name[CAP_NAME_MAX];
	uint64_t size; /* bytes, at least 1 */
	int32_t fd;
	uint32_t reserved;
};

/* What a cVM starts from: the libOS (image 0) or, for a bare cVM, its program, built with the SDK for the same places. */
struct launch_image {
	int32_t text;	   /* memfd with a code image, mapped at SLOT_LIBOS_TEXT */
	int32_t data;	   /* memfd with the initial bytes at SLOT_LIBOS_DATA */
	uint64_t data_size; /* bytes in the file */
	uint64_t bss_size; /* zero bytes after them */
	uint64_t entry;	   /* offset from the slot's base: where the first thread starts (rdi = struct cvm_start *) */
};

#define LAUNCH_CVM_DEFERRED 1u /* not started with the Intravisor but by CHANNEL_START */
#define LAUNCH_CVM_ISOLATED 2u /* its libOS has a domain of its own, which its program has no access to */
#define LAUNCH_STAY 1u	       /* without a running cVM the Intravisor waits for CHANNEL_START until the channel closes */

/* Protections that can be turned off one at a time, for the attack tests' positive controls and for development on a
 * machine without protection keys. Each is named by an --insecure-... option and listed at start. */
#define LAUNCH_INSECURE_NO_PKEYS (1u << 0)	 /* no WRPKRU, memory carries no key: intravisor-monitor-no-pkeys */
#define LAUNCH_INSECURE_NO_COOKIE (1u << 1)	 /* the seccomp filter lets every system call through */
#define LAUNCH_INSECURE_NO_SCAN (1u << 2)	 /* executable memory is not scanned for forbidden bytes */
#define LAUNCH_INSECURE_NO_GATE_CHECK (1u << 3)	 /* no traps behind WRPKRU: intravisor-monitor-no-gate-check */
#define LAUNCH_INSECURE_NO_SLOT_CHECK (1u << 4)	 /* hostcall pointers may point outside the slot */
#define LAUNCH_INSECURE_NO_HANDLE_CHECK (1u << 5) /* handles of other cVMs are accepted */
#define LAUNCH_INSECURE_NO_PATH_CHECK (1u << 6)	 /* openat2 without RESOLVE_*: paths may leave the granted directory */
#define LAUNCH_INSECURE_NO_NET_CHECK (1u << 7)	 /* bind and connect without a grant */
#define LAUNCH_INSECURE_NO_WX (1u << 8)		 /* writable and executable at once is allowed */
#define LAUNCH_INSECURE_NO_LIMITS (1u << 9)	 /* memory, thread, handle and output limits are not enforced */
#define LAUNCH_INSECURE_NO_AUTODISARM (1u << 10) /* alternate stack without SS_AUTODISARM */
#define LAUNCH_INSECURE_NO_CAP_CHECK (1u << 11) /* bounds, permissions, seals and grants of capabilities are ignored */
#define LAUNCH_INSECURE_NO_REVOKE (1u << 12)	/* revocation reaches nothing */
#define LAUNCH_INSECURE_NO_CLEAN (1u << 13)	/* calls leave the caller's vector state and flags to the callee and back */
#define LAUNCH_INSECURE_ALL 0x3fffu

struct launch_cvm {
	char name[LAUNCH_NAME_MAX]; /* NUL-terminated, [A-Za-z0-9_.-]+ */
	uint64_t memory_max;	 /* bytes of committed memory */
	uint32_t threads_max;
	uint32_t handles_max;
	int32_t nice;		 /* from the cpu weight */
	int32_t code_channel;	 /* descriptor of this cVM's code channel */
	uint32_t handles;	 /* entries used in handle[]; handle i of the cVM is handle[i] (0,1,2 are stdio) */
	uint32_t net_rules;	 /* entries used in net_rule[] */
	uint32_t grants;	 /* entries used in grant[] */
	uint32_t caps_max;	 /* capabilities it may hold, at most CAPS_MAX */
	uint32_t image;		 /* index in launch.image[] */
	uint32_t flags;		 /* LAUNCH_CVM_* */
	struct launch_handle handle[LAUNCH_HANDLES_MAX];
	struct launch_net_rule net_rule[LAUNCH_NET_RULES_MAX];
	struct launch_grant grant[LAUNCH_GRANTS_MAX];
	uint64_t boot_offset;	 /* in this description: bytes copied to the cVM for its libOS (abi/boot.h) */
	uint64_t boot_size;
};

struct launch {
	uint64_t magic;
	uint32_t version;
	uint32_t size;	   /* of the whole description, bytes */
	uint32_t insecure; /* LAUNCH_INSECURE_* */
	int32_t event_channel;
	uint32_t flags; /* LAUNCH_STAY */
	uint32_t images, files;
	struct launch_image image[LAUNCH_IMAGES_MAX];
	struct launch_file file[LAUNCH_FILES_MAX];
	uint32_t cvms;
	/* of the host, for libOSes to tell their programs: nothing that the monitor relies on */
	uint32_t host_cpus;
	uint64_t host_memory; /* bytes */
	uint64_t xsave_size;  /* of a standard-format area for x87, SSE, AVX and AVX-512, as far as the CPU has them */
	struct launch_cvm cvm[LAUNCH_CVMS_MAX]; /* the description holds `cvms` of them, then what boot_offset names */
};

#endif
