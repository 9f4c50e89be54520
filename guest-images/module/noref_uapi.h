/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What /dev/noref offers.  Every open file owns one region: npages pages at
 * the front, which mmap() shows, and as many spare ones to swap them with.
 */
#ifndef NOREF_UAPI_H
#define NOREF_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define NOREF_NAME_LEN	16
#define NOREF_MAX_PAGES	15

/* @backing, @mapping: names from the module's tables; once per open file. */
struct noref_create {
	char backing[NOREF_NAME_LEN];
	char mapping[NOREF_NAME_LEN];
	__u32 npages;
	__u32 reserved;
};

/* Bits of noref_page.flags: state of the page that only its owner may change. */
#define NOREF_PG_REFERENCED	(1u << 0)
#define NOREF_PG_DIRTY		(1u << 1)
#define NOREF_PG_ACTIVE		(1u << 2)
#define NOREF_PG_WORKINGSET	(1u << 3)
#define NOREF_PG_LRU		(1u << 4)
#define NOREF_PG_UPTODATE	(1u << 5)
#define NOREF_PG_LOCKED		(1u << 6)
#define NOREF_PG_WRITEBACK	(1u << 7)
#define NOREF_PG_RESERVED	(1u << 8)

/* One page of the ledger, front pages first, then the spare ones. */
struct noref_page {
	__u64 pfn;
	__u64 sum;		/* sum of its 64-bit words */
	__s32 own_ref;		/* count of this struct page */
	__s32 page_ref;		/* page_count(): that of the whole folio */
	__s32 mapcount;
	__u32 flags;
};

struct noref_ledger {
	__u32 npages;		/* out: front and spare pages together */
	__u32 reserved;
	struct noref_page pages[2 * NOREF_MAX_PAGES];
};

#define NOREF_CREATE	_IOW('N', 1, struct noref_create)
#define NOREF_LEDGER	_IOR('N', 2, struct noref_ledger)
/* Unmap the region from everywhere. */
#define NOREF_REVOKE	_IO('N', 3)
/* Exchange front and spare pages, then revoke. */
#define NOREF_SWAP	_IO('N', 4)
/* Seeded driver bug: the front pages' counts drop to 0 with mappings in place. */
#define NOREF_FREE	_IO('N', 5)
/* Take NOREF_FREE back. */
#define NOREF_UNFREE	_IO('N', 6)

#endif /* NOREF_UAPI_H */
