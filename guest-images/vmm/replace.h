/* SPDX-License-Identifier: GPL-2.0-only */
/* The host maps other pages where the region was, and the old ones again. */
#ifndef REPLACE_H
#define REPLACE_H

#include "vmm.h"

/* @away: where pages of this process's own went, which no spare list has. */
struct replaced {
	void *away;
};

/* The new pages are as they were made: zero. */
void replace(struct stage *stage, struct replaced *replaced);
void replace_back(struct stage *stage, struct replaced *replaced);
/* While they are replaced: the sum of the words of an old page. */
uint64_t sum_of_old(struct stage *stage, unsigned int page);

#endif /* REPLACE_H */
