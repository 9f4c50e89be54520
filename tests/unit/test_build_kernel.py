"""Building kernels: what is built when, what the cache has, and whose fault a failure is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from test_build_site import Site, built, series

from harness.build.kernel import FailedKernel
from harness.errors import InfraError, KernelError, UserError
from harness.model import Patch, Series

FORK = ("kernel/fork.c", "fork", "fork1")
EXIT = ("kernel/exit.c", "exit", "exit1")
HEADER = ("kernel/fork.h", "header", "header1")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_each_state_of_a_series_is_built_and_only_what_changed_is_compiled(site: Site) -> None:
    kernels = site.kernels(series(FORK, EXIT, HEADER))
    labels, images, compiled = [], [], []
    for kernel in map(built, kernels):
        labels.append(kernel.label)
        images.append(kernel.image.read_text())
        compiled.append(site.compiled())
    assert labels == ["base", "noref+1", "noref+2", "noref+3"]
    assert images == ["exit\nfork\n", "exit\nfork1\n", "exit1\nfork1\n", "exit1\nfork1\n"]
    assert compiled == [["exit.c", "fork.c"], ["fork.c"], ["exit.c"], ["exit.c", "fork.c"]]


def test_a_built_kernel_carries_its_release_module_image_and_record(site: Site) -> None:
    kernel = built(site.build()[0])
    assert (kernel.release, kernel.base, kernel.arch) == ("6.12.1", "6.12.1", "x86_64")
    assert [module.name for module in kernel.modules] == ["noref.ko"]
    assert kernel.modules[0].read_text() == "module\nheader\nheader\n"
    assert kernel.initramfs.read_text() == "cpio\n"
    assert "CONFIG_KVM=y" in kernel.config.read_text()
    record = (kernel.image.parent / "build.json").read_text()
    assert '"objects": 2' in record and kernel.key in record
    assert "CC      fork.o" in (kernel.image.parent / "build.log").read_text()


def test_a_second_run_runs_no_make_at_all(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first = site.build(series(FORK))
    site.compiled()
    monkeypatch.setattr("harness.build.workshop.opened", lambda *rest: pytest.fail("opened"))
    assert site.build(series(FORK)) == first


def test_a_kernels_key_is_that_of_its_own_patches_alone(site: Site) -> None:
    before = [built(kernel).key for kernel in site.build(series(FORK, EXIT))]
    site.compiled()
    changed = ("kernel/exit.c", "exit", "exit2")
    after = [built(kernel).key for kernel in site.build(series(FORK, changed))]
    assert before[:2] == after[:2] and before[2] != after[2]
    assert site.compiled() == ["exit.c"]


def test_going_back_to_an_earlier_state_rebuilds_from_the_pristine_files(site: Site) -> None:
    site.build(series(FORK, EXIT))
    shutil.rmtree(site.folder / "cache/kernel")
    site.compiled()
    assert built(site.build()[0]).image.read_text() == "exit\nfork\n"
    assert site.compiled() == ["exit.c", "fork.c"]


def test_a_patch_that_does_not_build_is_a_value_and_the_later_kernels_are_built(site: Site) -> None:
    broken = ("kernel/fork.c", "fork1", "BROKEN")
    _, _, second, third = site.build(series(FORK, broken, ("kernel/fork.c", "BROKEN", "fork3")))
    assert built(third).image.read_text() == "exit\nfork3\n"
    assert isinstance(second, FailedKernel) and second.label == "noref+2" and second.patches == 2
    text = str(second.error)
    for word in ("noref+2", "0002.patch", "make it BROKEN", "fork.c:3:1: error: BROKEN is broken"):
        assert word in text
    assert second.error.log is not None and "BROKEN" in second.error.log.read_text()
    assert not list((site.folder / "cache/tree").glob("*/obj/*.running"))
    # It is tried again: a failure is no entry of the cache.
    site.compiled()
    assert isinstance(site.build(series(FORK, broken))[2], FailedKernel)
    assert "fork.c" in site.compiled()


def test_a_base_that_does_not_build_is_a_value_too(site: Site) -> None:
    (site.tree / "kernel/fork.c").write_text("BROKEN\n")
    base, first = site.build(series(("kernel/fork.c", "BROKEN", "fork")))
    assert isinstance(base, FailedKernel) and "the base 6.12.1, without patches" in str(base.error)
    assert built(first).image.read_text() == "exit\nfork\n"


def test_a_series_that_does_not_apply_costs_no_build(site: Site) -> None:
    with pytest.raises(UserError, match=r"noref patch 2.*make it exit2"):
        site.build(series(FORK, ("kernel/exit.c", "nowhere", "exit2")))
    assert site.compiled() == []


def test_only_the_steps_that_are_asked_for_are_built(site: Site) -> None:
    broken = ("kernel/fork.c", "fork", "BROKEN")
    chosen = site.build(series(EXIT, broken, ("kernel/fork.c", "BROKEN", "fork3")), steps=(0, 3))
    assert [built(kernel).label for kernel in chosen] == ["base", "noref+3"]
    assert built(chosen[1]).image.read_text() == "exit1\nfork3\n"
    assert site.compiled() == ["exit.c", "exit.c", "fork.c", "fork.c"]


def test_patches_after_the_last_step_need_not_apply(site: Site) -> None:
    chosen = site.build(series(FORK, ("kernel/exit.c", "no", "such line")), steps=(1,))
    assert [built(kernel).label for kernel in chosen] == ["noref+1"]


def test_an_option_without_effect_is_the_users_error_on_the_base(site: Site) -> None:
    (site.folder / "my.config").write_text("CONFIG_GONE=y\nCONFIG_GONE_TOO=m\nCONFIG_HERE=y\n")
    with pytest.raises(UserError) as caught:
        site.build(fragment=site.folder / "my.config")
    assert "CONFIG_GONE: asked y (my.config), came n" in str(caught.value)
    assert "CONFIG_GONE_TOO: asked m (my.config), came n" in str(caught.value)
    assert "CONFIG_HERE" not in str(caught.value) and site.compiled() == []


def test_an_option_that_a_patch_takes_away_is_that_kernels_failure(site: Site) -> None:
    grep = ("Makefile", "@grep -v CONFIG_GONE", "@grep -v CONFIG_KVM=")
    patch = series(grep).patches[0]
    diff = subprocess.run(
        ["sh", "-c", f"sed 's/{grep[1]}/{grep[2]}/' Makefile | diff -u Makefile -"],
        cwd=site.tree,
        capture_output=True,
        check=False,
    ).stdout.replace(b"--- Makefile", b"--- a/Makefile")
    diff = diff.replace(b"+++ -", b"+++ b/Makefile")
    changed = Patch(number=1, name=patch.name, subject=patch.subject, diff=diff)
    base, first = site.build(Series(name="noref", origin="/x", patches=(changed,)))
    assert built(base) and isinstance(first, FailedKernel)
    assert "CONFIG_KVM: asked y (20-kvm.config), came n" in str(first.error)


def test_another_module_needs_no_kernel_and_the_project_stays_clean(site: Site) -> None:
    first = site.build(series(HEADER))
    site.compiled()
    (site.folder / "guest/module/noref.c").write_text("module2\n")
    second = site.build(series(HEADER))
    assert site.compiled() == []
    # The tree was at noref+1: its own header, and that kernel's symbols, are what counts.
    assert built(second[0]).modules[0].read_text() == "module2\nheader\nheader\n"
    assert built(second[1]).modules[0].read_text() == "module2\nheader1\nheader1\n"
    assert [built(k).key for k in first] == [built(k).key for k in second]
    names = sorted(path.name for path in (site.folder / "guest/module").iterdir())
    assert names == ["Kbuild", "noref.c"]


def test_a_module_that_does_not_build_for_the_base_is_ours(site: Site) -> None:
    (site.folder / "guest/module/noref.c").write_text("BROKEN\n")
    with pytest.raises(InfraError, match=r"test module for the base(.|\n)*noref.c:1:1: error"):
        site.build()


@pytest.mark.parametrize(
    ("word", "kind", "says"),
    [("OOM", InfraError, "Killed"), ("FULL", UserError, "is full")],
)
def test_what_the_kernel_is_not_to_blame_for_ends_the_run(
    site: Site, word: str, kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says) as caught:
        site.build(series(("kernel/fork.c", "fork", word)))
    assert not isinstance(caught.value, KernelError)
    assert list((site.folder / "cache/tree").glob("*/obj/*.running"))


def test_neither_flags_nor_variables_of_an_outer_make_get_through(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "MAKEFLAGS": "n -j --jobserver-auth=77,78",
        "MAKELEVEL": "1",
        "ARCH": "arm64",
        "KCFLAGS": "-O0",
        "M": "/nowhere",
        "O": "/nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    assert built(site.build()[0]).image.read_text() == "exit\nfork\n"
