// SPDX-License-Identifier: GPL-2.0-only
/* What the struct pages of a region say, and whose pages they are. */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/page_ref.h>
#include <linux/pagemap.h>

#include "noref.h"

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
		      (PageReserved(page) ? NOREF_PG_RESERVED : 0);

	if (folio_test_slab(folio))
		return flags;
	return flags | (folio_test_active(folio) ? NOREF_PG_ACTIVE : 0) |
	       (folio_test_workingset(folio) ? NOREF_PG_WORKINGSET : 0) |
	       (folio_test_locked(folio) ? NOREF_PG_LOCKED : 0);
}

static int fill_set(struct noref_set *set, struct noref_page *entries)
{
	for (unsigned int i = 0; i < set->npages; i++) {
		struct page *page = set->pages[i];

		entries[i] = (struct noref_page) {
			.pfn = page_to_pfn(page),
			.sum = sum_page(page),
			.own_ref = page_ref_count(page),
			.page_ref = page_count(page),
			.mapcount = atomic_read(&page->_mapcount) + 1,
			.flags = owner_flags(page),
		};
	}
	return set->npages;
}

/* @entries: room for 2 * NOREF_MAX_PAGES; returns how many there are. */
int noref_fill_ledger(struct noref_region *region, struct noref_page *entries)
{
	int n;

	mutex_lock(&region->lock);
	n = fill_set(region->front, entries);
	n += fill_set(region->spare, entries + n);
	mutex_unlock(&region->lock);
	return n;
}

static int adopt_mapped(struct noref_set *set, unsigned long address,
			unsigned int npages)
{
	int n = get_user_pages_fast(address, npages, FOLL_WRITE, set->pages);

	for (int i = 0; i < n; i++)
		put_page(set->pages[i]);
	return n;
}

static int adopt_file(struct noref_set *set, unsigned int fd, unsigned int npages)
{
	struct file *file = fget(fd);
	unsigned int n = 0;

	if (!file)
		return -EBADF;
	for (; n < npages; n++) {
		struct page *page = find_get_page(file->f_mapping, n);

		if (!page)
			break;
		put_page(page);
		set->pages[n] = page;
	}
	fput(file);
	return n;
}

int noref_adopt(struct noref_region *region, const struct noref_adopt *adopt)
{
	struct noref_set *set = region->front;
	int r = -EINVAL;

	if (!adopt->npages || adopt->npages > NOREF_MAX_PAGES)
		return r;
	mutex_lock(&region->lock);
	if (!region->mapping) {
		r = adopt->fd < 0 ?
		    adopt_mapped(set, adopt->address, adopt->npages) :
		    adopt_file(set, adopt->fd, adopt->npages);
		set->npages = r < 0 ? 0 : r;
	}
	mutex_unlock(&region->lock);
	if (r < 0)
		return r;
	return r == adopt->npages ? 0 : -EFAULT;
}
