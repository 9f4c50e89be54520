// SPDX-License-Identifier: GPL-2.0-only
/* How often the kernel calls a function of its own. */
#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/string.h>

#include "noref.h"

static int count(struct kprobe *probe, struct pt_regs *regs)
{
	struct noref_counter *counter = container_of(probe, struct noref_counter, probe);

	atomic64_inc(&counter->calls);
	return 0;
}

static int begin(struct noref_region *region, const char *function)
{
	struct noref_counter *counter = &region->counters[region->ncounters];
	int r;

	if (region->ncounters == NOREF_MAX_COUNTERS)
		return -ENOSPC;
	strscpy(counter->function, function, sizeof(counter->function));
	counter->probe.symbol_name = counter->function;
	counter->probe.pre_handler = count;
	r = register_kprobe(&counter->probe);
	if (!r)
		region->ncounters++;
	return r;
}

static struct noref_counter *find(struct noref_region *region, const char *function)
{
	for (unsigned int i = 0; i < region->ncounters; i++)
		if (!strcmp(region->counters[i].function, function))
			return &region->counters[i];
	return NULL;
}

int noref_count(struct noref_region *region, struct noref_calls *calls)
{
	struct noref_counter *counter;
	int r = 0;

	mutex_lock(&region->lock);
	counter = find(region, calls->function);
	if (counter)
		calls->count = atomic64_read(&counter->calls);
	else
		r = begin(region, calls->function);
	mutex_unlock(&region->lock);
	return r;
}

void noref_end_counting(struct noref_region *region)
{
	struct kprobe *probes[NOREF_MAX_COUNTERS];

	for (unsigned int i = 0; i < region->ncounters; i++)
		probes[i] = &region->counters[i].probe;
	/* Together: each call waits for all CPUs. */
	if (region->ncounters)
		unregister_kprobes(probes, region->ncounters);
}
