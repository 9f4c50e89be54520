/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef COMPLAIN_H
#define COMPLAIN_H

#include <linux/types.h>

/*
 * One way to make the kernel complain.  The function's name is what the
 * complaint must name; it returns 0, or an error if it could not do its deed.
 */
struct complaint {
	const char *name;
	int (*provoke)(void);
};

#define COMPLAINT(_name)	{ #_name, complain_##_name }

extern const struct complaint complain_locks[];
extern const struct complaint complain_memory[];
extern const struct complaint complain_faults[];
extern const struct complaint complain_stuck[];
extern const struct complaint complain_rest[];
#ifdef CONFIG_CC_IS_CLANG
extern const struct complaint complain_clang[];
#endif

#endif /* COMPLAIN_H */
