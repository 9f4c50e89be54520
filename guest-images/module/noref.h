/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NOREF_H
#define NOREF_H

#include <linux/mm.h>
#include <linux/version.h>
#include "noref_uapi.h"

#if KERNEL_VERSION(6, 3, 0) > LINUX_VERSION_CODE
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

/*
 * A set of pages from one backing.  @chunks is what was allocated, and will be
 * freed; @pages is what is handed out; @freed is what NOREF_FREE took from the
 * count of each page.
 */
struct noref_set {
	struct page *pages[NOREF_MAX_PAGES];
	int freed[NOREF_MAX_PAGES];
	void *chunks[8 * NOREF_MAX_PAGES];
	unsigned int npages;
	unsigned int nchunks;
};

/*
 * How memory is allocated.  @alloc fills a set with zeroed pages; what it put
 * in @chunks before it failed is freed by @free.
 */
struct noref_backing {
	const char *name;
	int (*alloc)(struct noref_set *set, unsigned int npages);
	void (*free)(void *chunk);
};

const struct noref_backing *noref_find_backing(const char *name);
int noref_alloc_set(const struct noref_backing *backing, struct noref_set *set,
		    unsigned int npages);
void noref_free_set(const struct noref_backing *backing, struct noref_set *set);

#endif /* NOREF_H */
