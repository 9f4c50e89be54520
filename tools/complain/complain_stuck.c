// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs, tasks and workers that are stuck, for a while: each goes on after one
 * report, given the thresholds that tools/dmesg_data.py sets.
 */
#include <linux/irqflags.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/timex.h>
#include <linux/workqueue.h>
#ifdef CONFIG_X86
#include <asm/tsc.h>
#else
#include <asm/sysreg.h>
#endif

#include "complain.h"

/* No calls, so that an interrupt finds nobody but the caller. */
#ifdef CONFIG_X86
#define ticks()			get_cycles()
#define ticks_per_second()	(1000ull * tsc_khz)
#else
#define ticks()			read_sysreg(cntvct_el0)
#define ticks_per_second()	read_sysreg(cntfrq_el0)
#endif

static __always_inline void spin(unsigned int seconds)
{
	unsigned long long end = ticks() + ticks_per_second() * seconds;

	while (ticks() < end)
		barrier();
}

/*
 * With a threshold of 3 s the watchdog looks every 1.2 s whether there were
 * more than 6 units of 2^30 ns, and says so after 8.7 s at the latest
 * (get_timestamp(), is_softlockup() in kernel/watchdog.c).
 */
static int complain_soft_lockup(void)
{
	preempt_disable();
	spin(10);
	preempt_enable();
	return 0;
}

static int complain_hard_lockup(void)
{
	local_irq_disable();
	spin(10);
	local_irq_enable();
	return 0;
}

static void after_grace_period(struct rcu_head *unused)
{
}

/* With PROVE_RCU the kernel waits for five seconds longer than it was told. */
static int complain_rcu_stall(void)
{
	static struct rcu_head head;

	call_rcu(&head, after_grace_period);
	preempt_disable();
	spin(11);
	preempt_enable();
	rcu_barrier();
	return 0;
}

static int complain_hung_task(void)
{
	schedule_timeout_uninterruptible(12 * HZ);
	return 0;
}

static void complain_busy_work(struct work_struct *work)
{
	preempt_disable();
	spin(7);
	preempt_enable();
}

static void do_nothing(struct work_struct *work)
{
}

static DECLARE_WORK(busy_work, complain_busy_work);
static DECLARE_WORK(waiting_work, do_nothing);

static int complain_workqueue(void)
{
	schedule_work_on(0, &busy_work);
	schedule_work_on(0, &waiting_work);
	flush_work(&waiting_work);
	return 0;
}

const struct complaint complain_stuck[] = {
	COMPLAINT(soft_lockup),
	COMPLAINT(hard_lockup),
	COMPLAINT(rcu_stall),
	COMPLAINT(hung_task),
	COMPLAINT(workqueue),
	{ }
};
