"""Report kinds: pages and slabs, stalls and hangs, panic, and whatever else complains."""

from __future__ import annotations

import re

from harness.dmesg import kinds
from harness.dmesg.kinds import Kind
from harness.dmesg.splat import SplatType as T

_OWNER = re.compile(r'(?:kmemleak: )?\s*comm "(?P<comm>.{0,24})", pid (?P<pid>\d+)')
_CONTEXT = re.compile(r"^(?:Call Trace:|CPU: \d+ )", re.MULTILINE)


_re = re.compile


# check_bytes_and_report() in mm/slub.c since 6.13: which bytes, before the report's own first line
OVERWRITTEN = Kind(
    T.SLAB,
    _re(rb"\[(?P<what>[\w -]{1,40} overwritten)\] 0x[0-9a-f]+-0x"),
    "BUG: slab {cache}: {what} in {function}",
    kinds.OWNER,
    weak=True,
    anchor=_CONTEXT,
)
MEMORY = (
    # mm/page_alloc.c, mm/memory.c, mm/filemap.c, kernel/fork.c
    Kind(
        T.BAD_PAGE_STATE,
        _re(rb"BUG: Bad page (?P<what>state|cache) in process (?P<comm>.{0,24}?)  pfn:"),
        "BUG: Bad page {what} in {function}",
        kinds.PAGE,
        anchor=_CONTEXT,
    ),
    Kind(
        T.BAD_PAGE_MAP,
        _re(rb"BUG: Bad page map in process (?P<comm>.{0,24}?)  (?:pte|entry|pmd|pud|pgd|p4d):"),
        "BUG: Bad page map in {function}",
        kinds.PAGE,
        anchor=_CONTEXT,
    ),
    Kind(
        T.BAD_RSS,
        _re(
            rb"BUG: Bad rss-counter state mm:(?P<same>\S+) (?:type:|idx:)"
            rb"(?:.* Comm:(?P<comm>.{1,24}) Pid:(?P<pid>\d+))?"
        ),
        "BUG: Bad rss-counter state",
        kinds.PLAIN,
        traced=False,
    ),
    Kind(
        T.BAD_RSS,
        _re(rb"BUG: non-zero (?:pgtables_bytes|nr_ptes|nr_pmds) on freeing mm"),
        "BUG: non-zero pgtables_bytes on freeing mm",
        kinds.PLAIN,
        traced=False,
    ),
    # mm/page_poison.c
    Kind(
        T.BAD_PAGE_STATE,
        _re(rb"pagealloc: (?P<what>memory corruption|single bit error)$"),
        "pagealloc: {what} in {function}",
        kinds.PAGE,
        anchor=_CONTEXT,
    ),
    # mm/mempool.c
    Kind(
        T.BUG,
        _re(rb"BUG: mempool element poison mismatch"),
        "BUG: mempool element poison mismatch in {function}",
        kinds.OWNER,
    ),
    # mm/slub.c
    OVERWRITTEN,
    Kind(
        T.SLAB,
        _re(
            rb"BUG (?P<cache>\S.{0,60}?) \((?:Not tainted|Tainted: [A-Z ]+)\): "
            # KASAN's own report, until 4.9
            rb"(?!kasan: bad access)"
            # up to the first number and what leads to it
            rb"(?P<what>(?:[ .:(]++(?!0x|@|\d)|(?!0x|@|\d)[^ .:(])*+)"
        ),
        "BUG: slab {cache}: {what} in {function}",
        kinds.OWNER,
        preamble=True,
        anchor=_CONTEXT,
    ),
    # mm/slab.c until 6.7
    Kind(
        T.SLAB,
        _re(rb"slab error in \w+\(\): cache `(?P<cache>[^']{1,60})': (?P<what>.{1,60})"),
        "BUG: slab {cache}: {what} in {function}",
        kinds.OWNER,
    ),
    Kind(
        T.SLAB,
        _re(rb"Slab (?P<what>corruption) \([^)]{1,60}\): (?P<cache>\S{1,60}) start="),
        "BUG: slab {cache}: {what}",
        kinds.OWNER,
        traced=False,
    ),
    # mm/kmemleak.c
    Kind(
        T.MEMORY_LEAK,
        _re(rb"(?:kmemleak: )?unreferenced object (?:\(percpu\) )?0x"),
        "memory leak in {function}",
        kinds.LEAK,
        detail=_OWNER,
        first=True,
        relayed=True,
    ),
    Kind(
        T.MEMORY_LEAK,
        _re(rb"kmemleak: \d+ new suspected memory leaks"),
        "memory leak",
        kinds.OWNER,
        traced=False,
    ),
    # warn_alloc() in mm/page_alloc.c
    Kind(
        T.OUT_OF_MEMORY,
        _re(
            rb"(?P<comm>.{1,24}): (?:page allocation (?:failure: order:|stall for )|"
            rb"vmalloc error: size )\d"
        ),
        "page allocation failure in {function}",
        kinds.REFUSED,
    ),
    # mm/percpu.c
    Kind(
        T.OUT_OF_MEMORY,
        _re(rb"percpu: allocation failed, size=\d"),
        "percpu allocation failure in {function}",
        kinds.REFUSED,
    ),
    # mm/oom_kill.c
    Kind(
        T.OUT_OF_MEMORY,
        _re(rb"(?P<comm>.{1,24}) invoked oom-killer: "),
        "out of memory",
        kinds.OWNER,
        nobody=True,
    ),
    Kind(
        T.OUT_OF_MEMORY,
        _re(rb"(?:Out of memory|Memory cgroup out of memory)[^:]{0,40}: Kill(?:ed)? process \d+"),
        "out of memory",
        kinds.OWNER,
        traced=False,
    ),
)
STALLS = (
    # kernel/rcu/tree_stall.h, tree_exp.h, tasks.h
    Kind(
        T.RCU_STALL,
        _re(rb"(?:rcu: )?INFO: rcu\w{0,30} (?:self-)?detected (?:expedited )?stalls? on"),
        "INFO: rcu detected stall in {function}",
        kinds.STUCK,
        by_chance=True,
        counter=True,
        gathers=True,
    ),
    Kind(
        T.RCU_STALL,
        _re(rb"(?:rcu: )?INFO: rcu\w{0,30} detected (?:expedited )?stalls?(?:,|\? )"),
        "INFO: rcu detected stall",
        kinds.STUCK,
        traced=False,
    ),
    # kernel/watchdog.c
    Kind(
        T.SOFT_LOCKUP,
        _re(
            rb"(?:(?:NMI )?watchdog: )?BUG: soft lockup - CPU#(?P<cpu>\d+) stuck for \d+s! "
            rb"\[(?P<comm>.{0,24}):(?P<pid>\d+)\]"
        ),
        "BUG: soft lockup in {function}",
        kinds.STUCK,
        by_chance=True,
        counter=True,
        gathers=True,
    ),
    Kind(
        T.HARD_LOCKUP,
        _re(
            rb"(?:(?:NMI )?watchdog: )?(?:CPU\d+: )?Watchdog detected hard LOCKUP on cpu "
            rb"(?P<cpu>\d+)"
        ),
        "hard lockup in {function}",
        kinds.STUCK,
        counter=True,
        gathers=True,
    ),
    # kernel/hung_task.c
    Kind(
        T.HUNG_TASK,
        _re(
            rb"INFO: task (?P<comm>.{0,24}):(?P<pid>\d+) (?:blocked (?:in I/O wait )?for more than|"
            rb"can't die (?:in|for) more than) \d+ seconds"
        ),
        "INFO: task hung in {function}",
        kinds.WAIT,
        gathers=True,
    ),
    # kernel/workqueue.c
    Kind(
        T.WORKQUEUE_LOCKUP,
        _re(rb"BUG: workqueue lockup - pool"),
        "BUG: workqueue lockup",
        kinds.STUCK,
        nobody=True,
        traced=False,
        gathers=True,
    ),
)
OTHERS = (
    # lib/kobject.c
    Kind(
        T.KOBJECT,
        _re(
            rb"(?:kobject: ?)?(?:kobject ?)?(?:'.{0,60}' )?\(.{1,40}\): "
            rb"(?P<what>tried to (?:init an initialized|add an uninitialized) object)"
        ),
        "kobject: {what} in {function}",
        kinds.OBJECT,
    ),
    # sysfs_warn_dup() in fs/sysfs/dir.c
    Kind(
        T.KOBJECT,
        _re(rb"sysfs: cannot create duplicate filename "),
        "sysfs: duplicate filename in {function}",
        kinds.OBJECT,
    ),
    # net/core/dev.c
    Kind(
        T.NETDEVICE,
        _re(rb"unregister_netdevice: waiting for (?P<same>.{1,32}) to become free"),
        "unregister_netdevice: waiting for device to become free",
        kinds.PLAIN,
        nobody=True,
        traced=False,
    ),
    # kernel/irq/spurious.c
    Kind(
        T.IRQ,
        _re(rb"irq (?:\d+: (?P<what>nobody cared)|event \d+: (?P<what2>bogus return value))"),
        "irq: {what}{what2}",
        kinds.PLAIN,
        nobody=True,
    ),
    # kernel/panic.c; __stack_chk_fail() says who called it
    Kind(
        T.PANIC,
        _re(
            rb"Kernel panic - not syncing: ?"
            rb"(?P<what>(?:stack-protector: Kernel stack is corrupted in: (?P<func>\S+))?.*)"
        ),
        "kernel panic: {what}",
        kinds.MEMORY,
        traced=False,
    ),
    # include/linux/maple_tree.h
    Kind(T.BUG, _re(rb"BUG at (?P<func>\w+):\d+ \(\d+\)$"), "BUG in {function}", kinds.MEMORY),
    Kind(
        T.WARNING,
        _re(rb"WARN at (?P<func>\w+):\d+ \(\d+\)$"),
        "WARNING in {function}",
        kinds.MEMORY,
    ),
    # these bring a stack, but don't call themselves anything: net/core/dev.c, net/core/neighbour.c,
    # kernel/time/timer.c, mm/kmemleak.c
    Kind(
        T.WARNING,
        _re(rb"\S{1,32}: hw csum failure$"),
        "hw csum failure in {function}",
        kinds.CHECKSUM,
        weak=True,
    ),
    Kind(
        T.BUG,
        _re(rb"NEIGH: BUG, (?P<what>double timer add)"),
        "BUG: {what} in {function}",
        kinds.MEMORY,
        weak=True,
    ),
    Kind(
        T.WARNING,
        _re(rb"(?P<func>schedule_timeout): wrong timeout value"),
        "wrong timeout value in {function}",
        kinds.WAIT,
        weak=True,
    ),
    Kind(
        T.BUG,
        _re(rb"kmemleak: (?P<what>Cannot insert|(?:Trying to color|Freeing) unknown object)"),
        "kmemleak: {what} in {function}",
        kinds.LEAK,
        weak=True,
    ),
    # anything else that calls itself so, if it brings a stack trace
    Kind(T.BUG, _re(rb"BUG: (?P<what>.{1,120})"), "BUG: {what}", kinds.MEMORY, weak=True),
    Kind(
        T.WARNING, _re(rb"WARNING: (?P<what>.{1,120})"), "WARNING: {what}", kinds.MEMORY, weak=True
    ),
)
