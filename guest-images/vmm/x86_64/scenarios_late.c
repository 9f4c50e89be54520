// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fault looks for notifiers twice: when it has found its page, and under
 * mmu_lock, as one may begin in between.  On arm64 it looks once.
 */
#include <stdint.h>

#include "ktap.h"
#include "steps.h"

SCENARIO(late_fault, 5)
{
	const struct region *region = &stage->region;
	const uint64_t word = page_pattern(stage, LATER_PATTERN, 0);

	if (!guest_is_in(stage))
		return;
	region_ioctl(region, NOREF_REVOKE, NULL);
	region_ioctl(region, NOREF_SWAP_LATE, (void *)(intptr_t)stage->vm.fd);
	ktap_step(vm_call(&stage->vm, GUEST_STORE, page_gpa(stage, 0), word),
		  "access: guest writes a page that is taken away meanwhile");
	ktap_exercise(region_ioctl(region, NOREF_SWAPPED, NULL),
		      "a notifier begins when the fault is about to take mmu_lock");
	ktap_step(ledger_holds(stage, region->npages, GUEST_PATTERN),
		  "notifier: pages that were taken away are not written");
	ktap_step(equals("word", *host_page(stage, 0), word),
		  "notifier: host reads what the guest wrote");
}
