"""Kernel logs: bytes in, complaints out.

A splat is a complaint of the kernel in its log: WARNING, BUG, oops, lockdep, KASAN, stall, panic
and so on. This room reads logs of 5.10 to 7.x, x86 and arm64. It is pure and never raises.
"""

from harness.dmesg.scan import find_splats, iter_splats
from harness.dmesg.splat import Splat, SplatType
from harness.dmesg.text import clean_text

__all__ = ["Splat", "SplatType", "clean_text", "find_splats", "iter_splats"]
