"""What the user asked for, in the words of the command line, and what those words name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UserError
from harness.judge.expected import Expected, check_names, read_expected
from harness.machine.arches import ARCHES
from harness.model import Arch, Scenario, Series, Value
from harness.run.boot import BOOT, Limits, Places
from harness.run.catalogue import read_catalogue
from harness.source.base import Base
from harness.source.mutants import read_mutant
from harness.source.series import read_series


class Order(Value):
    """What the user asked for, in the words of the command line."""

    version: str
    kernel_src: str | None
    series: str
    bundled: Path
    guest: Path
    arch: Arch
    config: Path | None
    cache: Path
    workers: int
    limits: Limits
    results: Path
    options: str = ""
    mutant: Path | None = None


class Sources(Value):
    """A series on its base, and what is known of it."""

    base: Base
    series: Series | None
    expected: Expected | None

    @property
    def name(self) -> str:
        return self.series.name if self.series else "none"

    @property
    def steps(self) -> tuple[int, ...]:
        """The kernels of it, by the number of patches; with a mutant, that and the one before."""
        if self.series is None:
            return (0,)
        last = len(self.series.patches)
        return (last - 1, last) if self.series.mutant else tuple(range(last + 1))

    def label(self, step: int) -> str:
        return self.series.label(step) if self.series else "base"


class Choice(Value):
    """Which modes, and which scenarios of the list."""

    modes: tuple[str, ...]
    scenarios: tuple[Scenario, ...]


def choose(order: Order, modes: Sequence[str], scenarios: Sequence[str], *, full: bool) -> Choice:
    """Look up the modes and scenarios that the user named; all if none, special modes if full."""
    usual = [mode.name for mode in order.arch.modes if full or not mode.special]
    catalogue = read_catalogue(order.guest)
    names = look_up("scenario", scenarios, [scenario.name for scenario in catalogue])
    return Choice(
        modes=tuple(look_up("mode", modes or usual, [mode.name for mode in order.arch.modes])),
        scenarios=tuple(scenario for scenario in catalogue if scenario.name in names),
    )


def places_of(order: Order, results: Path, scratch: Path) -> Places:
    """Return where a run leaves what, and what its scenarios are of those that the arch has."""
    arch = order.arch.name
    scenarios = [s for s in read_catalogue(order.guest) if arch in (s.arches or (arch,))]
    return Places(
        results=results,
        scratch=scratch,
        scenarios=tuple(s.name for s in scenarios),
        alone=tuple(s.name for s in scenarios if s.alone),
        parallel=tuple(s.name for s in scenarios if s.parallel),
    )


def read_sources(order: Order, base: Base) -> Sources:
    """Read the series that the order names, and what is known of it."""
    if order.series == "none":
        return Sources(base=base, series=None, expected=None)
    bundled = order.bundled / order.version / order.series
    folder = bundled if bundled.is_dir() else Path(order.series)
    try:
        series = read_series(str(folder) if folder.exists() else order.series)
    except OSError as error:
        raise UserError(
            f"reading the series {order.series}", str(error), "make it readable"
        ) from error
    if order.mutant is not None:
        mutated = read_mutant(order.mutant).on(series)
        return Sources(base=base, series=mutated, expected=None)
    return Sources(base=base, series=series, expected=_known(order, folder, len(series.patches)))


def _known(order: Order, folder: Path, patches: int) -> Expected | None:
    """Read what is known of the series in that folder, and of its base beside it."""
    facts, of_base = folder / "expected.toml", folder.parent / "base.toml"
    if not facts.is_file():
        return None
    names = _names(order)
    expected = read_expected(facts)
    check_names(expected, names, patches, facts)
    if of_base.is_file():
        base = read_expected(of_base)
        check_names(base, names, patches, of_base)
        expected = expected.and_then(base)
    return expected


def _names(order: Order) -> dict[str, tuple[str, ...]]:
    """Return what an entry of expected.toml can name, for each of its fields.

    A boot's own complaint comes without memory.
    """
    scenarios = read_catalogue(order.guest)
    pairs = [pair.split("/") for scenario in scenarios for pair in scenario.pairs]
    modes = [mode.name for arch in ARCHES.values() for mode in arch.modes]
    return {
        "arches": tuple(ARCHES),
        "modes": tuple(dict.fromkeys(modes)),
        "memory": ("counted", "uncounted", "unknown"),
        "backings": (*dict.fromkeys(backing for backing, _ in pairs), "none"),
        "mappings": (*dict.fromkeys(mapping for _, mapping in pairs), "none"),
        "scenarios": (*(scenario.name for scenario in scenarios), BOOT.name),
    }


def look_up(what: str, wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    for name in wanted:
        if name not in known:
            raise UserError(
                f"looking up the {what} {name!r}", "there is none", f"use: {', '.join(known)}"
            )
    return [name for name in known if name in wanted or not wanted]
