// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ktap.h"
#include "vmm.h"

static const char * const flag_names[] = {
	"referenced", "dirty", "active", "workingset", "lru", "uptodate",
	"locked", "writeback", "reserved",
};

void region_ioctl(const struct region *region, unsigned long command, void *arg)
{
	if (ioctl(region->fd, command, arg))
		bail_out("ioctl %#lx on /dev/noref", command);
}

void region_open(struct region *region, const char *backing,
		 const char *mapping, unsigned int npages)
{
	struct noref_create create = { .npages = npages };

	region->backing = backing;
	region->mapping = mapping;
	region->npages = npages;
	region->page_size = getpagesize();
	region->fd = open("/dev/noref", O_RDWR);
	if (region->fd < 0)
		bail_out("opening /dev/noref");

	snprintf(create.backing, sizeof(create.backing), "%s", backing);
	snprintf(create.mapping, sizeof(create.mapping), "%s", mapping);
	if (ioctl(region->fd, NOREF_CREATE, &create))
		bail_out("no region of backing %s, mapping %s", backing, mapping);
	region_map(region);
}

void region_map(struct region *region)
{
	void *old = region->host;

	region->host = mmap(old, region->npages * region->page_size,
			    PROT_READ | PROT_WRITE,
			    MAP_SHARED | (old ? MAP_FIXED : 0), region->fd, 0);
	if (region->host == MAP_FAILED)
		bail_out("mapping /dev/noref");
}

void region_unmap(struct region *region)
{
	if (munmap(region->host, region->npages * region->page_size))
		bail_out("unmapping /dev/noref");
}

bool region_refaults(const struct region *region)
{
	return !strcmp(region->mapping, "fault");
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

void region_print_ledger(const struct region *region, const char *when)
{
	struct noref_ledger ledger = {};

	region_ioctl(region, NOREF_LEDGER, &ledger);
	for (uint32_t i = 0; i < ledger.npages; i++) {
		const struct noref_page *page = &ledger.pages[i];

		printf("# ledger %s page=%u pfn=%llu own_ref=%d page_ref=%d mapcount=%d sum=%llu flags=",
		       when, i, page->pfn, page->own_ref, page->page_ref,
		       page->mapcount, page->sum);
		print_flags(page->flags);
		putchar('\n');
	}
	fflush(stdout);
}
