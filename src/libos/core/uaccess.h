/*
 * Access to program memory that may be bad: a fault inside these routines becomes -EFAULT instead of a crash
 * (base/x86_64/copy.S, core/uaccess.S; the upcall code knows their range). Program and libOS share a domain, so this is about correct
 * errors, not isolation. A pointer handed on to a hostcall needs none of this: the host kernel answers EFAULT.
 */
#ifndef LIBOS_UACCESS_H
#define LIBOS_UACCESS_H

#include "base/copy.h"
#include "core/types.h"

/* 0 or -EFAULT; on failure a prefix may have been copied. `user` is any address. */
nodiscard static inline int copy_from_user(void *dst, const void *user, size_t size)
{
	return (int)user_copy(dst, user, size);
}

nodiscard static inline int copy_to_user(void *user, const void *src, size_t size)
{
	return (int)user_copy(user, src, size);
}

nodiscard int zero_user(void *user, size_t size);
/* Length without the NUL, -EFAULT, or -ENAMETOOLONG if there is no NUL in the first `size` bytes. */
nodiscard ssize_t copy_string_from_user(char *dst, const char *user, size_t size);
/* Atomic compare-and-exchange of a word of the program: 0 and *old set, or -EFAULT. */
nodiscard int cmpxchg_user(uint32_t *user, uint32_t expected, uint32_t desired, uint32_t *old);

#define get_user(var, user) copy_from_user(&(var), (user), sizeof(var))
#define put_user(val, user)                                                    \
	({                                                                     \
		__typeof__(*(user)) put_user_value_ = (val);                   \
		copy_to_user((user), &put_user_value_, sizeof put_user_value_); \
	})

#endif
