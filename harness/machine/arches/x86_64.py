"""x86-64: KVM on AMD SVM under emulation, on SVM or VMX with nested KVM.

Facts (NOREF.md, measured with QEMU 7.2): `-M pc` with ACPI boots reliably under emulation, while
machines without ACPI's timers hang in about half of the boots; TCG emulates SVM, nested paging
included, but not VMX.
"""

from harness.model import Arch, Mode

# Since 6.13; an older kernel has no such parameter ("-").
_REFERENCES = "kvm.allow_unsafe_mappings=N|-"

ARCH = Arch(
    name="x86_64",
    host="x86_64",
    debian="amd64",
    kbuild="x86",
    image="arch/x86/boot/bzImage",
    cross="x86_64-linux-gnu-",
    qemu="qemu-system-x86_64",
    machine="pc",
    cpu="EPYC,+svm",
    console="ttyS0",
    # Under emulation the first is no good for KVM: see arch_choose_cpus() in vmm/x86_64/arch.c.
    cpus=3,
    # timer_irq_works() panics if four ticks don't come while it counts TSC cycles, which an
    # emulated vCPU on a busy machine may miss.  KVM's, VMware's and Hyper-V's guests all skip it.
    options=("no_timer_check",),
    modes=(
        Mode(
            name="tdp",
            options=(),
            facts=("kvm.tdp_mmu=Y", _REFERENCES),
            why="nested paging by the TDP MMU, the default",
        ),
        Mode(
            name="legacy",
            options=("kvm.tdp_mmu=0",),
            facts=("kvm.tdp_mmu=N", "kvm_amd.npt=Y", "kvm_intel.ept=Y", _REFERENCES),
            why="nested paging by the legacy MMU",
        ),
        Mode(
            name="shadow",
            options=("kvm_amd.npt=0", "kvm_intel.ept=0"),
            # Without npt and ept it would be legacy mode by another name.
            facts=("kvm.tdp_mmu=N", "kvm_amd.npt=N", "kvm_intel.ept=N", _REFERENCES),
            why="shadow paging, as on CPUs without nested paging",
        ),
        Mode(
            name="optin",
            options=("kvm.allow_unsafe_mappings=1",),
            # Scenarios skip on a kernel without the parameter: there it is tdp by another name.
            facts=("kvm.tdp_mmu=Y", "kvm.allow_unsafe_mappings=Y|-"),
            why="KVM may map memory into the kernel that has no reference, beside the TDP MMU",
            special=True,
        ),
    ),
    nested=(("svm", "kvm_amd"), ("vmx", "kvm_intel")),
)
