// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is neither stuck nor a fault: an interrupt that nobody wants, an inode
 * that outlives its mount, a race.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/namei.h>
#include <linux/numa.h>
#include <linux/path.h>
#include <linux/sched.h>

#include "complain.h"

/* What note_interrupt() in kernel/irq/spurious.c counts to. */
#define MANY_IRQS	100000

static irqreturn_t not_mine(int irq, void *unused)
{
	return IRQ_NONE;
}

static int complain_irq(void)
{
	int irq, r;

	irq = irq_alloc_desc(NUMA_NO_NODE);
	if (irq < 0)
		return irq;

	irq_set_chip_and_handler(irq, &dummy_irq_chip, handle_simple_irq);
	r = request_irq(irq, not_mine, 0, "complain", NULL);
	if (!r) {
		for (int i = 0; i < MANY_IRQS; i++)
			generic_handle_irq_safe(irq);
		free_irq(irq, NULL);
	}
	irq_free_desc(irq);
	return r;
}

/* Whoever unmounts /mnt next finds that its root is still in use. */
static int complain_vfs_busy(void)
{
	struct path path;
	int r;

	r = kern_path("/mnt", LOOKUP_FOLLOW, &path);
	if (r)
		return r;

	ihold(d_inode(path.dentry));
	path_put(&path);
	return 0;
}

static unsigned int raced_for;

static int complain_racer(void *unused)
{
	for (unsigned int i = 0; !kthread_should_stop(); i++) {
		raced_for = i;
		cond_resched();
	}
	return 0;
}

/* KCSAN says of two places that they race once in 3 s. */
static int complain_race(void)
{
	unsigned long end = jiffies + 2 * HZ;
	struct task_struct *thread;
	unsigned int seen = 0;

	thread = kthread_run(complain_racer, NULL, "racer");
	if (IS_ERR(thread))
		return PTR_ERR(thread);

	while (time_before(jiffies, end)) {
		seen |= raced_for;
		cond_resched();
	}
	kthread_stop(thread);
	return seen ? 0 : -EAGAIN;
}

const struct complaint complain_rest[] = {
	COMPLAINT(irq),
	COMPLAINT(vfs_busy),
	COMPLAINT(race),
	{ }
};
