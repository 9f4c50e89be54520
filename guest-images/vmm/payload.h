/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's code and its entry points, from ARCH/payload.S. */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include "vmm.h"

extern const char payload_start[], payload_end[];
extern const char payload_store[], payload_load[], payload_call[];
extern const char payload_fill[], payload_check[];
extern const char payload_store_fpu[], payload_touch[], payload_flush[];

/* Where in it an operation begins. */
size_t payload_offset(enum guest_op op);

#endif /* PAYLOAD_H */
