/* System calls of the mm family; see sys/syscalls.h for the format. */
#ifndef LIBOS_TABLE_MM_H
#define LIBOS_TABLE_MM_H

#define SYSCALLS_MM(SYS)           \
	SYS(mmap, "pumxfx")        \
	SYS(munmap, "pu")          \
	SYS(mprotect, "pum")       \
	SYS(pkey_mprotect, "pumd") \
	SYS(mremap, "puuxP")       \
	SYS(brk, "p")              \
	SYS(madvise, "pud")        \
	SYS(msync, "pux")          \
	SYS(mincore, "pup")        \
	SYS(mlock, "pu")           \
	SYS(mlock2, "pux")         \
	SYS(mlockall, "x")         \
	SYS(munlock, "pu")         \
	SYS(munlockall, "")

#endif
