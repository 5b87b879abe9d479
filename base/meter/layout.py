"""The bytes of a meter file: a head, the names of its series, and for each series a ring of blocks.

A series is what is counted together: one route, and one model if there was one; or the differences between
the numbers of two models. Its first block counts since the beginning, the others each one slot of time; a
slot's block is used again once it is well out of the window, so no reader meets one that is being emptied.
Every number is a whole word of 64 bits, an integer or a float, that one process writes, so a reader sees it
before or after a change. Slots are counted by the kernel's monotonic clock: it is one for all processes of a
host, and nobody can set it.
"""

from __future__ import annotations

from base.meter.buckets import BUCKETS

WORD = 8
# Head, in words. A file counts once it says when it began.
COUNT, BEGAN_MS = range(2)
HEAD_WORDS = 8
NAME_BYTES = 384  # an alias and a version of the longest names, and some of a target's
MAX_SERIES = 256
NAMES_AT = HEAD_WORDS * WORD
BLOCKS_AT = NAMES_AT + MAX_SERIES * NAME_BYTES

# One block, in words; the buckets follow.
SLOT, NANOSECONDS, REFUSALS, ERRORS, HITS, MISSES = range(6)
# Of differences only, as floats: of all together, of their sizes, and the size of the largest.
SUM, SUM_OF_SIZES, LARGEST = range(6, 9)
FIRST_BUCKET = 9
BLOCK_WORDS = FIRST_BUCKET + BUCKETS

SLOT_SECONDS = 10
WINDOW_SLOTS = 30
WINDOW_SECONDS = WINDOW_SLOTS * SLOT_SECONDS
RING = WINDOW_SLOTS + 2
SERIES_WORDS = (1 + RING) * BLOCK_WORDS
SIZE = BLOCKS_AT + MAX_SERIES * SERIES_WORDS * WORD

# In the files' names, so that no release reads what another one wrote: a change raises the first number.
LAYOUT = f"2-{SIZE}"


def slot_of(now: float) -> int:
    """The slot of a moment of the monotonic clock; the first one is 1, for 0 marks a block without one."""
    return int(now // SLOT_SECONDS) + 1


def name_of(route: str, model: str | None) -> bytes:
    """How a series is named in the file; a name that is too long is cut."""
    return f"{route}\t{model or ''}".encode()[:NAME_BYTES]


def route_and_model(name: bytes) -> tuple[str, str | None]:
    """The opposite of ``name_of``."""
    route, _, model = name.rstrip(b"\0").decode(errors="replace").partition("\t")
    return route, model or None
