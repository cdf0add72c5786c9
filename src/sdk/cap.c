/* Capability handles (cvm/cap.h): thin over the monitor's hostcalls, which check everything. */
#include "cvm/cap.h"
#include "sdk/window.h"

_Static_assert(CP_LOAD == CAP_LOAD && CP_STORE == CAP_STORE && CP_USE == CAP_USE && CP_GRANT == CAP_GRANT &&
	       CP_MAP == CAP_MAP && CP_ALL == CAP_ALL, "permissions");
_Static_assert((int)CP_KIND_MEMORY == CAP_MEMORY && (int)CP_KIND_CALL == CAP_CALL && (int)CP_KIND_CONNECT == CAP_CONNECT &&
	       (int)CP_KIND_STREAM == CAP_STREAM && (int)CP_KIND_EXPORT == CAP_EXPORT && (int)CP_KIND_LISTENER == CAP_LISTENER &&
	       (int)CP_KIND_TYPE == CAP_TYPE && (int)CP_KIND_REVOKED == CAP_REVOKED, "kinds");
_Static_assert(CP_READABLE == CAP_READABLE && CP_WRITABLE == CAP_WRITABLE && CP_ENDED == CAP_ENDED && CP_BROKEN == CAP_BROKEN,
	       "events");
_Static_assert(sizeof(struct cp_info) == sizeof(struct cap_info) &&
	       offsetof(struct cp_info, word) == offsetof(struct cap_info, word) &&
	       offsetof(struct cp_info, version) == offsetof(struct cap_info, version) &&
	       offsetof(struct cp_info, writable) == offsetof(struct cap_info, writable), "information");

int cp_present(void)
{
	return g_sdk_present ? 0 : -ENOSYS;
}

static size_t name_size(const char *name)
{
	size_t n = 0;

	while (name && name[n] && n < CAP_NAME_MAX)
		n++;
	return n;
}

long sdk_open(unsigned kind, const char *name, unsigned perms)
{
	size_t size = name_size(name);

	return size ? gate(HC_cap_open, kind, name, size, perms) : g_sdk_present ? -EINVAL : -ENOSYS;
}

long sdk_create(unsigned kind, const char *name, uint64_t arg)
{
	return gate(HC_cap_create, kind, name, name_size(name), arg);
}

long sdk_wait(int cap, unsigned events, uint32_t seen, int64_t timeout_ns)
{
	uint64_t end = timeout_ns > 0 ? platform_now() + (uint64_t)timeout_ns : 0;
	long r;

	while ((r = gate(HC_cap_wait, cap, events, timeout_ns, seen)) == -EINTR && !platform_interrupts) {
		int64_t left = end ? (int64_t)(end - platform_now()) : timeout_ns;
		timeout_ns = end && left < 0 ? 0 : left;
	}
	return r;
}

int cp_derive(int cap, uint64_t offset, uint64_t length, unsigned perms)
{
	return (int)gate(HC_cap_derive, cap, offset, length, perms);
}

int cp_memory(void *address, size_t size, unsigned perms)
{
	return (int)gate(HC_cap_memory, address, size, perms);
}

int cp_type(void)
{
	return (int)gate(HC_cap_create, CAP_TYPE);
}

int cp_seal(int cap, int type)
{
	return (int)gate(HC_cap_seal, cap, type, 1);
}

int cp_unseal(int cap, int type)
{
	return (int)gate(HC_cap_seal, cap, type, 0);
}

int cp_revoke(int cap)
{
	return (int)gate(HC_cap_revoke, cap);
}

int cp_close(int cap)
{
	sdk_file_unused(cap, false);
	return (int)gate(HC_cap_close, cap);
}

int cp_info(int cap, struct cp_info *info)
{
	return (int)gate(HC_cap_info, cap, info, 1);
}

int cp_wait(int cap, unsigned events, uint32_t seen, int64_t timeout_ns)
{
	return (int)sdk_wait(cap, events, seen, timeout_ns);
}
