/*
 * The gates: every instruction of the Intravisor that changes PKRU or GS base, and every way between a cVM and the
 * monitor. cVM code may jump to any address here with any registers (protection keys do not stop execution), so:
 *
 *  - each WRPKRU is followed by a compare that traps unless PKRU is the one value that belongs to the path;
 *  - after it, everything comes from %gs (trusted) or from key-0 memory; nothing from the caller's registers but
 *    arguments;
 *  - code not behind WRPKRU touches key-0 memory before it does anything of effect, which faults in a cVM.
 *
 * The labels between which a signal may interrupt are used by monitor/trap.c.
 */
#include "abi/vcpu.h"
#include "monitor/x86_64/offsets.h"

/* What the insecure monitors lack (meson.build); the checks leave every address as it is. */
	.macro change_pkru
#ifdef NO_PKEYS
	nopl (%rax)
#else
	wrpkru
#endif
	.endm
	.macro check_of check:vararg
	\check
#ifdef NO_GATE_CHECK
	{disp32} jne .Lunchecked\@
.Lunchecked\@:
#else
	{disp32} jne gate_trap
#endif
	.endm

	.text
	.balign 64

/*
 * gate_enter: a hostcall. Entered by `call` from cVM code under the cVM's PKRU.
 * In: r11 number, rdi rsi r8 r9 r10 r12 arguments. Out: see gate_leave. PKRU: cVM -> 0.
 * Until gate_commit only rax, rcx, rdx and flags have changed, so an interrupted entry restarts at gate_enter.
 */
	.globl gate_enter, gate_commit
	.type gate_enter, @function
gate_enter:
	xor %ecx, %ecx
	xor %edx, %edx
	xor %eax, %eax
	.globl gate_wrpkru_in
gate_wrpkru_in:
	change_pkru
	check_of test %eax, %eax
	mov %gs:VCPU_MONITOR_THREAD, %rcx
	cmpl $THREAD_IN_CVM, THREAD_STATE(%rcx)
	jne gate_trap
gate_commit:
	movl $THREAD_IN_MONITOR, THREAD_STATE(%rcx)
	mov %rsp, THREAD_USER_SP(%rcx)
	mov THREAD_STACK(%rcx), %rsp
	pushfq
	testl $FLAGS_UNSAFE, (%rsp)
	jnz 2f
1:	push %r11
	push %r12
	push %r10
	push %r9
	push %r8
	push %rsi
	push %rdi
	mov %rcx, %rdi
	mov %r11, %rsi
	mov %rsp, %rdx
	call hostcall_dispatch
	mov %gs:VCPU_MONITOR_THREAD, %rdi
	cmpl $0, THREAD_BY_WORDS(%rdi)
	je gate_leave
	jmp call_leave
2:	andl $~FLAGS_UNSAFE, (%rsp)
	popfq
	pushfq
	jmp 1b

/*
 * gate_leave: back into the cVM behind the `call` that entered.
 * In: rax result, PKRU 0, callee-saved registers as the caller had them; the stack is not used.
 * Out: rax result; rcx rdi rsi r8-r11 zero, edx zero; PKRU the cVM's.
 * A kick before the state changes restarts at gate_leave; one in the tail is finished by trap.c.
 */
	.globl gate_leave, gate_tail, gate_tail_saved, gate_tail_end
gate_leave:
	mov %gs:VCPU_MONITOR_THREAD, %rdi
	cmpl $0, THREAD_KICK(%rdi)
	jne gate_leave_kicked
	mov THREAD_USER_SP(%rdi), %rsp
	movl $THREAD_IN_CVM, THREAD_STATE(%rdi)
gate_tail:
	mov %rax, %r8
gate_tail_saved:
	xor %edi, %edi
	xor %esi, %esi
	xor %r9d, %r9d
	xor %r10d, %r10d
	xor %r11d, %r11d
	xor %ecx, %ecx
	xor %edx, %edx
	mov %gs:VCPU_PKRU, %eax
	.globl gate_wrpkru_out, gate_move_result
gate_wrpkru_out:
	change_pkru
	check_of cmp %gs:VCPU_PKRU, %eax
gate_move_result:
	mov %r8, %rax
	xor %r8d, %r8d
	ret
gate_tail_end:

/* A kick waits for a thread that leaves a hostcall: build its context and let trap.c deliver it, or go on leaving. */
gate_leave_kicked:
	mov THREAD_STACK(%rdi), %rsp
	sub $8, %rsp
	push %rax
	/* struct upcall_frame, registers only: r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi rip cs rflags rsp ss
	 * and the 40 bytes of trap description behind them */
	sub $40, %rsp
	push $0x2b
	push THREAD_USER_SP(%rdi)
	push $0x202
	push $0x33
	push $0
	push $0
	push $0
	push $0
	push $0
	push %rax
	push $0
	push $0
	push $0
	push $0
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, %rsi
	sub $8, %rsp
	call trap_leave_kicked /* (thread, frame): returns if there is nothing to deliver now */
	mov 208(%rsp), %rax
	jmp gate_leave

/* Where every failed check ends: SIGILL in the cVM that jumped into a gate. */
	.globl gate_trap
gate_trap:
	ud2

/*
 * cvm_enter(thread, entry, stack, argument): into the cVM at a new place (thread start, upcall); never returns.
 * PKRU: 0 -> cVM. All registers but rdi (argument) and r9 (entry) are cleared.
 */
	.globl cvm_enter, enter_tail, enter_tail_end
	.type cvm_enter, @function
cvm_enter:
	mov %rsi, %r9
	mov %rdx, %rsp
	movl $THREAD_IN_CVM, THREAD_STATE(%rdi)
enter_tail:
	mov %rcx, %rdi
enter_tail_saved:
	xor %esi, %esi
	xor %ebx, %ebx
	xor %ebp, %ebp
	xor %r8d, %r8d
	xor %r10d, %r10d
	xor %r11d, %r11d
	xor %r12d, %r12d
	xor %r13d, %r13d
	xor %r14d, %r14d
	xor %r15d, %r15d
	xor %ecx, %ecx
	xor %edx, %edx
	mov %gs:VCPU_PKRU, %eax
	.globl enter_wrpkru
enter_wrpkru:
	change_pkru
	check_of cmp %gs:VCPU_PKRU, %eax
	xor %eax, %eax
	jmp *%r9
enter_tail_end:
	.globl enter_tail_saved

/*
 * call_leave: into a cVM behind its `call` of the gate with a call or an answer (monitor/call.c); never returns.
 * In: THREAD_WORDS of the thread. Out: words in r12 r13 r8-r11, status in rbx, rcx where it went, all else zero. No `ret`:
 * it would be predicted to go where the other cVM's `call` came from.
 */
	.globl call_leave, call_tail, call_jump, call_tail_end
	.type call_leave, @function
call_leave:
	mov %gs:VCPU_MONITOR_THREAD, %rdi
	movl $0, THREAD_BY_WORDS(%rdi) /* the kick's upcall makes hostcalls of its own */
	cmpl $0, THREAD_KICK(%rdi)
	jne 1f
	mov THREAD_WORDS(%rdi), %r12
	mov THREAD_WORDS + 8(%rdi), %r13
	mov THREAD_WORDS + 16(%rdi), %r8
	mov THREAD_WORDS + 24(%rdi), %r9
	mov THREAD_WORDS + 32(%rdi), %r10
	mov THREAD_WORDS + 40(%rdi), %r11
	mov THREAD_WORDS + 48(%rdi), %rbx
	xor %esi, %esi
	xor %ebp, %ebp
	xor %r14d, %r14d
	xor %r15d, %r15d
	xor %ecx, %ecx
	xor %edx, %edx
	mov THREAD_USER_SP(%rdi), %rsp
	movl $THREAD_IN_CVM, THREAD_STATE(%rdi)
call_tail:
	xor %edi, %edi
	mov %gs:VCPU_PKRU, %eax
	.globl call_wrpkru
call_wrpkru:
	change_pkru
	check_of cmp %gs:VCPU_PKRU, %eax
	xor %eax, %eax
	pop %rcx
call_jump:
	jmp *%rcx
call_tail_end:
1:	mov THREAD_STACK(%rdi), %rsp
	call call_leave_kicked
	jmp call_leave

/*
 * call_clean: no register of one cVM reaches another. Vector state zero, default modes, and not NT, with which no libOS could
 * use iretq; x87 and AVX-512 state only if it is in use (XINUSE), as it hardly ever is. Clobbers eax, rcx, edx.
 */
	FLAG_NT = 0x4000
	.globl call_clean
call_clean:
	pushfq
	testl $FLAG_NT, (%rsp)
	jz 3f
	andl $~FLAG_NT, (%rsp)
	popfq
	pushfq
3:	pop %rcx
	vzeroall
	ldmxcsr mxcsr_default(%rip)
	mov $1, %ecx
	xgetbv
	test $1, %al
	jz 1f
	fninit
	.rept 8
	fldz
	.endr
	fninit
1:	test $0xe0, %al
	jz 2f
	.irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vpxord %zmm\n, %zmm\n, %zmm\n
	.endr
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7
	kxorw %k\n, %k\n, %k\n
	.endr
2:	ret
	.section .rodata
	.balign 4
mxcsr_default:
	.long 0x1f80
	.text

/*
 * gs_load: GS base = rsi. Jumped to by a cVM it would move its own GS base, so the next instruction touches key-0
 * memory: that faults, and the handler, which does not use GS, puts the right base back (trap_entry).
 */
	.globl gs_load
gs_load:
	wrgsbase %rsi
	cmpl $0, g_key0_canary(%rip)
	ret

/*
 * trap_entry: a signal handler returned to here instead of to the cVM (monitor/trap.c), on the monitor stack.
 * In: rdi thread, PKRU 0 (from the signal frame).
 */
	.globl trap_entry
trap_entry:
	mov THREAD_VCPU(%rdi), %rsi
	call gs_load
	mov %gs:VCPU_MONITOR_THREAD, %rdi
	call trap_deliver
	ud2

/*
 * xrstor_gate: XRSTOR for cVM code, without PKRU. Runs under the cVM's PKRU.
 * In: rdi area, eax:edx mask. All registers kept, flags not. Whoever jumps to the XRSTOR itself with bit 9 (PKRU) in
 * the mask is caught behind it.
 */
	.globl xrstor_gate, xrstor_insn
	.type xrstor_gate, @function
xrstor_gate:
	check_of test $0x200, %eax
xrstor_insn:
	xrstor (%rdi)
	check_of test $0x200, %eax
	ret

/*
 * signal_entry: the handler of every signal. The kernel gave PKRU with key 0 only, a block's alternate stack, and the
 * interrupted AC flag. In: edi signal, rsi siginfo, rdx ucontext.
 */
	.globl signal_entry
signal_entry:
	pushfq
	andl $~FLAGS_UNSAFE, (%rsp)
	popfq
	mov %rsp, %rcx
	and $THREAD_BLOCK_MASK, %rcx
	sub $8, %rsp
	call trap_handle
	add $8, %rsp
	ret

/* The kernel's return address for handlers: rt_sigreturn with this thread's cookies. */
	.globl signal_restorer
signal_restorer:
	mov %rsp, %rax
	and $THREAD_BLOCK_MASK, %rax
	mov THREAD_COOKIE0(%rax), %r8
	mov THREAD_COOKIE1(%rax), %r9
	mov $15, %eax
	.globl sigreturn_syscall
sigreturn_syscall:
	syscall
	ud2

/*
 * host_syscall_interruptible(nr, a0..a3): returns -EINTR if a kick came before the system call; trap.c moves a kick
 * between the two labels to the same exit, so none is lost. Cookies as in host/syscall.h.
 */
	.globl host_syscall_interruptible, interruptible_begin, interruptible_end, interruptible_exit
host_syscall_interruptible:
	mov %gs:VCPU_MONITOR_THREAD, %r11
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	mov %rcx, %rdx
	mov %r8, %r10
	mov THREAD_COOKIE0(%r11), %r8
	mov THREAD_COOKIE1(%r11), %r9
interruptible_begin:
	cmpl $0, THREAD_KICK(%r11)
	jne interruptible_exit
	syscall
interruptible_end:
	xor %r8d, %r8d
	xor %r9d, %r9d
	ret
interruptible_exit:
	mov $-4, %rax
	xor %r8d, %r8d
	xor %r9d, %r9d
	ret

/*
 * thread_clone(flags, stack, child_tid, thread): raw clone on the caller's cookie; the child starts in thread_main on
 * the new block's stack. In the caller: rdi flags, rsi top of the new stack, rdx child tid word, rcx the new thread.
 * r8 caller's cookie 1. Result: tid or negative errno.
 */
	.globl thread_clone
thread_clone:
	mov %rdx, %r10
	mov %rcx, -16(%rsi)
	sub $16, %rsi
	mov %r8, %r9
	xor %edx, %edx
	xor %r8d, %r8d
	mov $56, %eax
	.globl clone_syscall
clone_syscall:
	syscall
	xor %r9d, %r9d
	test %rax, %rax
	jz 1f
	ret
1:	xor %ebp, %ebp
	pop %rdi
	mov THREAD_VCPU(%rdi), %rsi
	call gs_load
	mov %gs:VCPU_MONITOR_THREAD, %rdi
	add $8, %rsp
	call thread_main
	ud2

	.globl _start
_start:
	xor %ebp, %ebp
	mov %rsp, %rdi
	and $-16, %rsp
	call monitor_main
	ud2

	.section .note.GNU-stack, "", @progbits
