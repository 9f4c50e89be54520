// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ktap.h"
#include "vmm.h"

int region_ioctl(const struct region *region, unsigned long command, void *arg)
{
	int r = ioctl(region->fd, command, arg);

	if (r < 0)
		bail_out("ioctl %#lx on /dev/noref", command);
	return r;
}

size_t region_size(const struct region *region)
{
	return region->npages * region->page_size;
}

bool region_is(const struct region *region, const char *backing)
{
	return !strcmp(region->backing, backing);
}

static void create(struct region *region)
{
	struct noref_create create = { .npages = region->npages };

	snprintf(create.backing, sizeof(create.backing), "%s", region->backing);
	snprintf(create.mapping, sizeof(create.mapping), "%s", region->mapping);
	if (ioctl(region->fd, NOREF_CREATE, &create))
		bail_out("no region of backing %s, mapping %s",
			 region->backing, region->mapping);
}

void region_adopt(struct region *region)
{
	struct noref_adopt adopt = {
		.address = (uintptr_t)region->host,
		.npages = region->npages,
		.fd = -1,
	};

	region_ioctl(region, NOREF_ADOPT, &adopt);
}

static void fill_own(struct region *region)
{
	if (madvise(region->host, region_size(region),
		    region_is(region, "thp") ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		bail_out("advising on huge pages");
	memset(region->host, 0, region_size(region));
}

void region_open(struct region *region, const char *backing,
		 const char *mapping, unsigned int npages)
{
	region->backing = backing;
	region->mapping = mapping;
	region->own = !strcmp(mapping, "private");
	region->npages = npages;
	region->page_size = getpagesize();
	region->fd = open("/dev/noref", O_RDWR);
	if (region->fd < 0)
		bail_out("opening /dev/noref");
	if (!region->own)
		create(region);
	region_map(region);
	if (region->own) {
		fill_own(region);
		region_adopt(region);
	}
}

/* An address that has the alignment of a huge page. */
static void *choose_address(void)
{
	char *p = mmap(NULL, 2 * REGION_SPACE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *aligned;

	if (p == MAP_FAILED)
		bail_out("looking for room");
	munmap(p, 2 * REGION_SPACE);
	aligned = (char *)(((uintptr_t)p + REGION_SPACE - 1) & -REGION_SPACE);
	return aligned;
}

void region_map(struct region *region)
{
	void *address = region->host ? region->host : choose_address();
	int flags = region->own ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

	region->host = mmap(address, region_size(region), PROT_READ | PROT_WRITE,
			    flags | MAP_FIXED, region->own ? -1 : region->fd, 0);
	if (region->host == MAP_FAILED)
		bail_out("mapping the region");
}

void region_unmap(struct region *region)
{
	if (munmap(region->host, region_size(region)))
		bail_out("unmapping the region");
}

bool region_is_pinned(const struct region *region)
{
	return region->own || strstr(region->mapping, "insert");
}

bool region_refaults(const struct region *region)
{
	static const char * const filled_at_once[] = { "remap", "insert" };

	for (size_t i = 0; i < sizeof(filled_at_once) / sizeof(*filled_at_once); i++)
		if (!strcmp(region->mapping, filled_at_once[i]))
			return false;
	return true;
}
