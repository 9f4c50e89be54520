// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ktap.h"
#include "ledger.h"

#define MAX_ENTRIES	(2 * NOREF_MAX_PAGES)
/* Above this, a ledger takes longer to send than a cell to run. */
#define LARGE		64
#define SAMPLE_STEP	61

enum when { BEFORE, DURING, AFTER, NR_TIMES };

static const char * const names[] = { "before", "during", "after" };
static const char * const flag_names[] = {
	"referenced", "dirty", "active", "workingset", "lru", "uptodate",
	"locked", "writeback", "reserved",
};

static struct noref_page *taken[NR_TIMES];

static void tell_mm(const char *how)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	if (fd < 0 || write(fd, how, strlen(how)) < 0)
		bail_out("writing /proc/sys/vm/drop_caches");
	close(fd);
}

/*
 * CPUs keep references in batches of pages that are on their way to an LRU
 * list, which dropping the page cache sends off.  4 says: without a word.
 */
static void drain_lru(void)
{
	tell_mm("4");
	tell_mm("1");
}

struct noref_page *ledger_read(const struct region *region, unsigned int *npages)
{
	struct noref_page *pages = calloc(MAX_ENTRIES, sizeof(*pages));
	struct noref_ledger ledger = {
		.pages = (uintptr_t)pages,
		.room = MAX_ENTRIES,
	};

	if (!pages)
		bail_out("allocating a ledger");
	if (region->own)
		drain_lru();
	region_ioctl(region, NOREF_LEDGER, &ledger);
	*npages = ledger.npages;
	return pages;
}

static void print_flags(uint32_t flags)
{
	const char *separator = "";

	for (size_t i = 0; i < sizeof(flag_names) / sizeof(*flag_names); i++) {
		if (flags & (1u << i)) {
			printf("%s%s", separator, flag_names[i]);
			separator = ",";
		}
	}
}

static void print_entry(enum when when, unsigned int i)
{
	const struct noref_page *page = &taken[when][i];

	printf("# ledger %s page=%u pfn=%llu own_ref=%d page_ref=%d mapcount=%d sum=%llu flags=",
	       names[when], i, page->pfn, page->own_ref, page->page_ref,
	       page->mapcount, page->sum);
	print_flags(page->flags);
	putchar('\n');
}

static bool changed(unsigned int i)
{
	for (enum when when = DURING; when <= AFTER; when++) {
		struct noref_page then = taken[BEFORE][i];
		struct noref_page now = taken[when][i];

		then.sum = now.sum;
		if (memcmp(&then, &now, sizeof(now)))
			return true;
	}
	return false;
}

static void take(const struct region *region, enum when when)
{
	unsigned int npages;

	taken[when] = ledger_read(region, &npages);
	/* What mm and KVM may change is nothing to complain of. */
	for (unsigned int i = 0; region->own && i < npages; i++)
		taken[when][i].flags = 0;
	for (unsigned int i = 0; npages <= LARGE && i < npages; i++)
		print_entry(when, i);
	for (unsigned int i = 0; when == AFTER && npages > LARGE && i < npages; i++) {
		if (i % SAMPLE_STEP && !changed(i))
			continue;
		for (when = BEFORE; when <= AFTER; when++)
			print_entry(when, i);
		when = AFTER;
	}
	fflush(stdout);
}

void ledger_before(const struct region *region)
{
	take(region, BEFORE);
}

void ledger_during(const struct region *region)
{
	take(region, DURING);
}

void ledger_after(const struct region *region)
{
	take(region, AFTER);
}
