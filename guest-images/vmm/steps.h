/* SPDX-License-Identifier: GPL-2.0-only */
/* What scenarios are made of.  What returns bool leaves a detail line if it is false. */
#ifndef STEPS_H
#define STEPS_H

#include "vmm.h"

/* Where patterns begin; each has room for the offsets of a whole region. */
#define GUEST_PATTERN	0x6765737400000000ul
#define HOST_PATTERN	0x686f737400000000ul
#define LATER_PATTERN	0x6c61746500000000ul

uint64_t page_gpa(const struct stage *stage, unsigned int page);
uint64_t page_pattern(const struct stage *stage, uint64_t pattern, unsigned int page);
/* The first word of a page, as the host sees it. */
uint64_t *host_page(const struct stage *stage, unsigned int page);

/* Fill or compare all pages, each word different from all others. */
bool guest_fills(struct stage *stage, uint64_t pattern);
bool guest_sees(struct stage *stage, uint64_t pattern);
void host_fills(struct stage *stage, uint64_t pattern);
bool host_sees(struct stage *stage, uint64_t pattern);
bool guest_sees_zeroes(struct stage *stage);

/*
 * Whether the ledger's pages from @first on, as many as the region has, hold
 * the pattern: seen by their struct pages, and so past every mapping.
 */
bool ledger_holds(struct stage *stage, unsigned int first, uint64_t pattern);
/* Whether the ledger's pages from @first on are as they were made. */
bool untouched_from(struct stage *stage, unsigned int first);
/* Whether the pages that no mapping shows are as they were made. */
bool spare_is_zero(struct stage *stage);

/* Whether KVM has told mm of what was written: of all pages that have a count. */
bool counted_pages_are_dirty(struct stage *stage);
/* Ask about, or clear, the age of pages, or of the whole region; whether any was used. */
int age_pages(struct stage *stage, enum noref_age_how how, unsigned int first,
	      unsigned int npages);
int age(struct stage *stage, enum noref_age_how how);

/* The first step of all scenarios that need the memory in use by the guest. */
bool guest_is_in(struct stage *stage);
/* The control of scenarios where that is by a huge SPTE, for memory that KVM must map so. */
void exercise_huge(struct stage *stage);
/*
 * Whether every page is out of the guest's reach: KVM_RUN fails with @error,
 * or exits by @exit where @error is 0.
 */
bool refused_with(struct stage *stage, int error, uint32_t exit);
/* Whether every write ends in EFAULT, or is left to the VMM as that of a ROM. */
bool writes_fail(struct stage *stage);

/* Give the pages of this process's own memory back: whoever reads them finds zeroes. */
void discard_all(struct stage *stage);
/* Whether memory that nobody wrote to, here or elsewhere, reads as zeroes. */
bool holes_are_zero(struct stage *stage);

/* The dirty log of the region's first 64 pages; getting it clears it. */
uint64_t get_log(struct stage *stage);

/* Whether a number is what it should be. */
bool equals(const char *what, uint64_t got, uint64_t want);
/* Whether a number is large enough for what comes to be more than luck. */
bool at_least(const char *what, uint64_t got, uint64_t want);

#endif /* STEPS_H */
