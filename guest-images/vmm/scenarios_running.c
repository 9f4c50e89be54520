// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU writes to a page without a pause, and never leaves the guest by itself,
 * while the host changes what the page is: what the vCPU's TLB has of it must
 * be gone, too, before the host goes on.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "ktap.h"
#include "replace.h"
#include "steps.h"

#define ROUNDS		10
/* Where a vCPU that leaves the guest meanwhile, as for a timer, hides what is looked for. */
#define MANY_ROUNDS	100
/* Seconds in which a vCPU writes again, or finds out that it can't, on a busy machine too. */
#define PATIENCE	10

static pthread_t thread;
static atomic_bool running;

static void do_nothing(int signal)
{
	(void)signal;
}

static void *touch(void *argument)
{
	struct stage *stage = argument;

	vcpu_call(&stage->vm.vcpus[0], GUEST_TOUCH, REGION_GPA, 0);
	atomic_store(&running, false);
	return NULL;
}

static uint64_t word(struct stage *stage)
{
	return __atomic_load_n(host_page(stage, 0), __ATOMIC_RELAXED);
}

static bool in_time(time_t since)
{
	return time(NULL) - since <= PATIENCE;
}

/* Whether the vCPU writes to the page that the host sees. */
static bool writes_on(struct stage *stage)
{
	const uint64_t before = word(stage);
	const time_t since = time(NULL);

	while (atomic_load(&running) && in_time(since))
		if (word(stage) - before >= 2)
			return true;
	ktap_detail("word=%#lx before=%#lx running=%d errno=%d exit=%u", (long)word(stage),
		    (long)before, atomic_load(&running), stage->vm.vcpus[0].error,
		    stage->vm.vcpus[0].exit);
	return false;
}

static void launch(struct stage *stage, void *(*routine)(void *stage))
{
	const struct sigaction action = { .sa_handler = do_nothing };

	sigaction(SIGUSR1, &action, NULL);
	atomic_store(&running, true);
	if (pthread_create(&thread, NULL, routine, stage))
		bail_out("starting a vCPU's thread");
}

static bool start(struct stage *stage)
{
	launch(stage, touch);
	return writes_on(stage);
}

static void stop(struct stage *stage)
{
	struct kvm_run *run = stage->vm.vcpus[0].run;

	run->immediate_exit = 1;
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	run->immediate_exit = 0;
}

static bool comes_out(void)
{
	const time_t since = time(NULL);

	while (atomic_load(&running) && in_time(since))
		;
	return !atomic_load(&running);
}

/* Whether the vCPU ended by itself; it is ended if it didn't. */
static bool ends(struct stage *stage)
{
	bool ended = comes_out();

	stop(stage);
	return ended;
}

/* The first two steps of all of them. */
static bool guest_is_running(struct stage *stage)
{
	return guest_is_in(stage) &&
	       ktap_step(start(stage), "access: guest writes a page for ever");
}

static bool old_page_rests(struct stage *stage)
{
	uint64_t sum = sum_of_old(stage, 0);

	return writes_on(stage) && equals("sum", sum_of_old(stage, 0), sum);
}

SCENARIO(running_replace, 3)
{
	struct replaced replaced;
	bool passed = true;

	if (!guest_is_running(stage))
		return;
	for (unsigned int i = 0; passed && i < ROUNDS; i++) {
		replace(stage, &replaced);
		passed = old_page_rests(stage);
		replace_back(stage, &replaced);
		/* Not before the fault is over: taken away in its middle, a page is refused. */
		passed = passed && writes_on(stage);
	}
	ktap_step(passed, "notifier: guest writes to the new page, and no more to the old one");
	stop(stage);
}

/* Whether the guest, which can't write any more, hasn't done so since. */
static bool page_rests(struct stage *stage)
{
	const uint64_t before = word(stage);

	return ends(stage) && equals("word", word(stage), before);
}

/* Take away what the guest writes to while it does so, and give it back, many times. */
static bool rests_when_taken(struct stage *stage, void (*take)(struct stage *stage),
			     void (*give_back)(struct stage *stage))
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		bool passed = !i || start(stage);

		take(stage);
		passed = page_rests(stage) && passed;
		give_back(stage);
		if (!passed)
			return false;
	}
	return true;
}

static void make_read_only(struct stage *stage)
{
	if (mprotect(stage->region.host, region_size(&stage->region), PROT_READ))
		bail_out("mprotect");
}

static void make_writable(struct stage *stage)
{
	if (mprotect(stage->region.host, region_size(&stage->region), PROT_READ | PROT_WRITE))
		bail_out("mprotect");
}

SCENARIO(running_protect, 3)
{
	if (guest_is_running(stage))
		ktap_step(rests_when_taken(stage, make_read_only, make_writable),
			  "notifier: guest doesn't write any more what the host may only read");
}

static void delete_slot(struct stage *stage)
{
	vm_delete_region(&stage->vm);
}

static void set_slot(struct stage *stage)
{
	vm_set_region(&stage->vm, &stage->region, 0);
}

SCENARIO(running_slot, 3)
{
	if (guest_is_running(stage))
		ktap_step(rests_when_taken(stage, delete_slot, set_slot),
			  "notifier: guest doesn't write any more when the slot is gone");
}

SCENARIO(running_log, 3)
{
	bool passed = true;

	if (!guest_is_running(stage))
		return;
	vm_set_region(&stage->vm, &stage->region, KVM_MEM_LOG_DIRTY_PAGES);
	for (unsigned int i = 0; passed && i < MANY_ROUNDS; i++)
		passed = writes_on(stage) && equals("dirty", get_log(stage), 1);
	ktap_step(passed, "integrity: what the guest wrote since the log was fetched is in it");
	stop(stage);
}

SCENARIO(running_age, 3)
{
	bool passed = true;

	if (!guest_is_running(stage))
		return;
	for (unsigned int i = 0; passed && i < MANY_ROUNDS; i++) {
		age_pages(stage, NOREF_CLEAR_FLUSH_YOUNG, 0, 1);
		passed = writes_on(stage) &&
			 equals("young", age_pages(stage, NOREF_TEST_YOUNG, 0, 1), 1);
	}
	ktap_step(passed, "notifier: what the guest wrote since its age was cleared is young");
	stop(stage);
}

static void *store(void *argument)
{
	struct stage *stage = argument;

	vcpu_call(&stage->vm.vcpus[0], GUEST_STORE, REGION_GPA, GUEST_PATTERN);
	atomic_store(&running, false);
	return NULL;
}

static bool vcpu_waits(struct stage *stage)
{
	const time_t since = time(NULL);

	while (atomic_load(&running) && in_time(since))
		if (region_ioctl(&stage->region, NOREF_BUSY, NULL))
			return true;
	return false;
}

/* A page may be long in coming, as while a VM migrates; its vCPU must not be stuck meanwhile. */
SCENARIO(interrupted, 4)
{
	const struct vcpu *vcpu = &stage->vm.vcpus[0];
	bool ended;

	region_ioctl(&stage->region, NOREF_BUSY, NULL);
	launch(stage, store);
	ktap_exercise(vcpu_waits(stage), "the vCPU's fault waits for its page");
	pthread_kill(thread, SIGUSR1);
	ended = comes_out();
	region_ioctl(&stage->region, NOREF_IDLE, NULL);
	pthread_join(thread, NULL);
	ktap_step(ended && equals("errno", vcpu->error, EINTR),
		  "access: a signal interrupts a vCPU that waits for a page");
	if (guest_is_in(stage))
		ktap_step(host_sees(stage, GUEST_PATTERN),
			  "access: host reads what the guest wrote");
}
