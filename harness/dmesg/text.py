"""Hostile bytes to bounded, printable text."""

from __future__ import annotations

import re

# ECMA-48: CSI sequences, strings (OSC, DCS, SOS, PM, APC) up to their terminator, the rest.
_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-?]{0,32}[ -/]{0,8}[@-~]"
    rb"|[\]PX^_](?:[^\x07\x1b\n]{0,512}(?:\x07|\x1b\\))?"
    rb"|[ -/]{0,4}[0-~]?)"
)
# C1 controls act like escapes in some terminals once they are decoded.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CONTROL_BYTES = bytes(byte for byte in (*range(0x20), 0x7F) if byte not in b"\n\t")
_ADDRESS = re.compile(
    r"\b0x[0-9a-fA-F]*|\b(?=[0-9a-f]*[0-9])[0-9a-f]{8,}\b|\(_*ptrval_*\)|\(null\)"
)
_NUMBER = re.compile(
    r"(?:(?<![\w-])-)?(?:\b|(?<=\bCPU))\d+(?=(?:ns|us|ms|s|[kKMG]B?)?\b)|(?<=\bpage )[0-9a-f]+\b"
)


def strip_escapes(data: bytes) -> bytes:
    """The data without terminal escape sequences."""
    return _ESCAPE.sub(b"", data) if b"\x1b" in data else data


def clean_text(data: bytes, limit: int) -> str:
    """Printable text of at most `limit` characters.

    Terminal escapes and control characters (newline and tab stay) are taken out, and what is
    not UTF-8 is replaced.
    """
    if limit <= 0:
        return ""
    if len(data) <= limit and data.isascii():
        text = data.decode("ascii")
        if text.isprintable() or len(data.translate(None, _CONTROL_BYTES)) == len(data):
            return text
    # A character takes at most four bytes; escapes take more, so leave room for some.
    text = strip_escapes(data[: 8 * limit + 1024]).decode("utf-8", "replace")
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))[:limit]


def stable(text: str) -> str:
    """The text with what changes from run to run (addresses, numbers) replaced."""
    return _NUMBER.sub("NUM", _ADDRESS.sub("ADDR", text)).strip()
