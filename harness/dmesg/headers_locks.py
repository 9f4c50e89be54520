"""Report kinds: locks, RCU usage, and sleeping where one must not."""

from __future__ import annotations

import re

from harness.dmesg import kinds
from harness.dmesg.kinds import Kind
from harness.dmesg.splat import SplatType as T

_BACKTRACE = re.compile(r"^stack backtrace:", re.MULTILINE)
_TAKER = re.compile(
    r"(?P<comm>.{0,24})/(?P<pid>\d+) (?:\[HC\d.{0,60}\] )?"
    r"(?:is (?:trying|freeing|leaving)|takes|just)"
)
_RCU_PLACE = re.compile(r"(?P<file>[^\s:]+):(?P<line>\d+) ")
_WORK = re.compile(r"\s*(?:preempt=.{0,80} workfn=|last function: )(?P<func>\S+)")
_NAMED = re.compile(r"in_atomic\(\): .*pid: (?P<pid>\d+), name: (?P<comm>.*)")

_PLACE = rb"(?P<file>[^\s:]+):(?P<line>\d+)"
_TASK = rb"(?P<comm>.{0,24})[/:](?P<pid>\d+)"


_re = re.compile
# As lockdep begins since 4.13, and before
_SAYS = rb"(?:WARNING|\[ (?:INFO|BUG|ERR)): "


LOCKING = (
    # kernel/locking/lockdep.c
    Kind(
        T.LOCKDEP,
        _re(
            _SAYS
            + rb"(?:possible (?:(?:circular|recursive) locking|irq lock inversion) "
            + rb"(?:dependency )?detected|"
            + rb"[A-Z_-]{1,40}-safe -> [A-Z_-]{1,40}-unsafe lock order detected)"
        ),
        "possible deadlock in {function}",
        kinds.LOCKS,
        detail=_TAKER,
        anchor=_BACKTRACE,
    ),
    Kind(
        T.LOCKDEP,
        _re(rb"(?:" + _SAYS + rb")?inconsistent lock state(?: \])?$"),
        "inconsistent lock state in {function}",
        kinds.LOCKS,
        detail=_TAKER,
        anchor=_BACKTRACE,
    ),
    Kind(
        T.LOCKDEP,
        _re(_SAYS + rb"(?P<what>bad unlock balance|bad contention) detected!"),
        "WARNING: {what} in {function}",
        kinds.LOCKS,
        detail=_TAKER,
        anchor=_BACKTRACE,
    ),
    Kind(
        T.LOCKDEP,
        _re(
            _SAYS
            + rb"(?:(?P<what>held lock freed)!|"
            + rb"(?P<what2>Nested lock was not taken|chain_key collision))"
        ),
        "WARNING: {what}{what2} in {function}",
        kinds.HELD,
        detail=_TAKER,
        anchor=_BACKTRACE,
    ),
    Kind(
        T.LOCKDEP,
        _re(_SAYS + rb"(?P<what>lock held when returning to user space)!"),
        "WARNING: {what} in {function}",
        kinds.LOCKS,
        detail=_TAKER,
        traced=False,
    ),
    Kind(
        T.LOCKDEP,
        _re(_SAYS + _TASK + rb" still has locks held!"),
        "WARNING: still has locks held in {function}",
        kinds.FREEZE,
        anchor=_BACKTRACE,
    ),
    Kind(
        T.LOCKDEP,
        _re(rb"INFO: (?P<what>trying to register non-static key)"),
        "INFO: {what} in {function}",
        kinds.KEYS,
    ),
    Kind(
        T.LOCKDEP,
        _re(rb"BUG: (?P<what>MAX_LOCK_DEPTH too low|looking up invalid subclass)"),
        "BUG: {what}",
        kinds.LOCKS,
        traced=False,
    ),
    # Its tables are full, whoever came last
    Kind(
        T.LOCKDEP,
        _re(rb"BUG: (?P<what>MAX_(?:LOCKDEP_\w{1,24}|STACK_TRACE_ENTRIES) too low)"),
        "BUG: {what}",
        kinds.LOCKS,
        traced=False,
        nobody=True,
    ),
    Kind(
        T.LOCKDEP,
        _re(rb"BUG: key .{1,40} has not been registered"),
        "BUG: lock key has not been registered in {function}",
        kinds.KEYS,
        preamble=True,
        traced=False,
    ),
    Kind(
        T.SUSPICIOUS_RCU,
        _re(_SAYS + rb"suspicious RCU usage"),
        "WARNING: suspicious RCU usage in {function}",
        kinds.LOCKS,
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
            rb"(?P<comm>.{0,24})/(?P<pid>\d+)/"
        ),
        "BUG: {what} in {function}",
        kinds.SLEEP,
    ),
    # kernel/sched/idle.c
    Kind(
        T.SCHEDULING_WHILE_ATOMIC,
        _re(rb"bad: (?P<what>scheduling from the idle thread)"),
        "BUG: {what} in {function}",
        kinds.SLEEP,
    ),
    # kernel/workqueue.c
    Kind(
        T.SCHEDULING_WHILE_ATOMIC,
        _re(
            rb"BUG: workqueue leaked (?:lock or atomic|atomic, lock or RCU): "
            rb"(?P<comm>.{0,64}?)(?:/0x[0-9a-f]+/|\[)(?P<pid>\d+)"
        ),
        "BUG: workqueue leaked lock or atomic in {function}",
        kinds.PLAIN,
        detail=_WORK,
    ),
    # lib/smp_processor_id.c
    Kind(
        T.PREEMPTIBLE,
        _re(rb"BUG: (?P<what>using [\w()]{1,40} in preemptible) \[\w+\](?: code:)? " + _TASK),
        "BUG: {what} code in {function}",
        kinds.PLAIN,
    ),
)
