// SPDX-License-Identifier: GPL-2.0-only
/* Private memory of a software-protected VM, whose pages are a guest_memfd's. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ktap.h"
#include "ledger.h"
#include "steps.h"

#ifndef KVM_MEM_GUEST_MEMFD
/* As in the kernel's uapi since 6.8; the build machine's headers may be older. */
#define KVM_MEM_GUEST_MEMFD		(1ul << 2)
#define KVM_MEMORY_ATTRIBUTE_PRIVATE	(1ull << 3)

struct kvm_userspace_memory_region2 {
	__u32 slot;
	__u32 flags;
	__u64 guest_phys_addr;
	__u64 memory_size;
	__u64 userspace_addr;
	__u64 guest_memfd_offset;
	__u32 guest_memfd;
	__u32 pad1;
	__u64 pad2[14];
};

struct kvm_memory_attributes {
	__u64 address;
	__u64 size;
	__u64 attributes;
	__u64 flags;
};

struct kvm_create_guest_memfd {
	__u64 size;
	__u64 flags;
	__u64 reserved[6];
};

#define KVM_SET_USER_MEMORY_REGION2	_IOW(KVMIO, 0x49, struct kvm_userspace_memory_region2)
#define KVM_SET_MEMORY_ATTRIBUTES	_IOW(KVMIO, 0xd2, struct kvm_memory_attributes)
#define KVM_CREATE_GUEST_MEMFD		_IOWR(KVMIO, 0xd4, struct kvm_create_guest_memfd)
#endif

#define SW_PROTECTED_VM	1

static int make_private(struct stage *stage)
{
	struct region *region = &stage->region;
	struct kvm_create_guest_memfd create = { .size = region_size(region) };
	struct kvm_memory_attributes private = {
		.address = REGION_GPA,
		.size = region_size(region),
		.attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE,
	};
	struct kvm_userspace_memory_region2 slot = {
		.slot = REGION_SLOT,
		.flags = KVM_MEM_GUEST_MEMFD,
		.guest_phys_addr = REGION_GPA,
		.memory_size = region_size(region),
		.userspace_addr = (uintptr_t)region->host,
	};
	int fd = ioctl(stage->vm.fd, KVM_CREATE_GUEST_MEMFD, &create);

	if (fd < 0)
		bail_out("KVM_CREATE_GUEST_MEMFD");
	vm_delete_region(&stage->vm);
	slot.guest_memfd = fd;
	if (ioctl(stage->vm.fd, KVM_SET_USER_MEMORY_REGION2, &slot))
		bail_out("KVM_SET_USER_MEMORY_REGION2");
	if (ioctl(stage->vm.fd, KVM_SET_MEMORY_ATTRIBUTES, &private))
		bail_out("KVM_SET_MEMORY_ATTRIBUTES");
	return fd;
}

/* The file's pages have the file's own reference, and no other. */
static bool file_has_all_references(const struct region *region, int memfd)
{
	struct region file = {
		.fd = open("/dev/noref", O_RDWR),
		.own = true,
		.npages = region->npages,
	};
	struct noref_adopt adopt = { .npages = region->npages, .fd = memfd };
	struct noref_page *pages;
	unsigned int npages;
	bool good = true;

	if (file.fd < 0)
		bail_out("opening /dev/noref");
	region_ioctl(&file, NOREF_ADOPT, &adopt);
	pages = ledger_read(&file, &npages);
	for (unsigned int i = 0; good && i < npages; i++)
		good = equals("page_ref", pages[i].page_ref, 1);
	free(pages);
	close(file.fd);
	return good;
}

SCENARIO(guest_memfd, 5, .vm_type = SW_PROTECTED_VM)
{
	int memfd = make_private(stage);

	if (!guest_is_in(stage))
		return;
	ktap_step(guest_sees(stage, GUEST_PATTERN),
		  "access: guest reads what it wrote");
	ktap_step(equals("word", *stage->region.host, 0),
		  "integrity: the shared memory of the slot was not written");
	ktap_step(file_has_all_references(&stage->region, memfd),
		  "refcounts: KVM keeps no reference of a private page");
	vm_close(&stage->vm);
	ktap_step(file_has_all_references(&stage->region, memfd),
		  "refcounts: nor when the VM is gone");
	close(memfd);
}
