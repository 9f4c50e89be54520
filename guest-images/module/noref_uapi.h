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
#define NOREF_MAX_PAGES	512

/* @backing, @mapping: names from the module's tables; once per open file. */
struct noref_create {
	char backing[NOREF_NAME_LEN];
	char mapping[NOREF_NAME_LEN];
	__u32 npages;
	__u32 reserved;
};

/*
 * Other people's pages become the front, without a reference: whoever asks
 * keeps them alive.  @fd: those of a file, from its first page on; or, if it
 * is negative, those that are mapped at @address.
 */
struct noref_adopt {
	__u64 address;
	__u32 npages;
	__s32 fd;
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

/* @flags: those of adopted pages mm and KVM may change, too. */
struct noref_page {
	__u64 pfn;
	__u64 sum;		/* sum of its 64-bit words */
	__s32 own_ref;		/* count of this struct page */
	__s32 page_ref;		/* page_count(): that of the whole folio */
	__s32 mapcount;
	__u32 flags;
};

/* @pages: an array of noref_page, front pages first, then the spare ones. */
struct noref_ledger {
	__u64 pages;
	__u32 room;
	__u32 npages;		/* out: front and spare pages together */
};

/* What a notifier of secondary MMUs is asked: enum noref_age_how. */
enum noref_age_how {
	NOREF_TEST_YOUNG,
	NOREF_CLEAR_YOUNG,
	NOREF_CLEAR_FLUSH_YOUNG,
};

/* @young: out, whether any page of the range was used. */
struct noref_age {
	__u64 address;
	__u64 size;
	__u32 how;
	__u32 young;
};

#define NOREF_FUNCTION_LEN	64

/* @count: out, calls of the function since this file was first asked about it. */
struct noref_calls {
	char function[NOREF_FUNCTION_LEN];
	__u64 count;
};

#define NOREF_CREATE	_IOW('N', 1, struct noref_create)
#define NOREF_LEDGER	_IOWR('N', 2, struct noref_ledger)
/* Unmap the region from everywhere. */
#define NOREF_REVOKE	_IO('N', 3)
/* Exchange front and spare pages, then revoke. */
#define NOREF_SWAP	_IO('N', 4)
/* Seeded driver bug: the front pages' counts drop to 0 with mappings in place. */
#define NOREF_FREE	_IO('N', 5)
/* Take NOREF_FREE back. */
#define NOREF_UNFREE	_IO('N', 6)
/* Seeded driver bug: the front's chunks are freed for good, mappings in place. */
#define NOREF_RELEASE	_IO('N', 7)
/* Let the page allocator hand out free pages; returns how many of them were the front's. */
#define NOREF_CHURN	_IO('N', 8)
#define NOREF_ADOPT	_IOW('N', 9, struct noref_adopt)
/* Ask the MMU notifiers of this process about the age of a range. */
#define NOREF_AGE	_IOWR('N', 10, struct noref_age)
/* Return when all RCU callbacks that are queued by now have run. */
#define NOREF_SETTLE	_IO('N', 11)
/* Count the calls of a function of the kernel. */
#define NOREF_CALLS	_IOWR('N', 12, struct noref_calls)
/* Set the timers of all CPUs going again, in an L1 that was restored from a file. */
#define NOREF_REARM	_IO('N', 13)
/* From now on, faults of memory that is mapped busy_insert wait; returns how many do. */
#define NOREF_BUSY	_IO('N', 14)
/* They wait no longer. */
#define NOREF_IDLE	_IO('N', 15)
/* NOREF_SWAP, when this thread next takes the mmu_lock of the VM of that file descriptor. */
#define NOREF_SWAP_LATE	_IO('N', 16)
/* No more; returns whether the thread took the lock after the swap's notifier had begun. */
#define NOREF_SWAPPED	_IO('N', 17)
/*
 * From now on, whoever invalidates that address waits, once the notifiers of VMs
 * that are made later have begun.
 */
#define NOREF_HOLD	_IO('N', 18)
/* Returns whether anybody waits. */
#define NOREF_HOLDS	_IO('N', 19)
/* They wait no longer. */
#define NOREF_GO	_IO('N', 20)

#endif /* NOREF_UAPI_H */
