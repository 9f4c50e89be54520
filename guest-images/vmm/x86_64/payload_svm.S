/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What L2 runs as a hypervisor: 64-bit code, position independent.
 * In:  rdx = physical address of a VMCB; rdi and rsi are for L3, which gets
 * them as they are.  Out: rax, then a write to port 0xf1; or the vector of an
 * exception in rax, then a write to port 0xf2.
 */
#define RESULT_PORT	0xf1
#define FAULT_PORT	0xf2
#define PAUSE_PORT	0xf3
#define VMCB_EXIT_CODE	0x70
#define VECTORS		32
#define VECTOR_SIZE	16

	.section .rodata
	.globl svm_start, svm_end
	.globl svm_run, svm_save, svm_load, svm_vectors, svm_pause

svm_start:

/* rax = exit code of L3, read where L2 has the VMCB mapped. */
svm_run:
	mov	%rdx, %rax
	vmrun
	stgi
	mov	VMCB_EXIT_CODE(%rdx), %rax
	jmp	done

svm_save:
	mov	%rdx, %rax
	vmsave
	jmp	done

svm_load:
	mov	%rdx, %rax
	vmload

done:
	out	%al, $RESULT_PORT
	hlt

/* L3: a word to the VMM, past L2, and then to L2. */
svm_pause:
	out	%al, $PAUSE_PORT
	out	%al, $RESULT_PORT

	.balign	VECTOR_SIZE
svm_vectors:
	.set	vector, 0
	.rept	VECTORS
	mov	$vector, %eax
	jmp	fault
	.balign	VECTOR_SIZE
	.set	vector, vector + 1
	.endr

fault:
	out	%al, $FAULT_PORT
	hlt

svm_end:

	.section .note.GNU-stack, "", %progbits
