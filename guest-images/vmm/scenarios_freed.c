// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative controls: the driver frees pages that the guest has mapped, and it
 * is for the kernel's log to say whether KVM noticed.  Each of them leaves the
 * pages free until the VM is gone, so that KVM has had every chance.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ktap.h"
#include "ledger.h"
#include "steps.h"

/* The memory is in use by the guest, and each page of it in KVM's page tables. */
static bool is_mapped(struct stage *stage)
{
	uint64_t ram;

	/* The guest's own RAM is mapped first. */
	vm_call(&stage->vm, GUEST_LOAD, STACK_GPA, 0);
	ram = arch_pages_mapped(&stage->vm);
	return guest_is_in(stage) &&
	       ktap_exercise(at_least("sptes", arch_pages_mapped(&stage->vm) - ram,
				      stage->region.npages),
			     "KVM maps the pages that are freed");
}

static bool free_under_guest(struct stage *stage)
{
	if (!is_mapped(stage))
		return false;
	region_ioctl(&stage->region, NOREF_FREE, NULL);
	return true;
}

/* The counts are restored before anything else looks at the pages. */
static void seeded(struct stage *stage, const char *description)
{
	vm_close(&stage->vm);
	region_ioctl(&stage->region, NOREF_UNFREE, NULL);
	ktap_step(true, description);
}

SCENARIO(freed_slot_delete, 3)
{
	if (!free_under_guest(stage))
		return;
	vm_delete_region(&stage->vm);
	seeded(stage, "detection: slot was deleted after its pages were freed");
}

SCENARIO(freed_munmap, 3)
{
	if (!free_under_guest(stage))
		return;
	region_unmap(&stage->region);
	seeded(stage, "detection: region was unmapped after its pages were freed");
	region_map(&stage->region);
}

SCENARIO(freed_vm_close, 3)
{
	if (!free_under_guest(stage))
		return;
	seeded(stage, "detection: VM was closed after its pages were freed");
}

SCENARIO(freed_mprotect, 3)
{
	struct region *region = &stage->region;

	if (!free_under_guest(stage))
		return;
	if (mprotect(region->host, region_size(region), PROT_READ) ||
	    mprotect(region->host, region_size(region), PROT_READ | PROT_WRITE))
		bail_out("mprotect");
	seeded(stage, "detection: region was protected after its pages were freed");
}

/* Before they are freed, so that all of them have gone through all of it. */
SCENARIO(freed_dirty_log, 3)
{
	if (!is_mapped(stage))
		return;
	vm_set_region(&stage->vm, &stage->region, KVM_MEM_LOG_DIRTY_PAGES);
	for (unsigned int round = 0; round < 2; round++) {
		get_log(stage);
		for (unsigned int i = 0; i < stage->region.npages; i++)
			vm_call(&stage->vm, GUEST_STORE, page_gpa(stage, i), round);
	}
	get_log(stage);
	region_ioctl(&stage->region, NOREF_FREE, NULL);
	vm_set_region(&stage->vm, &stage->region, 0);
	seeded(stage, "detection: pages that were logged were freed");
}

SCENARIO(freed_age, 3)
{
	if (!is_mapped(stage))
		return;
	age(stage, NOREF_CLEAR_YOUNG);
	guest_sees(stage, GUEST_PATTERN);
	age(stage, NOREF_CLEAR_FLUSH_YOUNG);
	region_ioctl(&stage->region, NOREF_FREE, NULL);
	seeded(stage, "detection: pages that were aged were freed");
}

/* Neither accessed nor dirty: there is nothing to mark, which could tell as well. */
SCENARIO(freed_idle, 2)
{
	vm_delete_region(&stage->vm);
	vm_set_region(&stage->vm, &stage->region, KVM_MEM_READONLY);
	if (!ktap_exercise(guest_sees_zeroes(stage), "guest reads pages of a read-only slot"))
		return;
	age(stage, NOREF_CLEAR_YOUNG);
	region_ioctl(&stage->region, NOREF_FREE, NULL);
	seeded(stage, "detection: pages that were read and aged were freed");
}

/* The host makes a page writable that KVM has read-only, and KVM looks it up anew. */
SCENARIO(freed_refault, 2)
{
	if (!ktap_exercise(guest_sees_zeroes(stage), "guest reads pages that are read-only"))
		return;
	region_ioctl(&stage->region, NOREF_FREE, NULL);
	host_fills(stage, HOST_PATTERN);
	for (unsigned int i = 0; i < stage->region.npages; i++)
		vcpu_call(&stage->vm.vcpus[0], GUEST_STORE, page_gpa(stage, i), 1);
	seeded(stage, "detection: pages were freed, and then looked up again");
}

/* The TDP MMU takes a huge SPTE apart before its pages are freed. */
SCENARIO(freed_split, 4, .pages = NOREF_MAX_PAGES)
{
	arch_map_huge(&stage->vm);
	if (!guest_is_in(stage))
		return;
	exercise_huge(stage);
	vm_set_region(&stage->vm, &stage->region, KVM_MEM_LOG_DIRTY_PAGES);
	ktap_exercise(at_least("pages_4k", vm_stat(&stage->vm, "pages_4k"),
			       stage->region.npages),
		      "KVM maps the pages one by one");
	region_ioctl(&stage->region, NOREF_FREE, NULL);
	seeded(stage, "detection: pages of a split huge page were freed");
}

/* Bits of /proc/sys/kernel/tainted: the kernel says that it complained. */
static bool is_tainted(void)
{
	char text[32] = "";
	int fd = open("/proc/sys/kernel/tainted", O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		bail_out("reading /proc/sys/kernel/tainted");
	close(fd);
	/* Not the test module's own: bit 12, an out-of-tree module. */
	return strtoul(text, NULL, 10) & ~(1ul << 12);
}

/*
 * A page goes back to the page allocator for good, KVM lets go of it only then,
 * and somebody else gets it.  Just one: a second one that is still in a bad
 * state when L1 goes on would be the end of L1.
 */
SCENARIO(freed_for_good, 4, .pages = 1)
{
	cpu_set_t one;
	int met;

	/* Each CPU has free pages of its own, which it gives out first. */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	if (!is_mapped(stage))
		return;
	region_ioctl(&stage->region, NOREF_RELEASE, NULL);
	vm_delete_region(&stage->vm);
	vm_close(&stage->vm);
	met = region_ioctl(&stage->region, NOREF_CHURN, NULL);
	ktap_detail("pages_given_out=%d", met);
	ktap_exercise(met > 0 || is_tainted(), "the freed page was given out again");
	ktap_step(true, "detection: a page was freed for good and given out again");
}
