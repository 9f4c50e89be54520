// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ktap.h"
#include "vmm.h"

static void set_slot(struct vm *vm, uint32_t slot, uint64_t gpa, uint64_t size,
		     void *host)
{
	struct kvm_userspace_memory_region memory = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &memory))
		bail_out("setting memslot %u to %#lx bytes", slot, (long)size);
}

void vm_open(struct vm *vm)
{
	int size;

	vm->kvm_fd = open("/dev/kvm", O_RDWR);
	if (vm->kvm_fd < 0)
		bail_out("opening /dev/kvm");
	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		bail_out("KVM_CREATE_VM");
	arch_vm_init(vm);

	vm->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->ram == MAP_FAILED)
		bail_out("allocating guest RAM");
	set_slot(vm, RAM_SLOT, 0, RAM_SIZE, vm->ram);

	vm->vcpu_fd = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	if (vm->vcpu_fd < 0)
		bail_out("KVM_CREATE_VCPU");
	size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(*vm->run))
		bail_out("KVM_GET_VCPU_MMAP_SIZE");
	vm->run_size = size;
	vm->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       vm->vcpu_fd, 0);
	if (vm->run == MAP_FAILED)
		bail_out("mapping kvm_run");
	arch_vcpu_init(vm);
}

void vm_set_region(struct vm *vm, const struct region *region)
{
	set_slot(vm, REGION_SLOT, REGION_GPA, region->npages * region->page_size,
		 region->host);
}

void vm_delete_region(struct vm *vm)
{
	set_slot(vm, REGION_SLOT, REGION_GPA, 0, NULL);
}

/*
 * KVM finishes an MMIO access when it is entered again, and would do so over the
 * registers of the next call.  With immediate_exit it does that and no more.
 */
static void finish_mmio(struct vm *vm)
{
	vm->run->immediate_exit = 1;
	if (!ioctl(vm->vcpu_fd, KVM_RUN, 0) || errno != EINTR)
		bail_out("finishing an MMIO access");
	vm->run->immediate_exit = 0;
}

bool vm_call(struct vm *vm, enum guest_op op, uint64_t gpa, uint64_t value)
{
	vm->error = 0;
	vm->exit = 0;
	vm->value = 0;
	arch_set_call(vm, op, gpa, value);

	if (ioctl(vm->vcpu_fd, KVM_RUN, 0))
		vm->error = errno;
	vm->exit = vm->run->exit_reason;
	if (!vm->error && arch_get_result(vm))
		return true;

	if (!vm->error && vm->exit == KVM_EXIT_MMIO)
		finish_mmio(vm);
	ktap_detail("op=%d gpa=%#lx errno=%d exit=%u", op, (long)gpa, vm->error,
		    vm->exit);
	return false;
}

void vm_close(struct vm *vm)
{
	if (!vm->run)
		return;

	munmap(vm->run, vm->run_size);
	vm->run = NULL;
	close(vm->vcpu_fd);
	close(vm->fd);
	close(vm->kvm_fd);
	munmap(vm->ram, RAM_SIZE);
}
