"""Report kinds: warnings, bugs, and what sanitizers and hardening find.

The texts are those of the kernel's printing code; each group names its source file.
Order counts: the first match wins.
"""

from __future__ import annotations

import re

from harness.dmesg import kinds
from harness.dmesg.kinds import Kind
from harness.dmesg.splat import SplatType as T

_EQUALS = re.compile(rb"={30,}$")
# Not SLUB's, which may be in the middle
_KASANS = re.compile(rb"={30,72}$")
_ACCESS = re.compile(
    r"(?:(?P<access>Read|Write)(?: of size \d+)? at addr|Free of addr) \S+ by task "
    r"(?P<comm>.{0,24})/(?P<pid>\d+)"
)

# With CONFIG_DEBUG_BUGVERBOSE_DETAILED the condition precedes the file, in brackets.
_PLACE = rb"(?:\[.{1,300}\] )?(?P<file>[^\s:]+):(?P<line>\d+)"


_re = re.compile


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
        _re(rb"WARNING: at (?P<func>.*?), CPU#(?P<cpu>\d+): (?P<comm>.*)/(?P<pid>\d+)$"),
        "WARNING in {function}",
        kinds.PLAIN,
        ends=True,
        counter=True,
    ),
    Kind(
        T.WARNING,
        _re(rb"WARNING: CPU: (?P<cpu>\d+) PID: (?P<pid>\d+) at (?:" + _PLACE + rb" )?(?P<func>.*)"),
        "WARNING in {function}",
        kinds.PLAIN,
        ends=True,
        counter=True,
    ),
    Kind(
        T.WARNING,
        _re(
            rb"WARNING: " + _PLACE + rb" at (?P<func>.{1,400}?)"
            rb"(?:, CPU#(?P<cpu>\d+): (?P<comm>.*)/(?P<pid>\d+))?$"
        ),
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
        kinds.CHECKED,
        counter=True,
        dies=True,
    ),
    Kind(
        T.BUG,
        _re(rb"[Kk]ernel BUG at (?P<func>.*) \[verbose debug info unavailable\]"),
        "kernel BUG in {function}",
        kinds.CHECKED,
        counter=True,
        dies=True,
    ),
    # arch/arm64/kvm/handle_exit.c
    Kind(
        T.BUG,
        _re(
            rb"kvm \[\d+\]: nVHE hyp (?:BUG|panic|CFI failure) at: (?:"
            + _PLACE
            + rb"|(?P<func>.*))!"
        ),
        "nVHE hyp BUG in {function}",
        kinds.MEMORY,
        traced=False,
        dies=True,
        exact=True,
    ),
    Kind(
        T.UBSAN,
        _re(rb"kvm \[\d+\]: nVHE hyp UBSAN: (?P<what>[\w ]{1,60}) at: (?P<func>.*)!"),
        "UBSAN: {what} in {function}",
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
        counter=True,
        traced=False,
        dies=True,
        preamble=True,
    ),
    # arch/x86/kernel/traps.c and cfi.c: UBSAN and CFI by trap
    Kind(
        T.UBSAN,
        _re(rb"UBSAN: (?P<what>[\w/ -]{1,60}) at (?P<func>.*)"),
        "UBSAN: {what} in {function}",
        kinds.MEMORY,
        counter=True,
        dies=True,
    ),
    Kind(
        T.CFI,
        _re(rb"(?:CFI failure at|Missing ENDBR:) (?P<func>\S+)"),
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
        kinds.FREED,
        detail=_ACCESS,
        rule=_KASANS,
    ),
    # mm/kmsan/report.c
    Kind(
        T.KMSAN,
        _re(rb"BUG: KMSAN: (?P<what>[\w -]{1,60}?)(?: in (?P<func>.*))?$"),
        "KMSAN: {what} in {function}",
        kinds.UNINIT,
        rule=_EQUALS,
        first=True,
    ),
    # kernel/kcsan/report.c
    Kind(
        T.KCSAN,
        _re(
            rb"BUG: KCSAN: (?P<what>assert: race|data-race) in "
            rb"(?P<func>[\w.$]+)(?: \[[^\]]{1,64}\])? / (?P<other>[\w.$]+)"
        ),
        "KCSAN: {what} in {func} / {other}",
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
        kinds.FREED,
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
