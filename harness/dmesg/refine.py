"""Complaints whose own message says more than their header."""

from __future__ import annotations

import re
from typing import NamedTuple

from harness.dmesg import kinds
from harness.dmesg.kinds import Refinement
from harness.dmesg.machinery import Skipper
from harness.dmesg.splat import SplatType as T

_WARN = frozenset({T.WARNING})
_WARN_BUG = frozenset({T.WARNING, T.BUG})
_PANIC = frozenset({T.PANIC})


def _r(
    of: frozenset[T],
    message: str,
    type_: T,
    title: str,
    skip: Skipper = kinds.MEMORY,
    nobody: bool = False,
    by_chance: bool = False,
) -> Refinement:
    return Refinement(of, re.compile(message, re.MULTILINE), type_, title, skip, nobody, by_chance)


_REFCOUNT = _r(
    _WARN,
    r"^(?:refcount_t: |rcuref - imbalanced )",
    T.REFCOUNT,
    "WARNING: refcount bug in {function}",
    kinds.COUNTED,
)
_REFINEMENTS = (
    # lib/refcount.c
    _REFCOUNT,
    # kernel/dma/debug.c
    _r(_WARN, r"^(?:\S+ \S+: )?DMA-API: ", T.WARNING, "WARNING in {function}", kinds.DMA),
    # lib/debugobjects.c
    _r(_WARN, r"^ODEBUG: ", T.ODEBUG, "WARNING: ODEBUG bug in {function}", kinds.HANDLE),
    # lib/kobject.c
    _r(_WARN, r"^kobject: ", T.KOBJECT, "WARNING: kobject bug in {function}", kinds.OBJECT),
    # lib/list_debug.c, mm/usercopy.c, fs/super.c
    _r(
        _WARN_BUG,
        r"^(?:slab )?list_(?:add|del)",
        T.LIST_CORRUPTION,
        "list corruption in {function}",
    ),
    _r(
        _WARN_BUG,
        r"^(?:Bad or missing usercopy whitelist\? )?(?:usercopy: )?"
        r"[Kk]ernel memory (?:exposure|overwrite) attempt",
        T.USERCOPY,
        "usercopy: kernel memory bug in {function}",
        kinds.OWNER,
    ),
    # mm/slab_common.c
    _r(
        _WARN,
        r"^kmem_cache_destroy .{1,80}: Slab cache still has objects",
        T.SLAB,
        "WARNING: slab cache still has objects in {function}",
        kinds.OWNER,
    ),
    _r(_WARN_BUG, r"^VFS: Busy inodes after unmount", T.VFS_BUSY, "VFS: Busy inodes after unmount"),
    _r(_WARN_BUG, r"^CFI failure at ", T.CFI, "CFI failure in {function}"),
    # rcu_sleep_check()
    _r(
        frozenset({T.SUSPICIOUS_RCU}),
        r"Illegal context switch in RCU",
        T.SUSPICIOUS_RCU,
        "WARNING: suspicious RCU usage in {function}",
        kinds.SLEEP,
    ),
    # kernel/sched/core.c, kernel/panic.c, arch/arm64/kernel/traps.c
    _r(
        _PANIC,
        r"corrupted stack end detected",
        T.STACK_CORRUPTION,
        "corrupted stack end in {function}",
        kinds.SLEEP,
        by_chance=True,
    ),
    _r(
        _PANIC,
        r"stack-protector: ",
        T.STACK_CORRUPTION,
        "stack-protector: kernel stack is corrupted in {function}",
    ),
    # kernel/cfi.c until 6.0
    _r(_PANIC, r"CFI failure", T.CFI, "CFI failure in {function}"),
    # what userspace or the configuration did: init/, kernel/exit.c
    _r(
        _PANIC,
        r"VFS: Unable to mount root|Attempted to kill init|"
        r"No (?:working )?init found|Requested init ",
        T.PANIC,
        "kernel panic: {what}",
        nobody=True,
    ),
    _r(_PANIC, r"kernel stack overflow", T.STACK_OVERFLOW, "kernel stack overflow in {function}"),
    _r(
        _PANIC,
        r"[Oo]ut of memory|deadlocked on memory",
        T.OUT_OF_MEMORY,
        "out of memory",
        kinds.OWNER,
    ),
    _r(_PANIC, r"Hard LOCKUP", T.HARD_LOCKUP, "hard lockup in {function}", kinds.STUCK),
)


def _for(type_: T) -> tuple[Refinement, ...]:
    return tuple(refinement for refinement in _REFINEMENTS if type_ in refinement.of)


# The refinements of each type that has some, the most special first.
REFINEMENTS = {type_: rows for type_ in T if (rows := _for(type_))}


class CallCheck(NamedTuple):
    """A function whose WARNING says that its caller is wrong."""

    function: re.Pattern[str]
    refinement: Refinement


def _of_caller(function: str, what: str, skip: Skipper, type_: T = T.WARNING) -> CallCheck:
    title = f"WARNING: {what} bug in {{function}}"
    return CallCheck(re.compile(function), _r(_WARN, "", type_, title, skip))


def _in_caller(function: str, skip: Skipper) -> CallCheck:
    return CallCheck(re.compile(function), _r(_WARN, "", T.WARNING, "WARNING in {function}", skip))


_ALLOCATES = r"_*kv?[mzc]?alloc\w*|_*kvrealloc\w*"
_KMALLOC = _of_caller(_ALLOCATES, "kmalloc", kinds.OWNER)
# Whose object is it? Inlined in what frees it, or not.
_OWNS = r"cache_from_obj|virt_to_cache"
# An object on the stack that isn't said to be there, or the other way round.
_ON_STACK = CallCheck(
    re.compile(r"lookup_object_or_alloc|_*debug_object_\w+"),
    _r(_WARN, "", T.ODEBUG, "WARNING: ODEBUG bug in {function}", kinds.HANDLE),
)
_URB = CallCheck(
    re.compile(r"usb_submit_urb"),
    _r(_WARN, "", T.WARNING, "WARNING in {function}/usb_submit_urb", kinds.URB),
)
# DEBUG_LOCKS_WARN_ON(), DEBUG_RWSEMS_WARN_ON()
_LOCK = _in_caller("", kinds.MISUSED)
# Where the message, which says the same, was lost
_COUNT = CallCheck(re.compile(r"refcount_\w+"), _REFCOUNT)
# Files with such functions.
CALL_CHECKS = {
    "drivers/usb/core/urb.c": _URB,
    "lib/refcount.c": _COUNT,
    "kernel/locking/lockdep.c": _of_caller("", "locking", kinds.MISUSED),
    "fs/inode.c": _in_caller(r"(?:drop|inc|clear|set)_nlink", kinds.LINKS),
    "kernel/locking/mutex.c": _LOCK,
    "kernel/locking/mutex-debug.c": _LOCK,
    "kernel/locking/rwsem.c": _LOCK,
    "lib/kobject.c": _of_caller(r"kobject_\w+", "kobject", kinds.OBJECT, T.KOBJECT),
    "mm/page_alloc.c": _in_caller(r"_*alloc_(?:frozen_)?pages\w*", kinds.OWNER),
    "mm/slab.h": _of_caller(_OWNS + r"|kmem_cache_\w+|_*k\w*free", "kfree", kinds.OWNER),
    "mm/util.c": _KMALLOC,
    "mm/vmalloc.c": _of_caller(r"_*v[mz]?alloc\w*", "vmalloc", kinds.REFUSED),
    "mm/slab_common.c": _KMALLOC,
    "mm/slub.c": _of_caller(_ALLOCATES + "|" + _OWNS, "kmalloc", kinds.OWNER),
    "lib/debugobjects.c": _ON_STACK,
    "kernel/sched/core.c": _in_caller(r"_*might_(?:sleep|resched)", kinds.SLEEP),
    "fs/proc/generic.c": _of_caller(r"_*proc_\w+", "proc registration", kinds.REGISTERED),
}
