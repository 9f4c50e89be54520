// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several vCPUs at work while the host changes the memory under them.  The
 * order of what they do is that of a fixed seed; the races are the machine's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ktap.h"
#include "ledger.h"
#include "steps.h"

#define VCPUS		2
#define ACCESSES	100
#define ROUNDS		100
/* Until a storm has met what it is there to meet, which a busy machine delays. */
#define MAX_ROUNDS	(150 * ROUNDS)
/* For one access: far more than it takes, and less than a cell may. */
#define MAX_EXCUSES	100000
#define SEED		0x6e6f726566ul

/* What a vCPU may find in a word beside what it wrote there last. */
enum loss { NOTHING, ZERO, WHAT_WAS_THERE_BEFORE };

/* What one vCPU does: each has a word of its own in every page. */
struct worker {
	struct stage *stage;
	struct vcpu *vcpu;
	pthread_t thread;
	bool (*excused)(const struct vcpu *vcpu);
	enum loss loss;
	uint64_t random;
	uint64_t last[NOREF_MAX_PAGES];
	unsigned int excuses;
	unsigned int interrupted;
	bool failed;
	uint64_t got;
	unsigned int page;
};

static struct worker workers[VCPUS];
static atomic_bool storming;
/* What the storm may wait for, without taking a CPU from the vCPUs. */
static pthread_mutex_t progress = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t got_on = PTHREAD_COND_INITIALIZER;
static unsigned int at_work;
static unsigned int accesses;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static bool call(struct worker *worker, enum guest_op op, uint64_t value)
{
	uint64_t gpa = page_gpa(worker->stage, worker->page) +
		       worker->vcpu->index * sizeof(uint64_t);
	unsigned int excuses = 0;

	while (!vcpu_call(worker->vcpu, op, gpa, value)) {
		if (!worker->excused || !worker->excused(worker->vcpu) ||
		    ++excuses > MAX_EXCUSES)
			return false;
		worker->excuses++;
		worker->interrupted += worker->vcpu->error == EINTR;
	}
	return true;
}

static bool may_find(const struct worker *worker, uint64_t want)
{
	return worker->got == want || (worker->loss == ZERO && !worker->got) ||
	       (worker->loss == WHAT_WAS_THERE_BEFORE && worker->got < want);
}

static bool access_once(struct worker *worker, uint64_t value)
{
	uint64_t want;

	worker->page = next_random(&worker->random) % worker->stage->region.npages;
	want = worker->last[worker->page];
	if (!call(worker, GUEST_LOAD, 0))
		return false;
	worker->got = worker->vcpu->value;
	if (!may_find(worker, want))
		return false;
	worker->last[worker->page] = value;
	return call(worker, GUEST_STORE, value);
}

/* One access more, or, at the end, one worker less. */
static void get_on(bool ended)
{
	pthread_mutex_lock(&progress);
	accesses += !ended;
	at_work -= ended;
	pthread_cond_signal(&got_on);
	pthread_mutex_unlock(&progress);
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	for (uint64_t i = 1; !worker->failed && (i <= ACCESSES || atomic_load(&storming)); i++) {
		worker->failed = !access_once(worker, i);
		get_on(false);
	}
	get_on(true);
	return NULL;
}

/* Wait for so many accesses, unless there won't be any more. */
static void wait_for_accesses(unsigned int wanted)
{
	pthread_mutex_lock(&progress);
	for (unsigned int seen = accesses; at_work && accesses - seen < wanted;)
		pthread_cond_wait(&got_on, &progress);
	pthread_mutex_unlock(&progress);
}

/*
 * What the guest may not do now it may do later: the VMM tries again.  Also for
 * a page that is revoked between KVM's faulting it in and looking it up, which
 * hva_to_pfn_remapped() takes for a failure and not for a race.
 */
static bool while_not_allowed(const struct vcpu *vcpu)
{
	return vcpu->error == EFAULT;
}

/* Before a storm, that no excuse is good for: the guest can use the memory. */
static bool can_write(struct stage *stage)
{
	for (unsigned int i = 0; i < stage->region.npages; i++)
		if (!vm_call(&stage->vm, GUEST_STORE, page_gpa(stage, i), 0))
			return ktap_step(false, "access: guest writes all pages");
	return ktap_step(true, "access: guest writes all pages");
}

/*
 * Returns whether every access came through and saw what it should.  @met: what
 * the storm goes on for, if there is anything.
 */
static bool storm(struct stage *stage, void (*disturb)(struct stage *stage),
		  bool (*excused)(const struct vcpu *vcpu),
		  bool (*met)(struct stage *stage), enum loss loss)
{
	unsigned int rounds = 0, excuses = 0;
	bool passed = true;

	atomic_store(&storming, true);
	at_work = VCPUS;
	for (unsigned int i = 0; i < VCPUS; i++) {
		struct worker *worker = &workers[i];

		*worker = (struct worker) {
			.stage = stage,
			.vcpu = &stage->vm.vcpus[i],
			.excused = excused,
			.loss = loss,
			.random = SEED + i,
		};
		if (pthread_create(&worker->thread, NULL, work, worker))
			bail_out("starting a vCPU's thread");
	}
	/* It comes to an end: one that doesn't lets nobody through. */
	while (rounds < ROUNDS || (rounds < MAX_ROUNDS && met && !met(stage)))
		for (unsigned int i = 0; i < ROUNDS; i++, rounds++)
			disturb(stage);
	atomic_store(&storming, false);
	for (unsigned int i = 0; i < VCPUS; i++) {
		struct worker *worker = &workers[i];

		pthread_join(worker->thread, NULL);
		excuses += worker->excuses;
		if (!worker->failed)
			continue;
		passed = false;
		ktap_detail("vcpu=%u page=%u got=%#lx last=%#lx errno=%d exit=%u", i,
			    worker->page, (long)worker->got,
			    (long)worker->last[worker->page],
			    worker->vcpu->error, worker->vcpu->exit);
	}
	ktap_detail("rounds=%u excuses=%u faults=%lu retries=%lu",
		    rounds, excuses,
		    (long)arch_faults_taken(&stage->vm),
		    (long)arch_faults_retried(&stage->vm));
	return passed;
}

/* What each vCPU wrote last is in its page, seen through the host's mapping. */
static bool last_is_there(struct stage *stage)
{
	for (unsigned int i = 0; i < VCPUS; i++)
		for (unsigned int page = 0; page < stage->region.npages; page++)
			if (workers[i].last[page] &&
			    !equals("word", host_page(stage, page)[i],
				    workers[i].last[page]))
				return false;
	return true;
}

/* Two steps: no side has other pages than the other. */
static void check_views(struct stage *stage)
{
	ktap_step(last_is_there(stage),
		  "notifier: host reads what was written last");
	host_fills(stage, LATER_PATTERN);
	ktap_step(guest_sees(stage, LATER_PATTERN),
		  "notifier: guest reads what the host writes afterwards");
}

/*
 * A fault that a vCPU is in just now looks like one that was retried, and so
 * does one that failed.
 */
static bool met_retry(struct stage *stage)
{
	unsigned int failed = 0;

	for (unsigned int i = 0; i < VCPUS; i++)
		failed += workers[i].excuses;
	return arch_faults_retried(&stage->vm) > VCPUS + failed;
}

static void revoke_all(struct stage *stage)
{
	region_ioctl(&stage->region, NOREF_REVOKE, NULL);
}

SCENARIO(storm_revoke, 5, .vcpus = VCPUS)
{
	if (!can_write(stage) ||
	    !ktap_step(storm(stage, revoke_all, while_not_allowed, met_retry, NOTHING),
		       "access: every access under a storm of revokes comes through"))
		return;
	check_views(stage);
	ktap_exercise(met_retry(stage), "a fault met a notifier and was retried");
}

/* A retry that KVM forgets has to meet the notifier between two looks for it. */
static bool met_many_retries(struct stage *stage)
{
	return arch_faults_retried(&stage->vm) > 60 * VCPUS;
}

static bool spoiled;

static uint64_t sum_of_spare(struct stage *stage)
{
	unsigned int npages;
	struct noref_page *pages = ledger_read(&stage->region, &npages);
	uint64_t sum = 0;

	for (unsigned int i = stage->region.npages; i < npages; i++)
		sum += pages[i].sum;
	free(pages);
	return sum;
}

/* Whoever finds a page from now on finds the new one. */
static void swap(struct stage *stage)
{
	uint64_t sum;

	region_ioctl(&stage->region, NOREF_SWAP, NULL);
	sum = sum_of_spare(stage);
	wait_for_accesses(2 * VCPUS);
	spoiled |= sum_of_spare(stage) != sum;
}

SCENARIO(storm_replace, 4, .vcpus = VCPUS)
{
	if (!can_write(stage) ||
	    !ktap_step(storm(stage, swap, while_not_allowed, met_many_retries,
			     WHAT_WAS_THERE_BEFORE),
		       "access: every access under a storm of new pages comes through"))
		return;
	ktap_step(!spoiled, "notifier: no page was written after it was replaced");
	ktap_exercise(met_retry(stage), "a fault met a notifier and was retried");
}

static unsigned int taken;

static void take_all_access(struct stage *stage)
{
	const struct region *region = &stage->region;

	taken++;

	if (mprotect(region->host, region_size(region), PROT_NONE) ||
	    mprotect(region->host, region_size(region), PROT_READ | PROT_WRITE))
		bail_out("mprotect");
}

/*
 * Few faults meet the notifier when all that is left for them is to be mapped:
 * there is one chance a round.
 */
static bool met_many_rounds(struct stage *stage)
{
	(void)stage;
	return taken >= 5 * ROUNDS;
}

SCENARIO(storm_mprotect, 4, .vcpus = VCPUS)
{
	if (!can_write(stage) ||
	    !ktap_step(storm(stage, take_all_access, while_not_allowed,
			     met_many_rounds, NOTHING),
		       "access: every access comes through once it is allowed"))
		return;
	check_views(stage);
}

/*
 * One half, then the other: a fault in the one may meet the neighbours going
 * away.  Not again before a vCPU has got on: retries are not what this storm is
 * about.
 */
static void discard(struct stage *stage)
{
	unsigned int half = stage->region.npages / 2;
	static bool upper;

	upper = !upper;
	if (madvise(host_page(stage, upper ? half : 0), half * stage->region.page_size,
		    MADV_DONTNEED))
		bail_out("MADV_DONTNEED");
	wait_for_accesses(1);
}

/* Several times what L1 keeps or gives back of itself meanwhile. */
#define MANY_FAULTS	1000

static bool met_faults(struct stage *stage)
{
	return arch_faults_fixed(&stage->vm) > MANY_FAULTS;
}

/* Free pages, when no page is kept for later that can be had now. */
static long free_pages(struct stage *stage)
{
	unsigned int npages;
	char line[128];
	long kib = -1;
	FILE *file;

	free(ledger_read(&stage->region, &npages));	/* it drains */
	file = fopen("/proc/meminfo", "r");
	while (file && kib < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "MemFree: %ld kB", &kib);
	if (kib < 0)
		bail_out("reading /proc/meminfo");
	fclose(file);
	return kib * 1024 / (long)stage->region.page_size;
}

/*
 * Every fault gets a new page, which nobody has when it is discarded: a leak of
 * one reference per fault shows in what is left of L1's memory.
 */
SCENARIO(storm_discard, 5, .vcpus = VCPUS)
{
	long before, lost;
	uint64_t faults;

	if (!can_write(stage))
		return;
	before = free_pages(stage);
	if (!ktap_step(storm(stage, discard, NULL, met_faults, ZERO),
		       "access: every access under a storm of discards comes through"))
		return;
	faults = arch_faults_fixed(&stage->vm);
	ktap_exercise(met_faults(stage), "pages were discarded in use");
	host_fills(stage, LATER_PATTERN);
	ktap_step(guest_sees(stage, LATER_PATTERN),
		  "notifier: guest reads what the host writes afterwards");
	vm_close(&stage->vm);
	lost = before - free_pages(stage);
	ktap_detail("lost_pages=%ld", lost);
	ktap_step(lost < (long)faults / 2,
		  "refcounts: the discarded pages were free again");
	region_adopt(&stage->region);
	ledger_before(&stage->region);
}

static void replace_slot(struct stage *stage)
{
	vm_delete_region(&stage->vm);
	vm_set_region(&stage->vm, &stage->region, 0);
}

static bool while_no_slot(const struct vcpu *vcpu)
{
	return !vcpu->error && vcpu->exit == KVM_EXIT_MMIO;
}

SCENARIO(storm_slot, 4, .vcpus = VCPUS)
{
	if (!can_write(stage) ||
	    !ktap_step(storm(stage, replace_slot, while_no_slot, NULL, NOTHING),
		       "access: every access comes through while there is a slot"))
		return;
	check_views(stage);
}

static uint64_t logged;

static void collect_log(struct stage *stage)
{
	logged |= get_log(stage);
}

SCENARIO(storm_dirty_log, 6, .vcpus = VCPUS)
{
	uint64_t written = 0;

	if (!can_write(stage))
		return;
	vm_set_region(&stage->vm, &stage->region, KVM_MEM_LOG_DIRTY_PAGES);
	get_log(stage);
	logged = 0;
	if (!ktap_step(storm(stage, collect_log, NULL, NULL, NOTHING),
		       "access: every access comes through while the log is fetched"))
		return;
	collect_log(stage);
	for (unsigned int i = 0; i < VCPUS; i++)
		for (unsigned int page = 0; page < stage->region.npages; page++)
			written |= (uint64_t)!!workers[i].last[page] << page;
	ktap_step(equals("logged", logged, written),
		  "integrity: the log has the pages that were written");
	ktap_step(equals("logged", get_log(stage), 0),
		  "integrity: nothing is dirty when nobody writes");
	check_views(stage);
}

static void interrupt(struct stage *stage)
{
	for (unsigned int i = 0; i < VCPUS; i++)
		pthread_kill(workers[i].thread, SIGUSR1);
	region_ioctl(&stage->region, NOREF_REVOKE, NULL);
}

static bool when_interrupted(const struct vcpu *vcpu)
{
	return vcpu->error == EINTR;
}

static bool when_interrupted_or_revoked(const struct vcpu *vcpu)
{
	return vcpu->error == EINTR || while_not_allowed(vcpu);
}

static void do_nothing(int signal)
{
	(void)signal;
}

static bool met_signal(struct stage *stage)
{
	unsigned int interrupted = 0;

	(void)stage;
	for (unsigned int i = 0; i < VCPUS; i++)
		interrupted += workers[i].interrupted;
	return interrupted;
}

SCENARIO(storm_signal, 5, .vcpus = VCPUS)
{
	struct sigaction action = { .sa_handler = do_nothing };

	sigaction(SIGUSR1, &action, NULL);
	if (!can_write(stage) ||
	    !ktap_step(storm(stage, interrupt,
			     region_is_pinned(&stage->region) ? when_interrupted :
								when_interrupted_or_revoked,
			     met_signal, NOTHING),
		       "access: every access comes through in the end"))
		return;
	ktap_exercise(met_signal(stage), "a signal met a vCPU");
	check_views(stage);
}
