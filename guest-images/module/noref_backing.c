// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kinds of memory that drivers hand out, which differ in what the refcount
 * of a page says.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "noref.h"

/* The smallest order that has NOREF_MAX_PAGES tail pages. */
#define CHUNK_ORDER	4

static_assert((1 << CHUNK_ORDER) > NOREF_MAX_PAGES);

static int add_chunk(struct noref_set *set, void *chunk)
{
	if (!chunk)
		return -ENOMEM;

	set->chunks[set->nchunks++] = chunk;
	return 0;
}

/* Hand out all pages of a chunk but its head. */
static void hand_out_tails(struct noref_set *set, struct page *head,
			   unsigned int npages)
{
	for (set->npages = 0; set->npages < npages; set->npages++)
		set->pages[set->npages] = head + 1 + set->npages;
}

/* Hand out the first page of as many chunks of the given order. */
static int alloc_first_pages(struct noref_set *set, unsigned int npages,
			     unsigned int order)
{
	while (set->npages < npages) {
		struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, order);
		int r = add_chunk(set, page);

		if (r)
			return r;
		set->pages[set->npages++] = page;
	}
	return 0;
}

static int alloc_tails(struct noref_set *set, unsigned int npages, gfp_t gfp)
{
	struct page *head = alloc_pages(GFP_KERNEL | __GFP_ZERO | gfp, CHUNK_ORDER);
	int r = add_chunk(set, head);

	if (!r)
		hand_out_tails(set, head, npages);
	return r;
}

static void free_order0(void *chunk)
{
	__free_pages(chunk, 0);
}

static void free_order1(void *chunk)
{
	__free_pages(chunk, 1);
}

static void free_chunk(void *chunk)
{
	__free_pages(chunk, CHUNK_ORDER);
}

static void free_kmalloc(void *chunk)
{
	kfree(chunk);
}

static int alloc_order0(struct noref_set *set, unsigned int npages)
{
	return alloc_first_pages(set, npages, 0);
}

/* Head pages of non-compound chunks: they alone carry the chunk's refcount. */
static int alloc_head(struct noref_set *set, unsigned int npages)
{
	return alloc_first_pages(set, npages, 1);
}

/* What TTM hands out: the tails of a non-compound chunk, refcount 0. */
static int alloc_tail(struct noref_set *set, unsigned int npages)
{
	return alloc_tails(set, npages, 0);
}

static int alloc_compound_tail(struct noref_set *set, unsigned int npages)
{
	return alloc_tails(set, npages, __GFP_COMP);
}

/* Too large for any kmem cache, so straight from the page allocator. */
static int alloc_kmalloc_large(struct noref_set *set, unsigned int npages)
{
	void *p = kzalloc(PAGE_SIZE << CHUNK_ORDER, GFP_KERNEL);
	int r = add_chunk(set, p);

	if (!r)
		hand_out_tails(set, virt_to_page(p), npages);
	return r;
}

/*
 * Page-sized objects of a kmem cache, such as lie in the tail pages of a slab:
 * an object in the head page would have a refcount of its own.
 */
static int alloc_kmalloc_slab(struct noref_set *set, unsigned int npages)
{
	while (set->npages < npages) {
		struct page *page;
		void *p;
		int r;

		if (set->nchunks == ARRAY_SIZE(set->chunks))
			return -ENOMEM;

		p = kzalloc(PAGE_SIZE, GFP_KERNEL);
		r = add_chunk(set, p);
		if (r)
			return r;
		if (!PAGE_ALIGNED(p))
			return -EOPNOTSUPP;

		page = virt_to_page(p);
		if (page != compound_head(page))
			set->pages[set->npages++] = page;
	}
	return 0;
}

static const struct noref_backing backings[] = {
	{ "order0", alloc_order0, free_order0 },
	{ "head", alloc_head, free_order1 },
	{ "tail", alloc_tail, free_chunk },
	{ "compound_tail", alloc_compound_tail, free_chunk },
	{ "kmalloc_large", alloc_kmalloc_large, free_kmalloc },
	{ "kmalloc_slab", alloc_kmalloc_slab, free_kmalloc },
};

const struct noref_backing *noref_find_backing(const char *name)
{
	for (int i = 0; i < ARRAY_SIZE(backings); i++)
		if (!strcmp(backings[i].name, name))
			return &backings[i];
	return NULL;
}

int noref_alloc_set(const struct noref_backing *backing, struct noref_set *set,
		    unsigned int npages)
{
	int r = backing->alloc(set, npages);

	if (r)
		noref_free_set(backing, set);
	return r;
}

void noref_free_set(const struct noref_backing *backing, struct noref_set *set)
{
	while (set->nchunks)
		backing->free(set->chunks[--set->nchunks]);
	set->npages = 0;
}
