"""Running git so that neither the environment nor an enclosing repository changes what it does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from harness.errors import InfraError


def git(
    *arguments: str,
    cwd: Path,
    stdin: bytes = b"",
    repository: bool = False,
    index: Path | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run git in cwd and return what came of it, whatever its status.

    Without repository, git sees no repository and no configuration at all: with `core.autocrlf`,
    `apply.whitespace` or an enclosing work tree, `git apply` gives other files or skips some.
    With repository, the user's configuration stays (`safe.directory` is in it).  index: a copy
    of the repository's index to work on, because `git diff` writes a fresher one if it can.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", *(_PLAIN if repository else ()), *arguments],
            cwd=cwd,
            input=stdin,
            capture_output=True,
            check=False,
            env=inherited | (_inside(index) if repository else _outside(cwd)),
        )
    except FileNotFoundError as error:
        raise InfraError("running git", f"{error.filename} is not there", "install git") from error


# A repository may name a program to run (fsmonitor); a split index is written beside the real one.
_PLAIN = ("-c", "core.fsmonitor=false", "-c", "core.splitIndex=false")


def _inside(index: Path | None) -> dict[str, str]:
    environment = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    return environment | ({"GIT_INDEX_FILE": str(index)} if index else {})


def _outside(cwd: Path) -> dict[str, str]:
    return {
        "GIT_CEILING_DIRECTORIES": str(cwd.resolve().parent),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
    }


def said(result: subprocess.CompletedProcess[bytes]) -> str:
    """What git complained about, fit for a terminal."""
    return printable(result.stderr.decode(errors="replace")).strip() or "no message"


def printable(text: str) -> str:
    """Replace what could move a terminal's cursor or change its colours; keep the line ends."""
    return "".join(
        c if c.isprintable() or c in "\t\n" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
