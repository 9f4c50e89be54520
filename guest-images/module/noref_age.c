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

static address_fn test_one;
static range_fn clear, clear_and_flush;

/*
 * Once: a kprobe interrupts every CPU, and so flushes what a vCPU's TLB has, be
 * it that KVM forgot to.
 */
static bool find_functions(void)
{
	if (!clear_and_flush) {
		test_one = noref_find_function("__mmu_notifier_test_young");
		clear = noref_find_function("__mmu_notifier_clear_young");
		clear_and_flush = noref_find_function("__mmu_notifier_clear_flush_young");
	}
	return test_one && clear && clear_and_flush;
}

static int test_young(unsigned long start, unsigned long end)
{
	int young = 0;

	for (; start < end; start += PAGE_SIZE)
		young |= test_one(current->mm, start);
	return young;
}

/* Whether the range was used, or an errno. */
int noref_age(unsigned int how, unsigned long start, unsigned long end)
{
	if (!find_functions())
		return -EOPNOTSUPP;
	switch (how) {
	case NOREF_TEST_YOUNG:
		return test_young(start, end);
	case NOREF_CLEAR_YOUNG:
		return clear(current->mm, start, end);
	case NOREF_CLEAR_FLUSH_YOUNG:
		return clear_and_flush(current->mm, start, end);
	default:
		return -EINVAL;
	}
}
