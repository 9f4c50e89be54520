"""Stack frames, program counters and the tasks' own lines in a report.

Formats: printk_stack_address() and __show_regs() in arch/x86/kernel/, dump_backtrace_entry() and
__show_regs() in arch/arm64/kernel/, stack_trace_print(), dump_stack_print_info() in
lib/dump_stack.c; and what scripts/decode_stacktrace.sh or a symboliser makes of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

_NAME = r"[A-Za-z_.$][\w.$]*"
_BRACKET = r"(?:\[<[^>\n]{0,40}>\] ?)"
_FRAME = re.compile(
    rf"\s*{_BRACKET}{{0,2}}\(?(?P<guess>\? )?(?P<name>{_NAME})\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?\)?"
    r"(?: \[[^\]\n]{1,120}\])?(?: +(?P<source>[\w./+-]+\.[chSrs]{1,2}):(?P<line>\d{1,7}))?"
)
_DECODED = re.compile(
    rf"\s*{_BRACKET}?(?P<guess>\? )?(?P<name>{_NAME}) "
    r"\((?P<source>[\w./+-]+\.[chSrs]{1,2}):(?P<line>\d{1,7})(?=[ )])"
)
_INLINE = re.compile(
    rf"\s*(?:\[< *inline *>\] ?)?(?P<guess>\? )?(?P<name>{_NAME}) "
    r"(?P<source>[\w./+-]+\.[chSrs]{1,2}):(?P<line>\d{1,7})(?: \[inline\])?\s*$"
)
_PC = re.compile(
    r"\s*(?:RIP: (?P<cs>[0-9a-f]{4}):|EIP: |pc : |PC is at |epc : |NIP )(?P<where>.*)", re.DOTALL
)
_SECTION = re.compile(r"\s*<(?P<close>/)?(?P<name>[A-Z#][A-Za-z0-9_ #]{1,15})>\s*$")
_INTRO = re.compile(r"\s*(?:Call [Tt]race:|Backtrace:)")
_BARE = re.compile(r"[A-Za-z_](?![0-9a-f]*$)[\w.$]*")
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm|lto_priv|localalias|__uniq)\b.*")
_CPU = re.compile(
    r"CPU: (?P<cpu>\d{1,5}) (?:UID: \d{1,10} )?PID: (?P<pid>\d{1,10}) Comm: (?P<comm>.{0,24}?) "
    r"(?:Kdump: loaded )?(?:Not tainted|Tainted: (?P<taint>[A-Z ]{1,60}(?: |$)))"
)
_USER_SEGMENTS = ("0033", "0023", "002b")
_TOPDIRS = re.compile(
    r"(?:.*?/)?((?:arch|block|certs|crypto|drivers|fs|include|init|io_uring|ipc|kernel|lib|mm|net|"
    r"rust|samples|security|sound|tools|usr|virt)/.*)"
)


class Frame(msgspec.Struct, frozen=True):
    """A function in a stack trace, and its source line if the log has that."""

    name: str
    source: str = ""
    line: int | None = None
    section: str = ""


class Trace(msgspec.Struct):
    """Frames that were printed together. `intro` is the prose line before them."""

    intro: str
    at: int
    called: bool
    frames: list[Frame]


class Context(msgspec.Struct, frozen=True):
    """The task that a report's first `CPU: … PID: …` line names."""

    cpu: int | None = None
    pid: int | None = None
    task: str = ""
    taint: str = ""


class Stacks(msgspec.Struct):
    """What a report's lines say about where the machine was."""

    traces: list[Trace]
    counters: list[tuple[int, Frame]]
    context: Context | None = None


def plain_name(name: str) -> str:
    """The function's name in the source: without .isra, .constprop, .part, .cold …"""
    return _SUFFIX.sub("", name)


def plain_source(path: str) -> str:
    """The path from the top of the kernel tree."""
    path = path.removeprefix("./")
    if path.startswith(("/", "../")):
        match = _TOPDIRS.fullmatch(path)
        return match.group(1) if match else path
    return path


def symbol(text: str, section: str = "") -> Frame | None:
    """The function in `%pS` output such as `func+0x12/0x34 [module]`, symbolised or not; None for
    a bare address."""
    match = _FRAME.match(text) or _DECODED.match(text) or _INLINE.match(text)
    if match is not None:
        return _frame(match, section)
    bare = _BARE.fullmatch(text)
    return Frame(plain_name(bare.group()), section=section) if bare else None


def _frame(match: re.Match[str], section: str) -> Frame:
    line = match.group("line")
    source = plain_source(match.group("source")) if line else ""
    return Frame(plain_name(match.group("name")), source, int(line) if line else None, section)


def read_stacks(lines: Sequence[str]) -> Stacks:
    """Every stack trace, program counter and the first context in a report's lines."""
    stacks = Stacks([], [])
    trace: Trace | None = None
    section = intro = ""
    called = False
    for at, text in enumerate(line.removeprefix("kmemleak: ") for line in lines):
        match = _FRAME.match(text) or _INLINE.match(text) or _DECODED.match(text)
        if match is not None:
            if trace is None:
                trace = Trace(intro, at, called, [])
                stacks.traces.append(trace)
            if not match.group("guess"):
                trace.frames.append(_frame(match, section))
            continue
        if not text.strip():
            continue
        if mark := _SECTION.match(text):
            section = "" if mark.group("close") else mark.group("name")
            continue
        if pc := _PC.match(text):
            if pc.group("cs") not in _USER_SEGMENTS:
                found = symbol(pc.group("where"), section)
                if found is not None:
                    stacks.counters.append((at, found))
            continue
        if trace is not None and trace.called and is_register_line(text):
            continue
        if stacks.context is None and (cpu := _CPU.search(text)):
            stacks.context = _context(cpu)
        # Any other line ends the trace; the next frames are another one.
        trace, section = None, ""
        called = _INTRO.match(text) is not None
        intro = intro if called else text
    return stacks


_REGISTERS = re.compile(
    r"\s*(?:[RE](?:[A-D]X|[SD]I|[BSI]P)|R\d\d|ORIG_RAX|[FGDECS]S|CR\d|DR\d|Code|PKRU|EFLAGS|"
    r"x\d{1,2}|sp|lr|pstate)\s?:|</?"
)


def is_register_line(text: str) -> bool:
    """Registers that are printed in the middle of a trace, at an exception's frame."""
    return _REGISTERS.match(text) is not None


def _context(match: re.Match[str]) -> Context:
    taint = (match.group("taint") or "").replace(" ", "")
    return Context(int(match.group("cpu")), int(match.group("pid")), match.group("comm"), taint)
