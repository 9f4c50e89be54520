// SPDX-License-Identifier: GPL-2.0-only
#include "ktap.h"
#include "optin.h"
#include "parameter.h"

bool opted_in(void)
{
	return parameter_is_on("kvm", "allow_unsafe_mappings");
}

bool optin_is_missing(const char *description)
{
	static const char reason[] = "the kernel offers no opt-in";

	if (parameter_exists("kvm", "allow_unsafe_mappings") ||
	    !was_booted_with("kvm.allow_unsafe_mappings=1"))
		return false;
	ktap_skip(description, reason);
	ktap_skip_rest(reason);
	return true;
}
