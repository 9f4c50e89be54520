"""Making a .config from fragments, and checking that every option asked for took effect."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from harness.errors import UserError
from harness.model import Arch, Value

FRAGMENTS = Path(__file__).parent / "configs"

# Options that newer kernels have merged into another one, which there stands for both, or renamed.
_MERGED = {"CONFIG_PROC_SYSCTL": "CONFIG_SYSCTL", "CONFIG_CFI_CLANG": "CONFIG_CFI"}


class Fragment(Value):
    """A named piece of configuration: lines `CONFIG_X=…` or `# CONFIG_X is not set`."""

    name: str
    text: str

    @property
    def optional(self) -> bool:
        """Whether a base may lack its options."""
        return self.name.endswith("-optional.config")


class Unmet(Value):
    """An option whose value in the .config is not the one asked for; "n" stands for not set."""

    option: str
    asked: str
    came: str
    fragment: str

    def __str__(self) -> str:
        return f"{self.option}: asked {self.asked} ({self.fragment}), came {self.came}"


def fragments(arch: Arch, extra: Path | None = None) -> tuple[Fragment, ...]:
    """Read what all arches ask for, what an arch does, and the user's own.

    The later one has the last word.
    """
    files = [p for f in ("common", arch.name) for p in sorted((FRAGMENTS / f).glob("*.config"))]
    if extra is not None:
        files.append(extra)
    return tuple(_read(file) for file in files)


def _read(file: Path) -> Fragment:
    tried = f"reading the Kconfig fragment {file}"
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(tried, str(error), "name a text file of CONFIG_ lines") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not _SET.fullmatch(line) and not line.startswith("#"):
            raise UserError(
                tried,
                f"line {number} sets no option: {line!r}",
                "write CONFIG_NAME=value, `# CONFIG_NAME is not set`, or a comment",
            )
    return Fragment(name=file.name, text=text)


_SET = re.compile(r"(CONFIG_\w+)=(\S.*?)\s*")
_UNSET = re.compile(r"# (CONFIG_\w+) is not set\s*")


def options(text: str) -> dict[str, str]:
    """Read the options of a fragment or a .config by name; "n" for one that is not set."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if match := _SET.fullmatch(line):
            found[match[1]] = match[2]
        elif match := _UNSET.fullmatch(line):
            found[match[1]] = "n"
    return found


def merged(parts: Iterable[Fragment]) -> str:
    """One text of all options, each once, for KCONFIG_ALLCONFIG."""
    together: dict[str, str] = {}
    for part in parts:
        together |= options(part.text)
    for name, value in list(together.items()):
        if name in _MERGED:
            together.setdefault(_MERGED[name], value)
    return "".join(f"{name}={value}\n" for name, value in sorted(together.items()))


def unmet(parts: Iterable[Fragment], config: str) -> tuple[Unmet, ...]:
    """Name every option that the fragments ask for and the .config doesn't give.

    kconfig drops an option in silence if one that it depends on is missing, or if it is gone.
    In a fragment NAME-optional.config that is no fault.
    """
    got = options(config)
    wanted: dict[str, Unmet] = {}
    for part in parts:
        for name, value in options(part.text).items():
            if part.optional and name not in got:
                continue
            # A kernel that has the option and may turn it off says so: `# … is not set`.
            there = name if name in got else _MERGED.get(name, name)
            came = got.get(there, "n")
            wanted[name] = Unmet(option=name, asked=value, came=came, fragment=part.name)
    return tuple(entry for entry in wanted.values() if entry.asked != entry.came)
