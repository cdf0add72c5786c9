/*
 * System calls about memory: thin entries over mm/ (mm/mm.h). Called through the table (sys/table_mm.h) with the
 * program's registers.
 */
#include "core/uaccess.h"
#include "fs/file.h"
#include "ipc/sysv.h"
#include "mm/mm.h"
#include "sys/syscalls.h"
#include "thread/isolated.h"

long sys_mmap(struct regs *r)
{
	int flags = (int)arg(r, 3);
	struct file *f = NULL;
	long ret;

	if ((uint64_t)arg(r, 5) % PAGE_SIZE)
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS)) {
		f = fd_get_open((int)arg(r, 4));
		if (!f)
			return -EBADF;
	}
	ret = mm_map((uint64_t)arg(r, 0), (uint64_t)arg(r, 1), (int)arg(r, 2), flags, f, f ? arg(r, 5) : 0);
	if (f)
		file_put(f);
	return ret;
}

long sys_munmap(struct regs *r)
{
	return mm_unmap((uint64_t)arg(r, 0), (uint64_t)arg(r, 1));
}

long sys_mprotect(struct regs *r)
{
	return mm_protect((uint64_t)arg(r, 0), (uint64_t)arg(r, 1), (int)arg(r, 2));
}

/* With key -1 it is mprotect; there are no keys for programs (pkey_alloc is ENOSYS). */
long sys_pkey_mprotect(struct regs *r)
{
	if ((int)arg(r, 3) != -1)
		return -EINVAL;
	return sys_mprotect(r);
}

long sys_mremap(struct regs *r)
{
	if (((int)arg(r, 3) & MREMAP_FIXED) && !address_in_program((uint64_t)arg(r, 4)))
		return -EFAULT;
	return shm_remap((uint64_t)arg(r, 0), (uint64_t)arg(r, 1), (uint64_t)arg(r, 2), (int)arg(r, 3), (uint64_t)arg(r, 4));
}

long sys_brk(struct regs *r)
{
	return mm_brk((uint64_t)arg(r, 0));
}

long sys_madvise(struct regs *r)
{
	return mm_advise((uint64_t)arg(r, 0), (uint64_t)arg(r, 1), (int)arg(r, 2));
}

long sys_msync(struct regs *r)
{
	return mm_sync((uint64_t)arg(r, 0), (uint64_t)arg(r, 1), (int)arg(r, 2));
}

long sys_mincore(struct regs *r)
{
	uint64_t addr = (uint64_t)arg(r, 0);
	uint64_t left = ((uint64_t)arg(r, 1) + PAGE_SIZE - 1) / PAGE_SIZE;
	uint8_t *out = (uint8_t *)arg(r, 2);
	uint8_t vector[256];

	if (addr % PAGE_SIZE)
		return -EINVAL;
	while (left) {
		uint64_t n = MIN(left, sizeof(vector));
		int ret = mm_incore(addr, n, vector);

		if (!ret)
			ret = copy_to_user(out, vector, n);
		if (ret)
			return ret;
		left -= n;
		out += n;
		addr += n * PAGE_SIZE;
	}
	return 0;
}

long sys_mlock(struct regs *r)
{
	return mm_lock((uint64_t)arg(r, 0), (uint64_t)arg(r, 1), true, true);
}

long sys_mlock2(struct regs *r)
{
	return arg(r, 2) & ~1l ? -EINVAL : mm_lock((uint64_t)arg(r, 0), (uint64_t)arg(r, 1), true, !arg(r, 2));
}

#define MCL_CURRENT 1
#define MCL_FUTURE 2
#define MCL_ONFAULT 4

long sys_mlockall(struct regs *r)
{
	int flags = (int)arg(r, 0);

	if (!(flags & (MCL_CURRENT | MCL_FUTURE)) || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)))
		return -EINVAL;
	return mm_lock_all(flags & MCL_CURRENT, flags & MCL_FUTURE);
}

long sys_munlock(struct regs *r)
{
	return mm_lock((uint64_t)arg(r, 0), (uint64_t)arg(r, 1), false, false);
}

long sys_munlockall(struct regs *r)
{
	(void)r;
	return mm_lock_all(false, false);
}
