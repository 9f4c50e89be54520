/* SPDX-License-Identifier: GPL-2.0-only */
/* A guest of the guest: L3, which vCPU 0 of L2 runs on a call from here. */
#ifndef NESTED_H
#define NESTED_H

#include "vmm.h"

/* What a set of page tables takes, which maps all of L2's memory to itself. */
#define NESTED_TABLE_PAGES	5

/* Why L2 can't run guests here, or NULL. */
const char *nested_missing(const struct vm *vm);
/* Whether L2 can translate what L3 takes for physical addresses. */
bool nested_has_paging(const struct vm *vm);
/* Make vCPU 0 a hypervisor. */
void nested_init(struct vm *vm);
void nested_make_tables(void *tables, uint64_t gpa);
/* Put L3's code there. */
void nested_make_code(void *code);

/*
 * Where in L2's memory L3 lies.  @control: its control block, as the host sees
 * it; @nested_tables_gpa: 0 for no nested paging; @faults: L2 intercepts L3's
 * exceptions.
 */
struct nested_guest {
	void *control;
	uint64_t control_gpa;
	uint64_t code_gpa;
	uint64_t stack_gpa;
	uint64_t tables_gpa;
	uint64_t nested_tables_gpa;
	bool faults;
};

void nested_make_control(const struct nested_guest *guest);
/*
 * Let L3 do it, as vm_call() does L2; it is L2 that reports that L3 has ended.
 * False if anything was odd, with a detail line.
 */
bool nested_call(struct vm *vm, const struct nested_guest *guest, enum guest_op op,
		 uint64_t gpa, uint64_t value);
/*
 * The same in two parts: L3 runs until it comes to the VMM, past L2; then it
 * goes on, and ends, which L2 reports.  @control: as the host sees it by then.
 */
bool nested_begin(struct vm *vm, const struct nested_guest *guest);
bool nested_finish(struct vm *vm, const void *control);

/* What else L2 can do with a control block: put its own state there, or take it. */
enum nested_op {
	NESTED_RUN,
	NESTED_SAVE,
	NESTED_LOAD,
};

/* Whether KVM has no part in it, as the CPU does it by itself. */
bool nested_is_the_cpus(enum nested_op op);
/* Whether L2 could do it, but for NESTED_RUN; leaves a detail line if not. */
bool nested_does(struct vm *vm, enum nested_op op, uint64_t control_gpa);
/* Whether L2, or the VMM, got the word that it can't be done; likewise. */
bool nested_is_refused(struct vm *vm, enum nested_op op, uint64_t control_gpa);
/* Whether there is L2's own state in a control block that was empty. */
bool nested_is_saved(const void *control);

#endif /* NESTED_H */
