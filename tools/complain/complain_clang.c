// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only a kernel built by clang notices: values that were never set, calls
 * of functions of another type, jumps to where none may end.
 */
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "complain.h"

#define NUMBERS	24

static int result;

static int complain_uninit(void)
{
	int *numbers = kmalloc_array(NUMBERS, sizeof(*numbers), GFP_KERNEL);

	if (!numbers)
		return -ENOMEM;

	if (READ_ONCE(numbers[0]) > 5)
		WRITE_ONCE(result, 1);
	kfree(numbers);
	return 0;
}

static int complain_uninit_stack(void)
{
	int numbers[NUMBERS];

	if (READ_ONCE(numbers[READ_ONCE(result)]) > 5)
		WRITE_ONCE(result, 1);
	return 0;
}

/* The value was somewhere else before. */
static int complain_uninit_copy(void)
{
	int *numbers = kmalloc_array(NUMBERS, sizeof(*numbers), GFP_KERNEL);

	if (!numbers)
		return -ENOMEM;

	WRITE_ONCE(result, READ_ONCE(numbers[1]));
	kfree(numbers);
	if (READ_ONCE(result) > 5)
		WRITE_ONCE(result, 1);
	WRITE_ONCE(result, 0);
	return 0;
}

static int complain_uninit_freed(void)
{
	int *numbers = kmalloc_array(NUMBERS, sizeof(*numbers), GFP_KERNEL | __GFP_ZERO);

	if (!numbers)
		return -ENOMEM;

	kfree(numbers);
	OPTIMIZER_HIDE_VAR(numbers);
	if (READ_ONCE(numbers[0]) > 5)
		WRITE_ONCE(result, 1);
	return 0;
}

static int complain_infoleak(void)
{
	unsigned long addr = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
				     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	int *numbers;
	int r = 0;

	if (IS_ERR_VALUE(addr))
		return (int)addr;

	numbers = kmalloc_array(NUMBERS, sizeof(*numbers), GFP_KERNEL);
	if (!numbers)
		return -ENOMEM;

	numbers[0] = 1;
	if (copy_to_user((void __user *)addr, numbers, NUMBERS * sizeof(*numbers)))
		r = -EFAULT;
	kfree(numbers);
	return r;
}

static noinline void complain_callee(unsigned long *number)
{
	(*number)++;
}

static int complain_cfi(void)
{
	int (*call)(int) = (int (*)(int))(void *)complain_callee;

	OPTIMIZER_HIDE_VAR(call);
	return call(READ_ONCE(result));
}

#ifdef CONFIG_ARM64
/* A nop is no landing pad. */
static int complain_bti(void)
{
	asm volatile("adr x9, 1f; blr x9; 1: nop" : : : "x9", "x30", "memory");
	return 0;
}
#endif

const struct complaint complain_clang[] = {
	COMPLAINT(uninit),
	COMPLAINT(uninit_stack),
	COMPLAINT(uninit_copy),
	COMPLAINT(uninit_freed),
	COMPLAINT(infoleak),
	COMPLAINT(cfi),
#ifdef CONFIG_ARM64
	COMPLAINT(bti),
#endif
	{ }
};
