/*
 * Offsets into struct thread (monitor/monitor.h asserts them) and the geometry of a thread block, for assembly.
 *
 * A thread block is 64 KiB, aligned to its size, in key-0 memory: any address on one of its two stacks, masked, is the
 * struct thread. That is how a signal handler finds its thread without trusting GS.
 *
 *	0x0000  struct thread (two pages)
 *	0x2000  guard
 *	0x3000  alternate signal stack, top at 0x9000
 *	0x9000  guard
 *	0xa000  monitor stack, top at 0x10000
 */
#ifndef MONITOR_OFFSETS_H
#define MONITOR_OFFSETS_H

#define THREAD_STATE 0
#define THREAD_KICK 4
#define THREAD_STACK 8
#define THREAD_USER_SP 16
#define THREAD_VCPU 24
#define THREAD_COOKIE0 32
#define THREAD_COOKIE1 40
#define THREAD_WORDS 48
#define THREAD_BY_WORDS 104

#define THREAD_IN_CVM 0
#define THREAD_IN_MONITOR 1

#define THREAD_BLOCK_SIZE 0x10000
#define THREAD_BLOCK_MASK (~(THREAD_BLOCK_SIZE - 1))
#define THREAD_GUARD_LOW 0x2000
#define THREAD_ALTSTACK 0x3000
#define THREAD_ALTSTACK_SIZE 0x6000
#define THREAD_GUARD_HIGH 0x9000
#define THREAD_STACK_TOP 0x10000

#define FLAGS_UNSAFE 0x40500 /* AC, DF, TF */

#endif
