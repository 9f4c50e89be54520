"""A whole run, judged: what report/ shows and `result.json` holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    """What was run, and on what."""

    series: str
    origin: str
    base: str
    arch: str
    accel: str
    kernels: tuple[KernelState, ...]
    modes: tuple[str, ...]


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
        entry = self.expected.entry_for(finding, number, self.setting.arch)
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
