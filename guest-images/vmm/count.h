/* SPDX-License-Identifier: GPL-2.0-only */
/* How often L1's kernel called a function of its own: what no statistic tells. */
#ifndef COUNT_H
#define COUNT_H

#include <stddef.h>
#include <stdint.h>

/* Count from here on. */
void count_calls(const char * const *functions, size_t nfunctions);
uint64_t calls_of(const char *function);

#endif /* COUNT_H */
