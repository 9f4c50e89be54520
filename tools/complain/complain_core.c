// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel complaints on request: a name written to the debugfs file
 * complain/trigger provokes one; reading the file lists the names.  For what
 * LKDTM has no trigger for.  Never load this on a machine that matters.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "complain.h"

#define NAME_LEN	64

static const struct complaint * const groups[] = {
	complain_locks,
	complain_memory,
	complain_faults,
	complain_stuck,
	complain_rest,
#ifdef CONFIG_CC_IS_CLANG
	complain_clang,
#endif
};

static struct dentry *folder;

static const struct complaint *find_complaint(const char *name)
{
	for (int i = 0; i < ARRAY_SIZE(groups); i++)
		for (const struct complaint *c = groups[i]; c->name; c++)
			if (!strcmp(c->name, name))
				return c;
	return NULL;
}

static ssize_t trigger_write(struct file *file, const char __user *from,
			     size_t count, loff_t *pos)
{
	const struct complaint *complaint;
	char name[NAME_LEN] = "";
	int r;

	if (count >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, from, count))
		return -EFAULT;

	complaint = find_complaint(strim(name));
	if (!complaint)
		return -EINVAL;

	r = complaint->provoke();
	return r ? r : count;
}

static int trigger_show(struct seq_file *out, void *unused)
{
	for (int i = 0; i < ARRAY_SIZE(groups); i++)
		for (const struct complaint *c = groups[i]; c->name; c++)
			seq_printf(out, "%s\n", c->name);
	return 0;
}

static int trigger_open(struct inode *inode, struct file *file)
{
	return single_open(file, trigger_show, NULL);
}

static const struct file_operations trigger_fops = {
	.owner = THIS_MODULE,
	.open = trigger_open,
	.read = seq_read,
	.write = trigger_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int __init complain_init(void)
{
	folder = debugfs_create_dir("complain", NULL);
	debugfs_create_file("trigger", 0600, folder, NULL, &trigger_fops);
	return 0;
}
module_init(complain_init);

static void __exit complain_exit(void)
{
	debugfs_remove(folder);
}
module_exit(complain_exit);

MODULE_DESCRIPTION("Kernel complaints on request");
MODULE_AUTHOR("noref project");
MODULE_LICENSE("GPL");
