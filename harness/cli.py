"""The commands.  Thin: each puts the rooms together and ends in an exit status."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from harness import job
from harness.build.cache import default_folder
from harness.build.tools import missing_tools, packages
from harness.compare import compare as compare_series
from harness.dmesg_command import dmesg
from harness.errors import EXIT_INFRA, EXIT_OK, EXIT_USER, NorefError
from harness.machine.accel import choose_accel
from harness.machine.arches import ARCHES, arch_of_mode, find_arch
from harness.mutants import hunt_mutants
from harness.order import Order
from harness.report import files
from harness.report.comparison import show_comparison
from harness.report.jsonfile import write_json
from harness.report.mutants import mutant_line, show_mutants
from harness.report.progress import progress
from harness.report.terminal import show
from harness.report.write import write_all, write_comparison, write_summary
from harness.run.boot import Limits

_PROJECT = Path(__file__).resolve().parents[1]
_GUEST_IMAGES = _PROJECT / "guest-images"
_VERSION, _SERIES, _ARCH = "6.12", "noref", "x86_64"

# 100 columns where there is no terminal to ask: the width that the table is made for.
_WIDTH = None if sys.stdout and sys.stdout.isatty() else 100


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name kernels, which all commands share."""
    options = [
        click.option("--base", "version", default=_VERSION, help="Kernel version of the base."),
        click.option(
            "--kernel-src",
            envvar="KERNEL_SRC",
            help="The base as a tree, a git checkout or a tarball, instead of Debian's package.",
        ),
        click.option(
            "--config", type=click.Path(exists=True, path_type=Path), help="More Kconfig options."
        ),
        click.option(
            "--cache",
            type=click.Path(path_type=Path),
            default=default_folder,
            help="Where kernels are kept.",
        ),
        click.option(
            "--guest-images",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            default=_GUEST_IMAGES,
            help="Scenarios, test module and VMM.",
        ),
        click.option("-j", "workers", type=click.IntRange(1), help="L1s at a time."),
        click.option(
            "--boot-timeout",
            type=click.FloatRange(1),
            default=120.0,
            help="Seconds that a boot may take.",
        ),
        click.option(
            "--timeout",
            type=float,
            default=30.0,
            help="Seconds that a cell may take: then L1 hangs.",
        ),
        click.option(
            "--results",
            type=click.Path(path_type=Path),
            default=Path("results"),
            help="Where the evidence goes, in a folder for each run.",
        ),
    ]
    return _with(options, command)


def _arch(*more: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the option that names an architecture, or one of a few words more."""
    return click.option(
        "--arch",
        envvar="ARCH",
        default=_ARCH,
        type=click.Choice([*ARCHES, *more]),
        help="Architecture of L1.",
    )


def _series(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that names one series."""
    return click.option(
        "--series",
        envvar="SERIES",
        default=_SERIES,
        help="A bundled series by name, a quilt folder, an mbox, or a git range PATH:A..B; "
        "`none` tests the base alone.",
    )(command)


def _mutant(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that puts a seeded bug on top of the series."""
    return click.option(
        "--mutant",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A seeded bug on top of the series: its kernel is SERIES+NAME.",
    )(command)


def _selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose cells from the scenario list."""
    options = [
        click.option("--mode", "modes", multiple=True, help="Only this mode; may be repeated."),
        click.option(
            "--scenario", "scenarios", multiple=True, help="Only this scenario; may be repeated."
        ),
        click.option("--full", is_flag=True, help="Every backing and mapping that makes sense."),
    ]
    return _with(options, command)


def _with(
    options: Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]],
    command: Callable[..., Any],
) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def _order(
    version: str,
    kernel_src: str | None,
    series: str,
    arch: str,
    config: Path | None,
    cache: Path,
    guest_images: Path,
    workers: int | None,
    boot_timeout: float,
    timeout: float,
    results: Path,
    mutant: Path | None = None,
) -> Order:
    return Order(
        version=version,
        kernel_src=kernel_src or None,
        series=series,
        bundled=_PROJECT / "kernel-patches",
        guest=guest_images,
        arch=find_arch(arch),
        config=config,
        cache=cache,
        # One more than there are cores: a cell doesn't keep one busy all the time.
        workers=workers or (os.cpu_count() or 1) + 1,
        limits=Limits(boot=boot_timeout, cell=timeout),
        results=results,
        options=_options(version, kernel_src, series, config, guest_images, mutant),
        mutant=mutant,
    )


def _options(
    version: str,
    kernel_src: str | None,
    series: str,
    config: Path | None,
    guest_images: Path,
    mutant: Path | None,
) -> str:
    """Write down what chooses kernels and scenarios, where it isn't the default.

    The architecture is that of a cell's mode.
    """
    words: list[str] = []
    if version != _VERSION:
        words += ["--base", version]
    if kernel_src:
        words += ["--kernel-src", _absolute(kernel_src)]
    if series != _SERIES:
        words += ["--series", _absolute(series)]
    if config:
        words += ["--config", _absolute(str(config))]
    if guest_images != _GUEST_IMAGES:
        words += ["--guest-images", _absolute(str(guest_images))]
    if mutant:
        words += ["--mutant", _absolute(str(mutant))]
    return shlex.join(words)


def _report(
    console: Console,
    folder: Path,
    write: Callable[[], None],
    show_it: Callable[[Console, Path], None],
) -> None:
    """Write the files of a run and show it, also where the files can't be written."""
    try:
        write()
        write_summary(show_it, folder)
    finally:
        show_it(console, folder)


def _absolute(path: str) -> str:
    return str(Path(path).resolve()) if Path(path).exists() else path


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Prove a KVM patch series on real kernels: build each step, boot it, run guests, judge."""


@cli.command()
@_series
@_arch("all")
@_common
@_selection
def test(
    arch: str, modes: tuple[str, ...], scenarios: tuple[str, ...], full: bool, **common: Any
) -> int:
    """Build every kernel of the series, run all cells in all modes, judge, and show the table."""
    orders = [_order(arch=name, **common) for name in (ARCHES if arch == "all" else [arch])]
    console = Console(width=_WIDTH)
    with progress(console) as bar:
        result, folder = job.test(orders, modes, scenarios, full, bar)
    _report(console, folder, lambda: write_all(result, folder), partial(show, result))
    return result.status


@cli.command()
@_arch()
@_common
@_selection
@click.argument("series", nargs=-1, required=True)
def compare(
    series: tuple[str, ...],
    modes: tuple[str, ...],
    scenarios: tuple[str, ...],
    full: bool,
    **common: Any,
) -> int:
    """Put each SERIES, by its last kernel, side by side with the base and with the others."""
    orders = [_order(series=one, **common) for one in series]
    console = Console(width=_WIDTH)
    with progress(console) as bar:
        result, folder = compare_series(orders, modes, scenarios, full, bar)
    _report(
        console,
        folder,
        lambda: write_comparison(result, folder),
        partial(show_comparison, result),
    )
    return result.status


@cli.command("mutants")
@_arch()
@_common
@click.option(
    "--dir",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the mutants are, instead of the bundled ones of the base.",
)
@click.option("--all", "every", is_flag=True, help="Run all cells, also after the first kill.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
def mutants_(names: tuple[str, ...], folder: Path | None, every: bool, **common: Any) -> int:
    """Seed bugs, one at a time, and see whether some cell notices each."""
    console = Console(width=_WIDTH)
    with progress(console) as bar:
        result, evidence = hunt_mutants(
            _order(series=_SERIES, **common),
            names,
            folder,
            every,
            bar,
            lambda mutant: bar.note(mutant_line(mutant)),
        )
    _report(
        console,
        evidence,
        lambda: write_json(result, evidence / files.MUTANTS),
        partial(show_mutants, result),
    )
    return result.status


def _by_mode(cell: str) -> str:
    """Return the name of the architecture that has the cell's mode, the default one if none has."""
    words = cell.strip("/").split("/")
    found = arch_of_mode(words[1]) if len(words) > 1 else None
    return found.name if found else _ARCH


@cli.command()
@_series
@_mutant
@_common
@click.argument("cell")
@click.option("--repeat", type=click.IntRange(1), default=1, help="How many times in a row.")
def run(cell: str, repeat: int, **common: Any) -> int:
    """Run one CELL again, KERNEL/MODE/BACKING/MAPPING/SCENARIO, and show all that was seen."""
    common["arch"] = _by_mode(cell)
    console = Console(width=_WIDTH)
    with progress(console) as bar:
        result, folder = job.rerun(_order(**common), cell, repeat, bar)
    _report(console, folder, lambda: write_all(result, folder), partial(show, result))
    return result.status


@cli.command("shell")
@_series
@_mutant
@_arch()
@_common
@click.option("--kernel", default="base", help="Which kernel: `base`, or e.g. `noref+4`.")
@click.option("--mode", default="", help="Which mode; the architecture's first if left out.")
@click.argument("command", nargs=-1)
def shell_(kernel: str, mode: str, command: tuple[str, ...], **common: Any) -> int:
    """Boot a kernel and give a shell in L1 over SSH, or run COMMAND there."""
    if found := arch_of_mode(mode):
        common["arch"] = found.name
    console = Console(width=_WIDTH, stderr=True)
    with ExitStack() as stack:
        with progress(console) as bar:
            enter = stack.enter_context(job.shell(_order(**common), kernel, mode, command, bar))
        return enter()


@cli.command()
@_arch("all")
@click.option("--packages", "only_packages", is_flag=True, help="Debian packages, one a line.")
@click.option("--kernel-src", envvar="KERNEL_SRC")
def doctor(arch: str, only_packages: bool, kernel_src: str | None) -> int:
    """Say what this machine lacks, and which accelerator L1 would get."""
    architectures = [find_arch(name) for name in (ARCHES if arch == "all" else [arch])]
    lacking = (missing_tools(one, None if kernel_src else "6.12") for one in architectures)
    missing = tuple(dict.fromkeys(tool for tools in lacking for tool in tools))
    if only_packages:
        for package in packages(missing):
            click.echo(package)
        return 0
    for one in architectures:
        click.echo(f"{one.name}: {choose_accel(one).why}")
    for tool in missing:
        optional = ", optional" if tool.optional else ""
        click.echo(f"missing: {tool.what} (package {tool.package}{optional})")
    return EXIT_OK if all(tool.optional for tool in missing) else EXIT_USER


cli.add_command(dmesg)


def main() -> None:
    """Entry point: an error meant for a person ends in its message and its exit status."""
    try:
        sys.exit(cli.main(standalone_mode=False))
    except NorefError as error:
        click.echo(f"noref: {error}", err=True)
        sys.exit(error.status)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USER)
    except OSError as error:
        click.echo(f"noref: the machine refused what the harness needs: {error}", err=True)
        sys.exit(EXIT_INFRA)
    except (click.Abort, KeyboardInterrupt):
        click.echo("noref: interrupted", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
