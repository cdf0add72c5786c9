/*
 * The flat launch description: everything the monitor is told, checked by the command beforehand and again, as bytes
 * of unknown origin, by the monitor. No text is parsed: names are only for messages. Descriptors are inherited.
 * Lives in a sealed memfd whose number is the monitor's only argument.
 */
#ifndef ABI_LAUNCH_H
#define ABI_LAUNCH_H

#include <stdint.h>

#define LAUNCH_MAGIC 0x3148434e554c5643ull /* "CVLUNCH1" */
#define LAUNCH_VERSION 1u
#define LAUNCH_CVMS_MAX 13
#define LAUNCH_HANDLES_MAX 64
#define LAUNCH_NET_RULES_MAX 64
#define LAUNCH_NAME_MAX 64

/* What a handle may be used for; the monitor refuses the rest with EBADF/EACCES. */
enum launch_handle_kind {
	LAUNCH_HANDLE_NONE = 0,
	LAUNCH_HANDLE_STDIO = 1, /* read/write/poll/fstat/tty ioctls on an inherited descriptor */
	LAUNCH_HANDLE_DIR = 2,	 /* a granted directory: the root of relative paths */
	LAUNCH_HANDLE_FILE = 3,	 /* a granted regular file */
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

/* Protections that can be turned off one at a time, for the attack tests' positive controls and for development on a
 * machine without protection keys. Each is named by an --insecure-... option and listed at start. */
#define LAUNCH_INSECURE_NO_PKEYS (1u << 0)	 /* WRPKRU becomes a nop, memory carries no key */
#define LAUNCH_INSECURE_NO_COOKIE (1u << 1)	 /* the seccomp filter lets every system call through */
#define LAUNCH_INSECURE_NO_SCAN (1u << 2)	 /* executable memory is not scanned for forbidden bytes */
#define LAUNCH_INSECURE_NO_GATE_CHECK (1u << 3)	 /* compares behind WRPKRU become nops */
#define LAUNCH_INSECURE_NO_SLOT_CHECK (1u << 4)	 /* hostcall pointers may point outside the slot */
#define LAUNCH_INSECURE_NO_HANDLE_CHECK (1u << 5) /* handles of other cVMs are accepted */
#define LAUNCH_INSECURE_NO_PATH_CHECK (1u << 6)	 /* openat2 without RESOLVE_*: paths may leave the granted directory */
#define LAUNCH_INSECURE_NO_NET_CHECK (1u << 7)	 /* bind and connect without a grant */
#define LAUNCH_INSECURE_NO_WX (1u << 8)		 /* writable and executable at once is allowed */
#define LAUNCH_INSECURE_NO_LIMITS (1u << 9)	 /* memory, thread, handle and output limits are not enforced */
#define LAUNCH_INSECURE_NO_AUTODISARM (1u << 10) /* alternate stack without SS_AUTODISARM */
#define LAUNCH_INSECURE_ALL 0x7ffu

struct launch_cvm {
	char name[LAUNCH_NAME_MAX]; /* NUL-terminated, [A-Za-z0-9_.-]+ */
	uint64_t memory_max;	 /* bytes of committed memory */
	uint32_t threads_max;
	uint32_t handles_max;
	uint64_t log_rate;	 /* bytes per second of CHANNEL_LOG/CHANNEL_CRASH text */
	int32_t nice;		 /* from the cpu weight */
	int32_t code_channel;	 /* descriptor of this cVM's code channel */
	uint32_t handles;	 /* entries used in handle[]; handle i of the cVM is handle[i] (0,1,2 are stdio) */
	uint32_t net_rules;	 /* entries used in net_rule[] */
	struct launch_handle handle[LAUNCH_HANDLES_MAX];
	struct launch_net_rule net_rule[LAUNCH_NET_RULES_MAX];
	uint64_t boot_offset;	 /* in this description: bytes copied to the cVM for its libOS (abi/boot.h) */
	uint64_t boot_size;
};

struct launch {
	uint64_t magic;
	uint32_t version;
	uint32_t size;	   /* of the whole description, bytes */
	uint32_t insecure; /* LAUNCH_INSECURE_* */
	int32_t event_channel;
	/* The libOS: a memfd with a code image (text, no stubs) and one with the initial data. */
	int32_t libos_text;	 /* code image, mapped at SLOT_LIBOS_TEXT */
	int32_t libos_data;	 /* initial bytes at SLOT_LIBOS_DATA */
	uint64_t libos_data_size; /* bytes in the file */
	uint64_t libos_bss_size;  /* zero bytes after them */
	uint64_t libos_entry;	  /* offset from the slot's base: where the first thread starts (rdi = struct cvm_start *) */
	uint32_t cvms;
	uint32_t reserved;
	struct launch_cvm cvm[LAUNCH_CVMS_MAX];
};

#endif
