"""What the files of a tree become when the patches of a series are applied one after the other."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from harness.errors import UserError
from harness.model import Patch, Series
from harness.source.git import git, said
from harness.source.tree import File, read_file, write_file


class DoesNotApply(UserError):
    """A patch of the series doesn't apply on those before it."""


Overlay = Mapping[str, File | None]
"""Every file that the patches touch, as it is after them; None: it is gone."""


def overlays(
    read_pristine: Callable[[str], File | None], series: Series, upto: int | None = None
) -> tuple[Overlay, ...]:
    """Give the overlay of the base (empty) and of the base plus the first k patches, k = 1…upto.

    Always computed from the pristine files, with `git apply` in a temporary folder that holds
    only those files.  DoesNotApply names the patch that does not apply, with git's words.
    """
    with tempfile.TemporaryDirectory(prefix="noref-apply-") as name:
        return tuple(_states(read_pristine, series, upto, Path(name)))


def _states(
    read_pristine: Callable[[str], File | None], series: Series, upto: int | None, folder: Path
) -> Iterator[Overlay]:
    seen: set[str] = set()
    yield {}
    for patch in series.patches[:upto]:
        tried = f"applying {series.name} patch {patch.number} ({patch.name}: “{patch.subject}”)"
        try:
            for path in sorted(touched(patch, folder) - seen):
                pristine = read_pristine(path)
                if pristine is not None:
                    write_file(folder, path, pristine)
                seen.add(path)
            _apply(patch, folder)
            yield {path: read_file(folder, path) for path in sorted(seen)}
        except UserError as error:
            came = error.came if error.tried == "git apply" else f"{error.tried}: {error.came}"
            raise DoesNotApply(
                f"{tried} from {series.origin}",
                came,
                "rebase the series onto this base, or choose the base that it was made for",
            ) from error


def touched(patch: Patch, folder: Path) -> set[str]:
    """List the paths that a patch reads or writes: git's own list, and what a rename comes from."""
    listing = git("apply", "--numstat", "-z", "-", cwd=folder, stdin=patch.diff)
    if listing.returncode:
        raise UserError("git apply", said(listing))
    entries = [entry.split(b"\t", 2) for entry in listing.stdout.split(b"\0") if entry]
    paths = {entry[-1].decode(errors="surrogateescape") for entry in entries}
    for line in _RENAMED.findall(patch.diff):
        paths.add(line.decode(errors="surrogateescape"))
    for path in paths:
        if not path.isprintable():
            raise UserError(f"patching {path!r}", "no file of a kernel has such a name")
    return paths


# A name that git had to quote stays quoted here, is not found, and so does not apply.
_RENAMED = re.compile(rb"^(?:rename|copy) from ([^\r\n]+)$", re.MULTILINE)


def _apply(patch: Patch, folder: Path) -> None:
    result = git("apply", "--whitespace=nowarn", "-", cwd=folder, stdin=patch.diff)
    if result.returncode:
        raise UserError("git apply", said(result))
