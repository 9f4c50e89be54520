"""A report that is being gathered, line by line, from one caller."""

from __future__ import annotations

import re

import msgspec

from harness.dmesg.kinds import Kind
from harness.dmesg.records import Record

MAX_LINES = 2000
# Lines that a report would not contain, in a row, before it is taken to be over.
_STRANGERS = 14
# Once its end marker was seen, a report still gets its registers and its panic.
_STRANGERS_AFTER_END = 8
# Seconds of the kernel's clock without a line of the report.
_SILENCE = 30.0

_END_TRACE = re.compile(rb"-{2,4}\[ end (?:trace|Kernel panic)")

# The first word of lines that reports are made of.
_WORDS = frozenset(
    b"""CPU: Modules RIP: EIP: RSP: ESP: RAX: RDX: RBP: R10: R13: EAX: ESI: FS: GS: CS: DS: CR2: DR0:
    DR3: DR6: PKRU: ORIG_RAX: Call Code: Hardware Tainted: Workqueue: Stopper: Stack: PGD *pde *pdpt
    #PF: IDT: LDTR: TR: BAD Oops: RBX: RCX: RDI: R08: R09: R11: R12: R14: R15: EFLAGS: EBX:
    pstate: pc lr sp pmr_save: Mem ESR EC SET EA FSC Data ISV CM GCS SSE SF Internal swapper user
    stack other which but and to the ... lock( rlock( sync( *** Possible Chain May CPU0 CPU1 ----
    local_irq_disable(); <Interrupt> irq hardirqs softirqs INFO: Showing no in_atomic():
    preempt_count: RCU rcu_scheduler_active Preemption caller Read Write Free Allocated Freed
    Last Second The This Memory which variable: page: page page_type: flags: anon raw: head: memcg:
    page_owner page_owner: allocated freed aops: ksm file addr: addr Local Uninit Byte Bytes Reported
    value Object Redzone Padding Slab FIX Bytes: comm hex backtrace backtrace: task: Sending NMI
    Kernel Rebooting Dumping note: Showing Mem-Info: Node DMA Normal Tasks oom-kill: Out lock: owner:
    rcu: context-{ kthread Unless Stack (detected (t= blocking All handlers: Disabling Panic
    active_anon:0 lowmem_reserve[]: Kernel panic Race race reordered""".split()
)
_LINE = re.compile(
    rb"\s*(?:\(?\??\s*[\w.$]+\+0x[0-9a-f]+|\[<|</?[A-Z]|x\d{1,2}\s*:|#\d{1,3}:|->|[0-9a-f]{4,16}[:>]|"
    rb">?[0-9a-f]{8,16}|\d+ locks? held by|={20,}|-{20,}|-{2,4}\[|\^|\{|\[[ \d]+\]|\d+-[O.]|"
    rb"[\w.$]+ \S+\.[chS]:\d+|[\w.$]+ \(\S+\.[chS]:\d+|\(|.{1,40}/\d{1,8} (?:is|just|\[HC)|"
    rb".{0,60}(?:kernel_fault|pagetables|pgtable|bytes of|exited with|cause Oops))"
)
_AFTER_END = re.compile(
    rb"\s*(?:R[A-Z0-9]{2}: |R\d\d: |[EFGDC]S: |CR\d: |DR\d: |PKRU: |Code: |Kernel |Rebooting|Dumping|"
    rb"note: .*exited with|-{2,4}\[ end|x\d{1,2}\s*:|Fixing recursive|SMP: |PHYS_OFFSET|CPU features|"
    rb"Memory Limit|={20,}|ORIG_RAX|Thread overran|EFI stub|BUG: spinlock)"
)


class Draft:
    """The lines of one report so far."""

    def __init__(self, kind: Kind, match: re.Match[bytes], record: Record, number: int) -> None:
        self.kind = kind
        self.match = match
        self.header = 0
        self.caller = record.caller
        self.start = record.start
        self.end = record.end
        self.time = record.time
        self.began = record.time
        self.number = number
        self.prefixed = record.prefixed
        self.lines: list[bytes] = [record.body]
        self.extra: list[re.Match[bytes]] = []
        self.died = kind.oops
        self.finished = False
        self.panic = b""
        self.cut_short = False
        self._waiting: list[bytes] = []
        self._strangers = 0
        self._evidence = kind.oops
        # a trace or registers that have the kernel's prefix
        self.stamped_evidence = False

    def adopt(self, kind: Kind, match: re.Match[bytes], record: Record, number: int) -> None:
        """The report turns out to be of this kind: its real header came after its first line."""
        self._flush()
        self.header = len(self.lines)
        self.kind, self.match = kind, match
        self.died = self.died or kind.oops
        self.join(record, number)

    def absorb(self, kind: Kind, match: re.Match[bytes], record: Record, number: int) -> None:
        """A header that is part of this report: the oops after its fault, a panic after all."""
        self._flush()
        self.extra.append(match)
        self.died = self.died or kind.oops
        self.finished = False
        if kind.ends and not self.kind.ends:
            self.kind = _ending(self.kind)
        self.join(record, number)

    def join(self, record: Record, number: int) -> None:
        """The record belongs to the report."""
        self._flush()
        if len(self.lines) < MAX_LINES:
            self.lines.append(record.body)
        self.end = record.end
        self.number = number
        self._strangers = 0
        if record.time is not None:
            self.time = record.time

    def offer(self, record: Record, number: int) -> bool:
        """Take the record if it may belong to the report. False: the report was over before it."""
        body = record.body
        if not body:
            return True
        if self.silent_since(record.time):
            return False
        if self.finished and not self.panic:
            if _AFTER_END.match(body):
                self.join(record, number)
            else:
                self._strangers += 1
            return self._strangers < _STRANGERS_AFTER_END
        if _END_TRACE.match(body) or (self.kind.rule and self._ends_by_rule(body)):
            self.join(record, number)
            self.finished = True
            # panic() prints its own end marker, and nothing of interest follows that.
            return not (self.panic and b"Kernel panic" in body)
        if body.split(None, 1)[0] in _WORDS or _LINE.match(body):
            if not self._evidence and _EVIDENCE.match(body):
                self._evidence = True
            self.stamped_evidence = self.stamped_evidence or (self._evidence and record.prefixed)
            self.join(record, number)
            return True
        self._strangers += 1
        self._waiting.append(body)
        return self._strangers < _STRANGERS

    def silent_since(self, time: float | None) -> bool:
        """Whether the kernel's clock says that too much time went by, or that it restarted."""
        if time is None or self.time is None:
            return False
        return time - self.time > _SILENCE or self.time - time > 5.0

    @property
    def evident(self) -> bool:
        """Whether there is more to the report than a line that looks like a header."""
        return self._evidence

    def _ends_by_rule(self, body: bytes) -> bool:
        return bool(self.kind.rule and self.kind.rule.match(body) and len(self.lines) > 1)

    def _flush(self) -> None:
        if self._waiting:
            room = MAX_LINES - len(self.lines)
            self.lines.extend(self._waiting[: max(room, 0)])
            self._waiting.clear()


_EVIDENCE = re.compile(
    rb"\s*(?:CPU: \d|Call [Tt]race:|RIP: |pc : |[\w.$]+\+0x[0-9a-f]+/0x|Hardware name|Modules linked)"
)


def _ending(kind: Kind) -> Kind:
    """The same kind, of which the end marker is now expected."""
    return msgspec.structs.replace(kind, ends=True)
