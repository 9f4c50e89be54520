// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that go back to the page allocator for good while KVM has them mapped,
 * and are looked for among those that it hands out.
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/panic.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

#include "noref.h"

/* Each CPU has lists of its own for blocks of up to that order. */
#define ORDERS		(PAGE_ALLOC_COSTLY_ORDER + 1)

/* What such a list is given. */
static const int share[ORDERS] = { 128, 16, 8, 4 };

static DEFINE_MUTEX(release_lock);
static struct list_head spare[ORDERS];
static DEFINE_SPINLOCK(spare_lock);

static void give_back(struct list_head *taken, unsigned int order)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, taken, lru)
		__free_pages(page, order);
}

static void take_spare(unsigned int order)
{
	struct page *page;

	INIT_LIST_HEAD(&spare[order]);
	for (int n = share[order] * num_online_cpus(); n; n--) {
		page = alloc_pages(GFP_KERNEL, order);
		if (!page)
			return;
		list_add(&page->lru, &spare[order]);
	}
}

static void give_share(void *unused)
{
	for (unsigned int order = 0; order < ORDERS; order++) {
		LIST_HEAD(mine);

		spin_lock(&spare_lock);
		for (int n = share[order]; n && !list_empty(&spare[order]); n--)
			list_move(spare[order].next, &mine);
		spin_unlock(&spare_lock);
		give_back(&mine, order);
	}
}

/*
 * The pages stay on the ledger, where it can be seen what became of them.  Off
 * the CPUs' own lists they lie where the next owner's allocation checks them.
 * Each CPU has others on its lists then, for who wants some before that.
 */
int noref_free_for_good(struct noref_region *region)
{
	void (*drain)(struct zone *zone) = noref_find_function("drain_all_pages");

	if (!drain || !region->backing)
		return -EOPNOTSUPP;
	mutex_lock(&release_lock);
	for (unsigned int order = 0; order < ORDERS; order++)
		take_spare(order);
	mutex_lock(&region->lock);
	noref_free_chunks(region->backing, region->front);
	mutex_unlock(&region->lock);
	drain(NULL);
	on_each_cpu(give_share, NULL, 1);
	mutex_unlock(&release_lock);
	return 0;
}

static bool in_front(struct noref_region *region, struct page *page)
{
	for (unsigned int i = 0; i < region->front->npages; i++)
		if (region->front->pages[i] == page)
			return true;
	return false;
}

/*
 * Take pages from the page allocator until those of the front were among them,
 * and give them back.  Returns how many were: those whose state is bad aren't,
 * as the allocator finds that and drops them.  Another CPU may have put them on
 * its own list meanwhile.
 */
int noref_churn(struct noref_region *region)
{
	void (*drain)(struct zone *zone) = noref_find_function("drain_all_pages");
	LIST_HEAD(taken);
	struct page *page;
	int met = 0;

	if (!drain)
		return -EOPNOTSUPP;
	drain(NULL);
	while (met < region->npages && !test_taint(TAINT_BAD_PAGE)) {
		/* All that there are, but for those that are kept for an emergency. */
		page = alloc_page(GFP_NOWAIT | __GFP_NOWARN);
		if (!page)
			break;
		met += in_front(region, page);
		list_add(&page->lru, &taken);
	}
	give_back(&taken, 0);
	return met;
}
