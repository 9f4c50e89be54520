// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/noref: memory with and without refcounts for KVM guests, a ledger of
 * what becomes of its pages, and the things that a driver may do to a mapping
 * while a guest runs on it.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/page_ref.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "noref.h"

struct noref_region;

struct noref_mapping {
	const char *name;
	int (*mmap)(struct noref_region *region, struct vm_area_struct *vma);
};

/*
 * @lock protects everything below it.  @base keeps the regions apart in the
 * device's one address space, so that unmap_mapping_range() meets just one.
 * @lock nests inside of the mm's locks, so nothing that faults runs under it.
 */
struct noref_region {
	unsigned long base;
	struct mutex lock;
	const struct noref_backing *backing;
	const struct noref_mapping *mapping;
	unsigned int npages;
	struct noref_set front;
	struct noref_set spare;
};

static atomic_long_t next_region;

/* All at mmap() time, as e.g. drivers with dma_mmap_coherent() do. */
static int map_remap(struct noref_region *region, struct vm_area_struct *vma)
{
	for (unsigned int i = 0; i < vma_pages(vma); i++) {
		int r = remap_pfn_range(vma, vma->vm_start + i * PAGE_SIZE,
					page_to_pfn(region->front.pages[i]),
					PAGE_SIZE, vma->vm_page_prot);

		if (r)
			return r;
	}
	return 0;
}

/* Page by page when touched, as GPU drivers do. */
static vm_fault_t noref_fault(struct vm_fault *vmf)
{
	struct noref_region *region = vmf->vma->vm_private_data;
	unsigned long i = vmf->pgoff - region->base;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	mutex_lock(&region->lock);
	if (i < region->npages)
		ret = vmf_insert_pfn(vmf->vma, vmf->address,
				     page_to_pfn(region->front.pages[i]));
	mutex_unlock(&region->lock);
	return ret;
}

static const struct vm_operations_struct noref_fault_ops = {
	.fault = noref_fault,
};

static int map_fault(struct noref_region *region, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &noref_fault_ops;
	return 0;
}

/* With a reference and a mapcount for the mapping; refuses pages without a count. */
static int map_insert(struct noref_region *region, struct vm_area_struct *vma)
{
	for (unsigned int i = 0; i < vma_pages(vma); i++) {
		int r = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE,
				       region->front.pages[i]);

		if (r)
			return r;
	}
	return 0;
}

static const struct noref_mapping mappings[] = {
	{ "remap", map_remap },
	{ "fault", map_fault },
	{ "insert", map_insert },
};

static const struct noref_mapping *find_mapping(const char *name)
{
	for (int i = 0; i < ARRAY_SIZE(mappings); i++)
		if (!strcmp(mappings[i].name, name))
			return &mappings[i];
	return NULL;
}

static int noref_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct noref_region *region = file->private_data;
	int r = -EINVAL;

	/*
	 * Copy-on-write of memory that isn't refcounted makes no sense, and
	 * vmf_insert_pfn() BUGs on it.
	 */
	if (!(vma->vm_flags & VM_SHARED) && (vma->vm_flags & VM_MAYWRITE))
		return -EINVAL;

	mutex_lock(&region->lock);
	if (region->mapping && !vma->vm_pgoff &&
	    vma_pages(vma) == region->npages) {
		vma->vm_pgoff = region->base;
		vma->vm_private_data = region;
		r = region->mapping->mmap(region, vma);
	}
	mutex_unlock(&region->lock);
	return r;
}

static int noref_create(struct noref_region *region, void __user *arg)
{
	const struct noref_backing *backing;
	const struct noref_mapping *mapping;
	struct noref_create create;
	int r = -EBUSY;

	if (copy_from_user(&create, arg, sizeof(create)))
		return -EFAULT;

	create.backing[NOREF_NAME_LEN - 1] = '\0';
	create.mapping[NOREF_NAME_LEN - 1] = '\0';
	backing = noref_find_backing(create.backing);
	mapping = find_mapping(create.mapping);
	if (!backing || !mapping || !create.npages ||
	    create.npages > NOREF_MAX_PAGES)
		return -EINVAL;

	mutex_lock(&region->lock);
	if (region->mapping)
		goto out;

	r = noref_alloc_set(backing, &region->front, create.npages);
	if (r)
		goto out;
	r = noref_alloc_set(backing, &region->spare, create.npages);
	if (r) {
		noref_free_set(backing, &region->front);
		goto out;
	}

	region->backing = backing;
	region->mapping = mapping;
	region->npages = create.npages;
out:
	mutex_unlock(&region->lock);
	return r;
}

static __u64 sum_page(struct page *page)
{
	__u64 *words = kmap_local_page(page);
	__u64 sum = 0;

	for (int i = 0; i < PAGE_SIZE / sizeof(*words); i++)
		sum += words[i];
	kunmap_local(words);
	return sum;
}

/* A slab's active, workingset and locked are bits that the allocator reuses. */
static __u32 owner_flags(struct page *page)
{
	struct folio *folio = page_folio(page);
	__u32 flags = (folio_test_referenced(folio) ? NOREF_PG_REFERENCED : 0) |
		      (folio_test_dirty(folio) ? NOREF_PG_DIRTY : 0) |
		      (folio_test_lru(folio) ? NOREF_PG_LRU : 0) |
		      (folio_test_uptodate(folio) ? NOREF_PG_UPTODATE : 0) |
		      (folio_test_writeback(folio) ? NOREF_PG_WRITEBACK : 0) |
		      (folio_test_reserved(folio) ? NOREF_PG_RESERVED : 0);

	if (folio_test_slab(folio))
		return flags;

	return flags | (folio_test_active(folio) ? NOREF_PG_ACTIVE : 0) |
	       (folio_test_workingset(folio) ? NOREF_PG_WORKINGSET : 0) |
	       (folio_test_locked(folio) ? NOREF_PG_LOCKED : 0);
}

static void fill_ledger(struct noref_ledger *ledger, struct noref_set *set)
{
	for (unsigned int i = 0; i < set->npages; i++) {
		struct noref_page *entry = &ledger->pages[ledger->npages++];
		struct page *page = set->pages[i];

		entry->pfn = page_to_pfn(page);
		entry->sum = sum_page(page);
		entry->own_ref = page_ref_count(page);
		entry->page_ref = page_count(page);
		entry->mapcount = atomic_read(&page->_mapcount) + 1;
		entry->flags = owner_flags(page);
	}
}

static int noref_ledger(struct noref_region *region, void __user *arg)
{
	struct noref_ledger *ledger = kzalloc(sizeof(*ledger), GFP_KERNEL);
	int r = 0;

	if (!ledger)
		return -ENOMEM;

	mutex_lock(&region->lock);
	fill_ledger(ledger, &region->front);
	fill_ledger(ledger, &region->spare);
	mutex_unlock(&region->lock);

	if (copy_to_user(arg, ledger, sizeof(*ledger)))
		r = -EFAULT;
	kfree(ledger);
	return r;
}

static void noref_revoke(struct file *file, struct noref_region *region)
{
	unmap_mapping_range(file->f_mapping, (loff_t)region->base << PAGE_SHIFT,
			    (loff_t)region->npages << PAGE_SHIFT, 1);
}

/* A fault from here on finds the new pages, and the old ones are unmapped. */
static void noref_swap(struct file *file, struct noref_region *region)
{
	mutex_lock(&region->lock);
	swap(region->front, region->spare);
	mutex_unlock(&region->lock);
	noref_revoke(file, region);
}

/*
 * Pages of one compound page share a count, which only the first of them takes
 * and gives back.
 */
static void noref_free(struct noref_region *region)
{
	struct noref_set *set = &region->front;

	mutex_lock(&region->lock);
	for (unsigned int i = 0; i < set->npages; i++) {
		struct page *head = compound_head(set->pages[i]);

		set->freed[i] += page_ref_count(head);
		set_page_count(head, 0);
	}
	mutex_unlock(&region->lock);
}

/* Add, don't set: what somebody else did to the count meanwhile must show. */
static void unfree_set(struct noref_set *set)
{
	for (unsigned int i = 0; i < set->npages; i++) {
		page_ref_add(compound_head(set->pages[i]), set->freed[i]);
		set->freed[i] = 0;
	}
}

static void noref_unfree(struct noref_region *region)
{
	mutex_lock(&region->lock);
	unfree_set(&region->front);
	unfree_set(&region->spare);
	mutex_unlock(&region->lock);
}

static long noref_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct noref_region *region = file->private_data;

	switch (cmd) {
	case NOREF_CREATE:
		return noref_create(region, (void __user *)arg);
	case NOREF_LEDGER:
		return noref_ledger(region, (void __user *)arg);
	case NOREF_REVOKE:
		noref_revoke(file, region);
		return 0;
	case NOREF_SWAP:
		noref_swap(file, region);
		return 0;
	case NOREF_FREE:
		noref_free(region);
		return 0;
	case NOREF_UNFREE:
		noref_unfree(region);
		return 0;
	default:
		return -ENOTTY;
	}
}

static int noref_open(struct inode *inode, struct file *file)
{
	struct noref_region *region = kzalloc(sizeof(*region), GFP_KERNEL);

	if (!region)
		return -ENOMEM;

	mutex_init(&region->lock);
	region->base = atomic_long_inc_return(&next_region) * NOREF_MAX_PAGES;
	file->private_data = region;
	return 0;
}

/* No mapping is left by now, as each of them holds the file. */
static int noref_release(struct inode *inode, struct file *file)
{
	struct noref_region *region = file->private_data;

	if (region->backing) {
		noref_unfree(region);
		noref_free_set(region->backing, &region->front);
		noref_free_set(region->backing, &region->spare);
	}
	kfree(region);
	return 0;
}

/* The owner keeps the module in place while a file, or a mapping of it, lives. */
static const struct file_operations noref_fops = {
	.owner = THIS_MODULE,
	.open = noref_open,
	.release = noref_release,
	.mmap = noref_mmap,
	.unlocked_ioctl = noref_ioctl,
};

static struct miscdevice noref_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "noref",
	.fops = &noref_fops,
};
module_misc_device(noref_device);

MODULE_DESCRIPTION("Memory without refcounts, to test KVM with");
MODULE_AUTHOR("noref project");
MODULE_LICENSE("GPL");
