"""A tiny kernel tree whose Makefile answers to what kbuild is asked for, and a test of it.

make is the real one, so that killing, failing and rebuilding are what they are with kbuild; the
compiler is a shell script that copies, complains, or waits where a test wants it to.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.build.cache import Cache
from harness.build.kernel import build_kernels
from harness.machine.arches import find_arch
from harness.model import BuiltKernel, Patch, Series
from harness.source.base import find_base
from harness.source.progress import Silent

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


def built(kernel: object) -> BuiltKernel:
    assert isinstance(kernel, BuiltKernel)
    return kernel


def test_the_tiny_tree_is_a_kernel_that_builds(tmp_path: Path) -> None:
    assert built(Site(tmp_path).build()[0]).image.read_text() == "exit\nfork\n"
