/*
 * Directories of the user's own: the code cache's and that of the control sockets.
 */
#ifndef CLI_PRIVATE_DIR_H
#define CLI_PRIVATE_DIR_H

/* A descriptor, or negative errno; -EPERM if somebody else owns the directory or can write to it. */
__attribute__((warn_unused_result)) int private_dir_open(const char *path);

/* The same, after making it and the directories above it (mode 0700) where they are missing. */
__attribute__((warn_unused_result)) int private_dir_make(const char *path);

/* What such an error means. */
const char *private_dir_error(int error);

#endif
