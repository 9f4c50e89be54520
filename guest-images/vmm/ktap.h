/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Results as KTAP.  A step's description starts with the property that it
 * speaks for; "# detail" lines before a step's line belong to it.
 */
#ifndef KTAP_H
#define KTAP_H

#include <stdbool.h>

#define __printf(string, first)	__attribute__((format(printf, string, first)))
#define __noreturn		__attribute__((noreturn))

void ktap_begin(unsigned int steps);
/* Report a step; returns whether it was passed. */
bool ktap_step(bool passed, const char *description);
/* A step that this kernel or machine gives no chance to take. */
void ktap_skip(const char *description, const char *reason);
/* Skip what was not reported; the reason goes to every step. */
void ktap_skip_rest(const char *reason);
/*
 * Did the cell exercise what it names?  If not it is vacuous, and says nothing
 * of the kernel: a step of its own, without a property.
 */
bool ktap_exercise(bool done, const char *description);
/* key=value pairs about the step to come. */
void __printf(1, 2) ktap_detail(const char *format, ...);
/* Skip the steps that were not reported; returns the exit status. */
int ktap_end(void);
/* End without a verdict on any step: KVM or L1 refused what every scenario needs. */
void __noreturn __printf(1, 2) bail_out(const char *format, ...);

#endif /* KTAP_H */
