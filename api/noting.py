"""Predictions that get an id and a note in the log, so that their true labels can be told one day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.context import caller, prediction_log
from jobs.feedback.log import PredictionLog
from models.manifest import Manifest

FIELD = "prediction_id"


def identified(
    manifest: Manifest, keys: Sequence[str] | None, answers: Sequence[dict[str, Any]]
) -> Sequence[dict[str, Any]]:
    """The answers with their ids, where predictions are logged; ``keys`` are the client's own names."""
    if (log := prediction_log()) is None:
        return answers
    named: Sequence[str | None] = keys or [None] * len(answers)
    owner = caller().owner
    return [noted(log, owner, key, manifest, one) for key, one in zip(named, answers, strict=True)]


def noted(
    log: PredictionLog, owner: str, key: str | None, manifest: Manifest, answer: dict[str, Any]
) -> dict[str, Any]:
    """The answer with its id; as it is where the log has no room, or the model more than one output."""
    if len(manifest.targets) > 1:
        return answer
    made = log.add(owner, key, manifest, answer["prediction"])
    return answer if made is None else {**answer, FIELD: made}
