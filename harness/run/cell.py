"""Running one cell: restore L1, let the VMM run the scenario, keep everything that was seen."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import msgspec

from harness.dmesg import find_splats
from harness.errors import NorefError
from harness.machine.l1 import END_MARK, L1Failed, Reply, Saved, restore, wait_for_mark
from harness.model import Cell, End, Outcome, Result
from harness.run.ktap import read_report

_LOG_LIMIT = 64 << 20


def run_cell(
    saved: Saved,
    cell: Cell,
    results: Path,
    timeout: float,
    options: str = "",
    parallel: bool = True,
) -> Outcome:
    """Run the cell on a pristine L1; every failure becomes an outcome, none is raised.

    results: the run's folder; the cell's own folder lies below it, under the cell's name.
    timeout: seconds that the cell may take; after that, L1 counts as hung.  options: what chose
    the kernel on noref's command line.  parallel: L1's CPUs must really run at a time.
    """
    folder = cell_folder(results, cell)
    console = folder / "console.log"
    started = time.monotonic()
    output = b""
    status: int | None = None
    end, note = End.reported, ""
    try:
        with restore(saved, console, parallel=parallel) as l1:
            reply = l1.run((cell.scenario, cell.backing, cell.mapping), timeout)
            wait_for_mark(console)
        output, status, note = reply.output, reply.status, _describe(reply)
    except L1Failed as failure:
        end, note, output = failure.end, failure.note, failure.output
    except NorefError as error:
        end, note = End.qemu, str(error)
    log = read_log(console)
    if end is End.reported and END_MARK not in log:
        end, note = End.harness, f"L1's log doesn't reach the end of the cell; log: {console}"
    report = read_report(output)
    outcome = Outcome(
        cell=cell,
        end=end,
        status=status,
        note=note,
        subtests=report.subtests,
        before=report.before,
        during=report.during,
        after=report.after,
        splats=find_splats(log),
        seconds=round(time.monotonic() - started, 3),
        folder=str(folder.relative_to(results)),
    )
    (folder / "vmm.ktap").write_bytes(output)
    keep(
        outcome,
        options,
        saved.spec.by_hand(f"noref.cell={cell.scenario}/{cell.backing}/{cell.mapping}"),
        folder,
    )
    return outcome


def cell_folder(results: Path, cell: Cell) -> Path:
    """Make and return the folder of a cell's evidence, a new one each time that it is run."""
    return new_folder(results / "cells" / str(cell))


def new_folder(first: Path) -> Path:
    """Make and return a folder of that name, with a number behind it if there is one already."""
    first.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = first if number == 1 else first.with_name(f"{first.name}.{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("there is no end of numbers")


def keep(outcome: Outcome, options: str, by_hand: str, folder: Path) -> None:
    """Write the outcome, and the commands that run the cell again.

    options: what chose the kernel on noref's command line.
    """
    text = msgspec.json.format(msgspec.json.encode(outcome), indent=1)
    (folder / "outcome.json").write_bytes(text + b"\n")
    harness = " ".join(filter(None, ("noref run", str(outcome.cell), options)))
    again = f"# by the harness:\n{harness}\n# by hand, on the terminal:\n{by_hand}\n"
    (folder / "again").write_text(again)


def read_log(console: Path) -> bytes:
    """Return L1's log; nothing if it never said anything."""
    try:
        with console.open("rb") as file:
            return file.read(_LOG_LIMIT)
    except FileNotFoundError:
        return b""


def _describe(reply: Reply) -> str:
    """Say what is wrong with a reply whose status is not that of a report."""
    report = read_report(reply.output)
    if report.bailed_out:
        return f"the VMM gave up: {report.bailed_out}"
    if reply.status > 128:
        return f"the VMM was killed by signal {reply.status - 128}"
    if reply.status > 1 or not report.complete:
        return f"the VMM's report is not complete (exit status {reply.status})"
    if reply.status != any(step.result is Result.not_ok for step in report.subtests):
        return f"the VMM's exit status {reply.status} is not what its report says"
    return ""
