/* SPDX-License-Identifier: GPL-2.0-only */
/* The module's ledger of a region: printed thrice in a cell, and looked at by scenarios. */
#ifndef LEDGER_H
#define LEDGER_H

#include "vmm.h"

/* Returns the ledger's entries, to be freed, and how many there are. */
struct noref_page *ledger_read(const struct region *region, unsigned int *npages);

/*
 * Take down the ledger, and print it.  Of a large region only a sample is
 * printed, in the end, and every page that changed.
 */
void ledger_before(const struct region *region);
void ledger_during(const struct region *region);
void ledger_after(const struct region *region);

#endif /* LEDGER_H */
