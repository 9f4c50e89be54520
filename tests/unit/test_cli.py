"""The command line: every mistake ends in its message, its alternatives, its status; no traceback.

Nothing is built or run: what would be is replaced, or the mistake is found before.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from test_report_sample import noref_run

from harness import cli, job
from harness.build.tools import Missing
from harness.errors import InfraError, KernelError, NorefError, UserError
from harness.machine.accel import Accel
from harness.model import INTERRUPTED
from harness.order import Order
from harness.source.base import Base

ROOT = Path(__file__).resolve().parents[2]
BISON = Missing(what="bison", package="bison")
DROPBEAR = (
    Missing(what="dropbear", package="dropbear-bin"),
    Missing(what="dropbearkey", package="dropbear-bin"),
)
CCACHE = Missing(what="ccache", package="ccache", optional=True)


class Ended(msgspec.Struct):
    status: int
    out: str
    err: str


class Command:
    """Runs noref commands in this process, on a machine with all tools and no kernels."""

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._places = ("--cache", str(folder / "cache"), "--results", str(folder / "results"))
        for name in ("KERNEL_SRC", "SERIES", "ARCH", "NOREF_CACHE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(job, "find_base", self._find_base)
        monkeypatch.setattr(job, "build_kernels", self._build)
        self.lacks()

    def _find_base(self, *_: object, **__: object) -> Base:
        return Base(kind="tree", path=Path("/nowhere"), version="6.12.117", key="0")  # type: ignore[arg-type]

    def _build(self, *_: object, **__: object) -> object:
        raise AssertionError("the mistake was to be found before anything is built")

    def lacks(self, *missing: Missing) -> None:
        for module in (job, cli):
            self._monkeypatch.setattr(module, "missing_tools", lambda *_: missing)

    def __call__(self, *words: str) -> Ended:
        if words and words[0] in ("test", "compare", "mutants", "run", "shell"):
            words = (words[0], *self._places, *words[1:])
        self._monkeypatch.setattr(sys, "argv", ["noref", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        assert caught.value.code is None or isinstance(caught.value.code, int)
        return Ended(status=caught.value.code or 0, out=out, err=err)


@pytest.fixture
def noref(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    return Command(tmp_path, monkeypatch, capsys)


# --- what can't be meant --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["test", "--scenario", "no_such"], ["'no_such'", "guest_write", "freed_vm_close"]),
        (["test", "--mode", "nvhe"], ["'nvhe'", "tdp, legacy, shadow"]),
        (["mutants", "no_such"], ["'no_such'", "tdp-fault-leaks-page"]),
        (["compare", "--mode", "nvhe", "noref"], ["'nvhe'", "tdp, legacy, shadow"]),
        (["compare", "--scenario", "no_such", "noref"], ["'no_such'", "guest_write"]),
        (["compare", "noref", "none"], ["the base is always there"]),
        (["compare", "noref", "noref"], ["both are named noref"]),
        (["compare", "/no/such/series"], ["/no/such/series"]),
        (["test", "--mode", "tdp", "--mode", ""], ["''", "tdp, legacy, shadow"]),
        (["run", "base/tdp/tail/fault/no_such"], ["'no_such'", "guest_write"]),
        (["run", "base/ept/tail/fault/guest_write"], ["'ept'", "tdp, legacy, shadow"]),
        (["run", "base/tdp/moon/fault/guest_write"], ["'moon'", "order0"]),
        (["run", "base/tdp/tail/glue/guest_write"], ["'glue'", "remap, fault"]),
        (["run", "noref+9/tdp/tail/fault/guest_write"], ["'noref+9'", "base", "noref+4"]),
        (["run", "../tdp/tail/fault/guest_write"], ["'..'", "base", "noref+4"]),
        (["run", "guest_write"], ["1 words", "KERNEL/MODE/BACKING/MAPPING/SCENARIO"]),
        (["shell", "--kernel", "noref+9"], ["'noref+9'", "base", "noref+4"]),
        (["shell", "--mode", "ept"], ["'ept'", "tdp, legacy, shadow"]),
    ],
)
def test_a_name_that_is_not_known_is_the_users_error_with_the_alternatives(
    noref: Command, words: list[str], said: list[str]
) -> None:
    ended = noref(*words)
    assert ended.status == 2
    for word in said:
        assert word in ended.err
    assert "what to do" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tset"], "tset"),
        (["test", "--scenari", "x"], "--scenario"),
        (["test", "--arch", "sparc"], "x86_64"),
        (["test", "-j", "0"], "0"),
        (["test", "-j", "many"], "many"),
        (["test", "--timeout", "soon"], "soon"),
        (["test", "--config", "/no/such/file"], "/no/such/file"),
        (["test", "--guest-images", "/no/such/folder"], "/no/such/folder"),
        (["test", "more"], "more"),
        (["compare"], "SERIES"),
        (["mutants", "--dir", "/no/such/folder"], "/no/such/folder"),
        (["run", "--mutant", "/no/such/file", "base/tdp/tail/fault/guest_write"], "/no/such/file"),
        (["compare", "--series", "noref"], "--series"),
        (["run"], "CELL"),
        (["run", "--repeat", "0", "base/tdp/tail/fault/guest_write"], "0"),
        (["doctor", "--arch", "sparc"], "x86_64"),
    ],
)
def test_an_option_that_is_wrong_is_the_users_error_that_names_it(
    noref: Command, words: list[str], said: str
) -> None:
    ended = noref(*words)
    assert ended.status == 2
    assert said in ended.err


def test_a_mutant_is_a_kernel_beside_the_last_of_its_series(noref: Command) -> None:
    mutant = ROOT / "kernel-patches/6.12/mutants/tdp-fault-leaks-page.patch"
    ended = noref("run", "--mutant", str(mutant), "noref+9/tdp/tail/fault/guest_write")
    assert ended.status == 2
    assert "use: noref+4, noref+tdp-fault-leaks-page" in ended.err


def test_a_series_that_is_not_there_is_the_users_error(noref: Command) -> None:
    ended = noref("test", "--series", "/no/such/series")
    assert ended.status == 2
    assert "/no/such/series" in ended.err


def test_a_misspelt_name_in_a_series_known_facts_is_the_users_error(
    noref: Command, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "kernel-patches/6.12/noref", tmp_path / "noref")
    facts = tmp_path / "noref/expected.toml"
    facts.write_text(facts.read_text().replace('"legacy"', '"legcay"', 1))
    ended = noref("test", "--series", str(tmp_path / "noref"))
    assert ended.status == 2
    for word in (str(facts), "'legcay' among the modes", "tdp, legacy, shadow"):
        assert word in ended.err


def test_a_scenario_list_with_a_mistake_is_the_users_error(noref: Command, tmp_path: Path) -> None:
    (tmp_path / "scenarios.toml").write_text("[[scenario")
    ended = noref("test", "--guest-images", str(tmp_path))
    assert ended.status == 2
    assert str(tmp_path / "scenarios.toml") in ended.err


@pytest.mark.parametrize("words", [["-h"], ["test", "-h"], ["run", "--help"], ["shell", "-h"]])
def test_help_is_no_error(noref: Command, words: list[str]) -> None:
    ended = noref(*words)
    assert ended.status == 0
    assert "Usage:" in ended.out


# --- what the machine lacks -----------------------------------------------------------------------


@pytest.mark.parametrize("words", [["test"], ["run", "base/tdp/tail/fault/guest_write"], ["shell"]])
def test_a_machine_that_lacks_tools_is_told_the_packages_each_once(
    noref: Command, words: list[str]
) -> None:
    noref.lacks(BISON, *DROPBEAR, CCACHE)
    ended = noref(*words)
    assert ended.status == 2
    assert "bison, dropbear, dropbearkey" in ended.err
    assert "apt-get install bison dropbear-bin\n" in ended.err


def test_doctor_names_what_is_missing_and_the_accelerator(
    noref: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "emulated: there is no /dev/kvm"
    monkeypatch.setattr(cli, "choose_accel", lambda _: Accel(name="tcg", why=why))
    noref.lacks(BISON, CCACHE)
    ended = noref("doctor")
    assert ended.status == 2
    assert ended.out.splitlines() == [
        f"x86_64: {why}",
        "missing: bison (package bison)",
        "missing: ccache (package ccache, optional)",
    ]


@pytest.mark.parametrize("missing", [(), (CCACHE,)])
def test_doctor_is_content_without_what_only_saves_time(
    noref: Command, missing: tuple[Missing, ...]
) -> None:
    noref.lacks(*missing)
    assert noref("doctor").status == 0


def test_doctor_lists_packages_for_a_script_each_once_and_nothing_else(noref: Command) -> None:
    noref.lacks(*DROPBEAR, BISON)
    ended = noref("doctor", "--packages")
    assert ended.out.split("\n") == ["dropbear-bin", "bison", ""]
    assert ended.status == 0


def test_doctor_answers_on_this_machine_as_a_command_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "doctor"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 2)
    assert done.stdout.startswith(("x86_64: KVM: ", "x86_64: emulated: "))
    assert "Traceback" not in done.stderr


# --- how a command ends ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UserError("reading x", "it is not there", "write it"), 2),
        (KernelError("building noref+1", "mmu.c:1: no", log=Path("/cache/log")), 1),
        (InfraError("starting QEMU", "no memory", "buy some"), 3),
    ],
)
def test_an_error_ends_in_its_message_and_its_status(
    noref: Command, monkeypatch: pytest.MonkeyPatch, error: NorefError, status: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(job, "test", fail)
    ended = noref("test")
    assert ended.status == status
    assert f"noref: {error}" in ended.err


def test_an_interrupt_ends_in_the_shells_status_for_it(
    noref: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "test", interrupted)
    ended = noref("test")
    assert ended.status == 130
    assert "interrupted" in ended.err


@pytest.mark.parametrize(("known", "status"), [(True, 0), (False, 1)])
def test_a_run_ends_in_the_status_of_its_result_and_shows_the_table(
    noref: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, known: bool, status: int
) -> None:
    result = noref_run(known=known)
    assert result.status == status
    monkeypatch.setattr(job, "test", lambda *_: (result, tmp_path))
    ended = noref("test")
    assert ended.status == status
    assert "noref+4" in ended.out


def test_a_run_whose_files_can_not_be_written_is_shown_all_the_same(
    noref: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise InfraError("writing result.json", "No space left on device", "make room")

    monkeypatch.setattr(job, "test", lambda *_: (noref_run(), tmp_path))
    monkeypatch.setattr(cli, "write_all", full)
    ended = noref("test")
    assert ended.status == 3
    assert "noref+4" in ended.out and "No space left on device" in ended.err


def test_an_interrupted_run_is_shown_and_ends_in_the_shells_status_for_it(
    noref: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = msgspec.structs.replace(noref_run(), stopped=INTERRUPTED)
    monkeypatch.setattr(job, "test", lambda *_: (result, tmp_path))
    ended = noref("test")
    assert ended.status == 130
    assert "stopped before the end (interrupted)" in ended.out


def test_the_options_reach_the_job_as_they_were_given(
    noref: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[object, ...]] = []

    def note(*words: object) -> None:
        asked.append(words)
        raise UserError("noting", "noted")

    monkeypatch.setattr(job, "test", note)
    monkeypatch.setenv("KERNEL_SRC", "/src/linux")
    noref("test", "-j", "3", "--timeout", "7", "--mode", "tdp", "--mode", "shadow", "--full")
    orders, modes, scenarios, full, *_ = asked[0]
    assert isinstance(orders, list)
    (order,) = orders
    assert isinstance(order, Order)
    assert (order.kernel_src, order.workers, order.limits.cell) == ("/src/linux", 3, 7.0)
    assert order.results == tmp_path / "results"
    assert (modes, scenarios, full) == (("tdp", "shadow"), (), True)
