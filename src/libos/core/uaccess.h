/*
 * Access to program memory that may be bad: a fault inside these routines becomes -EFAULT instead of a crash
 * (base/x86_64/copy.S, core/uaccess.S; the upcall code knows their range). So do addresses of an isolated libOS, which the program
 * must not name (thread/isolated.h): of such a range the start tells for all of it, because nothing is mapped below the libOS's
 * memory in the slot and nothing of the program above the slot, and what is accessed is accessed upwards. A pointer handed on to a
 * hostcall, where the host's kernel answers EFAULT, is to be checked by in_program().
 */
#ifndef LIBOS_UACCESS_H
#define LIBOS_UACCESS_H

#include "base/copy.h"
#include "core/types.h"

extern uint64_t g_libos_start, g_libos_size; /* what programs may not name; size 0 unless isolated */

static inline bool address_in_program(uint64_t address)
{
	return address - g_libos_start >= g_libos_size;
}

static inline bool in_program(const void *p)
{
	return address_in_program((uint64_t)p);
}

/* uaccess.S; for what is below. */
int user_zero(void *user, size_t size);
int user_cmpxchg(uint32_t *user, uint32_t expected, uint32_t desired, uint32_t *old);
/* For the libOS's own addresses of program memory (mm/aside.c): the bytes of both, a multiple of 32, change places.
 * 0 or -EFAULT, then some have. */
nodiscard int user_exchange(uint64_t a, uint64_t b, size_t size);

/* 0 or -EFAULT; on failure a prefix may have been copied. `user` is any address. */
nodiscard static inline int copy_from_user(void *dst, const void *user, size_t size)
{
	return likely(in_program(user)) ? (int)user_copy(dst, user, size) : -EFAULT;
}

nodiscard static inline int copy_to_user(void *user, const void *src, size_t size)
{
	return likely(in_program(user)) ? (int)user_copy(user, src, size) : -EFAULT;
}

nodiscard static inline int zero_user(void *user, size_t size)
{
	return likely(in_program(user)) ? user_zero(user, size) : -EFAULT;
}

/* A struct that grows with the versions of Linux: of the program's `size` bytes the `known` ones, zero where it has fewer. -E2BIG if it
 * asks for more, which is then not known here. */
nodiscard int copy_struct_from_user(void *to, size_t known, const void *user, size_t size);

/* The same where data of files goes, which may be the libOS's own memory (of execve or splice): a program's address was checked when its
 * iovec was. */
nodiscard static inline int copy_from_buffer(void *dst, const void *buffer, size_t size)
{
	return (int)user_copy(dst, buffer, size);
}

nodiscard static inline int copy_to_buffer(void *buffer, const void *src, size_t size)
{
	return (int)user_copy(buffer, src, size);
}

nodiscard static inline int zero_buffer(void *buffer, size_t size)
{
	return user_zero(buffer, size);
}

/* Length without the NUL, -EFAULT, or -ENAMETOOLONG if there is no NUL in the first `size` bytes. */
nodiscard ssize_t copy_string_from_user(char *dst, const char *user, size_t size);
/* Atomic compare-and-exchange of a word of the program: 0 and *old set, or -EFAULT. */
nodiscard static inline int cmpxchg_user(uint32_t *user, uint32_t expected, uint32_t desired, uint32_t *old)
{
	return likely(in_program(user)) ? user_cmpxchg(user, expected, desired, old) : -EFAULT;
}

#define get_user(var, user) copy_from_user(&(var), (user), sizeof(var))
#define put_user(val, user)                                                    \
	({                                                                     \
		__typeof__(*(user)) put_user_value_ = (val);                   \
		copy_to_user((user), &put_user_value_, sizeof put_user_value_); \
	})

#endif
