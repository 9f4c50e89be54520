"""`noref dmesg`: what it prints, its exit status, and that its documentation is true."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.dmesg import SplatType
from harness.dmesg_command import Finding, dmesg

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "dmesg.md").read_text()
LOG = re.search(r"```log\n(.*?)```", DOC, re.DOTALL)[1].encode()  # type: ignore[index]
SHOWN = json.loads(re.search(r"```json\n(.*?)```", DOC, re.DOTALL)[1])  # type: ignore[index]
CLEAN = b"[    1.000000] random: crng init done\n"


class Ran(typing.NamedTuple):
    status: int
    out: str
    err: str


def ran(*args: str | Path, given: bytes = b"") -> Ran:
    result = CliRunner().invoke(dmesg, list(map(str, args)), input=given, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return Ran(result.return_value, result.stdout, result.stderr)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "console.log"
    path.write_bytes(LOG)
    return path


def as_json(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_example_in_the_documentation_is_what_comes_out(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(log.parent)
    status, out, _ = ran("--json", "console.log")
    assert (status, as_json(out)) == (1, [SHOWN])
    assert list(as_json(out)[0]["splats"][0]) == list(SHOWN["splats"][0])


def test_the_documentation_has_each_field_with_its_type() -> None:
    table = re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", DOC, re.MULTILINE)
    words = {
        str: "string",
        bool: "boolean",
        int: "integer",
        int | None: "integer or null",
        tuple[str, ...]: "array of strings",
        SplatType: "string",
    }
    hints = typing.get_type_hints(Finding)
    assert table == [(name, words[hints[name]]) for name in Finding.__struct_fields__]


def test_the_documentation_has_each_type() -> None:
    listed = re.findall(r"`([A-Z_]+)`", DOC.partition("## Types")[2].strip().partition("\n\n")[0])
    assert listed == [kind.value for kind in SplatType]


def test_each_file_is_one_line_of_json_in_the_order_given(log: Path) -> None:
    clean = log.with_name("clean.log")
    clean.write_bytes(CLEAN)
    twice = log.with_name("twice.log")
    twice.write_bytes(LOG + LOG.replace(b"12.5", b"13.5").replace(b"try_grab", b"put_a"))
    status, out, _ = ran("--json", twice, clean, log)
    found = as_json(out)
    assert status == 1
    assert [one["file"] for one in found] == [str(twice), str(clean), str(log)]
    assert [[s["function"] for s in one["splats"]] for one in found] == [
        ["try_grab_page", "put_a_page"],
        [],
        ["try_grab_page"],
    ]


def test_standard_input_is_read_where_no_file_is_named() -> None:
    assert ran("--json", given=LOG).status == 1
    assert as_json(ran("--json", "-", given=LOG).out)[0]["file"] == "-"
    assert ran(given=CLEAN) == Ran(0, "-: no splats\n", "")


def test_people_get_all_that_matters(log: Path) -> None:
    status, out, _ = ran(log)
    assert status == 1
    assert out.splitlines() == [
        "WARNING in try_grab_page",
        f"  WARNING, mm/gup.c:218, task vmm/53, CPU 1, bytes 0-418 of {log}",
        f"{log}: 1 splat",
    ]


def test_people_see_that_a_report_is_cut_short_and_that_the_machine_died() -> None:
    cut = b"\n".join(LOG.split(b"\n")[:3])
    assert ", corrupted\n" in ran(given=cut).out
    assert ", fatal\n" in ran(given=b"Kernel panic - not syncing: no reason\n").out


def test_a_hostile_log_cannot_reach_the_terminal() -> None:
    bad = LOG.replace(b"vmm", "\x1b[2Jv\x9b\u202ex".encode()).replace(b"gup.c", b"g\x1b[31mp.c")
    for option in ([], ["--json"]):
        out = ran(*option, given=bad).out
        assert "\x1b" not in out and "\x9b" not in out
    plain = ran(given=bad).out
    assert all(char.isprintable() or char == "\n" for char in plain)


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_file_that_is_not_there_is_status_2_and_a_clear_message(
    option: list[str], log: Path
) -> None:
    missing = log.with_name("missing.log")
    status, out, err = ran(*option, missing, log)
    assert status == 2
    assert err == f"noref: reading the log {missing}: No such file or directory\n"
    assert "try_grab_page" in out, "the other files are still read"


def test_a_folder_is_no_log(tmp_path: Path) -> None:
    status, out, err = ran("--json", tmp_path)
    assert (status, out) == (2, "") and "Is a directory" in err


@pytest.mark.parametrize("option", ["", "--json"])
@pytest.mark.parametrize(
    ("streams", "status", "said"),
    [
        ("<&-", 2, "reading the log -: Bad file descriptor"),
        ("<{log} >&-", 2, "standard output is closed"),
        ("<{log} >/dev/full", 3, "No space left on device"),
    ],
)
def test_streams_that_are_not_there_or_full(
    option: str, streams: str, status: int, said: str, log: Path
) -> None:
    command = f"{sys.executable} -m harness.cli dmesg {option} {streams.format(log=log)}"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == status
    assert said in done.stderr.decode() and b"Traceback" not in done.stderr


@pytest.mark.parametrize(("option", "status"), [([], 1), (["--json"], 141)])
def test_a_reader_that_left_before_anything_was_shown(
    option: list[str], status: int, log: Path
) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "harness.cli", "dmesg", *option, str(log)]
    done = subprocess.run(command, cwd=ROOT, stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (status, b"")


def test_a_reader_that_leaves_early_sees_no_traceback(log: Path) -> None:
    log.write_bytes(b"".join(LOG.replace(b"[   12.", b"[%5d." % at) for at in range(40, 2000)))
    code = "from harness.dmesg_command import dmesg; exit(dmesg(standalone_mode=False))"
    command = [sys.executable, "-c", code, str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_splats_are_shown_in_the_order_in_which_they_begin(log: Path) -> None:
    early = b"".join(b"[   12.5%05d][   T1] %b\n" % (at, text) for at, text in enumerate(BODIES))
    late = b"".join(b"[   12.5%05d][   T2] %b\n" % (at, text) for at, text in enumerate(BODIES))
    head, rest = early.split(b"\n", 1)
    log.write_bytes(head + b"\n" + late + rest + CLEAN * 9000)
    (one,) = as_json(ran("--json", log).out)
    starts = [splat["start"] for splat in one["splats"]]
    assert len(starts) == 2 and starts == sorted(starts)


BODIES = [line.split(b"] ", 1)[1] for line in LOG.splitlines()]
