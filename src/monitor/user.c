/*
 * Access to cVM memory: range check against the slot, then a copy that survives unmapped pages (gate.S, trap.c).
 * Every hostcall argument that is an address passes through here, or through in_slot() on its way to the kernel.
 */
#include "monitor/monitor.h"

bool in_slot(const struct cvm *c, struct gaddr a, uint64_t size)
{
	uint64_t end;

	if (insecure(LAUNCH_INSECURE_NO_SLOT_CHECK))
		return true;
	if (!add_checked(a.v, size, &end))
		return false;
	if (likely(a.v >= c->base && end <= c->base + SLOT_SIZE))
		return true;
	return a.v >= SLOT_LOW_BASE && end <= SLOT_LOW_END && __atomic_load_n(&g_arena->low_owner, __ATOMIC_RELAXED) == c;
}

bool futex_word(const struct cvm *c, uint64_t addr)
{
	return !(addr & 3) && in_slot(c, (struct gaddr){ addr }, 4);
}

int user_in(const struct cvm *c, void *dst, struct gaddr src, uint64_t size)
{
	return in_slot(c, src, size) ? (int)user_copy(dst, (const void *)src.v, size) : -EFAULT;
}

int user_out(const struct cvm *c, struct gaddr dst, const void *src, uint64_t size)
{
	return in_slot(c, dst, size) ? (int)user_copy((void *)dst.v, src, size) : -EFAULT;
}

int user_path(const struct cvm *c, char *dst, uint64_t dst_size, struct gaddr src, uint64_t size)
{
	if (size >= dst_size)
		return -ENAMETOOLONG;
	if (size && user_in(c, dst, src, size)) /* no path: the address means nothing */
		return -EFAULT;
	dst[size] = 0;
	return strlen(dst) == size ? 0 : -EINVAL;
}
