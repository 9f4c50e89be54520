// SPDX-License-Identifier: GPL-2.0-only
#include "payload.h"

static const char * const entry_points[] = {
	[GUEST_STORE] = payload_store,
	[GUEST_LOAD] = payload_load,
	[GUEST_CALL] = payload_call,
	[GUEST_FILL] = payload_fill,
	[GUEST_CHECK] = payload_check,
	[GUEST_STORE_FPU] = payload_store_fpu,
	[GUEST_TOUCH] = payload_touch,
	[GUEST_FLUSH] = payload_flush,
};

size_t payload_offset(enum guest_op op)
{
	return entry_points[op] - payload_start;
}
