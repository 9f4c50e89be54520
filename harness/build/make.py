"""Running kbuild: one way to call make, count what it builds, and say why it failed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness import lifetime
from harness.build.tools import cross_prefix, program
from harness.errors import InfraError, UserError
from harness.model import Arch, Value
from harness.source.git import printable
from harness.source.progress import Progress
from harness.source.unpack import full_disk

# A full build of the x86 fragments on 6.12 has that many lines (measured).
FULL_BUILD_HINT = 1560

_OBJECT = re.compile(rb"^  (?:CC|AS|LD|AR)(?: \[M\])? +\S")
_ERROR = re.compile(
    r":\d+(?::\d+)?: (?:fatal )?error: |: error: |undefined reference|^ERROR: |^error: "
)
_GAVE_UP = re.compile(r"\*\*\* ")
_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_OURS = re.compile(
    r"Killed signal terminated program|Cannot allocate memory|out of memory allocating"
    r"|Segmentation fault|internal compiler error"
)

_BIN = Path(__file__).with_name("bin")

# make answers SIGTERM by ending its children, but a compiler is the child of a shell, which dies
# alone.  So the shell in front of make, which leads the process group, signals all of it.
_WHOLE_GROUP = 'trap "trap - TERM; kill -TERM 0" TERM; "$@" & wait $!'


class Toolchain(Value):
    """The compiler: what make is told, and the version that is part of every kernel's key."""

    arguments: tuple[str, ...]
    version: str


def toolchain(arch: Arch, clang: str = "") -> Toolchain:
    """Find the compiler for an arch, gcc or the clang of that name, and ccache if it is there.

    ccache keeps what is compiled for L1 alone: it goes by the files that the compiler names (its
    depend mode), which for programs of the host lack the headers of the system.  noref-cc keeps
    from it what such names say too little of.
    """
    cross = cross_prefix(arch)
    compiler = clang or f"{cross}gcc"
    versions = [_first_line(compiler), _first_line(f"{cross}ld")]
    wrapper = "noref-cc " if program("ccache") else ""
    arguments: tuple[str, ...] = (f"CC={wrapper}{compiler}", "HOSTCC=gcc")
    if cross:
        arguments = (f"CROSS_COMPILE={cross}", *arguments)
    return Toolchain(arguments=arguments, version="; ".join(versions))


def _first_line(tool: str) -> str:
    path = program(tool)
    if path is None:
        package = tool if tool.startswith("clang") else "build-essential"
        raise UserError(f"looking for {tool}", "it is not installed", f"apt install {package}")
    result = subprocess.run([path, "--version"], capture_output=True, check=False)
    return result.stdout.decode(errors="replace").partition("\n")[0]


class Make:
    """kbuild on one source and one object tree; holding: a lock that make and its children share.

    Nothing of the environment but paths reaches make: neither the flags and job server of the
    `make` that may have started us, nor an ARCH or KCFLAGS that no key would know of.
    """

    def __init__(
        self, source: Path, objects: Path, arch: Arch, tools: Toolchain, holding: int
    ) -> None:
        self.objects = objects
        self._holding = holding
        self._argv = [
            "make",
            f"--directory={source}",
            f"O={objects}",
            f"-j{len(os.sched_getaffinity(0))}",
            f"ARCH={arch.kbuild}",
            *tools.arguments,
            # Also an empty one keeps setlocalversion from asking git, and adding a `+`.
            "LOCALVERSION=",
            # The same source gives the same bytes, and ccache hits.
            "KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 1970",
            "KBUILD_BUILD_VERSION=1",
            "KBUILD_BUILD_USER=noref",
            "KBUILD_BUILD_HOST=noref",
        ]
        passed = ("PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "CCACHE_DIR", "CCACHE_DISABLE")
        self._env = {name: os.environ[name] for name in passed if name in os.environ}
        self._env |= {"LC_ALL": "C", "CCACHE_UMASK": "022"}
        # A first build in three fifths of the time: nothing is preprocessed once more (measured).
        self._env |= {"CCACHE_DEPEND": "1"}
        # By its name alone, which is the same wherever the harness lies: kbuild builds anew what
        # was built by another command.
        self._env["PATH"] = f"{_BIN}:{self._env.get('PATH', os.defpath)}"

    def run(self, arguments: Sequence[str], log: Path, progress: Progress) -> tuple[int, int]:
        """Run make, its output into log; return its exit status and how many objects it built.

        Raises for what is not the kernel's fault: a full disk, no memory, a killed make.
        """
        built = 0
        argv = ["sh", "-c", _WHOLE_GROUP, "noref-make", *self._argv, *arguments]
        with log.open("ab") as file:
            file.write(f"+ PATH={_BIN}:$PATH {' '.join(argv[4:])}\n".encode())
            file.flush()
            child = lifetime.spawn(
                argv,
                on_death=signal.SIGTERM,
                env=self._env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(self._holding,),
            )
            try:
                assert child.stdout is not None
                for line in child.stdout:
                    file.write(line)
                    if _OBJECT.match(line):
                        built += 1
                        progress.advance(1)
                status = child.wait()
            finally:
                lifetime.stop(child)
        if status:
            _blame_ourselves(status, log)
        return status, built


def _blame_ourselves(status: int, log: Path) -> None:
    text = log.read_text(errors="replace")
    if _FULL.search(text):
        error = full_disk("building a kernel", log.parent)
        raise UserError(error.tried, error.came, error.do, log)
    if status < 0 or status > 128:
        raise InfraError("building a kernel", "make was killed", "run it again", log)
    if match := _OURS.search(text):
        raise InfraError(
            "building a kernel",
            f"the compiler itself failed: {match[0]}",
            "see to memory (free -m) and run it again",
            log,
        )


def first_errors(log: Path, count: int = 5) -> str:
    """The first lines of a build log that tell why it failed, one per line."""
    lines = [printable(line) for line in log.read_text(errors="replace").splitlines()]
    for pattern in (_ERROR, _GAVE_UP):
        if found := [line.strip() for line in lines if pattern.search(line)]:
            return "\n".join(found[:count])
    return "\n".join(lines[-count:])
