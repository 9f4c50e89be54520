// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks taken, held and dropped in the wrong way, and sleeping where one must
 * not.  Nothing here really deadlocks: lockdep speaks before it could.
 */
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "complain.h"

static DEFINE_MUTEX(mutex_a);
static DEFINE_MUTEX(mutex_b);
static DEFINE_RAW_SPINLOCK(raw_a);
static DEFINE_RAW_SPINLOCK(raw_b);
static DEFINE_SPINLOCK(spin_a);
static int *rcu_pointer;

static int complain_lock_circular(void)
{
	mutex_lock(&mutex_a);
	mutex_lock(&mutex_b);
	mutex_unlock(&mutex_b);
	mutex_unlock(&mutex_a);

	mutex_lock(&mutex_b);
	mutex_lock(&mutex_a);
	mutex_unlock(&mutex_a);
	mutex_unlock(&mutex_b);
	return 0;
}

/* Two locks of one class. */
static int complain_lock_recursive(void)
{
	struct mutex twins[2];

	for (int i = 0; i < ARRAY_SIZE(twins); i++)
		mutex_init(&twins[i]);

	mutex_lock(&twins[0]);
	mutex_lock(&twins[1]);
	mutex_unlock(&twins[1]);
	mutex_unlock(&twins[0]);
	return 0;
}

static void complain_lock_in_irq(struct irq_work *work)
{
	raw_spin_lock(&raw_a);
	raw_spin_unlock(&raw_a);
}

static struct irq_work lock_in_irq = IRQ_WORK_INIT_HARD(complain_lock_in_irq);

static int complain_lock_irq_state(void)
{
	raw_spin_lock(&raw_a);
	raw_spin_unlock(&raw_a);

	irq_work_queue(&lock_in_irq);
	irq_work_sync(&lock_in_irq);
	return 0;
}

/* raw_a is taken in interrupts, raw_b with interrupts on. */
static int complain_lock_irq_order(void)
{
	unsigned long flags;

	irq_work_queue(&lock_in_irq);
	irq_work_sync(&lock_in_irq);

	raw_spin_lock(&raw_b);
	raw_spin_unlock(&raw_b);

	raw_spin_lock_irqsave(&raw_a, flags);
	raw_spin_lock(&raw_b);
	raw_spin_unlock(&raw_b);
	raw_spin_unlock_irqrestore(&raw_a, flags);
	return 0;
}

static int complain_lock_bad_unlock(void)
{
	mutex_unlock(&mutex_a);
	return 0;
}

static int complain_lock_freed(void)
{
	struct mutex *mutex = kmalloc(sizeof(*mutex), GFP_KERNEL);

	if (!mutex)
		return -ENOMEM;

	mutex_init(mutex);
	mutex_lock(mutex);
	kfree(mutex);
	return 0;
}

static int complain_lock_held(void)
{
	mutex_lock(&mutex_a);
	return 0;
}

/* Zeroes, but no lock that anybody made. */
static int complain_lock_uninitialized(void)
{
	spinlock_t *lock = kzalloc(sizeof(*lock), GFP_KERNEL);

	if (!lock)
		return -ENOMEM;

	spin_lock(lock);
	spin_unlock(lock);
	kfree(lock);
	return 0;
}

static int complain_spin_unlocked(void)
{
	preempt_disable();
	spin_unlock(&spin_a);
	return 0;
}

static int complain_wait_context(void)
{
	raw_spin_lock(&raw_a);
	spin_lock(&spin_a);
	spin_unlock(&spin_a);
	raw_spin_unlock(&raw_a);
	return 0;
}

static int complain_rcu_dereference(void)
{
	return rcu_dereference(rcu_pointer) ? -EBUSY : 0;
}

static int complain_sleep_in_atomic(void)
{
	void *p;

	preempt_disable();
	p = kmalloc(64, GFP_KERNEL);
	preempt_enable();
	kfree(p);
	return 0;
}

static int complain_sleep_irqs_off(void)
{
	local_irq_disable();
	mutex_lock(&mutex_a);
	mutex_unlock(&mutex_a);
	local_irq_enable();
	return 0;
}

static int complain_sleep_in_rcu(void)
{
	rcu_read_lock();
	mutex_lock(&mutex_a);
	mutex_unlock(&mutex_a);
	rcu_read_unlock();
	return 0;
}

/* The scheduler sets the count right again. */
static int complain_schedule_in_atomic(void)
{
	preempt_disable();
	schedule_timeout_uninterruptible(1);
	return 0;
}

static int complain_preemptible(void)
{
	return smp_processor_id() < 0 ? -EBUSY : 0;
}

static void complain_leaky_work(struct work_struct *work)
{
	mutex_lock(&mutex_b);
}

static DECLARE_WORK(leaky_work, complain_leaky_work);

/* In a queue of its own, and not flushed: lockdep would find more than that. */
static int complain_work_leak(void)
{
	struct workqueue_struct *queue;

	queue = alloc_workqueue("complain", WQ_UNBOUND, 1);
	if (!queue)
		return -ENOMEM;

	queue_work(queue, &leaky_work);
	schedule_timeout_uninterruptible(HZ / 2);
	return 0;
}

const struct complaint complain_locks[] = {
	COMPLAINT(lock_circular),
	COMPLAINT(lock_recursive),
	COMPLAINT(lock_irq_state),
	COMPLAINT(lock_irq_order),
	COMPLAINT(lock_bad_unlock),
	COMPLAINT(lock_freed),
	COMPLAINT(lock_held),
	COMPLAINT(lock_uninitialized),
	COMPLAINT(spin_unlocked),
	COMPLAINT(wait_context),
	COMPLAINT(rcu_dereference),
	COMPLAINT(sleep_in_atomic),
	COMPLAINT(sleep_irqs_off),
	COMPLAINT(sleep_in_rcu),
	COMPLAINT(schedule_in_atomic),
	COMPLAINT(preemptible),
	COMPLAINT(work_leak),
	{ }
};
