// SPDX-License-Identifier: GPL-2.0-only
/* The guest uses the memory.  What each scenario is for: ../scenarios.toml. */
#include <errno.h>
#include <stdlib.h>

#include "ktap.h"
#include "ledger.h"
#include "steps.h"

SCENARIO(guest_write, 2)
{
	if (guest_is_in(stage))
		ktap_step(host_sees(stage, GUEST_PATTERN),
			  "access: host reads what the guest wrote");
}

SCENARIO(guest_read, 1)
{
	host_fills(stage, HOST_PATTERN);
	ktap_step(guest_sees(stage, HOST_PATTERN),
		  "access: guest reads what the host wrote");
}

SCENARIO(guest_exec, 1)
{
	struct vcpu *vcpu = &stage->vm.vcpus[0];
	bool passed = true;

	for (unsigned int i = 0; passed && i < stage->region.npages; i++) {
		arch_make_function(host_page(stage, i), 1000 + i);
		passed = vm_call(&stage->vm, GUEST_CALL, page_gpa(stage, i), 0) &&
			 equals("value", vcpu->value, 1000 + i);
	}
	ktap_step(passed, "access: guest executes a function in each page");
}

/* Nobody touched the pages before the guest reads them: KVM faults them in. */
SCENARIO(read_first, 3)
{
	if (!ktap_step(guest_sees_zeroes(stage),
		       "access: guest reads pages that nobody touched"))
		return;
	ktap_step(guest_fills(stage, GUEST_PATTERN),
		  "access: guest writes pages that it read first");
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "access: host reads what the guest wrote");
}

static void check_all_pages(struct stage *stage)
{
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "integrity: host mapping shows each guest page in its place");
	ktap_step(ledger_holds(stage, 0, GUEST_PATTERN),
		  "integrity: each struct page holds its guest page");
	host_fills(stage, HOST_PATTERN);
	ktap_step(guest_sees(stage, HOST_PATTERN),
		  "integrity: guest sees each host page in its place");
	ktap_step(spare_is_zero(stage),
		  "integrity: pages that were never mapped are untouched");
}

SCENARIO(all_pages, 5)
{
	if (guest_is_in(stage))
		check_all_pages(stage);
}

/* Whether each of the first pages has at least one of the flags, or none has. */
static bool flags_are(struct stage *stage, unsigned int n, uint32_t flags, bool want)
{
	unsigned int npages;
	struct noref_page *pages = ledger_read(&stage->region, &npages);
	bool good = true;

	for (unsigned int i = 0; good && i < n; i++) {
		good = !!(pages[i].flags & flags) == want;
		if (!good)
			ktap_detail("page=%u flags=%#x", i, pages[i].flags);
	}
	free(pages);
	return good;
}

/*
 * What mm must know of its own pages, and learns from nobody else.  What KVM
 * prefetches it marks when it lets go of it, and not before.
 */
SCENARIO(marked, 5)
{
	unsigned int all = stage->region.npages;

	if (!ktap_exercise(flags_are(stage, all, NOREF_PG_ACTIVE | NOREF_PG_DIRTY, false),
			   "nobody told mm so far that the pages are in use"))
		return;
	if (!guest_is_in(stage))
		return;
	ktap_step(flags_are(stage, 1, NOREF_PG_ACTIVE, true),
		  "notifier: a page that the guest used is active");
	vm_delete_region(&stage->vm);
	ktap_step(flags_are(stage, all, NOREF_PG_ACTIVE, true),
		  "notifier: all pages that the guest used are active");
	ktap_step(flags_are(stage, all, NOREF_PG_DIRTY, true),
		  "integrity: all pages that the guest wrote are dirty");
}

/* Dirty pages that nobody wrote to are written back for nothing, or kept from being dropped. */
SCENARIO(marked_clean, 3)
{
	unsigned int all = stage->region.npages;

	if (!ktap_exercise(flags_are(stage, all, NOREF_PG_DIRTY, false),
			   "nobody told mm so far that the pages are dirty"))
		return;
	vm_delete_region(&stage->vm);
	vm_set_region(&stage->vm, &stage->region, KVM_MEM_READONLY);
	if (!ktap_step(guest_sees_zeroes(stage), "access: guest reads pages of a read-only slot"))
		return;
	vm_delete_region(&stage->vm);
	ktap_step(flags_are(stage, all, NOREF_PG_DIRTY, false),
		  "integrity: pages that the guest only read are not dirty");
}

/* A host mapping that has the alignment of a huge page, and none of its order. */
SCENARIO(scattered_pages, 6, .pages = NOREF_MAX_PAGES)
{
	unsigned int npages, neighbours = 0;
	struct noref_page *pages;

	arch_map_huge(&stage->vm);
	if (!guest_is_in(stage))
		return;
	pages = ledger_read(&stage->region, &npages);
	for (unsigned int i = 1; i < stage->region.npages; i++)
		neighbours += pages[i].pfn == pages[i - 1].pfn + 1;
	free(pages);
	ktap_exercise(equals("neighbours", neighbours, 0),
		      "no page lies behind its neighbour");
	check_all_pages(stage);
}

/* Whether the region is one huge page in the host's memory too. */
static bool is_huge(struct stage *stage)
{
	unsigned int npages, neighbours = 0;
	struct noref_page *pages = ledger_read(&stage->region, &npages);
	bool aligned = pages[0].pfn % NOREF_MAX_PAGES == 0;

	for (unsigned int i = 1; i < stage->region.npages; i++)
		neighbours += pages[i].pfn == pages[i - 1].pfn + 1;
	free(pages);
	return aligned && equals("neighbours", neighbours, stage->region.npages - 1);
}

/*
 * A host mapping by one huge entry.  What holds for one page of a VM_PFNMAP
 * mapping, as that it has a reference, needn't hold for its neighbours, unless
 * they are one compound page, which KVM is free to map either way.
 */
SCENARIO(huge_mapping, 7, .pages = NOREF_MAX_PAGES)
{
	static const char step[] = "integrity: KVM maps huge what is one page, and nothing else";
	const struct region *region = &stage->region;
	uint64_t huge;

	arch_map_huge(&stage->vm);
	vm_call(&stage->vm, GUEST_LOAD, STACK_GPA, 0);
	huge = vm_stat(&stage->vm, "pages_2m");
	if (!guest_is_in(stage))
		return;
	ktap_exercise(is_huge(stage), "the region is a huge page");
	huge = vm_stat(&stage->vm, "pages_2m") - huge;
	if (vm_stat(&stage->vm, "pages_4k"))
		ktap_step(region_is(region, "compound") || equals("huge", huge, region->own), step);
	else
		ktap_skip(step, "KVM doesn't say how it maps pages");
	check_all_pages(stage);
}

/* The first fault is for a page in the middle: its pfn and its address are both rounded down. */
SCENARIO(huge_middle, 7, .pages = NOREF_MAX_PAGES)
{
	arch_map_huge(&stage->vm);
	host_fills(stage, HOST_PATTERN);
	if (!ktap_step(vm_call(&stage->vm, GUEST_CHECK, page_gpa(stage, 300),
			       page_pattern(stage, HOST_PATTERN, 300)) &&
		       equals("wrong_words", stage->vm.vcpus[0].value, 0),
		       "integrity: guest sees a page in the middle in its place"))
		return;
	ktap_exercise(is_huge(stage), "the region is a huge page");
	if (guest_is_in(stage))
		check_all_pages(stage);
}

/* What the first fault of a page finds is taken away before KVM can map it. */
SCENARIO(stale_fault, 4)
{
	uint64_t faults;

	if (!guest_is_in(stage))
		return;
	faults = arch_faults_retried(&stage->vm);
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "notifier: host reads what the guest wrote after the retry");
	ktap_step(ledger_holds(stage, 0, GUEST_PATTERN),
		  "notifier: each struct page holds its guest page");
	ktap_step(at_least("retries", faults, stage->region.npages),
		  "notifier: each page's first fault, which met one, was retried");
}

/*
 * The last page first: KVM must not take the whole chunk for what it looked up,
 * whose first page may be another kind of page.
 */
SCENARIO(huge_from_behind, 5, .pages = NOREF_MAX_PAGES)
{
	unsigned int last = stage->region.npages - 1;

	arch_map_huge(&stage->vm);
	if (!ktap_step(vm_call(&stage->vm, GUEST_STORE, page_gpa(stage, last), 1),
		       "access: guest writes the last page"))
		return;
	if (!guest_is_in(stage))
		return;
	exercise_huge(stage);
	vm_delete_region(&stage->vm);
	ktap_step(counted_pages_are_dirty(stage),
		  "integrity: counted pages that the guest wrote are marked dirty");
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "integrity: host mapping shows each guest page in its place");
}
