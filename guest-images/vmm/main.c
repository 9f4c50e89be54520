// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs one scenario: vmm SCENARIO BACKING MAPPING.  KTAP on standard output,
 * see enum exit_status for the exit status.
 */
#include <stdio.h>
#include <string.h>

#include "ktap.h"
#include "vmm.h"

#define REGION_PAGES	8

static int list(void)
{
	for (size_t i = 0; i < nr_scenarios; i++)
		puts(scenarios[i].name);
	return EXIT_PASSED;
}

int main(int argc, char **argv)
{
	const struct scenario *scenario = NULL;
	struct stage stage = {};

	if (argc == 2 && !strcmp(argv[1], "--list"))
		return list();
	if (argc != 4)
		bail_out("usage: vmm --list | vmm SCENARIO BACKING MAPPING");

	for (size_t i = 0; i < nr_scenarios; i++)
		if (!strcmp(scenarios[i].name, argv[1]))
			scenario = &scenarios[i];
	if (!scenario)
		bail_out("no scenario %s", argv[1]);

	ktap_begin(scenario->steps);
	region_open(&stage.region, argv[2], argv[3], REGION_PAGES);
	region_print_ledger(&stage.region, "before");
	vm_open(&stage.vm);
	vm_set_region(&stage.vm, &stage.region);

	scenario->run(&stage);

	vm_close(&stage.vm);
	region_unmap(&stage.region);
	region_print_ledger(&stage.region, "after");
	return ktap_end();
}
