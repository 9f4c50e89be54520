/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What runs in the guest: at EL1, position independent, identity mapped.
 * In:  x0 = guest address, x1 = value.  Out: x0, which a write to REPORT_GPA
 * hands to the VMM; an exception hands it ESR_EL1 by a write 8 bytes on.
 * x9 counts the words of a page, x10 is what is in one, x11 points to the report.
 *
 * Accesses to the memory are plain ones of one register: KVM can tell the VMM
 * no other.
 */
#define REPORT_GPA	0x200000
#define PAGE_WORDS	512

	.section .rodata
	.globl payload_start, payload_end
	.globl payload_store, payload_load, payload_call
	.globl payload_fill, payload_check
	.globl payload_store_fpu, payload_touch, payload_flush

	.balign	2048
payload_start:

/* VBAR_EL1: sixteen kinds of exceptions, 128 bytes for each. */
	.rept	16
	.balign	128
	b	exception
	.endr

	.balign	128
exception:
	mrs	x0, esr_el1
	mov	x11, #REPORT_GPA
	str	x0, [x11, #8]
	b	.

payload_store:
	str	x1, [x0]
	b	done

payload_load:
	ldr	x0, [x0]
	b	done

payload_store_fpu:
	fmov	d0, x1
	str	d0, [x0]
	b	done

payload_touch:
	ldr	x10, [x0]
	add	x10, x10, #1
	str	x10, [x0]
	b	payload_touch

payload_flush:
	dsb	ishst
	tlbi	vmalle1
	dsb	nsh
	isb
	b	done

payload_call:
	blr	x0
	b	done

payload_fill:
	mov	x9, #PAGE_WORDS
1:	str	x1, [x0]
	add	x1, x1, #8
	add	x0, x0, #8
	subs	x9, x9, #1
	b.ne	1b
	b	done

payload_check:
	mov	x9, #PAGE_WORDS
	mov	x12, #0			/* words that differ */
1:	ldr	x10, [x0]
	cmp	x10, x1
	cinc	x12, x12, ne
	add	x1, x1, #8
	add	x0, x0, #8
	subs	x9, x9, #1
	b.ne	1b
	mov	x0, x12

done:
	mov	x11, #REPORT_GPA
	str	x0, [x11]
	b	.

payload_end:

	.section .note.GNU-stack, "", %progbits
