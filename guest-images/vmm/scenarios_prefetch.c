// SPDX-License-Identifier: GPL-2.0-only
/*
 * The legacy and the shadow MMU map the neighbours of a page that faults, where
 * they can have them at once.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

#include "ktap.h"
#include "steps.h"

/* Of pages that gup can have all but the first are there without a fault. */
SCENARIO(prefetch, 3)
{
	uint64_t faults;

	host_fills(stage, HOST_PATTERN);
	if (!ktap_step(vm_call(&stage->vm, GUEST_LOAD, REGION_GPA, 0),
		       "access: guest reads the first page"))
		return;
	faults = arch_faults_fixed(&stage->vm);
	ktap_step(guest_sees(stage, HOST_PATTERN),
		  "integrity: guest sees each host page in its place");
	faults = arch_faults_fixed(&stage->vm) - faults;
	ktap_detail("faults=%lu", (long)faults);
	ktap_exercise(faults < stage->region.npages - 1,
		      "neighbours were mapped without a fault");
}

/* Every second page of the slot is this process's own, and can be prefetched. */
SCENARIO(mixed_neighbours, 4)
{
	struct region *region = &stage->region;

	for (unsigned int i = 1; i < region->npages; i += 2)
		if (mmap(host_page(stage, i), region->page_size,
			 PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			bail_out("mapping a page between");
	host_fills(stage, HOST_PATTERN);
	if (!ktap_step(guest_sees(stage, HOST_PATTERN),
		       "access: guest reads what the host wrote"))
		return;
	if (guest_is_in(stage))
		ktap_step(host_sees(stage, GUEST_PATTERN),
			  "integrity: host mapping shows each guest page in its place");
	vm_close(&stage->vm);
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "integrity: so it does when the VM is gone");
}
