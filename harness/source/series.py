"""Reading a series: a quilt folder, an mbox, or a git range."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from harness.errors import UserError
from harness.model import Patch, Series
from harness.source.git import git, printable, said

_HINT = "give a quilt folder, an mbox of patches, or a git range (REPOSITORY:REV..REV)"


def read_series(spec: str, repo: Path | None = None) -> Series:
    """Read the series that spec names, in its order.

    spec: a folder with a file `series`, an mbox (cover letter and answers are skipped), or
    `PATH:REV..REV`, or `REV..REV` in repo.  UserError, which names the file, if it is none of
    these, is empty, or holds something that is not a patch.
    """
    path = Path(spec).expanduser()
    if path.is_dir():
        return _quilt(path)
    if path.is_file():
        return _mbox(path)
    if ".." in spec:
        return _git_range(spec, repo)
    raise _bad(spec, "there is no such file or folder")


def _bad(what: object, why: str, do: str = _HINT) -> UserError:
    return UserError(f"reading the series {what}", why, do)


# --- quilt ----------------------------------------------------------------------------------


def _quilt(folder: Path) -> Series:
    listing = folder / "series"
    if not listing.is_file():
        raise _bad(folder, "the folder has no file `series` that lists the patches in order")
    patches: list[Patch] = []
    for line in _text(listing).splitlines():
        words = re.sub(r"(^|\s)#.*", "", line).split()
        if not words:
            continue
        name, options = words[0], words[1:]
        file = folder / name
        if set(options) - {"-p1", "-pab"}:
            raise _bad(listing, f"{name} has the options {' '.join(options)}; only -p1 is known")
        # A sibling's patch may be named, ../noref/0001-….patch, so that none needs to be copied.
        if not file.resolve().is_relative_to(folder.resolve().parent):
            where = "which is neither in this folder nor in one beside it"
            raise _bad(listing, f"it lists {printable(name)}, {where}")
        if not file.is_file():
            raise _bad(listing, f"it lists {printable(name)}, and there is no such file")
        patches.append(read_patch(file, len(patches) + 1, file.name))
    return _series(_label(folder.resolve().name), folder, patches)


def read_patch(file: Path, number: int, name: str) -> Patch:
    """Read the one patch of a file; UserError if there is none."""
    patch = _mail(file.read_bytes(), number, file, name)
    if patch is None:
        raise _bad(file, "there is no patch in it")
    return patch


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise _bad(file, "it is not text") from error


# --- mbox and git range ---------------------------------------------------------------------


def _mbox(file: Path) -> Series:
    return _series(_label(file.stem), file, _mails(file.read_bytes(), file))


def _git_range(spec: str, repo: Path | None) -> Series:
    where, colon, revisions = spec.partition(":")
    if colon and Path(where).expanduser().is_dir():
        repo = Path(where).expanduser()
    else:
        revisions = spec
    if repo is None:
        raise _bad(spec, "a git range needs its repository")
    first, last = _two_revisions(revisions, spec)
    ends = [_commit(repo, revision, spec) for revision in (first, last)]
    mails = git(
        # The user's configuration may change what a patch looks like.
        *("-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false"),
        *("-c", "format.noprefix=false", "-c", "core.quotePath=true"),
        *("format-patch", "--stdout", "--full-index", "--binary", "--no-ext-diff"),
        *("--no-textconv", "--no-attach", "--no-cover-letter", "--no-signature", "--no-color"),
        *("--src-prefix=a/", "--dst-prefix=b/", "--no-base", "--subject-prefix=PATCH"),
        f"{ends[0]}..{ends[1]}",
        cwd=repo,
        repository=True,
    )
    if mails.returncode:
        raise _bad(spec, said(mails))
    if not mails.stdout:
        raise _bad(spec, "no commit that is not a merge lies between the two")
    return _series(_label(last), spec, _mails(mails.stdout, Path(spec)))


def _two_revisions(revisions: str, spec: str) -> tuple[str, str]:
    first, dots, last = revisions.partition("..")
    if not dots or last.startswith(".") or not first:
        raise _bad(spec, "a range is REV..REV, both given, with two dots")
    return first, last or "HEAD"


def _commit(repo: Path, revision: str, spec: str) -> str:
    found = git(
        *("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}"),
        cwd=repo,
        repository=True,
    )
    if found.returncode:
        raise _bad(spec, f"{printable(revision)} is no commit in {repo}: {said(found)}")
    return found.stdout.decode().strip()


def _mails(mbox: bytes, origin: Path) -> list[Patch]:
    """Take the patches of an mbox in the order that [PATCH n/m] gives, else in that of the file."""
    with tempfile.TemporaryDirectory(prefix="noref-mails-") as name:
        folder = Path(name)
        # -b: a file without a From line is one mail, as when it was saved from a mail program.
        split = git("mailsplit", "-b", f"-o{folder}", "--", cwd=folder, stdin=mbox)
        if split.returncode:
            raise _bad(origin, f"not an mbox: {said(split)}")
        mails = [file.read_bytes() for file in sorted(folder.glob("[0-9]*"))]
    found: list[tuple[int | None, Patch]] = []
    for mail in mails:
        header = mail.partition(b"\n\n")[0]
        if re.search(rb"^Subject:\s*Re:", header, re.MULTILINE | re.IGNORECASE):
            continue
        patch = _mail(mail, len(found) + 1, origin, "")
        if patch is not None:
            found.append((_place(header), patch))
    places = [place for place, _ in found if place is not None]
    if len(places) == len(found):
        if len(set(places)) < len(places):
            raise _bad(origin, "two mails have the same number: it holds more than one version")
        found.sort(key=lambda item: item[0] or 0)
    ordered = [patch for _, patch in found]
    return [
        Patch(number=k, name=f"{k:04}-{p.name}", subject=p.subject, diff=p.diff)
        for k, p in enumerate(ordered, 1)
    ]


def _place(header: bytes) -> int | None:
    subject = re.search(rb"^Subject:[^\[\n]*\[[^\]]*?\b(\d+)/\d+\]", header, re.MULTILINE)
    return int(subject[1]) if subject else None


def _mail(mail: bytes, number: int, origin: Path, name: str) -> Patch | None:
    """Read one mail, or one patch file with or without mail headers; None if it has no diff."""
    with tempfile.TemporaryDirectory(prefix="noref-mail-") as folder:
        info = git("mailinfo", "--encoding=UTF-8", "msg", "patch", cwd=Path(folder), stdin=mail)
        if info.returncode:
            raise _bad(origin, f"git mailinfo: {said(info)}")
        diff = (Path(folder) / "patch").read_bytes()
    if not _DIFF.search(diff):
        # A plain diff, which quilt is content with, looks like broken mail headers to git.
        start = _DIFF.search(mail)
        if start is None or _HEADERS.match(mail):
            return None
        diff = mail[start.start() :]
    given = re.search(rb"^Subject: (.*)$", info.stdout, re.MULTILINE)
    subject = printable(given[1].decode(errors="replace")).strip() if given else ""
    subject = subject or Path(name or origin.name).stem
    slug = re.sub(r"[^A-Za-z0-9]+", "-", subject).strip("-")[:52]
    return Patch(number=number, name=name or slug, subject=subject, diff=diff)


_DIFF = re.compile(rb"^(?:diff --git \S|--- \S.*\n\+\+\+ \S)", re.MULTILINE)
_HEADERS = re.compile(rb"(?:From |From:|Subject:|Date:)", re.IGNORECASE)


def _series(name: str, origin: Path | str, patches: list[Patch]) -> Series:
    if not patches:
        raise _bad(origin, "there is no patch in it")
    return Series(name=name, origin=str(origin), patches=tuple(patches))


def _label(name: str) -> str:
    """Make a name that a cell's text form and a file name can hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "series"
