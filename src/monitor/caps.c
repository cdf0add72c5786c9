/* Capabilities: being built; every hostcall of abi/capability.h answers -ENOSYS until then. */
#include "monitor/hostcalls.h"

#define MISSING(name)                                       \
	long hc_##name(struct thread *t, const uint64_t *a) \
	{                                                   \
		(void)t, (void)a;                           \
		return -ENOSYS_;                            \
	}
MISSING(cap_open) MISSING(cap_create) MISSING(cap_memory) MISSING(cap_derive) MISSING(cap_seal) MISSING(cap_revoke)
MISSING(cap_close) MISSING(cap_info) MISSING(cap_read) MISSING(cap_write) MISSING(cap_map) MISSING(cap_wait)
MISSING(cap_notify) MISSING(cap_events) MISSING(cap_doorbell) MISSING(call_invoke) MISSING(call_invoke_msg)
MISSING(call_serve) MISSING(call_caps) MISSING(stream_connect) MISSING(stream_accept) MISSING(stream_pair)
MISSING(stream_send) MISSING(stream_recv) MISSING(stream_cap) MISSING(stream_shutdown) MISSING(stream_map)
MISSING(stream_window)
