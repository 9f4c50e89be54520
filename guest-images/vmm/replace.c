// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ktap.h"
#include "ledger.h"
#include "replace.h"

void replace(struct stage *stage, struct replaced *replaced)
{
	struct region *region = &stage->region;
	size_t size = region_size(region);

	if (!region->own) {
		region_ioctl(region, NOREF_SWAP, NULL);
		if (!region_refaults(region))
			region_map(region);
		return;
	}
	replaced->away = mremap(region->host, size, size,
				MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	if (replaced->away == MAP_FAILED)
		bail_out("moving the pages away");
	memset(region->host, 0, size);
}

void replace_back(struct stage *stage, struct replaced *replaced)
{
	struct region *region = &stage->region;
	size_t size = region_size(region);

	if (!region->own)
		replace(stage, replaced);
	else if (mremap(replaced->away, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
			region->host) != region->host)
		bail_out("moving the pages back");
}

uint64_t sum_of_old(struct stage *stage, unsigned int page)
{
	unsigned int npages;
	struct noref_page *pages = ledger_read(&stage->region, &npages);
	/* What was swapped away is behind what is mapped now. */
	uint64_t sum = pages[page + (stage->region.own ? 0 : stage->region.npages)].sum;

	free(pages);
	return sum;
}
