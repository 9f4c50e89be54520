// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ktap.h"
#include "vmm.h"

static bool set_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa,
		     uint64_t size, void *host)
{
	struct kvm_userspace_memory_region memory = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	return !ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &memory);
}

void vm_set_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa,
		 uint64_t size, void *host)
{
	if (!set_slot(vm, slot, flags, gpa, size, host))
		bail_out("setting memslot %u to %#lx bytes", slot, (long)size);
}

static void open_vcpu(struct vm *vm, unsigned int index)
{
	struct vcpu *vcpu = &vm->vcpus[index];

	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, index);
	if (vcpu->fd < 0)
		bail_out("KVM_CREATE_VCPU");
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		bail_out("mapping kvm_run");
	arch_vcpu_init(vcpu);
}

bool vm_create(struct vm *vm, unsigned long type)
{
	vm->kvm_fd = open("/dev/kvm", O_RDWR);
	if (vm->kvm_fd < 0)
		bail_out("opening /dev/kvm");
	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, type);
	if (vm->fd < 0 && type)
		return false;
	if (vm->fd < 0)
		bail_out("KVM_CREATE_VM");

	vm->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->ram == MAP_FAILED)
		bail_out("allocating guest RAM");
	vm_set_slot(vm, RAM_SLOT, 0, 0, RAM_SIZE, vm->ram);
	arch_vm_init(vm);
	return true;
}

void vm_add_vcpus(struct vm *vm, unsigned int nvcpus)
{
	int size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (size < (int)sizeof(struct kvm_run))
		bail_out("KVM_GET_VCPU_MMAP_SIZE");
	vm->run_size = size;
	for (; vm->nvcpus < nvcpus; vm->nvcpus++)
		open_vcpu(vm, vm->nvcpus);
}

bool vm_open(struct vm *vm, unsigned long type, unsigned int nvcpus)
{
	if (!vm_create(vm, type))
		return false;
	vm_add_vcpus(vm, nvcpus);
	return true;
}

void vm_set_region(struct vm *vm, const struct region *region, uint32_t flags)
{
	vm_set_slot(vm, REGION_SLOT, flags, REGION_GPA, region_size(region),
		    region->host);
}

bool vm_try_region(struct vm *vm, const struct region *region, uint32_t flags)
{
	return set_slot(vm, REGION_SLOT, flags, REGION_GPA, region_size(region),
			region->host);
}

void vm_delete_region(struct vm *vm)
{
	vm_set_slot(vm, REGION_SLOT, 0, REGION_GPA, 0, NULL);
}

/*
 * KVM finishes an MMIO access when it is entered again, and would do so over the
 * registers of the next call.  With immediate_exit it does that and no more,
 * unless the instruction has another access to make.
 */
static void finish_mmio(struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	while (!ioctl(vcpu->fd, KVM_RUN, 0))
		if (vcpu->run->exit_reason != KVM_EXIT_MMIO)
			bail_out("finishing an MMIO access: exit %u", vcpu->run->exit_reason);
	if (errno != EINTR)
		bail_out("finishing an MMIO access");
	vcpu->run->immediate_exit = 0;
}

bool vcpu_run(struct vcpu *vcpu)
{
	bool reported;

	vcpu->error = 0;
	vcpu->value = 0;
	if (ioctl(vcpu->fd, KVM_RUN, 0))
		vcpu->error = errno;
	vcpu->exit = vcpu->run->exit_reason;
	if (vcpu->error)
		return false;
	reported = arch_get_result(vcpu);
	if (vcpu->run->exit_reason == KVM_EXIT_MMIO)
		finish_mmio(vcpu);
	return reported;
}

bool vcpu_call(struct vcpu *vcpu, enum guest_op op, uint64_t gpa, uint64_t value)
{
	arch_set_call(vcpu, op, gpa, value);
	return vcpu_run(vcpu);
}

bool vm_call(struct vm *vm, enum guest_op op, uint64_t gpa, uint64_t value)
{
	struct vcpu *vcpu = &vm->vcpus[0];

	if (vcpu_call(vcpu, op, gpa, value))
		return true;
	ktap_detail("op=%d gpa=%#lx errno=%d exit=%u", op, (long)gpa,
		    vcpu->error, vcpu->exit);
	return false;
}

void vm_close(struct vm *vm)
{
	for (; vm->nvcpus; vm->nvcpus--) {
		struct vcpu *vcpu = &vm->vcpus[vm->nvcpus - 1];

		munmap(vcpu->run, vm->run_size);
		close(vcpu->fd);
	}
	if (!vm->ram)
		return;
	close(vm->fd);
	close(vm->kvm_fd);
	munmap(vm->ram, RAM_SIZE);
	vm->ram = NULL;
}
