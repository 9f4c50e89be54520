// SPDX-License-Identifier: GPL-2.0-only
/* A vCPU in long mode; the region is mapped by 4 KiB guest PTEs, RAM by 2 MiB. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "arch.h"
#include "ktap.h"
#include "payload.h"

#define TSS_ADDRESS	0xfffbd000ul
#define MAX_CPUID	256

/* Which of its page tables is which. */
#define PDPT		1
#define RAM_PD		2
#define REGION_PD	3
#define REGION_PT	4

#define PTE_P		(1ul << 0)
#define PTE_W		(1ul << 1)
#define PTE_U		(1ul << 2)
#define PTE_A		(1ul << 5)
#define PTE_D		(1ul << 6)
#define PDE_PS		(1ul << 7)
/* As used already: KVM doesn't prefetch what the guest never touched. */
#define PTE_BITS	(PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

typedef uint64_t page_table[512];

void make_page_tables(void *tables, uint64_t gpa)
{
	page_table *table = tables;
	const uint64_t bits = PTE_BITS;

	table[0][0] = (gpa + (PDPT << 12)) | bits;
	table[PDPT][0] = (gpa + (RAM_PD << 12)) | bits;
	table[RAM_PD][0] = PDE_PS | bits;
	table[PDPT][REGION_GPA >> 30] = (gpa + (REGION_PD << 12)) | bits;
	table[REGION_PD][0] = (gpa + (REGION_PT << 12)) | bits;
	for (uint64_t i = 0; i < 512; i++)
		table[REGION_PT][i] = (REGION_GPA + (i << 12)) | bits;
}

/*
 * Whoever restores an FPU under QEMU's emulation (7.2), on whichever CPU,
 * rewrites the first CPU's flags in cpu_clear_ignne(), and not atomically: what
 * VMRUN or #VMEXIT changes there meanwhile is lost.  Then the guest runs without
 * nested paging, or an interrupt comes in while the host has the guest's GS.
 */
void arch_choose_cpus(void)
{
	long ncpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t others;

	if (ncpus < 2)
		return;
	CPU_ZERO(&others);
	for (long cpu = 1; cpu < ncpus; cpu++)
		CPU_SET(cpu, &others);
	if (sched_setaffinity(0, sizeof(others), &others))
		bail_out("leaving the first CPU");
}

void arch_vm_init(struct vm *vm)
{
	/* Intel without unrestricted guests needs it, all others ignore it. */
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_ADDRESS))
		bail_out("KVM_SET_TSS_ADDR");
	make_page_tables(vm->ram + PML4_GPA, PML4_GPA);
	memcpy(vm->ram + CODE_GPA, payload_start, payload_end - payload_start);
}

void arch_map_huge(struct vm *vm)
{
	page_table *table = vm->ram + PML4_GPA;

	table[REGION_PD][0] = REGION_GPA | PDE_PS | PTE_BITS;
}

bool map_again(struct vm *vm, unsigned int page, bool writable)
{
	uint64_t bits = writable ? PTE_BITS : PTE_BITS & ~PTE_W;

	return vm_call(vm, GUEST_STORE, PML4_GPA + (REGION_PT << 12) + page * 8,
		       (REGION_GPA + (page << 12)) | bits);
}

struct kvm_cpuid2 *supported_cpuid(const struct vm *vm)
{
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + MAX_CPUID * sizeof(*cpuid->entries));
	if (!cpuid)
		bail_out("allocating the CPUID table");
	cpuid->nent = MAX_CPUID;
	if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid))
		bail_out("KVM_GET_SUPPORTED_CPUID");
	return cpuid;
}

static void set_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid = supported_cpuid(vcpu->vm);

	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid))
		bail_out("KVM_SET_CPUID2");
	free(cpuid);
}

void set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {
		.head.nmsrs = 1,
		.entry = { .index = index, .data = value },
	};

	if (ioctl(vcpu->fd, KVM_SET_MSRS, &msrs) != 1)
		bail_out("setting MSR %#x", index);
}

/* In long mode, or in protected mode without paging. */
void set_paging(struct vcpu *vcpu, bool on)
{
	struct kvm_segment code = {
		.limit = ~0u, .selector = 0x8, .type = 11, .present = 1,
		.s = 1, .l = on, .db = !on, .g = 1,
	};
	struct kvm_segment data = {
		.limit = ~0u, .selector = 0x10, .type = 3, .present = 1,
		.s = 1, .db = 1, .g = 1,
	};
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		bail_out("KVM_GET_SREGS");
	sregs.cs = code;
	sregs.ds = data;
	sregs.es = data;
	sregs.fs = data;
	sregs.gs = data;
	sregs.ss = data;
	sregs.cr3 = PML4_GPA;
	sregs.cr4 = on ? CR4_PAE : 0;
	sregs.cr0 = CR0_PE | CR0_ET | CR0_WP | (on ? CR0_PG : 0);
	sregs.efer = on ? EFER_LME | EFER_LMA : 0;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		bail_out("KVM_SET_SREGS");
}

void arch_vcpu_init(struct vcpu *vcpu)
{
	set_cpuid(vcpu);
	set_paging(vcpu, true);
}

void arch_set_call(struct vcpu *vcpu, enum guest_op op, uint64_t gpa, uint64_t value)
{
	struct kvm_regs regs = {
		.rip = CODE_GPA + payload_offset(op),
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

uint64_t arch_faults_taken(const struct vm *vm)
{
	return vcpus_stat(vm, "pf_taken");
}

uint64_t arch_faults_fixed(const struct vm *vm)
{
	return vcpus_stat(vm, "pf_fixed");
}

/* While the guest runs: what is taken off is read last, so there never seem to be more. */
uint64_t arch_faults_retried(const struct vm *vm)
{
	uint64_t taken = arch_faults_taken(vm);
	uint64_t others = vcpus_stat(vm, "pf_emulate") + vcpus_stat(vm, "pf_spurious") +
			  arch_faults_fixed(vm);

	return taken > others ? taken - others : 0;
}

/* Of whatever size, and still there. */
uint64_t arch_pages_mapped(const struct vm *vm)
{
	return vm_stat(vm, "pages_4k") + vm_stat(vm, "pages_2m");
}
