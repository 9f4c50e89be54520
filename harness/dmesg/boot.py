"""The machine restarting in the middle of a log, without having been told to."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from harness.dmesg.records import Record
from harness.dmesg.splat import Splat, SplatType
from harness.dmesg.text import clean_text

# linux_banner in init/version-timestamp.c
_BANNER = re.compile(rb"Linux version \d+\.\d+")
# kernel/reboot.c, kernel/kexec_core.c
_ORDERLY = re.compile(
    rb"reboot: (?:Restarting|Power down|System halted|Power off|machine restart)|"
    rb"kexec_core: Starting new kernel"
)
# Records with a nonzero timestamp that tell one boot from another: a log that was printed again
# has the same ones, a new boot has not.
_PROBE = 6
_PROBE_RECORDS = 400
# Records after a banner in which a guest gives itself away: the clock of the kernel that prints the
# guest's console goes on. Seconds that one kernel's clock never goes back, and records that none
# prints after its power is off.
_GUEST_RECORDS = 1000
_BACK = 5.0
_AFTERLIFE = 3


# A fuzzer ran: no prompt or text of a shell, which may begin a guest or print a log
_LIFE = re.compile(rb"^(?:[\d/:. ]{8,32} )?executing program\b", re.MULTILINE)
# Bytes of a log in which that is looked for
_YOUTH = 1 << 16
_ABOUT_BOOT = re.compile(rb"Linux version |reboot: |kexec_core: ")


def is_about_boot(body: bytes) -> bool:
    """Whether BootWatch may want to know of this at any time."""
    return _ABOUT_BOOT.match(body) is not None


def is_banner(body: bytes) -> bool:
    """Whether a kernel begins to run here."""
    return _BANNER.match(body) is not None


class BootWatch:
    """Sees every banner; says which of them is a boot that nobody asked for."""

    def __init__(self) -> None:
        self._booted = False
        # the log's first timestamp, and where it is
        self._began, self._stamped = 0.0, math.inf
        # where the first sign of it is
        self._lived = math.inf
        self._expected = False
        self._first: list[tuple[float, bytes]] = []
        self._probe: list[tuple[float, bytes]] | None = None
        self._left = 0
        self._banner: Record | None = None
        self._peak = 0.0
        self._off = 0

    @property
    def idle(self) -> bool:
        """Lines without a trigger don't matter now."""
        return self._probe is None

    @property
    def floor(self) -> float:
        """The byte before which no boot to come is."""
        return self._banner.start if self._banner is not None else math.inf

    def begin(self, time: float, at: int) -> None:
        """The log's first timestamp is at that byte of it."""
        self._began, self._stamped = time, at

    def look(self, block: bytes, base: int) -> None:
        """See whether a kernel has run when the log begins; the block begins at byte `base`."""
        if base < _YOUTH and not self._booted and self._lived == math.inf:
            match = _LIFE.search(block, 0, _YOUTH - base)
            self._lived = base + match.start() if match else math.inf

    def saw(self, splat: Splat) -> None:
        """A machine that died may well restart."""
        self._expected = self._expected or splat.fatal

    def push(self, record: Record) -> Iterator[Splat]:
        """Take one more record."""
        if is_banner(record.body):
            yield from self.close()
            # The log begins after another kernel's banner.
            late = self._stamped < record.start
            if late and record.time is not None and record.time < self._began - _BACK:
                self._booted = True
            self._booted = self._booted or self._lived < record.start
            if self._booted and self._expected:
                self._first = []
                self._probe, self._left = [], _PROBE_RECORDS
                self._banner = None
            else:
                self._banner = record if self._booted else None
                self._probe, self._left = [], _GUEST_RECORDS if self._booted else _PROBE_RECORDS
            self._booted, self._expected = True, False
            self._peak, self._off = 0.0, 0
        elif _ORDERLY.match(record.body):
            self._expected = True
            self._off = 1
        elif self._probe is not None:
            self._left -= 1
            if b"elfcorehdr=" in record.body:
                self._banner = None  # the kernel that was loaded for a crash
            if self._banner is not None and self._is_guest(record):
                self._probe = self._banner = None
                self._expected = False
                return
            if record.time and len(self._probe) < _PROBE:
                self._probe.append((record.time, record.body))
            enough = self._banner is None and len(self._probe) >= _PROBE
            if enough or self._left <= 0:
                yield from self.close()

    def _is_guest(self, record: Record) -> bool:
        """Whether there are two clocks since the banner: it was that of a guest."""
        if not record.time:
            return False
        self._off += self._off > 0
        back = record.time < self._peak - _BACK
        self._peak = max(self._peak, record.time)
        return back or self._off > _AFTERLIFE

    def close(self) -> Iterator[Splat]:
        """Decide about the last banner by the records after it."""
        probe, banner = self._probe, self._banner
        self._probe = self._banner = None
        if probe is None:
            return
        if banner is None:
            self._first = self._first or probe
        elif not probe or probe != self._first[: len(probe)]:
            self._first = probe
            yield _reboot(banner)


def _reboot(banner: Record) -> Splat:
    return Splat(
        type=SplatType.REBOOT,
        title="unexpected kernel reboot",
        function="",
        source="",
        line=None,
        task="",
        pid=None,
        cpu=None,
        taint="",
        trace=(),
        start=banner.start,
        end=banner.end,
        corrupted=False,
        fatal=True,
        text=clean_text(banner.body, 2048),
    )
