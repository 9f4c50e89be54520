// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM itself writes to guest memory, by its gfn_to_pfn_cache.  Memory without a
 * reference it must leave alone, unless opted in.
 */
#include <errno.h>
#include <stdlib.h>

#include "cache.h"
#include "count.h"
#include "ktap.h"
#include "ledger.h"
#include "optin.h"
#include "replace.h"
#include "steps.h"

/* A page of the guest's RAM that nothing else uses. */
#define SPARE_GPA	0x30000ul

static uint32_t version_in(const struct cache_user *user, const void *page)
{
	return *(const uint32_t *)(page + user->version);
}

/* Whether the page has another version than before, and a whole one. */
static bool is_newer(const struct cache_user *user, const void *page, uint32_t before)
{
	uint32_t version = version_in(user, page);

	if (version > before && version % 2 == 0)
		return true;
	ktap_detail("version=%u before=%u", version, before);
	return false;
}

static bool uses(struct stage *stage, const struct cache_user *user, uint64_t gpa,
		 const void *page)
{
	uint32_t before = version_in(user, page);

	return equals("errno", user->use(&stage->vm, gpa), 0) &&
	       is_newer(user, page, before);
}

static bool updates(struct stage *stage, const struct cache_user *user, const void *page)
{
	uint32_t before = version_in(user, page);

	return equals("errno", user->update(&stage->vm), 0) &&
	       is_newer(user, page, before);
}

/* The guest's view is of the time between two looks of the host. */
static bool guest_sees_version(struct stage *stage, const struct cache_user *user,
			       unsigned int page)
{
	uint32_t before = version_in(user, host_page(stage, page));
	uint32_t seen, after;

	if (!vm_call(&stage->vm, GUEST_LOAD, page_gpa(stage, page) + user->version, 0))
		return false;
	seen = stage->vm.vcpus[0].value;
	after = version_in(user, host_page(stage, page));
	if (before <= seen && seen <= after)
		return true;
	ktap_detail("guest=%u host=%u..%u", seen, before, after);
	return false;
}

/* Four steps; whether KVM does what the first is about. */
static bool check_use(struct stage *stage, const struct cache_user *user)
{
	if (!ktap_step(uses(stage, user, page_gpa(stage, 0), host_page(stage, 0)),
		       "access: KVM writes to a page when told to"))
		return false;
	ktap_step(guest_sees_version(stage, user, 0),
		  "access: guest reads what KVM wrote");
	ktap_step(updates(stage, user, host_page(stage, 0)),
		  "access: KVM writes to the page again");
	ktap_step(untouched_from(stage, 1), "integrity: no other page was written");
	return true;
}

static void check_uses(struct stage *stage, const struct cache_user *user)
{
	unsigned int last = stage->region.npages - 1;

	if (check_use(stage, user))
		ktap_step(uses(stage, user, page_gpa(stage, last), host_page(stage, last)),
			  "access: KVM writes to another page when told to");
}

SCENARIO(kvm_clock, 5)
{
	check_uses(stage, &kvm_clock);
}

SCENARIO(xen_shared_info, 5)
{
	check_uses(stage, &xen_shared_info);
}

/* Whether KVM left memory alone that it has no reference of, and said so. */
static bool refuses(struct stage *stage, const struct cache_user *user, int error)
{
	return equals("errno", error, user->answers ? EFAULT : 0) &&
	       untouched_from(stage, 0);
}

static void check_refusal(struct stage *stage, const struct cache_user *user)
{
	static const char first[] = "refusal: KVM leaves memory without a reference alone";
	struct vm *vm = &stage->vm;
	void *spare = vm->ram + SPARE_GPA;
	uint32_t version;

	if (optin_is_missing(first))
		return;
	if (opted_in()) {
		ktap_step(check_use(stage, user), OPTED_IN);
		return;
	}
	ktap_step(refuses(stage, user, user->use(vm, page_gpa(stage, 0))), first);
	ktap_step(vm_call(vm, GUEST_LOAD, STACK_GPA, 0),
		  "robustness: guest goes on");
	ktap_exercise(uses(stage, user, SPARE_GPA, spare) && updates(stage, user, spare),
		      "KVM writes to ordinary memory when told to");
	ktap_step(refuses(stage, user, user->use(vm, page_gpa(stage, 0))),
		  "refusal: so it does when it had ordinary memory before");
	version = version_in(user, spare);
	ktap_step(refuses(stage, user, user->update(vm)) &&
		  equals("version", version_in(user, spare), version),
		  "refusal: and it doesn't go on with what it had");
}

SCENARIO(kvm_clock_refused, 5)
{
	check_refusal(stage, &kvm_clock);
}

SCENARIO(xen_shared_info_refused, 5)
{
	check_refusal(stage, &xen_shared_info);
}

/* --- the cached page goes away ----------------------------------------------- */

/* By the last page of what changes; the other scenarios do it by the first. */
SCENARIO(kvm_clock_replaced, 5)
{
	const struct cache_user *user = &kvm_clock;
	unsigned int last = stage->region.npages - 1;
	struct replaced replaced;
	uint64_t sum;

	if (!ktap_step(uses(stage, user, page_gpa(stage, last), host_page(stage, last)),
		       "access: KVM writes to a page when told to"))
		return;
	replace(stage, &replaced);
	sum = sum_of_old(stage, last);
	ktap_step(updates(stage, user, host_page(stage, last)),
		  "notifier: KVM writes to the page that replaces it");
	ktap_step(equals("sum", sum_of_old(stage, last), sum),
		  "notifier: KVM doesn't write to the old page any more");
	replace_back(stage, &replaced);
	ktap_step(updates(stage, user, host_page(stage, last)),
		  "notifier: KVM writes to the old page when it is back");
	ktap_step(guest_sees_version(stage, user, last),
		  "access: guest reads what KVM wrote");
}

static bool updates_revoked(struct stage *stage, const struct cache_user *user)
{
	uint32_t before = version_in(user, host_page(stage, 0));

	region_ioctl(&stage->region, NOREF_REVOKE, NULL);
	return equals("errno", user->update(&stage->vm), 0) &&
	       is_newer(user, host_page(stage, 0), before);
}

/* What KVM looks up is stale by the time that it would use it. */
SCENARIO(kvm_clock_stale, 4)
{
	static const char * const lookup = "hva_to_pfn";
	const struct cache_user *user = &kvm_clock;

	if (!ktap_step(uses(stage, user, page_gpa(stage, 0), host_page(stage, 0)),
		       "access: KVM writes to a page when told to"))
		return;
	count_calls(&lookup, 1);
	ktap_step(updates_revoked(stage, user),
		  "access: KVM writes to it when it is revoked while KVM looks it up");
	ktap_exercise(calls_of(lookup) > 1, "KVM looks it up again");
	ktap_step(guest_sees_version(stage, user, 0),
		  "access: guest reads what KVM wrote");
}

/* What nobody wrote to is the one page of zeroes, until KVM has to. */
SCENARIO(kvm_clock_hole, 3)
{
	const struct cache_user *user = &kvm_clock;

	discard_all(stage);
	if (!ktap_step(uses(stage, user, page_gpa(stage, 0), host_page(stage, 0)),
		       "access: KVM writes to a page that isn't there"))
		return;
	ktap_step(holes_are_zero(stage),
		  "integrity: other memory that isn't there reads as zeroes");
	region_adopt(&stage->region);
	ledger_before(&stage->region);
	ktap_step(updates(stage, user, host_page(stage, 0)),
		  "access: KVM writes to the page again");
}

/* What KVM writes is in the log, and nothing else. */
SCENARIO(kvm_clock_logged, 3)
{
	const struct cache_user *user = &kvm_clock;

	if (!ktap_step(uses(stage, user, page_gpa(stage, 0), host_page(stage, 0)),
		       "access: KVM writes to a page when told to"))
		return;
	vm_set_region(&stage->vm, &stage->region, KVM_MEM_LOG_DIRTY_PAGES);
	get_log(stage);
	ktap_step(updates(stage, user, host_page(stage, 0)),
		  "access: KVM writes to the page again");
	ktap_step(equals("dirty", get_log(stage), 1),
		  "integrity: the page that KVM wrote is dirty, no other");
}

/* Whether KVM has nothing to write to, and the guest doesn't care. */
static bool stays(struct stage *stage, const struct cache_user *user)
{
	unsigned int npages;
	struct noref_page *before = ledger_read(&stage->region, &npages);
	struct noref_page *after;
	bool good;

	good = equals("errno", user->update(&stage->vm), 0);
	after = ledger_read(&stage->region, &npages);
	good &= equals("sum", after->sum, before->sum);
	free(before);
	free(after);
	return good;
}

SCENARIO(kvm_clock_unmapped, 4)
{
	const struct cache_user *user = &kvm_clock;

	if (!ktap_step(uses(stage, user, page_gpa(stage, 0), host_page(stage, 0)),
		       "access: KVM writes to a page when told to"))
		return;
	region_unmap(&stage->region);
	ktap_step(stays(stage, user),
		  "notifier: KVM doesn't write to a page that is unmapped");
	region_map(&stage->region);
	ktap_step(updates(stage, user, host_page(stage, 0)),
		  "access: KVM writes to the page when it is mapped again");
	ktap_step(guest_sees_version(stage, user, 0),
		  "access: guest reads what KVM wrote");
}

SCENARIO(kvm_clock_slot, 4)
{
	const struct cache_user *user = &kvm_clock;

	if (!ktap_step(uses(stage, user, page_gpa(stage, 0), host_page(stage, 0)),
		       "access: KVM writes to a page when told to"))
		return;
	vm_delete_region(&stage->vm);
	ktap_step(stays(stage, user),
		  "notifier: KVM doesn't write to a page whose slot is gone");
	vm_set_region(&stage->vm, &stage->region, 0);
	ktap_step(updates(stage, user, host_page(stage, 0)),
		  "access: KVM writes to the page when its slot is back");
	ktap_step(guest_sees_version(stage, user, 0),
		  "access: guest reads what KVM wrote");
}
