// SPDX-License-Identifier: GPL-2.0-only
/*
 * An L1 that is restored from a file whose timers stand still: QEMU (7.2) saves
 * those of EL1, and not the hypervisor's, which an arm64 kernel at EL2 lives by.
 * The kernel waits for an interrupt that it takes for programmed.
 */
#include <linux/errno.h>
#include <linux/smp.h>

#include "noref.h"

/* kernel/time/hrtimer.c: programs the timer of this CPU anew. */
static smp_call_func_t retrigger;

/* Beforehand: what looks for it waits for RCU, and that for timers. */
void noref_find_rearm(void)
{
	retrigger = noref_find_function("retrigger_next_event");
}

int noref_rearm(void)
{
	if (!retrigger)
		return -EOPNOTSUPP;
	on_each_cpu(retrigger, NULL, 1);
	return 0;
}
