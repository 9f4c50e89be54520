// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmm SCENARIO BACKING MAPPING runs one scenario: KTAP on standard output, and
 * an exit status from enum exit_status.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ktap.h"
#include "ledger.h"
#include "vmm.h"

#define REGION_PAGES	8

static int list(void)
{
	for (const struct scenario * const *s = __start_scenarios; s < __stop_scenarios; s++)
		puts((*s)->name);
	return EXIT_PASSED;
}

static const struct scenario *find(const char *name)
{
	for (const struct scenario * const *s = __start_scenarios; s < __stop_scenarios; s++)
		if (!strcmp((*s)->name, name))
			return *s;
	bail_out("no scenario %s", name);
}

int run_scenario(int nwords, char **words)
{
	const struct scenario *scenario;
	struct stage stage = {};

	if (nwords != 3)
		bail_out("usage: vmm SCENARIO BACKING MAPPING | --list | --agent PORT FACTS");
	scenario = find(words[0]);

	ktap_begin(scenario->steps);
	region_open(&stage.region, words[1], words[2],
		    scenario->pages ? scenario->pages : REGION_PAGES);
	ledger_before(&stage.region);
	if (!vm_open(&stage.vm, scenario->vm_type,
		     scenario->vcpus ? scenario->vcpus : 1)) {
		ktap_skip_rest("KVM offers no VM of this type");
	} else if (vm_try_region(&stage.vm, &stage.region, 0)) {
		scenario->run(&stage);
	} else {
		/* Newer arm64 kernels refuse VM_PFNMAP where the CPU lacks FWB or DIC. */
		ktap_detail("errno=%d", errno);
		ktap_step(false, "access: KVM takes the memory for a memslot");
	}

	/* Before teardown makes up for it: what KVM holds, and what it marked. */
	ledger_during(&stage.region);
	vm_close(&stage.vm);
	/* With the mapping in place, as it was before. */
	ledger_after(&stage.region);
	region_unmap(&stage.region);
	return ktap_end();
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--list"))
		return list();
	arch_choose_cpus();
	if (argc == 4 && !strcmp(argv[1], "--agent"))
		serve(argv[2], argv[3]);
	return run_scenario(argc - 1, argv + 1);
}
