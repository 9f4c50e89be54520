"""A shell in a booted L1, over SSH on loopback, with keys that are made for it and die with it."""

from __future__ import annotations

import base64
import os
import re
import select
import shlex
import shutil
import subprocess
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import paramiko

from harness.build.image import append_files
from harness.build.tools import program
from harness.errors import InfraError, KernelError
from harness.machine.l1 import L1, L1Failed
from harness.machine.qemu import Qemu, Spec
from harness.model import Value

_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s")
# Seconds within which QEMU ends after its L1 did.
_GONE = 3.0
_NET = ("-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22")
_NIC = ("-device", "virtio-net-pci,netdev=net,romfile=")


class Session(Value):
    """A connection to a booted L1, by which its user may well end it."""

    client: paramiko.SSHClient
    qemu: Qemu

    def status(self, channel: paramiko.Channel) -> int:
        """Return what a command in L1 ended with; powering L1 off is a good end.

        KernelError if L1 ended in another way.
        """
        status = channel.recv_exit_status()
        # Negative if none came: a signal ended the command, or L1 is gone.
        if status >= 0 or self.qemu.ended(_GONE) is None:
            return status & 255
        reason = self.qemu.shutdown_reason()
        if reason != "guest-shutdown":
            came = f"L1 ended by itself ({reason or 'QEMU died'})"
            raise KernelError("using the shell in L1", came, "see its log", self.qemu.console)
        return 0


@contextmanager
def connect(spec: Spec, scratch: Path, console: Path, timeout: float) -> Iterator[Session]:
    """Boot L1 with dropbear in it and yield a session; nothing else can log in.

    scratch: an own folder for the keys; timeout: seconds that the boot may take.  KernelError if
    L1 doesn't come up.
    """
    client_key = paramiko.ECDSAKey.generate()
    host_key, host_line = _make_host_key(scratch)
    image = scratch / "initramfs"
    files = {
        "/etc/passwd": (0o644, b"root:x:0:0:root:/root:/bin/sh\n"),
        "/etc/dropbear/dropbear_ed25519_host_key": (0o600, host_key),
        "/root/.ssh/authorized_keys": (
            0o600,
            f"{client_key.get_name()} {client_key.get_base64()}\n".encode(),
        ),
    }
    append_files(spec.initramfs, files, image)
    spec = msgspec.structs.replace(
        spec, initramfs=image, append=(*spec.append, "noref.ssh=1"), devices=(*_NET, *_NIC)
    )
    with Qemu(spec.command(), console) as qemu:
        try:
            L1(qemu, spec.arch.nmi).wait_ready(timeout)
        except L1Failed as failure:
            raise KernelError("booting L1", failure.note, "see its log", console) from failure
        port = _forwarded_port(qemu)
        with paramiko.SSHClient() as client:
            name = f"[127.0.0.1]:{port}"
            kind, data = host_line.split()[:2]
            client.get_host_keys().add(name, kind, paramiko.Ed25519Key(data=base64.b64decode(data)))
            try:
                client.connect(
                    "127.0.0.1",
                    port,
                    "root",
                    pkey=client_key,
                    timeout=timeout,
                    look_for_keys=False,
                    allow_agent=False,
                )
            except (paramiko.SSHException, OSError) as error:
                raise InfraError("logging in to L1", str(error), "see its log", console) from error
            yield Session(client=client, qemu=qemu)


def run_command(session: Session, command: Sequence[str]) -> int:
    """Run a command in L1 with its output on ours; return its exit status."""
    _, output, _ = session.client.exec_command(shlex.join(command))
    _copy_output(output.channel)
    return session.status(output.channel)


def interact(session: Session) -> int:
    """Give the user's terminal a shell in L1, until it ends; return its exit status."""
    size = shutil.get_terminal_size()
    channel = session.client.invoke_shell(term="linux", width=size.columns, height=size.lines)
    if not sys.stdin.isatty():
        channel.sendall(sys.stdin.buffer.read())
        channel.shutdown_write()
        _copy_output(channel)
        return session.status(channel)
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        _copy_both_ways(channel)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
    return session.status(channel)


def _copy_output(channel: paramiko.Channel) -> None:
    channel.set_combine_stderr(True)
    while data := channel.recv(65536):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _copy_both_ways(channel: paramiko.Channel) -> None:
    """Copy until L1 closes.  Its bytes go to the terminal as they are: it is the user's shell."""
    while True:
        ready, _, _ = select.select([channel, sys.stdin], [], [])
        if channel in ready:
            data = channel.recv(65536)
            if not data:
                return
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        if sys.stdin in ready:
            channel.sendall(os.read(sys.stdin.fileno(), 65536))


def _make_host_key(scratch: Path) -> tuple[bytes, str]:
    """Return dropbear's private key file and the public key's line."""
    tool = program("dropbearkey") or Path("dropbearkey")
    path = scratch / "host_key"
    try:
        made = subprocess.run(
            [tool, "-t", "ed25519", "-f", path], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise InfraError("making L1's SSH key", str(error), "install dropbear-bin") from error
    lines = [line for line in made.stdout.splitlines() if line.startswith("ssh-ed25519 ")]
    return path.read_bytes(), lines[0]


def _forwarded_port(qemu: Qemu) -> int:
    said = str(qemu.execute("human-monitor-command", **{"command-line": "info usernet"}))
    match = _FORWARD.search(said)
    if match is None:
        raise InfraError(
            "asking QEMU for L1's SSH port", said, "report this: QEMU says it otherwise"
        )
    return int(match[1])
