// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM whose memory has tags, by Arm's memory tagging extension.  Only memory
 * that mm knows to be able to have tags may be in its slots, and KVM copies the
 * tags of a page through a mapping of the kernel's own.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "ktap.h"
#include "steps.h"

#define TAGS_PER_PAGE	(4096 / 16)

/* In place of the VM that there is; the steps to come are skipped if there are no tags. */
static bool open_tagged(struct stage *stage)
{
	struct kvm_enable_cap tags = { .cap = KVM_CAP_ARM_MTE };
	struct vm *vm = &stage->vm;

	vm_close(vm);
	vm_create(vm, 0);
	if (ioctl(vm->fd, KVM_ENABLE_CAP, &tags)) {
		ktap_skip_rest("KVM offers no memory tags to guests");
		return false;
	}
	vm_add_vcpus(vm, 1);
	return true;
}

/* Returns the errno, or 0 if all tags of the page were copied. */
static int copy_tags(struct stage *stage, unsigned int page, unsigned char *tags, uint64_t how)
{
	struct kvm_arm_copy_mte_tags copy = {
		.guest_ipa = page_gpa(stage, page),
		.length = stage->region.page_size,
		.addr = tags,
		.flags = how,
	};

	return ioctl(stage->vm.fd, KVM_ARM_MTE_COPY_TAGS, &copy) < 0 ? errno : 0;
}

static bool tags_come_back(struct stage *stage)
{
	unsigned char put[TAGS_PER_PAGE], got[TAGS_PER_PAGE];

	for (unsigned int i = 0; i < stage->region.npages; i++) {
		memset(put, i + 1, sizeof(put));
		if (!equals("errno", copy_tags(stage, i, put, KVM_ARM_TAGS_TO_GUEST), 0) ||
		    !equals("errno", copy_tags(stage, i, got, KVM_ARM_TAGS_FROM_GUEST), 0) ||
		    !equals("differ", memcmp(put, got, sizeof(put)), 0))
			return false;
	}
	return true;
}

SCENARIO(tagged_memory, 4)
{
	if (!open_tagged(stage))
		return;
	vm_set_region(&stage->vm, &stage->region, 0);
	if (!guest_is_in(stage))
		return;
	ktap_step(tags_come_back(stage), "access: KVM copies tags to the guest and back");
	ktap_step(guest_sees(stage, GUEST_PATTERN), "access: guest reads what it wrote");
	ktap_step(host_sees(stage, GUEST_PATTERN), "access: host reads what the guest wrote");
}

/* The slot is made over memory that can have tags, which the region then replaces. */
static void put_region_under_slot(struct stage *stage)
{
	struct region *region = &stage->region;

	region_unmap(region);
	if (mmap(region->host, region_size(region), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != region->host)
		bail_out("mapping anonymous memory");
	vm_set_region(&stage->vm, region, 0);
	region_map(region);
}

SCENARIO(tagged_slot_refused, 2)
{
	if (!open_tagged(stage))
		return;
	ktap_step(!vm_try_region(&stage->vm, &stage->region, 0) &&
		  equals("errno", errno, EINVAL),
		  "refusal: memory that can't have tags is kept out of the slots");
	put_region_under_slot(stage);
	ktap_step(refused_with(stage, EFAULT, 0),
		  "refusal: what came under a slot later is kept from the guest");
}

static bool no_tags_are_copied(struct stage *stage, uint64_t how)
{
	unsigned char tags[TAGS_PER_PAGE] = {};

	for (unsigned int i = 0; i < stage->region.npages; i++)
		if (!equals("errno", copy_tags(stage, i, tags, how), EFAULT))
			return false;
	return true;
}

SCENARIO(tag_copy_refused, 2)
{
	if (!open_tagged(stage))
		return;
	put_region_under_slot(stage);
	ktap_step(no_tags_are_copied(stage, KVM_ARM_TAGS_FROM_GUEST),
		  "refusal: no tags are read from memory without a reference");
	ktap_step(no_tags_are_copied(stage, KVM_ARM_TAGS_TO_GUEST),
		  "refusal: no tags are written to memory without a reference");
}
