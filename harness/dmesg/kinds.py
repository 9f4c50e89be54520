"""What a row of the table of report kinds says."""

from __future__ import annotations

import re

import msgspec

from harness.dmesg import machinery as sets
from harness.dmesg.machinery import Skipper
from harness.dmesg.splat import SplatType


class Kind(msgspec.Struct, frozen=True):
    """How one kind of report begins, ends, and is called.

    `pattern` matches the whole beginning of a record's body. Its groups fill the title:
    `func` is a `%pS` symbol, `file` and `line` where it is, `comm`, `pid`, `cpu` whose it is,
    `same` what makes one more line of this kind the same complaint, any other one text. In the
    title, `{function}` is the guilty function; a title that ends in ` in {function}` loses that
    part where there is none.
    """

    type: SplatType
    pattern: re.Pattern[bytes]
    title: str
    skip: Skipper
    # ends with "---[ end trace": without it the report was cut short
    ends: bool = False
    # ends with such a line
    rule: re.Pattern[bytes] | None = None
    # always comes with a stack trace
    traced: bool = True
    # the program counter in the report is where it happened
    counter: bool = False
    # the first frames are the ones that count, also those that no "Call Trace:" introduces
    first: bool = False
    # only frames after a match of this (^: at a line's beginning) count
    anchor: re.Pattern[str] | None = None
    # the machine's last words about a fault ("… [#1] SMP") belong to it
    dies: bool = False
    # is such last words, and so belongs to what was reported just before
    oops: bool = False
    # text that introduces a WARNING or BUG, which then is this report
    preamble: bool = False
    # what may be said in the middle of another report
    aside: bool = False
    # too common a text to be believed without a stack trace or registers
    weak: bool = False
    # other CPUs add their backtraces
    gathers: bool = False
    # comes in a file, which userspace prints on the console
    relayed: bool = False
    # no function is to blame
    nobody: bool = False
    # chance decides in which function it is caught
    by_chance: bool = False
    # `file` and `line` are the guilty function's, not those of the check that noticed
    exact: bool = False
    # a later line with more groups
    detail: re.Pattern[str] | None = None


PLAIN = Skipper(sets.REPORTING)
FAULT = Skipper(sets.REPORTING, sets.PRIMITIVES, sets.LOCKS, sets.SLABS)
MEMORY = Skipper(sets.REPORTING, sets.PRIMITIVES)
CHECKED = Skipper(sets.REPORTING, sets.PRIMITIVES, sets.SLABS)
OWNER = Skipper(sets.REPORTING, sets.PRIMITIVES, sets.ALLOCATORS)
PAGE = Skipper(
    *(sets.REPORTING, sets.PRIMITIVES, sets.ALLOCATORS),
    r"filemap_unaccount_folio|unaccount_page_cache_page|(?:page|folio)_remove_rmap\w*|"
    r"vm_normal_(?:page|folio)\w*",
)
HANDLE = Skipper(sets.REPORTING, sets.PRIMITIVES, sets.ALLOCATORS, sets.HANDLES)
COUNTED = Skipper(sets.REPORTING, sets.PRIMITIVES, r"kobject_\w+|_*rcuref_\w+")
FREED = Skipper(sets.REPORTING, sets.PRIMITIVES, sets.ALLOCATORS, sets.LOCKS)
OBJECT = Skipper(sets.REPORTING, sets.PRIMITIVES, sets.OBJECTS)
REGISTERED = Skipper(
    sets.REPORTING, r"proc_(?:register|create|mkdir|symlink)\w*|_proc_mkdir|remove_proc_\w+"
)
LINKS = Skipper(
    sets.REPORTING,
    r"(?:drop|inc|clear|set)_nlink|inode_(?:dec|inc)_link_count|simple_(?:unlink|rmdir)",
)
URB = Skipper(sets.REPORTING, sets.URBS)
UNINIT = Skipper(sets.REPORTING, sets.PRIMITIVES, sets.URBS)
REGISTER = Skipper(sets.REPORTING, sets.REGISTERS)
LOCKS = Skipper(sets.REPORTING, sets.LOCKS, sets.USER_COPIES)
KEYS = Skipper(
    sets.REPORTING, sets.LOCKS, sets.WORK, r"lock_sock\w*|_*mutex_init|__kernfs_create_file"
)
DMA = Skipper(
    sets.REPORTING,
    r"check_(?:unmap|sync|for_\w+)|_*debug_dma_\w+|_*dma_(?:un)?(?:map|alloc|free|sync)\w*",
)
CHECKSUM = Skipper(
    sets.REPORTING,
    sets.PRIMITIVES,
    r"netdev_rx_csum_fault|_*skb_checksum\w*|nf_(?:ip6?_)?checksum\w*",
)
MISUSED = Skipper(sets.REPORTING, sets.LOCKS, r"lock_sock\w*")
HELD = Skipper(
    *(sets.REPORTING, sets.PRIMITIVES, sets.ALLOCATORS, sets.LOCKS),
    r"(?:un)?lock_sock\w*|release_sock",
)
_SLEEPERS = (*(sets.REPORTING, sets.LOCKS, sets.WAITING, sets.ALLOCATORS, sets.PRIMITIVES),)
SLEEP = Skipper(*_SLEEPERS)
FREEZE = Skipper(*_SLEEPERS, r"get_signal|try_to_freeze\w*|_*refrigerator")
WAIT = Skipper(sets.REPORTING, sets.LOCKS, sets.WAITING, sets.HANGING)
REFUSED = Skipper(
    *(sets.REPORTING, sets.PRIMITIVES, sets.ALLOCATORS),
    r"warn_alloc\w*|_*vmalloc_(?:area|node|huge|user|array)\w*|v[mz]alloc\w*|_*alloc_skb\w*|"
    r"\w+_alloc_skb\w*|kmalloc_(?:order|reserve)\w*|page_pool_\w+|\w*page_frag_\w+|"
    r"_*dma_(?:direct_)?alloc\w*|alloc_percpu\w*|pcpu_\w+",
)
LEAK = Skipper(sets.REPORTING, sets.PRIMITIVES, sets.ALLOCATORS, sets.ALLOCATING)
STUCK = Skipper(
    *(sets.REPORTING, sets.PRIMITIVES, sets.LOCKS, sets.INTERRUPTS),
    *(sets.SAMPLED, sets.ALLOCATORS, sets.WAITING),
)


class Refinement(msgspec.Struct, frozen=True):
    """A WARNING, BUG or panic that its own message makes a more special kind."""

    of: frozenset[SplatType]
    message: re.Pattern[str]
    type: SplatType
    title: str
    skip: Skipper
    # as of a Kind
    nobody: bool = False
    by_chance: bool = False
