"""KVM is chosen only where L1 really gets it, and the reason is said: on made-up machines."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from harness.machine.accel import Accel, choose_accel
from harness.machine.arches import ARCHES, find_arch

X86 = find_arch("x86_64")
ARM64 = find_arch("arm64")


def machine(
    folder: Path, flags: str = "", *, kvm: bool = True, nested: dict[str, str] | None = None
) -> Path:
    """A root with /dev/kvm, a CPU with these flags, and these modules' nested parameters."""
    (folder / "proc").mkdir()
    cpu = f"processor\t: 0\nmodel name\t: A CPU with svm\nflags\t\t: fpu {flags} sse2\n\n"
    (folder / "proc/cpuinfo").write_text(cpu * 2)
    if kvm:
        (folder / "dev").mkdir()
        (folder / "dev/kvm").touch()
    for module, value in (nested or {}).items():
        parameter = folder / "sys/module" / module / "parameters/nested"
        parameter.parent.mkdir(parents=True)
        parameter.write_text(f"{value}\n")
    return folder


def choose(root: Path, host: str = "x86_64") -> Accel:
    return choose_accel(X86, root, host)


@pytest.mark.parametrize(
    ("flag", "module", "value"),
    [("svm", "kvm_amd", "1"), ("svm", "kvm_amd", "Y"), ("vmx", "kvm_intel", "Y")],
)
def test_kvm_is_used_where_the_cpu_and_the_module_give_it_to_l1(
    tmp_path: Path, flag: str, module: str, value: str
) -> None:
    accel = choose(machine(tmp_path, flag, nested={module: value}))
    assert accel.name == "kvm"
    assert flag in accel.why
    assert f"{module}.nested" in accel.why


@pytest.mark.parametrize(
    ("flag", "module", "value"),
    [("svm", "kvm_amd", "0"), ("svm", "kvm_amd", "N"), ("vmx", "kvm_intel", "N")],
)
def test_a_host_whose_nesting_is_off_is_emulated(
    tmp_path: Path, flag: str, module: str, value: str
) -> None:
    accel = choose(machine(tmp_path, flag, nested={module: value}))
    assert accel == Accel(
        name="tcg", why=f"emulated: the host has {flag}, but {module}.nested is {value}"
    )


@pytest.mark.parametrize(("flag", "module"), [("svm", "kvm_amd"), ("vmx", "kvm_intel")])
def test_a_host_without_its_vendor_module_is_emulated(
    tmp_path: Path, flag: str, module: str
) -> None:
    accel = choose(machine(tmp_path, flag))
    assert accel.name == "tcg"
    assert f"{module}.nested is not there" in accel.why


def test_the_other_vendors_module_does_not_count(tmp_path: Path) -> None:
    accel = choose(machine(tmp_path, "svm", nested={"kvm_intel": "Y", "kvm_amd": "0"}))
    assert accel.name == "tcg"
    assert "kvm_amd.nested is 0" in accel.why


def test_a_kvm_that_offers_neither_is_not_used_though_its_modules_nest(tmp_path: Path) -> None:
    accel = choose(machine(tmp_path, nested={"kvm_amd": "1", "kvm_intel": "Y"}))
    assert accel.name == "tcg"
    assert accel.why == "emulated: there is a /dev/kvm, but the CPU has neither svm nor vmx"


@pytest.mark.parametrize("flags", ["svm_lock", "nosvm", "SVM", "vmxon"])
def test_a_flag_is_a_whole_word_of_the_flags_line(tmp_path: Path, flags: str) -> None:
    assert choose(machine(tmp_path, flags, nested={"kvm_amd": "1"})).name == "tcg"


def test_a_host_without_dev_kvm_is_emulated(tmp_path: Path) -> None:
    accel = choose(machine(tmp_path, "svm", kvm=False, nested={"kvm_amd": "1"}))
    assert accel == Accel(name="tcg", why="emulated: there is no /dev/kvm")


def test_a_kvm_that_the_user_may_not_open_is_emulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    accel = choose(machine(tmp_path, "svm", nested={"kvm_amd": "1"}))
    assert accel.name == "tcg"
    assert "can't be opened" in accel.why


def test_a_host_of_another_arch_is_emulated_whatever_kvm_it_has(tmp_path: Path) -> None:
    accel = choose(machine(tmp_path, "svm", nested={"kvm_amd": "1"}), host="aarch64")
    assert accel == Accel(name="tcg", why="emulated: the host is aarch64, L1 is x86_64")


def test_flags_that_can_not_be_read_are_none(tmp_path: Path) -> None:
    root = machine(tmp_path, "svm", nested={"kvm_amd": "1"})
    (root / "proc/cpuinfo").write_bytes(b"\xff\xfe\x00\n")
    assert choose(root).name == "tcg"


@pytest.mark.parametrize(("offered", "name"), [(1, "kvm"), (0, "tcg")])
def test_arm64_asks_kvm_itself_whether_l1_gets_an_el2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offered: int, name: str
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(fcntl, "ioctl", lambda file, request, arg: asked.append(arg) or offered)
    accel = choose_accel(ARM64, machine(tmp_path), "aarch64")
    assert (accel.name, asked) == (name, [240])
    assert "nested virtualization" in accel.why


def test_a_dev_kvm_that_gives_no_answer_is_none(tmp_path: Path) -> None:
    accel = choose_accel(ARM64, machine(tmp_path), "aarch64")
    assert accel.name == "tcg"
    assert "no answer" in accel.why


@pytest.mark.parametrize("arch", ARCHES.values(), ids=lambda arch: arch.name)
def test_this_machine_gets_an_answer(arch: object) -> None:
    accel = choose_accel(arch)  # type: ignore[arg-type]
    assert accel.name in ("kvm", "tcg")
    assert accel.why.startswith("KVM: " if accel.name == "kvm" else "emulated: ")
