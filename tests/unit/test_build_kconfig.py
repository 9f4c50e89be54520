"""Fragments: what they ask for, and that nothing asked for is lost in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.build.kconfig import FRAGMENTS, Fragment, fragments, merged, options, unmet
from harness.errors import UserError
from harness.machine.arches import ARCHES, find_arch
from harness.model import Arch

ARCH = find_arch("x86_64")


def test_an_option_that_did_not_take_effect_is_named_with_what_came() -> None:
    parts = (
        Fragment(name="kvm", text="CONFIG_KVM=y\nCONFIG_KVM_AMD=y\n# CONFIG_XEN is not set\n"),
        Fragment(name="debug", text='CONFIG_LOG=17\nCONFIG_NAME="x"\nCONFIG_OFF=n\n'),
    )
    config = 'CONFIG_KVM=y\nCONFIG_KVM_AMD=m\nCONFIG_XEN=y\nCONFIG_LOG=12\nCONFIG_NAME="x"\n'
    assert [str(entry) for entry in unmet(parts, config)] == [
        "CONFIG_KVM_AMD: asked y (kvm), came m",
        "CONFIG_XEN: asked n (kvm), came y",
        "CONFIG_LOG: asked 17 (debug), came 12",
    ]


def test_an_option_that_is_gone_is_unmet() -> None:
    (entry,) = unmet((Fragment(name="f", text="CONFIG_GONE=y\n"),), "# CONFIG_GONE is not set\n")
    assert (entry.option, entry.came) == ("CONFIG_GONE", "n")


@pytest.mark.parametrize(
    ("config", "came"),
    [
        ("CONFIG_SYSCTL=y\nCONFIG_PROC_SYSCTL=y\n", None),
        ("CONFIG_SYSCTL=y\n", None),
        ("CONFIG_SYSCTL=y\n# CONFIG_PROC_SYSCTL is not set\n", "n"),
        ("# CONFIG_SYSCTL is not set\n", "n"),
        ("", "n"),
    ],
)
def test_an_option_may_have_been_merged_into_another(config: str, came: str | None) -> None:
    parts = (Fragment(name="f", text="CONFIG_PROC_SYSCTL=y\n"),)
    assert merged(parts) == "CONFIG_PROC_SYSCTL=y\nCONFIG_SYSCTL=y\n"
    assert [entry.came for entry in unmet(parts, config)] == ([came] if came else [])


def test_the_last_fragment_has_the_last_word() -> None:
    parts = (
        Fragment(name="a", text="CONFIG_A=y\nCONFIG_B=y\n"),
        Fragment(name="b", text="# CONFIG_A is not set\n"),
    )
    assert merged(parts) == "CONFIG_A=n\nCONFIG_B=y\n"
    assert unmet(parts, "CONFIG_B=y\n") == ()


def test_comments_are_no_options() -> None:
    assert options("# CONFIG_A=y\n# why CONFIG_B is not set at all\n\nCONFIG_C=y\n") == {
        "CONFIG_C": "y"
    }


def test_the_users_fragment_comes_last(tmp_path: Path) -> None:
    extra = tmp_path / "mine.config"
    extra.write_text("# CONFIG_DEBUG_VM is not set\nCONFIG_KASAN=y\n")
    parts = fragments(ARCH, extra)
    assert parts[-1].name == "mine.config"
    assert "CONFIG_DEBUG_VM=n\n" in merged(parts) and "CONFIG_DEBUG_VM=y\n" in merged(
        fragments(ARCH)
    )


@pytest.mark.parametrize("content", [b"DEBUG_VM=y\n", b"CONFIG_A y\n", b"CONFIG_A=\n", b"\xff\0"])
def test_a_fragment_that_sets_nothing_is_the_users_error(tmp_path: Path, content: bytes) -> None:
    extra = tmp_path / "mine.config"
    extra.write_bytes(content)
    with pytest.raises(UserError, match=r"mine\.config"):
        fragments(ARCH, extra)
    with pytest.raises(UserError, match="gone"):
        fragments(ARCH, tmp_path / "gone")


@pytest.mark.parametrize("arch", ARCHES.values(), ids=ARCHES)
def test_no_option_stands_in_two_fragments_and_each_group_says_why(arch: Arch) -> None:
    seen: dict[str, str] = {}
    folders = (FRAGMENTS / "common", FRAGMENTS / arch.name)
    for file in [path for folder in folders for path in sorted(folder.glob("*.config"))]:
        before = ""
        for line in file.read_text().splitlines():
            for name in options(line):
                assert name not in seen, f"{name} in {file.name} and {seen[name]}"
                seen[name] = file.name
                assert before, f"{file.name}: {name} begins a group without a reason"
            before = line


def test_what_the_issue_asks_for_is_in_the_fragments() -> None:
    asked = options(merged(fragments(ARCH)))
    for name in ("KVM_AMD", "KVM_INTEL", "KVM_WERROR", "DEBUG_FS", "DEBUG_VM", "ACPI", "MODULES"):
        assert asked[f"CONFIG_{name}"] == "y"


def test_an_optional_option_may_be_unknown_but_not_refused() -> None:
    parts = (Fragment(name="50-optional.config", text="CONFIG_A=y\nCONFIG_B=y\n"),)
    assert unmet(parts, "CONFIG_B=y\n") == ()
    assert [entry.option for entry in unmet(parts, "# CONFIG_B is not set\n")] == ["CONFIG_B"]
