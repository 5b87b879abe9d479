"""The document that a comparison is, typed for callers; like the job resource it is plain data."""

from __future__ import annotations

from typing import Any, TypedDict


class Flips(TypedDict):
    """Labels that are the same in both, and those that differ; null where the models predict numbers.

    `flips` are the most frequent of all `kinds_of_flips`, each as `{"first", "second", "rows"}`.
    """

    agreement: float | None
    agreed: int | None
    flipped: int | None
    flips: list[dict[str, Any]] | None
    kinds_of_flips: int | None


class ComparedTarget(Flips):
    """One output. `scores` is null without probabilities, `metrics` without labels."""

    name: str | None
    scores: dict[str, Any] | None
    metrics: dict[str, Any] | None


class ComparedRows(TypedDict):
    """Two results; `failed` counts rows that one of the versions, or both, could not score."""

    rows: int
    compared: int
    failed: dict[str, int]
    targets: list[ComparedTarget]


class Comparison(ComparedRows):
    """Two versions on one input."""

    models: list[str]
    jobs: list[str]
