"""What ties processes together: names that tell whether their owner has ended, and ending with one's parent.

A lease is held by a name. Whoever reads it on the same machine can ask the kernel whether that process still
lives, and need not wait until the lease runs out. Elsewhere, or where the kernel does not tell, nobody knows,
and the lease decides.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import sys
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1
_NAME = re.compile(r"[^:]*:(?P<pid>\d+):(?P<start>\d+):(?P<place>[0-9a-f-]+)")
_DEAD_STATES = "ZX"  # a killed process whose parent has not noticed yet runs no more code


def this_process() -> str:
    """A name that no other process has, of this machine or another, now or later: host, number and more."""
    host, pid = socket.gethostname()[:60], os.getpid()
    start, place = _start(pid), _place()
    return f"{host}:{pid}:{start}:{place}" if start and place else f"{host}:{pid}"


def has_ended(name: str) -> bool:
    """Whether the process of this name is known to be dead; False also if that cannot be known from here."""
    found = _NAME.fullmatch(name)
    if found is None or found["place"] != _place():
        return False
    pid = int(found["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # somebody else's: the kernel may hide the rest from us
    return _start(pid) != found["start"]


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the thread that started this process ends; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _start(pid: int) -> str | None:
    """When a process started, in ticks of the kernel; None if it is dead or the kernel does not say."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in _DEAD_STATES else fields[19]


@cache
def _place() -> str | None:
    """What has process numbers of its own: this run of the machine's kernel and, in it, this container."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot[:8]}-{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return None  # not Linux, or a sandbox that hides it
