/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Users of KVM's gfn_to_pfn_cache: KVM itself writes to a page of guest memory,
 * by a mapping of the kernel's own that it keeps from one use to the next.
 */
#ifndef CACHE_H
#define CACHE_H

#include "vmm.h"

/*
 * @version: where in the page lies a 32-bit number that each update makes
 * larger, and even.  @answers: KVM says whether it could.
 */
struct cache_user {
	size_t version;
	bool answers;
	/* Tell KVM the page to write to.  Returns 0, or an errno of KVM's. */
	int (*use)(struct vm *vm, uint64_t gpa);
	/* Have KVM write to the page that it was told.  Likewise. */
	int (*update)(struct vm *vm);
};

/* One file per architecture. */
extern const struct cache_user kvm_clock, xen_shared_info;

#endif /* CACHE_H */
