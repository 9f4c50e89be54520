"""The table of report kinds: how each begins, and how it is called.

The texts are those of the kernel's printing code; each group names its source file.
Order counts: the first match wins.
"""

from __future__ import annotations

import re

from harness.dmesg import kinds
from harness.dmesg.kinds import Kind
from harness.dmesg.splat import SplatType as T

_EQUALS = re.compile(rb"={30,}$")
_BACKTRACE = re.compile(r"stack backtrace:")
_ACCESS = re.compile(
    r"(?:(?P<access>Read|Write)(?: of size \d+)? at addr|Free of addr) \S+ by task "
    r"(?P<comm>.{0,24})/(?P<pid>\d+)"
)
_TAKER = re.compile(
    r"(?P<comm>.{0,24})/(?P<pid>\d+) (?:\[HC\d.{0,60}\] )?(?:is (?:trying|freeing|leaving)|takes|just)"
)
_RCU_PLACE = re.compile(r"(?P<file>[^\s:]+):(?P<line>\d+) ")
_NAMED = re.compile(r"in_atomic\(\): .*pid: (?P<pid>\d+), name: (?P<comm>.*)")

# With CONFIG_DEBUG_BUGVERBOSE_DETAILED the condition precedes the file, in brackets.
_PLACE = rb"(?:\[.*\] )?(?P<file>[^\s:]+):(?P<line>\d+)"
_TASK = rb"(?P<comm>.{0,24})[/:](?P<pid>\d+)"


def _re(text: bytes) -> re.Pattern[bytes]:
    return re.compile(text)


CUT_HERE = Kind(
    T.WARNING,
    _re(rb"-{4,}\[ cut here \]-{4,}$"),
    "WARNING in {function}",
    kinds.PLAIN,
    ends=True,
    weak=True,
    counter=True,
)
WARNINGS = (
    # __warn() in kernel/panic.c: until 6.18, then from 6.19
    Kind(
        T.WARNING,
        _re(
            rb"WARNING: (?:CPU: (?P<cpu>\d+) PID: (?P<pid>\d+) )?at (?:"
            + _PLACE
            + rb" )?(?P<func>.*)"
        ),
        "WARNING in {function}",
        kinds.PLAIN,
        ends=True,
        counter=True,
    ),
    Kind(
        T.WARNING,
        _re(
            rb"WARNING: " + _PLACE + rb" at (?P<func>.*?), CPU#(?P<cpu>\d+): "
            rb"(?P<comm>.*)/(?P<pid>\d+)$"
        ),
        "WARNING in {function}",
        kinds.PLAIN,
        ends=True,
        counter=True,
    ),
    Kind(
        T.WARNING,
        _re(rb"WARNING: at (?P<func>.*?), CPU#(?P<cpu>\d+): (?P<comm>.*)/(?P<pid>\d+)$"),
        "WARNING in {function}",
        kinds.PLAIN,
        ends=True,
        counter=True,
    ),
)
BUGS = (
    # lib/bug.c
    Kind(
        T.BUG,
        _re(rb"kernel BUG at " + _PLACE + rb"!"),
        "kernel BUG in {function}",
        kinds.MEMORY,
        counter=True,
        dies=True,
    ),
    Kind(
        T.BUG,
        _re(rb"Kernel BUG at (?P<func>.*) \[verbose debug info unavailable\]"),
        "kernel BUG in {function}",
        kinds.MEMORY,
        counter=True,
        dies=True,
    ),
    # arch/arm64/kvm/handle_exit.c
    Kind(
        T.BUG,
        _re(rb"kvm \[\d+\]: nVHE hyp (?:BUG|panic|CFI failure) at: (?P<func>.*)!"),
        "nVHE hyp BUG in {function}",
        kinds.MEMORY,
        traced=False,
        dies=True,
    ),
)
# CHECK_DATA_CORRUPTION(): lib/list_debug.c, fs/super.c; mm/usercopy.c
PREAMBLES = (
    Kind(
        T.LIST_CORRUPTION,
        _re(rb"(?:slab )?list_(?:add|del) (?:corruption|double add)"),
        "list corruption in {function}",
        kinds.MEMORY,
        counter=True,
        dies=True,
        preamble=True,
    ),
    Kind(
        T.USERCOPY,
        _re(rb"(?:usercopy: )?[Kk]ernel memory (?P<what>exposure|overwrite) attempt detected "),
        "usercopy: kernel memory {what} in {function}",
        kinds.OWNER,
        counter=True,
        dies=True,
        preamble=True,
    ),
    Kind(
        T.VFS_BUSY,
        _re(rb"VFS: Busy inodes after unmount of "),
        "VFS: Busy inodes after unmount",
        kinds.PLAIN,
        traced=False,
        dies=True,
        preamble=True,
    ),
    # arch/x86/kernel/traps.c and cfi.c: UBSAN and CFI by trap
    Kind(
        T.UBSAN,
        _re(rb"UBSAN: (?P<what>[\w -]{1,60}) at (?P<func>.*)"),
        "UBSAN: {what} in {function}",
        kinds.MEMORY,
        counter=True,
        dies=True,
    ),
    Kind(
        T.CFI,
        _re(rb"CFI failure at (?P<func>\S+)"),
        "CFI failure in {function}",
        kinds.MEMORY,
        counter=True,
        dies=True,
        preamble=True,
    ),
)
SANITIZERS = (
    # mm/kasan/report.c
    Kind(
        T.KASAN,
        _re(rb"BUG: KASAN: (?P<what>[\w -]{1,60}?)(?: in (?P<func>.*)| on address .*)?$"),
        "KASAN: {what} {access} in {function}",
        kinds.OWNER,
        detail=_ACCESS,
        rule=_EQUALS,
    ),
    # mm/kmsan/report.c
    Kind(
        T.KMSAN,
        _re(rb"BUG: KMSAN: (?P<what>[\w -]{1,60}?)(?: in (?P<func>.*))?$"),
        "KMSAN: {what} in {function}",
        kinds.MEMORY,
        rule=_EQUALS,
        first=True,
    ),
    # kernel/kcsan/report.c
    Kind(
        T.KCSAN,
        _re(rb"BUG: KCSAN: (?P<what>assert: race|data-race) in (?P<pair>[\w.$]+ / [\w.$]+)"),
        "KCSAN: {what} in {pair}",
        kinds.MEMORY,
        rule=_EQUALS,
        first=True,
    ),
    Kind(
        T.KCSAN,
        _re(rb"BUG: KCSAN: (?P<what>assert: race|data-race) in (?P<func>.*)"),
        "KCSAN: {what} in {function}",
        kinds.MEMORY,
        rule=_EQUALS,
        first=True,
    ),
    # mm/kfence/report.c
    Kind(
        T.KFENCE,
        _re(rb"BUG: KFENCE: (?P<what>[\w -]{1,60}?)(?: in (?P<func>.*))?$"),
        "KFENCE: {what} in {function}",
        kinds.OWNER,
        rule=_EQUALS,
        first=True,
    ),
    # lib/ubsan.c
    Kind(
        T.UBSAN,
        _re(rb"UBSAN: (?P<what>.{1,60}?) in (?P<file>[^\s:]+):(?P<line>\d+):\d+"),
        "UBSAN: {what} in {function}",
        kinds.MEMORY,
        rule=_EQUALS,
        exact=True,
    ),
)
LOCKING = (
    # kernel/locking/lockdep.c
    Kind(
        T.LOCKDEP,
        _re(
            rb"WARNING: possible (?:circular|recursive) locking dependency detected|"
            rb"WARNING: possible (?:circular|recursive) locking detected|"
            rb"WARNING: possible irq lock inversion dependency detected|"
            rb"WARNING: [A-Z_-]{1,40}-safe -> [A-Z_-]{1,40}-unsafe lock order detected"
        ),
        "possible deadlock in {function}",
        kinds.LOCKS,
        detail=_TAKER,
        anchor=_BACKTRACE,
    ),
    Kind(
        T.LOCKDEP,
        _re(rb"(?:WARNING: )?inconsistent lock state$"),
        "inconsistent lock state in {function}",
        kinds.LOCKS,
        detail=_TAKER,
        anchor=_BACKTRACE,
    ),
    Kind(
        T.LOCKDEP,
        _re(rb"WARNING: (?P<what>bad unlock balance|bad contention) detected!"),
        "WARNING: {what} in {function}",
        kinds.LOCKS,
        detail=_TAKER,
        anchor=_BACKTRACE,
    ),
    Kind(
        T.LOCKDEP,
        _re(
            rb"WARNING: (?P<what>held lock freed)!|"
            rb"WARNING: (?P<what2>Nested lock was not taken|chain_key collision)"
        ),
        "WARNING: {what}{what2} in {function}",
        kinds.OWNER,
        detail=_TAKER,
        anchor=_BACKTRACE,
    ),
    Kind(
        T.LOCKDEP,
        _re(rb"WARNING: (?P<what>lock held when returning to user space)!"),
        "WARNING: {what} in {function}",
        kinds.LOCKS,
        detail=_TAKER,
        traced=False,
    ),
    Kind(
        T.LOCKDEP,
        _re(rb"WARNING: " + _TASK + rb" still has locks held!"),
        "WARNING: still has locks held in {function}",
        kinds.SLEEP,
        anchor=_BACKTRACE,
    ),
    Kind(
        T.LOCKDEP,
        _re(rb"INFO: (?P<what>trying to register non-static key)"),
        "INFO: {what} in {function}",
        kinds.LOCKS,
    ),
    Kind(
        T.LOCKDEP,
        _re(
            rb"BUG: (?P<what>MAX_[A-Z_]{1,40} too low|looking up invalid subclass|key .{1,40} has not "
            rb"been registered)"
        ),
        "BUG: {what}",
        kinds.LOCKS,
        traced=False,
    ),
    Kind(
        T.SUSPICIOUS_RCU,
        _re(rb"WARNING: suspicious RCU usage"),
        "WARNING: suspicious RCU usage in {function}",
        kinds.PLAIN,
        anchor=_BACKTRACE,
        exact=True,
        detail=_RCU_PLACE,
    ),
    Kind(
        T.INVALID_WAIT_CONTEXT,
        _re(rb"\[ BUG: Invalid wait context \]"),
        "BUG: Invalid wait context in {function}",
        kinds.LOCKS,
        anchor=_BACKTRACE,
    ),
    # kernel/locking/spinlock_debug.c
    Kind(
        T.SPINLOCK,
        _re(rb"BUG: (?P<what>(?:spin|rw)lock [\w /-]{1,40}?) on CPU#(?P<cpu>\d+), " + _TASK),
        "BUG: {what} in {function}",
        kinds.LOCKS,
    ),
)
ATOMIC = (
    # kernel/sched/core.c
    Kind(
        T.SLEEPING_IN_ATOMIC,
        _re(rb"BUG: sleeping function called from invalid context at " + _PLACE),
        "BUG: sleeping function called from invalid context in {function}",
        kinds.SLEEP,
        detail=_NAMED,
    ),
    Kind(
        T.SLEEPING_IN_ATOMIC,
        _re(rb"BUG: (?P<what>assuming (?:atomic|non migratable) context) at " + _PLACE),
        "BUG: {what} in {function}",
        kinds.PLAIN,
    ),
    Kind(
        T.SCHEDULING_WHILE_ATOMIC,
        _re(
            rb"BUG: (?P<what>scheduling while atomic|scheduling in a non-blocking section): "
            + _TASK
        ),
        "BUG: {what} in {function}",
        kinds.SLEEP,
    ),
    # kernel/workqueue.c
    Kind(
        T.SCHEDULING_WHILE_ATOMIC,
        _re(rb"BUG: workqueue leaked (?:lock or atomic|atomic, lock or RCU): " + _TASK),
        "BUG: workqueue leaked lock or atomic in {function}",
        kinds.PLAIN,
    ),
    # lib/smp_processor_id.c
    Kind(
        T.PREEMPTIBLE,
        _re(rb"BUG: (?P<what>using [\w()]{1,40} in preemptible) \[\w+\](?: code:)? " + _TASK),
        "BUG: {what} code in {function}",
        kinds.PLAIN,
    ),
)
