"""From scores to answers: what classifiers, generalised linear models and networks do last.

By name, so that a core stores its link as a text. Each takes scores with a row for each output or class, the
fastest way for many rows, and may overwrite them. It answers in the same shape, or with a row for each of the
two classes of a single score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from models.scorers.part import Unsure

Link = Callable[[np.ndarray], np.ndarray]
RowLink = Callable[[list[float]], list[float]]


# For cores: they look themselves for numbers that are infinite or missing.
quiet = np.errstate(all="ignore")


def expit(scores: np.ndarray) -> np.ndarray:
    """The logistic function, in place."""
    np.exp(np.negative(scores, out=scores), out=scores)  # infinite is right: its share is 0
    scores += 1.0
    answer: np.ndarray = np.reciprocal(scores, out=scores)
    return answer


def softmax(scores: np.ndarray) -> np.ndarray:
    """Shares of exponentials, in place."""
    scores -= scores.max(axis=0)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=0)
    return scores


def _logistic(scores: np.ndarray) -> np.ndarray:
    answer = np.empty((2, scores.shape[1]))
    answer[1] = expit(scores)[0]
    np.subtract(1.0, answer[1], out=answer[0])
    return answer


def _one_by_one(scores: np.ndarray) -> np.ndarray:
    """Each class against the rest; even shares where no class has any."""
    return _shares(expit(scores))


def _shares(parts: np.ndarray) -> np.ndarray:
    together = parts.sum(axis=0)
    nothing = together == 0
    parts[:, nothing] = 1.0
    together[nothing] = len(parts)
    parts /= together
    return parts


def _exponential(scores: np.ndarray) -> np.ndarray:
    answer: np.ndarray = np.exp(scores, out=scores)
    return answer


def _huber(scores: np.ndarray) -> np.ndarray:
    np.clip(scores, -1.0, 1.0, out=scores)
    scores += 1.0
    scores /= 2.0
    return np.concatenate([1.0 - scores, scores]) if len(scores) == 1 else _shares(scores)


def _decision(scores: np.ndarray) -> np.ndarray:
    """No probabilities: the class of the largest score is the label, of a single score the second above 0."""
    return np.concatenate([-scores, scores]) if len(scores) == 1 else scores


LINKS: Mapping[str, Link] = {
    "identity": lambda scores: scores,
    "exponential": _exponential,
    "logistic": _logistic,
    "softmax": softmax,
    "one by one": _one_by_one,
    "huber": _huber,
    "decision": _decision,
}


def _expit_one(score: float) -> float:
    """Written so that no exponential overflows."""
    if score >= 0:
        return 1.0 / (1.0 + math.exp(-score))
    small = math.exp(score)
    return small / (1.0 + small)


def _logistic_one(scores: list[float]) -> list[float]:
    share = _expit_one(scores[0])
    return [1.0 - share, share]


def _softmax_one(scores: list[float]) -> list[float]:
    largest = max(scores)
    powers = [math.exp(score - largest) for score in scores]
    together = sum(powers)
    return [power / together for power in powers]


def _exponential_one(scores: list[float]) -> list[float]:
    try:
        return [math.exp(scores[0])]
    except OverflowError:
        raise Unsure("the answer is infinite") from None


def _shares_one(parts: list[float]) -> list[float]:
    together = sum(parts)
    return [part / together for part in parts] if together else [1.0 / len(parts)] * len(parts)


def _huber_one(scores: list[float]) -> list[float]:
    parts = [(min(max(score, -1.0), 1.0) + 1.0) / 2.0 for score in scores]
    return [1.0 - parts[0], parts[0]] if len(parts) == 1 else _shares_one(parts)


# The same for the scores of one row, in plain Python: for a few numbers it is faster than NumPy.
ROW_LINKS: Mapping[str, RowLink] = {
    "identity": lambda scores: scores,
    "exponential": _exponential_one,
    "logistic": _logistic_one,
    "softmax": _softmax_one,
    "one by one": lambda scores: _shares_one([_expit_one(score) for score in scores]),
    "huber": _huber_one,
    "decision": lambda scores: [-scores[0], scores[0]] if len(scores) == 1 else scores,
}
