/*
 * The part of core/uaccess.h that needs no fault fix-up of its own.
 */
#include "core/uaccess.h"

ssize_t user_string_copy(char *dst, const char *user, size_t size);

ssize_t copy_string_from_user(char *dst, const char *user, size_t size)
{
	ssize_t n = user_string_copy(dst, user, size);

	if (n >= 0 && (size_t)n == size)
		return -ENAMETOOLONG;
	return n;
}
