// SPDX-License-Identifier: GPL-2.0-only
/*
 * Warnings in every form and from every context, and what the CPU or the
 * compiler's checks catch.
 */
#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/objtool.h>
#include <linux/panic.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "complain.h"

/* Read and written by READ_ONCE() and WRITE_ONCE(): the compiler knows no value. */
static int zero;
static int forty = 40;
static int result;
static unsigned char no_bool = 7;
static int array[8];

/* On x86 just below the kernel's text, on arm64 where a struct page might be. */
#define UNMAPPED	((int *)0xffffffff12345678)
#define NOT_CANONICAL	((int *)0xdead1122deadbee0)

static int complain_warn(void)
{
	WARN_ON(!READ_ONCE(zero) && READ_ONCE(forty) > 39);
	return 0;
}

static int complain_warn_once(void)
{
	for (int i = 0; i < READ_ONCE(forty); i++)
		WARN_ON_ONCE(!READ_ONCE(zero));
	return 0;
}

static int complain_warn_lines(void)
{
	WARN(1, "first line: %d\nsecond line: BUG: of nothing\n", READ_ONCE(forty));
	return 0;
}

static void complain_in_irq(struct irq_work *work)
{
	WARN_ON(!READ_ONCE(zero));
}

static struct irq_work in_irq = IRQ_WORK_INIT_HARD(complain_in_irq);

static int complain_warn_irq(void)
{
	irq_work_queue(&in_irq);
	irq_work_sync(&in_irq);
	return 0;
}

static void complain_in_work(struct work_struct *work)
{
	WARN_ON(!READ_ONCE(zero));
}

static DECLARE_WORK(in_work, complain_in_work);

static int complain_warn_work(void)
{
	schedule_work(&in_work);
	flush_work(&in_work);
	return 0;
}

static int complain_in_thread(void *unused)
{
	WARN_ON(!READ_ONCE(zero));
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

/* A name with all that makes names hard to read. */
static int complain_warn_thread(void)
{
	struct task_struct *thread;

	thread = kthread_run(complain_in_thread, NULL, "a b/c:1 [d]");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	schedule_timeout_uninterruptible(HZ / 4);
	kthread_stop(thread);
	return 0;
}

static int complain_bug(void)
{
	BUG_ON(!READ_ONCE(zero));
	return 0;
}

static int complain_null(void)
{
	struct task_struct *task = NULL;

	OPTIMIZER_HIDE_VAR(task);
	WRITE_ONCE(result, READ_ONCE(task->exit_code));
	return 0;
}

static int complain_page_fault(void)
{
	WRITE_ONCE(result, READ_ONCE(*UNMAPPED));
	return 0;
}

static int complain_protection(void)
{
	WRITE_ONCE(result, READ_ONCE(*NOT_CANONICAL));
	return 0;
}

static int complain_divide(void)
{
	WRITE_ONCE(result, READ_ONCE(forty) / READ_ONCE(zero));
	return 0;
}

static int complain_opcode(void)
{
#ifdef CONFIG_X86
	/* Undefined outside of system management mode. */
	asm volatile("rsm" : : : "memory");
#else
	asm volatile("udf #0" : : : "memory");
#endif
	return 0;
}

#ifdef CONFIG_X86
/* The push faults, and so does the exception, which has no other stack. */
static int complain_double_fault(void)
{
	asm volatile("xorl %%esp, %%esp; pushq $0" : : : "memory");
	return 0;
}
STACK_FRAME_NON_STANDARD(complain_double_fault);
#endif

#ifdef CONFIG_ARM64
/* A breakpoint that nobody has asked for. */
static int complain_breakpoint(void)
{
	asm volatile("brk #0x999" : : : "memory");
	return 0;
}

/* A jump to where no instruction begins: into the middle of the first one. */
static int complain_pc_align(void)
{
	unsigned long middle = (unsigned long)complain_pc_align + 2;

	OPTIMIZER_HIDE_VAR(middle);
	return ((int (*)(void))middle)();
}

/* An exception on the wrong stack pointer: the machine dies of it. */
static int complain_stack_pointer(void)
{
	asm volatile("msr spsel, #0; udf #0" : : : "memory");
	return 0;
}
#endif

static int complain_shift(void)
{
	WRITE_ONCE(result, 1 << READ_ONCE(forty));
	return 0;
}

static int complain_bool(void)
{
	WRITE_ONCE(result, READ_ONCE(*(bool *)&no_bool));
	return 0;
}

static int complain_bounds(void)
{
	array[READ_ONCE(forty) / 5] = 1;
	return 0;
}

static int complain_panic(void)
{
	panic("complain: nothing works\n");
	return 0;
}

/* No complaint, only somebody who wants to know. */
static int complain_dump_stack(void)
{
	pr_info("complain: how did I get here?\n");
	dump_stack();
	return 0;
}

static int complain_oops_irq_off(void)
{
	local_irq_disable();
	WRITE_ONCE(result, READ_ONCE(*UNMAPPED));
	local_irq_enable();
	return 0;
}

static void complain_fault_in_irq(struct irq_work *work)
{
	WRITE_ONCE(result, READ_ONCE(*UNMAPPED));
}

static struct irq_work fault_in_irq = IRQ_WORK_INIT_HARD(complain_fault_in_irq);

/* The machine dies of it. */
static int complain_oops_irq(void)
{
	irq_work_queue(&fault_in_irq);
	irq_work_sync(&fault_in_irq);
	return 0;
}

const struct complaint complain_faults[] = {
	COMPLAINT(warn),
	COMPLAINT(warn_once),
	COMPLAINT(warn_lines),
	COMPLAINT(warn_irq),
	COMPLAINT(warn_work),
	COMPLAINT(warn_thread),
	COMPLAINT(bug),
	COMPLAINT(null),
	COMPLAINT(page_fault),
	COMPLAINT(protection),
	COMPLAINT(divide),
	COMPLAINT(opcode),
#ifdef CONFIG_X86
	COMPLAINT(double_fault),
#endif
#ifdef CONFIG_ARM64
	COMPLAINT(breakpoint),
	COMPLAINT(pc_align),
	COMPLAINT(stack_pointer),
#endif
	COMPLAINT(shift),
	COMPLAINT(bool),
	COMPLAINT(bounds),
	COMPLAINT(panic),
	COMPLAINT(dump_stack),
	COMPLAINT(oops_irq_off),
	COMPLAINT(oops_irq),
	{ }
};
