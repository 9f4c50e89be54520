// SPDX-License-Identifier: GPL-2.0-only
/*
 * L3 by AMD's SVM.  It runs in L2's own kind of long mode, with L2's payload,
 * whose last instruction, a write to RESULT_PORT, L2 intercepts.
 *
 * Layout: AMD64 Architecture Programmer's Manual, volume 2, appendix B.
 */
#include <asm/svm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "arch.h"
#include "ktap.h"
#include "nested.h"
#include "parameter.h"
#include "payload.h"
#include "payload_svm.h"
#include "steps.h"

/* L2's own, in its RAM. */
#define HYPERVISOR_GPA	0x40000ul
#define GDT_GPA		0x41000ul
#define IDT_GPA		0x42000ul
#define HSAVE_GPA	0x43000ul
#define IOPM_GPA	0x44000ul
#define IOPM_SIZE	0x3000ul
#define MSRPM_GPA	0x48000ul

#define FAULT_PORT	0xf2
#define PAUSE_PORT	0xf3
#define VECTORS		32
#define VECTOR_SIZE	16
#define GP_VECTOR	13

#define CODE_SELECTOR	0x8
#define DATA_SELECTOR	0x10
#define CODE_DESCRIPTOR	0x00af9b000000ffffull
#define DATA_DESCRIPTOR	0x00cf93000000ffffull
#define INTERRUPT_GATE	0x8e00

#define EFER_SVME	(1ul << 12)
#define MSR_VM_HSAVE_PA	0xc0010117
#define CPUID_SVM	0x80000001
#define CPUID_SVM_ECX	(1u << 2)
#define CPUID_NPT	0x8000000a
#define CPUID_NPT_EDX	(1u << 0)

#define INTERCEPT_HLT		(1u << 24)
#define INTERCEPT_IOIO		(1u << 27)
#define INTERCEPT_SHUTDOWN	(1u << 31)
#define INTERCEPT_VMRUN		(1u << 0)
#define INTERCEPT_VMMCALL	(1u << 1)
#define NESTED_PAGING		(1ull << 0)
/* Type, S, P and L of a code segment, type, S, P and B of others. */
#define CODE_ATTRIBUTES		0x29b
#define DATA_ATTRIBUTES		0x493

struct vmcb_segment {
	uint16_t selector;
	uint16_t attributes;
	uint32_t limit;
	uint64_t base;
};

struct vmcb {
	uint32_t intercept_cr;
	uint32_t intercept_dr;
	uint32_t intercept_exceptions;
	uint32_t intercept3;
	uint32_t intercept4;
	uint8_t reserved_014[0x2c];
	uint64_t iopm;
	uint64_t msrpm;
	uint64_t tsc_offset;
	uint32_t asid;
	uint8_t reserved_05c[0x14];
	uint64_t exit_code;
	uint64_t exit_info_1;
	uint64_t exit_info_2;
	uint64_t exit_int_info;
	uint64_t nested_control;
	uint8_t reserved_098[0x18];
	uint64_t nested_cr3;
	uint8_t reserved_0b8[0x348];
	/* The state save area: 0x400. */
	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t reserved_4a0[0x30];
	uint64_t efer;
	uint8_t reserved_4d8[0x70];
	uint64_t cr4;
	uint64_t cr3;
	uint64_t cr0;
	uint64_t dr7;
	uint64_t dr6;
	uint64_t rflags;
	uint64_t rip;
	uint8_t reserved_580[0x58];
	uint64_t rsp;
	uint8_t reserved_5e0[0x18];
	uint64_t rax;
	uint8_t reserved_600[0x68];
	uint64_t pat;
	uint8_t reserved_670[0x990];
};

_Static_assert(offsetof(struct vmcb, iopm) == 0x40, "VMCB layout");
_Static_assert(offsetof(struct vmcb, exit_code) == 0x70, "VMCB layout");
_Static_assert(offsetof(struct vmcb, nested_cr3) == 0xb0, "VMCB layout");
_Static_assert(offsetof(struct vmcb, es) == 0x400, "VMCB layout");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "VMCB layout");
_Static_assert(offsetof(struct vmcb, rip) == 0x578, "VMCB layout");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "VMCB layout");
_Static_assert(offsetof(struct vmcb, pat) == 0x668, "VMCB layout");
_Static_assert(sizeof(struct vmcb) == 0x1000, "VMCB layout");
_Static_assert(NESTED_TABLE_PAGES == PAGE_TABLES, "L3 has tables as L2 has");

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint16_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};

/* Whether KVM offers a feature to guests: bits of ecx and edx of a CPUID leaf. */
static bool offers(const struct vm *vm, uint32_t leaf, uint32_t ecx, uint32_t edx)
{
	struct kvm_cpuid2 *cpuid = supported_cpuid(vm);
	bool offered = false;

	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == leaf)
			offered = (cpuid->entries[i].ecx & ecx) == ecx &&
				  (cpuid->entries[i].edx & edx) == edx;
	free(cpuid);
	return offered;
}

const char *nested_missing(const struct vm *vm)
{
	if (offers(vm, CPUID_SVM, CPUID_SVM_ECX, 0))
		return NULL;
	return "KVM offers no SVM to its guests, and L3 knows no VMX";
}

bool nested_has_paging(const struct vm *vm)
{
	return offers(vm, CPUID_NPT, 0, CPUID_NPT_EDX);
}

/* An exception in L2 becomes a write to FAULT_PORT. */
static void make_descriptors(void *ram)
{
	uint64_t *gdt = ram + GDT_GPA;
	struct gate *idt = ram + IDT_GPA;

	gdt[CODE_SELECTOR / 8] = CODE_DESCRIPTOR;
	gdt[DATA_SELECTOR / 8] = DATA_DESCRIPTOR;
	for (unsigned int i = 0; i < VECTORS; i++)
		idt[i] = (struct gate) {
			.offset_low = HYPERVISOR_GPA + (svm_vectors - svm_start) +
				      i * VECTOR_SIZE,
			.offset_middle = HYPERVISOR_GPA >> 16,
			.selector = CODE_SELECTOR,
			.type = INTERRUPT_GATE,
		};
}

void nested_init(struct vm *vm)
{
	struct vcpu *vcpu = &vm->vcpus[0];
	uint8_t *iopm = vm->ram + IOPM_GPA;
	struct kvm_sregs sregs;

	memcpy(vm->ram + HYPERVISOR_GPA, svm_start, svm_end - svm_start);
	/* Every port but one, and no MSR, is intercepted. */
	memset(iopm, ~0, IOPM_SIZE);
	iopm[PAUSE_PORT / 8] &= ~(1u << PAUSE_PORT % 8);
	make_descriptors(vm->ram);
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		bail_out("KVM_GET_SREGS");
	sregs.gdt.base = GDT_GPA;
	sregs.gdt.limit = 3 * 8 - 1;
	sregs.idt.base = IDT_GPA;
	sregs.idt.limit = VECTORS * sizeof(struct gate) - 1;
	sregs.efer |= EFER_SVME;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		bail_out("switching SVM on");
	set_msr(vcpu, MSR_VM_HSAVE_PA, HSAVE_GPA);
}

void nested_make_tables(void *tables, uint64_t gpa)
{
	make_page_tables(tables, gpa);
}

void nested_make_code(void *code)
{
	memcpy(code, payload_start, payload_end - payload_start);
}

void nested_make_control(const struct nested_guest *guest)
{
	const struct vmcb_segment data = {
		.selector = DATA_SELECTOR,
		.attributes = DATA_ATTRIBUTES,
		.limit = ~0u,
	};
	struct vmcb *vmcb = guest->control;

	*vmcb = (struct vmcb) {
		.intercept_exceptions = guest->faults ? ~0u : 0,
		.intercept3 = INTERCEPT_HLT | INTERCEPT_IOIO | INTERCEPT_SHUTDOWN,
		.intercept4 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL,
		.iopm = IOPM_GPA,
		.msrpm = MSRPM_GPA,
		.asid = 1,
		.nested_control = guest->nested_tables_gpa ? NESTED_PAGING : 0,
		.nested_cr3 = guest->nested_tables_gpa,
		.es = data, .ss = data, .ds = data, .fs = data, .gs = data,
		.cs = {
			.selector = CODE_SELECTOR,
			.attributes = CODE_ATTRIBUTES,
			.limit = ~0u,
		},
		.efer = EFER_SVME | EFER_LME | EFER_LMA,
		.cr4 = CR4_PAE,
		.cr3 = guest->tables_gpa ? guest->tables_gpa : PML4_GPA,
		.cr0 = CR0_PE | CR0_ET | CR0_WP | CR0_PG,
		.dr7 = 0x400,
		.dr6 = 0xffff0ff0,
		.rflags = 2,
		/* Until nested_call() says otherwise. */
		.rip = guest->code_gpa + payload_offset(GUEST_LOAD),
		.rsp = guest->stack_gpa,
		.pat = 0x0007040600070406,
	};
}

/* Let L2 run its own code from there on; as vcpu_call(). */
static bool call_hypervisor(struct vcpu *vcpu, const char *entry, uint64_t control,
			    uint64_t gpa, uint64_t value)
{
	struct kvm_regs regs = {
		.rip = HYPERVISOR_GPA + (entry - svm_start),
		.rsp = STACK_GPA,
		.rdx = control,
		.rdi = gpa,
		.rsi = value,
		.rflags = 2,
	};

	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs))
		bail_out("KVM_SET_REGS");
	return vcpu_run(vcpu);
}

/* The exception that ended L2's last call, or -1. */
static int exception(struct vcpu *vcpu)
{
	struct kvm_regs regs;

	if (vcpu->error || vcpu->exit != KVM_EXIT_IO ||
	    vcpu->run->io.port != FAULT_PORT)
		return -1;
	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		bail_out("KVM_GET_REGS");
	return regs.rax;
}

static void tell_end(struct vcpu *vcpu)
{
	ktap_detail("errno=%d exit=%u exception=%d value=%#lx", vcpu->error,
		    vcpu->exit, exception(vcpu), (long)vcpu->value);
}

/* Whether L2 and the host agree that L3 has ended as it should. */
static bool has_ended(const struct vcpu *vcpu, const struct vmcb *vmcb)
{
	if (vcpu->value == SVM_EXIT_IOIO && vmcb->exit_code == SVM_EXIT_IOIO &&
	    vmcb->exit_info_1 >> 16 == RESULT_PORT)
		return true;
	ktap_detail("L2 reads exit code %#lx, host %#lx, info %#lx %#lx",
		    (long)vcpu->value, (long)vmcb->exit_code,
		    (long)vmcb->exit_info_1, (long)vmcb->exit_info_2);
	return false;
}

bool nested_call(struct vm *vm, const struct nested_guest *guest, enum guest_op op,
		 uint64_t gpa, uint64_t value)
{
	struct vcpu *vcpu = &vm->vcpus[0];
	struct vmcb *vmcb = guest->control;

	vmcb->rip = guest->code_gpa + payload_offset(op);
	vmcb->rsp = guest->stack_gpa;
	vmcb->rax = 0;
	vmcb->exit_code = 0;
	if (!call_hypervisor(vcpu, svm_run, guest->control_gpa, gpa, value)) {
		tell_end(vcpu);
		return false;
	}
	if (!has_ended(vcpu, vmcb))
		return false;
	vcpu->value = vmcb->rax;
	return true;
}

bool nested_begin(struct vm *vm, const struct nested_guest *guest)
{
	struct vcpu *vcpu = &vm->vcpus[0];
	struct vmcb *vmcb = guest->control;

	vmcb->rip = HYPERVISOR_GPA + (svm_pause - svm_start);
	if (!call_hypervisor(vcpu, svm_run, guest->control_gpa, 0, 0) &&
	    !vcpu->error && vcpu->exit == KVM_EXIT_IO &&
	    vcpu->run->io.port == PAUSE_PORT)
		return true;
	tell_end(vcpu);
	return false;
}

bool nested_finish(struct vm *vm, const void *control)
{
	struct vcpu *vcpu = &vm->vcpus[0];

	if (vcpu_run(vcpu))
		return has_ended(vcpu, control);
	tell_end(vcpu);
	return false;
}

static const char * const instructions[] = {
	[NESTED_RUN] = svm_run,
	[NESTED_SAVE] = svm_save,
	[NESTED_LOAD] = svm_load,
};

/* Virtual VMLOAD and VMSAVE, which go by nested paging as any access does. */
bool nested_is_the_cpus(enum nested_op op)
{
	return op != NESTED_RUN && parameter_is_on("kvm_amd", "vls");
}

bool nested_does(struct vm *vm, enum nested_op op, uint64_t control_gpa)
{
	struct vcpu *vcpu = &vm->vcpus[0];

	if (call_hypervisor(vcpu, instructions[op], control_gpa, 0, 0))
		return true;
	tell_end(vcpu);
	return false;
}

bool nested_is_refused(struct vm *vm, enum nested_op op, uint64_t control_gpa)
{
	struct vcpu *vcpu = &vm->vcpus[0];

	/* 6.12 injects #GP, 7.3 leaves it to the VMM: kvm_handle_memory_failure(). */
	if (!call_hypervisor(vcpu, instructions[op], control_gpa, 0, 0) && !vcpu->error &&
	    (exception(vcpu) == GP_VECTOR || vcpu->exit == KVM_EXIT_INTERNAL_ERROR))
		return true;
	tell_end(vcpu);
	return false;
}

bool nested_is_saved(const void *control)
{
	const struct vmcb *vmcb = control;

	return equals("fs.limit", vmcb->fs.limit, ~0u);
}
