"""The scenario list: what it may say, the cells that come of it, and that all three lists agree.

The list itself, the VMM's table and the module's tables are written by hand in three languages.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.machine.arches import ARCHES, arch_of_mode, find_arch
from harness.model import Cell, Property, Scenario
from harness.run.catalogue import parse_cell, plan_cells, read_catalogue

GUEST = Path(__file__).resolve().parents[2] / "guest-images"
X86 = find_arch("x86_64")
SCENARIOS = read_catalogue(GUEST)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def odd(**fields: object) -> Scenario:
    known: dict[str, object] = {
        "name": "odd",
        "checks": Property.access,
        "backings": ("order0", "tail"),
        "mappings": ("remap", "fault"),
        "main": ("tail/fault", "order0/remap"),
        "why": "because",
    }
    return Scenario(**(known | fields))  # type: ignore[arg-type]


def table(path: Path, name: str) -> list[str]:
    """The names in a C table, each entry of which begins with one."""
    match = re.search(
        rf"\b{name}\[\] = \{{\n(.*?)^\}};", path.read_text(), re.DOTALL | re.MULTILINE
    )
    assert match, f"{path} has no table {name}"
    return re.findall(r'^\t\{ (?:\.name = )?"(\w+)"', match[1], re.MULTILINE)


def build_vmm(folder: Path, arch: str, compiler: str) -> Path:
    """The VMM, built as for the guest image but for its optimisation."""
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    source = GUEST / "vmm"
    sources = sorted([*source.glob("*.c"), *source.glob(f"{arch}/*.[cS]")])
    flags = ("-I.", "-static", "-pthread", "-O0", "-Wall", "-Wextra", "-Werror")
    subprocess.run([compiler, *flags, "-o", folder / "vmm", *sources], cwd=source, check=True)
    return folder / "vmm"


@pytest.fixture(scope="session")
def vmm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_vmm(tmp_path_factory.mktemp("vmm"), "x86_64", "gcc")


# --- the three lists ------------------------------------------------------------------------------


def listed(arch: str) -> set[str]:
    return {s.name for s in SCENARIOS if arch in (s.arches or (arch,))}


def test_the_list_and_the_vmm_have_the_same_scenarios(vmm: Path) -> None:
    said = subprocess.run([vmm, "--list"], capture_output=True, text=True, check=True)
    names = said.stdout.split()
    assert len(set(names)) == len(names)
    assert set(names) == listed("x86_64")


def test_arm64s_vmm_has_its_own_scenarios_too(tmp_path: Path) -> None:
    data = build_vmm(tmp_path, "arm64", "aarch64-linux-gnu-gcc").read_bytes()
    for name in BY_NAME:
        assert (f"\0{name}\0".encode() in data) == (name in listed("arm64")), name


def test_every_scenario_is_one_of_an_architecture_that_there_is() -> None:
    assert {arch for scenario in SCENARIOS for arch in scenario.arches} <= set(ARCHES)


def test_no_two_architectures_have_a_mode_of_the_same_name() -> None:
    names = [mode.name for arch in ARCHES.values() for mode in arch.modes]
    assert len(set(names)) == len(names)
    assert all(arch_of_mode(mode.name) is arch for arch in ARCHES.values() for mode in arch.modes)
    assert arch_of_mode("no_such") is None


def test_a_scenario_that_the_vmm_has_not_makes_it_give_up(vmm: Path) -> None:
    for words in (["no_such", "tail", "fault"], ["guest_write"], []):
        done = subprocess.run([vmm, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stdout.startswith("Bail out! ")


@pytest.mark.parametrize(("what", "own"), [("backing", {"anon", "thp"}), ("mapping", {"private"})])
def test_the_list_and_the_module_have_the_same_memory(what: str, own: set[str]) -> None:
    at = ("backing", "mapping").index(what)
    names = {pair.split("/")[at] for scenario in SCENARIOS for pair in scenario.pairs}
    assert names - own == set(table(GUEST / f"module/noref_{what}.c", f"{what}s"))
    assert own < names


@pytest.mark.parametrize("arch", ARCHES.values(), ids=lambda arch: arch.name)
def test_the_main_job_runs_each_kind_of_memory(arch: object) -> None:
    modes = [mode.name for mode in arch.modes if not mode.special]  # type: ignore[attr-defined]
    cells = plan_cells(SCENARIOS, arch, ["base"], modes)  # type: ignore[arg-type]
    for mode in modes:
        ran = [cell for cell in cells if cell.mode == mode]
        allocators = {"order0", "head", "tail", "compound_tail", "kmalloc_large", "kmalloc_slab"}
        assert allocators | {"anon"} <= {c.backing for c in ran}
        assert {"remap", "fault", "insert", "race", "private"} <= {c.mapping for c in ran}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_scenario_says_why_and_names_what_exists(scenario: Scenario) -> None:
    assert len(scenario.why.split()) > 5
    assert scenario.backings
    assert scenario.mappings
    for names in (scenario.backings, scenario.mappings, scenario.main):
        assert len(set(names)) == len(names)
    assert {*scenario.arches, *scenario.without} <= set(ARCHES)
    for left_out in scenario.without.values():
        assert left_out and set(left_out) <= {pair.split("/")[1] for pair in scenario.pairs}
    assert set(scenario.modes) <= {m.name for arch in ARCHES.values() for m in arch.modes}
    assert not scenario.link or scenario.link.startswith("https://")


def test_every_name_fits_into_a_cell_and_into_the_modules_uapi() -> None:
    for scenario in SCENARIOS:
        for name in (scenario.name, *scenario.backings, *scenario.mappings):
            assert re.fullmatch(r"[a-z0-9_]{1,31}", name)


def test_scenarios_have_names_of_their_own_and_none_is_that_of_the_boot() -> None:
    assert len(BY_NAME) == len(SCENARIOS)
    assert "boot" not in BY_NAME


def test_the_main_job_checks_the_properties_that_it_is_there_for() -> None:
    checked = {scenario.checks for scenario in SCENARIOS}
    wanted = {"access", "silence", "detection", "refcounts", "integrity", "notifier"}
    assert wanted <= {prop.value for prop in checked}


# --- reading --------------------------------------------------------------------------------------

GOOD = """
[[scenario]]
name = "odd"
checks = "access"
backings = ["order0", "tail"]
mappings = ["fault"]
main = ["tail/fault"]
why = "because"
"""


def read(folder: Path, text: str | bytes) -> tuple[Scenario, ...]:
    data = text.encode() if isinstance(text, str) else text
    (folder / "scenarios.toml").write_bytes(data)
    return read_catalogue(folder)


def test_a_good_list_is_read(tmp_path: Path) -> None:
    (scenario,) = read(tmp_path, GOOD)
    assert scenario.checks is Property.access
    assert scenario.main == ("tail/fault",)
    assert not scenario.control


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('checks = "access"', 'checks = "elegance"'),
        ('checks = "access"', ""),
        ('why = "because"', ""),
        ('why = "because"', 'why = "because"\nmode = ["tdp"]'),
        ('backings = ["order0", "tail"]', 'backings = "tail"'),
        ('main = ["tail/fault"]', 'main = ["tail/remap"]'),
        ('main = ["tail/fault"]', 'main = ["head/fault"]'),
        ('main = ["tail/fault"]', 'main = ["tail"]'),
        ('main = ["tail/fault"]', 'main = ["tail/fault/odd"]'),
        ("[[scenario]]", "[[scenarios]]"),
        ("[[scenario]]", "[[scenario"),
    ],
)
def test_a_list_with_a_mistake_is_the_users_error_that_names_the_file(
    tmp_path: Path, old: str, new: str
) -> None:
    assert old in GOOD
    with pytest.raises(UserError, match=r"scenarios\.toml"):
        read(tmp_path, GOOD.replace(old, new, 1))


def test_a_list_that_names_a_scenario_twice_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="odd"):
        read(tmp_path, GOOD + GOOD)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"scenario = 3"])
def test_what_is_no_list_is_the_users_error(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UserError, match=r"scenarios\.toml"):
        read(tmp_path, data)


def test_a_folder_without_a_list_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"scenarios\.toml"):
        read_catalogue(tmp_path)


# --- the plan -------------------------------------------------------------------------------------


def plan(scenario: Scenario, *, full: bool = False) -> list[str]:
    cells = plan_cells([scenario], X86, ["base", "noref+1"], ["tdp", "legacy"], full=full)
    return [str(cell) for cell in cells]


def test_the_main_job_runs_the_main_pairs_on_every_kernel_and_mode() -> None:
    assert plan(odd()) == [
        f"{kernel}/{mode}/{memory}/odd"
        for kernel in ("base", "noref+1")
        for mode in ("tdp", "legacy")
        for memory in ("tail/fault", "order0/remap")
    ]


def test_a_full_run_has_every_pair_once() -> None:
    cells = plan(odd(), full=True)
    assert len(set(cells)) == len(cells) == 2 * 2 * 4
    assert set(plan(odd())) <= set(cells)


def test_a_scenario_of_one_mode_runs_in_that_one() -> None:
    assert {cell.split("/")[1] for cell in plan(odd(modes=("legacy",)))} == {"legacy"}
    assert plan(odd(modes=("nvhe",))) == []


def test_a_scenario_of_another_arch_does_not_run() -> None:
    assert plan(odd(arches=("arm64",))) == []
    assert plan(odd(arches=("arm64", "x86_64"))) == plan(odd())


def test_a_mapping_that_makes_no_sense_on_an_arch_is_left_out_there() -> None:
    scenario = odd(without={"x86_64": ("fault",)})
    assert {cell.split("/")[3] for cell in plan(scenario, full=True)} == {"remap"}
    assert plan(odd(without={"arm64": ("fault",)}), full=True) == plan(odd(), full=True)
    with pytest.raises(UserError, match=r"mapping of odd on x86_64 'fault'(.|\n)*remap"):
        parse_cell("base/tdp/tail/fault/odd", [scenario], X86)


def test_cells_of_one_kernel_and_mode_lie_together() -> None:
    cells = plan_cells(SCENARIOS, X86, ["base", "noref+1"], ["tdp", "legacy", "shadow"])
    groups = [(cell.kernel, cell.mode) for cell in cells]
    changes = sum(a != b for a, b in pairwise(groups))
    assert changes == 5


def test_a_special_mode_runs_the_scenarios_that_name_it_and_no_others() -> None:
    special = [mode.name for mode in X86.modes if mode.special]
    naming = {scenario.name for scenario in SCENARIOS if set(special) & set(scenario.modes)}
    assert naming
    cells = plan_cells(SCENARIOS, X86, ["base"], ["tdp", *special], full=True)
    assert {cell.scenario for cell in cells if cell.mode in special} == naming
    assert naming < {cell.scenario for cell in cells if cell.mode == "tdp"}


def test_nothing_to_run_is_an_empty_plan() -> None:
    assert plan_cells([], X86, ["base"], ["tdp"]) == []
    assert plan_cells(SCENARIOS, X86, [], ["tdp"]) == []


# --- a cell by its name ---------------------------------------------------------------------------


def test_the_name_of_every_cell_names_it() -> None:
    modes = [mode.name for mode in X86.modes]
    for cell in plan_cells(SCENARIOS, X86, ["noref+4"], modes, full=True):
        assert parse_cell(str(cell), SCENARIOS, X86) == cell


def test_slashes_around_a_cells_name_do_not_matter() -> None:
    cell = Cell(kernel="base", mode="tdp", backing="tail", mapping="fault", scenario="guest_write")
    assert parse_cell("/base/tdp/tail/fault/guest_write/", SCENARIOS, X86) == cell


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("base/tdp/tail/fault/no_such", ["'no_such'", "guest_write", "freed_vm_close"]),
        ("base/nvhe/tail/fault/guest_write", ["'nvhe'", "tdp, legacy, shadow"]),
        ("base/tdp/moon/fault/guest_write", ["'moon'", "order0, head, tail", "of guest_write"]),
        ("base/tdp/tail/fault/freed_munmap", ["'tail'", "order0, head", "of freed_munmap"]),
        ("base/tdp/tail/glue/guest_write", ["'glue'", "remap, fault"]),
        ("base/tdp/tail/fault", ["4 words", "KERNEL/MODE/BACKING/MAPPING/SCENARIO"]),
        ("base/tdp/tail/fault/guest_write/more", ["6 words"]),
        ("../../etc/base/tdp/tail/fault/guest_write", ["8 words"]),
        ("", ["1 words"]),
        ("////", ["1 words"]),
    ],
)
def test_a_word_that_is_wrong_is_named_with_what_it_could_be(text: str, said: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        parse_cell(text, SCENARIOS, X86)
    assert caught.value.status == 2
    for word in said:
        assert word in str(caught.value)
