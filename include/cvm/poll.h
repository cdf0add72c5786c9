/*
 * cp_poll: waiting for capabilities, transfers in the background and ordinary file descriptors together, as poll(2).
 */
#ifndef CVM_POLL_H
#define CVM_POLL_H

#include "cap.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct cp_file_io;

/* An entry is one of: a capability (cap > 0), a transfer (io), or a descriptor (both 0; negative fd: ignored). Zero what
 * is not used, except that fd counts only if cap and io are zero. */
struct cp_poll {
	int cap;	       /* stream: CP_READABLE, CP_WRITABLE; listener, export, memory: CP_READABLE */
	uint32_t version;      /* memory: readable once it differs (cp_file_version) */
	struct cp_file_io *io; /* readable when done */
	int fd;		       /* in a bare cVM: a handle (cvm/bare.h) */
	uint32_t events;       /* asked for: CP_*, or POLL* of poll(2) for a descriptor */
	uint32_t revents;      /* result; CP_BROKEN, POLLERR, POLLHUP and POLLNVAL are always reported. A capability that was \
				  revoked is CP_BROKEN, one that never was there CP_INVALID */
};

#define CP_INVALID 16u

/*
 * Waits until an entry has an event, at most timeout_ns nanoseconds (0: looks, CP_FOREVER: no limit). At most 128 entries.
 * Level-triggered: reports what is so now, except that an export's notification is taken by the call that reports it.
 * Returns the number of entries with events, 0 when the time is up. -EINTR: a signal was handled. -EINVAL: too many
 * entries, or CP_WRITABLE of a CP_KIND_CALL (use cp_call_ready). -EMFILE, -ENOMEM: no descriptor to wait with.
 * Several threads may poll the same things; each is told.
 */
CP_NODISCARD int cp_poll(struct cp_poll *entry, unsigned count, int64_t timeout_ns);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
