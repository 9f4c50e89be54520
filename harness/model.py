"""The values that flow between the rooms (DESIGN.md, "Words"): small, frozen, JSON in and out."""

from __future__ import annotations

import enum
import hashlib
from pathlib import Path
from typing import dataclass_transform

import msgspec

from harness.dmesg import Splat


# Said again for mypy: what a subclass of a Struct inherits, it does not know.
@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen value that msgspec writes to JSON and reads back."""


# --- source ---------------------------------------------------------------------------------


class Patch(Value):
    """One patch of a series.

    name: its file name or subject slug; diff: the part that `git apply` takes.
    """

    number: int
    name: str
    subject: str
    diff: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.diff).hexdigest()


class Series(Value):
    """An ordered list of patches on a base, and where it was read from.

    mutant: the name of the last patch, if that is a seeded bug on top of the series.
    """

    name: str
    origin: str
    patches: tuple[Patch, ...]
    mutant: str = ""

    def label(self, k: int) -> str:
        """Name the kernel with the first k patches: `base`, `noref+1`, `noref+2`, `noref+leak` …"""
        if self.mutant and k == len(self.patches):
            return f"{self.name}+{self.mutant}"
        return "base" if k == 0 else f"{self.name}+{k}"


# --- machine --------------------------------------------------------------------------------


class Mode(Value):
    """How L1's KVM translates.

    options: what it adds to L1's kernel command line; facts: what L1 must then say of itself,
    `NAME=VALUE` or `NAME=VALUE|OTHER`.  special: for scenarios that name it, in full runs.
    """

    name: str
    options: tuple[str, ...]
    facts: tuple[str, ...]
    why: str
    special: bool = False


class Arch(Value):
    """All that differs between architectures outside the guest images.

    host: what `uname -m` says on a machine of that kind; debian: what Debian calls it.
    options: for L1's kernel command line, whatever the mode.
    machine, cpu: QEMU's -M and -cpu; emulated: what emulation adds to -M; nmi: QEMU can send one.
    cpus: how many L1 has, of which two at least must be fit for vCPUs.
    nested: host CPU flag and vendor module of each kind of hardware virtualization that gives L1
    a KVM of its own; nested_extension: the number of the KVM extension that says so instead.
    """

    name: str
    host: str
    debian: str
    kbuild: str
    image: str
    cross: str
    qemu: str
    machine: str
    cpu: str
    console: str
    options: tuple[str, ...]
    modes: tuple[Mode, ...]
    nested: tuple[tuple[str, str], ...]
    emulated: str = ""
    nested_extension: int = 0
    cpus: int = 2
    nmi: bool = True


class BuiltKernel(Value):
    """One built state of a base and its series, ready to boot.

    label: as Series.label; key: the hash of what made it; release: `uname -r`.
    """

    label: str
    patches: int
    key: str
    release: str
    base: str
    arch: str
    image: Path
    config: Path
    modules: tuple[Path, ...]
    initramfs: Path


# --- run ------------------------------------------------------------------------------------


class Property(enum.Enum):
    """What a cell's outcome can say about a kernel (DESIGN.md, "Properties, not recordings")."""

    access = "access"
    silence = "silence"
    detection = "detection"
    refcounts = "refcounts"
    ownership = "ownership"
    integrity = "integrity"
    notifier = "notifier"
    refusal = "refusal"
    robustness = "robustness"


class Scenario(Value):
    """One entry of the scenario list: what L2 and its VMM do, and which property it checks.

    backings × mappings and also is all that makes sense; main is what the main job runs of it.
    also and main are pairs `BACKING/MAPPING`.  Empty modes or arches mean all, but special modes.
    without: mappings that make no sense on an architecture.  parallel: it has threads that must
    run at a time.  alone: no other cell runs beside it, as its threads wait for each other, which
    takes ten times as long where they share CPUs.
    """

    name: str
    checks: Property
    backings: tuple[str, ...]
    mappings: tuple[str, ...]
    why: str
    main: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    link: str = ""
    modes: tuple[str, ...] = ()
    arches: tuple[str, ...] = ()
    parallel: bool = False
    alone: bool = False
    without: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)

    @property
    def pairs(self) -> tuple[str, ...]:
        """Every `BACKING/MAPPING` that makes sense for it."""
        return (*(f"{b}/{m}" for b in self.backings for m in self.mappings), *self.also)

    @property
    def control(self) -> bool:
        """A negative control seeds a bug on purpose: its complaints are what is hoped for."""
        return self.checks is Property.detection


class Cell(Value):
    """The unit that runs by itself, on a pristine L1: kernel × mode × backing × mapping × scenario.

    Its text form is `KERNEL/MODE/BACKING/MAPPING/SCENARIO`.
    """

    kernel: str
    mode: str
    backing: str
    mapping: str
    scenario: str

    def __str__(self) -> str:
        return "/".join((self.kernel, self.mode, self.backing, self.mapping, self.scenario))


class PageState(Value):
    """One page of the ledger.

    own_ref is the count of this struct page, page_ref that of the folio it is part of
    (page_count()); flags are the bits of page->flags that a third party may not touch, by
    name; sum is a checksum of the content.
    """

    page: int
    pfn: int
    own_ref: int
    page_ref: int
    mapcount: int
    flags: tuple[str, ...]
    sum: int


class Result(enum.Enum):
    ok = "ok"
    not_ok = "not ok"
    skip = "skip"


class Subtest(Value):
    """One step of a scenario: a KTAP line of the VMM, and the detail lines before it.

    prop: the property that the step speaks for, as the VMM wrote it.
    """

    name: str
    prop: str
    result: Result
    reason: str = ""
    detail: tuple[str, ...] = ()


class End(enum.Enum):
    """How a cell ended, as seen from L0."""

    reported = "reported"  # the guest sent its status
    panic = "panic"  # L1 died of itself: panic, triple fault, reset
    hang = "hang"  # L1 stopped answering, while QEMU still does
    no_boot = "no boot"  # L1 never reached the ready point
    no_module = "no module"  # the test module didn't load
    qemu = "qemu"  # QEMU died or stopped answering: says nothing about the kernel
    harness = "harness"  # the harness itself failed


class Outcome(Value):
    """What was seen in a cell.

    status: the VMM's exit status, None if it never came; seconds: wall time of the cell; note:
    what happened, in words, if it did not end in a whole report.  before, during, after: the
    ledger before the VM was made, after the scenario, and when VM and mapping are gone.
    """

    cell: Cell
    end: End
    status: int | None = None
    note: str = ""
    subtests: tuple[Subtest, ...] = ()
    before: tuple[PageState, ...] = ()
    during: tuple[PageState, ...] = ()
    after: tuple[PageState, ...] = ()
    splats: tuple[Splat, ...] = ()
    seconds: float = 0.0
    folder: str = ""


# Why a run stopped before its end, where it was the user who stopped it.
INTERRUPTED = "interrupted"


# --- judge ----------------------------------------------------------------------------------


class Standing(enum.Enum):
    """What a cell, or all cells of a table entry together, say of a property."""

    holds = "holds"
    lost = "lost"
    unseen = "not observed"


class Finding(Value):
    """One cell's word on one property.

    memory: the class of the cell's pages, `counted` or `uncounted`; evidence: what was seen, in
    one line; functions: where the splats are from that decided it.
    """

    cell: Cell
    prop: Property
    memory: str
    standing: Standing
    evidence: str
    functions: tuple[str, ...] = ()


class Grade(enum.Enum):
    """A cell's grade: it passed if no property was lost; an error says nothing of the kernel."""

    passed = "pass"
    failed = "fail"
    skipped = "skip"
    error = "error"


class Verdict(Value):
    """The judgement of one cell, and every word that it has on a property."""

    cell: Cell
    grade: Grade
    reason: str
    findings: tuple[Finding, ...] = ()
