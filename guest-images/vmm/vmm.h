/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A minimal VMM: one vCPU, its own small RAM in slot 0, and a region of
 * /dev/noref in slot 1.
 */
#ifndef VMM_H
#define VMM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../module/noref_uapi.h"

enum exit_status {
	EXIT_PASSED = 0,
	EXIT_STEP_FAILED = 1,
	EXIT_BAILED_OUT = 2,
};

/* Guest physical layout. */
#define RAM_SIZE	0x200000ul
#define CODE_GPA	0x10000ul
#define STACK_GPA	0x20000ul
#define REGION_GPA	0x40000000ul
#define RAM_SLOT	0
#define REGION_SLOT	1

/* One file of /dev/noref and its mapping into this process. */
struct region {
	const char *backing;
	const char *mapping;
	int fd;
	unsigned int npages;
	size_t page_size;
	uint64_t *host;
};

void region_open(struct region *region, const char *backing,
		 const char *mapping, unsigned int npages);
/* Map the region, in the place that it had before if it had one. */
void region_map(struct region *region);
void region_unmap(struct region *region);
/* Whether a revoked mapping fills itself again when touched. */
bool region_refaults(const struct region *region);
void region_ioctl(const struct region *region, unsigned long command, void *arg);
void region_print_ledger(const struct region *region, const char *when);

/*
 * What the guest can be asked to do.  A page holds rising 64-bit words, each
 * 8 more than the one before, so that every word of a region is different.
 */
enum guest_op {
	GUEST_STORE,	/* write value to gpa */
	GUEST_LOAD,	/* returns what is at gpa */
	GUEST_CALL,	/* call the function at gpa, returns its value */
	GUEST_FILL,	/* fill the page at gpa with words from value on */
	GUEST_CHECK,	/* returns how many words of the page at gpa differ */
};

/* @error: errno of KVM_RUN or 0; @exit: its exit reason; @value: the guest's. */
struct vm {
	int kvm_fd;
	int fd;
	int vcpu_fd;
	struct kvm_run *run;
	size_t run_size;
	void *ram;
	int error;
	uint32_t exit;
	uint64_t value;
};

void vm_open(struct vm *vm);
void vm_set_region(struct vm *vm, const struct region *region);
void vm_delete_region(struct vm *vm);
/* Let the guest do it; false if KVM_RUN failed or came back with an odd exit. */
bool vm_call(struct vm *vm, enum guest_op op, uint64_t gpa, uint64_t value);
/* Close every file of the VM, which destroys it. */
void vm_close(struct vm *vm);

/* One file per architecture. */
void arch_vm_init(struct vm *vm);
void arch_vcpu_init(struct vm *vm);
void arch_set_call(struct vm *vm, enum guest_op op, uint64_t gpa, uint64_t value);
/* Whether the exit is the guest's report; fills vm->value. */
bool arch_get_result(struct vm *vm);
/* Machine code of a function that returns value, at most 32 bytes. */
size_t arch_make_function(void *code, uint32_t value);

struct stage {
	struct region region;
	struct vm vm;
};

struct scenario {
	const char *name;
	unsigned int steps;
	void (*run)(struct stage *stage);
};

extern const struct scenario scenarios[];
extern const size_t nr_scenarios;

/* Run the scenario that the words name; returns its exit status. */
int run_scenario(int nwords, char **words);
/* Serve run requests on the port for ever, after a line with the facts. */
int serve(const char *path, const char *facts);

#endif /* VMM_H */
