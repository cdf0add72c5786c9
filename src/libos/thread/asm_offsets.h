/*
 * Offsets and constants that entry.S shares with C; thread.h asserts them against the structures.
 */
#ifndef LIBOS_ASM_OFFSETS_H
#define LIBOS_ASM_OFFSETS_H

#define THREAD_KERNEL_STACK 0
#define THREAD_USER_RSP 8
#define THREAD_WORK 16
#define THREAD_WAKE_WORD 20
#define THREAD_FAST_SYSCALLS 24
#define THREAD_REGS 32
#define THREAD_RESTORE_MASK 40
#define THREAD_ASLEEP 42
#define THREAD_STACK_ROOM 56
#define THREAD_STACK_ROOM_SIZE 64

#define REGS_R15 0
#define REGS_R14 8
#define REGS_R13 16
#define REGS_R12 24
#define REGS_RBP 32
#define REGS_RBX 40
#define REGS_R11 48
#define REGS_R10 56
#define REGS_R9 64
#define REGS_R8 72
#define REGS_RAX 80
#define REGS_RCX 88
#define REGS_RDX 96
#define REGS_RSI 104
#define REGS_RDI 112
#define REGS_ORIG_RAX 120
#define REGS_RIP 128
#define REGS_CS 136
#define REGS_RFLAGS 144
#define REGS_RSP 152
#define REGS_SS 160
#define REGS_SIZE 168

/* Linux's user segments: the only ones iretq may load here. */
#define USER_CS 0x33
#define USER_SS 0x2b

#define ERESTART_FIRST 512 /* ERESTARTSYS ... */
#define ERESTART_LAST 516  /* ... ERESTART_RESTARTBLOCK */

#define RFLAGS_TF 0x100
#define RFLAGS_IF 0x200
#define RFLAGS_DF 0x400
#define RFLAGS_AC 0x40000

#endif
