// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages, slab objects, kobjects and timers used after their end, or otherwise
 * not as agreed.
 */
#include <linux/etherdevice.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/netdevice.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "complain.h"

#define OBJECT_SIZE	96

/* How far beyond its end, unknown to the compiler. */
static unsigned int beyond = 8;
static char global_array[24];

/* A mapping that nobody counted. */
static int complain_bad_page_state(void)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (!page)
		return -ENOMEM;

	atomic_set(&page->_mapcount, 5);
	__free_page(page);
	return 0;
}

/* A page in a process whose count of mappings says that it can't be there. */
static int complain_bad_page_map(void)
{
	unsigned long addr = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
				     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	struct page *page;

	if (IS_ERR_VALUE(addr))
		return (int)addr;
	if (get_user_pages_fast(addr, 1, FOLL_WRITE, &page) != 1)
		return -EFAULT;

	/* It stays ours: freed, it would be a bad page besides. */
	atomic_set(&page->_mapcount, -2);
	vm_munmap(addr, PAGE_SIZE);
	return 0;
}

static int complain_bad_pgtables(void)
{
	mm_inc_nr_ptes(current->mm);
	return 0;
}

static int complain_double_free(void)
{
	char *object = kmalloc(OBJECT_SIZE, GFP_KERNEL);
	char *again = object;

	OPTIMIZER_HIDE_VAR(again);
	kfree(object);
	kfree(again);
	return 0;
}

static int complain_invalid_free(void)
{
	char *object = kmalloc(OBJECT_SIZE, GFP_KERNEL) + READ_ONCE(beyond);

	OPTIMIZER_HIDE_VAR(object);
	kfree(object);
	return 0;
}

static int complain_redzone(void)
{
	char *object = kmalloc(OBJECT_SIZE, GFP_KERNEL);

	if (!object)
		return -ENOMEM;

	OPTIMIZER_HIDE_VAR(object);
	object[OBJECT_SIZE + READ_ONCE(beyond) / 8] = 'x';
	kfree(object);
	return 0;
}

static int complain_stack_bounds(void)
{
	char local[24] = "";
	char *p = local;

	OPTIMIZER_HIDE_VAR(p);
	return p[sizeof(local) + READ_ONCE(beyond) / 8] == 1 ? -EBUSY : 0;
}

static int complain_global_bounds(void)
{
	char *p = global_array;

	OPTIMIZER_HIDE_VAR(p);
	return p[sizeof(global_array) + READ_ONCE(beyond) / 8] == 1 ? -EBUSY : 0;
}

static void *others[2048];

/*
 * The allocator's sheaf for each CPU, from 6.18 on, has the pointer still, in
 * the place that it came from, and kmemleak looks there: until the sheaf is
 * filled anew, which takes no more objects than these.
 */
static void forget_copies(void)
{
	for (int i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = kmalloc(OBJECT_SIZE, GFP_KERNEL);
	for (int i = 0; i < ARRAY_SIZE(others); i++)
		kfree(others[i]);
}

static int complain_leak(void)
{
	char *object = kmalloc(OBJECT_SIZE, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(object);
	if (!object)
		return -ENOMEM;
	forget_copies();
	return 0;
}

static void do_nothing(struct timer_list *timer)
{
}

static int complain_timer_freed(void)
{
	struct timer_list *timer = kmalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return -ENOMEM;

	timer_setup(timer, do_nothing, 0);
	mod_timer(timer, jiffies + 1000 * HZ);
	kfree(timer);
	return 0;
}

static int complain_timer_again(void)
{
	static struct timer_list timer;

	timer_setup(&timer, do_nothing, 0);
	mod_timer(&timer, jiffies + 1000 * HZ);
	timer_setup(&timer, do_nothing, 0);
	return 0;
}

static void no_release(struct kobject *kobj)
{
}

static const struct kobj_type object_type = {
	.release = no_release,
};

static int complain_kobject_again(void)
{
	static struct kobject object;

	kobject_init(&object, &object_type);
	kobject_init(&object, &object_type);
	return 0;
}

static int complain_kobject_never(void)
{
	static struct kobject object;

	kobject_put(&object);
	return 0;
}

static int complain_list_twice(void)
{
	static LIST_HEAD(head);
	static struct list_head entry;

	list_add(&entry, &head);
	list_add(&entry, &head);
	return 0;
}

static int complain_list_deleted(void)
{
	static LIST_HEAD(head);
	static struct list_head entry;

	list_add(&entry, &head);
	list_del(&entry);
	list_del(&entry);
	return 0;
}

static const struct net_device_ops no_ops;
static struct net_device *device;

static void put_device_late(struct work_struct *work)
{
	dev_put(device);
}

static DECLARE_DELAYED_WORK(late_put, put_device_late);

/* The wait complains after ten seconds. */
static int complain_netdevice(void)
{
	int r;

	device = alloc_netdev(0, "complain%d", NET_NAME_UNKNOWN, ether_setup);
	if (!device)
		return -ENOMEM;

	device->netdev_ops = &no_ops;
	r = register_netdev(device);
	if (r)
		return r;

	dev_hold(device);
	schedule_delayed_work(&late_put, 14 * HZ);
	unregister_netdev(device);
	return 0;
}

const struct complaint complain_memory[] = {
	COMPLAINT(bad_page_state),
	COMPLAINT(bad_page_map),
	COMPLAINT(bad_pgtables),
	COMPLAINT(double_free),
	COMPLAINT(invalid_free),
	COMPLAINT(redzone),
	COMPLAINT(stack_bounds),
	COMPLAINT(global_bounds),
	COMPLAINT(leak),
	COMPLAINT(timer_freed),
	COMPLAINT(timer_again),
	COMPLAINT(kobject_again),
	COMPLAINT(kobject_never),
	COMPLAINT(list_twice),
	COMPLAINT(list_deleted),
	COMPLAINT(netdevice),
	{ }
};
