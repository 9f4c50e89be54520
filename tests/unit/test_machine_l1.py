"""Talking to L1's agent, and what is made of every way in which it doesn't answer.

The agent is the other end of a socket pair, QEMU a stand-in that says what it is told to.
"""

from __future__ import annotations

import socket
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import InfraError
from harness.machine import l1
from harness.machine.accel import Accel
from harness.machine.arches import find_arch
from harness.machine.l1 import L1, OUTPUT_LIMIT, L1Failed, Saved, check_facts, save
from harness.machine.qemu import Spec
from harness.model import End, Mode

X86 = find_arch("x86_64")
TDP, LEGACY, SHADOW, OPTIN = X86.modes
SPEC = Spec(
    arch=X86,
    accel=Accel(name="tcg", why=""),
    kernel=Path("bzImage"),
    initramfs=Path("initramfs"),
    append=(),
)
# What guest-images/l1/init says, seen on 6.12 in each mode; the opt-in is there since 6.13.
FACTS = (
    "release=6.12.117 cpus=3 kvm=Y module=Y kvm.tdp_mmu={} kvm.allow_unsafe_mappings={} "
    "kvm_amd.npt={} kvm_intel.ept={}"
)
SAID = {
    "tdp": FACTS.format("Y", "N", "Y", "Y"),
    "legacy": FACTS.format("N", "N", "Y", "Y"),
    "shadow": FACTS.format("N", "N", "N", "N"),
    "optin": FACTS.format("Y", "Y", "Y", "Y"),
}
WORDS = ("guest_write", "tail", "fault")


class FakeQemu:
    """A QEMU that ended for this reason, or is alive, and answers or not."""

    def __init__(self, agent: socket.socket, reason: str = "", *, alive: bool = True) -> None:
        self.agent = agent
        self.reason = reason
        self.alive = alive
        self.executed: list[str] = []

    def shutdown_reason(self) -> str:
        return self.reason

    def answers(self) -> bool:
        return self.alive

    def execute(self, command: str) -> None:
        self.executed.append(command)

    def ended(self, grace: float) -> None:
        return None

    def died(self, tried: str) -> InfraError:
        return InfraError(tried, "QEMU was killed by signal 9")


class Scene:
    """An L1, the QEMU that it believes in, and the agent's end of its port."""

    def __init__(self, reason: str = "", *, alive: bool = True) -> None:
        ours, self.agent = socket.socketpair()
        self.qemu = FakeQemu(ours, reason, alive=alive)
        self.l1 = L1(self.qemu)  # type: ignore[arg-type]

    def close(self) -> None:
        self.agent.close()
        self.qemu.agent.close()

    def fails(self, timeout: float = 0.05) -> L1Failed:
        with pytest.raises(L1Failed) as caught:
            self.l1.run(WORDS, timeout)
        return caught.value


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()


def gone(reason: str, said: bytes = b"") -> Scene:
    """An L1 whose QEMU ended for this reason after the agent said that."""
    made = Scene(reason)
    made.agent.sendall(said)
    made.agent.shutdown(socket.SHUT_WR)
    return made


# --- a cell --------------------------------------------------------------------------------------


def test_a_cell_is_asked_for_by_its_words_on_one_line(scene: Scene) -> None:
    scene.agent.sendall(b"\nstatus 0\n")
    scene.l1.run(WORDS, 1)
    assert scene.agent.recv(4096) == b"run guest_write tail fault\n"


@pytest.mark.parametrize("status", [0, 1, 2, 139, 255])
def test_the_agents_status_ends_a_cell_and_what_came_before_is_its_output(
    scene: Scene, status: int
) -> None:
    scene.agent.sendall(b"1..1\nok 1 access: x\n" + f"\nstatus {status}\n".encode())
    reply = scene.l1.run(WORDS, 1)
    assert (reply.output, reply.status) == (b"1..1\nok 1 access: x\n", status)


def test_a_line_that_was_cut_off_stays_so_in_the_output(scene: Scene) -> None:
    scene.agent.sendall(b"1..1\nok 1 acc\nstatus 139\n")
    assert scene.l1.run(WORDS, 1).output == b"1..1\nok 1 acc"


def test_a_vmm_that_says_nothing_has_an_empty_output(scene: Scene) -> None:
    scene.agent.sendall(b"status 2\n")
    assert scene.l1.run(WORDS, 1).output == b""


def test_an_answer_may_come_in_pieces(scene: Scene) -> None:
    def answer() -> None:
        for byte in b"ok 1 access: x\n\nstatus 1\n":
            scene.agent.sendall(bytes([byte]))

    agent = Thread(target=answer)
    agent.start()
    reply = scene.l1.run(WORDS, 2)
    agent.join()
    assert (reply.output, reply.status) == (b"ok 1 access: x\n", 1)


def test_one_l1_can_run_cells_one_after_the_other(scene: Scene) -> None:
    scene.agent.sendall(b"first\n\nstatus 0\nsecond\n\nstatus 1\n")
    assert scene.l1.run(WORDS, 1).output == b"first\n"
    assert scene.l1.run(WORDS, 1).output == b"second\n"


@pytest.mark.parametrize(
    "said",
    [
        b"ok 1 the status 0 is good\n",
        b"\nstatus 0",
        b"\nstatus \n",
        b"\nstatus -1\n",
        b"\nstatus zero\n",
        b"\nstatus 0 or so\n",
        b"\nstatus " + b"9" * 5000 + b"\n",
        b"\nSTATUS 0\n",
        b"\n status 0\n",
    ],
)
def test_what_only_looks_like_a_status_is_none(scene: Scene, said: bytes) -> None:
    scene.agent.sendall(said)
    failure = scene.fails()
    assert failure.end is End.hang
    assert failure.output == said


# --- no answer -----------------------------------------------------------------------------------


def test_a_silent_l1_hangs_and_its_cpus_are_asked_where_they_are(scene: Scene) -> None:
    scene.agent.sendall(b"1..1\n")
    started = time.monotonic()
    failure = scene.fails(0.1)
    assert time.monotonic() - started < 2
    assert (failure.end, failure.output) == (End.hang, b"1..1\n")
    assert "no answer" in failure.note
    assert scene.qemu.executed == ["inject-nmi"]


def test_a_silent_l1_that_can_have_no_nmi_gets_none(scene: Scene) -> None:
    scene.l1 = L1(scene.qemu, nmi=False)  # type: ignore[arg-type]
    assert scene.fails().end is End.hang
    assert scene.qemu.executed == []


def test_a_silent_l1_whose_qemu_is_stuck_itself_is_not_the_kernels_fault(scene: Scene) -> None:
    scene.qemu.alive = False
    failure = scene.fails()
    assert failure.end is End.qemu
    assert "killed by signal 9" in failure.note
    assert scene.qemu.executed == []


@pytest.mark.parametrize("reason", ["guest-reset", "guest-panic", "guest-shutdown"])
def test_an_l1_that_ends_by_itself_in_a_cell_has_panicked(reason: str) -> None:
    scene = gone(reason, b"1..1\nok 1 access: x\n")
    failure = scene.fails(1)
    assert failure.end is End.panic
    assert reason in failure.note
    assert failure.output == b"1..1\nok 1 access: x\n"
    scene.close()


@pytest.mark.parametrize("reason", ["", "host-signal", "host-qmp-quit"])
def test_a_qemu_that_ends_for_another_reason_is_not_the_kernels_fault(reason: str) -> None:
    scene = gone(reason)
    failure = scene.fails(1)
    assert failure.end is End.qemu
    assert "killed by signal 9" in failure.note
    scene.close()


def test_a_status_that_came_counts_though_l1_is_gone() -> None:
    scene = gone("guest-reset", b"\nstatus 0\n")
    assert scene.l1.run(WORDS, 1).status == 0
    scene.close()


def test_a_qemu_that_ended_before_it_was_asked_is_an_outcome_not_a_broken_pipe() -> None:
    scene = Scene()
    scene.agent.close()
    assert scene.fails(1).end is End.qemu
    scene.close()


def test_a_qemu_that_ended_before_it_read_what_it_was_asked_is_an_outcome() -> None:
    scene = Scene("guest-reset")
    closer = Thread(target=lambda: (time.sleep(0.05), scene.agent.close()))
    closer.start()  # the request lies unread, so the other end sees a reset connection
    assert scene.fails(2).end is End.panic
    closer.join()
    scene.close()


# --- hostile -------------------------------------------------------------------------------------


def flood(agent: socket.socket, data: bytes) -> Thread:
    """Let the agent say the data over and over, until nobody listens."""

    def say() -> None:
        try:
            while True:
                agent.sendall(data)
        except OSError:
            pass

    thread = Thread(target=say, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("data", [b"x" * 4096, b"\n" * 4096, b"\nstatus " * 500])
def test_an_l1_that_floods_its_port_is_ended_early_with_a_bounded_output(data: bytes) -> None:
    scene = Scene()
    thread = flood(scene.agent, data)
    started = time.monotonic()
    tracemalloc.start()
    try:
        failure = scene.fails(60)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 20
    assert failure.end is End.hang
    assert "more than" in failure.note
    assert len(failure.output) <= OUTPUT_LIMIT + 1
    assert peak < 16 * OUTPUT_LIMIT
    scene.close()
    thread.join(5)


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=200))
def test_whatever_comes_before_the_status_is_output_or_a_failure(said: bytes) -> None:
    scene = gone("guest-reset", said + b"\nstatus 7\n")
    try:
        reply = scene.l1.run(WORDS, 1)
        assert said.startswith(reply.output)
    finally:
        scene.close()


# --- ready ---------------------------------------------------------------------------------------


def test_the_agents_first_line_has_l1s_facts(scene: Scene) -> None:
    scene.agent.sendall(f"ready {SAID['shadow']} odd\n".encode())
    facts = scene.l1.wait_ready(1)
    assert facts["kvm_amd.npt"] == "N"
    assert facts["cpus"] == "3"
    assert "odd" not in facts


def test_a_first_line_of_any_bytes_gives_facts_that_are_text(scene: Scene) -> None:
    scene.agent.sendall(b"\xff\x1b[2Jready kvm=\xff\xfe =x y= ==\n")
    facts = scene.l1.wait_ready(1)
    assert facts["kvm"] == "\ufffd\ufffd"


def test_an_l1_that_is_never_ready_has_not_booted(scene: Scene) -> None:
    with pytest.raises(L1Failed) as caught:
        scene.l1.wait_ready(0.05)
    assert caught.value.end is End.no_boot


def test_an_l1_that_ends_before_it_is_ready_has_not_booted() -> None:
    scene = gone("guest-reset")
    with pytest.raises(L1Failed) as caught:
        scene.l1.wait_ready(1)
    assert caught.value.end is End.no_boot
    scene.close()


def test_a_qemu_that_ends_before_l1_is_ready_is_not_the_kernels_fault() -> None:
    scene = gone("")
    with pytest.raises(L1Failed) as caught:
        scene.l1.wait_ready(1)
    assert caught.value.end is End.qemu
    scene.close()


# --- facts ---------------------------------------------------------------------------------------


def check(said: str, mode: Mode, folder: Path, log: bytes = b"Linux version 6.12\n") -> None:
    console = folder / "console.log"
    console.write_bytes(log)
    check_facts(dict(word.split("=", 1) for word in said.split()), SPEC, mode, console)


@pytest.mark.parametrize("asked", X86.modes, ids=lambda mode: mode.name)
@pytest.mark.parametrize("is_in", X86.modes, ids=lambda mode: mode.name)
def test_an_l1_is_taken_in_the_mode_that_was_asked_for_and_in_no_other(
    tmp_path: Path, asked: Mode, is_in: Mode
) -> None:
    if asked is is_in:
        check(SAID[is_in.name], asked, tmp_path)
        return
    with pytest.raises(InfraError, match=f"mode {asked.name}"):
        check(SAID[is_in.name], asked, tmp_path)


def test_on_a_kernel_without_opt_in_the_mode_for_it_is_as_tdp(tmp_path: Path) -> None:
    said = SAID["tdp"].replace("mappings=N", "mappings=-")
    check(said, TDP, tmp_path)
    check(said, OPTIN, tmp_path)
    for mode in (LEGACY, SHADOW):
        with pytest.raises(InfraError, match=mode.name):
            check(said, mode, tmp_path)


@pytest.mark.parametrize("value", ["", "Y|", "N|-", "--"])
def test_a_fact_with_two_values_takes_no_third(tmp_path: Path, value: str) -> None:
    with pytest.raises(InfraError, match="allow_unsafe_mappings=Y"):
        check(SAID["tdp"].replace("mappings=N", f"mappings={value}"), OPTIN, tmp_path)


def test_what_was_wanted_what_came_and_the_log_are_named(tmp_path: Path) -> None:
    with pytest.raises(InfraError) as caught:
        check(SAID["tdp"], LEGACY, tmp_path)
    for word in ("kvm.tdp_mmu=N", "'kvm.tdp_mmu': 'Y'", str(tmp_path / "console.log")):
        assert word in str(caught.value)


@pytest.mark.parametrize("cpus", ["cpus=1", "cpus=4", "cpus=", "x=3"])
def test_an_l1_with_fewer_or_more_cpus_than_asked_for_is_broken(tmp_path: Path, cpus: str) -> None:
    with pytest.raises(InfraError, match="cpus=3"):
        check(SAID["tdp"].replace("cpus=3", cpus), TDP, tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "tsc: Marking TSC unstable due to could not calculate TSC khz",
        "APIC timer disabled due to verification failure",
    ],
)
def test_an_l1_whose_clocks_do_not_work_is_broken(tmp_path: Path, line: str) -> None:
    log = f"[    0.1] Linux version\r\n[    0.2] {line}\r\n\xff\r\n".encode("latin-1")
    with pytest.raises(InfraError, match=line.partition(": ")[2] or line):
        check(SAID["tdp"], TDP, tmp_path, log)


def test_other_words_on_clocks_are_no_fault(tmp_path: Path) -> None:
    check(SAID["tdp"], TDP, tmp_path, b"kvm: user requested TSC rate below hardware speed\n")


@pytest.mark.parametrize("bad", [0, 1, 2, 3])
def test_an_l1_that_mismeasured_its_clock_is_booted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: int
) -> None:
    console = tmp_path / "console.log"
    boots = []

    def boot(spec: Spec, mode: Mode, folder: Path, log: Path, timeout: float) -> Saved:
        boots.append(log)
        off = b"[ 0.02] tsc: PIT calibration deviates from HPET: 239236 2595202\n"
        log.write_bytes(off if len(boots) <= bad else b"fine\n")
        return Saved(spec=spec, state=folder / "state", ram=folder / "ram", facts={})

    monkeypatch.setattr(l1, "_save", boot)
    if bad < 3:
        save(SPEC, TDP, tmp_path, console, 1)
        assert len(boots) == bad + 1
        assert console.read_bytes() == b"fine\n"
    else:
        with pytest.raises(InfraError, match="239236"):
            save(SPEC, TDP, tmp_path, console, 1)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [*(f"console.{n}.log" for n in range(1, min(bad, 2) + 1)), "console.log"]


@pytest.mark.parametrize("module", ["module=N", "module=", "other=Y"])
def test_a_module_that_did_not_load_is_no_module(tmp_path: Path, module: str) -> None:
    with pytest.raises(L1Failed, match="module") as caught:
        check(SAID["tdp"].replace("module=Y", module), TDP, tmp_path)
    assert caught.value.end is End.no_module


def test_a_kvm_that_did_not_start_is_the_kernels_failure(tmp_path: Path) -> None:
    with pytest.raises(L1Failed, match="/dev/kvm") as caught:
        check(SAID["tdp"].replace("kvm=Y", "kvm=N"), TDP, tmp_path)
    assert caught.value.end is End.no_boot


def test_an_l1_that_says_nothing_of_itself_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(L1Failed):
        check("", TDP, tmp_path)


@pytest.mark.parametrize("mode", X86.modes, ids=lambda mode: mode.name)
def test_every_mode_says_how_it_is_told_from_the_others(mode: Mode) -> None:
    assert mode.why
    assert mode.facts
    assert all(fact.count("=") == 1 for fact in mode.facts)
