"""A booted L1 and its saved state, and the end of an L1 that failed.

L1 is booted once, stopped when its agent is ready, and migrated to a file; its RAM is a file
already, shared while saving and mapped privately, copy-on-write, while restoring (QEMU's
x-ignore-shared).  So each cell starts from the same untouched L1.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pexpect
from pexpect.socket_pexpect import SocketSpawn

from harness.errors import InfraError
from harness.machine.qemu import Qemu, Spec
from harness.model import End, Mode, Value

BOOT_TIMEOUT = 120.0
OUTPUT_LIMIT = 1 << 20
# What the agent leaves in L1's log after each command: end_log() in guest-images/vmm/agent.c.
END_MARK = b"noref: end of cell"
LOG_TIMEOUT = 10.0
_READ_SIZE = 1 << 16
_TOO_MUCH = re.compile(rb".{%d}" % (OUTPUT_LIMIT + 1), re.DOTALL)

# What L1's kernel says when its clocks or CPUs are broken under emulation (NOREF.md): such an L1
# hangs at the first KVM_RUN about every other time, and says nothing about the series.
_BROKEN = re.compile(
    rb"Marking TSC unstable due to could not calculate TSC khz"
    rb"|APIC timer disabled due to verification failure"
)


# What it says when the host left it no time while it measured its clock, which then runs several
# times too fast: each stall detector would cry.  pit_hpet_ptimer_calibrate_cpu() in tsc.c believes
# the PIT, where it differs from the HPET, and the PIT's figure is the one that was disturbed.
_MISMEASURED = re.compile(rb"tsc: PIT calibration deviates from [^\n]*")
_BOOTS = 3


class L1Failed(Exception):
    """L1 didn't do what it was asked; end says whose fault it is, note what happened."""

    def __init__(self, end: End, note: str, output: bytes = b"") -> None:
        super().__init__(note)
        self.end = end
        self.note = note
        self.output = output


class Reply(Value):
    """What the agent said: the command's output, and its exit status."""

    output: bytes
    status: int


class Saved(Value):
    """An L1 that waits in files: device state and RAM.  facts: what it said of itself."""

    spec: Spec
    state: Path
    ram: Path
    facts: dict[str, str]


class L1:
    """An L1 whose agent can be talked to."""

    def __init__(self, qemu: Qemu, nmi: bool = True) -> None:
        self._qemu = qemu
        self._nmi = nmi
        self._agent: SocketSpawn[bytes] = SocketSpawn(qemu.agent, maxread=_READ_SIZE, use_poll=True)
        self._agent.delaybeforesend = None

    def wait_ready(self, timeout: float) -> dict[str, str]:
        """Wait for the agent's first line; return the facts in it."""
        _, match = self._expect(rb"ready ([^\n]*)\n", timeout, End.no_boot)
        words = match[1].decode(errors="replace").split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def run(self, words: tuple[str, ...], timeout: float) -> Reply:
        """Run the VMM with these words; L1Failed if its status never comes."""
        return self._ask(f"run {' '.join(words)}", timeout)

    def shell(self, command: str, timeout: float) -> Reply:
        """Run one line of shell in L1; L1Failed if its status never comes."""
        return self._ask(f"sh {command}", timeout)

    def _ask(self, request: str, timeout: float) -> Reply:
        try:
            self._agent.send(f"{request}\n".encode())
        except OSError as error:
            raise self._lost(b"", End.hang) from error
        output, match = self._expect(rb"(?:^|\n)status (\d{1,3})\r?\n", timeout, End.hang)
        return Reply(output=output, status=int(match[1]))

    def _expect(self, pattern: bytes, timeout: float, late: End) -> tuple[bytes, re.Match[bytes]]:
        agent = self._agent
        try:
            found = agent.expect(
                [pattern, pexpect.EOF, pexpect.TIMEOUT, _TOO_MUCH], timeout=timeout
            )
        except OSError as error:  # QEMU ended before it read all that we sent
            raise self._lost(agent.before or b"", late) from error
        output = agent.before or b""
        match = agent.match
        if found == 0:
            assert isinstance(match, re.Match)
            return output, match
        if found == 1:
            raise self._lost(output, late)
        if found == 2:
            raise self._stuck(output, f"gave no answer within {timeout:.0f} s", late)
        assert isinstance(match, re.Match)
        raise self._stuck(match[0], f"said more than {OUTPUT_LIMIT} bytes", late)

    def _lost(self, output: bytes, late: End) -> L1Failed:
        """QEMU is gone: by L1's doing, or by its own."""
        reason = self._qemu.shutdown_reason()
        if reason.startswith("guest"):
            end = End.no_boot if late is End.no_boot else End.panic
            return L1Failed(end, f"L1 ended by itself ({reason})", output)
        return L1Failed(End.qemu, str(self._qemu.died("running L1")), output)

    def _stuck(self, output: bytes, how: str, late: End) -> L1Failed:
        """L1 gives no answer.  Have its CPUs print where they are, unless QEMU is stuck itself."""
        if not self._qemu.answers():
            died = self._qemu.died("asking QEMU after a silent L1")
            return L1Failed(End.qemu, str(died), output)
        if self._nmi:
            self._qemu.execute("inject-nmi")
            self._qemu.ended(5.0)
        return L1Failed(late, f"L1 {how}", output)


@contextmanager
def boot(spec: Spec, console: Path) -> Iterator[L1]:
    """Start L1 and yield it at once; L1Failed comes from its methods."""
    with Qemu(spec.command(), console) as qemu:
        yield L1(qemu, spec.arch.nmi)


def save(spec: Spec, mode: Mode, folder: Path, console: Path, timeout: float) -> Saved:
    """Boot L1 up to its ready point, check that it is what was asked for, and save it to folder.

    KernelError-like failures come as L1Failed with the end no_boot or no_module; an L1 that is
    not what was asked for is an InfraError.  An L1 that mismeasured its clock is booted again, and
    its log kept as console.N.log: that the host was busy says nothing about the kernel.
    """
    for number in range(1, _BOOTS):
        saved = _save(spec, mode, folder, console, timeout)
        if not _MISMEASURED.search(console.read_bytes()):
            return saved
        console.rename(console.with_suffix(f".{number}.log"))
    saved = _save(spec, mode, folder, console, timeout)
    if mismeasured := _MISMEASURED.search(console.read_bytes()):
        raise InfraError(
            f"booting L1 {_BOOTS} times",
            f"it mismeasured its clock: {mismeasured[0].decode()}",
            "run fewer things beside it (-j 1)",
            console,
        )
    return saved


def _save(spec: Spec, mode: Mode, folder: Path, console: Path, timeout: float) -> Saved:
    ram = folder / "ram"
    state = folder / "state"
    with Qemu(spec.command(ram=ram), console) as qemu:
        facts = L1(qemu, spec.arch.nmi).wait_ready(timeout)
        check_facts(facts, spec, mode, console)
        qemu.execute("stop")
        _share_ram(qemu)
        with state.open("wb") as file:
            qemu.give_file(file.fileno(), "state")
        qemu.execute("migrate", uri="fd:state")
        qemu.migration_done()
    return Saved(spec=spec, state=state, ram=ram, facts=facts)


@contextmanager
def restore(saved: Saved, console: Path, *, parallel: bool = True) -> Iterator[L1]:
    """Start an L1 from its saved state, which stays as it is, and yield it running.

    parallel: emulated CPUs run at a time, not in turn.
    """
    command = saved.spec.command(ram=saved.ram, shared=False, parallel=parallel)
    with Qemu(command, console, incoming=True) as qemu, saved.state.open("rb") as state:
        _share_ram(qemu)
        qemu.give_file(state.fileno(), "state")
        qemu.execute("migrate-incoming", uri="fd:state")
        qemu.migration_done()
        qemu.execute("cont")
        yield L1(qemu, saved.spec.arch.nmi)


def wait_for_mark(console: Path) -> None:
    """Wait until L1's log has come to the mark behind a command that was answered.

    A kernel whose serial driver is an nbcon one, as that of 7.3, prints in a thread of its own,
    after the answer.  L1 must still run.  Who needs the mark must see whether it came.
    """
    deadline = time.monotonic() + LOG_TIMEOUT
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError), console.open("rb") as log:
            log.seek(max(0, console.stat().st_size - _READ_SIZE))
            if END_MARK in log.read():
                return
        time.sleep(0.01)


def check_facts(facts: dict[str, str], spec: Spec, mode: Mode, console: Path) -> None:
    """Compare what L1 says of itself with what was asked for."""
    if facts.get("module") != "Y":
        raise L1Failed(End.no_module, "the test module didn't load: there is no /dev/noref")
    if facts.get("kvm") != "Y":
        raise L1Failed(End.no_boot, "KVM didn't start in L1: there is no /dev/kvm")
    wrong = [fact for fact in mode.facts if not _is_so(fact, facts)]
    if facts.get("cpus") != str(spec.arch.cpus):
        wrong.append(f"cpus={spec.arch.cpus}")
    if wrong:
        raise InfraError(
            f"booting L1 for mode {mode.name}",
            f"wanted {' '.join(wrong)}, L1 says {facts}",
            "see why in L1's log",
            console,
        )
    broken = _BROKEN.search(console.read_bytes())
    if broken:
        raise InfraError(
            "booting L1",
            f"its clocks don't work: {broken[0].decode()}",
            "keep ACPI and its timers in the kernel's configuration",
            console,
        )


def _is_so(fact: str, facts: dict[str, str]) -> bool:
    name, _, values = fact.partition("=")
    return facts.get(name) in values.split("|")


def _share_ram(qemu: Qemu) -> None:
    names = ("x-ignore-shared", "events")
    capabilities = [{"capability": name, "state": True} for name in names]
    qemu.execute("migrate-set-capabilities", capabilities=capabilities)
