"""arm64: KVM at EL2 under emulation, by nested virtualization with KVM.

Facts (NOREF.md, measured with QEMU 7.2): `-M virt,virtualization=on` gives L1 an EL2, and
`-cpu max` one with the host extensions; pauth-impdef spares the emulation a slow cipher.
"""

from harness.model import Arch, Mode

# include/uapi/linux/kvm.h, since 6.16.
_KVM_CAP_ARM_EL2 = 240

ARCH = Arch(
    name="arm64",
    host="aarch64",
    debian="arm64",
    kbuild="arm64",
    image="arch/arm64/boot/Image",
    cross="aarch64-linux-gnu-",
    qemu="qemu-system-aarch64",
    machine="virt,virtualization=on,gic-version=3",
    # Memory tags, which KVM offers to guests only where L1 has them; not every host does.
    emulated="mte=on",
    cpu="max,pauth-impdef=on",
    console="ttyAMA0",
    options=(),
    modes=(
        Mode(
            name="vhe",
            options=(),
            facts=("kvm.mode=VHE",),
            why="the kernel runs at EL2 itself, by the host extensions, the default",
        ),
        Mode(
            name="nvhe",
            options=("kvm-arm.mode=nvhe",),
            facts=("kvm.mode=Hyp-nVHE",),
            why="the kernel runs at EL1, and KVM has its own code at EL2",
        ),
    ),
    nested=(),
    nested_extension=_KVM_CAP_ARM_EL2,
    nmi=False,
)
