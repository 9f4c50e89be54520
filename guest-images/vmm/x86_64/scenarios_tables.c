// SPDX-License-Identifier: GPL-2.0-only
/* What the guest does to its own page tables. */
#include <errno.h>

#include "arch.h"
#include "ktap.h"
#include "steps.h"

static bool guest_remaps(struct stage *stage, bool writable)
{
	for (unsigned int i = 0; i < stage->region.npages; i++)
		if (!map_again(&stage->vm, i, writable))
			return false;
	return vm_call(&stage->vm, GUEST_FLUSH, 0, 0);
}

/* The guest takes write access from its own mapping, and gives it back. */
SCENARIO(guest_tables, 6)
{
	if (!guest_is_in(stage))
		return;
	ktap_step(guest_remaps(stage, false) && guest_sees(stage, GUEST_PATTERN),
		  "access: guest reads what it maps read-only");
	ktap_step(counted_pages_are_dirty(stage),
		  "integrity: pages that the guest wrote are marked dirty");
	ktap_step(guest_remaps(stage, true) && guest_fills(stage, LATER_PATTERN),
		  "access: guest writes what it maps writable again");
	ktap_step(guest_remaps(stage, false) && guest_sees(stage, LATER_PATTERN),
		  "access: so it does once more");
	ktap_step(host_sees(stage, LATER_PATTERN),
		  "integrity: host reads what the guest wrote");
}

/* Whether a guest without paging writes each page, or none as it is refused all. */
static bool writes_or_is_refused(struct stage *stage, bool *written)
{
	struct vcpu *vcpu = &stage->vm.vcpus[0];

	for (unsigned int i = 0; i < stage->region.npages; i++) {
		bool stored = vcpu_call(vcpu, GUEST_STORE, page_gpa(stage, i), i + 1);

		if (!i)
			*written = stored;
		if (stored == *written && (stored || vcpu->error == EFAULT))
			continue;
		ktap_detail("page=%u errno=%d exit=%u", i, vcpu->error, vcpu->exit);
		return false;
	}
	return true;
}

/* A guest that isn't in long mode has page tables of another format. */
SCENARIO(guest_pae, 4)
{
	struct vcpu *vcpu = &stage->vm.vcpus[0];
	bool written = false, passed = true;

	set_paging(vcpu, false);
	ktap_step(writes_or_is_refused(stage, &written),
		  "robustness: a guest that doesn't page uses the memory, or is refused it");
	for (unsigned int i = 0; passed && i < stage->region.npages; i++)
		passed = equals("word", *host_page(stage, i), written ? i + 1 : 0);
	ktap_step(passed, "robustness: host reads what it wrote");
	set_paging(vcpu, true);
	if (guest_is_in(stage))
		ktap_step(host_sees(stage, GUEST_PATTERN),
			  "integrity: host reads what it wrote in long mode");
}
