"""Real kernels for the tests: built once, from the same cache that the user's runs use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from harness.build.cache import Cache, default_folder
from harness.build.kernel import build_kernels
from harness.judge.result import RunResult
from harness.machine.accel import choose_accel
from harness.machine.arches import find_arch
from harness.machine.qemu import Spec
from harness.model import BuiltKernel
from harness.run.boot import l1_spec
from harness.source.base import find_base
from harness.source.progress import Silent

ROOT = Path(__file__).resolve().parents[2]
GUEST = ROOT / "guest-images"
SERIES = ROOT / "kernel-patches/6.12/noref"


class Ran(msgspec.Struct, frozen=True):
    """One `noref` command: its exit status, all that it printed, and its folder of evidence."""

    status: int
    output: str
    results: Path

    @property
    def result(self) -> RunResult:
        return msgspec.json.decode(
            (self.results / "latest/result.json").read_bytes(), type=RunResult
        )


Noref = Callable[..., Ran]


def command(*arguments: str) -> list[str]:
    """The argv of a noref command."""
    return [sys.executable, "-m", "harness.cli", *arguments]


@pytest.fixture
def noref(tmp_path: Path) -> Noref:
    """Run a noref command to its end, with its results in the test's folder."""

    def run(*arguments: str, env: dict[str, str] | None = None) -> Ran:
        results = tmp_path / "results"
        done = subprocess.run(
            command(arguments[0], "--results", str(results), *arguments[1:]),
            cwd=ROOT,
            env=os.environ | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(done.stdout)
        return Ran(status=done.returncode, output=done.stdout, results=results)

    return run


@pytest.fixture(scope="session")
def main_job(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Ran:
    """The main job for all architectures, as `make test-kernel ARCH=all` runs it.

    Its progress goes to the terminal.
    """
    folder = tmp_path_factory.mktemp("main-job")
    output = []
    process = subprocess.Popen(
        command("test", "--arch", "all", "--results", str(folder / "results")),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    # Past pytest's capture: a build takes minutes, and silence looks like a hang.
    with capture.global_and_fixture_disabled():
        print()
        for line in process.stdout:
            output.append(line)
            print(line, end="", flush=True)
    return Ran(status=process.wait(), output="".join(output), results=folder / "results")


@pytest.fixture(scope="session")
def base_kernel(main_job: Ran, tmp_path_factory: pytest.TempPathFactory) -> BuiltKernel:
    """The base, built and with its guest image, straight from the build room."""
    cache = Cache(default_folder())
    base = find_base(os.environ.get("KERNEL_SRC"), "6.12", cache.folder / "tarballs")
    arch = find_arch("x86_64")
    kernel = next(iter(build_kernels(base, None, arch, cache, GUEST, Silent())))
    assert isinstance(kernel, BuiltKernel)
    return kernel


@pytest.fixture
def base_spec(base_kernel: BuiltKernel) -> Spec:
    """An L1 of the base in mode tdp."""
    arch = find_arch("x86_64")
    return l1_spec(base_kernel, arch.modes[0], arch, choose_accel(arch))


@pytest.fixture
def own_series(tmp_path: Path) -> Path:
    """A copy of the noref series, to be changed."""
    folder = tmp_path / "noref"
    shutil.copytree(SERIES, folder)
    shutil.copy(SERIES.parent / "base.toml", tmp_path)
    return folder


@pytest.fixture
def own_guest(tmp_path: Path) -> Path:
    """A copy of the guest images, to be changed."""
    folder = tmp_path / "guest-images"
    shutil.copytree(GUEST, folder)
    return folder


def add_scenario(guest: Path, name: str, body: str, steps: int = 1, headers: str = "") -> None:
    """Add a scenario as README says: one entry, one C function.  It runs on order0/fault.

    headers: names of further ones, e.g. `stdlib unistd`.
    """
    entry = f"""
[[scenario]]
name = "{name}"
checks = "access"
backings = ["order0"]
mappings = ["fault"]
main = ["order0/fault"]
why = "A test of the harness."
"""
    listing = guest / "scenarios.toml"
    listing.write_text(listing.read_text() + entry)
    includes = "".join(f"#include <{header}.h>\n" for header in headers.split())
    own = '#include "ktap.h"\n#include "ledger.h"\n#include "steps.h"\n'
    source = f"{includes}{own}\nSCENARIO({name}, {steps})\n{{\n{body}\n}}\n"
    (guest / "vmm" / f"scenarios_{name}.c").write_text(source)
