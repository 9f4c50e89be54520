"""Building kernels, with a tiny tree whose Makefile answers to what kbuild would be asked for.

make is the real one, so that killing, failing and rebuilding are what they are with kbuild; the
compiler is a shell script that copies, complains, or waits where a test wants it to.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.build.cache import Cache
from harness.build.kernel import FailedKernel, build_kernels
from harness.errors import InfraError, KernelError, UserError
from harness.machine.arches import find_arch
from harness.model import BuiltKernel, Patch, Series
from harness.source.base import find_base
from harness.source.progress import Silent

ROOT = Path(__file__).parents[2]
ARCH = find_arch("x86_64")

MAKEFILE = r"""
VERSION = 6
PATCHLEVEL = 12
SUBLEVEL = 1
EXTRAVERSION =
S := $(CURDIR)
objects := $(patsubst $(S)/kernel/%.c,$(O)/%.o,$(wildcard $(S)/kernel/*.c))
image := $(O)/arch/x86/boot/bzImage
.DELETE_ON_ERROR:
allnoconfig:
	@grep -v CONFIG_GONE $(KCONFIG_ALLCONFIG) > $(O)/.config
$(O)/%.o: $(S)/kernel/%.c $(S)/kernel/fork.h
	@echo "  CC      $*.o"; sh $(S)/cc $< $@
bzImage: $(objects)
	@mkdir -p $(dir $(image)) $(O)/include/config
	@cat $(sort $^) > $(image); touch $(O)/vmlinux; echo 6.12.1 > $(O)/include/config/kernel.release
ifdef M
modules:
	@! grep -n BROKEN $(M)/noref.c | sed 's/^/noref.c:1:1: error: /' | grep .
	@cat $(M)/noref.c $(S)/kernel/fork.h $(O)/Module.symvers > $(M)/noref.ko
else
modules: bzImage
	@cp $(S)/kernel/fork.h $(O)/Module.symvers
endif
modules_prepare:
"""

# Builds one object; says so in TRACE; waits while WAIT exists, with half an object written.
CC = r"""
echo "$1" >> TRACE
printf half > "$2"
if [ -e WAIT ]; then touch WAITING; sleep 4711 || true; fi
case "$(cat "$1")" in
*BROKEN*) echo "kernel/$(basename "$1"):3:1: error: BROKEN is broken" >&2; exit 1 ;;
*OOM*) echo "gcc: fatal error: Killed signal terminated program cc1" >&2; exit 1 ;;
*FULL*) echo "fatal error: error writing to /tmp/x.s: No space left on device" >&2; exit 1 ;;
esac
cat "$1" > "$2"
"""


class Site:
    """A base, a cache, a guest folder and a series to come, all in one temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wait = folder / "wait"
        self.waiting = folder / "waiting"
        self.trace = folder / "trace"
        self.tree = folder / "linux"
        for name, text in {
            "Makefile": MAKEFILE,
            "Kbuild": "",
            "cc": CC.replace("WAITING", str(self.waiting))
            .replace("WAIT", str(self.wait))
            .replace("TRACE", str(self.trace)),
            "kernel/fork.c": "fork\n",
            "kernel/exit.c": "exit\n",
            "kernel/fork.h": "header\n",
            "usr/gen_init_cpio.c": '#include <stdio.h>\nint main(void){return puts("cpio")<0;}\n',
        }.items():
            self._write(self.tree / name, text)
        for name, text in {
            "module/noref.c": "module\n",
            "module/Kbuild": "obj-m := noref.o\n",
            "l1/init": "#!/bin/sh\n",
            "vmm/main.c": "int main(void) { return 0; }\n",
        }.items():
            self._write(folder / "guest" / name, text)
        self.notes: list[str] = []

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def build(self, series: Series | None = None, **options: object) -> list[object]:
        return list(self.kernels(series, **options))

    def kernels(self, series: Series | None, **options: object) -> Iterator[object]:
        cache = Cache(self.folder / "cache")
        base = find_base(str(self.tree))
        guest = self.folder / "guest"
        progress = Silent()
        return build_kernels(base, series, ARCH, cache, guest, progress, **options)  # type: ignore[arg-type]

    def compiled(self) -> list[str]:
        """The files compiled since the last call, sorted."""
        names = self.trace.read_text().split() if self.trace.exists() else []
        self.trace.unlink(missing_ok=True)
        return sorted(Path(name).name for name in names)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def series(*changes: tuple[str, str, str]) -> Series:
    """A series that changes one line per patch: file, old, new."""
    patches = tuple(
        Patch(
            number=n,
            name=f"{n:04}.patch",
            subject=f"make it {new}",
            diff=(
                f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n"
                f"@@ -1 +1 @@\n-{old}\n+{new}\n"
            ).encode(),
        )
        for n, (path, old, new) in enumerate(changes, 1)
    )
    return Series(name="noref", origin="/patches", patches=patches)


FORK = ("kernel/fork.c", "fork", "fork1")
EXIT = ("kernel/exit.c", "exit", "exit1")
HEADER = ("kernel/fork.h", "header", "header1")


def built(kernel: object) -> BuiltKernel:
    assert isinstance(kernel, BuiltKernel)
    return kernel


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
    assert built(site.build(upto=None)[0]).image.read_text() == "exit\nfork\n"
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


def test_a_series_that_does_not_apply_costs_no_build(site: Site) -> None:
    with pytest.raises(UserError, match=r"noref patch 2.*make it exit2"):
        site.build(series(FORK, ("kernel/exit.c", "nowhere", "exit2")))
    assert site.compiled() == []


@pytest.mark.parametrize("upto", [-1, 2])
def test_more_patches_than_there_are_is_the_users_error(site: Site, upto: int) -> None:
    with pytest.raises(UserError, match="the series has 1 patches"):
        site.build(series(FORK), upto=upto)


def test_no_more_than_the_first_patches_are_built(site: Site) -> None:
    broken = ("kernel/exit.c", "no", "such line")
    assert [built(k).label for k in site.build(series(FORK, broken), upto=1)] == ["base", "noref+1"]


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


PROGRAM = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    sys.path[:0] = [sys.argv[1], sys.argv[2]]
    import test_build_kernel as t
    from harness.build.cache import Cache
    from harness.build.kernel import build_kernels
    from harness.source.base import find_base
    from harness.source.progress import Silent
    class Telling(Silent):
        def note(self, text):
            print(text, flush=True)
    folder = Path(sys.argv[3])
    base = find_base(str(folder / "linux"))
    cache = Cache(folder / "cache")
    for kernel in build_kernels(base, None, t.ARCH, cache, folder / "guest", Telling()):
        print(kernel.image.read_text().split(), flush=True)
    """
)


def another_run(site: Site) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", PROGRAM, str(ROOT), str(Path(__file__).parent), str(site.folder)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def processes_of(site: Site) -> list[str]:
    """Command lines of the processes that work in the site's folder, or wait in its compiler."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_text().replace("\0", " ")
            where = str((entry / "cwd").readlink())
        except OSError:
            continue
        if int(entry.name) != os.getpid() and str(site.folder) in line + where:
            found.append(line)
    return found


def until(true: object, what: str, seconds: float = 20) -> None:
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def test_kill_minus_9_in_mid_build_leaves_no_make_no_compiler_and_nothing_to_trust(
    site: Site,
) -> None:
    site.wait.touch()
    run = another_run(site)
    with run:
        until(site.waiting.exists, "the compiler never ran")
        assert any("sleep" in line or "cc" in line for line in processes_of(site))
        run.send_signal(signal.SIGKILL)
    until(lambda: not processes_of(site), f"still there: {processes_of(site)}")
    assert not list((site.folder / "cache").glob("kernel/*"))
    site.wait.unlink()
    site.compiled()
    assert built(site.build()[0]).image.read_text() == "exit\nfork\n"
    assert site.compiled() == ["exit.c", "fork.c"]
    assert not list((site.folder / "cache/tmp").glob("run-*"))


def test_objects_newer_than_the_mark_of_a_killed_build_are_made_again(site: Site) -> None:
    site.build()
    (objects,) = (path for path in site.folder.glob("cache/tree/*/obj/*") if path.is_dir())
    mark = objects.with_name(objects.name + ".running")
    mark.write_text(Path("/proc/sys/kernel/random/boot_id").read_text())
    time.sleep(0.02)
    (objects / "fork.o").write_text("half")
    shutil.rmtree(site.folder / "cache/kernel")
    site.compiled()
    assert built(site.build()[0]).image.read_text() == "exit\nfork\n"
    assert site.compiled() == ["fork.c"]
    assert not mark.exists()


def test_after_a_crash_of_the_machine_in_mid_build_no_object_is_trusted(site: Site) -> None:
    site.build()
    (objects,) = (path for path in site.folder.glob("cache/tree/*/obj/*") if path.is_dir())
    objects.with_name(objects.name + ".running").write_text("another boot\n")
    shutil.rmtree(site.folder / "cache/kernel")
    site.compiled()
    site.build()
    assert site.compiled() == ["exit.c", "fork.c"]


def test_two_runs_side_by_side_build_each_kernel_once_and_one_says_that_it_waits(
    site: Site,
) -> None:
    site.wait.touch()
    with another_run(site) as first:
        until(site.waiting.exists, "the compiler never ran")
        with another_run(site) as second:
            assert second.stdout is not None and first.stdout is not None
            assert "waiting for another run" in second.stdout.readline()
            site.wait.unlink()
            # The first's compilers wait on, as it were; another one takes their place.
            for pid in sleepers(site):
                os.kill(pid, signal.SIGTERM)
            first.wait(20)
            assert "exit" in second.stdout.read()
    assert len(list((site.folder / "cache/kernel").iterdir())) == 1


def sleepers(site: Site) -> list[int]:
    """The compilers' sleeps: children of a shell that runs the site's cc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
            line = (entry / "cmdline").read_text()
            if line.startswith("sleep\0") and str(site.folder) in (
                Path("/proc", parent, "cmdline").read_text()
            ):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
