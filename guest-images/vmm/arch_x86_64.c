// SPDX-License-Identifier: GPL-2.0-only
/* A vCPU in long mode; the region is mapped by 4 KiB guest PTEs, RAM by 2 MiB. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ktap.h"
#include "payload.h"
#include "vmm.h"

#define RESULT_PORT	0xf1
#define TSS_ADDRESS	0xfffbd000ul
#define MAX_CPUID	256

#define PML4_GPA	0x1000ul
#define PDPT_GPA	0x2000ul
#define RAM_PD_GPA	0x3000ul
#define REGION_PD_GPA	0x4000ul
#define REGION_PT_GPA	0x5000ul

#define PTE_P		(1ul << 0)
#define PTE_W		(1ul << 1)
#define PTE_U		(1ul << 2)
#define PTE_A		(1ul << 5)
#define PTE_D		(1ul << 6)
#define PDE_PS		(1ul << 7)
/* As used already: KVM doesn't prefetch what the guest never touched. */
#define PTE_BITS	(PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

#define CR0_PE		(1ul << 0)
#define CR0_ET		(1ul << 4)
#define CR0_WP		(1ul << 16)
#define CR0_PG		(1ul << 31)
#define CR4_PAE		(1ul << 5)
#define EFER_LME	(1ul << 8)
#define EFER_LMA	(1ul << 10)

static const char * const entry_points[] = {
	[GUEST_STORE] = payload_store,
	[GUEST_LOAD] = payload_load,
	[GUEST_CALL] = payload_call,
	[GUEST_FILL] = payload_fill,
	[GUEST_CHECK] = payload_check,
	[GUEST_STORE_FPU] = payload_store_fpu,
	[GUEST_TOUCH] = payload_touch,
};

static void make_page_tables(void *ram)
{
	uint64_t *pml4 = ram + PML4_GPA;
	uint64_t *pdpt = ram + PDPT_GPA;
	uint64_t *ram_pd = ram + RAM_PD_GPA;
	uint64_t *region_pd = ram + REGION_PD_GPA;
	uint64_t *region_pt = ram + REGION_PT_GPA;
	const uint64_t bits = PTE_BITS;

	pml4[0] = PDPT_GPA | bits;
	pdpt[0] = RAM_PD_GPA | bits;
	ram_pd[0] = PDE_PS | bits;
	pdpt[REGION_GPA >> 30] = REGION_PD_GPA | bits;
	region_pd[0] = REGION_PT_GPA | bits;
	for (uint64_t i = 0; i < 512; i++)
		region_pt[i] = (REGION_GPA + (i << 12)) | bits;
}

void arch_vm_init(struct vm *vm)
{
	/* Intel without unrestricted guests needs it, all others ignore it. */
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_ADDRESS))
		bail_out("KVM_SET_TSS_ADDR");
	make_page_tables(vm->ram);
	memcpy(vm->ram + CODE_GPA, payload_start, payload_end - payload_start);
}

void arch_map_huge(struct vm *vm)
{
	uint64_t *region_pd = vm->ram + REGION_PD_GPA;

	region_pd[0] = REGION_GPA | PDE_PS | PTE_BITS;
}

static void set_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + MAX_CPUID * sizeof(*cpuid->entries));
	if (!cpuid)
		bail_out("allocating the CPUID table");
	cpuid->nent = MAX_CPUID;
	if (ioctl(vcpu->vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) ||
	    ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid))
		bail_out("setting CPUID");
	free(cpuid);
}

void arch_vcpu_init(struct vcpu *vcpu)
{
	struct kvm_segment code = {
		.limit = ~0u, .selector = 0x8, .type = 11, .present = 1,
		.s = 1, .l = 1, .g = 1,
	};
	struct kvm_segment data = {
		.limit = ~0u, .selector = 0x10, .type = 3, .present = 1,
		.s = 1, .db = 1, .g = 1,
	};
	struct kvm_sregs sregs;

	set_cpuid(vcpu);
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		bail_out("KVM_GET_SREGS");
	sregs.cs = code;
	sregs.ds = data;
	sregs.es = data;
	sregs.fs = data;
	sregs.gs = data;
	sregs.ss = data;
	sregs.cr3 = PML4_GPA;
	sregs.cr4 = CR4_PAE;
	sregs.cr0 = CR0_PE | CR0_ET | CR0_WP | CR0_PG;
	sregs.efer = EFER_LME | EFER_LMA;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		bail_out("KVM_SET_SREGS");
}

void arch_set_call(struct vcpu *vcpu, enum guest_op op, uint64_t gpa, uint64_t value)
{
	struct kvm_regs regs = {
		.rip = CODE_GPA + (entry_points[op] - payload_start),
		.rsp = STACK_GPA + vcpu->index * STACK_SIZE,
		.rdi = gpa,
		.rsi = value,
		.rflags = 2,
	};

	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs))
		bail_out("KVM_SET_REGS");
}

bool arch_get_result(struct vcpu *vcpu)
{
	struct kvm_regs regs;

	if (vcpu->run->exit_reason != KVM_EXIT_IO ||
	    vcpu->run->io.port != RESULT_PORT)
		return false;
	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		bail_out("KVM_GET_REGS");
	vcpu->value = regs.rax;
	return true;
}

size_t arch_make_function(void *code, uint32_t value)
{
	unsigned char *byte = code;

	byte[0] = 0xb8;		/* mov $value, %eax */
	memcpy(byte + 1, &value, sizeof(value));
	byte[5] = 0xc3;		/* ret */
	return 6;
}
