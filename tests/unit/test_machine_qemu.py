"""QEMU's command line: what L1 is, nothing that listens, and a shell line that says the same."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
from pathlib import Path

import msgspec
import pytest

from harness import lifetime
from harness.errors import InfraError
from harness.machine.accel import Accel
from harness.machine.arches import ARCHES, find_arch
from harness.machine.qemu import Qemu, Spec
from harness.model import BuiltKernel
from harness.run.boot import l1_spec

TCG = Accel(name="tcg", why="emulated: there is no /dev/kvm")
KVM = Accel(name="kvm", why="KVM: the host has svm, and kvm_amd.nested is on")
SPEC = Spec(
    arch=find_arch("x86_64"),
    accel=TCG,
    kernel=Path("/cache/kernel/bzImage"),
    initramfs=Path("/cache/image/initramfs"),
    append=("ignore_loglevel", "panic=-1"),
)


def spec(**fields: object) -> Spec:
    return msgspec.structs.replace(SPEC, **fields)


def values(command: list[str], option: str) -> list[str]:
    """All values of an option."""
    return [command[n + 1] for n, word in enumerate(command) if word == option]


def value(command: list[str], option: str) -> str:
    (found,) = values(command, option)
    return found


# --- what L1 is ----------------------------------------------------------------------------------


def test_l1_has_nothing_that_was_not_asked_for() -> None:
    command = SPEC.command()
    assert {"-nodefaults", "-no-user-config", "-no-reboot"} <= set(command)
    assert value(command, "-display") == "none"
    assert "-netdev" not in command
    assert "-device" not in command


def test_emulation_uses_all_cpus_and_the_archs_own_cpu() -> None:
    command = SPEC.command()
    assert Path(command[0]).name == "qemu-system-x86_64"
    assert value(command, "-accel") == "tcg,thread=multi"
    assert value(SPEC.command(parallel=False), "-accel") == "tcg,thread=single"
    assert value(command, "-cpu") == "EPYC,+svm"
    assert value(command, "-M") == "pc"
    assert value(command, "-smp") == "3"
    assert value(command, "-m") == "512"


def test_kvm_gives_l1_the_hosts_cpu() -> None:
    command = spec(accel=KVM).command()
    assert value(command, "-accel") == "kvm"
    assert value(command, "-cpu") == "host"


def test_only_an_emulated_arm64_l1_has_memory_tags() -> None:
    arm = spec(arch=find_arch("arm64"))
    emulated, native = (msgspec.structs.replace(arm, accel=a).command() for a in (TCG, KVM))
    assert Path(emulated[0]).name == "qemu-system-aarch64"
    assert value(emulated, "-M") == "virt,virtualization=on,gic-version=3,mte=on"
    assert value(emulated, "-cpu").startswith("max")
    assert value(emulated, "-append").startswith("console=ttyAMA0 ")
    assert value(native, "-M") == "virt,virtualization=on,gic-version=3"
    assert value(native, "-cpu") == "host"


def test_the_kernel_line_names_the_console_first_and_keeps_the_order() -> None:
    command = SPEC.command()
    assert value(command, "-append") == "console=ttyS0 ignore_loglevel panic=-1"
    assert value(command, "-kernel") == "/cache/kernel/bzImage"
    assert value(command, "-initrd") == "/cache/image/initramfs"


@pytest.mark.parametrize("arch", ARCHES.values(), ids=lambda arch: arch.name)
def test_each_modes_options_reach_the_kernel_and_no_warning_is_hidden(arch: object) -> None:
    for mode in arch.modes:  # type: ignore[attr-defined]
        kernel = BuiltKernel(
            label="base",
            patches=0,
            key="0",
            release="6.12",
            base="6.12",
            arch="x86_64",
            image=Path("/k"),
            config=Path("/c"),
            modules=(),
            initramfs=Path("/i"),
        )
        words = value(l1_spec(kernel, mode, arch, TCG).command(), "-append").split()  # type: ignore[arg-type]
        assert set(mode.options) <= set(words)
        assert {"ignore_loglevel", "panic=-1"} <= set(words)
        assert "quiet" not in words


def test_ram_is_a_file_that_saving_writes_to_and_restoring_leaves_as_it_is() -> None:
    ram = Path("/scratch/ram")
    saving = value(SPEC.command(ram=ram), "-object")
    restoring = value(SPEC.command(ram=ram, shared=False), "-object")
    assert saving == "memory-backend-file,id=ram,mem-path=/scratch/ram,size=512M,share=on"
    assert restoring == saving.replace("share=on", "share=off")
    assert value(SPEC.command(ram=ram), "-M") == "pc,memory-backend=ram"


def test_ram_has_the_size_of_l1s_memory() -> None:
    command = spec(memory=1024).command(ram=Path("/scratch/ram"))
    assert "size=1024M" in value(command, "-object")
    assert value(command, "-m") == "1024"


def test_saving_and_restoring_differ_in_nothing_else() -> None:
    saving = SPEC.command(ram=Path("/r"))
    restoring = SPEC.command(ram=Path("/r"), shared=False)
    assert [a for a, b in zip(saving, restoring, strict=True) if a != b] == [
        value(saving, "-object")
    ]


def test_a_comma_in_the_path_of_the_ram_is_no_option_of_its_own() -> None:
    command = SPEC.command(ram=Path("/scratch/a,share=off/ram"))
    assert "mem-path=/scratch/a,,share=off/ram,size=512M,share=on" in value(command, "-object")


# --- by hand -------------------------------------------------------------------------------------


def test_by_hand_boots_the_same_l1_on_the_terminal() -> None:
    words = shlex.split(SPEC.by_hand())
    assert words == [*SPEC.command(), "-serial", "stdio"]


def test_by_hand_adds_kernel_options_at_the_end() -> None:
    words = shlex.split(SPEC.by_hand("noref.cell=guest_write/tail/fault"))
    assert value(words, "-append").endswith("panic=-1 noref.cell=guest_write/tail/fault")


@pytest.mark.parametrize("path", ["/a b/bz", "/it's/bz", "/$(reboot)/bz", "/`x`;&|/bz", "/ü\n/bz"])
def test_by_hand_quotes_whatever_a_path_holds(path: str) -> None:
    line = spec(kernel=Path(path)).by_hand()
    shown = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, text=True
    )
    words = shown.stdout.split("\0")[:-1]
    assert value(words, "-kernel") == path
    assert words == shlex.split(line)


# --- running it ----------------------------------------------------------------------------------


class Started:
    """What QEMU would have been started with; it never is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.command: list[str] = []
        self.given: tuple[int, ...] = ()
        self.kinds: list[tuple[int, int]] = []
        monkeypatch.setattr(lifetime, "spawn", self._spawn)

    def _spawn(self, argv: list[str], **keywords: object) -> object:
        self.command = argv
        self.given = keywords["pass_fds"]  # type: ignore[assignment]
        for number in self.given:
            with socket.socket(fileno=number) as given:
                self.kinds.append((given.family, given.type))
                assert given.getsockname() == ""  # it has no name
                given.detach()
        raise InfraError("starting QEMU", "not in this test")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    return Started(monkeypatch)


def start(folder: Path, *, incoming: bool = False) -> None:
    with pytest.raises(InfraError, match="not in this test"):
        Qemu(SPEC.command(), folder / "console.log", incoming=incoming)


LISTENS = re.compile(
    r"server|listen|hostfwd|tcp:|telnet:|unix:|websocket|vnc|spice|path=|port=\d|-gdb|-s$|-qmp"
)


@pytest.mark.parametrize("incoming", [False, True])
def test_nothing_listens_and_each_socket_is_inherited_without_a_name(
    tmp_path: Path, started: Started, incoming: bool
) -> None:
    start(tmp_path, incoming=incoming)
    command = [word for word in started.command if str(tmp_path) not in word]
    assert [word for word in command if LISTENS.search(word)] == []
    sockets = [word for word in values(command, "-chardev") if word.startswith("socket")]
    numbers = [int(match[1]) for word in sockets if (match := re.search(r",fd=(\d+)$", word))]
    assert len(sockets) == len(numbers) == 2
    assert sorted(numbers) == sorted(started.given)
    assert started.kinds == [(socket.AF_UNIX, socket.SOCK_STREAM)] * 2


def test_an_l1_that_is_restored_waits_for_its_state_and_takes_none_from_an_address(
    tmp_path: Path, started: Started
) -> None:
    start(tmp_path, incoming=True)
    assert value(started.command, "-incoming") == "defer"
    start(tmp_path)
    assert "-incoming" not in started.command


def test_what_l1_says_goes_to_its_own_file(tmp_path: Path, started: Started) -> None:
    start(tmp_path)
    assert value(started.command, "-serial") == f"file:{tmp_path}/console.log"


def test_the_command_starts_with_what_by_hand_shows(tmp_path: Path, started: Started) -> None:
    start(tmp_path)
    assert started.command[: len(SPEC.command())] == SPEC.command()


def test_a_qemu_that_does_not_start_leaves_no_socket_open(tmp_path: Path, started: Started) -> None:
    before = sorted(entry.name for entry in Path("/proc/self/fd").iterdir())
    start(tmp_path)
    assert sorted(entry.name for entry in Path("/proc/self/fd").iterdir()) == before


def run_instead(folder: Path, script: str) -> str:
    """Start a shell script as QEMU; return what is said of its end."""
    program = folder / "qemu"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    arch = msgspec.structs.replace(SPEC.arch, qemu=str(program))
    with pytest.raises(InfraError) as caught:
        Qemu(spec(arch=arch).command(), folder / "console.log")
    return str(caught.value)


def test_a_qemu_that_ends_at_once_is_told_with_its_last_words_and_its_log(tmp_path: Path) -> None:
    said = run_instead(tmp_path, "echo 'no room for a cabin' >&2; exit 7")
    assert "QEMU ended with status 7" in said
    assert "no room for a cabin" in said
    assert str(tmp_path / "console.qemu") in said
    assert "run it by hand" in said


def test_a_qemu_that_is_killed_is_told_with_the_signal(tmp_path: Path) -> None:
    assert "killed by signal 9" in run_instead(tmp_path, "kill -9 $$")


def test_only_the_last_words_of_a_talkative_qemu_are_shown(tmp_path: Path) -> None:
    said = run_instead(tmp_path, "for i in 1 2 3 4 5; do echo line$i; done; exit 1")
    assert "line5" in said
    assert "line2" not in said
