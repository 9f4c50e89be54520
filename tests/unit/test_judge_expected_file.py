"""Reading an expected.toml: a good one, and every mistake in one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.judge.expected import Expected, read_expected
from harness.model import Property

GOOD = """
[[claim]]
prop = "access"
why = "it is there for that"
[[expect]]
prop = "silence"
kernels = [2, 3]
standing = "lost"
why = "the WARN is still in"
"""


def read(folder: Path, text: str | bytes) -> Expected:
    path = folder / "expected.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_expected(path)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    expected = read(tmp_path, GOOD)
    assert expected.claim[0].prop is Property.access
    assert expected.expect[0].kernels == (2, 3)


def test_an_empty_file_says_that_everything_holds(tmp_path: Path) -> None:
    assert read(tmp_path, "") == Expected()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('prop = "silence"', 'prop = "elegance"'),
        ('standing = "lost"', 'standing = "mislaid"'),
        ("kernels = [2, 3]", 'kernels = ["noref+2"]'),
        ("kernels = [2, 3]", "kernel = [2, 3]"),
        ("kernels = [2, 3]", 'kernels = [2, 3]\nmode = ["tdp"]'),
        ('why = "it is there for that"', 'why = "x"\nmode = ["tdp"]'),
        ('why = "it is there for that"', 'why = " "'),
        ("[[expect]]", "[[expects]]"),
        ('why = "the WARN is still in"', 'why = ""'),
        ('why = "the WARN is still in"', 'why = " \\n"'),
        ('why = "the WARN is still in"', ""),
        ("[[claim]]", "[[claim]"),
    ],
)
def test_a_file_with_a_mistake_is_the_users_error_that_names_the_file(
    tmp_path: Path, old: str, new: str
) -> None:
    assert old in GOOD
    with pytest.raises(UserError, match=r"expected\.toml"):
        read(tmp_path, GOOD.replace(old, new, 1))


def test_a_file_that_is_not_text_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected\.toml"):
        read(tmp_path, b"why = '\xff\xfe'")


def test_a_file_that_is_not_there_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected\.toml"):
        read_expected(tmp_path / "expected.toml")


@given(st.binary(max_size=200))
def test_whatever_is_in_the_file_it_is_read_or_the_users_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    try:
        read(tmp_path_factory.getbasetemp(), data)
    except UserError:
        pass
