/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A minimal VMM: a few vCPUs, their own small RAM in slot 0, and in slot 1 the
 * region that a cell is about.
 */
#ifndef VMM_H
#define VMM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../module/noref_uapi.h"
#include "ktap.h"

enum exit_status {
	EXIT_PASSED = 0,
	EXIT_STEP_FAILED = 1,
	EXIT_BAILED_OUT = 2,
};

/* Guest physical layout; a region has all of REGION_SPACE to move in. */
#define RAM_SIZE	0x200000ul
#define CODE_GPA	0x10000ul
#define STACK_GPA	0x20000ul
#define STACK_SIZE	0x1000ul
#define REGION_GPA	0x40000000ul
#define REGION_SPACE	0x200000ul
#define RAM_SLOT	0
#define REGION_SLOT	1

/* --- the memory that a cell is about ------------------------------------- */

/*
 * The module's memory by a file of /dev/noref, or this process's own: backings
 * "anon" and "thp", mapping "private".  @fd: the file, which has the ledger of
 * either; @own: the memory is this process's.
 */
struct region {
	const char *backing;
	const char *mapping;
	bool own;
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
/* Put the pages of this process's own memory on the ledger, instead of what was. */
void region_adopt(struct region *region);
size_t region_size(const struct region *region);
bool region_is(const struct region *region, const char *backing);
/* Whether gup finds the pages of the mapping, and pins them. */
bool region_is_pinned(const struct region *region);
/* Whether a revoked mapping fills itself again when touched. */
bool region_refaults(const struct region *region);
/* Returns what the ioctl returned, if it didn't fail. */
int region_ioctl(const struct region *region, unsigned long command, void *arg);

/* --- the guest ------------------------------------------------------------- */

/*
 * What a vCPU can be asked to do.  A page holds rising 64-bit words, each 8
 * more than the one before, so that every word of a region is different.
 */
enum guest_op {
	GUEST_STORE,	/* write value to gpa */
	GUEST_LOAD,	/* returns what is at gpa */
	GUEST_CALL,	/* call the function at gpa, returns its value */
	GUEST_FILL,	/* fill the page at gpa with words from value on */
	GUEST_CHECK,	/* returns how many words of the page at gpa differ */
	GUEST_STORE_FPU,/* write value to gpa through the FPU */
	GUEST_TOUCH,	/* add 1 to the word at gpa again and again, for ever */
	GUEST_FLUSH,	/* forget all translations */
};

#define MAX_VCPUS	4

/* @error: errno of KVM_RUN or 0; @exit: its exit reason; @value: the guest's. */
struct vcpu {
	struct vm *vm;
	unsigned int index;
	int fd;
	struct kvm_run *run;
	int error;
	uint32_t exit;
	uint64_t value;
};

struct vm {
	int kvm_fd;
	int fd;
	size_t run_size;
	void *ram;
	unsigned int nvcpus;
	struct vcpu vcpus[MAX_VCPUS];
};

/* @type: KVM_CREATE_VM's; false if KVM has no such type. */
bool vm_open(struct vm *vm, unsigned long type, unsigned int nvcpus);
/* The same in two parts, for what must be settled before there is a vCPU. */
bool vm_create(struct vm *vm, unsigned long type);
void vm_add_vcpus(struct vm *vm, unsigned int nvcpus);
/* As many bytes of this process's memory as guest memory. */
void vm_set_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa,
		 uint64_t size, void *host);
void vm_set_region(struct vm *vm, const struct region *region, uint32_t flags);
/* Returns false, with errno, if KVM refuses. */
bool vm_try_region(struct vm *vm, const struct region *region, uint32_t flags);
void vm_delete_region(struct vm *vm);
/*
 * Let a vCPU do it; false if KVM_RUN failed or came back with an odd exit.
 * vcpu_run() is for what was prepared otherwise; vm_call() is for the first
 * vCPU, and leaves a detail line if it was false.
 */
bool vcpu_run(struct vcpu *vcpu);
bool vcpu_call(struct vcpu *vcpu, enum guest_op op, uint64_t gpa, uint64_t value);
bool vm_call(struct vm *vm, enum guest_op op, uint64_t gpa, uint64_t value);
/* Close every file of the VM, which destroys it. */
void vm_close(struct vm *vm);

/*
 * KVM's statistics of a VM's or a vCPU's file, and of all vCPUs of a VM; 0 for
 * a name that this kernel doesn't have.
 */
uint64_t stat_of(int fd, const char *name);
uint64_t vm_stat(const struct vm *vm, const char *name);
uint64_t vcpus_stat(const struct vm *vm, const char *name);

/* One folder per architecture. */
/* Keep away from CPUs that are not for KVM. */
void arch_choose_cpus(void);
void arch_vm_init(struct vm *vm);
void arch_vcpu_init(struct vcpu *vcpu);
void arch_set_call(struct vcpu *vcpu, enum guest_op op, uint64_t gpa, uint64_t value);
/* Whether the exit is the guest's report; fills vcpu->value. */
bool arch_get_result(struct vcpu *vcpu);
/* Machine code of a function that returns value, at most 32 bytes. */
size_t arch_make_function(void *code, uint32_t value);
/* The guest maps the region's space by one entry instead of one per page. */
void arch_map_huge(struct vm *vm);
/*
 * Page faults that KVM took, those that ended in an SPTE, and those that it
 * gave up and left to be taken again; and how many SPTEs it made.
 */
uint64_t arch_faults_taken(const struct vm *vm);
uint64_t arch_faults_fixed(const struct vm *vm);
uint64_t arch_faults_retried(const struct vm *vm);
uint64_t arch_pages_mapped(const struct vm *vm);

/* --- scenarios --------------------------------------------------------------- */

struct stage {
	struct region region;
	struct vm vm;
};

/*
 * @steps: how many ktap_step() there are if all goes well.  @pages of the
 * region, @vcpus and @vm_type are 8, 1 and 0 where they are left out.
 */
struct scenario {
	const char *name;
	unsigned int steps;
	void (*run)(struct stage *stage);
	unsigned int pages;
	unsigned int vcpus;
	unsigned long vm_type;
};

/* Defines a scenario; its body follows, with `stage` in scope. */
#define SCENARIO(id, nsteps, ...)					\
	static void run_##id(struct stage *stage);			\
	static const struct scenario scenario_##id = {			\
		.name = #id, .steps = (nsteps), .run = run_##id,	\
		__VA_ARGS__						\
	};								\
	static const struct scenario * const entry_##id			\
	__attribute__((section("scenarios"), used)) = &scenario_##id;	\
	static void run_##id(struct stage *stage)

/* The linker's names for the ends of the section that SCENARIO() fills. */
extern const struct scenario * const __start_scenarios[];
extern const struct scenario * const __stop_scenarios[];

/* Run the scenario that the words name; returns its exit status. */
int run_scenario(int nwords, char **words);
/* Serve run requests on the port for ever, after a line with the facts. */
void __noreturn serve(const char *path, const char *facts);

#endif /* VMM_H */
