"""Stack frames, program counters and the tasks' own lines in a report.

Formats: printk_stack_address() and __show_regs() in arch/x86/kernel/, dump_backtrace_entry() and
__show_regs() in arch/arm64/kernel/, stack_trace_print(), dump_stack_print_info() in
lib/dump_stack.c; and what scripts/decode_stacktrace.sh or a symboliser makes of them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from posixpath import normpath

import msgspec

from harness.dmesg.lines import in_report

_NAME = r"[A-Za-z_.$][\w.$]*+"
_BRACKET = r"(?:\[<[^>\n]{0,40}>\] {0,2})"
_SOURCE = r"([\w./+-]+\.[chSrs]{1,2}):(\d{1,7})"
# guess, name, source, line: three ways to print a frame
_FRAME = (
    rf"{_BRACKET}{{0,2}}\(?(\? )?({_NAME})\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?\)?"
    rf"(?: \[[^\]\n]{{1,120}}\])?(?: +{_SOURCE})?"
)
_INLINE = rf"{_BRACKET}{{0,2}}(\? )?({_NAME}) {_SOURCE}(?: \[inline\])?[^\S\n]*$"
_DECODED = rf"{_BRACKET}?(\? )?({_NAME}) \({_SOURCE}(?=[ )])"
_INLINE_NAME = 5  # its index among the groups of
_SYMBOL = re.compile(rf"\s*(?:{_FRAME}|{_INLINE}|{_DECODED})")
_PC = r"(?:RIP: ([0-9a-f]{4}):|EIP: |pc : |PC is at |epc : |NIP )(.*)"
_SECTION = r"</?[A-Z#][A-Za-z0-9_ #]{1,15}>[^\S\n]*$"
_INTRO = r"Call [Tt]race:|Backtrace:|nVHE call trace:"
# What stands before frames of kmemleak's and of KVM's own code at EL2
_TAG = r"(?:kmemleak: |kvm \[\d{1,7}\]: )?+"
_REGISTERS = (
    r"(?:[RE](?:[A-D]X|[SD]I|[BSI]P)|R\d\d|ORIG_RAX|[FGDECS]S|CR\d|DR\d|Code|PKRU|EFLAGS|"
    r"x\d{1,2}|sp|lr|pstate)\s?:"
)
# A line that is not blank, as what it is; what is quickly told from the rest comes first.
_LINE = re.compile(
    rf"{_TAG}[^\S\n]*+(?:(?P<pc>{_PC})|(?P<intro>{_INTRO})|(?P<registers>{_REGISTERS})|"
    rf"(?P<frame>{_FRAME})|(?P<inline>{_INLINE})|(?P<decoded>{_DECODED})|(?P<section>{_SECTION})|"
    r"(?P<mark></?)|(?P<other>\S.*))"
)
_GROUP = _LINE.groupindex
_BARE = re.compile(r"[A-Za-z_](?![0-9a-f]*$)[\w.$]*")
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm|lto_priv|localalias|__uniq|cfi_jt)\b.*")
_CPU = re.compile(
    r"CPU: (?P<cpu>\d{1,5}) (?:UID: \d{1,10} )?PID: (?P<pid>\d{1,10}) Comm: (?P<comm>.{0,40}?) "
    r"(?:Kdump: loaded )?(?:Not tainted|Tainted: (?P<taint>[A-Z ]{1,60}(?: |$)))"
)
# sched_show_task()
_TASK = re.compile(
    r"^task:(?P<comm>.{1,24}?) +state:.{0,60}?(?<!p)pid: {0,6}(?P<pid>\d{1,10})", re.MULTILINE
)
# __show_regs() in arch/arm64/kernel/process.c
_PC_LR = re.compile(r"^[ \t]{0,8}pc : (.*)\n[ \t]{0,8}lr : (.*)", re.MULTILINE)
# Calls that don't return, and frames at their callers' ends
_NO_RETURN = re.compile(
    r"^[ \t]{0,8}(?:v?panic|nmi_panic|__stack_chk_fail)\+0x\S+(?:[ \t].*)?\n"
    r"((?:[ \t]{0,8}[\w.$]+\+0x0/0x.*\n)+)",
    re.MULTILINE,
)
# What arch/x86/kernel/nmi.c says in the middle of anybody's trace
_NMI_NOTE = "INFO: NMI handler "
# Lines of somebody else in a row, in the middle of a trace.
_STRANGERS = 3
_DIGITS = frozenset("0123456789abcdef")
_KERNEL_RIP = "RIP: 0010:"
_USER_SEGMENTS = ("0033", "0023", "002b")
_TOPDIR = (
    r"(?:arch|block|certs|crypto|drivers|fs|include|init|io_uring|ipc|kernel|lib|mm|net|rust|"
    r"samples|security|sound|tools/testing|virt)/"
)
# Where a tree lies in a folder called kernel, that is no kernel/ yet.
_IN_TREE = re.compile(rf"(?:.*?/)?(?!kernel/{_TOPDIR})({_TOPDIR}.*)")


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A function in a stack trace, and its source line if the log has that. `nmi`: an NMI ran it.
    `inline`: it has no frame of its own, only a symboliser knows of it. `interrupted`: the program
    counter that an interrupt in the middle of the trace came from."""

    name: str
    source: str = ""
    line: int | None = None
    nmi: bool = False
    inline: bool = False
    interrupted: bool = False


class Trace(msgspec.Struct):
    """Frames that were printed together. `line` is the number of the first one's, from 0,
    `called` whether the kernel announced a call trace, `guesses` those that it marks with `?`."""

    line: int
    called: bool
    frames: list[Frame]
    guesses: list[Frame]


class Context(msgspec.Struct, frozen=True):
    """The task that a report's first `CPU: … PID: …` line names, or else its first `task:…`."""

    cpu: int | None = None
    pid: int | None = None
    task: str = ""
    taint: str = ""


class Stacks(msgspec.Struct):
    """What a report's lines say about where the machine was."""

    traces: list[Trace]
    counters: list[Frame]
    context: Context | None = None


def plain_name(name: str) -> str:
    """The function's name in the source: without .isra, .constprop, .part, .cold …"""
    return _SUFFIX.sub("", name)


def plain_source(path: str) -> str:
    """The path from the top of the kernel tree."""
    path = path.removeprefix("./")
    if "/../" in path:  # as KVM's own files are named where an arch's Makefile lists them
        path = normpath(path)
    if path.startswith(("/", "../")):
        match = _IN_TREE.fullmatch(path)
        return match.group(1) if match else path
    return path


def symbol(text: str) -> Frame | None:
    """The function in `%pS` output such as `func+0x12/0x34 [module]`, symbolised or not; None for
    a bare address."""
    if quick := _quick_frame(text):
        return quick[1]
    match = _SYMBOL.match(text)
    if match is not None:
        groups = match.groups()
        first = next(at for at in (1, 5, 9) if groups[at])
        name, source, line = groups[first : first + 3]
        return _frame(name, source, line, first == _INLINE_NAME)
    bare = _BARE.fullmatch(text)
    return Frame(plain_name(bare.group())) if bare else None


def pc_and_lr(text: str) -> tuple[Frame | None, Frame | None]:
    """Where arm64's registers say that it happened, and who called that: a function that calls no
    other has no frame, so that the trace leaves out its caller; nor has a jump to no code."""
    match = _PC_LR.search(text) if "lr : " in text else None
    return (symbol(match.group(1)), symbol(match.group(2))) if match else (None, None)


def is_nowhere(text: str) -> bool:
    """Whether x86's program counter, the first one, is where no code is."""
    at = text.find(_KERNEL_RIP)
    return at >= 0 and text.startswith("0x", at + len(_KERNEL_RIP))


def misnamed(text: str) -> frozenset[str]:
    """Functions that no panic came from. A call that doesn't return is the last instruction of its
    function, and dump_backtrace_entry() in arch/arm64/ names what is at the address after it: the
    next function, if there is no padding."""
    match = _NO_RETURN.search(text)
    lines = match.group(1).split("\n") if match else []
    return frozenset(plain_name(line.partition("+")[0].strip()) for line in lines)


def _frame(name: str, source: str | None, line: str | None, inline: bool) -> Frame:
    if "." in name:
        name = plain_name(name)
    if source is None or line is None:
        return Frame(name)
    return Frame(name, plain_source(source), int(line), False, inline)


# Lines that are seldom the same twice, by their first four characters: registers, dumps of memory
_REGISTER = ("registers", None)
_DUMP = ("other", None)
_HEADS: dict[str, tuple[str, Frame | None]] = {
    **dict.fromkeys(("Code", "ORIG", "PKRU", "CR2:", "FS: ", "CS: ", "DR0:", "DR3:"), _REGISTER),
    **{f"R{name}:": _REGISTER for name in ("AX", "BX", "CX", "DX", "SI", "DI", "BP", "SP")},
    **{f"R{number:02}:": _REGISTER for number in range(8, 16)},
    **{f"x{number:<2}:": _REGISTER for number in range(30)},
    **dict.fromkeys(("ffff", " fff", ">fff", "fff0", "Obje", "Redz", "Padd"), _DUMP),
}
_SECTIONS = ("section", "nmi")
# A blank line, or a program counter that is in no function or in userspace
_PASSED = ("", "pc")


def read_stacks(text: str) -> Stacks:
    """Every stack trace, program counter and the first context in a report."""
    stacks = Stacks([], [])
    if cpu := _CPU.search(text):
        stacks.context = _context(cpu)
    elif task := _TASK.search(text):
        stacks.context = Context(pid=int(task["pid"]), task=task["comm"])
    trace: Trace | None = None
    called = nmi = False
    strangers = 0
    known = _HEADS.get
    for number, line in enumerate(text.split("\n")):
        what, frame = known(line[:4]) or _read_line(line)
        if frame is not None:
            if nmi:
                frame = msgspec.structs.replace(frame, nmi=True)
            if what == "pc":
                stacks.counters.append(frame)
                if trace is not None and trace.called:
                    # what an interrupt or a fault came from
                    trace.frames.append(msgspec.structs.replace(frame, interrupted=True))
                continue
            if trace is None:
                trace = Trace(number, called, [], [])
                stacks.traces.append(trace)
            strangers = 0
            (trace.guesses if what == "guess" else trace.frames).append(frame)
        elif what in _SECTIONS:
            nmi = what == "nmi"
        elif what in _PASSED or (what == "registers" and trace is not None and trace.called):
            pass  # registers are printed in the middle of a trace, at an exception's frame
        elif what == "stranger" and (called or trace is not None) and strangers < _STRANGERS:
            strangers += 1
        else:
            # Any other line of a report ends the trace; the next frames are another one.
            trace, nmi, strangers = None, False, 0
            called = what == "intro"
    return stacks


def _quick_frame(text: str) -> tuple[str, Frame] | None:
    """What _LINE and _SYMBOL say of most frames, in half the time."""
    head, plus, rest = text.partition("+0x")
    if not plus or rest[:1] not in _DIGITS or ":" in rest:
        return None
    name = head.lstrip()
    what = "frame"
    if name.startswith("? "):
        what, name = "guess", name[2:]
    return (what, Frame(name)) if name.isidentifier() and name.isascii() else None


# A log that is full of reports says most of the same again and again.
@lru_cache(maxsize=4096)
def _read_line(line: str) -> tuple[str, Frame | None]:
    """What the line is, and the frame on it if it is a frame, a guess or a program counter."""
    return _quick_frame(line) or _match_line(line)


def _match_line(line: str) -> tuple[str, Frame | None]:
    match = _LINE.match(line)
    if match is None:
        return "", None
    what = match.lastgroup or ""
    if what in _FRAMES:
        guess, name, source, number = match.group(*_FRAMES[what])
        return "guess" if guess else "frame", _frame(name, source, number, what == "inline")
    if what == "section":
        return "nmi" if match["section"].startswith("<NMI>") else what, None
    if what == "pc":
        segment, where = match.group(*_PC_GROUPS)
        return what, None if segment in _USER_SEGMENTS else symbol(where)
    other = match["other"] if what == "other" else None
    if other and (other.startswith(_NMI_NOTE) or not in_report(other.encode())):
        return "stranger", None
    return "registers" if what == "mark" else what, None


def _after(name: str, count: int) -> tuple[int, ...]:
    return tuple(range(_GROUP[name] + 1, _GROUP[name] + 1 + count))


_FRAMES: dict[str | None, tuple[int, ...]] = {
    name: _after(name, 4) for name in ("frame", "inline", "decoded")
}
_PC_GROUPS = _after("pc", 2)


def _context(match: re.Match[str]) -> Context:
    taint = (match.group("taint") or "").replace(" ", "")
    return Context(int(match.group("cpu")), int(match.group("pid")), match.group("comm"), taint)
