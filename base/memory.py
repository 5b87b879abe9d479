"""How much memory a process may have. The kernel keeps it: what asks for more fails, in that process alone.

Without a limit the kernel's OOM killer chooses who dies of a runaway allocation, and may choose Redis.
"""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

import psutil

GIB = 1 << 30
LEAST = 2 * GIB
API_PROCESSES = 2
_ROLLUP = Path("/proc/self/smaps_rollup")
# What a container may have: cgroup 2, then cgroup 1.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def limit_memory(most: int) -> int:
    """Let this process, and those that it starts, have ``most`` bytes each; 0: three quarters of the machine.

    Returns the limit. It counts private memory that can be written, touched or not; files that are mapped to
    be read do not count. Only Linux keeps it.
    """
    limit = most or max(LEAST, memory_of_machine() * 3 // 4)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    return limit


def share_for_models(workers: int) -> int:
    """Bytes that each process may hold in models if all of them together may have half of the machine."""
    return memory_of_machine() // 2 // (workers + API_PROCESSES)


def private_bytes() -> int:
    """Memory that only this process has, less what it has freed: what was freed is given back first.

    On Linux without pages of files that are mapped to be read: another process would share them.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):  # glibc
        library.malloc_trim(0)
    if not _ROLLUP.exists():
        return int(psutil.Process().memory_full_info().uss)
    # not Private_Dirty, which counts mapped pages too until they are on the disk
    anonymous = [line.split()[1] for line in _ROLLUP.read_text().splitlines() if line.startswith("Anonymous")]
    return 1024 * int(anonymous[0])


def memory_of_machine() -> int:
    """Bytes of memory of this machine, or of the container that this process is in."""
    found = [psutil.virtual_memory().total]
    for name in _LIMITS:
        path = Path(name)
        if path.exists() and (text := path.read_text().strip()).isdigit():
            found.append(int(text))
    return min(found)
