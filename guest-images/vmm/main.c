// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmm SCENARIO BACKING MAPPING runs one scenario: KTAP on standard output, and
 * an exit status from enum exit_status.
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

int run_scenario(int nwords, char **words)
{
	const struct scenario *scenario = NULL;
	struct stage stage = {};

	if (nwords != 3)
		bail_out("usage: vmm SCENARIO BACKING MAPPING | --list | --agent PORT FACTS");

	for (size_t i = 0; i < nr_scenarios; i++)
		if (!strcmp(scenarios[i].name, words[0]))
			scenario = &scenarios[i];
	if (!scenario)
		bail_out("no scenario %s", words[0]);

	ktap_begin(scenario->steps);
	region_open(&stage.region, words[1], words[2], REGION_PAGES);
	region_print_ledger(&stage.region, "before");
	vm_open(&stage.vm);
	vm_set_region(&stage.vm, &stage.region);

	scenario->run(&stage);

	/* Before teardown makes up for it: what KVM holds, and what it marked. */
	region_print_ledger(&stage.region, "during");
	vm_close(&stage.vm);
	/* With the mapping in place, as it was before. */
	region_print_ledger(&stage.region, "after");
	region_unmap(&stage.region);
	return ktap_end();
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--list"))
		return list();
	if (argc == 4 && !strcmp(argv[1], "--agent"))
		return serve(argv[2], argv[3]);
	return run_scenario(argc - 1, argv + 1);
}
