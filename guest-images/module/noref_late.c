// SPDX-License-Identifier: GPL-2.0-only
/*
 * A swap at the last moment: when a thread is about to take a VM's mmu_lock, as
 * a fault does that has looked up its page and found no notifier at work.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "noref.h"

/* Microseconds, at least, that the thread waits for the swap's notifier, interrupts off. */
#define PATIENCE	1000000

struct noref_late {
	struct kprobe probes[2];
	struct work_struct swap;
	struct noref_region *region;
	struct file *file;
	struct file *vm;
	struct task_struct *thread;
	bool begun;
	bool met;
};

static void swap_now(struct work_struct *work)
{
	struct noref_late *late = container_of(work, struct noref_late, swap);

	noref_swap(late->file, late->region);
}

static struct noref_late *armed;

static int before_lock(struct kprobe *probe, struct pt_regs *regs)
{
	struct noref_late *late = READ_ONCE(armed);
	struct kvm *kvm;
	unsigned long seq;
	unsigned int other;

	if (!late || current != late->thread || late->begun)
		return 0;
	kvm = late->vm->private_data;
	other = cpumask_any_but(cpu_online_mask, smp_processor_id());
	if (regs_get_kernel_argument(regs, 0) != (unsigned long)&kvm->mmu_lock ||
	    other >= nr_cpu_ids)
		return 0;
	late->begun = true;
	seq = READ_ONCE(kvm->mmu_invalidate_seq);
	queue_work_on(other, system_wq, &late->swap);
	/* Begun, or over already. */
	for (unsigned int i = 0; i < PATIENCE && !late->met; i++) {
		late->met = READ_ONCE(kvm->mmu_invalidate_in_progress) ||
			    READ_ONCE(kvm->mmu_invalidate_seq) != seq;
		udelay(1);
	}
	return 0;
}

int noref_swap_late(struct noref_region *region, struct file *file, int vm)
{
	static const char * const locks[] = { "_raw_read_lock", "_raw_write_lock" };
	struct kprobe *probes[ARRAY_SIZE(locks)];
	struct noref_late *late;
	int r;

	late = kzalloc(sizeof(*late), GFP_KERNEL);
	if (!late)
		return -ENOMEM;
	late->vm = fget(vm);
	if (!late->vm) {
		kfree(late);
		return -EBADF;
	}
	late->region = region;
	late->file = file;
	late->thread = current;
	INIT_WORK(&late->swap, swap_now);
	for (unsigned int i = 0; i < ARRAY_SIZE(locks); i++) {
		probes[i] = &late->probes[i];
		probes[i]->symbol_name = locks[i];
		probes[i]->pre_handler = before_lock;
	}
	if (cmpxchg(&armed, NULL, late)) {
		r = -EBUSY;
		goto out;
	}
	r = register_kprobes(probes, ARRAY_SIZE(probes));
	if (!r)
		return 0;
	WRITE_ONCE(armed, NULL);
out:
	fput(late->vm);
	kfree(late);
	return r;
}

int noref_swapped_late(struct noref_region *region)
{
	struct noref_late *late = READ_ONCE(armed);
	struct kprobe *probes[ARRAY_SIZE(late->probes)];
	bool met;

	if (!late || late->region != region)
		return 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(probes); i++)
		probes[i] = &late->probes[i];
	unregister_kprobes(probes, ARRAY_SIZE(probes));
	flush_work(&late->swap);
	WRITE_ONCE(armed, NULL);
	met = late->met;
	fput(late->vm);
	kfree(late);
	return met;
}
