"""Logs to measure with: made, not recorded, so that they are of any size and the same each time."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterator
from pathlib import Path

_DATA = Path(__file__).parents[1] / "data" / "dmesg"

# Lines of a real boot of 6.12 in L1 and of busy machines; every § becomes a number.
_CLEAN = """
BIOS-e820: [mem 0x0000000§-0x00000000§ff] usable
NX (Execute Disable) protection: active
e820: remove [mem 0x000a0000-0x000§fff] usable
ACPI: RSDT 0x000000001F§AD8 000034 (v01 BOCHS  BXPC     00000001 BXPC 00000001)
ACPI: Reserving DSDT table memory at [mem 0x1ffe§0-0x1ffe§3]
Initmem setup node 0 [mem 0x0000000000001000-0x00000000§ffdffff]
ACPI: INT_SRC_OVR (bus 0 bus_irq § global_irq § high level)
CPU topo: Allowing § present CPUs plus 0 hotplug CPUs
setup_percpu: NR_CPUS:64 nr_cpumask_bits:§ nr_cpu_ids:§ nr_node_ids:1
Kernel command line: console=ttyS0 ignore_loglevel panic=-1 unknown_nmi_panic root=/dev/vda§
rcu: \tRCU restricting CPUs from NR_CPUS=64 to nr_cpu_ids=§.
clocksource: hpet: mask: 0xffffffff max_cycles: 0xffffffff, max_idle_ns: §604467 ns
AMD Zen1 DIV0 bug detected. Disable SMT for full protection.
Speculative Store Bypass: Vulnerable
x86/fpu: xstate_offset[2]:  576, xstate_sizes[2]:  §
Mount-cache hash table entries: § (order: 1, § bytes, linear)
smpboot: Total of § processors activated (§.27 BogoMIPS)
NET: Registered PF_NETLINK/PF_ROUTE protocol family
ACPI: Added _OSI(Processor Device)
PCI host bridge to bus 0000:§
pci_bus 0000:00: root bus resource [mem 0x20000000-0xfeb§ffff window]
pci 0000:00:01.0: [8086:§] type 00 class 0x060100 conventional PCI endpoint
pci 0000:00:01.1: BAR 1 [io  0x03f6]: legacy IDE quirk
ACPI: PCI: Interrupt link LNKD configured for IRQ §
TCP bind hash table entries: 4096 (order: 5, § bytes, linear)
kvm_amd: Nested Paging enabled
workingset: timestamp_bits=62 max_order=17 bucket_order=0
Write protecting the kernel read-only data: 10240k
noref: loading out-of-tree module taints kernel.
systemd[1]: Starting systemd-journald.service - Journal Service...
systemd[1]: Mounted dev-hugepages.mount - Huge Pages File System.
audit: type=1400 audit(1700000§.§:§): apparmor="STATUS" operation="profile_load" name="lsb_release"
EXT4-fs (vda§): mounted filesystem 0b0c2a51-§-4c1e-9c64-2b1d2e3f4a5b r/w with ordered data mode
usb 1-§: New USB device found, idVendor=0627, idProduct=0001, bcdDevice= 0.00
input: QEMU QEMU USB Tablet as /devices/pci0000:00/0000:00:01.2/usb1/1-1/1-1:1.0/input/input§
IPv6: ADDRCONF(NETDEV_CHANGE): eth§: link becomes ready
br-§: port 2(veth§) entered blocking state
br-§: port 2(veth§) entered forwarding state
device veth§ entered promiscuous mode
nvme nvme0: §/0/0 default/read/poll queues
perf: interrupt took too long (§ > §), lowering kernel.perf_event_max_sample_rate to §000
TCP: request_sock_TCP: Possible SYN flooding on port §. Sending cookies.
sd 2:0:0:0: [sda] § 512-byte logical blocks: (21.5 GB/20.0 GiB)
Adding §k swap on /dev/vda5.  Priority:-2 extents:1 across:§k
""".strip().split("\n")

_MODULES = (
    "Modules linked in: tun veth bridge stp llc xt_conntrack nf_conntrack nf_defrag_ipv6 "
    "nf_defrag_ipv4 xt_MASQUERADE nf_conntrack_netlink xt_addrtype nft_compat nf_tables "
    "nfnetlink kvm_amd kvm irqbypass ext4 crc16 mbcache jbd2 virtio_net net_failover"
)
_LONG = (
    """
------------[ cut here ]------------
WARNING: CPU: 1 PID: § at arch/x86/kvm/mmu/mmu.c:§ mmu_f§+0x1b/0x90 [kvm]
{modules}
CPU: 1 UID: 0 PID: § Comm: worker§ Tainted: G        W          6.12.§-amd64 #1  Debian 6.12.§-1
Tainted: [W]=WARN
Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
RIP: 0010:mmu_f§+0x1b/0x90 [kvm]
Code: 48 c1 e0 06 48 03 05 5c 8d 1a 01 8b 40 34 85 c0 75 02 <0f> 0b 48 83 c4 08 5b c3 cc cc cc cc
RSP: 0018:ffffc9§3b58 EFLAGS: 00010246
RAX: 0000000000000000 RBX: 80000000§867 RCX: 0000000000000000
RDX: 0000000000000001 RSI: ffff8881§560 RDI: 0000000000000000
RBP: ffffc9§3b98 R08: 0000000000000000 R09: 0000000000000000
R10: 0000000000000001 R11: 0000000000000000 R12: ffff8881§000
R13: 0000000000000000 R14: ffff8881§fff R15: 0000000000000040
FS:  00007f2§740(0000) GS:ffff88807dc00000(0000) knlGS:0000000000000000
CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033
CR2: 00007f2b§000 CR3: 0000000§c000 CR4: 00000000000006f0
Call Trace:
 <TASK>
 ? __warn+0x85/0x130
 ? mmu_f§+0x1b/0x90 [kvm]
 ? report_bug+0x164/0x190
 ? handle_bug+0x5e/0xa0
 ? exc_invalid_op+0x17/0x70
 ? asm_exc_invalid_op+0x1a/0x20
 drop_spte+0x14/0x90 [kvm]
 mmu_page_zap_pte+0xb3/0x110 [kvm]
 __kvm_mmu_prepare_zap_page+0xd6/0x2e0 [kvm]
 kvm_mmu_zap_all_fast+0x1c4/0x2b0 [kvm]
 kvm_arch_flush_shadow_memslot+0x44/0x120 [kvm]
 kvm_set_memslot+0x1d2/0x660 [kvm]
 __kvm_set_memory_region+0x2f8/0x570 [kvm]
 kvm_vm_ioctl+0x7ae/0x13d0 [kvm]
 ? __x64_sys_ioctl+0x94/0xd0
 __x64_sys_ioctl+0x94/0xd0
 do_syscall_64+0x82/0x190
 ? exc_page_fault+0x7e/0x180
 entry_SYSCALL_64_after_hwframe+0x76/0x7e
RIP: 0033:0x7f2b§237
Code: 00 00 00 48 8d 44 24 18 48 89 44 24 08 48 8d 44 24 08 0f 05 <89> c2 3d 00 f0 ff ff 77 0f 48
RSP: 002b:00007ffd§b0 EFLAGS: 00000246 ORIG_RAX: 0000000000000010
RAX: ffffffffffffffda RBX: 000055§2a0 RCX: 00007f2b§237
R13: 0000000000000000 R14: 0000000000000000 R15: 0000000000000000
 </TASK>
---[ end trace 0000000000000000 ]---
""".strip()
    .replace("{modules}", _MODULES)
    .split("\n")
)


class _Clock:
    """Prefixes as PRINTK_TIME and PRINTK_CALLER make them, later with each line."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._now = 1.0

    def stamp(self, text: str, caller: str) -> str:
        self._now += self._dice.random() / 1000
        while "§" in text:
            text = text.replace("§", str(self._dice.randrange(1000, 9999)), 1)
        return f"[{self._now:12.6f}][{caller:>6}] {text}\n"


def clean(size: int, seed: int = 1) -> bytes:
    """Lines of a healthy machine, at least `size` bytes of them."""
    dice = random.Random(seed)
    clock = _Clock(dice)
    log = io.StringIO()
    while log.tell() < size:
        log.write(clock.stamp(dice.choice(_CLEAN), f"T{dice.randrange(1, 999)}"))
    return log.getvalue().encode()


def short_reports(size: int, seed: int = 1) -> bytes:
    """Nothing but reports: those of the unit tests, the shortest possible of each kind."""
    samples = [
        part.split("\n")[1:]
        for path in sorted(_DATA.glob("*.reports"))
        for part in path.read_text().removesuffix("\n").split("\n%% ")[1:]
    ]
    return _reports(samples, size, seed)


def long_reports(size: int, seed: int = 1) -> bytes:
    """Nothing but reports: WARNINGs with all their registers, and a trace of usual depth."""
    return _reports([_LONG], size, seed)


def _reports(samples: list[list[str]], size: int, seed: int) -> bytes:
    dice = random.Random(seed)
    clock = _Clock(dice)
    log = io.StringIO()
    while log.tell() < size:
        for sample in samples:
            caller = f"T{dice.randrange(1, 999)}"
            log.write("".join(clock.stamp(text, caller) for text in sample))
    return log.getvalue().encode()


def real_reports() -> bytes:
    """The consoles of tests/data/dmesg/real, one after the other, without our own headers."""
    lines = (
        line
        for path in sorted((_DATA / "real").glob("*/*.log"))
        for line in path.read_bytes().splitlines(keepends=True)
    )
    return b"".join(line for line in lines if not line.startswith(b"# "))


def as_console(log: bytes) -> bytes:
    """The same log as it comes out of a serial line."""
    return log.replace(b"\n", b"\r\n")


def without_prefixes(log: bytes) -> bytes:
    """The same log of a kernel that has no PRINTK_TIME."""
    return re.sub(rb"^\[.{12}\]\[.{6}\] ", b"", log, flags=re.MULTILINE)


def from_kmsg(log: bytes) -> bytes:
    """The same log as /dev/kmsg gives it."""
    prefix = re.compile(rb"^\[ *(\d+)\.(\d+)\]\[ *(\w+)\] ", re.MULTILINE)
    return prefix.sub(rb"4,1,\1\2,-,caller=\3;", log)


class Stream(io.RawIOBase):
    """`size` bytes of a clean log with `splat` in the middle, of which no two blocks are in
    memory at a time."""

    def __init__(self, size: int, splat: bytes) -> None:
        self._blocks = self._make(size, splat)
        self._rest = b""

    @staticmethod
    def _make(size: int, splat: bytes) -> Iterator[bytes]:
        block = clean(1 << 20)
        count = max(size // len(block), 2)
        for at in range(count):
            yield block
            if at == count // 2:
                yield splat

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            self._rest = next(self._blocks, b"")
        if size < 0:
            size = len(self._rest)
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def one_splat() -> bytes:
    """A single report."""
    return long_reports(1)
