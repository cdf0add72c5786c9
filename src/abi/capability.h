/*
 * Capabilities: what a cVM may reach outside its slot, as small integers into its own list.
 *
 * A capability handle is an index and a generation: it means nothing in another cVM, and nothing any more once it is
 * closed. A handle whose capability was revoked by somebody else stays taken, and gives -EKEYREVOKED, until closed.
 * Named things are granted in the launch description (launch_grant); nothing is by default. Unnamed ones come through
 * calls and streams.
 *
 * The model: Watson et al., "CHERI" (ISA v9) for bounds, permissions, seals and monotonicity; seL4's derivation tree for
 * revocation (Klein et al., SOSP'09; Elkaduwe et al., 2008); LRPC for calls (Bershad et al., SOSP'89); CP_File, CP_Call
 * and CP_Stream from CAP-VMs (Sartakov et al., OSDI'22).
 */
#ifndef ABI_CAPABILITY_H
#define ABI_CAPABILITY_H

#define CAP_NAME_MAX 112u /* with the NUL; "tcp/6379", "unix/run/app.sock", or any [A-Za-z0-9._/:@-]+ */

enum cap_kind {
	CAP_NONE = 0,
	CAP_MEMORY = 1,	  /* bytes of a CP_File, or of the owner's slot */
	CAP_CALL = 2,	  /* the right to call an export */
	CAP_CONNECT = 3,  /* the right to connect to a listener */
	CAP_STREAM = 4,	  /* one end of a connection */
	CAP_EXPORT = 5,	  /* the serving side of CAP_CALL */
	CAP_LISTENER = 6, /* the serving side of CAP_CONNECT */
	CAP_TYPE = 7,	  /* the right to seal and unseal with one type */
	CAP_REVOKED = 8,  /* was revoked; to be closed */
};

/* Permissions; a derived capability has a subset of its parent's. */
#define CAP_LOAD 1u  /* cap_read, map readable */
#define CAP_STORE 2u /* cap_write, map writable */
#define CAP_USE 4u   /* call, connect, send and receive, seal */
#define CAP_GRANT 8u /* may be passed to another cVM */
#define CAP_MAP 16u  /* cap_map */
#define CAP_ALL 31u

/* What cap_wait waits for, and cap_state reports. */
#define CAP_READABLE 1u	/* stream: bytes, capabilities or the end; listener: a connection; export: a notification;
			   memory: changed since `seen` */
#define CAP_WRITABLE 2u	/* stream: room, or the reader is gone; call: a serving thread is free */
#define CAP_ENDED 4u	/* stream: the peer writes no more */
#define CAP_BROKEN 8u	/* stream: the peer is gone; capability revoked */
#define CAP_RESET 16u	/* stream: it went with bytes of ours unread */

#define CAP_STREAM_RING (128u << 10) /* bytes a stream buffers in each direction */
#define CAP_PASS_MAX 4u		     /* capabilities passed with one call or message */
#define CALL_WORDS 6u
#define CALL_DEPTH_MAX 8u
#define EXPORT_SERVERS_MAX 64u
#define LISTENER_BACKLOG_MAX 128u
#define CAPS_MAX 4096u /* of one cVM */

/*
 * Memory: behind its pages lies one more, of which the first 32-bit word says whether who writes through a mapping needs to tell
 * (cap_notify). Who has CAP_STORE on all of the memory may map (cap_map) this page behind it.
 */
#define CAP_HEED(length) (((length) + 4095) & ~4095ull) /* offset of the word */
#define CAP_HEED_NEW 0u	   /* nobody told yet, nobody asked: to be told, once */
#define CAP_HEED_ASKED 1u  /* somebody asked for the version (cap_info, cap_wait): to be told, always */
#define CAP_HEED_NOBODY 2u /* nobody asked, ever */

#ifndef __ASSEMBLER__
#include <stdint.h>

struct cap_info {
	uint32_t kind;	  /* enum cap_kind */
	uint32_t perms;	  /* CAP_* */
	uint64_t length;  /* memory: bytes */
	uint32_t sealed;  /* 1: only to be passed, unsealed, closed */
	uint32_t peer;	  /* stream: index of the other cVM; else of the maker of the object; ~0: none */
	uint64_t word;	  /* stream: what the connecting side gave to stream_connect */
	uint32_t state;	  /* CAP_READABLE ... */
	uint32_t version; /* memory: of its contents, for cap_wait */
	uint64_t readable, writable; /* stream: bytes there, room */
};

/* Slow form of a call: capabilities and a deadline. */
struct call_message {
	uint64_t word[CALL_WORDS];	/* in; replaced by the answer's */
	uint32_t cap[CAP_PASS_MAX];	/* in: capabilities to pass; out: received ones, as handles of the reader */
	uint32_t caps;			/* count; written back */
	uint32_t reserved;
	uint64_t deadline_ns;		/* CLOCK_MONOTONIC, 0: none */
};
#endif
#endif
