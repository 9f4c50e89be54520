// SPDX-License-Identifier: GPL-2.0-only
/*
 * One function for each entry of ../scenarios.toml, where it is said what the
 * scenario is for.  Each ends at the first step that makes the rest pointless.
 */
#include <errno.h>
#include <string.h>

#include "ktap.h"
#include "vmm.h"

/* Where patterns begin; each has room for the offsets of a whole region. */
#define GUEST_PATTERN	0x6765737400000000ul
#define HOST_PATTERN	0x686f737400000000ul
#define LATER_PATTERN	0x6c61746500000000ul

static uint64_t page_gpa(const struct stage *stage, unsigned int page)
{
	return REGION_GPA + page * stage->region.page_size;
}

static uint64_t page_pattern(const struct stage *stage, uint64_t pattern,
			     unsigned int page)
{
	return pattern + page * stage->region.page_size;
}

static size_t page_words(const struct stage *stage)
{
	return stage->region.page_size / sizeof(uint64_t);
}

static bool guest_fills(struct stage *stage, uint64_t pattern)
{
	for (unsigned int i = 0; i < stage->region.npages; i++)
		if (!vm_call(&stage->vm, GUEST_FILL, page_gpa(stage, i),
			     page_pattern(stage, pattern, i)))
			return false;
	return true;
}

static bool guest_sees(struct stage *stage, uint64_t pattern)
{
	for (unsigned int i = 0; i < stage->region.npages; i++) {
		if (!vm_call(&stage->vm, GUEST_CHECK, page_gpa(stage, i),
			     page_pattern(stage, pattern, i)))
			return false;
		if (stage->vm.value) {
			ktap_detail("page=%u wrong_words=%lu", i,
				    (long)stage->vm.value);
			return false;
		}
	}
	return true;
}

static bool guest_sees_zeroes(struct stage *stage)
{
	for (unsigned int i = 0; i < stage->region.npages; i++) {
		if (!vm_call(&stage->vm, GUEST_LOAD, page_gpa(stage, i), 0))
			return false;
		if (stage->vm.value) {
			ktap_detail("page=%u got=%#lx", i, (long)stage->vm.value);
			return false;
		}
	}
	return true;
}

static void host_fills(struct stage *stage, uint64_t pattern)
{
	for (size_t i = 0; i < stage->region.npages * page_words(stage); i++)
		stage->region.host[i] = pattern + i * sizeof(uint64_t);
}

static bool host_sees(struct stage *stage, uint64_t pattern)
{
	for (size_t i = 0; i < stage->region.npages * page_words(stage); i++) {
		uint64_t got = stage->region.host[i];

		if (got != pattern + i * sizeof(uint64_t)) {
			ktap_detail("page=%zu word=%zu got=%#lx",
				    i / page_words(stage),
				    i % page_words(stage), (long)got);
			return false;
		}
	}
	return true;
}

/*
 * Whether npages of the ledger from page first on hold the pattern, seen by
 * their struct pages and so past every mapping.
 */
static bool ledger_holds(struct stage *stage, unsigned int first,
			 uint64_t pattern)
{
	struct noref_ledger ledger = {};
	size_t words = page_words(stage);

	region_ioctl(&stage->region, NOREF_LEDGER, &ledger);
	for (unsigned int i = 0; i < stage->region.npages; i++) {
		uint64_t want = words * page_pattern(stage, pattern, i) +
				words * (words - 1) / 2 * sizeof(uint64_t);

		if (ledger.pages[first + i].sum != want) {
			ktap_detail("page=%u pfn=%llu sum=%llu want=%llu",
				    first + i, ledger.pages[first + i].pfn,
				    ledger.pages[first + i].sum,
				    (unsigned long long)want);
			return false;
		}
	}
	return true;
}

static bool spare_is_zero(struct stage *stage)
{
	struct noref_ledger ledger = {};

	region_ioctl(&stage->region, NOREF_LEDGER, &ledger);
	for (unsigned int i = stage->region.npages; i < ledger.npages; i++) {
		if (ledger.pages[i].sum) {
			ktap_detail("page=%u pfn=%llu sum=%llu", i,
				    ledger.pages[i].pfn, ledger.pages[i].sum);
			return false;
		}
	}
	return true;
}

/* The first step of all scenarios that need the memory in use by the guest. */
static bool guest_is_in(struct stage *stage)
{
	return ktap_step(guest_fills(stage, GUEST_PATTERN),
			 "access: guest writes all pages");
}

/* No page of a region that was taken away is within the guest's reach. */
static bool refused_with(struct stage *stage, int error, uint32_t exit)
{
	for (unsigned int i = 0; i < stage->region.npages; i++) {
		if (vm_call(&stage->vm, GUEST_LOAD, page_gpa(stage, i), 0) ||
		    stage->vm.error != error ||
		    (!error && stage->vm.exit != exit))
			return false;
	}
	return true;
}

static void guest_write(struct stage *stage)
{
	if (guest_is_in(stage))
		ktap_step(host_sees(stage, GUEST_PATTERN),
			  "access: host reads what the guest wrote");
}

static void guest_read(struct stage *stage)
{
	host_fills(stage, HOST_PATTERN);
	ktap_step(guest_sees(stage, HOST_PATTERN),
		  "access: guest reads what the host wrote");
}

static void guest_exec(struct stage *stage)
{
	bool passed = true;

	for (unsigned int i = 0; passed && i < stage->region.npages; i++) {
		char *code = (char *)stage->region.host + i * stage->region.page_size;

		arch_make_function(code, 1000 + i);
		passed = vm_call(&stage->vm, GUEST_CALL, page_gpa(stage, i), 0);
		if (passed && stage->vm.value != 1000 + i) {
			ktap_detail("page=%u got=%lu", i, (long)stage->vm.value);
			passed = false;
		}
	}
	ktap_step(passed, "access: guest executes a function in each page");
}

static void all_pages(struct stage *stage)
{
	if (!guest_is_in(stage))
		return;
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

static void swap_pages(struct stage *stage)
{
	struct region *region = &stage->region;

	if (!guest_is_in(stage))
		return;

	region_ioctl(region, NOREF_SWAP, NULL);
	if (!region_refaults(region)) {
		ktap_step(refused_with(stage, EFAULT, 0),
			  "notifier: revoked pages are out of the guest's reach");
		region_map(region);
	} else {
		ktap_step(vm_call(&stage->vm, GUEST_LOAD, REGION_GPA, 0) &&
			  !stage->vm.value,
			  "notifier: revoked pages are out of the guest's reach");
	}
	ktap_step(guest_sees_zeroes(stage),
		  "notifier: guest sees the new pages");
	if (!ktap_step(guest_fills(stage, LATER_PATTERN),
		       "access: guest writes the new pages"))
		return;
	ktap_step(host_sees(stage, LATER_PATTERN) &&
		  ledger_holds(stage, 0, LATER_PATTERN),
		  "notifier: the new pages hold what was written since");
	ktap_step(ledger_holds(stage, region->npages, GUEST_PATTERN),
		  "notifier: the old pages were not written since");
}

static void slot_delete(struct stage *stage)
{
	if (!guest_is_in(stage))
		return;
	vm_delete_region(&stage->vm);
	ktap_step(refused_with(stage, 0, KVM_EXIT_MMIO),
		  "notifier: a deleted slot is out of the guest's reach");
}

static void host_munmap(struct stage *stage)
{
	if (!guest_is_in(stage))
		return;
	region_unmap(&stage->region);
	ktap_step(refused_with(stage, EFAULT, 0),
		  "notifier: an unmapped region is out of the guest's reach");
	region_map(&stage->region);
}

static void close_vm(struct stage *stage)
{
	if (!guest_is_in(stage))
		return;
	vm_close(&stage->vm);
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "access: what the guest wrote outlives the VM");
}

/*
 * Negative controls.  The counts are restored before anything else looks at
 * the pages; it is for the kernel's log to say whether it noticed.
 */
static bool free_under_guest(struct stage *stage)
{
	if (!guest_is_in(stage))
		return false;
	region_ioctl(&stage->region, NOREF_FREE, NULL);
	return true;
}

static void seeded(struct stage *stage, const char *description)
{
	region_ioctl(&stage->region, NOREF_UNFREE, NULL);
	ktap_step(true, description);
}

static void freed_slot_delete(struct stage *stage)
{
	if (!free_under_guest(stage))
		return;
	vm_delete_region(&stage->vm);
	seeded(stage, "detection: slot was deleted after its pages were freed");
}

static void freed_munmap(struct stage *stage)
{
	if (!free_under_guest(stage))
		return;
	region_unmap(&stage->region);
	seeded(stage, "detection: region was unmapped after its pages were freed");
	region_map(&stage->region);
}

static void freed_close(struct stage *stage)
{
	if (!free_under_guest(stage))
		return;
	vm_close(&stage->vm);
	seeded(stage, "detection: VM was closed after its pages were freed");
}

const struct scenario scenarios[] = {
	{ "guest_write", 2, guest_write },
	{ "guest_read", 1, guest_read },
	{ "guest_exec", 1, guest_exec },
	{ "all_pages", 5, all_pages },
	{ "swap_pages", 6, swap_pages },
	{ "slot_delete", 2, slot_delete },
	{ "munmap", 2, host_munmap },
	{ "vm_close", 2, close_vm },
	{ "freed_slot_delete", 2, freed_slot_delete },
	{ "freed_munmap", 2, freed_munmap },
	{ "freed_vm_close", 2, freed_close },
};
const size_t nr_scenarios = sizeof(scenarios) / sizeof(*scenarios);
