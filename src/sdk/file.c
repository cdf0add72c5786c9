/* CP_Files (cvm/file.h): the copies happen in the monitor's gate, or (window.c) without. */
#include "abi/slot.h"
#include "base/copy.h"
#include "cvm/file.h"
#include "sdk/window.h"

int cp_file_create(const char *name, uint64_t size)
{
	return (int)sdk_create(CAP_MEMORY, name, size);
}

int cp_file_open(const char *name, unsigned perms)
{
	return (int)sdk_open(CAP_MEMORY, name, perms);
}

/* What is derived falls to the file's maker when the capability in between is closed. */
int cp_file_open_range(const char *name, unsigned perms, uint64_t offset, uint64_t length)
{
	int whole = cp_file_open(name, perms);

	if (whole < 0)
		return whole;
	int part = cp_derive(whole, offset, length, perms);
	cp_close(whole);
	return part;
}

int64_t cp_file_size(int file)
{
	struct cap_info info;
	long r = gate(HC_cap_info, file, &info);

	if (r)
		return r;
	return info.kind == CAP_REVOKED ? -ERRNO_EKEYREVOKED : info.kind != CAP_MEMORY ? -EBADF : (int64_t)info.length;
}

/* A window that there is did not do. */
static __attribute__((noinline)) ssize_t by_gate(long nr, int file, const void *buffer, size_t size, uint64_t offset, bool window)
{
	if (window)
		sdk_file_unused(file, true);
	ssize_t n = gate(nr, file, buffer, size, offset);
	if (n > 0)
		sdk_file_used(file);
	return n;
}

ssize_t cp_file_pread(int file, void *buffer, size_t size, uint64_t offset)
{
	const struct sdk_window *w = sdk_window(file, offset, size);

	if (w && !user_copy(buffer, w->at + offset, size))
		return (ssize_t)size;
	return by_gate(HC_cap_read, file, buffer, size, offset, w);
}

ssize_t cp_file_pwrite(int file, const void *buffer, size_t size, uint64_t offset)
{
	const struct sdk_window *w = sdk_window(file, offset, size);
	uint32_t heed;

	if (!w || !w->heed || user_copy(w->at + offset, buffer, size))
		return by_gate(HC_cap_write, file, buffer, size, offset, w && w->heed);
	/* Who asks for the version after this look finds what was written. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (user_copy(&heed, w->heed, sizeof heed))
		return by_gate(HC_cap_write, file, buffer, size, offset, true);
	return heed == CAP_HEED_NOBODY ? (ssize_t)size : gate(HC_cap_notify, file) ?: (ssize_t)size;
}

typedef ssize_t copy_fn(int file, void *buffer, size_t size, uint64_t offset);

static ssize_t vector(copy_fn *copy, int file, const struct iovec *iov, int count, uint64_t offset)
{
	ssize_t done = 0;

	if (count < 0)
		return -EINVAL;
	for (int i = 0; i < count; i++) {
		ssize_t n = copy(file, iov[i].iov_base, iov[i].iov_len, offset + (uint64_t)done);
		if (n < 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return done;
}

ssize_t cp_file_readv(int file, const struct iovec *iov, int count, uint64_t offset)
{
	return vector(cp_file_pread, file, iov, count, offset);
}

static ssize_t pwrite_any(int file, void *buffer, size_t size, uint64_t offset)
{
	return cp_file_pwrite(file, buffer, size, offset);
}

ssize_t cp_file_writev(int file, const struct iovec *iov, int count, uint64_t offset)
{
	return vector(pwrite_any, file, iov, count, offset);
}

int64_t cp_file_version(int file)
{
	struct cap_info info;
	long r = gate(HC_cap_info, file, &info, 1);

	if (r)
		return r;
	return info.kind == CAP_REVOKED ? -ERRNO_EKEYREVOKED : info.kind != CAP_MEMORY ? -EBADF : (int64_t)info.version;
}

int cp_file_wait(int file, uint32_t *version, int64_t timeout_ns)
{
	int64_t now = cp_file_version(file);

	if (now < 0)
		return (int)now;
	if ((uint32_t)now == *version) {
		long r = sdk_wait(file, CAP_READABLE, *version, timeout_ns);
		if (r < 0)
			return (int)r;
		now = cp_file_version(file);
		if (now < 0)
			return (int)now;
	}
	*version = (uint32_t)now;
	return 0;
}

int cp_file_changed(int file)
{
	return (int)gate(HC_cap_notify, file);
}

int cp_file_map(int file, size_t size, int prot, uint64_t offset, void **address)
{
	size_t pages = (size + CVM_PAGE_SIZE - 1) & ~(size_t)(CVM_PAGE_SIZE - 1);

	int64_t length = cp_file_size(file);
	if (length < 0)
		return (int)length;
	if (!size || !pages || pages > CAP_HEED((uint64_t)length) || offset > CAP_HEED((uint64_t)length) - pages)
		return -EINVAL;
	void *at = platform_reserve(pages);
	if (!at)
		return g_sdk_present ? -ENOMEM : -ENOSYS;
	sdk_file_unused(file, true);
	long r = gate(HC_cap_map, file, at, pages, prot, offset);
	if (r < 0)
		platform_unreserve(at, pages);
	else
		*address = at;
	return (int)r;
}

int cp_file_unmap(void *address, size_t size)
{
	size_t pages = (size + CVM_PAGE_SIZE - 1) & ~(size_t)(CVM_PAGE_SIZE - 1);

	return platform_unmap(address, pages);
}
