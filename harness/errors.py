"""The three families of errors, one for each kind of reader, and the exit statuses they end in.

A message says what was tried, what came instead, and what to do; where there is a log, its path
is in the message.  The command line prints the message alone: a traceback means a bug in the
harness.
"""

from __future__ import annotations

from pathlib import Path

EXIT_OK = 0
EXIT_FINDINGS = 1
EXIT_USER = 2
EXIT_INFRA = 3
# As a shell has it for a command that SIGINT ended.
EXIT_INTERRUPTED = 130


class NorefError(Exception):
    """An error with a message made for a person.

    tried: what the harness was doing; came: what happened instead; do: what the reader can do
    about it; log: the file that holds the details, if there is one.
    """

    status = EXIT_INFRA

    def __init__(self, tried: str, came: str, do: str = "", log: Path | None = None) -> None:
        self.tried = tried
        self.came = came
        self.do = do
        self.log = log
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [f"{self.tried}: {self.came}"]
        if self.do:
            lines.append(f"  what to do: {self.do}")
        if self.log is not None:
            lines.append(f"  log: {self.log}")
        return "\n".join(lines)


class UserError(NorefError):
    """The user's input is at fault: exit status 2."""

    status = EXIT_USER


class KernelError(NorefError):
    """The kernel under test is at fault (it doesn't build or boot): a finding, exit status 1."""

    status = EXIT_FINDINGS


class InfraError(NorefError):
    """The harness, QEMU or the machine is at fault: exit status 3."""

    status = EXIT_INFRA
