/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of this architecture share. */
#ifndef ARCH_H
#define ARCH_H

#include "vmm.h"

/* Every call ends by a write to this port, rax is what it returns. */
#define RESULT_PORT	0xf1

#define PML4_GPA	0x1000ul

#define CR0_PE		(1ul << 0)
#define CR0_ET		(1ul << 4)
#define CR0_WP		(1ul << 16)
#define CR0_PG		(1ul << 31)
#define CR4_PAE		(1ul << 5)
#define EFER_LME	(1ul << 8)
#define EFER_LMA	(1ul << 10)

/*
 * Page tables that map RAM and the region's space to themselves; they fill
 * PAGE_TABLES pages, which lie at @gpa, where the host sees them at @tables.
 */
#define PAGE_TABLES	5
void make_page_tables(void *tables, uint64_t gpa);
/* What KVM offers to guests; to be freed. */
struct kvm_cpuid2 *supported_cpuid(const struct vm *vm);
void set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value);
/* The guest maps a page of the region's space anew, for writing or not; GUEST_FLUSH ends it. */
bool map_again(struct vm *vm, unsigned int page, bool writable);
/* In long mode, or without paging, where the guest knows GUEST_STORE and GUEST_LOAD of 32 bits. */
void set_paging(struct vcpu *vcpu, bool on);

#endif /* ARCH_H */
