/* SPDX-License-Identifier: GPL-2.0-only */
/* What L1's kernel was told, or decided by itself. */
#ifndef PARAMETER_H
#define PARAMETER_H

#include <stdbool.h>

/* A boolean parameter of a module, built in or not; false if there is none. */
bool parameter_is_on(const char *module, const char *name);
bool parameter_exists(const char *module, const char *name);
/* Whether the kernel's command line has these words. */
bool was_booted_with(const char *words);

#endif /* PARAMETER_H */
