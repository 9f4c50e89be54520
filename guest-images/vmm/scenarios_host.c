// SPDX-License-Identifier: GPL-2.0-only
/* The host changes its mapping while the guest has the memory in use. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "ledger.h"
#include "steps.h"

SCENARIO(swap_pages, 6)
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
			  equals("word", stage->vm.vcpus[0].value, 0),
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

SCENARIO(munmap, 3)
{
	uint64_t mapped;

	if (!guest_is_in(stage))
		return;
	mapped = vm_stat(&stage->vm, "pages_4k");
	region_unmap(&stage->region);
	ktap_step(refused_with(stage, EFAULT, 0),
		  "notifier: an unmapped region is out of the guest's reach");
	if (mapped)
		ktap_step(equals("unmapped", mapped - vm_stat(&stage->vm, "pages_4k"),
				 stage->region.npages),
			  "integrity: KVM counts its pages as mapped no more");
	else
		ktap_skip("-", "KVM doesn't say how it maps pages");
	region_map(&stage->region);
}

/* Every page but the first and the last goes, and those two must stay. */
SCENARIO(munmap_part, 5)
{
	struct region *region = &stage->region;
	size_t size = region->page_size;
	struct vcpu *vcpu = &stage->vm.vcpus[0];
	unsigned int last = region->npages - 1;
	bool passed = true;
	uint64_t faults;

	if (!guest_is_in(stage))
		return;
	if (munmap(host_page(stage, 1), (region->npages - 2) * size))
		bail_out("munmap");
	for (unsigned int i = 1; passed && i < last; i++)
		passed = !vcpu_call(vcpu, GUEST_LOAD, page_gpa(stage, i), 0) &&
			 equals("errno", vcpu->error, EFAULT);
	ktap_step(passed, "notifier: the unmapped pages are out of the guest's reach");
	faults = arch_faults_fixed(&stage->vm);
	ktap_step(vm_call(&stage->vm, GUEST_LOAD, page_gpa(stage, 0), 0) &&
		  equals("word", vcpu->value, page_pattern(stage, GUEST_PATTERN, 0)) &&
		  vm_call(&stage->vm, GUEST_LOAD, page_gpa(stage, last), 0) &&
		  equals("word", vcpu->value, page_pattern(stage, GUEST_PATTERN, last)),
		  "access: guest reads the pages that stayed");
	ktap_step(equals("faults", arch_faults_fixed(&stage->vm) - faults, 0),
		  "notifier: they stayed mapped in the guest, too");
	region_unmap(region);
	region_map(region);
	ktap_step(guest_sees(stage, GUEST_PATTERN),
		  "access: guest reads all pages when they are mapped again");
}

static void protect(const struct region *region, int prot)
{
	if (mprotect(region->host, region_size(region), prot))
		bail_out("mprotect to %d", prot);
}

SCENARIO(mprotect, 6)
{
	struct region *region = &stage->region;

	if (!guest_is_in(stage))
		return;
	protect(region, PROT_READ);
	ktap_step(writes_fail(stage),
		  "notifier: guest can't write what the host may only read");
	ktap_step(guest_sees(stage, GUEST_PATTERN),
		  "access: guest reads what the host may only read");
	/* By now it is mapped, for reading. */
	ktap_step(writes_fail(stage) && host_sees(stage, GUEST_PATTERN),
		  "notifier: guest can't write it when it has read it either");
	protect(region, PROT_READ | PROT_WRITE);
	ktap_step(guest_fills(stage, LATER_PATTERN),
		  "access: guest writes when the host may again");
	ktap_step(host_sees(stage, LATER_PATTERN),
		  "access: host reads what the guest wrote");
}

SCENARIO(mprotect_none, 3)
{
	struct region *region = &stage->region;

	if (!guest_is_in(stage))
		return;
	protect(region, PROT_NONE);
	ktap_step(refused_with(stage, EFAULT, 0),
		  "notifier: guest can't read what the host may not");
	protect(region, PROT_READ | PROT_WRITE);
	ktap_step(guest_sees(stage, GUEST_PATTERN),
		  "access: guest reads when the host may again");
}

SCENARIO(mremap, 4)
{
	struct region *region = &stage->region;
	size_t size = region_size(region);
	void *old = region->host;
	void *away = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!guest_is_in(stage))
		return;
	if (away == MAP_FAILED ||
	    mremap(old, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, away) != away)
		bail_out("moving the mapping away");
	ktap_step(refused_with(stage, EFAULT, 0),
		  "notifier: a mapping that moved is out of the guest's reach");
	if (mremap(away, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, old) != old)
		bail_out("moving the mapping back");
	ktap_step(guest_sees(stage, GUEST_PATTERN),
		  "access: guest reads the mapping that is back");
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "integrity: the move changed nothing");
}

/* What a child sees when it was told to look: its exit status. */
static int look(struct stage *stage, int told, uint64_t pattern)
{
	char byte;

	return read(told, &byte, 1) != 1 || !host_sees(stage, pattern);
}

/*
 * A child shares a driver's memory, and has a copy of its parent's own: while
 * nobody has written to a page there is just one, which the guest may only read.
 */
SCENARIO(fork, 5)
{
	const bool own = stage->region.own;
	int tell[2];
	pid_t child;
	int status;

	if (!guest_is_in(stage))
		return;
	if (pipe(tell))
		bail_out("pipe");
	child = fork();
	if (child < 0)
		bail_out("fork");
	if (!child)
		_exit(look(stage, tell[0], own ? GUEST_PATTERN : LATER_PATTERN));
	ktap_step(guest_sees(stage, GUEST_PATTERN),
		  "access: guest reads what a child has as well");
	ktap_step(guest_fills(stage, LATER_PATTERN),
		  "access: guest writes what a child has as well");
	if (write(tell[1], "", 1) != 1 || waitpid(child, &status, 0) != child)
		bail_out("waiting for the child");
	ktap_step(equals("status", status, 0),
		  "integrity: a child sees what the guest wrote, or not if it is a copy");
	ktap_step(host_sees(stage, LATER_PATTERN),
		  "integrity: host reads what the guest wrote");
	/* The child had the old pages of this process's own, which are gone with it. */
	if (own) {
		region_adopt(&stage->region);
		ledger_before(&stage->region);
	}
}

/* Nobody has written to the pages: all of them are the one page of zeroes. */
SCENARIO(read_hole, 5)
{
	discard_all(stage);
	if (!ktap_step(guest_sees_zeroes(stage), "access: guest reads pages that aren't there") ||
	    !ktap_step(guest_fills(stage, GUEST_PATTERN), "access: guest writes them"))
		return;
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "integrity: host reads what the guest wrote");
	ktap_step(holes_are_zero(stage),
		  "integrity: other memory that isn't there reads as zeroes");
	region_adopt(&stage->region);
	ledger_before(&stage->region);
	ktap_step(guest_sees(stage, GUEST_PATTERN), "integrity: guest reads what it wrote");
}

SCENARIO(dontneed, 3)
{
	struct region *region = &stage->region;

	if (!guest_is_in(stage))
		return;
	discard_all(stage);
	/* The host touches the new pages first, so that they are on the ledger. */
	region_adopt(region);
	ledger_before(region);
	ktap_step(guest_sees_zeroes(stage), "notifier: guest sees the new pages");
	ktap_step(guest_fills(stage, LATER_PATTERN) && host_sees(stage, LATER_PATTERN),
		  "access: guest writes the new pages");
}

/* Of the pages that are young, just those between the first and the last get old. */
static bool inner_pages_get_old(struct stage *stage)
{
	unsigned int last = stage->region.npages - 1;

	return equals("young", age_pages(stage, NOREF_CLEAR_YOUNG, 1, last - 1), 1) &&
	       equals("inner", age_pages(stage, NOREF_TEST_YOUNG, 1, last - 1), 0) &&
	       equals("first", age_pages(stage, NOREF_TEST_YOUNG, 0, 1), 1) &&
	       equals("last", age_pages(stage, NOREF_TEST_YOUNG, last, 1), 1);
}

static void check_age(struct stage *stage, enum noref_age_how how,
		      const char *first, const char *then, const char *again)
{
	ktap_step(equals("young", age(stage, how), 1), first);
	ktap_step(equals("young", age(stage, NOREF_TEST_YOUNG), 0), then);
	ktap_step(guest_sees(stage, GUEST_PATTERN) &&
		  equals("young", age(stage, NOREF_TEST_YOUNG), 1), again);
}

SCENARIO(age, 9)
{
	if (!guest_is_in(stage))
		return;
	check_age(stage, NOREF_CLEAR_YOUNG,
		  "notifier: what the guest wrote is young",
		  "notifier: it is old when its age was cleared",
		  "notifier: it is young when the guest reads it again");
	ktap_step(inner_pages_get_old(stage),
		  "notifier: some of it is old when the age of that was cleared");
	check_age(stage, NOREF_CLEAR_FLUSH_YOUNG,
		  "notifier: it is young still",
		  "notifier: it is old when its age was cleared and flushed",
		  "notifier: it is young when the guest reads it once more");
	ktap_step(guest_fills(stage, LATER_PATTERN) && host_sees(stage, LATER_PATTERN),
		  "access: guest writes aged memory");
}
