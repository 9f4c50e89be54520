// SPDX-License-Identifier: GPL-2.0-only
/* What of KVM writes to guest memory by its gfn_to_pfn_cache. */
#include <asm/kvm_para.h>
#include <errno.h>
#include <sys/ioctl.h>

#include "arch.h"
#include "cache.h"
#include "ktap.h"

/* As in the kernel's xen/interface/xen.h: shared_info.wc of a 32-bit guest. */
#define XEN_WALL_CLOCK	0x900
#define XEN_MSR		0x40000000

/* The clock is written when the vCPU is entered, and nobody says how that went. */
static int enter(struct vm *vm)
{
	return vm_call(vm, GUEST_LOAD, STACK_GPA, 0) ? 0 : EIO;
}

static int use_clock(struct vm *vm, uint64_t gpa)
{
	set_msr(&vm->vcpus[0], MSR_KVM_SYSTEM_TIME_NEW, gpa | 1);
	return enter(vm);
}

static int update_clock(struct vm *vm)
{
	struct kvm_clock_data data = {};

	if (ioctl(vm->fd, KVM_GET_CLOCK, &data))
		bail_out("KVM_GET_CLOCK");
	data.flags = 0;
	if (ioctl(vm->fd, KVM_SET_CLOCK, &data))
		bail_out("KVM_SET_CLOCK");
	return enter(vm);
}

const struct cache_user kvm_clock = {
	.use = use_clock,
	.update = update_clock,
};

static int set_attribute(struct vm *vm, const struct kvm_xen_hvm_attr *attribute)
{
	return ioctl(vm->fd, KVM_XEN_HVM_SET_ATTR, attribute) ? errno : 0;
}

static int use_shared_info(struct vm *vm, uint64_t gpa)
{
	const struct kvm_xen_hvm_config config = {
		.flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
		.msr = XEN_MSR,
	};
	const struct kvm_xen_hvm_attr attribute = {
		.type = KVM_XEN_ATTR_TYPE_SHARED_INFO,
		.u.shared_info.gfn = gpa >> 12,
	};

	if (ioctl(vm->fd, KVM_XEN_HVM_CONFIG, &config))
		bail_out("KVM_XEN_HVM_CONFIG");
	return set_attribute(vm, &attribute);
}

/* To set the mode, also to what it is, puts the wall clock where it belongs. */
static int update_shared_info(struct vm *vm)
{
	const struct kvm_xen_hvm_attr attribute = {
		.type = KVM_XEN_ATTR_TYPE_LONG_MODE,
		.u.long_mode = 0,
	};

	return set_attribute(vm, &attribute);
}

const struct cache_user xen_shared_info = {
	.version = XEN_WALL_CLOCK,
	.answers = true,
	.use = use_shared_info,
	.update = update_shared_info,
};
