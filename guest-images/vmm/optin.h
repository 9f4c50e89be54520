/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether KVM was told to map guest memory into the kernel that has no
 * reference: the parameter kvm.allow_unsafe_mappings.
 */
#ifndef OPTIN_H
#define OPTIN_H

#include <stdbool.h>

bool opted_in(void);
/* The step of a scenario for `refusal` where there is none to be. */
#define OPTED_IN	"refusal: nothing is refused that was opted in to"
/*
 * Report the first step of a scenario as skipped, and all others, if L1 was
 * asked to opt in and its kernel offers no such thing.
 */
bool optin_is_missing(const char *description);

#endif /* OPTIN_H */
