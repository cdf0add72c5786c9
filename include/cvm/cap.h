/*
 * Capabilities of a cVM: what it may reach outside its own memory.
 *
 * A capability is named by a handle, a positive int, as a file by a descriptor. A handle means nothing in another cVM:
 * it is passed on with a call (cvm/call.h) or a stream (cvm/stream.h), and the receiver gets a handle of its own. What a
 * cVM may open by name, or make under a name, is granted in its pod's YAML (`uses:` and `provides:`); nothing is by
 * default.
 *
 * From a capability others can be derived with fewer rights: narrower bounds, fewer permissions, or sealed. A derived
 * one belongs to the tree of the one it came from, in whichever cVM it lies, and revoking that ends it. The model is
 * CHERI's for bounds, permissions and seals (Watson et al., ISA v9) and seL4's for derivation and revocation (Elkaduwe
 * et al., 2008); as primitives between virtual machines: CAP-VMs (Sartakov et al., OSDI'22).
 *
 * Errors: every function returns 0 or a positive result, or a negative errno value, and leaves its output parameters
 * alone on failure. Common to all that take a handle:
 *	-EBADF		no such handle, or of the wrong kind
 *	-EKEYREVOKED	it was revoked; the handle stays taken until cp_close
 *	-EACCES		a permission is missing, or the capability is sealed
 *	-EMFILE		the cVM's quota of capabilities (4096 at most) is used up
 *	-ENOSYS		the program does not run in a cVM
 *
 * In a cVM with isolate_libos each function is a system call more, and what is not the program's own memory and capabilities does
 * not exist for it: not even what its libOS holds for it, such as its sockets.
 *
 * Threads: every function may be called by any number of threads at once, unless it says otherwise. None is
 * async-signal-safe. Capabilities are the cVM's: after fork both processes have them.
 */
#ifndef CVM_CAP_H
#define CVM_CAP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define CP_NODISCARD __attribute__((warn_unused_result))

/* Permissions. */
#define CP_LOAD 1u  /* read memory */
#define CP_STORE 2u /* write memory */
#define CP_USE 4u   /* call, connect, seal and unseal */
#define CP_GRANT 8u /* pass to another cVM */
#define CP_MAP 16u  /* map memory (cp_file_map) */
#define CP_ALL 31u

enum cp_kind {
	CP_KIND_MEMORY = 1,   /* bytes of a CP_File or of a cVM's own memory */
	CP_KIND_CALL = 2,     /* the right to call an export */
	CP_KIND_CONNECT = 3,  /* the right to connect to a listener */
	CP_KIND_STREAM = 4,   /* one end of a connection */
	CP_KIND_EXPORT = 5,   /* the serving side of CP_KIND_CALL */
	CP_KIND_LISTENER = 6, /* the serving side of CP_KIND_CONNECT */
	CP_KIND_TYPE = 7,     /* the right to seal and to unseal with one type */
	CP_KIND_REVOKED = 8,  /* was revoked, is to be closed */
};

/* Events, for cp_wait and cp_poll. */
#define CP_READABLE 1u /* stream: bytes, a capability or the end; listener: a connection; export: a notification; \
			  memory: its contents changed */
#define CP_WRITABLE 2u /* stream: room, or nobody reads any more; call: a serving thread is free */
#define CP_ENDED 4u    /* stream: the peer writes no more */
#define CP_BROKEN 8u   /* stream: the peer is gone. Always reported */

#define CP_FOREVER (-1ll) /* as a timeout */

/* What is known about a capability. */
struct cp_info {
	uint32_t kind;	   /* enum cp_kind */
	uint32_t perms;	   /* CP_LOAD ... */
	uint64_t length;   /* memory: bytes */
	uint32_t sealed;   /* 1: it can only be passed, unsealed and closed */
	uint32_t peer;	   /* index of a cVM. Stream: the other end's; what was made under a name or by cp_file_create: its maker's.
			      UINT32_MAX: none (the pod's files, memory of a cVM, types, an end that is gone) */
	uint64_t word;	   /* stream: what the connecting side gave (cp_stream_connect) */
	uint32_t events;   /* CP_READABLE ... as they are now */
	uint32_t version;  /* memory: of its contents (cp_file_wait) */
	uint64_t readable; /* stream: bytes that can be received now */
	uint64_t writable; /* stream: bytes that can be sent now */
};

/* 0 in a cVM, -ENOSYS elsewhere (then so does every other function). A program in a cVM with a libOS can also look at
 * getauxval(CP_AT_CVM), which is the version of this interface, 0 elsewhere. */
CP_NODISCARD int cp_present(void);
#define CP_AT_CVM 0x43564dul /* "CVM" */

/*
 * A capability with fewer rights than `cap`: permissions `perms`, and of memory the bytes [offset, offset + length) of
 * it (zeros for other kinds). Streams, exports and listeners are not derived from.
 * Returns the new handle. -ERANGE: not inside the bounds, or length is 0. -EACCES: not a subset. -EINVAL: kind.
 */
CP_NODISCARD int cp_derive(int cap, uint64_t offset, uint64_t length, unsigned perms);

/*
 * A capability on bytes of the caller's own memory, to be passed to another cVM, which reads and writes it by
 * cp_file_pread and cp_file_pwrite. perms: CP_LOAD, CP_STORE, CP_GRANT. The memory stays the caller's: what others do
 * with it ends with cp_revoke and cp_close. If it is unmapped meanwhile, they get -EFAULT.
 * Returns the handle. -EFAULT: not memory of this cVM. -EINVAL: size 0 or other permissions.
 */
CP_NODISCARD int cp_memory(void *address, size_t size, unsigned perms);

/* A new sealing type: the right to seal and unseal with it, which can be derived from and passed as any other. */
CP_NODISCARD int cp_type(void);

/*
 * cp_seal: a derived capability sealed with `type`. It can be passed and closed but not used, until somebody who holds
 * the type unseals it (cp_unseal: again a derived one). This is how a service hands out opaque references.
 * Return the new handle. -EPERM: sealed with another type, or not sealed. -EINVAL: sealed already; kind cannot be sealed.
 */
CP_NODISCARD int cp_seal(int cap, int type);
CP_NODISCARD int cp_unseal(int cap, int type);

/*
 * Ends everything that was derived from `cap`, in every cVM; `cap` itself stays. Complete when it returns: no copy, no
 * mapping and no transfer through what was revoked is under way any more. Calls that are under way end as they end.
 */
CP_NODISCARD int cp_revoke(int cap);

/*
 * Gives up a handle. What was derived from it passes to its parent; if it has none (the maker's own capability of a file,
 * export, listener, type or memory), that is revoked, and the call returns when no transfer through it is under way any
 * more. Mappings made with it end. Returns 0, also for a handle that was revoked before.
 */
int cp_close(int cap);

/* What is known now: 0. A sealed capability may be asked about too. -EFAULT: info. */
CP_NODISCARD int cp_info(int cap, struct cp_info *info);

/*
 * Waits until one of `events` holds for one capability, at most timeout_ns nanoseconds (0: looks, CP_FOREVER: no limit).
 * For memory `seen` is the version to compare with (cp_info), else it is ignored. An export's notification is taken by
 * the wait that reports it.
 * Returns the events that hold (CP_BROKEN besides those asked for). -ETIMEDOUT. -EINTR: a signal was handled.
 */
CP_NODISCARD int cp_wait(int cap, unsigned events, uint32_t seen, int64_t timeout_ns);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
