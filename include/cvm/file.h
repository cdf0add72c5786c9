/*
 * CP_File: named memory that cVMs share, byte by byte (CAP-VMs, OSDI'22, section 4.2).
 *
 * A CP_File is made by the pod's YAML (`files:` with size, and data or a file of the host) or by a cVM. Whoever may open
 * it gets a capability on all of it or on a part, of any length at any byte offset. Bytes move by one bounds-checked
 * copy at the speed of memcpy, without a system call; or the file is mapped. With CP_MAP, libcvm maps for itself what is copied
 * from or to again and again (up to 1,024 files and 8 GiB in a program's life), and copies without leaving the cVM.
 *
 * Nothing orders what several cVMs read and write at the same time: a copy is not atomic, as with shared memory. Offsets
 * and sizes are bytes, relative to the capability's bounds. Errors common to all: cvm/cap.h.
 */
#ifndef CVM_FILE_H
#define CVM_FILE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "cap.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * Makes a file of `size` zero bytes (at most 4 GiB) and returns a handle with all permissions. A NULL name makes one that
 * is reached only by passing it on; a name needs a grant to provide it. It lives until this handle is closed, and
 * then ends for all who opened it. Its pages count against this cVM's memory.
 * -EEXIST: the name is taken. -EACCES: not granted. -EINVAL: the size. -ENOMEM: the cVM's limit.
 */
CP_NODISCARD int cp_file_create(const char *name, uint64_t size);

/* Opens a file by name with permissions CP_LOAD, CP_STORE, CP_MAP, CP_GRANT. Returns the handle. -ENOENT: no such file
 * (yet). -EACCES: not granted so much. */
CP_NODISCARD int cp_file_open(const char *name, unsigned perms);

/* The same for `length` bytes at `offset`. -ERANGE: not inside the file. */
CP_NODISCARD int cp_file_open_range(const char *name, unsigned perms, uint64_t offset, uint64_t length);

/* Bytes that the capability reaches. */
CP_NODISCARD int64_t cp_file_size(int file);

/*
 * Copy from or to byte `offset`. They return the number of bytes, fewer than asked for at the end of the bounds: reading
 * there gives 0, writing -ENOSPC. -EFAULT: the buffer is not this cVM's memory, or (cp_memory) the owner's is gone. A
 * revocation that comes in between cuts the copy short, or makes it fail after some bytes. Zero bytes do nothing.
 */
CP_NODISCARD ssize_t cp_file_pread(int file, void *buffer, size_t size, uint64_t offset);
CP_NODISCARD ssize_t cp_file_pwrite(int file, const void *buffer, size_t size, uint64_t offset);

/* The same from or to several buffers, one after the other. An error after some bytes gives the number of bytes. */
CP_NODISCARD ssize_t cp_file_readv(int file, const struct iovec *iov, int count, uint64_t offset);
CP_NODISCARD ssize_t cp_file_writev(int file, const struct iovec *iov, int count, uint64_t offset);

/*
 * Waits until the file's contents have a version other than *version, and writes that there. Every cp_file_pwrite and
 * cp_file_changed makes a new version of the whole file (many may count as one until somebody asks for the version or waits);
 * stores through a mapping do not. To miss nothing:
 *	version = cp_file_version(f); read; for (;;) { cp_file_wait(f, &version, CP_FOREVER); read; }
 * 0; -ETIMEDOUT; -EINTR: a signal was handled. What cp_memory made has one version for ever.
 */
CP_NODISCARD int cp_file_wait(int file, uint32_t *version, int64_t timeout_ns);
CP_NODISCARD int64_t cp_file_version(int file); /* 32 bits */
/* After stores through a mapping: makes a new version, and wakes all that wait for one. Returns 0. Needs CP_STORE. -EBADF: also
 * for a sealed capability. */
CP_NODISCARD int cp_file_changed(int file);

/*
 * Maps `size` bytes at `offset` (PROT_READ, or PROT_READ | PROT_WRITE) and writes the address to *address. The place in
 * the file must be a multiple of 4096, as must the size unless it reaches the file's end. Needs CP_MAP, CP_LOAD, and
 * CP_STORE to write. A capability has one mapping at a time (-EBUSY; derive another). The memory is the cVM's until
 * cp_file_unmap with the same range, or until the capability is closed or revoked: from then on touching it is SIGSEGV
 * (cp_file_unmap still gives back the addresses). -EINVAL: alignment, bounds, cp_memory. -ENOMEM: no addresses.
 */
CP_NODISCARD int cp_file_map(int file, size_t size, int prot, uint64_t offset, void **address);
int cp_file_unmap(void *address, size_t size); /* 0; -EINVAL: not page-aligned */

/*
 * A copy in the background, by a thread of libcvm's own. The caller fills in the first five fields and keeps structure
 * and buffer until it is done; then result is what cp_file_pread or cp_file_pwrite returned. Done is seen by cp_file_done,
 * by cp_poll (an entry with .io), or by cp_file_finish. Transfers are made one after the other in the order of
 * submission. What was submitted before a fork stays the parent's.
 */
struct cp_file_io {
	int file;
	int write; /* 1: buffer to file */
	void *buffer;
	size_t size;
	uint64_t offset;
	ssize_t result;
	uint32_t done; /* libcvm's, as what follows */
	struct cp_file_io *next;
};

/* 0; -EAGAIN: no thread could be made. Errors of the transfer are in its result. */
CP_NODISCARD int cp_file_submit(struct cp_file_io *io);
CP_NODISCARD int cp_file_done(const struct cp_file_io *io);    /* 1 or 0 */
CP_NODISCARD ssize_t cp_file_finish(struct cp_file_io *io); /* waits; the result */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
