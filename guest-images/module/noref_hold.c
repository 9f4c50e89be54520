// SPDX-License-Identifier: GPL-2.0-only
/*
 * An invalidation that lasts: notifiers that were registered later, as a VM's,
 * have begun it, the page tables are as they were, and it waits here.
 */
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "noref.h"

struct noref_hold {
	struct mmu_notifier notifier;
	unsigned long address;
	bool over;
	bool holds;
	wait_queue_head_t news;
};

static int hold(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	struct noref_hold *hold = container_of(notifier, struct noref_hold, notifier);

	if (hold->address < range->start || hold->address >= range->end ||
	    !mmu_notifier_range_blockable(range))
		return 0;
	WRITE_ONCE(hold->holds, true);
	wait_event(hold->news, READ_ONCE(hold->over));
	return 0;
}

static const struct mmu_notifier_ops hold_ops = {
	.invalidate_range_start = hold,
};

int noref_begin_hold(struct noref_region *region, unsigned long address)
{
	struct noref_hold *hold;
	int r = -EBUSY;

	hold = kzalloc(sizeof(*hold), GFP_KERNEL);
	if (!hold)
		return -ENOMEM;
	hold->notifier.ops = &hold_ops;
	hold->address = address;
	init_waitqueue_head(&hold->news);
	if (!cmpxchg(&region->hold, NULL, hold)) {
		r = mmu_notifier_register(&hold->notifier, current->mm);
		if (!r)
			return 0;
		region->hold = NULL;
	}
	kfree(hold);
	return r;
}

int noref_holds(struct noref_region *region)
{
	return region->hold && READ_ONCE(region->hold->holds);
}

void noref_end_hold(struct noref_region *region)
{
	if (!region->hold)
		return;
	WRITE_ONCE(region->hold->over, true);
	wake_up_all(&region->hold->news);
}

void noref_free_hold(struct noref_region *region)
{
	struct noref_hold *hold = region->hold;

	if (!hold)
		return;
	noref_end_hold(region);
	mmu_notifier_unregister(&hold->notifier, hold->notifier.mm);
	kfree(hold);
}
