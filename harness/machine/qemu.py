"""One QEMU process: its command line, its control by QMP, its end.

All channels are pairs of sockets or files that QEMU inherits, so no socket has a name, and
nothing listens anywhere.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import msgspec
from qemu.qmp import EventListener, Message, QMPClient, QMPError

from harness import lifetime
from harness.build.tools import program
from harness.errors import InfraError
from harness.machine.accel import Accel
from harness.model import Arch, Value

# The library reports through its exceptions; what it logs beside is noise on a terminal.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)

QMP_TIMEOUT = 20.0


class Spec(Value):
    """What L1 is made of.  append: kernel options; memory: MiB; devices: more QEMU arguments."""

    arch: Arch
    accel: Accel
    kernel: Path
    initramfs: Path
    append: tuple[str, ...]
    memory: int = 512
    devices: tuple[str, ...] = ()

    def command(
        self, *, ram: Path | None = None, shared: bool = True, parallel: bool = True
    ) -> list[str]:
        """Return the part of QEMU's command line that decides what L1 is.

        ram: a file to hold L1's RAM, written through if shared, else left as it is.  parallel:
        emulated CPUs run at a time, not in turn; in turn takes a seventh less of the host's time,
        measured with as many L1s as it has cores, and one more.
        """
        if self.accel.name == "tcg":
            threads = "multi" if parallel else "single"
            cpu, accel = self.arch.cpu, f"tcg,thread={threads}"
            machine = ",".join(filter(None, (self.arch.machine, self.arch.emulated)))
        else:
            cpu, accel, machine = "host", self.accel.name, self.arch.machine
        # Found as `noref doctor` finds it, also where PATH is too short.
        qemu = str(program(self.arch.qemu) or self.arch.qemu)
        memory = ["-m", str(self.memory)]
        if ram is not None:
            machine += ",memory-backend=ram"
            path = str(ram).replace(",", ",,")
            backend = f"memory-backend-file,id=ram,mem-path={path},size={self.memory}M"
            memory += ["-object", f"{backend},share={'on' if shared else 'off'}"]
        return [
            *[qemu, "-nodefaults", "-no-user-config", "-display", "none"],
            *["-M", machine, "-accel", accel, "-cpu", cpu, "-smp", str(self.arch.cpus), *memory],
            *["-kernel", str(self.kernel), "-initrd", str(self.initramfs)],
            *["-append", " ".join((f"console={self.arch.console}", *self.append))],
            "-no-reboot",
            *self.devices,
        ]

    def by_hand(self, *words: str) -> str:
        """Return a shell command that boots this L1 on the terminal, with more kernel options."""
        spec = msgspec.structs.replace(self, append=(*self.append, *words))
        return shlex.join([*spec.command(), "-serial", "stdio"])


class Qemu:
    """A running QEMU with L1 in it; leaving the context ends it.

    console: the file that gets all that L1 says on its serial line, from this QEMU's start on;
    stderr goes beside it.  agent: our end of the port noref.agent.
    """

    def __init__(self, command: Sequence[str], console: Path, *, incoming: bool = False) -> None:
        self.console = console
        self.errors = console.with_suffix(".qemu")
        with ExitStack() as stack:
            monitor, theirs = _pair(stack)
            self.agent, agent = _pair(stack)
            self.command = [
                *command,
                *["-serial", f"file:{console}"],
                *["-chardev", f"socket,id=monitor,fd={theirs.fileno()}"],
                *["-mon", "chardev=monitor,mode=control"],
                *["-device", "virtio-serial", "-chardev", f"socket,id=agent,fd={agent.fileno()}"],
                *["-device", "virtserialport,chardev=agent,name=noref.agent"],
                *(["-incoming", "defer"] if incoming else []),
            ]
            with self.errors.open("wb") as errors:
                self.process = lifetime.spawn(
                    self.command,
                    stdout=errors,
                    stderr=errors,
                    pass_fds=(theirs.fileno(), agent.fileno()),
                )
            stack.callback(lifetime.stop, self.process, 0.0)
            theirs.close()
            agent.close()
            self._runner = stack.enter_context(asyncio.Runner())
            self._qmp = QMPClient("L1")
            self._events = EventListener()
            self._qmp.register_listener(self._events)
            try:
                self._runner.run(asyncio.wait_for(self._qmp.connect(monitor), QMP_TIMEOUT))
            except (QMPError, TimeoutError, OSError, EOFError) as error:
                raise self.died("starting QEMU", error) from error
            stack.callback(self._disconnect)
            self._stack = stack.pop_all()

    def __enter__(self) -> Qemu:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def execute(self, command: str, **arguments: object) -> object:
        """Run one QMP command; InfraError if QEMU refuses it, died, or doesn't answer."""
        try:
            return self._runner.run(
                asyncio.wait_for(self._qmp.execute(command, arguments), QMP_TIMEOUT)
            )
        except (QMPError, TimeoutError, OSError, EOFError) as error:
            raise self.died(f"QMP command {command}", error) from error

    def answers(self, timeout: float = 5.0) -> bool:
        """Say whether QEMU itself is alive, whatever L1 does."""
        try:
            self._runner.run(asyncio.wait_for(self._qmp.execute("query-status"), timeout))
        except (QMPError, TimeoutError, OSError, EOFError):
            return False
        return True

    def migration_done(self) -> None:
        """Wait for the end of a migration; InfraError if it failed."""

        async def wait() -> None:
            async for event in self._events:
                if event["event"] == "MIGRATION":
                    status = _data(event)["status"]
                    if status == "completed":
                        return
                    if status == "failed":
                        raise QMPError("the migration failed")

        try:
            self._runner.run(asyncio.wait_for(wait(), QMP_TIMEOUT))
        except (QMPError, TimeoutError) as error:
            raise self.died("migrating L1's state", error) from error

    def shutdown_reason(self, timeout: float = 1.0) -> str:
        """Return the reason of the SHUTDOWN event: `guest-reset`, `host-signal` …, or ``."""

        async def wait() -> str:
            async for event in self._events:
                if event["event"] == "SHUTDOWN":
                    return str(_data(event)["reason"])
            return ""

        try:
            return self._runner.run(asyncio.wait_for(wait(), timeout))
        except (QMPError, TimeoutError):
            return ""

    def ended(self, grace: float) -> int | None:
        """Return QEMU's exit status if it ends within grace seconds, else None."""
        try:
            return self.process.wait(grace)
        except subprocess.TimeoutExpired:
            return None

    def give_file(self, number: int, name: str) -> None:
        """Give QEMU a file descriptor under a name that `fd:NAME` refers to."""
        self._qmp.send_fd_scm(number)
        self.execute("getfd", fdname=name)

    def died(self, tried: str, error: BaseException | None = None) -> InfraError:
        """Make the error that tells how QEMU ended, with its own last words."""
        status = self.ended(1.0)
        words = self.errors.read_text(errors="replace").strip().splitlines()[-3:]
        if status is None:
            came = f"QEMU doesn't answer ({type(error).__name__}: {error})"
        elif status < 0:
            came = f"QEMU was killed by signal {-status}"
        else:
            came = f"QEMU ended with status {status}"
        return InfraError(
            tried,
            "; ".join([came, *words]),
            f"run it by hand: {shlex.join(self.command)[:2000]}",
            self.errors,
        )

    def _disconnect(self) -> None:
        try:
            self._runner.run(asyncio.wait_for(self._qmp.disconnect(), 1.0))
        except (QMPError, TimeoutError, OSError, EOFError):
            pass  # it is about to be killed anyway


def _data(event: Message) -> dict[str, object]:
    data = event["data"]
    assert isinstance(data, dict)
    return data


def _pair(stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    stack.callback(ours.close)
    stack.callback(theirs.close)
    return ours, theirs
