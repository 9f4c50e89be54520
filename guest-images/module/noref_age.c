// SPDX-License-Identifier: GPL-2.0-only
/*
 * What mm asks the MMU notifiers about the age of its own pages.  It never does
 * for a driver's, which are on no LRU list; DAMON and the like may some day.
 */
#include <linux/kprobes.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>

#include "noref.h"

typedef int (*range_fn)(struct mm_struct *mm, unsigned long start, unsigned long end);
typedef int (*address_fn)(struct mm_struct *mm, unsigned long address);

/* mm doesn't export them; a kprobe knows where they are. */
void *noref_find_function(const char *name)
{
	struct kprobe probe = { .symbol_name = name };
	void *address;

	if (register_kprobe(&probe))
		return NULL;
	address = probe.addr;
	unregister_kprobe(&probe);
	return address;
}

static int test_young(unsigned long start, unsigned long end)
{
	address_fn fn = noref_find_function("__mmu_notifier_test_young");
	int young = 0;

	if (!fn)
		return -EOPNOTSUPP;
	for (; start < end; start += PAGE_SIZE)
		young |= fn(current->mm, start);
	return young;
}

static int clear_young(const char *name, unsigned long start, unsigned long end)
{
	range_fn fn = noref_find_function(name);

	return fn ? fn(current->mm, start, end) : -EOPNOTSUPP;
}

/* Whether the range was used, or an errno. */
int noref_age(unsigned int how, unsigned long start, unsigned long end)
{
	switch (how) {
	case NOREF_TEST_YOUNG:
		return test_young(start, end);
	case NOREF_CLEAR_YOUNG:
		return clear_young("__mmu_notifier_clear_young", start, end);
	case NOREF_CLEAR_FLUSH_YOUNG:
		return clear_young("__mmu_notifier_clear_flush_young", start, end);
	default:
		return -EINVAL;
	}
}
