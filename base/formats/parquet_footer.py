"""A large footer of a Parquet file is read by a process of its own first, within limits.

Three bytes of a footer can become a structure of 700: one of 13 MB took 3 GB and five seconds, in a process
that serves everybody. Small footers cannot do harm, and are read on the spot.
"""

from __future__ import annotations

import subprocess
import sys

from base.formats.types import InputRefused

# A footer of this size becomes 60 MB at worst.
FREE_BYTES = 256 << 10
MAX_MEMORY_BYTES = 768 << 20
MAX_CPU_SECONDS = 20
MAX_SECONDS = 120
_READ = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_CPU, ({MAX_CPU_SECONDS}, {MAX_CPU_SECONDS}))
resource.setrlimit(resource.RLIMIT_DATA, ({MAX_MEMORY_BYTES}, {MAX_MEMORY_BYTES}))
import pyarrow as pa, pyarrow.parquet as pq
pq.read_metadata(pa.BufferReader(sys.stdin.buffer.read())).schema.to_arrow_schema()
"""


def refuse_heavy(footer: bytes, magic: bytes) -> None:
    """Raise ``InputRefused`` if a footer (with its length and magic) takes more than it may to be read."""
    if len(footer) <= FREE_BYTES:
        return
    command = [sys.executable, "-I", "-c", _READ]
    try:
        ended = subprocess.run(
            command, input=magic + footer, capture_output=True, timeout=MAX_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        ended = None
    if ended is None or ended.returncode != 0:
        raise InputRefused(
            "unreadable_bytes",
            f"the Parquet footer of {len(footer)} bytes cannot be read with {MAX_MEMORY_BYTES >> 20} MiB of "
            "memory: it is damaged, or describes far too many pieces; write the file again, with larger row "
            "groups or fewer columns",
        )
