"""The files of a run: their names, and how they are written."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import InfraError

JSON = "result.json"
COMPARISON = "comparison.json"
MUTANTS = "mutants.json"
SUMMARY = "summary.txt"
JUNIT = "junit.xml"
KTAP = "result.ktap"
HTML = "report.html"

# In a cell's folder: what L1 said on its console.
CONSOLE = "console.log"


def write_file(path: Path, data: bytes) -> None:
    """Write the whole file or none of it; InfraError if that can't be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InfraError(f"writing {path}", str(error), "check the disk and the folder") from error
