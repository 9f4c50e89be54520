// SPDX-License-Identifier: GPL-2.0-only
/* The VMM changes its memslots, or goes away, while the guest has the memory in use. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "steps.h"

SCENARIO(slot_delete, 2)
{
	if (!guest_is_in(stage))
		return;
	vm_delete_region(&stage->vm);
	ktap_step(refused_with(stage, 0, KVM_EXIT_MMIO),
		  "notifier: a deleted slot is out of the guest's reach");
}

SCENARIO(slot_again, 4)
{
	if (!guest_is_in(stage))
		return;
	vm_delete_region(&stage->vm);
	vm_set_region(&stage->vm, &stage->region, 0);
	ktap_step(guest_sees(stage, GUEST_PATTERN),
		  "access: guest reads what is in the new slot");
	ktap_step(guest_fills(stage, LATER_PATTERN),
		  "access: guest writes the new slot");
	ktap_step(host_sees(stage, LATER_PATTERN),
		  "access: host reads what the guest wrote");
}

/* To the other end of the room that the guest has mapped for the region. */
SCENARIO(slot_move, 4)
{
	struct vm *vm = &stage->vm;
	struct vcpu *vcpu = &vm->vcpus[0];
	uint64_t away = REGION_SPACE - region_size(&stage->region);
	bool passed = true;

	if (!guest_is_in(stage))
		return;
	vm_set_slot(vm, REGION_SLOT, 0, REGION_GPA + away,
		    region_size(&stage->region), stage->region.host);
	ktap_step(refused_with(stage, 0, KVM_EXIT_MMIO),
		  "notifier: the slot's old place is out of the guest's reach");
	for (unsigned int i = 0; passed && i < stage->region.npages; i++)
		passed = vm_call(vm, GUEST_CHECK, page_gpa(stage, i) + away,
				 page_pattern(stage, GUEST_PATTERN, i)) &&
			 equals("wrong_words", vcpu->value, 0);
	ktap_step(passed, "access: guest reads the memory in its new place");
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "integrity: the move changed nothing");
}

/* Most pages of the slot move to others by a new slot in the same place. */
SCENARIO(slot_shift, 3)
{
	struct region *region = &stage->region;
	struct vm *vm = &stage->vm;
	struct vcpu *vcpu = &vm->vcpus[0];
	bool passed = true;

	if (!guest_is_in(stage))
		return;
	vm_delete_region(vm);
	vm_set_slot(vm, REGION_SLOT, 0, REGION_GPA,
		    (region->npages - 1) * region->page_size, host_page(stage, 1));
	for (unsigned int i = 0; passed && i < region->npages - 1; i++)
		passed = vm_call(vm, GUEST_CHECK, page_gpa(stage, i),
				 page_pattern(stage, GUEST_PATTERN, i + 1)) &&
			 equals("wrong_words", vcpu->value, 0);
	ktap_step(passed, "integrity: each frame shows its new page");
	ktap_step(!vcpu_call(vcpu, GUEST_LOAD, page_gpa(stage, region->npages - 1), 0) &&
		  equals("exit", vcpu->exit, KVM_EXIT_MMIO),
		  "notifier: what lies behind the shorter slot is out of reach");
}

SCENARIO(readonly_slot, 6)
{
	struct region *region = &stage->region;

	host_fills(stage, HOST_PATTERN);
	vm_delete_region(&stage->vm);
	vm_set_region(&stage->vm, region, KVM_MEM_READONLY);
	if (!ktap_step(guest_sees(stage, HOST_PATTERN),
		       "access: guest reads a read-only slot"))
		return;
	ktap_step(writes_fail(stage),
		  "robustness: a write to it is left to the VMM");
	ktap_step(host_sees(stage, HOST_PATTERN),
		  "integrity: the write changed nothing");
	ktap_step(guest_sees(stage, HOST_PATTERN),
		  "access: guest reads on in the slot");
	vm_delete_region(&stage->vm);
	vm_set_region(&stage->vm, region, 0);
	ktap_step(guest_fills(stage, GUEST_PATTERN) && host_sees(stage, GUEST_PATTERN),
		  "access: guest writes the slot that isn't read-only any more");
	ktap_step(ledger_holds(stage, 0, GUEST_PATTERN),
		  "integrity: each struct page holds its guest page");
}

/* What KVM can't look up, beside memory that it could. */
SCENARIO(bad_address, 5)
{
	struct region *region = &stage->region;
	struct vm *vm = &stage->vm;
	struct vcpu *vcpu = &vm->vcpus[0];
	uint64_t behind = REGION_GPA + region_size(region);
	void *hole = mmap(NULL, region->page_size, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!guest_is_in(stage))
		return;
	ktap_step(!vcpu_call(vcpu, GUEST_STORE, behind, 1) &&
		  equals("exit", vcpu->exit, KVM_EXIT_MMIO),
		  "robustness: a write beside the slot is left to the VMM");
	vm_set_slot(vm, REGION_SLOT + 1, 0, behind, region->page_size, hole);
	ktap_step(!vcpu_call(vcpu, GUEST_STORE, behind, 1) &&
		  equals("errno", vcpu->error, EFAULT),
		  "robustness: memory that its host may not use is EFAULT");
	munmap(hole, region->page_size);
	ktap_step(!vcpu_call(vcpu, GUEST_LOAD, behind, 1) &&
		  equals("errno", vcpu->error, EFAULT),
		  "robustness: a slot without memory is EFAULT");
	ktap_step(guest_sees(stage, GUEST_PATTERN),
		  "access: guest reads on in the region beside it");
}

static void do_nothing(int signal)
{
	(void)signal;
}

/* A signal is there already when KVM_RUN is called. */
SCENARIO(signal_pending, 3)
{
	struct vcpu *vcpu = &stage->vm.vcpus[0];
	struct sigaction action = { .sa_handler = do_nothing };
	struct {
		struct kvm_signal_mask mask;
		sigset_t none;
	} unblocked = { .mask.len = 8 };
	sigset_t blocked;
	bool passed = true;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigaction(SIGUSR1, &action, NULL);
	if (ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &unblocked))
		bail_out("KVM_SET_SIGNAL_MASK");
	for (unsigned int i = 0; passed && i < stage->region.npages; i++) {
		raise(SIGUSR1);
		passed = !vcpu_call(vcpu, GUEST_STORE, page_gpa(stage, i), 1) &&
			 equals("errno", vcpu->error, EINTR);
	}
	ktap_step(passed, "robustness: KVM_RUN with a signal pending is EINTR");
	sigwaitinfo(&blocked, NULL);
	if (!guest_is_in(stage))
		return;
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "access: host reads what the guest wrote when it could");
}

SCENARIO(vm_close, 2)
{
	if (!guest_is_in(stage))
		return;
	vm_close(&stage->vm);
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "access: what the guest wrote outlives the VM");
}

/* Whether the child ever changes the word; false if it ends before. */
static bool changes(pid_t child, uint64_t *word)
{
	const uint64_t before = __atomic_load_n(word, __ATOMIC_RELAXED);

	while (__atomic_load_n(word, __ATOMIC_RELAXED) == before)
		if (waitpid(child, NULL, WNOHANG))
			return false;
	return true;
}

static bool says_ready(int pipe_end)
{
	char byte;

	return read(pipe_end, &byte, 1) == 1;
}

/* A VMM of its own in a child, killed while its vCPU writes to the memory. */
SCENARIO(kill_vmm, 3)
{
	int ready[2];
	pid_t child;
	int status;

	vm_close(&stage->vm);
	if (pipe(ready))
		bail_out("pipe");
	child = fork();
	if (child < 0)
		bail_out("fork");
	if (!child) {
		vm_open(&stage->vm, 0, 1);
		vm_set_region(&stage->vm, &stage->region, 0);
		if (guest_fills(stage, GUEST_PATTERN) && write(ready[1], "", 1) == 1)
			vcpu_call(&stage->vm.vcpus[0], GUEST_TOUCH, REGION_GPA, 0);
		fflush(stdout);
		_exit(EXIT_STEP_FAILED);
	}
	close(ready[1]);
	if (!ktap_step(says_ready(ready[0]) && changes(child, host_page(stage, 0)),
		       "access: guest writes the memory for ever"))
		return;
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	ktap_step(WIFSIGNALED(status), "robustness: a running VMM can be killed");
	*host_page(stage, 0) = GUEST_PATTERN;
	ktap_step(host_sees(stage, GUEST_PATTERN),
		  "access: what the guest wrote outlives the VMM");
}
