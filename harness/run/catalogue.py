"""The scenario list, and the cells that come of it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.model import Arch, Cell, Scenario, Value


class _Entry(Scenario, forbid_unknown_fields=True):
    pass


class _File(Value, forbid_unknown_fields=True):
    scenario: tuple[_Entry, ...]


def read_catalogue(guest: Path) -> tuple[Scenario, ...]:
    """Read the scenario list of a folder of guest images; UserError if it is not one."""
    path = guest / "scenarios.toml"
    try:
        scenarios = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File).scenario
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise UserError("reading the scenario list", str(error), f"correct {path}") from error
    names = [scenario.name for scenario in scenarios]
    for scenario in scenarios:
        wrong = [pair for pair in scenario.main if pair not in scenario.pairs]
        if wrong:
            came = f"main has {', '.join(wrong)}, which neither backings × mappings nor also has"
        elif names.count(scenario.name) > 1:
            came = "there is another one of that name"
        else:
            continue
        raise UserError("reading the scenario list", f"{scenario.name}: {came}", f"correct {path}")
    return scenarios


def plan_cells(
    scenarios: Iterable[Scenario],
    arch: Arch,
    kernels: Sequence[str],
    modes: Sequence[str],
    *,
    full: bool = False,
) -> list[Cell]:
    """Return the cells of a run, those of one kernel and mode together.

    full: every backing and mapping that makes sense, instead of the main ones.
    """
    special = {mode.name for mode in arch.modes if mode.special}
    return [
        Cell(kernel=kernel, mode=mode, backing=backing, mapping=mapping, scenario=scenario.name)
        for kernel in kernels
        for mode in modes
        for scenario in scenarios
        if not scenario.arches or arch.name in scenario.arches
        if mode in (scenario.modes or set(modes) - special)
        for backing, mapping in _memory(scenario, arch, full)
    ]


def _memory(scenario: Scenario, arch: Arch, full: bool) -> list[tuple[str, str]]:
    pairs = scenario.pairs if full else scenario.main
    without = scenario.without.get(arch.name, ())
    return [(b, m) for b, _, m in (pair.partition("/") for pair in pairs) if m not in without]


def parse_cell(text: str, scenarios: Iterable[Scenario], arch: Arch) -> Cell:
    """Read a cell's text form; UserError says which word is wrong and what it could be."""
    words = text.strip("/").split("/")
    if len(words) != 5:
        raise UserError(
            f"reading the cell {text!r}",
            f"it has {len(words)} words",
            "write KERNEL/MODE/BACKING/MAPPING/SCENARIO, e.g. noref+4/tdp/tail/fault/guest_write",
        )
    kernel, mode, backing, mapping, name = words
    by_name = {scenario.name: scenario for scenario in scenarios}
    _check_word("scenario", name, by_name)
    scenario = by_name[name]
    _check_word("mode", mode, [m.name for m in arch.modes])
    if f"{backing}/{mapping}" not in scenario.also:
        _check_word(f"backing of {name}", backing, scenario.backings)
        _check_word(f"mapping of {name}", mapping, scenario.mappings)
    without = scenario.without.get(arch.name, ())
    sensible = [m for m in (*scenario.mappings, mapping) if m not in without]
    _check_word(f"mapping of {name} on {arch.name}", mapping, sensible)
    return Cell(kernel=kernel, mode=mode, backing=backing, mapping=mapping, scenario=name)


def _check_word(what: str, word: str, allowed: Iterable[str]) -> None:
    if word not in allowed:
        raise UserError(
            f"looking up the {what} {word!r}", "there is none", f"use one of: {', '.join(allowed)}"
        )
