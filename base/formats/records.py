"""Where the records of a text file end, by the parser's own rule and without parsing a value.

A quote opens a field only at the field's start; inside quotes a doubled quote is a quote; a newline ends a
record unless it stands inside quotes. That is a machine of two states, and each run of adjacent quotes is one
of three moves in it:

* a run of even length changes nothing (``""`` opens and closes, or is an escaped quote),
* an odd run behind a delimiter, a newline or at the start turns the state over,
* any other odd run leaves the state unquoted (it closes a field, or is literal text).

So the state behind every run is a count of turns since the last run of the third kind, modulo two: a few
NumPy operations over the quotes of a block, exact for every input. Nothing here reads files or knows spans.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

QUOTE, NEWLINE, RETURN = b'"'[0], b"\n"[0], b"\r"[0]
# Looking for one record end, and back for the state, starts with a window of this size and widens it.
WINDOW = 1 << 14


@dataclass(frozen=True, slots=True)
class Dialect:
    """How records end: with a delimiter the CSV rule, without one JSON Lines (only a line feed ends them)."""

    delimiter: bytes | None = None
    quotes: bool = True


JSON_LINES = Dialect()


class RecordEnds:
    """The record ends within ``data``, which starts at the start of a record.

    An end is the offset behind the record's terminator. ``final`` says that the file ends with ``data``;
    until then a carriage return in the last byte is undecided (a line feed may follow) and ends nothing.
    Ends are looked for in windows; the state in front of a window is found by looking back to a run of the
    third kind, which in real files is a field or two away.
    """

    def __init__(self, data: bytes, dialect: Dialect, *, final: bool) -> None:
        self.data = data
        self._final = final
        self._dialect = dialect
        self._bytes = np.frombuffer(data, np.uint8)
        self._returns = dialect.delimiter is not None and b"\r" in data
        self._quotes = dialect.delimiter is not None and dialect.quotes and b'"' in data
        self._known = 0  # an offset known to be outside quotes: a record end found before

    def first(self, at: int) -> int | None:
        """The smallest end at or behind offset ``at`` (which must be positive)."""
        low, width = at - 1, WINDOW
        while low < len(self.data):
            ends = self._ends(low, low + width)
            if ends.size:
                self._known = int(ends[0])
                return self._known
            low, width = low + width, width * 2
        return None

    def last(self) -> int | None:
        """The greatest end, so the length of the whole records in ``data``."""
        high, width = len(self.data), WINDOW
        while high > 0:
            ends = self._ends(max(high - width, 0), high)
            if ends.size:
                return int(ends[-1])
            high, width = high - width, width * 2
        return None

    @cached_property
    def all(self) -> Offsets:
        """Every end, in order."""
        return self._ends(0, len(self.data))

    @property
    def open_quote(self) -> int | None:
        """Where the quote stands that is still open when ``data`` ends."""
        if not self._quotes:
            return None
        runs, inside, _ = self._states(self._known, len(self.data))
        return int(runs[-1]) if runs.size and inside[-1] else None

    def starts(self, *, blank_rows: bool) -> Offsets:
        """Where each row starts. Blank records are rows only in a file of one column."""
        ends = self.all
        starts: Offsets = np.concatenate(([0], ends)).astype(np.int64)
        starts = starts[starts < len(self.data)]
        if not blank_rows:
            first = self._bytes[starts]
            starts = starts[(first != NEWLINE) & (first != RETURN)]
        return starts

    def lines_before(self, offsets: Offsets) -> Offsets:
        """How many physical lines end before each offset; newlines inside quotes count."""
        newlines: Offsets = self._newlines(0, len(self.data))
        return np.searchsorted(newlines + 1, offsets, side="right").astype(np.int64)

    def _ends(self, low: int, high: int) -> Offsets:
        newlines = self._newlines(low, high)
        if self._quotes and newlines.size:
            newlines = newlines[~self._inside(newlines)]
        return newlines + 1

    def _newlines(self, low: int, high: int) -> Offsets:
        """Offsets of the last byte of every line terminator in [low, high)."""
        window = self._bytes[low:high]
        if not self._returns:
            return np.flatnonzero(window == NEWLINE) + low
        found = np.flatnonzero((window == NEWLINE) | (window == RETURN)) + low
        follower = np.minimum(found + 1, len(self.data) - 1)
        half = (self._bytes[found] == RETURN) & (self._bytes[follower] == NEWLINE)
        if not self._final:
            half |= (self._bytes[found] == RETURN) & (found == len(self.data) - 1)
        whole: Offsets = found[~half]
        return whole

    def _inside(self, newlines: Offsets) -> Flags:
        """Which of these newlines stand inside quotes."""
        first = int(newlines[0])
        known = self._known if self._known <= first else 0
        back = WINDOW
        while True:
            start = max(first - back, known)
            runs, inside, sure = self._states(start, int(newlines[-1]))
            run = np.searchsorted(runs, newlines) - 1
            if start == known or run[0] >= sure:
                return np.where(run < 0, False, inside[run]) if runs.size else np.zeros(len(run), np.bool_)
            back *= 4

    def _states(self, start: int, stop: int) -> tuple[Offsets, Flags, int]:
        """The odd runs of quotes in [start, stop); whether each leaves the text quoted, if the text at
        ``start`` is not; and the index of the first run behind which that is so in any case."""
        quotes = np.flatnonzero(self._bytes[start:stop] == QUOTE) + start
        first = np.flatnonzero(np.diff(quotes, prepend=-2) != 1)
        odd = np.diff(first, append=quotes.size) % 2 == 1
        runs = quotes[first[odd]]
        before = self._bytes[runs - 1]  # a run at 0 wraps around to the last byte and is corrected below
        delimiter = (self._dialect.delimiter or b",")[0]
        turns = (before == delimiter) | (before == NEWLINE) | (before == RETURN) | (runs == 0)
        # a run cut off by the window's start has an unknown length, so nothing is sure behind it
        turns |= before == QUOTE
        count = np.cumsum(turns)
        since = count - np.maximum.accumulate(np.where(turns, 0, count))
        sure = int(np.argmin(turns)) if not turns.all() else len(runs)
        return runs, since % 2 == 1, sure


def count_newlines(data: bytes, dialect: Dialect) -> int:
    r"""Line terminators in ``data``: ``\n``, in CSV also ``\r\n`` and ``\r``, are one each."""
    codes = np.frombuffer(data, np.uint8)
    newlines = codes == NEWLINE
    count = int(np.count_nonzero(newlines))
    if dialect.delimiter is not None and b"\r" in data:
        returns = codes == RETURN
        count += int(np.count_nonzero(returns)) - int(np.count_nonzero(returns[:-1] & newlines[1:]))
    return count


def count_lines(data: bytes, dialect: Dialect) -> int:
    """Physical lines in ``data``; an unended last line counts."""
    terminators = (b"\n",) if dialect.delimiter is None else (b"\n", b"\r")
    return count_newlines(data, dialect) + (1 if data and not data.endswith(terminators) else 0)
