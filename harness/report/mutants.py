"""What became of the mutants, for a person at a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.judge.mutants import Fate, Kill, MutantResult, MutantsResult
from harness.report import files
from harness.report.page import Page
from harness.report.text import command, count, duration, line

_STYLES = {Fate.killed: "green", Fate.undecided: "bold magenta"}
_KILLS = 12


def mutant_line(mutant: MutantResult) -> str:
    """Say of a mutant, in one line, what became of it."""
    said = f"{mutant.series or '?'}+{mutant.name}: {fate(mutant)}"
    if mutant.kills:
        return line(f"{said}: {_kill(mutant.kills[0])}")
    return line(f"{said}: {mutant.note.splitlines()[0]}" if mutant.note else said)


def fate(mutant: MutantResult) -> str:
    """Say what became of a mutant in a few words."""
    if mutant.fate is Fate.survived:
        return f"survived {count(mutant.cells, 'cell')}"
    if mutant.fate is Fate.undecided:
        return f"undecided: {mutant.errors} of {count(mutant.cells, 'cell')} ended in an error"
    if mutant.missed:
        return "killed, but not by a suspect"
    return "killed by a suspect" if mutant.kills and mutant.suspects else mutant.fate.value


def show_mutants(result: MutantsResult, console: Console, folder: Path) -> None:
    """Print what became of each mutant; folder: where the evidence is."""
    page = Page(console)
    width = max((len(line(mutant.name, 40)) for mutant in result.mutants), default=0)
    for mutant in result.mutants:
        style = "bold red" if mutant.missed else _STYLES.get(mutant.fate, "bold red")
        text = Text(f"{line(mutant.name, 40):<{width}}  {line(mutant.series, 20) or '?'}  ")
        text.append(fate(mutant), style=style)
        page.lines([text])
        _details(page, mutant)
    page.gap()
    said = [f"{number} {one.value}" for one in Fate if (number := result.count(one))]
    missed = sum(mutant.missed for mutant in result.mutants)
    if missed:
        said.append(f"{missed} not by a suspect")
    if result.stopped:
        missing = result.planned - len(result.mutants)
        said.append(f"{missing} not run: stopped before the end ({line(result.stopped)})")
    style = "bold red" if result.status else "bold green"
    mutants = count(len(result.mutants), "mutant")
    page.say(Text(f"{mutants}: {', '.join(said) or 'nothing ran'}", style=style))
    page.say(Text(line(f"{result.base}, {result.arch}, {duration(result.seconds)}")))
    page.raw(f"{folder}/: {files.MUTANTS}, {files.SUMMARY}")
    page.say(Text(f"L1: {line(result.accel)}", style="dim"))


def _details(page: Page, mutant: MutantResult) -> None:
    page.say(Text(line(mutant.title)), indent=4, hang=2)
    for number, kill in enumerate(mutant.kills[:_KILLS], 1):
        cell = kill.finding.cell
        page.say(Text(_kill(kill)), indent=4, hang=2)
        page.say(Text(line(f"without it {kill.reference}"), style="dim"), indent=6, hang=2)
        if cell not in (other.finding.cell for other in mutant.kills[number : number + 1]):
            page.raw(f"      {command(cell, mutant.options)}")
    if len(mutant.kills) > _KILLS:
        page.say(Text(f"and {len(mutant.kills) - _KILLS} more, see {files.MUTANTS}"), indent=4)
    if mutant.missed:
        page.say(Text(f"suspected: {line(', '.join(mutant.suspects))}"), indent=4, hang=2)
    for said in (mutant.note, mutant.log and f"log: {mutant.log}"):
        if said:
            page.say(Text(line(said, 600)), indent=4, hang=2)


def _kill(kill: Kill) -> str:
    """Name the cell that killed, the property that it lost, and what was seen."""
    cell, finding = kill.finding.cell, kill.finding
    where = "/".join((cell.mode, cell.backing, cell.mapping, cell.scenario))
    prop = f"{finding.prop.value} of {finding.memory} memory"
    return line(f"{where}: {prop} is lost: {finding.evidence}")
