"""Scoring a chunk that took its process with it twice: in processes whose death is an ordinary outcome.

:func:`score_in_quarantine` stands in for ``rows.score_span``. The chunk is tried as a whole, then in halves,
until the rows are found that kill the scorer; they become row errors, and all others are scored as usual.

    search     which spans are tried, when a row is given up, and when the search ends
    process    the process that tries, seen from the worker: start, ask, wait, end
    server     that process: forks for each trial, and watches what becomes of it
    trials     what is tried, and how its outcome travels back
    refusing   row errors for spans that must not be scored, or not even be read
"""

from __future__ import annotations

from jobs.quarantine.search import CRASHES_BEFORE, score_in_quarantine

__all__ = ["CRASHES_BEFORE", "score_in_quarantine"]
