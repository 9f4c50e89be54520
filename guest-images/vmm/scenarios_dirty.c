// SPDX-License-Identifier: GPL-2.0-only
/* Which pages the guest wrote to: what live migration relies on. */
#include <stdint.h>
#include <sys/ioctl.h>

#include "ktap.h"
#include "steps.h"

#define EVEN	0x5555555555555555ul

static uint64_t all(const struct stage *stage)
{
	return (1ul << stage->region.npages) - 1;
}

static void clear_log(struct stage *stage, uint64_t pages)
{
	uint64_t bitmap[NOREF_MAX_PAGES / 64] = { pages };
	struct kvm_clear_dirty_log log = {
		.slot = REGION_SLOT,
		.num_pages = stage->region.npages,
		.dirty_bitmap = bitmap,
	};

	if (ioctl(stage->vm.fd, KVM_CLEAR_DIRTY_LOG, &log))
		bail_out("KVM_CLEAR_DIRTY_LOG");
}

static bool guest_writes(struct stage *stage, uint64_t pages)
{
	for (unsigned int i = 0; i < stage->region.npages; i++)
		if (pages & (1ul << i) &&
		    !vm_call(&stage->vm, GUEST_STORE, page_gpa(stage, i),
			     page_pattern(stage, GUEST_PATTERN, i)))
			return false;
	return true;
}

SCENARIO(dirty_log, 7)
{
	if (!guest_is_in(stage))
		return;
	vm_set_region(&stage->vm, &stage->region, KVM_MEM_LOG_DIRTY_PAGES);
	ktap_step(equals("dirty", get_log(stage), 0),
		  "integrity: nothing is dirty when logging begins");
	ktap_step(guest_sees(stage, GUEST_PATTERN) &&
		  equals("dirty", get_log(stage), 0),
		  "integrity: pages that the guest reads are not dirty");
	ktap_step(guest_writes(stage, EVEN) &&
		  equals("dirty", get_log(stage), EVEN & all(stage)),
		  "integrity: the pages that the guest wrote are dirty, no other");
	ktap_step(guest_writes(stage, ~EVEN) &&
		  equals("dirty", get_log(stage), ~EVEN & all(stage)),
		  "integrity: so they are in the next round");
	vm_set_region(&stage->vm, &stage->region, 0);
	ktap_step(guest_sees(stage, GUEST_PATTERN) && host_sees(stage, GUEST_PATTERN),
		  "access: both sides see the same when logging has ended");
	ktap_step(guest_fills(stage, LATER_PATTERN) && host_sees(stage, LATER_PATTERN),
		  "access: guest writes when logging has ended");
}

/* Logging from the beginning: no page was mapped without it. */
SCENARIO(dirty_first, 5)
{
	vm_delete_region(&stage->vm);
	vm_set_region(&stage->vm, &stage->region, KVM_MEM_LOG_DIRTY_PAGES);
	if (!ktap_step(vm_call(&stage->vm, GUEST_LOAD, REGION_GPA, 0),
		       "access: guest reads a page whose log is on"))
		return;
	ktap_step(equals("dirty", get_log(stage) & ~1ul, 0),
		  "integrity: pages that the guest never touched are not dirty");
	ktap_step(guest_sees_zeroes(stage),
		  "access: guest reads all pages whose log is on");
	/* KVM maps what it may write, and counts it as written already. */
	ktap_detail("dirty_by_reading=%#lx", (long)get_log(stage));
	ktap_step(guest_fills(stage, GUEST_PATTERN) && host_sees(stage, GUEST_PATTERN),
		  "access: guest writes pages whose log is on");
	ktap_step(equals("dirty", get_log(stage), all(stage)),
		  "integrity: pages written since the log was fetched are dirty");
}

SCENARIO(clear_dirty, 6)
{
	struct kvm_enable_cap manual = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args[0] = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE,
	};

	if (ioctl(stage->vm.fd, KVM_ENABLE_CAP, &manual))
		bail_out("KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2");
	if (!guest_is_in(stage))
		return;
	vm_set_region(&stage->vm, &stage->region, KVM_MEM_LOG_DIRTY_PAGES);
	ktap_step(guest_writes(stage, all(stage)) &&
		  equals("dirty", get_log(stage), all(stage)),
		  "integrity: all pages are dirty");
	ktap_step(equals("dirty", get_log(stage), all(stage)),
		  "integrity: so they are until they are cleared");
	clear_log(stage, EVEN & all(stage));
	ktap_step(equals("dirty", get_log(stage), ~EVEN & all(stage)),
		  "integrity: what was cleared is not dirty, and no other");
	ktap_step(guest_writes(stage, 1) &&
		  equals("dirty", get_log(stage), (~EVEN & all(stage)) | 1),
		  "integrity: a cleared page that the guest writes is dirty again");
	vm_set_region(&stage->vm, &stage->region, 0);
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "access: host reads what the guest wrote");
}

/*
 * What mm goes by when it drops or writes back a page.  Old pages, as a zap must
 * not take those for clean; and KVM mapped some of them before they were used.
 */
SCENARIO(marked_dirty, 3)
{
	if (!guest_is_in(stage))
		return;
	age(stage, NOREF_CLEAR_YOUNG);
	vm_delete_region(&stage->vm);
	ktap_step(counted_pages_are_dirty(stage),
		  "integrity: pages that the guest wrote are marked dirty");
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "access: host reads what the guest wrote");
}

/* Logging takes huge SPTEs apart, and its end lets them grow together again. */
SCENARIO(huge_log, 5, .pages = NOREF_MAX_PAGES)
{
	arch_map_huge(&stage->vm);
	if (!guest_is_in(stage))
		return;
	exercise_huge(stage);
	vm_set_region(&stage->vm, &stage->region, KVM_MEM_LOG_DIRTY_PAGES);
	ktap_step(guest_sees(stage, GUEST_PATTERN) &&
		  equals("dirty", get_log(stage), 0),
		  "integrity: nothing is dirty when logging begins");
	vm_set_region(&stage->vm, &stage->region, 0);
	ktap_step(guest_sees(stage, GUEST_PATTERN),
		  "integrity: guest sees each page in its place when logging has ended");
	vm_delete_region(&stage->vm);
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "integrity: host mapping shows each guest page in its place");
}

/* The log is of pages, however large the SPTE was that mapped them. */
SCENARIO(dirty_huge, 6, .pages = NOREF_MAX_PAGES)
{
	arch_map_huge(&stage->vm);
	if (!guest_is_in(stage))
		return;
	exercise_huge(stage);
	vm_set_region(&stage->vm, &stage->region, KVM_MEM_LOG_DIRTY_PAGES);
	ktap_step(guest_sees(stage, GUEST_PATTERN) && equals("dirty", get_log(stage), 0),
		  "integrity: pages that the guest reads are not dirty");
	for (unsigned int i = 0; i < 64; i += 63)
		vm_call(&stage->vm, GUEST_FILL, page_gpa(stage, i),
			page_pattern(stage, GUEST_PATTERN, i));
	ktap_step(equals("dirty", get_log(stage), 1ul << 63 | 1),
		  "integrity: the pages that the guest wrote are dirty, no other");
	vm_set_region(&stage->vm, &stage->region, 0);
	ktap_step(guest_sees(stage, GUEST_PATTERN) && host_sees(stage, GUEST_PATTERN),
		  "access: both sides see the same when logging has ended");
	ktap_step(guest_fills(stage, LATER_PATTERN) && host_sees(stage, LATER_PATTERN),
		  "access: guest writes when logging has ended");
}
