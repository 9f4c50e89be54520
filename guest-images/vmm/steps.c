// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "ktap.h"
#include "ledger.h"
#include "steps.h"

uint64_t page_gpa(const struct stage *stage, unsigned int page)
{
	return REGION_GPA + page * stage->region.page_size;
}

uint64_t page_pattern(const struct stage *stage, uint64_t pattern,
		      unsigned int page)
{
	return pattern + page * stage->region.page_size;
}

static size_t page_words(const struct stage *stage)
{
	return stage->region.page_size / sizeof(uint64_t);
}

uint64_t *host_page(const struct stage *stage, unsigned int page)
{
	return stage->region.host + page * page_words(stage);
}

bool guest_fills(struct stage *stage, uint64_t pattern)
{
	for (unsigned int i = 0; i < stage->region.npages; i++)
		if (!vm_call(&stage->vm, GUEST_FILL, page_gpa(stage, i),
			     page_pattern(stage, pattern, i)))
			return false;
	return true;
}

bool guest_sees(struct stage *stage, uint64_t pattern)
{
	struct vcpu *vcpu = &stage->vm.vcpus[0];

	for (unsigned int i = 0; i < stage->region.npages; i++) {
		if (!vm_call(&stage->vm, GUEST_CHECK, page_gpa(stage, i),
			     page_pattern(stage, pattern, i)))
			return false;
		if (vcpu->value) {
			ktap_detail("page=%u wrong_words=%lu", i, (long)vcpu->value);
			return false;
		}
	}
	return true;
}

bool guest_sees_zeroes(struct stage *stage)
{
	struct vcpu *vcpu = &stage->vm.vcpus[0];

	for (unsigned int i = 0; i < stage->region.npages; i++) {
		if (!vm_call(&stage->vm, GUEST_LOAD, page_gpa(stage, i), 0))
			return false;
		if (vcpu->value) {
			ktap_detail("page=%u got=%#lx", i, (long)vcpu->value);
			return false;
		}
	}
	return true;
}

void host_fills(struct stage *stage, uint64_t pattern)
{
	for (size_t i = 0; i < stage->region.npages * page_words(stage); i++)
		stage->region.host[i] = pattern + i * sizeof(uint64_t);
}

bool host_sees(struct stage *stage, uint64_t pattern)
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

static bool has_sum(unsigned int i, const struct noref_page *page, uint64_t want)
{
	if (page->sum == want)
		return true;
	ktap_detail("page=%u pfn=%llu sum=%llu want=%llu", i, page->pfn,
		    page->sum, (unsigned long long)want);
	return false;
}

bool ledger_holds(struct stage *stage, unsigned int first, uint64_t pattern)
{
	unsigned int npages;
	struct noref_page *pages = ledger_read(&stage->region, &npages);
	uint64_t words = page_words(stage);
	bool good = true;

	for (unsigned int i = 0; good && i < stage->region.npages; i++)
		good = has_sum(first + i, &pages[first + i],
			       words * page_pattern(stage, pattern, i) +
			       words * (words - 1) / 2 * sizeof(uint64_t));
	free(pages);
	return good;
}

bool untouched_from(struct stage *stage, unsigned int first)
{
	unsigned int npages;
	struct noref_page *pages = ledger_read(&stage->region, &npages);
	bool good = true;

	for (unsigned int i = first; good && i < npages; i++)
		good = has_sum(i, &pages[i], 0);
	free(pages);
	return good;
}

bool spare_is_zero(struct stage *stage)
{
	return untouched_from(stage, stage->region.npages);
}

bool counted_pages_are_dirty(struct stage *stage)
{
	unsigned int npages;
	struct noref_page *pages = ledger_read(&stage->region, &npages);
	bool good = true;

	for (unsigned int i = 0; good && i < stage->region.npages; i++) {
		good = !pages[i].own_ref || pages[i].flags & NOREF_PG_DIRTY;
		if (!good)
			ktap_detail("page=%u flags=%#x", i, pages[i].flags);
	}
	free(pages);
	return good;
}

int age_pages(struct stage *stage, enum noref_age_how how, unsigned int first,
	      unsigned int npages)
{
	struct noref_age ask = {
		.address = (uintptr_t)host_page(stage, first),
		.size = npages * stage->region.page_size,
		.how = how,
	};

	region_ioctl(&stage->region, NOREF_AGE, &ask);
	return ask.young;
}

int age(struct stage *stage, enum noref_age_how how)
{
	return age_pages(stage, how, 0, stage->region.npages);
}

bool guest_is_in(struct stage *stage)
{
	return ktap_step(guest_fills(stage, GUEST_PATTERN),
			 "access: guest writes all pages");
}

void exercise_huge(struct stage *stage)
{
	static const char step[] = "exercise: KVM maps the region huge";
	const uint64_t huge = vm_stat(&stage->vm, "pages_2m");

	if (!vm_stat(&stage->vm, "pages_4k"))
		ktap_skip(step, "KVM doesn't say how it maps pages");
	else if (!huge && !stage->region.own)
		ktap_skip(step, "KVM needn't map a driver's memory huge, and doesn't");
	else
		ktap_step(at_least("pages_2m", huge, 1), step);
}

bool writes_fail(struct stage *stage)
{
	struct vcpu *vcpu = &stage->vm.vcpus[0];

	for (unsigned int i = 0; i < stage->region.npages; i++) {
		if (!vcpu_call(vcpu, GUEST_STORE, page_gpa(stage, i), 0) &&
		    (vcpu->error == EFAULT || vcpu->exit == KVM_EXIT_MMIO))
			continue;
		ktap_detail("page=%u errno=%d exit=%u", i, vcpu->error, vcpu->exit);
		return false;
	}
	return true;
}

bool refused_with(struct stage *stage, int error, uint32_t exit)
{
	struct vcpu *vcpu = &stage->vm.vcpus[0];

	for (unsigned int i = 0; i < stage->region.npages; i++) {
		if (!vcpu_call(vcpu, GUEST_LOAD, page_gpa(stage, i), 0) &&
		    vcpu->error == error && (error || vcpu->exit == exit))
			continue;
		ktap_detail("page=%u errno=%d exit=%u", i, vcpu->error, vcpu->exit);
		return false;
	}
	return true;
}

void discard_all(struct stage *stage)
{
	if (madvise(stage->region.host, region_size(&stage->region), MADV_DONTNEED))
		bail_out("MADV_DONTNEED");
}

bool holes_are_zero(struct stage *stage)
{
	size_t size = region_size(&stage->region);
	uint64_t *hole = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool zero = true;

	if (hole == MAP_FAILED)
		bail_out("mapping nothing");
	for (size_t i = 0; zero && i < size / sizeof(*hole); i++)
		zero = equals("word", hole[i], 0);
	munmap(hole, size);
	return zero;
}

uint64_t get_log(struct stage *stage)
{
	uint64_t bitmap[NOREF_MAX_PAGES / 64] = {};
	struct kvm_dirty_log log = {
		.slot = REGION_SLOT,
		.dirty_bitmap = bitmap,
	};

	if (ioctl(stage->vm.fd, KVM_GET_DIRTY_LOG, &log))
		bail_out("KVM_GET_DIRTY_LOG");
	return bitmap[0];
}

bool equals(const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		ktap_detail("%s=%lu want=%lu", what, (long)got, (long)want);
	return got == want;
}

bool at_least(const char *what, uint64_t got, uint64_t want)
{
	ktap_detail("%s=%lu", what, (long)got);
	return got >= want;
}
