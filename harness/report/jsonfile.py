"""The run as JSON: everything, for programs, and the way back."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.judge.result import RunResult
from harness.model import Value
from harness.report.files import write_file

# What JSON may hold as it is, but a terminal that shows the file would obey: DEL, C1 controls,
# and the characters that turn the reading direction.
_UNSAFE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def write_json(result: Value, path: Path) -> None:
    """Write the run, or what else a command ends in; `read_json` gives back an equal run."""
    text = msgspec.json.format(msgspec.json.encode(result), indent=1).decode()
    # All of these can only stand within strings, where the escape means the same.
    text = _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    write_file(path, text.encode() + b"\n")


def read_json(path: Path) -> RunResult:
    """Read a run; UserError if the file is no such thing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunResult)
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"reading the run {path}", str(error), "give a result.json") from error


def schema(kind: type[Value] = RunResult) -> bytes:
    """Return the JSON schema of what `write_json` writes."""
    text = msgspec.json.encode(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **msgspec.json.schema(kind),
        }
    )
    return msgspec.json.format(text, indent=1) + b"\n"
