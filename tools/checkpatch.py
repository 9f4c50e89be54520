"""Run the kernel's own checkpatch.pl over our C, and over the patches of every series.

checkpatch.pl comes from the base's tarball and is kept in the build cache.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from harness.build.cache import Cache, default_folder
from harness.errors import NorefError
from harness.source.base import find_base

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("checkpatch.pl", "spelling.txt", "const_structs.checkpatch")

# No Signed-off-by: the project signs nothing in the name of a person.  The attributes' short
# forms are the kernel's own, which user space has to define.
OPTIONS = ("--no-tree", "--no-signoff", "--quiet", "--show-types", "--terse")
# A module that is built for many kernels has to ask which one it is.
MODULE = ("--ignore", "LINUX_VERSION_CODE")
USER_SPACE = ("--ignore", "PREFER_DEFINED_ATTRIBUTE_MACRO")


def checkpatch() -> Path:
    """Return checkpatch.pl of the base, from the cache."""
    cache = Cache(default_folder())
    base = find_base(None, "6.12", cache.folder / "tarballs")

    def make(into: Path) -> None:
        wanted = set(SCRIPTS)
        with tarfile.open(base.path) as tarball:
            for member in tarball:
                name = Path(member.name).name
                if name in wanted and Path(member.name).parts[1:-1] == ("scripts",):
                    file = tarball.extractfile(member)
                    assert file is not None
                    (into / name).write_bytes(file.read())
                    wanted.discard(name)
                if not wanted:
                    return
        raise FileNotFoundError(f"{base.path} has no scripts/{wanted}")

    return cache.entry("checkpatch", base.key, make) / "checkpatch.pl"


def main() -> int:
    """Check everything; print what is found; return how many files have complaints."""
    script = checkpatch()
    guest = ROOT / "guest-images"
    jobs = [
        *(((), path) for path in sorted((ROOT / "kernel-patches").rglob("*.patch"))),
        *((("-f", *MODULE), path) for path in sorted((guest / "module").glob("*.[ch]"))),
        *((("-f", *MODULE), path) for path in sorted((ROOT / "tools/complain").glob("*.[ch]"))),
        *((("-f", *USER_SPACE), path) for path in sorted((guest / "vmm").rglob("*.[chS]"))),
    ]
    bad = 0
    for options, path in jobs:
        # Not from here: in a git checkout it takes a tracked patch for source code.
        command = ["perl", str(script), *OPTIONS, *options, str(path)]
        found = subprocess.run(
            command, cwd=script.parent, capture_output=True, text=True, check=False
        )
        if found.returncode:
            bad += 1
            print((found.stdout + found.stderr).replace(f"{ROOT}/", ""), end="")
    print(f"checkpatch: {len(jobs)} files, {bad} with complaints")
    return min(bad, 1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NorefError as error:
        sys.exit(f"checkpatch: {error}")
