// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/noref: memory with and without refcounts for KVM guests, a ledger of
 * what becomes of its pages, and the things that a driver may do to a mapping
 * while a guest runs on it.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/page_ref.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "noref.h"

static atomic_long_t next_region;

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
	mapping = noref_find_mapping(create.mapping);
	if (!backing || !mapping || !create.npages ||
	    create.npages > NOREF_MAX_PAGES)
		return -EINVAL;

	mutex_lock(&region->lock);
	if (region->mapping)
		goto out;

	r = noref_alloc_set(backing, region->front, create.npages);
	if (r)
		goto out;
	r = noref_alloc_set(backing, region->spare, create.npages);
	if (r) {
		noref_free_chunks(backing, region->front);
		goto out;
	}

	region->backing = backing;
	region->mapping = mapping;
	region->npages = create.npages;
out:
	mutex_unlock(&region->lock);
	return r;
}

static int noref_ledger(struct noref_region *region, void __user *arg)
{
	struct noref_ledger ledger;
	struct noref_page *entries;
	int r = 0;

	if (copy_from_user(&ledger, arg, sizeof(ledger)))
		return -EFAULT;
	entries = kvcalloc(2 * NOREF_MAX_PAGES, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;

	ledger.npages = noref_fill_ledger(region, entries);
	if (ledger.npages > ledger.room)
		r = -ENOSPC;
	else if (copy_to_user(u64_to_user_ptr(ledger.pages), entries,
			      ledger.npages * sizeof(*entries)) ||
		 copy_to_user(arg, &ledger, sizeof(ledger)))
		r = -EFAULT;
	kvfree(entries);
	return r;
}

static void noref_revoke(struct file *file, struct noref_region *region)
{
	bitmap_zero(region->raced, NOREF_MAX_PAGES);
	unmap_mapping_range(file->f_mapping, (loff_t)region->base << PAGE_SHIFT,
			    (loff_t)region->npages << PAGE_SHIFT, 1);
}

/* A fault from here on finds the new pages, and the old ones are unmapped. */
void noref_swap(struct file *file, struct noref_region *region)
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
	struct noref_set *set = region->front;

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
	unfree_set(region->front);
	unfree_set(region->spare);
	mutex_unlock(&region->lock);
}

static int noref_ask_age(void __user *arg)
{
	struct noref_age age;
	int r;

	if (copy_from_user(&age, arg, sizeof(age)))
		return -EFAULT;
	r = noref_age(age.how, age.address, age.address + age.size);
	if (r < 0)
		return r;
	age.young = r;
	return copy_to_user(arg, &age, sizeof(age)) ? -EFAULT : 0;
}

static int noref_take(struct noref_region *region, void __user *arg)
{
	struct noref_adopt adopt;

	if (copy_from_user(&adopt, arg, sizeof(adopt)))
		return -EFAULT;
	return noref_adopt(region, &adopt);
}

static int noref_ask_calls(struct noref_region *region, void __user *arg)
{
	struct noref_calls calls;
	int r;

	if (copy_from_user(&calls, arg, sizeof(calls)))
		return -EFAULT;
	calls.function[NOREF_FUNCTION_LEN - 1] = '\0';
	r = noref_count(region, &calls);
	if (r)
		return r;
	return copy_to_user(arg, &calls, sizeof(calls)) ? -EFAULT : 0;
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
	case NOREF_SWAP_LATE:
		return noref_swap_late(region, file, arg);
	case NOREF_SWAPPED:
		return noref_swapped_late(region);
	case NOREF_HOLD:
		return noref_begin_hold(region, arg);
	case NOREF_HOLDS:
		return noref_holds(region);
	case NOREF_GO:
		noref_end_hold(region);
		return 0;
	case NOREF_FREE:
		noref_free(region);
		return 0;
	case NOREF_UNFREE:
		noref_unfree(region);
		return 0;
	case NOREF_RELEASE:
		return noref_free_for_good(region);
	case NOREF_CHURN:
		return noref_churn(region);
	case NOREF_ADOPT:
		return noref_take(region, (void __user *)arg);
	case NOREF_AGE:
		return noref_ask_age((void __user *)arg);
	case NOREF_SETTLE:
		rcu_barrier();
		return 0;
	case NOREF_REARM:
		return noref_rearm();
	case NOREF_CALLS:
		return noref_ask_calls(region, (void __user *)arg);
	case NOREF_BUSY:
		WRITE_ONCE(region->busy, true);
		return atomic_read(&region->waiting);
	case NOREF_IDLE:
		WRITE_ONCE(region->busy, false);
		wake_up_all(&region->idle);
		return 0;
	default:
		return -ENOTTY;
	}
}

static int noref_open(struct inode *inode, struct file *file)
{
	struct noref_region *region = kvzalloc(sizeof(*region), GFP_KERNEL);

	if (!region)
		return -ENOMEM;

	mutex_init(&region->lock);
	init_waitqueue_head(&region->idle);
	region->front = &region->sets[0];
	region->spare = &region->sets[1];
	region->base = atomic_long_inc_return(&next_region) * NOREF_MAX_PAGES;
	file->private_data = region;
	return 0;
}

/* No mapping is left by now, as each of them holds the file. */
static int noref_release(struct inode *inode, struct file *file)
{
	struct noref_region *region = file->private_data;

	noref_end_counting(region);
	noref_swapped_late(region);
	noref_free_hold(region);
	if (region->backing) {
		noref_unfree(region);
		noref_free_chunks(region->backing, region->front);
		noref_free_chunks(region->backing, region->spare);
	}
	kvfree(region);
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

static int __init noref_init(void)
{
	noref_find_rearm();
	return misc_register(&noref_device);
}
module_init(noref_init);

static void __exit noref_exit(void)
{
	misc_deregister(&noref_device);
}
module_exit(noref_exit);

MODULE_DESCRIPTION("Memory without refcounts, to test KVM with");
MODULE_AUTHOR("noref project");
MODULE_LICENSE("GPL");
