// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory whose driver wants to know of the first write: its new PTEs are
 * read-only, and KVM's look-up for a write may come back with such a one.
 */
#include "ktap.h"
#include "steps.h"

static bool guest_stores(struct stage *stage, enum guest_op op)
{
	for (unsigned int i = 0; i < stage->region.npages; i++)
		if (!vm_call(&stage->vm, op, page_gpa(stage, i),
			     page_pattern(stage, GUEST_PATTERN, i)))
			return false;
	return true;
}

static bool host_has_words(struct stage *stage)
{
	for (unsigned int i = 0; i < stage->region.npages; i++)
		if (!equals("word", *host_page(stage, i),
			    page_pattern(stage, GUEST_PATTERN, i)))
			return false;
	return true;
}

/* The first write of each page, and how KVM brought it about. */
static void first_write(struct stage *stage, enum guest_op op)
{
	const uint64_t before = vcpus_stat(&stage->vm, "insn_emulation");

	if (!ktap_step(guest_stores(stage, op), "access: guest writes each page"))
		return;
	ktap_step(host_has_words(stage), "access: host reads what the guest wrote");
	ktap_step(equals("insn_emulation",
			 vcpus_stat(&stage->vm, "insn_emulation") - before, 0),
		  "access: KVM lets the guest write instead of emulating it");
}

SCENARIO(notify_write, 3)
{
	first_write(stage, GUEST_STORE);
}

SCENARIO(notify_fpu, 3)
{
	first_write(stage, GUEST_STORE_FPU);
}

SCENARIO(notify_read_write, 4)
{
	if (ktap_step(guest_sees_zeroes(stage), "access: guest reads each page"))
		first_write(stage, GUEST_STORE);
}
