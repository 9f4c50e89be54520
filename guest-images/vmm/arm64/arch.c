// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU at EL1 with its MMU and caches on; the region is mapped by 4 KiB guest
 * PTEs, RAM by 2 MiB.  There is no interrupt controller, and nothing interrupts.
 */
#include <asm/ptrace.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "count.h"
#include "ktap.h"
#include "payload.h"
#include "vmm.h"

/* Behind RAM, and in no slot: what the guest writes there comes to the VMM. */
#define REPORT_GPA	0x200000ul
#define EXCEPTION_GPA	(REPORT_GPA + 8)

/* Page tables, and which of them is which: by 512 GiB, then those of 1 GiB. */
#define TABLES_GPA	0x1000ul
#define RAM_L2		1
#define REGION_L2	2
#define REGION_L3	3

/* Arm Architecture Reference Manual, D8.3: descriptors of VMSAv8-64. */
#define DESC_BLOCK	1ul
#define DESC_TABLE	3ul
#define DESC_PAGE	3ul
#define DESC_DEVICE	(1ul << 2)	/* MAIR's attribute 1 */
#define DESC_SHARED	(3ul << 8)	/* inner */
#define DESC_AF		(1ul << 10)
#define DESC_BITS	(DESC_AF | DESC_SHARED)

#define MAIR		0x04fful	/* 0: normal, write-back; 1: device */
/* 39 bits by 4 KiB pages, cacheable walks, no TTBR1, 40 bits of physical address. */
#define TCR		(25ul | 1ul << 8 | 1ul << 10 | 3ul << 12 | 1ul << 23 | 2ul << 32)
/* MMU, data and instruction caches, and the bits that are 1 for software of Armv8.0. */
#define SCTLR		(0x30d00800ul | 1ul << 0 | 1ul << 2 | 1ul << 12)
#define CPACR_FPEN	(3ul << 20)

/* EL1 with a stack of its own, and all interrupts masked. */
#define PSTATE		(PSR_MODE_EL1h | PSR_D_BIT | PSR_A_BIT | PSR_I_BIT | PSR_F_BIT)

#define CORE_REG(field)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |	\
			 (offsetof(struct kvm_regs, field) / sizeof(__u32)))

/* KVM has no statistics of its MMU here: calls of its functions are counted. */
#define ABORT		"kvm_handle_guest_abort"
#define MAP		"kvm_pgtable_stage2_map"
#define RELAX		"kvm_pgtable_stage2_relax_perms"
#define MKYOUNG		"kvm_pgtable_stage2_mkyoung"

static const char * const counted[] = { ABORT, MAP, RELAX, MKYOUNG };

typedef uint64_t page_table[512];

static page_table *tables_of(const struct vm *vm)
{
	return vm->ram + TABLES_GPA;
}

static uint64_t table_at(unsigned int number)
{
	return (TABLES_GPA + number * sizeof(page_table)) | DESC_TABLE;
}

void arch_choose_cpus(void)
{
}

void arch_vm_init(struct vm *vm)
{
	page_table *table = tables_of(vm);

	count_calls(counted, sizeof(counted) / sizeof(*counted));
	table[0][0] = table_at(RAM_L2);
	table[RAM_L2][0] = DESC_BLOCK | DESC_BITS;
	table[RAM_L2][REPORT_GPA >> 21] = REPORT_GPA | DESC_BLOCK | DESC_AF | DESC_DEVICE;
	table[0][REGION_GPA >> 30] = table_at(REGION_L2);
	table[REGION_L2][0] = table_at(REGION_L3);
	for (uint64_t i = 0; i < 512; i++)
		table[REGION_L3][i] = (REGION_GPA + (i << 12)) | DESC_PAGE | DESC_BITS;
	memcpy(vm->ram + CODE_GPA, payload_start, payload_end - payload_start);
	__builtin___clear_cache(vm->ram + CODE_GPA,
				vm->ram + CODE_GPA + (payload_end - payload_start));
}

void arch_map_huge(struct vm *vm)
{
	tables_of(vm)[REGION_L2][0] = REGION_GPA | DESC_BLOCK | DESC_BITS;
}

static void set_reg(const struct vcpu *vcpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	if (ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg))
		bail_out("setting register %#lx", (long)id);
}

void arch_vcpu_init(struct vcpu *vcpu)
{
	struct kvm_vcpu_init init;

	if (ioctl(vcpu->vm->fd, KVM_ARM_PREFERRED_TARGET, &init))
		bail_out("KVM_ARM_PREFERRED_TARGET");
	if (ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init))
		bail_out("KVM_ARM_VCPU_INIT");
	set_reg(vcpu, ARM64_SYS_REG(3, 0, 10, 2, 0), MAIR);
	set_reg(vcpu, ARM64_SYS_REG(3, 0, 2, 0, 2), TCR);
	set_reg(vcpu, ARM64_SYS_REG(3, 0, 2, 0, 0), TABLES_GPA);	/* TTBR0 */
	set_reg(vcpu, ARM64_SYS_REG(3, 0, 12, 0, 0), CODE_GPA);		/* VBAR */
	set_reg(vcpu, ARM64_SYS_REG(3, 0, 1, 0, 2), CPACR_FPEN);
	set_reg(vcpu, ARM64_SYS_REG(3, 0, 1, 0, 0), SCTLR);
}

void arch_set_call(struct vcpu *vcpu, enum guest_op op, uint64_t gpa, uint64_t value)
{
	set_reg(vcpu, CORE_REG(regs.pc), CODE_GPA + payload_offset(op));
	set_reg(vcpu, CORE_REG(regs.pstate), PSTATE);
	set_reg(vcpu, CORE_REG(sp_el1), STACK_GPA + vcpu->index * STACK_SIZE);
	set_reg(vcpu, CORE_REG(regs.regs[0]), gpa);
	set_reg(vcpu, CORE_REG(regs.regs[1]), value);
}

bool arch_get_result(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	if (run->exit_reason != KVM_EXIT_MMIO || !run->mmio.is_write)
		return false;
	memcpy(&vcpu->value, run->mmio.data, sizeof(vcpu->value));
	/* Not to be taken for the VMM's business. */
	if (run->mmio.phys_addr == EXCEPTION_GPA)
		vcpu->exit = KVM_EXIT_EXCEPTION;
	return run->mmio.phys_addr == REPORT_GPA;
}

size_t arch_make_function(void *code, uint32_t value)
{
	uint32_t *instruction = code;

	instruction[0] = 0x52800000 | (value & 0xffff) << 5;	/* movz w0, #low */
	instruction[1] = 0x72a00000 | (value >> 16) << 5;	/* movk w0, #high, lsl 16 */
	instruction[2] = 0xd65f03c0;				/* ret */
	__builtin___clear_cache(code, code + 3 * sizeof(*instruction));
	return 3 * sizeof(*instruction);
}

uint64_t arch_faults_taken(const struct vm *vm)
{
	/* What is no memory of the guest's comes as an abort too. */
	return calls_of(ABORT) - vcpus_stat(vm, "mmio_exit_user") -
	       vcpus_stat(vm, "mmio_exit_kernel");
}

uint64_t arch_faults_fixed(const struct vm *vm)
{
	(void)vm;
	return calls_of(MAP) + calls_of(RELAX);
}

/*
 * While the guest runs, the counts are of different moments.  What is taken off
 * is read last: so there may seem to be fewer, never more.
 */
uint64_t arch_faults_retried(const struct vm *vm)
{
	uint64_t aborts = calls_of(ABORT);
	uint64_t others = vcpus_stat(vm, "mmio_exit_user") +
			  vcpus_stat(vm, "mmio_exit_kernel") +
			  calls_of(MKYOUNG) + arch_faults_fixed(vm);

	return aborts > others ? aborts - others : 0;
}

uint64_t arch_pages_mapped(const struct vm *vm)
{
	(void)vm;
	return calls_of(MAP);
}
