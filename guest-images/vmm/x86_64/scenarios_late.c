// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fault looks for notifiers twice: when it has found its page, and under
 * mmu_lock, as one may begin in between.  On arm64 it looks once.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

#include "count.h"
#include "ktap.h"
#include "ledger.h"
#include "steps.h"

SCENARIO(late_fault, 5)
{
	const struct region *region = &stage->region;
	const uint64_t word = page_pattern(stage, LATER_PATTERN, 0);

	if (!guest_is_in(stage))
		return;
	region_ioctl(region, NOREF_REVOKE, NULL);
	region_ioctl(region, NOREF_SWAP_LATE, (void *)(intptr_t)stage->vm.fd);
	ktap_step(vm_call(&stage->vm, GUEST_STORE, page_gpa(stage, 0), word),
		  "access: guest writes a page that is taken away meanwhile");
	ktap_exercise(region_ioctl(region, NOREF_SWAPPED, NULL),
		      "a notifier begins when the fault is about to take mmu_lock");
	ktap_step(ledger_holds(stage, region->npages, GUEST_PATTERN),
		  "notifier: pages that were taken away are not written");
	ktap_step(equals("word", *host_page(stage, 0), word),
		  "notifier: host reads what the guest wrote");
}

/* --- an invalidation that lasts ------------------------------------------------ */

/* Pages that are taken away, of those that one fault may prefetch. */
#define FIRST_GONE	1
#define LAST_GONE	2

/* How often two vCPUs take a fault in vain before that counts as waiting. */
#define FAULT		"kvm_mmu_page_fault"
#define MANY		40

/* Seconds for threads to get where they are to be, on a busy machine too. */
#define PATIENCE	10

/* A vCPU that reads @gpa once it is told to @start; @done: it has. */
struct reader {
	pthread_t thread;
	sem_t start;
	struct vcpu *vcpu;
	uint64_t gpa;
	bool passed;
	atomic_bool done;
};

static void *discard(void *argument)
{
	struct stage *stage = argument;

	if (madvise(host_page(stage, FIRST_GONE),
		    (LAST_GONE - FIRST_GONE + 1) * stage->region.page_size, MADV_DONTNEED))
		bail_out("discarding pages");
	return NULL;
}

static void *read_page(void *argument)
{
	struct reader *reader = argument;

	sem_wait(&reader->start);
	reader->passed = vcpu_call(reader->vcpu, GUEST_LOAD, reader->gpa, 0);
	atomic_store(&reader->done, true);
	return NULL;
}

static pthread_t launch(void *(*routine)(void *argument), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, routine, argument))
		bail_out("starting a thread");
	return thread;
}

static bool is_held(struct stage *stage)
{
	const time_t since = time(NULL);

	while (time(NULL) - since <= PATIENCE)
		if (region_ioctl(&stage->region, NOREF_HOLDS, NULL))
			return true;
	return false;
}

/* The VM's notifier must be younger than the one that holds. */
static void reopen(struct stage *stage)
{
	vm_close(&stage->vm);
	region_ioctl(&stage->region, NOREF_HOLD, host_page(stage, FIRST_GONE));
	vm_open(&stage->vm, 0, 2);
	vm_set_region(&stage->vm, &stage->region, 0);
}

/* Whether vCPUs fault again and again, and none gets anywhere. */
static bool wait_in_vain(const struct reader *readers)
{
	const time_t since = time(NULL);

	while (time(NULL) - since <= PATIENCE && !readers[0].done && !readers[1].done)
		if (calls_of(FAULT) > MANY)
			return true;
	ktap_detail("done=%d,%d value=%#lx,%#lx", readers[0].done, readers[1].done,
		    (long)readers[0].vcpu->value, (long)readers[1].vcpu->value);
	return false;
}

static bool sees(struct stage *stage, unsigned int page)
{
	return vm_call(&stage->vm, GUEST_LOAD, page_gpa(stage, page), 0) &&
	       equals("word", stage->vm.vcpus[0].value, page_pattern(stage, GUEST_PATTERN, page));
}

SCENARIO(held_fault, 5)
{
	static const char * const fault = FAULT;
	struct reader readers[2] = {};
	pthread_t discarder;

	reopen(stage);
	if (!guest_is_in(stage))
		return;
	/* Out of the guest's page tables, and in the host's. */
	vm_delete_region(&stage->vm);
	vm_set_region(&stage->vm, &stage->region, 0);
	/* Who discards has the mmap_lock, which the start of a thread needs. */
	count_calls(&fault, 1);
	for (unsigned int i = 0; i < 2; i++) {
		readers[i].vcpu = &stage->vm.vcpus[i];
		readers[i].gpa = page_gpa(stage, i ? LAST_GONE : FIRST_GONE);
		sem_init(&readers[i].start, 0, 0);
		readers[i].thread = launch(read_page, &readers[i]);
	}
	discarder = launch(discard, stage);
	ktap_exercise(is_held(stage), "an invalidation has begun, and waits");
	ktap_step(sees(stage, FIRST_GONE - 1) && sees(stage, LAST_GONE + 1),
		  "access: guest reads pages beside those meanwhile");
	for (unsigned int i = 0; i < 2; i++)
		sem_post(&readers[i].start);
	ktap_step(wait_in_vain(readers), "notifier: guest gets at none of them meanwhile");
	region_ioctl(&stage->region, NOREF_GO, NULL);
	pthread_join(discarder, NULL);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(readers[i].thread, NULL);
	ktap_step(readers[0].passed && readers[1].passed &&
		  equals("first", readers[0].vcpu->value, 0) &&
		  equals("last", readers[1].vcpu->value, 0),
		  "notifier: guest reads zeroes where pages are gone");
	region_adopt(&stage->region);
	ledger_before(&stage->region);
}
