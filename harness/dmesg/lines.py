"""What the lines inside of a report look like.

A report has no end that could be relied on: it is over when the lines that follow are no longer
the kind of line that reports are made of.
"""

from __future__ import annotations

import re

from harness.dmesg.records import NO_PREFIX

END_MARKER = re.compile(rb"-{2,4}\[ end (?:trace|Kernel panic)")

# First words, by the function that prints them.
_WORDS = """
    dump_stack_print_info: CPU: Hardware Tainted: Workqueue: Stopper: Sched_ext:
    print_modules: Modules
    show_regs x86: RIP: EIP: RSP: ESP: RAX: RBX: RCX: RDX: RSI: RDI: RBP: R08: R09: R10: R11: R12:
        R13: R14: R15: EAX: EBX: ECX: EDX: ESI: EDI: EBP: EFLAGS: ORIG_RAX: FS: GS: CS: DS: ES: SS:
        CR0: CR2: CR3: CR4: DR0: DR1: DR2: DR3: DR6: PKRU: Code: Stack: Call
    show_regs arm64: pstate: pc lr sp pmr_save: pmr: Call
    show_fault_oops: #PF: PGD *pde *pdpt BAD IDT: LDTR: TR: Oops: KASAN:
    mem_abort_decode: Mem Data ESR EC SET EA FSC ISV CM GCS Access SSE SF Xs ESR: FAR: Task IRQ
        Overflow swapper user Internal
    lockdep: stack other which but and to the ... lock( rlock( sync( *** Possible Chain May CPU0
        CPU1 ---- local_irq_disable(); <Interrupt> irq hardirqs softirqs INFO: Showing no
        context-{ Hash Held Locks
    lockdep_rcu_suspicious: RCU rcu_scheduler_active
    __might_resched: in_atomic(): preempt_count: RCU Preemption caller
    kasan: Read Write Free Allocated Freed Last Second The This Memory which flags: located
    dump_page: page: page page:0x page_type: flags: anon ksm file raw: head: memcg: aops:
    page_owner: page_owner allocated freed prep_new_page free_unref_page page_owner:
    print_bad_pte: addr: addr file:
    kmsan: Local Uninit Byte Bytes Memory Data
    kcsan: read write race value bits Reported reordered assert
    kfence: kfence- allocated freed Out-of-bounds Use-after-free Corrupted Invalid
    slub: Object Redzone Padding Slab FIX Bytes object
    handle_exit.c: kvm
    kmemleak: kmemleak: comm hex backtrace backtrace:
    sched_show_task: task: task
    nmi: Sending NMI
    rcu: rcu: blocking All Tasks Stack kthread Unless
    workqueue: workqueue pwq pending: in-flight: inactive:
    spinlock: lock: owner: .magic:
    oom: Mem-Info: Node DMA Normal active_anon:0 lowmem_reserve[]: Tasks oom-kill: Out total
        pagecache Swap Free
    spurious: handlers: Disabling
    panic: Kernel Rebooting Dumping SMP: note: PHYS_OFFSET: Memory
"""
_FIRST = frozenset(
    word.encode()
    for line in re.sub(r"\n {5,}", " ", _WORDS).strip().split("\n")
    for word in line.split(": ", 1)[1].split()
)


def _shapes(space: bytes, no_prefix: bytes = b"") -> bytes:
    """A pattern for what isn't told by its first word. no_prefix: what the shapes that any text
    may have must not begin with."""
    return (
        # frames, trace sections, symbols in brackets, registers
        space
        + rb"{0,40}(?:\(?\??"
        + space
        + rb"{0,2}[\w.$]+\+0x[0-9a-f]+|\[<|</?[A-Z]|x\d{1,2}"
        + space
        + rb"*:|[\w.$]+ \S+\.[chS]:\d+|[\w.$]+ \(\S+\.[chS]:\d+|"
        # lockdep: held locks, dependency chains, usage, who
        rb"#\d{1,3}:|->|\{|(?:\d+ )?locks? held by|"
        + no_prefix
        + rb".{1,40}/\d{1,8} (?:is|just|\[HC)|"
        # dumps of memory, page tables and tasks
        rb"[0-9a-f]{4,16}[:>]|>?[0-9a-f]{8,16}|0x[0-9a-f]+-0x|\^|\[[ \d]+\]|\[[0-9a-f]{16}\]|"
        # rulers and markers, RCU's CPUs
        rb"={20,}|-{20,}|-{2,4}\[|\d+-[O.]|" + no_prefix + rb"\()"
    )


_SHAPE = re.compile(_shapes(rb"\s"))


def _words() -> bytes:
    """A pattern for the first words: by their first bytes, for speed."""
    tails: dict[bytes, list[bytes]] = {}
    for word in sorted(_FIRST):
        tails.setdefault(word[:1], []).append(re.escape(word[1:]))
    heads = (re.escape(head) + b"(?:" + b"|".join(rest) + b")" for head, rest in tails.items())
    return b"(?:" + b"|".join(heads) + rb")(?=\s)"


# in_report() for a line that is no end marker, as a pattern for its beginning; most are frames.
# It takes none for a body that is the rest of a prefix.
IN_REPORT = (
    rb"(?![-=])(?: (?:\? )?+[\w.$]++\+0x[0-9a-f]|[^\S\n]*+"
    + _words()
    + rb"|(?![^\S\n]*+\n)"
    + _shapes(rb"[^\S\n]", NO_PREFIX)
    + rb")"
)
_AFTER_END = re.compile(
    rb"\s*(?:R[A-Z0-9]{2}: |[EFGDC]S: |CR\d: |DR\d: |PKRU: |ORIG_RAX|Code: |x\d{1,2}\s*:|"
    rb"Kernel |Rebooting|Dumping|note: .*exited with|-{2,4}\[ end|Fixing recursive|SMP: |"
    rb"PHYS_OFFSET|CPU features|Memory Limit|={20,}|Thread overran|Disabling lock)"
)
_EVIDENCE = re.compile(
    rb"^\s*(?:CPU: \d|Call [Tt]race:|RIP: |pc : |(?:\? )?[\w.$]+\+0x[0-9a-f]+/0x|Hardware name|"
    rb"Modules linked)",
    re.MULTILINE,
)
_CONTEXT = re.compile(rb"^\s*(?:CPU: \d|Call [Tt]race:|RIP: |pc : |Modules linked)", re.MULTILINE)


def in_report(body: bytes) -> bool:
    """Whether this may be a line of a report; `body` is not blank."""
    return body.split(None, 1)[0] in _FIRST or _SHAPE.match(body) is not None


def after_end(body: bytes) -> bool:
    """Whether this may follow a report's end marker and still belong to it."""
    return _AFTER_END.match(body) is not None


def is_evidence(body: bytes) -> bool:
    """Whether userspace or a driver that only uses a strong word would not print this."""
    return _EVIDENCE.search(body) is not None


def is_context(body: bytes) -> bool:
    """Whether the report has come to say where the machine was: its announcement is over."""
    return _CONTEXT.search(body) is not None
