"""`python -m tests.bench [--size MB] [--big MB]`: how fast the harness reads logs.

Figures, no verdict. grep and Python's re search for the same headers in the same logs in the same
run: what a machine that is busy or slow costs, it costs all of them.
"""

from __future__ import annotations

import argparse
import io
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.dmesg import iter_splats
from harness.dmesg.table import TRIGGERS
from tests.bench import logs

_ROUNDS = 3
_MB = 1_000_000
_HEADERS = re.compile(b"|".join(map(re.escape, TRIGGERS)))
# The same for grep, which has its own idea of what needs a backslash.
_GREP = "|".join(re.sub(r"[][.*+?(){}|^$\\]", r"\\\g<0>", word.decode()) for word in TRIGGERS)


def _seconds(work: Callable[[], object]) -> float:
    """CPU time of the work and its children, the best of some rounds: the others had something
    else on the machine with them."""
    best = float("inf")
    for _ in range(_ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.process_time()
        work()
        own = time.process_time() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        children = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        best = min(best, own + children)
    return best


def _read(log: bytes) -> int:
    return sum(1 for _ in iter_splats(io.BytesIO(log)))


def _search(log: bytes) -> int:
    return sum(1 for _ in _HEADERS.finditer(log))


def _grep(path: Path) -> None:
    subprocess.run(
        ["grep", "-a", "-c", "-E", _GREP, path],
        env={"LC_ALL": "C"},
        executable=shutil.which("grep"),
        stdout=subprocess.DEVNULL,
        check=False,
    )


def _speeds(size: int) -> Table:
    table = Table("log", "MB", "splats", "dmesg MB/s", "grep -E MB/s", "re MB/s", box=None)
    for name, make, share in (
        ("clean", logs.clean, 1.0),
        ("long reports", logs.long_reports, 0.2),
        ("long, CRLF", lambda size: logs.as_console(logs.long_reports(size)), 0.2),
        ("real reports", lambda _: logs.real_reports(), 1.0),
        ("short reports", logs.short_reports, 0.2),
        ("long, no times", lambda size: logs.without_prefixes(logs.long_reports(size)), 0.2),
        ("short, no times", lambda size: logs.without_prefixes(logs.short_reports(size)), 0.2),
        ("long, /dev/kmsg", lambda size: logs.from_kmsg(logs.long_reports(size)), 0.2),
    ):
        part = make(int(min(2 * _MB, size * share)))
        log = part * max(int(size * share) // len(part), 1) if name == "clean" else part
        with tempfile.NamedTemporaryFile() as file:
            file.write(log)
            file.flush()
            times = (
                _seconds(partial(_read, log)),
                _seconds(partial(_grep, Path(file.name))),
                _seconds(partial(_search, log)),
            )
        speeds = (f"{len(log) / _MB / spent:.1f}" for spent in times)
        table.add_row(name, f"{len(log) / _MB:.1f}", str(_read(log)), *speeds)
    return table


_BIG = """
import resource, sys, time
from harness.dmesg import iter_splats
from tests.bench import logs
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
found = [(s.title, s.start) for s in iter_splats(logs.Stream(int(sys.argv[1]), logs.one_splat()))]
spent = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"{int(sys.argv[1]) / 1e6:.0f} MB with one splat in the middle: {found}, "
      f"{spent:.1f} s, peak RSS {peak / 1024:.0f} MB ({before / 1024:.0f} MB before)")
"""


def main() -> None:
    """Measure, and print what came out."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--size", type=int, default=20, help="MB of each log")
    options.add_argument("--big", type=int, default=1000, help="MB of the big log; 0: none")
    given = options.parse_args()
    console = Console(width=100)
    console.print("[bold]Reading logs[/], best of", _ROUNDS, "in CPU time of one core")
    console.print(_speeds(given.size * _MB))
    if given.big:
        # In a process of its own, so that the peak is this one's.
        subprocess.run([sys.executable, "-c", _BIG, str(given.big * _MB)], check=True)


if __name__ == "__main__":
    main()
