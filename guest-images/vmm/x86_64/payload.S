/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What runs in the guest: 64-bit code, position independent, identity mapped.
 * In:  rdi = guest address, rsi = value.  Out: rax, then a write to port 0xf1
 * ends the call.  rcx counts the words of a page.
 *
 * Outside of long mode payload_store and payload_load do the same with 32 bits:
 * there a REX prefix is an instruction of its own, dec %eax.
 */
#define RESULT_PORT	0xf1
#define PAGE_WORDS	512

	.section .rodata
	.globl payload_start, payload_end
	.globl payload_store, payload_load, payload_call
	.globl payload_fill, payload_check
	.globl payload_store_fpu, payload_touch, payload_flush

payload_start:

payload_store:
	mov	%rsi, (%rdi)
	jmp	done

payload_load:
	mov	(%rdi), %rax
	jmp	done

payload_store_fpu:
	mov	%rsi, -8(%rsp)
	fildll	-8(%rsp)
	fistpll	(%rdi)
	jmp	done

payload_flush:
	mov	%cr3, %rax
	mov	%rax, %cr3
	jmp	done

payload_touch:
	incq	(%rdi)
	jmp	payload_touch

payload_call:
	call	*%rdi
	jmp	done

payload_fill:
	mov	$PAGE_WORDS, %ecx
1:	mov	%rsi, (%rdi)
	add	$8, %rsi
	add	$8, %rdi
	dec	%ecx
	jnz	1b
	jmp	done

payload_check:
	mov	$PAGE_WORDS, %ecx
	xor	%eax, %eax
1:	cmp	%rsi, (%rdi)
	je	2f
	inc	%eax
2:	add	$8, %rsi
	add	$8, %rdi
	dec	%ecx
	jnz	1b

done:
	out	%al, $RESULT_PORT
	hlt

payload_end:

	.section .note.GNU-stack, "", %progbits
