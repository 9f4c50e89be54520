// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kinds of memory that drivers hand out, which differ in what the refcount
 * of a page says.
 */
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "noref.h"

static int add_chunk(struct noref_set *set, void *chunk)
{
	if (!chunk)
		return -ENOMEM;
	set->chunks[set->nchunks++] = chunk;
	return 0;
}

/* Hand out the pages of one chunk from @first on. */
static void hand_out(struct noref_set *set, struct page *first,
		     unsigned int npages)
{
	for (set->npages = 0; set->npages < npages; set->npages++)
		set->pages[set->npages] = first + set->npages;
}

/* Hand out the page at @index of as many chunks of the given order. */
static int alloc_scattered(struct noref_set *set, unsigned int npages,
			   unsigned int order, unsigned int index)
{
	set->order = order;
	while (set->npages < npages) {
		struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, order);
		int r = add_chunk(set, page);

		if (r)
			return r;
		set->pages[set->npages++] = page + index;
	}
	return 0;
}

/* The smallest order that has as many pages beside the head. */
static unsigned int tail_order(unsigned int npages)
{
	return ilog2(npages) + 1;
}

static int alloc_tails(struct noref_set *set, unsigned int npages, gfp_t gfp)
{
	struct page *head;
	int r;

	set->order = tail_order(npages);
	head = alloc_pages(GFP_KERNEL | __GFP_ZERO | gfp, set->order);
	r = add_chunk(set, head);
	if (!r)
		hand_out(set, head + 1, npages);
	return r;
}

static int alloc_whole(struct noref_set *set, unsigned int npages, gfp_t gfp)
{
	struct page *head;
	int r;

	set->order = get_order(npages * PAGE_SIZE);
	head = alloc_pages(GFP_KERNEL | __GFP_ZERO | gfp, set->order);
	r = add_chunk(set, head);
	if (!r)
		hand_out(set, head, npages);
	return r;
}

static void free_chunk(struct noref_set *set, void *chunk)
{
	__free_pages(chunk, set->order);
}

static void free_kmalloc(struct noref_set *set, void *chunk)
{
	kfree(chunk);
}

static int alloc_order0(struct noref_set *set, unsigned int npages)
{
	return alloc_scattered(set, npages, 0, 0);
}

/* Head pages of non-compound chunks: they alone carry the chunk's refcount. */
static int alloc_head(struct noref_set *set, unsigned int npages)
{
	return alloc_scattered(set, npages, 1, 0);
}

/* A tail from each of many chunks: no two of them are neighbours. */
static int alloc_lone_tail(struct noref_set *set, unsigned int npages)
{
	return alloc_scattered(set, npages, 1, 1);
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

/* A non-compound chunk with its head: the first page has a refcount, no other. */
static int alloc_chunk(struct noref_set *set, unsigned int npages)
{
	return alloc_whole(set, npages, 0);
}

static int alloc_compound(struct noref_set *set, unsigned int npages)
{
	return alloc_whole(set, npages, __GFP_COMP);
}

/* Tails that are PG_reserved beside, as firmware's and old drivers' memory is. */
static int alloc_reserved_tail(struct noref_set *set, unsigned int npages)
{
	int r = alloc_tails(set, npages, 0);

	for (unsigned int i = 0; i < set->npages; i++)
		SetPageReserved(set->pages[i]);
	return r;
}

static void free_reserved_tail(struct noref_set *set, void *chunk)
{
	for (unsigned int i = 0; i < set->npages; i++)
		ClearPageReserved(set->pages[i]);
	free_chunk(set, chunk);
}

/* PG_reserved, but with a count: what was set aside at boot, or by an old driver. */
static int alloc_reserved(struct noref_set *set, unsigned int npages)
{
	int r = alloc_scattered(set, npages, 0, 0);

	for (unsigned int i = 0; i < set->npages; i++)
		SetPageReserved(set->pages[i]);
	return r;
}

static void free_reserved(struct noref_set *set, void *chunk)
{
	ClearPageReserved((struct page *)chunk);
	free_chunk(set, chunk);
}

/* Too large for any kmem cache, so straight from the page allocator. */
static int alloc_kmalloc_large(struct noref_set *set, unsigned int npages)
{
	void *p = kzalloc(PAGE_SIZE << tail_order(npages), GFP_KERNEL);
	int r = add_chunk(set, p);

	if (!r)
		hand_out(set, virt_to_page(p) + 1, npages);
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
	{ "order0", alloc_order0, free_chunk },
	{ "head", alloc_head, free_chunk },
	{ "tail", alloc_tail, free_chunk },
	{ "lone_tail", alloc_lone_tail, free_chunk },
	{ "chunk", alloc_chunk, free_chunk },
	{ "compound", alloc_compound, free_chunk },
	{ "compound_tail", alloc_compound_tail, free_chunk },
	{ "reserved_tail", alloc_reserved_tail, free_reserved_tail },
	{ "reserved", alloc_reserved, free_reserved },
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

	if (r) {
		noref_free_chunks(backing, set);
		set->npages = 0;
	}
	return r;
}

void noref_free_chunks(const struct noref_backing *backing, struct noref_set *set)
{
	while (set->nchunks)
		backing->free(set, set->chunks[--set->nchunks]);
}
