/*
 * The part of core/uaccess.h that needs no fault fix-up of its own.
 */
#include "core/uaccess.h"

uint64_t g_libos_start, g_libos_size;

ssize_t user_string_copy(char *dst, const char *user, size_t size);

ssize_t copy_string_from_user(char *dst, const char *user, size_t size)
{
	ssize_t n = in_program(user) ? user_string_copy(dst, user, size) : -EFAULT;

	if (n >= 0 && (size_t)n == size)
		return -ENAMETOOLONG;
	return n;
}

int copy_struct_from_user(void *to, size_t known, const void *user, size_t size)
{
	const uint8_t *bytes = user;
	uint8_t byte;

	for (size_t i = known; i < MIN(size, PAGE_SIZE); i++) {
		if (get_user(byte, bytes + i))
			return -EFAULT;
		if (byte)
			return -E2BIG;
	}
	if (size > PAGE_SIZE)
		return -E2BIG;
	memset(to, 0, known);
	return copy_from_user(to, user, MIN(size, known));
}
