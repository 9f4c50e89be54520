"""The shell in a real L1: how it ends when L1 does."""

from __future__ import annotations

from conftest import Noref, Ran


def test_l1_that_is_powered_off_from_within_is_a_good_end(main_job: Ran, noref: Noref) -> None:
    assert noref("shell", "--", "poweroff", "-f").status == 0


def test_the_shell_leaves_the_latest_result_where_it_is(main_job: Ran, noref: Noref) -> None:
    cell = "base/tdp/order0/fault/guest_read"
    ran = noref("run", cell)
    assert noref("shell", "--", "true").status == 0
    assert (ran.results / "latest/cells" / cell / "console.log").exists()
    assert len([folder for folder in ran.results.iterdir() if not folder.is_symlink()]) == 2


def test_l1_that_panics_under_the_shell_is_the_kernels_failure(main_job: Ran, noref: Noref) -> None:
    ran = noref("shell", "--", "sh", "-c", "echo c >/proc/sysrq-trigger")
    assert ran.status == 1
    assert "L1 ended by itself" in ran.output
    assert "console.log" in ran.output
    assert "Traceback" not in ran.output


def test_the_shell_minds_the_boot_timeout(main_job: Ran, noref: Noref) -> None:
    ran = noref("shell", "--boot-timeout", "1", "--", "true")
    assert ran.status == 1
    assert "no answer within 1 s" in ran.output
