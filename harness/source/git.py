"""Running git so that neither the environment nor an enclosing repository changes what it does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from harness.errors import InfraError


def git(
    *arguments: str, cwd: Path, stdin: bytes = b"", repository: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Run git in cwd and return what came of it, whatever its status.

    Without repository, git sees no repository and no configuration at all: with `core.autocrlf`,
    `apply.whitespace` or an enclosing work tree, `git apply` gives other files or skips some.
    With repository, the user's configuration stays (`safe.directory` is in it), and git takes no
    optional locks: it writes nothing into a user's repository, not even a fresher index.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=cwd,
            input=stdin,
            capture_output=True,
            check=False,
            env=inherited | (_IN_REPOSITORY if repository else _outside(cwd)),
        )
    except FileNotFoundError as error:
        raise InfraError("running git", f"{error.filename} is not there", "install git") from error


_IN_REPOSITORY = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


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
