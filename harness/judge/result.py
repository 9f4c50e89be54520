"""A whole run, judged: what report/ shows and `result.json` holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from harness.errors import EXIT_FINDINGS, EXIT_INFRA, EXIT_INTERRUPTED, EXIT_OK
from harness.judge.expected import Expected, Surprise, broken_rules, stale_facts, surprises
from harness.judge.properties import judge_cell, memory_class
from harness.judge.table import Change, Entry, changes, make_table
from harness.model import INTERRUPTED, Finding, Grade, Outcome, Scenario, Value, Verdict


class KernelState(Value):
    """One kernel of a run.

    failure: why it was not built, if it wasn't; log: its build's log.  options: those of noref's
    command line that choose it.  twin: another kernel of the run, which is the same state and ran
    for both.
    """

    label: str
    patches: int
    subject: str
    release: str = ""
    failure: str = ""
    log: str = ""
    options: str = ""
    twin: str = ""


class Setting(Value):
    """What was run, and on what.

    arch: all of them in one word; arches: the one of each mode, where there are more than one.
    """

    series: str
    origin: str
    base: str
    arch: str
    accel: str
    kernels: tuple[KernelState, ...]
    modes: tuple[str, ...]
    arches: tuple[str, ...] = ()

    def arch_of(self, mode: str) -> str:
        """Return the architecture that has that mode."""
        return dict(zip(self.modes, self.arches, strict=False)).get(mode, self.arch)


class RunResult(Value):
    """The judged run.

    expected: what was known of the series beforehand, if anything was.  stopped: why not all
    cells were run, if they weren't.  stale: entries of expected.toml that a complete run gave no
    finding for.
    """

    setting: Setting
    outcomes: tuple[Outcome, ...]
    verdicts: tuple[Verdict, ...]
    table: tuple[Entry, ...]
    changes: tuple[Change, ...]
    surprises: tuple[Surprise, ...]
    expected: Expected | None
    seconds: float
    stopped: str = ""
    stale: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        return self.expected is not None

    def reason(self, finding: Finding) -> str:
        """Return why a finding is as expected, where expected.toml has an entry about it."""
        if self.expected is None:
            return ""
        labels = [kernel.label for kernel in self.setting.kernels]
        number = labels.index(finding.cell.kernel)
        entry = self.expected.entry_for(finding, number, self.setting.arch_of(finding.cell.mode))
        return entry.why if entry is not None else ""

    def options(self, label: str) -> str:
        """Return the options of noref's command line that choose a kernel of the run."""
        return next(kernel.options for kernel in self.setting.kernels if kernel.label == label)

    @property
    def unbuilt(self) -> tuple[KernelState, ...]:
        return tuple(kernel for kernel in self.setting.kernels if kernel.failure)

    @property
    def errors(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.grade is Grade.error)

    @property
    def status(self) -> int:
        """The exit status: findings weigh more than errors, as they stand whatever else failed."""
        if self.stopped == INTERRUPTED:
            return EXIT_INTERRUPTED
        if self.surprises or self.unbuilt or self.stale:
            return EXIT_FINDINGS
        return EXIT_INFRA if self.errors or self.stopped or not self.verdicts else EXIT_OK


def judge_run(
    setting: Setting,
    outcomes: Sequence[Outcome],
    scenarios: Sequence[Scenario],
    expected: Expected | None,
    seconds: float,
    stopped: str = "",
    *,
    complete: bool = False,
) -> RunResult:
    """Judge every outcome, and the series by what is known of it or else by the rule.

    complete: nothing of the plan was left out, so that each known fact must have shown itself.
    """
    by_name = {scenario.name: scenario for scenario in scenarios}
    classes = {
        outcome.cell.backing: memory_class(outcome) for outcome in outcomes if outcome.before
    }
    verdicts = tuple(
        judge_cell(outcome, by_name[outcome.cell.scenario], classes.get(outcome.cell.backing))
        for outcome in outcomes
    )
    kernels = [kernel.label for kernel in setting.kernels]
    table = make_table(verdicts)
    stale: Iterable[str] = ()
    if expected is None:
        red = broken_rules(table, kernels)
    else:
        red = surprises(verdicts, expected, kernels, setting.arch)
        if complete and not stopped and all(v.grade is not Grade.error for v in verdicts):
            stale = stale_facts(verdicts, expected, kernels, setting.arch)
    return RunResult(
        setting=setting,
        outcomes=tuple(outcomes),
        verdicts=verdicts,
        table=table,
        changes=changes(table, kernels),
        surprises=tuple(red),
        expected=expected,
        seconds=seconds,
        stopped=stopped,
        stale=tuple(stale),
    )


def together(results: Sequence[RunResult]) -> RunResult:
    """Put results of one series together that were judged for one architecture each."""
    if len(results) == 1:
        return results[0]
    settings = [result.setting for result in results]
    return RunResult(
        setting=msgspec.structs.replace(
            settings[0],
            arch=", ".join(setting.arch for setting in settings),
            accel="; ".join(f"{setting.arch} {setting.accel}" for setting in settings),
            kernels=tuple(
                _same_state(settings, states)
                for states in zip(*(setting.kernels for setting in settings), strict=True)
            ),
            modes=tuple(mode for setting in settings for mode in setting.modes),
            arches=tuple(setting.arch for setting in settings for _ in setting.modes),
        ),
        outcomes=tuple(outcome for result in results for outcome in result.outcomes),
        verdicts=tuple(verdict for result in results for verdict in result.verdicts),
        table=tuple(entry for result in results for entry in result.table),
        changes=tuple(change for result in results for change in result.changes),
        surprises=tuple(surprise for result in results for surprise in result.surprises),
        expected=results[0].expected,
        seconds=round(sum(result.seconds for result in results), 1),
        stopped="; ".join(result.stopped for result in results if result.stopped),
        stale=tuple(entry for result in results for entry in result.stale),
    )


def _same_state(settings: Sequence[Setting], states: Sequence[KernelState]) -> KernelState:
    """Tell of a kernel for all architectures, and for which of them it was not built."""
    failed = [(s.arch, state) for s, state in zip(settings, states, strict=True) if state.failure]
    if not failed:
        return states[0]
    return msgspec.structs.replace(
        failed[0][1], failure="; ".join(f"for {arch}: {state.failure}" for arch, state in failed)
    )
