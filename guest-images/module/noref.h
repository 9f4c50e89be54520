/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NOREF_H
#define NOREF_H

#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/version.h>
#include <linux/wait.h>

#include "noref_uapi.h"

#if KERNEL_VERSION(6, 3, 0) > LINUX_VERSION_CODE
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

/* What a backing may allocate for a set: slab objects that it can't use, too. */
#define NOREF_MAX_CHUNKS	(NOREF_MAX_PAGES + 128)

/*
 * A set of pages from one backing.  @chunks is what was allocated, and will be
 * freed; @pages is what is handed out; @freed is what NOREF_FREE took from the
 * count of each page; @order is that of each chunk, where it is one of pages.
 */
struct noref_set {
	struct page *pages[NOREF_MAX_PAGES];
	int freed[NOREF_MAX_PAGES];
	void *chunks[NOREF_MAX_CHUNKS];
	unsigned int npages;
	unsigned int nchunks;
	unsigned int order;
};

/*
 * How memory is allocated.  @alloc fills a set with zeroed pages; what it put
 * in @chunks before it failed is freed by @free.
 */
struct noref_backing {
	const char *name;
	int (*alloc)(struct noref_set *set, unsigned int npages);
	void (*free)(struct noref_set *set, void *chunk);
};

const struct noref_backing *noref_find_backing(const char *name);
int noref_alloc_set(const struct noref_backing *backing, struct noref_set *set,
		    unsigned int npages);
/* Free what the set was made of; its pages stay on the ledger. */
void noref_free_chunks(const struct noref_backing *backing, struct noref_set *set);

#define NOREF_MAX_COUNTERS	8

/* What counts the calls of one function. */
struct noref_counter {
	struct kprobe probe;
	char function[NOREF_FUNCTION_LEN];
	atomic64_t calls;
};

struct noref_hold;
struct noref_region;

/* How memory gets into a VMA; @mmap runs under the region's lock. */
struct noref_mapping {
	const char *name;
	int (*mmap)(struct noref_region *region, struct vm_area_struct *vma);
};

const struct noref_mapping *noref_find_mapping(const char *name);

/*
 * What an open file has.  @lock protects everything below it.  @base keeps the
 * regions apart in the device's one address space, so that
 * unmap_mapping_range() meets just one.  @raced: pages that were taken away in
 * the middle of a fault.  @waiting: faults that wait on @idle until @busy is false.
 *
 * @lock nests inside of the mm's locks, so nothing that faults runs under it.
 */
struct noref_region {
	unsigned long base;
	DECLARE_BITMAP(raced, NOREF_MAX_PAGES);
	bool busy;
	atomic_t waiting;
	wait_queue_head_t idle;
	struct mutex lock;
	const struct noref_backing *backing;
	const struct noref_mapping *mapping;
	unsigned int npages;
	struct noref_set sets[2];
	struct noref_set *front;
	struct noref_set *spare;
	struct noref_counter counters[NOREF_MAX_COUNTERS];
	unsigned int ncounters;
	struct noref_hold *hold;
};

/* NULL if there is no such function, or it can't be probed. */
void *noref_find_function(const char *name);
int noref_age(unsigned int how, unsigned long start, unsigned long end);
/* The front goes back to the page allocator for good, and is looked for there. */
int noref_free_for_good(struct noref_region *region);
int noref_churn(struct noref_region *region);
void noref_find_rearm(void);
int noref_rearm(void);
int noref_adopt(struct noref_region *region, const struct noref_adopt *adopt);
void noref_swap(struct file *file, struct noref_region *region);
int noref_swap_late(struct noref_region *region, struct file *file, int vm);
int noref_swapped_late(struct noref_region *region);
int noref_begin_hold(struct noref_region *region, unsigned long address);
int noref_holds(struct noref_region *region);
void noref_end_hold(struct noref_region *region);
void noref_free_hold(struct noref_region *region);
int noref_count(struct noref_region *region, struct noref_calls *calls);
void noref_end_counting(struct noref_region *region);
int noref_fill_ledger(struct noref_region *region, struct noref_page *entries);

#endif /* NOREF_H */
