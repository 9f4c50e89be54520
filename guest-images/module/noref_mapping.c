// SPDX-License-Identifier: GPL-2.0-only
/* The ways in which drivers put memory into a VMA. */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/version.h>

#if KERNEL_VERSION(6, 17, 0) > LINUX_VERSION_CODE
#include <linux/pfn_t.h>
#endif

#include "noref.h"

/* All at mmap() time, as e.g. drivers with dma_mmap_coherent() do. */
static int map_remap(struct noref_region *region, struct vm_area_struct *vma)
{
	for (unsigned int i = 0; i < vma_pages(vma); i++) {
		int r = remap_pfn_range(vma, vma->vm_start + i * PAGE_SIZE,
					page_to_pfn(region->front->pages[i]),
					PAGE_SIZE, vma->vm_page_prot);

		if (r)
			return r;
	}
	return 0;
}

static vm_fault_t insert_pfn(struct vm_fault *vmf, struct page *page)
{
	return vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(page));
}

static vm_fault_t insert_page(struct vm_fault *vmf, struct page *page)
{
	int r = vm_insert_page(vmf->vma, vmf->address, page);

	/* Another fault may have been quicker. */
	return r && r != -EBUSY ? vmf_error(r) : VM_FAULT_NOPAGE;
}

static vm_fault_t fill(struct vm_fault *vmf,
		       vm_fault_t (*insert)(struct vm_fault *, struct page *))
{
	struct noref_region *region = vmf->vma->vm_private_data;
	unsigned long i = vmf->pgoff - region->base;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	mutex_lock(&region->lock);
	if (i < region->npages)
		ret = insert(vmf, region->front->pages[i]);
	mutex_unlock(&region->lock);
	return ret;
}

/* Page by page when touched, as GPU drivers do. */
static vm_fault_t fault_pfn(struct vm_fault *vmf)
{
	return fill(vmf, insert_pfn);
}

static const struct vm_operations_struct fault_ops = {
	.fault = fault_pfn,
};

static int map_pfns(struct vm_area_struct *vma,
		    const struct vm_operations_struct *ops)
{
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = ops;
	return 0;
}

static int map_fault(struct noref_region *region, struct vm_area_struct *vma)
{
	return map_pfns(vma, &fault_ops);
}

/*
 * The driver wants to know of the first write, as those with deferred I/O do:
 * a new PTE is read-only.
 */
static vm_fault_t pfn_mkwrite(struct vm_fault *vmf)
{
	return 0;
}

static const struct vm_operations_struct notify_ops = {
	.fault = fault_pfn,
	.pfn_mkwrite = pfn_mkwrite,
};

static int map_notify(struct noref_region *region, struct vm_area_struct *vma)
{
	return map_pfns(vma, &notify_ops);
}

/*
 * Each page is taken away once more while its first fault is served, so that
 * what looked it up meanwhile must see that it is stale.
 */
static void race(struct vm_fault *vmf)
{
	struct noref_region *region = vmf->vma->vm_private_data;
	unsigned long i = vmf->pgoff - region->base;

	if (i < region->npages && !test_and_set_bit(i, region->raced))
		unmap_mapping_range(vmf->vma->vm_file->f_mapping,
				    (loff_t)vmf->pgoff << PAGE_SHIFT,
				    PAGE_SIZE, 1);
}

static vm_fault_t race_pfn(struct vm_fault *vmf)
{
	race(vmf);
	return fill(vmf, insert_pfn);
}

static const struct vm_operations_struct race_ops = {
	.fault = race_pfn,
};

static int map_race(struct noref_region *region, struct vm_area_struct *vma)
{
	return map_pfns(vma, &race_ops);
}

static vm_fault_t race_page(struct vm_fault *vmf)
{
	race(vmf);
	return fill(vmf, insert_page);
}

static const struct vm_operations_struct race_insert_ops = {
	.fault = race_page,
};

static int map_race_insert(struct noref_region *region, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_MIXEDMAP);
	vma->vm_ops = &race_insert_ops;
	return 0;
}

/*
 * Somebody else has the page just now: as TTM and the page cache do, a first try
 * comes back with nothing, and without the mm's lock if it may wait.
 */
static bool must_wait(struct vm_fault *vmf)
{
	if (!fault_flag_allow_retry_first(vmf->flags))
		return false;
	if (!(vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		mmap_read_unlock(vmf->vma->vm_mm);
	return true;
}

static vm_fault_t wait_pfn(struct vm_fault *vmf)
{
	return must_wait(vmf) ? VM_FAULT_RETRY : fill(vmf, insert_pfn);
}

static const struct vm_operations_struct wait_ops = {
	.fault = wait_pfn,
};

static int map_wait(struct noref_region *region, struct vm_area_struct *vma)
{
	return map_pfns(vma, &wait_ops);
}

static vm_fault_t wait_page(struct vm_fault *vmf)
{
	return must_wait(vmf) ? VM_FAULT_RETRY : fill(vmf, insert_page);
}

static const struct vm_operations_struct wait_insert_ops = {
	.fault = wait_page,
};

static int map_wait_insert(struct noref_region *region, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_MIXEDMAP);
	vma->vm_ops = &wait_insert_ops;
	return 0;
}

/*
 * The page comes when its owner is done with it, and whoever waits for that can
 * be interrupted, if that is all right for the fault: as with userfaultfd.
 */
static bool must_wait_long(struct vm_fault *vmf)
{
	struct noref_region *region = vmf->vma->vm_private_data;
	struct file *file = vmf->vma->vm_file;

	if (!READ_ONCE(region->busy) || !(vmf->flags & FAULT_FLAG_ALLOW_RETRY))
		return false;
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return true;
	/* The VMA, and with it the region, may go away without the mm's lock. */
	get_file(file);
	mmap_read_unlock(vmf->vma->vm_mm);
	atomic_inc(&region->waiting);
	if (vmf->flags & FAULT_FLAG_INTERRUPTIBLE)
		wait_event_interruptible(region->idle, !READ_ONCE(region->busy));
	else
		wait_event_killable(region->idle, !READ_ONCE(region->busy));
	atomic_dec(&region->waiting);
	fput(file);
	return true;
}

static vm_fault_t busy_page(struct vm_fault *vmf)
{
	return must_wait_long(vmf) ? VM_FAULT_RETRY : fill(vmf, insert_page);
}

static const struct vm_operations_struct busy_insert_ops = {
	.fault = busy_page,
};

static int map_busy_insert(struct noref_region *region, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_MIXEDMAP);
	vma->vm_ops = &busy_insert_ops;
	return 0;
}

/* With a reference and a mapcount for the mapping; refuses pages without a count. */
static int map_insert(struct noref_region *region, struct vm_area_struct *vma)
{
	for (unsigned int i = 0; i < vma_pages(vma); i++) {
		int r = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE,
				       region->front->pages[i]);

		if (r)
			return r;
	}
	return 0;
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static vm_fault_t insert_pmd(struct vm_fault *vmf, struct page *page)
{
	bool write = vmf->flags & FAULT_FLAG_WRITE;

#if KERNEL_VERSION(6, 17, 0) > LINUX_VERSION_CODE
	return vmf_insert_pfn_pmd(vmf, pfn_to_pfn_t(page_to_pfn(page)), write);
#else
	return vmf_insert_pfn_pmd(vmf, page_to_pfn(page), write);
#endif
}

/* Only whole chunks, which the VMA and the chunk's order give the alignment. */
#if KERNEL_VERSION(6, 6, 0) > LINUX_VERSION_CODE
static vm_fault_t fault_pmd(struct vm_fault *vmf, enum page_entry_size size)
{
	const bool pmd = size == PE_SIZE_PMD;
#else
static vm_fault_t fault_pmd(struct vm_fault *vmf, unsigned int order)
{
	const bool pmd = order == PMD_SHIFT - PAGE_SHIFT;
#endif
	struct noref_region *region = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_FALLBACK;

	if (!pmd)
		return ret;
	mutex_lock(&region->lock);
	if (IS_ALIGNED(page_to_pfn(region->front->pages[0]), HPAGE_PMD_NR))
		ret = insert_pmd(vmf, region->front->pages[0]);
	mutex_unlock(&region->lock);
	return ret;
}

static const struct vm_operations_struct pmd_ops = {
	.fault = fault_pfn,
	.huge_fault = fault_pmd,
};

/* By one 2 MiB entry, as large BARs and device memory are mapped. */
static int map_pmd(struct noref_region *region, struct vm_area_struct *vma)
{
	if (region->npages != HPAGE_PMD_NR ||
	    !IS_ALIGNED(vma->vm_start, HPAGE_PMD_SIZE))
		return -EINVAL;
	return map_pfns(vma, &pmd_ops);
}
#endif

static const struct noref_mapping mappings[] = {
	{ "remap", map_remap },
	{ "fault", map_fault },
	{ "notify", map_notify },
	{ "race", map_race },
	{ "race_insert", map_race_insert },
	{ "wait", map_wait },
	{ "wait_insert", map_wait_insert },
	{ "busy_insert", map_busy_insert },
	{ "insert", map_insert },
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	{ "pmd", map_pmd },
#endif
};

const struct noref_mapping *noref_find_mapping(const char *name)
{
	for (int i = 0; i < ARRAY_SIZE(mappings); i++)
		if (!strcmp(mappings[i].name, name))
			return &mappings[i];
	return NULL;
}
