// SPDX-License-Identifier: GPL-2.0-only
/*
 * L2 is a hypervisor, and runs a guest of its own, L3.  The control block of L3
 * is mapped into L1's kernel, which needs a reference; L3's memory is not.
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ktap.h"
#include "ledger.h"
#include "nested.h"
#include "optin.h"
#include "replace.h"
#include "steps.h"

/* In L2's RAM, where nothing else is. */
#define CONTROL_GPA	0x50000ul
#define WORD_GPA	0x60000ul
#define L3_STACK_GPA	0x70000ul
/* Seconds that KVM may take to find out that it can't go on. */
#define PATIENCE	2

/* L3 in ordinary memory, but for its control block. */
static struct nested_guest guest_at(uint64_t control_gpa, void *control)
{
	return (struct nested_guest) {
		.control = control,
		.control_gpa = control_gpa,
		.code_gpa = CODE_GPA,
		.stack_gpa = L3_STACK_GPA,
		.faults = true,
	};
}

static bool l3_runs(struct stage *stage, const struct nested_guest *guest, uint64_t value)
{
	struct vm *vm = &stage->vm;
	uint64_t *word = vm->ram + WORD_GPA;

	nested_make_control(guest);
	return nested_call(vm, guest, GUEST_STORE, WORD_GPA, value) &&
	       equals("word", *word, value) &&
	       nested_call(vm, guest, GUEST_LOAD, WORD_GPA, 0) &&
	       equals("value", vm->vcpus[0].value, value);
}

static bool l3_runs_in_ordinary_memory(struct stage *stage, uint64_t value)
{
	struct nested_guest guest = guest_at(CONTROL_GPA, stage->vm.ram + CONTROL_GPA);

	return l3_runs(stage, &guest, value);
}

/* Two steps; whether both were passed. */
static bool check_control(struct stage *stage)
{
	bool runs = true, passed = true;

	for (unsigned int i = 0; runs && i < stage->region.npages; i++) {
		struct nested_guest guest = guest_at(page_gpa(stage, i), host_page(stage, i));

		runs = l3_runs(stage, &guest, GUEST_PATTERN + i);
	}
	ktap_step(runs, "access: L2 runs L3 by a control block in each page");
	for (unsigned int i = 0; passed && i < stage->region.npages; i++) {
		memset(host_page(stage, i), 0, stage->region.page_size);
		passed = nested_does(&stage->vm, NESTED_SAVE, page_gpa(stage, i)) &&
			 nested_is_saved(host_page(stage, i)) &&
			 nested_does(&stage->vm, NESTED_LOAD, page_gpa(stage, i));
	}
	ktap_step(passed, "access: L2 saves its state in each page, and loads it");
	return runs && passed;
}

/* Whether there is no L3 here; the scenario's first step says why. */
static bool nested_is_missing(struct stage *stage, const char *description)
{
	const char *reason = nested_missing(&stage->vm);

	if (reason) {
		ktap_skip(description, reason);
		ktap_skip_rest(reason);
		return true;
	}
	nested_init(&stage->vm);
	return false;
}

SCENARIO(nested_control, 3)
{
	if (nested_is_missing(stage, "access: L2 runs L3"))
		return;
	if (ktap_exercise(l3_runs_in_ordinary_memory(stage, HOST_PATTERN),
			  "L2 runs L3 by a control block in ordinary memory"))
		check_control(stage);
}

/* What nobody wrote to is the one page of zeroes, until KVM has to. */
SCENARIO(nested_control_hole, 2)
{
	if (nested_is_missing(stage, "access: L2 saves its state"))
		return;
	discard_all(stage);
	if (ktap_step(nested_does(&stage->vm, NESTED_SAVE, page_gpa(stage, 0)) &&
		      nested_is_saved(host_page(stage, 0)),
		      "access: L2 saves its state in a page that isn't there"))
		ktap_step(holes_are_zero(stage),
			  "integrity: other memory that isn't there reads as zeroes");
	region_adopt(&stage->region);
	ledger_before(&stage->region);
}

/*
 * Nobody but KVM writes to a control block while L2 runs L3 by it.  When L2 reads
 * it for the first time, KVM maps it for writing, and takes it for dirty.
 */
SCENARIO(nested_control_logged, 3)
{
	struct nested_guest guest = guest_at(page_gpa(stage, 1), host_page(stage, 1));

	if (nested_is_missing(stage, "access: L2 runs L3"))
		return;
	vm_set_region(&stage->vm, &stage->region, KVM_MEM_LOG_DIRTY_PAGES);
	if (!ktap_step(l3_runs(stage, &guest, GUEST_PATTERN), "access: L2 runs L3"))
		return;
	get_log(stage);
	if (ktap_step(l3_runs(stage, &guest, LATER_PATTERN), "access: L2 runs L3 again"))
		ktap_step(equals("dirty", get_log(stage), 1 << 1),
			  "integrity: the control block that KVM wrote is dirty, no other page");
}

/* Whether L2 can't do it by any page, and nobody writes to the memory. */
static bool is_refused(struct stage *stage, enum nested_op op)
{
	static char before[4096];

	for (unsigned int i = 0; i < stage->region.npages; i++) {
		struct nested_guest guest = guest_at(page_gpa(stage, i), host_page(stage, i));

		nested_make_control(&guest);
		memcpy(before, guest.control, sizeof(before));
		if (!nested_is_refused(&stage->vm, op, guest.control_gpa) ||
		    !equals("changed", !!memcmp(before, guest.control, sizeof(before)), 0))
			return false;
	}
	return true;
}

static void check_refusal(struct stage *stage, enum nested_op op, const char *description)
{
	if (nested_is_the_cpus(op))
		ktap_skip(description, "the CPU does it by itself");
	else
		ktap_step(is_refused(stage, op), description);
}

SCENARIO(nested_control_refused, 5)
{
	static const char first[] = "refusal: L2 can't run L3 by memory without a reference";

	if (optin_is_missing(first) || nested_is_missing(stage, first))
		return;
	if (!ktap_exercise(l3_runs_in_ordinary_memory(stage, HOST_PATTERN),
			   "L2 runs L3 by a control block in ordinary memory"))
		return;
	if (opted_in()) {
		ktap_step(check_control(stage), OPTED_IN);
	} else {
		check_refusal(stage, NESTED_RUN, first);
		check_refusal(stage, NESTED_SAVE, "refusal: L2 can't save its state in it");
		check_refusal(stage, NESTED_LOAD, "refusal: L2 can't load its state from it");
	}
	ktap_step(l3_runs_in_ordinary_memory(stage, LATER_PATTERN),
		  "robustness: L2 runs L3 by ordinary memory afterwards");
}

/* KVM enters L3 by one page, and leaves it by another. */
SCENARIO(nested_control_replaced, 4)
{
	static const char then[] = "notifier: L3 ends by the page that is mapped by then";
	struct nested_guest guest = guest_at(page_gpa(stage, 0), host_page(stage, 0));
	struct replaced replaced;
	uint64_t sum;

	if (nested_is_missing(stage, then))
		return;
	nested_make_control(&guest);
	if (!ktap_step(nested_begin(&stage->vm, &guest), "access: L2 runs L3"))
		return;
	replace(stage, &replaced);
	sum = sum_of_old(stage, 0);
	ktap_step(nested_finish(&stage->vm, host_page(stage, 0)), then);
	ktap_step(equals("sum", sum_of_old(stage, 0), sum),
		  "notifier: the old page is not written any more");
	replace_back(stage, &replaced);
	ktap_step(l3_runs(stage, &guest, LATER_PATTERN),
		  "access: L2 runs L3 by the old page when it is back");
}

static void do_nothing(int signal)
{
	(void)signal;
}

/* Whether KVM_RUN comes back by itself, and not by having ended L3 as if nothing were. */
static bool comes_back(struct stage *stage)
{
	struct sigaction action = { .sa_handler = do_nothing };
	bool ended;

	sigaction(SIGALRM, &action, NULL);
	alarm(PATIENCE);
	ended = nested_finish(&stage->vm, host_page(stage, 0));
	alarm(0);
	if (ended)
		ktap_detail("L3 ended by it");
	return !ended && equals("errno", stage->vm.vcpus[0].error, 0);
}

/* KVM enters L3 by ordinary memory, and would leave it by memory without a reference. */
SCENARIO(nested_exit_refused, 3)
{
	static const char first[] = "refusal: L3 ends otherwise if not by its control block";
	struct region *region = &stage->region;
	struct vm *vm = &stage->vm;
	struct nested_guest guest;
	void *own;

	if (optin_is_missing(first) || nested_is_missing(stage, first))
		return;
	own = mmap(NULL, region_size(region), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (own == MAP_FAILED)
		bail_out("allocating ordinary memory");
	guest = guest_at(REGION_GPA, own);
	/* Else 6.12 turns its own #GP into one more end of L3, for ever. */
	guest.faults = false;
	vm_delete_region(vm);
	vm_set_slot(vm, REGION_SLOT, 0, REGION_GPA, region_size(region), own);
	nested_make_control(&guest);
	if (!ktap_exercise(nested_begin(vm, &guest),
			   "L2 runs L3 by a control block in ordinary memory"))
		return;
	vm_delete_region(vm);
	vm_set_region(vm, region, 0);
	if (opted_in()) {
		ktap_step(ktap_step(nested_finish(vm, host_page(stage, 0)),
				    "access: L3 ends by the memory that is mapped by then"),
			  OPTED_IN);
		return;
	}
	ktap_step(comes_back(stage), first);
	ktap_step(untouched_from(stage, 0), "refusal: nobody writes to the memory");
}

/* --- L3 itself lies in the region, its control block doesn't ------------------ */

/* Where in the region; what is left is L3's data. */
enum {
	TABLES,
	NESTED_TABLES = TABLES + NESTED_TABLE_PAGES,
	CODE = NESTED_TABLES + NESTED_TABLE_PAGES,
	STACK,
	DATA,
	END = 16
};

static struct nested_guest guest_in_region(struct stage *stage, bool paging)
{
	struct nested_guest guest = guest_at(CONTROL_GPA, stage->vm.ram + CONTROL_GPA);

	guest.code_gpa = page_gpa(stage, CODE);
	guest.stack_gpa = page_gpa(stage, STACK + 1);
	guest.tables_gpa = page_gpa(stage, TABLES);
	if (paging)
		guest.nested_tables_gpa = page_gpa(stage, NESTED_TABLES);
	return guest;
}

static bool l3_fills(struct stage *stage, const struct nested_guest *guest, uint64_t pattern)
{
	for (unsigned int i = DATA; i < END; i++)
		if (!nested_call(&stage->vm, guest, GUEST_FILL, page_gpa(stage, i),
				 page_pattern(stage, pattern, i)))
			return false;
	return true;
}

static bool l3_sees(struct stage *stage, const struct nested_guest *guest, uint64_t pattern)
{
	for (unsigned int i = DATA; i < END; i++)
		if (!nested_call(&stage->vm, guest, GUEST_CHECK, page_gpa(stage, i),
				 page_pattern(stage, pattern, i)) ||
		    !equals("wrong_words", stage->vm.vcpus[0].value, 0))
			return false;
	return true;
}

/* host_fills() and host_sees() for L3's data alone. */
static void fill_data(struct stage *stage, uint64_t pattern)
{
	size_t words = stage->region.page_size / sizeof(uint64_t);

	for (unsigned int i = DATA; i < END; i++)
		for (size_t j = 0; j < words; j++)
			host_page(stage, i)[j] = page_pattern(stage, pattern, i) +
						 j * sizeof(uint64_t);
}

static bool data_is(struct stage *stage, uint64_t pattern)
{
	size_t words = stage->region.page_size / sizeof(uint64_t);

	for (unsigned int i = DATA; i < END; i++)
		for (size_t j = 0; j < words; j++)
			if (!equals("word", host_page(stage, i)[j],
				    page_pattern(stage, pattern, i) + j * sizeof(uint64_t)))
				return false;
	return true;
}

/* Of each word of the description there is one for each kind of paging. */
static void check_l3(struct stage *stage, bool paging)
{
	struct nested_guest guest = guest_in_region(stage, paging);
	uint64_t pattern = paging ? LATER_PATTERN : GUEST_PATTERN;

	nested_make_control(&guest);
	if (!ktap_step(l3_fills(stage, &guest, pattern), paging ?
		       "access: L3 runs in the memory by nested paging, and writes it" :
		       "access: L3 runs in the memory, and writes it"))
		return;
	ktap_step(data_is(stage, pattern), "access: host reads what L3 wrote");
	fill_data(stage, HOST_PATTERN);
	ktap_step(l3_sees(stage, &guest, HOST_PATTERN),
		  "access: L3 reads what the host wrote");
}

SCENARIO(nested_memory, 7, .pages = END)
{
	if (nested_is_missing(stage, "access: L2 runs L3"))
		return;
	nested_make_tables(host_page(stage, TABLES), page_gpa(stage, TABLES));
	nested_make_tables(host_page(stage, NESTED_TABLES), page_gpa(stage, NESTED_TABLES));
	nested_make_code(host_page(stage, CODE));
	if (!ktap_exercise(l3_runs_in_ordinary_memory(stage, HOST_PATTERN),
			   "L2 runs L3 in ordinary memory"))
		return;
	check_l3(stage, false);
	if (nested_has_paging(&stage->vm))
		check_l3(stage, true);
	else
		ktap_skip_rest("KVM offers L2 no nested paging");
}
